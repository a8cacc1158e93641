//! A process killed at any moment leaves the old file or the new one.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use crate::support::project::Project;

#[test]
fn kill_at_any_moment_leaves_the_old_or_the_new_file() {
    let project = Project::new();
    let package = project.registry.publish("left", "1.0.0", &[]);
    let mut old = String::from("{ pkgs }:\n{\n");
    for n in 0..30 {
        project.lock(&format!("s{n}"), &[&package]);
        let _ = writeln!(old, "  s{n} = pkgs.buildNpmPackage {{ src = ./s{n}; npmDepsHash = \"\"; }};");
    }
    old += "}\n";
    project.write("default.nix", &old);
    assert!(project.run(&["update"]).status.success());
    let new = project.read("default.nix");
    assert_ne!(new, old);
    let (mut untouched, mut replaced, mut litter) = (0, 0, 0);
    for round in 0..60_u64 {
        project.write("default.nix", &old);
        let mut child = project.command(&["update"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        // From "just started" to "long done", so that some rounds fall into the moment of the rename.
        sleep(Duration::from_micros(round * 700));
        let _ = child.kill();
        child.wait().unwrap();
        let found = project.read("default.nix");
        for entry in fs::read_dir(project.root()).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().starts_with(".npm-nixhash-") {
                litter += 1;
                fs::remove_file(entry.path()).unwrap();
            }
        }
        match &found {
            text if *text == old => untouched += 1,
            text if *text == new => replaced += 1,
            _ => panic!("neither old nor new:\n{found}"),
        }
    }
    // A text has a name only from its link to its rename, which is hardly ever hit.
    assert!(litter <= 2, "{litter} rounds left something for `git add`");
    assert!(untouched > 0, "no round was killed before the rename");
    assert_eq!(untouched + replaced, 60);
    litter_is_swept(&project);
}

/// What a killed run left beside the file is gone after the next one, be there anything to update or not.
fn litter_is_swept(project: &Project) {
    project.write(".npm-nixhash-x1", "half");
    let files = || fs::read_dir(project.root()).unwrap().map(|entry| entry.unwrap().path());
    let litter = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(".npm-nixhash-");
    assert!(project.run(&["update"]).status.success());
    assert_eq!(files().filter(litter).count(), 0);
    // What another run is about to put in place stays.
    let busy = fs::File::create(project.path(".npm-nixhash-x2")).unwrap();
    busy.lock().unwrap();
    assert!(project.run(&["update"]).status.success());
    assert_eq!(files().filter(litter).count(), 1);
}
