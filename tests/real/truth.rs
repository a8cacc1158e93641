//! Every case of `fixtures/lockfiles` against the registry; git archives come from `fixtures/archives`.

use crate::support::program::{Scratch, run};
use crate::support::registry::Registry;
use crate::support::truth::{rows, serve_host};

#[test]
fn every_hash_is_the_one_that_nixpkgs_printed() {
    let archives = Registry::start();
    serve_host(&archives, "codeload.github.com");
    let mirror = format!("codeload.github.com={}", archives.url());
    let place = Scratch::new();
    let rows = rows();
    assert_eq!(rows.len(), 42, "a row is missing, or this number is old");
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
