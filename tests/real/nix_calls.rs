//! Random calls of the modelled functions: what the evaluator says they give is what real Nix gives, or it does not say.
//!
//! `RANDOM_CALLS` says how many, `RANDOM_SEED` where to begin; the long run has ten thousand.

#![allow(clippy::disallowed_methods, reason = "a test is its own shell")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix_sites::{Outcome, SurveyScope, survey};

use crate::support::nix::random_call::CallWriter;
use crate::variable;

/// Turns any value into the name of a folder, which the evaluator then looks for.
const SHOW: &str = r#"
  enc = builtins.replaceStrings [ "%" "/" "." "\n" ] [ "%25" "%2f" "%2e" "%0a" ];
  show = v:
    let t = builtins.typeOf v; in
    if t == "string" then "s(" + enc v + ")"
    else if t == "int" then "i" + toString v
    else if t == "float" then "f" + enc (toString v)
    else if t == "bool" then (if v then "T" else "F")
    else if t == "null" then "N"
    else if t == "list" then "[" + builtins.concatStringsSep "," (map show v) + "]"
    else if t == "set" then "{" + builtins.concatStringsSep "," (map (n: enc n + "=" + show v.${n}) (builtins.attrNames v)) + "}"
    else "?";
"#;

/// How many calls go into one file.
const BATCH: usize = 100;

#[test]
fn random_calls_give_the_same_in_both() {
    judge(variable("RANDOM_CALLS", 600));
}

#[test]
#[ignore = "the long run: ten thousand calls take some minutes"]
fn ten_thousand_random_calls_give_the_same_in_both() {
    judge(10_000);
}

fn judge(count: u64) {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("random-calls");
    let mut writer = CallWriter::new(variable("RANDOM_SEED", 1));
    let expressions: Vec<String> = (0..count).map(|_| writer.expression()).collect();
    let (mut same, mut unknown, mut errors, mut failures) = (0, 0, 0, String::new());
    for batch in expressions.chunks(BATCH) {
        let ours = ours(&root, batch);
        for ((expression, theirs), n) in batch.iter().zip(theirs(batch)).zip(0..) {
            match (ours.get(&n), theirs) {
                (_, None) => errors += 1,
                (None, Some(_)) => {
                    unknown += 1;
                    if std::env::var_os("RANDOM_MODEST").is_some() {
                        println!("not known: {expression}");
                    }
                }
                (Some(ours), Some(theirs)) if *ours == theirs => same += 1,
                (Some(ours), Some(theirs)) => {
                    let _ = writeln!(failures, "{expression}\n  Nix:  {theirs}\n  ours: {ours}");
                }
            }
        }
    }
    println!("random calls: {count}; known and right: {same}, not known: {unknown}, errors in Nix: {errors}");
    assert!(failures.is_empty(), "{failures}");
    assert!(same * 100 >= (same + unknown) * 85, "too little is known: {same} of {}", same + unknown);
}

/// What the evaluator says, by number.
fn ours(root: &Path, batch: &[String]) -> BTreeMap<usize, String> {
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root).expect("a folder of our own");
    let mut text = format!("{{ pkgs, lib }}:\nlet\n{SHOW}in\n{{\n");
    for (n, expression) in batch.iter().enumerate() {
        let _ = writeln!(
            text,
            "  e{n} = pkgs.buildNpmPackage {{ name = \"e{n}\"; src = ./. + \"/r/${{show ({expression})}}\"; npmDepsHash = \"\"; }};"
        );
    }
    text.push_str("}\n");
    fs::write(root.join("default.nix"), text).expect("a file of our own");
    let folder = root.canonicalize().expect("a folder of our own").join("r");
    let survey = survey(&SurveyScope::of(root));
    assert!(survey.problems.is_empty(), "{:?}", survey.problems);
    let mut known = BTreeMap::new();
    for site in &survey.sites {
        let number =
            site.name.as_deref().and_then(|name| name.strip_prefix('e')).and_then(|n| n.parse().ok());
        if let (Some(number), Outcome::MissingLockfile { expected }) = (number, &site.outcome) {
            let parent =
                expected.parent().and_then(|path| path.strip_prefix(&folder).ok()).expect("a folder below");
            known.insert(number, parent.display().to_string());
        }
    }
    known
}

/// What real Nix says; `None` for an error.
fn theirs(batch: &[String]) -> Vec<Option<String>> {
    let shown: Vec<String> = batch.iter().map(|expression| format!("(show ({expression}))")).collect();
    let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stub-nixpkgs/lib");
    let program = format!("let lib = import {};\n{SHOW}in [ {} ]", stub.display(), shown.join("\n"));
    let output = Command::new("nix-instantiate")
        .args(["--eval", "--strict", "--json", "-E", &program])
        .env("NIX_STATE_DIR", std::env::temp_dir().join("nix-calls-state"))
        .output()
        .expect("nix-instantiate is installed");
    if output.status.success() {
        // A text of Nix can end in half a character.
        let printed = String::from_utf8_lossy(&output.stdout);
        let texts: Vec<String> = serde_json::from_str(&printed).expect("a list of texts");
        return texts.into_iter().map(Some).collect();
    }
    if let [_] = batch {
        return vec![None];
    }
    let (left, right) = batch.split_at(batch.len() / 2);
    [theirs(left), theirs(right)].concat()
}
