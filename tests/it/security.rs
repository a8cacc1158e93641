//! SECURITY.md promises nothing that no test holds the program to.

use std::fs;
use std::path::Path;

use crate::support::pages::root;

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn two_places_start_a_program_and_no_other() {
    fn files(folder: &Path, found: &mut Vec<String>) {
        for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() && !path.ends_with("tests") {
                files(&path, found);
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
            if text.contains("Command::new(") && !path.ends_with("tests.rs") {
                found.push(path.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["src", "crates"] {
        files(&root().join(folder), &mut found);
    }
    found.sort();
    assert_eq!(found, ["src/cli/nix_store.rs", "src/relock/child.rs"]);
}

#[test]
fn one_crate_may_have_unsafe_and_has_it_once() {
    let mut crates = vec![root().to_owned()];
    crates.extend(fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path()));
    for folder in crates {
        let lanes = folder.ends_with("sha512-lanes");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert_eq!(manifest.contains("\n[lints]\nworkspace = true"), !lanes, "{}", folder.display());
        let mut code = String::new();
        sources(&folder.join("src"), &mut code);
        let entered = code.matches("unsafe {").count() + code.matches("unsafe fn").count();
        assert_eq!(entered, usize::from(lanes), "{}", folder.display());
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("\nunsafe_code = \"forbid\"\n"));
}

#[test]
fn each_promise_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let mut code = String::new();
    for folder in ["src", "crates", "tests/it", "tests/real"] {
        sources(&root().join(folder), &mut code);
    }
    let promises: Vec<&str> = page.split("\n* ").skip(1).collect();
    assert!(promises.len() >= 12);
    for promise in promises {
        let promise = promise.split("\n\n").next().unwrap();
        let tests: Vec<&str> = promise
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| {
                name.len() > 20
                    && name
                        .bytes()
                        .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
            })
            .collect();
        assert!(!tests.is_empty(), "no test: {promise}");
        for test in tests {
            assert!(code.contains(&format!("fn {test}(")), "there is no test `{test}`: {promise}");
        }
    }
}
