//! Repositories that would take for ever, or all memory, if they were evaluated to their end: of each kind of
//! multiplication one. Each is undecided, because the budget says so at a place of the file; the derivation beside it is
//! not.

#![allow(clippy::disallowed_methods, reason = "a test is its own shell")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use nix_sites::{Outcome, Survey, SurveyScope, WarningKind, survey};

/// What stops a bomb.
#[derive(Clone, Copy)]
enum Stop {
    /// A warning that contains this text, at this line.
    Budget(&'static str, usize),
    /// The depth of the evaluation or the number of alternatives of one value, which end quietly.
    Bound,
}

use Stop::{Bound, Budget};

const ITEMS: &str = "items are more than this evaluation may make";
const BYTES: &str = "bytes is more than this evaluation may make";
const STEPS: &str = "the evaluation takes too many steps";

/// A line that makes one value from another, over and over: `a0` to `a{times}`.
fn chain(first: &str, next: &str, times: usize) -> String {
    let mut text = format!("a0 = {first};\n");
    for n in 1..=times {
        let _ = writeln!(text, "  a{n} = {};", next.replace("BEFORE", &format!("a{}", n - 1)));
    }
    text
}

/// A name, the definitions of a bomb, the expression that sets it off, and what stops it.
type Bomb = (&'static str, String, &'static str, Stop);

fn bombs() -> Vec<Bomb> {
    let mut all = bombs_of_texts();
    all.extend(bombs_of_values());
    all
}

fn bombs_of_texts() -> Vec<Bomb> {
    vec![
        (
            "replacements",
            chain("\"a\"", r#"builtins.replaceStrings [ "a" ] [ "aaaaaaaaaaaaaaaa" ] BEFORE"#, 9),
            "a9",
            Budget(BYTES, 9),
        ),
        ("sums of strings", chain("\"a\"", "BEFORE + BEFORE", 60), "a60", Budget(BYTES, 27)),
        ("interpolations", chain("\"a\"", r#""${BEFORE}${BEFORE}${BEFORE}""#, 60), "a60", Budget(BYTES, 0)),
        ("escapes", chain(r#""\\""#, r#"lib.escape [ "\\" ] BEFORE"#, 60), "a60", Budget(BYTES, 28)),
        ("shell arguments", chain("\"'\"", "lib.escapeShellArg BEFORE", 60), "a60", Budget(BYTES, 17)),
        ("joined strings", chain("\"a\"", "lib.concatStrings [ BEFORE BEFORE ]", 60), "a60", Budget(BYTES, 27)),
        (
            "separators",
            chain("\"a\"", r#"lib.concatStringsSep BEFORE [ "b" "b" "b" "b" ]"#, 60),
            "a60",
            Budget(BYTES, 17),
        ),
        ("words", chain("[ 1 ]", "[ BEFORE BEFORE ]", 60), "toString a60", Budget("", 0)),
        ("flat lists", chain("[ 1 ]", "[ BEFORE BEFORE ]", 60), "toString (builtins.length (lib.flatten a60))", Budget("", 0)),
        ("sums of lists", chain("[ 1 ]", "BEFORE ++ BEFORE", 60), "toString (builtins.length a60)", Budget(BYTES, 25)),
        (
            "mapped lists",
            chain("[ 1 ]", "lib.concatMap (x: [ x x x x ]) BEFORE", 30),
            "toString (builtins.length a30)",
            Budget("", 0),
        ),
        ("generated lists", "a = builtins.genList (i: i) 9223372036854775807;".to_owned(), "toString a", Budget(ITEMS, 3)),
        ("ranges", "a = lib.range (-9223372036854775807) 9223372036854775807;".to_owned(), "toString a", Budget(ITEMS, 3)),
        (
            "generated sets",
            "a = builtins.mapAttrs (n: v: v) (builtins.listToAttrs (builtins.genList (i: { name = toString i; value = i; }) 1000000));".to_owned(),
            "toString a.\"1\"",
            Budget("", 0),
        ),
        (
            "sets laid over each other",
            "a = lib.foldl' (all: i: all // { \"a${toString i}\" = all; }) { } (lib.range 1 50000);".to_owned(),
            "toString (builtins.length (builtins.attrNames a))",
            Budget("", 0),
        ),
    ]
}

fn bombs_of_values() -> Vec<Bomb> {
    let flags = |n: usize, name: char| {
        (0..n).fold("\"z\"".to_owned(), |inner, i| {
            format!("(if pkgs.config.{name}{i} then \"{i}\" else {inner})")
        })
    };
    vec![
        (
            "recursive updates",
            chain("{ x.y.z = { }; }", "lib.recursiveUpdate { l = BEFORE; r = BEFORE; } { l = BEFORE; r = BEFORE; }", 60),
            "builtins.toString (lib.foldl' (n: s: n + builtins.length (lib.collect builtins.isInt s)) 0 [ a60 ])",
            Bound,
        ),
        (
            "recursion",
            "f = n: if n == 0 then 1 else f (n - 1) + f (n - 1);".to_owned(),
            "toString (f 200)",
            Budget(STEPS, 3),
        ),
        ("recursion without an end", "f = n: f (n + 1);".to_owned(), "toString (f 0)", Bound),
        ("fixed points", "a = lib.fix (self: { x = lib.fix (other: self.x + other); });".to_owned(), "a.x", Bound),
        (
            "comparisons",
            format!("{}  {}", chain("[ 1 ]", "[ BEFORE BEFORE BEFORE BEFORE BEFORE BEFORE BEFORE BEFORE ]", 15), chain("[ 1 ]", "[ BEFORE BEFORE BEFORE BEFORE BEFORE BEFORE BEFORE BEFORE ]", 15).replace('a', "b")),
            "if a15 == b15 then \"yes\" else \"no\"",
            Budget(STEPS, 0),
        ),
        (
            "distinct items",
            "a = lib.unique (map (i: { inherit i; }) (lib.range 1 20000));".to_owned(),
            "toString (builtins.length a)",
            Budget("", 0),
        ),
        (
            "sorting",
            "a = builtins.sort (x: y: lib.all (z: x < y) (lib.range 1 100)) (lib.range 1 20000);".to_owned(),
            "toString (builtins.head a)",
            Budget("", 0),
        ),
        (
            "searches",
            format!(
                "{}  m = builtins.match \"((a|b|c){{30}}){{30}}.*\" a14;",
                chain("\"a\"", "BEFORE + BEFORE", 14)
            ),
            "if m == null then \"no\" else \"yes\"",
            Bound,
        ),
        (
            "split strings",
            format!("{}  parts = lib.splitString \",\" a22;", chain("\",\"", "BEFORE + BEFORE", 22)),
            "toString (builtins.length parts)",
            Budget(BYTES, 26),
        ),
        (
            "characters",
            format!("{}  parts = lib.stringToCharacters a22;", chain("\",\"", "BEFORE + BEFORE", 22)),
            "toString (builtins.length parts)",
            Budget(ITEMS, 26),
        ),
        (
            "documents",
            format!("{}  list = builtins.fromJSON \"[${{a22}}0]\";", chain("\"0,\"", "BEFORE + BEFORE", 22)),
            "toString (builtins.length list)",
            Budget(BYTES, 26),
        ),
        (
            "files",
            "a = map (i: builtins.readFile (./. + \"/${lib.concatStrings (builtins.genList (_: \"loop/\") i)}big.txt\")) (lib.range 1 5000);".to_owned(),
            "lib.concatStrings a",
            Budget("", 0),
        ),
        (
            "alternatives",
            format!("a = {}; b = {}; c = {};", flags(15, 'a'), flags(15, 'b'), flags(15, 'c')),
            "a + b + c",
            Bound,
        ),
    ]
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bombs").join(name.replace(' ', "-"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("good")).expect("a folder of our own");
    fs::write(folder.join("good/package-lock.json"), "{ \"lockfileVersion\": 3 }")
        .expect("a file of our own");
    fs::write(folder.join("big.txt"), "x".repeat(100_000)).expect("a file of our own");
    std::os::unix::fs::symlink(".", folder.join("loop")).expect("a link of our own");
    folder
}

fn run(folder: &Path, definitions: &str, trigger: &str) -> Survey {
    let text = format!(
        "{{ pkgs, lib }}:\nlet\n  {definitions}\nin\n{{\n  good = pkgs.buildNpmPackage {{ pname = \"good\"; version = \"1\"; \
         src = ./good; npmDepsHash = \"\"; }};\n  bad = pkgs.buildNpmPackage {{ pname = \"bad\"; version = \"1\"; \
         src = ./. + \"/${{{trigger}}}\"; npmDepsHash = \"\"; }};\n}}\n"
    );
    fs::write(folder.join("default.nix"), text).expect("a file of our own");
    survey(&SurveyScope::of(folder))
}

fn problem(survey: &Survey, stop: Stop) -> Option<String> {
    if !survey.problems.is_empty() {
        return Some(format!("problems: {:?}", survey.problems));
    }
    let outcome = |name: &str| {
        survey.sites.iter().find(|site| site.name.as_deref() == Some(name)).map(|site| &site.outcome)
    };
    if !matches!(outcome("good"), Some(Outcome::Local { .. })) {
        return Some(format!("the other derivation: {:?}", outcome("good")));
    }
    if !matches!(outcome("bad"), Some(Outcome::Undecided(_))) {
        return Some(format!("not undecided: {:?}", outcome("bad")));
    }
    let spent: Vec<_> =
        survey.warnings.iter().filter(|warning| warning.kind == WarningKind::Budget).collect();
    match stop {
        Bound if spent.is_empty() => None,
        Bound => Some(format!("it took the whole budget: {spent:?}")),
        Budget(message, line) => {
            let stopped = spent.iter().any(|warning| {
                warning.message.contains(message)
                    && warning.place.file.ends_with("default.nix")
                    && (line == 0 || warning.place.line == line)
            });
            (!stopped).then(|| format!("not stopped where it should be: {spent:?}"))
        }
    }
}

#[test]
fn no_bomb_takes_more_than_its_share_and_each_says_where_it_stands() {
    let only = std::env::var("BOMB").unwrap_or_default();
    let mut failures = String::new();
    for (name, definitions, trigger, stop) in bombs().into_iter().filter(|bomb| bomb.0.contains(&only)) {
        let survey = run(&folder(name), &definitions, trigger);
        if let Some(problem) = problem(&survey, stop) {
            let _ = writeln!(failures, "{name}: {problem}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Five bombs before a good derivation do not take its share.
#[test]
fn bombs_leave_something_for_everybody_else() {
    let folder = folder("many");
    let mut text =
        "{ pkgs, lib }:\nlet\n  f = n: if n == 0 then 1 else f (n - 1) + f (n - 1);\nin\n{\n".to_owned();
    for n in 0..5 {
        let _ = writeln!(
            text,
            "  a{n} = pkgs.buildNpmPackage {{ pname = \"bad{n}\"; version = \"1\"; src = ./. + \"/${{toString (f {})}}\"; npmDepsHash = \"\"; }};",
            200 + n
        );
    }
    text.push_str("  z = pkgs.buildNpmPackage { pname = \"good\"; version = \"1\"; src = ./good; npmDepsHash = \"\"; };\n}\n");
    fs::write(folder.join("default.nix"), text).expect("a file of our own");
    let survey = survey(&SurveyScope::of(&folder));
    let good = survey.sites.iter().find(|site| site.name.as_deref() == Some("good")).expect("a site");
    assert!(matches!(good.outcome, Outcome::Local { .. }), "{:?}", good.outcome);
    assert_eq!(survey.sites.iter().filter(|site| matches!(site.outcome, Outcome::Undecided(_))).count(), 5);
}

/// `passthru.tests` with `self.override` has another derivation in each derivation, without end, as some compilers of nixpkgs
/// do, here also by way of functions that are not known: it is met a few times, and takes nothing from the others.
#[test]
fn a_package_that_overrides_itself_ends() {
    let folder = folder("self-override");
    let mut tests = String::new();
    for n in 0..9 {
        let _ = writeln!(tests, "    t{n} = callPackage ../test{n}.nix {{ tool = changed; }};");
    }
    let tool = format!(
        "{{ stdenv, callPackage, tool, data ? builtins.fromJSON (builtins.readFile ./data.json), changes ? 0 }}:\n\
         let changed = tool.override {{ changes = changes + 1; }}; in\n\
         stdenv.mkDerivation {{\n  name = \"tool\"; inherit (data) urls;\n  passthru.tests = {{\n{tests}  }};\n}}\n"
    );
    fs::write(folder.join("tool.nix"), tool).expect("a file of our own");
    let urls: Vec<String> = (0..300).map(|n| format!("\"https://example.org/{n}\"")).collect();
    fs::write(folder.join("data.json"), format!("{{ \"urls\": [ {} ] }}", urls.join(", ")))
        .expect("a file of our own");
    let text = "{ pkgs }:\nrec {\n  tool = pkgs.callPackage ./tool.nix { inherit tool; };\n  good = pkgs.buildNpmPackage { \
                pname = \"good\"; version = \"1\"; src = ./good; npmDepsHash = \"\"; };\n}\n";
    fs::write(folder.join("default.nix"), text).expect("a file of our own");
    let survey = survey(&SurveyScope::of(&folder));
    let spent: Vec<_> =
        survey.warnings.iter().filter(|warning| warning.kind == WarningKind::Budget).collect();
    assert!(spent.is_empty(), "{spent:?}");
    assert!(matches!(survey.sites.as_slice(), [site] if matches!(site.outcome, Outcome::Local { .. })));
}
