//! Credentials, through the whole program: which server sees which, and where else a secret might turn up.

use std::process::Command;

use crate::support::pages::holds_table;
use crate::support::situations::{SITUATIONS, Scene, table};

#[test]
fn each_situation_sends_what_the_table_says() {
    let mut wrong = Vec::new();
    for situation in SITUATIONS {
        let scene = Scene::of(situation);
        let mut command = Command::new(env!("CARGO_BIN_EXE_npm-nixhash"));
        command.args(["hash", "web", "--no-cache"]).current_dir(scene.folder.path()).env_clear();
        command.env("HOME", scene.path("home"));
        for (name, value) in situation.variables {
            command.env(scene.fill(name), scene.fill(value));
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let sent = scene.requests();
        if sent != situation.ours {
            wrong.push(format!("{}: {sent} instead of {}\n{stderr}", situation.name, situation.ours));
        }
        // That a server which asks for something is content shows that it got it.
        if output.status.success() != situation.says.is_empty() || !stderr.contains(situation.says) {
            wrong.push(format!("{}: it does not say `{}`\n{stderr}", situation.name, situation.says));
        }
        if situation.says.contains("TOKEN") {
            assert!(stderr.contains("hint: set TOKEN, or write ${TOKEN?}"), "{stderr}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(SITUATIONS.len() >= 30);
}

#[test]
fn the_page_shows_the_table() {
    holds_table("docs/credentials.md", &table());
}
