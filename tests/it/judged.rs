//! What nixpkgs' fetcher refuses from a lockfile's text alone is refused from the text alone: `fixtures/lockfiles/judged.tsv`,
//! held against the program and against the page that tells users of it.

use std::collections::BTreeSet;

use crate::support::program::{Scratch, run};
use crate::support::truth::judged;

#[test]
fn each_refusal_names_what_is_wrong_and_where_without_a_download() {
    let place = Scratch::new();
    for row in judged() {
        place.write("package-lock.json", &row.lockfile);
        let mut command = place.npm_nixhash(["hash", "package-lock.json", "--offline"]);
        let ran = run(command.args(&row.arguments));
        let word = if row.refused { "error: " } else { "warning: " };
        let said: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with(word)).collect();
        assert_eq!(said.len(), 1, "{row:?}\n{}", ran.stderr);
        assert!(ran.stderr.contains(&row.message), "{row:?}\n{}", ran.stderr);
        let place = row.place.as_ref().map(|place| format!("package-lock.json: {place}: "));
        assert!(place.is_none_or(|place| said[0].contains(&place)), "{row:?}\n{}", ran.stderr);
        assert_eq!(ran.code, if row.refused { 2 } else { 0 }, "{row:?}\n{}", ran.stderr);
        assert_eq!(ran.stdout.is_empty(), row.refused, "{row:?}");
    }
}

#[test]
fn the_page_tells_of_each_refusal_and_of_no_other() {
    let page = include_str!("../../docs/how-the-hash-is-computed.md");
    let section = page.split("## What is refused").nth(1).unwrap().split("\n## ").next().unwrap();
    let quoted = |row: &str| {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default().to_owned();
        cell.trim_matches('`').trim().to_owned()
    };
    let told: BTreeSet<_> =
        section.lines().filter(|line| line.starts_with("| ")).skip(1).map(quoted).collect();
    let shown: BTreeSet<_> = judged().into_iter().map(|row| row.message).collect();
    assert_eq!(told, shown);
}
