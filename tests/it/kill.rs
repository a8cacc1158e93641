//! Whoever is killed at any moment leaves the old file or the new one.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    thread::sleep,
    time::{Duration, SystemTime},
};

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
    let (mut untouched, mut replaced) = (0, 0);
    for round in 0..60_u64 {
        project.write("default.nix", &old);
        let mut child = project.command(&["update"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        // From "just started" to "long done", so that some rounds fall into the moment of the rename.
        sleep(Duration::from_micros(round * 700));
        let _ = child.kill();
        child.wait().unwrap();
        let found = project.read("default.nix");
        match &found {
            text if *text == old => untouched += 1,
            text if *text == new => replaced += 1,
            _ => panic!("neither old nor new:\n{found}"),
        }
    }
    assert!(untouched > 0, "no round was killed before the rename");
    assert_eq!(untouched + replaced, 60);
    litter_is_swept(&project);
}

/// What a killed run left beside the file is gone after a later one, be there anything to update or not.
fn litter_is_swept(project: &Project) {
    project.write(".npm-nixhash-x1", "half");
    let files = || fs::read_dir(project.root()).unwrap().map(|entry| entry.unwrap().path());
    let litter = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(".npm-nixhash-");
    for path in files().filter(litter) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
    }
    assert!(project.run(&["update"]).status.success());
    assert_eq!(files().filter(litter).count(), 0);
}
