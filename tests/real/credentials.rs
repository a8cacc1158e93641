//! What the real npm sends in each situation of `docs/credentials.md`: the yardstick for what this program sends.

use std::process::Command;

use crate::support::situations::{SITUATIONS, Scene};

#[test]
fn npm_sends_what_the_table_says() {
    let mut wrong = Vec::new();
    for situation in SITUATIONS {
        let scene = Scene::of(situation);
        let mut npm = Command::new("npm");
        npm.args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--fetch-retries=0",
            "--no-update-notifier",
        ]);
        npm.current_dir(scene.path("web")).env_clear().env("HOME", scene.path("home"));
        // What this machine configures for everybody is not part of the situation.
        npm.env("npm_config_globalconfig", scene.path("no-global-npmrc"));
        npm.env("PATH", crate::inherited("PATH").unwrap()).env("npm_config_cache", scene.path("cache"));
        for (name, value) in situation.variables {
            npm.env(scene.fill(name), scene.fill(value));
        }
        let output = npm.output().expect("npm");
        let sent = scene.requests();
        if sent != situation.npm {
            let said = String::from_utf8_lossy(&output.stderr).lines().take(3).collect::<Vec<_>>().join("\n");
            wrong.push(format!("{}: {sent} instead of {}\n{said}", situation.name, situation.npm));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
