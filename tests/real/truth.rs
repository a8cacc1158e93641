//! Every case of `fixtures/lockfiles` against the registry; git archives come from `fixtures/archives`.

use crate::support::program::{Scratch, run};
use crate::support::registry::Registry;
use crate::support::truth::{rows, rows_of, serve_host};

#[test]
fn every_hash_is_the_one_that_nixpkgs_printed() {
    let archives = Registry::start();
    serve_host(&archives, "codeload.github.com");
    let mirror = format!("codeload.github.com={}", archives.url());
    let place = Scratch::new();
    let rows = rows();
    assert_eq!(rows.len(), 46, "a row is missing, or this number is old");
    let mut wrong = Vec::new();
    for row in rows {
        let mut command = place.npm_nixhash(["hash", row.lockfile().to_str().unwrap()]);
        let ran = run(command.args(row.arguments()).args(["--registry-override", &mirror]));
        let right = match &row.hash {
            Some(hash) => ran.stdout.trim_end() == hash && ran.code == 0,
            None => ran.stdout.is_empty() && ran.code == 2,
        };
        if !right {
            wrong.push(format!("{row:?}\n{ran:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Repacking happens in memory: who runs it, and under which umask, must not show in the hash. Needs root to become others.
#[test]
fn the_hash_of_a_git_dependency_depends_on_neither_user_nor_umask() {
    let archives = Registry::start();
    serve_host(&archives, "codeload.github.com");
    let place = Scratch::new();
    // Where everybody may read: the build's own folder may be root's alone.
    let program = place.path("npm-nixhash");
    std::fs::copy(env!("CARGO_BIN_EXE_npm-nixhash"), &program).unwrap();
    let lockfile = place.path("package-lock.json");
    for case in ["git-long-v3", "git-plain-v3"] {
        let row = rows_of(case).remove(0);
        std::fs::copy(row.lockfile(), &lockfile).unwrap();
        for user in ["0", "65534"] {
            for umask in ["022", "077"] {
                let script = "chmod a+rx . && chmod a+r package-lock.json && umask $1 && exec setpriv --reuid=$2 \
                              --regid=$2 --clear-groups ./npm-nixhash hash package-lock.json --no-cache \
                              --registry-override codeload.github.com=$3";
                let mut command = place.shell();
                command.args(["-c", script, "sh", umask, user, &archives.url()]);
                let ran = run(&mut command);
                let shown = format!("{case} as {user} under {umask}: {ran:?}");
                assert_eq!(Some(ran.stdout.trim_end()), row.hash.as_deref(), "{shown}");
            }
        }
    }
}
