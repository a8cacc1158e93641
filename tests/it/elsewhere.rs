//! Hashes of other ecosystems: `list` says that they are none of ours, and where to go. A case is a folder in
//! `fixtures/elsewhere`: a repository and what `list` prints for it, standard output first.

use std::fs;
use std::path::Path;

use crate::support::project::Project;

fn project(case: &Path) -> Project {
    let project = Project::new();
    let mut folders = vec![case.join("in")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(case.join("in")).unwrap().to_str().unwrap();
                project.write(name, fs::read(&path).unwrap());
            }
        }
    }
    project
}

fn case(name: &str) -> Project {
    project(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/elsewhere").join(name))
}

#[test]
fn list_says_what_is_not_ours_and_where_to_go() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/elsewhere");
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ran = project(&path).run(&["list"]);
        let printed = [ran.stdout, ran.stderr].map(|stream| String::from_utf8(stream).unwrap()).concat();
        assert_eq!(printed, fs::read_to_string(path.join("expect.txt")).unwrap(), "{}", path.display());
        assert!(ran.status.success(), "{}", path.display());
        cases += 1;
    }
    assert!(cases >= 8, "{cases}");
}

#[test]
fn json_has_it_and_other_commands_and_quiet_do_not() {
    let project = case("beside-npm");
    let list = project.run(&["list", "--json", "--quiet"]);
    assert_eq!(String::from_utf8(list.stderr).unwrap(), "");
    let report: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let place = serde_json::json!({ "file": "default.nix", "line": 19, "column": 21 });
    assert_eq!(report["elsewhere"].as_array().unwrap().len(), 1);
    assert_eq!(report["elsewhere"][0]["place"], place);
    let check: serde_json::Value = serde_json::from_slice(&project.run(&["check", "--json"]).stdout).unwrap();
    assert_eq!(check["elsewhere"], serde_json::json!([]));
}

#[test]
fn it_is_said_of_what_is_looked_at_alone() {
    let project = case("beside-npm");
    for (arguments, told) in
        [(&["list"][..], true), (&["list", "default.nix"], true), (&["list", "web"], false)]
    {
        let said = String::from_utf8(project.run(arguments).stderr).unwrap();
        assert_eq!(said.contains("fetchPnpmDeps"), told, "{arguments:?}: {said}");
    }
}
