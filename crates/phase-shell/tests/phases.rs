//! What a phase leaves of the lockfile, statement by statement: a line of shell, and which file stands there afterwards.
//!
//! What is answered with a file, or with none, is what bash with GNU coreutils leaves. A line that begins with `?` says why
//! nothing is known. `cargo test --features real-parts --test real shell_phases` holds random phases against a real bash.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use nix_lang::budget::Budget;
use nix_lang::files::Files;
use nix_lang::value::source::Source;
use nix_lang::value::{Doubt, Piece, Text, Unknown};
use phase_shell::{Ground, LockfileEdit, LockfileState, Script, Shadow, Shell, Side};

mod settings;

/// A repository whose files hold their own names, so that it is seen which one is left.
fn repository() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for folder in ["sub", "shrunk"] {
        fs::create_dir(root.path().join(folder)).expect("a folder");
    }
    let files = [
        "package-lock.json",
        "other.json",
        "third.json",
        "sub/package-lock.json",
        "shrunk/npm-shrinkwrap.json",
    ];
    for file in files {
        fs::write(root.path().join(file), format!("{file}\n")).expect("a file");
    }
    for (name, file) in [
        ("lock.patch", "package-lock.json"),
        ("other.patch", "other.json"),
        ("below.patch", "sub/package-lock.json"),
    ] {
        let text = format!("--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-{file}\n+patched\n");
        fs::write(root.path().join(name), text).expect("a file");
    }
    root
}

fn unknown(name: &str) -> Piece {
    let name = (!name.is_empty()).then(|| name.into());
    Piece::Unknown(Rc::new(Unknown { doubt: Doubt::Argument, message: "not known".into(), at: None, name }))
}

/// `@other@` and its like are interpolations of the Nix string that the phase is; `＠` is the character itself.
fn script(root: &Path, text: &str) -> Script {
    let local = |name: &str| Piece::Source(Rc::new(Source::local(root.join(name))));
    let pieces = text.split('@').enumerate().map(|(at, part)| match (at % 2, part) {
        (0, text) => Piece::Text(text.replace('＠', "@").into()),
        (_, "other") => local("other.json"),
        (_, "third") => local("third.json"),
        (_, "folder") => local("sub"),
        (_, "patch") => local("lock.patch"),
        (_, "jq") => unknown("pkgs.jq"),
        (_, "script") => unknown("pkgs.writeShellScript"),
        (_, "run") => unknown("pkgs.runCommand"),
        (_, name) => settings::source(root, name).map_or_else(|| unknown(""), Piece::Source),
    });
    Script::new(&Text { pieces: pieces.collect(), ..Text::default() })
}

fn said(root: &Path, slot: &LockfileState, edits: &[LockfileEdit]) -> String {
    let what = match slot {
        LockfileState::Original => "as it was".to_owned(),
        LockfileState::Absent => "none".to_owned(),
        LockfileState::Doubt(trouble) => return format!("? {:?}", trouble.cause),
        LockfileState::Copied(source) => match source.local_path() {
            Some(path) => {
                let path = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                if source.filters.is_empty() { path } else { format!("{path} behind a filter") }
            }
            None => settings::origin(source),
        },
    };
    if edits.is_empty() { what } else { format!("{what}, edited") }
}

/// What stands under both names in the folder in which the phase ends; the shrinkwrap only if there is one.
fn left(root: &Path, text: &str) -> String {
    let (files, budget) = (Files::new(root.to_owned()), Budget::default());
    let tree = Ground::Source(Rc::new(Source::local(root.to_owned())));
    budget.begin();
    let mut shell = Shell::new(&files, &budget, tree, Ground::Nothing);
    shell.run(&script(root, text), "postPatch");
    let Some(folder) = shell.folder().map(str::to_owned) else {
        return format!("? {:?}", shell.folder_trouble().cause);
    };
    let left = shell.left(Side::Tree, &folder);
    let [shrinkwrap, lock] = [0, 1].map(|slot| said(root, &left.slots[slot], &left.edits[slot]));
    let place = if folder.is_empty() { String::new() } else { format!("{folder}: ") };
    let shrinkwrap = match shrinkwrap.as_str() {
        "as it was" | "none" => String::new(),
        same if same == lock => String::new(),
        other => format!(", shrinkwrap {other}"),
    };
    format!("{place}{lock}{shrinkwrap}")
}

/// A line is a phase, a tab, and what it leaves; `⏎` is a line break in the phase.
#[test]
fn each_statement_leaves_what_it_leaves_in_bash() {
    let repository = repository();
    let root = repository.path().canonicalize().expect("a folder");
    let rows: Vec<_> = include_str!("phases.tsv").lines().filter_map(|line| line.split_once('\t')).collect();
    assert!(rows.len() > 600, "{} rows", rows.len());
    let wrong = rows.iter().filter_map(|(phase, expected)| {
        let left = left(&root, &phase.replace('⏎', "\n"));
        (left != *expected).then(|| format!("{phase}\n  expected: {expected}\n  got:      {left}\n"))
    });
    let wrong: String = wrong.collect();
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whether an archive may have left a shrinkwrap in `$out` behind so many alternatives, and what it costs to know that.
fn shadow_behind(root: &Path, first: &str, alternatives: usize) -> (bool, u64) {
    let (files, budget) = (Files::new(root.to_owned()), Budget::default());
    budget.begin();
    let mut shell = Shell::new(&files, &budget, Ground::Nothing, Ground::Nothing);
    let copies = (0..alternatives).map(|n| format!("[ -n \"$V{n}\" ] && cp @other@ $out/copy{n}\n"));
    let text =
        format!("mkdir $out\n{first}\n{}cp @third@ $out/package-lock.json", copies.collect::<String>());
    shell.run(&script(root, &text), "runCommand");
    let before = budget.rest();
    let left = shell.left(Side::Out, "");
    assert_eq!(said(root, &left.slots[1], &left.edits[1]), "third.json");
    (matches!(left.shadow, Some(Shadow::Archive(_))), before - budget.rest())
}

#[test]
fn alternatives_are_looked_through_one_after_the_other_and_not_each_in_each() {
    let repository = repository();
    let root = repository.path().canonicalize().expect("a folder");
    for (first, archive) in [("true", false), ("tar -xzf @jq@ -C $out", true)] {
        let (few, many) = (shadow_behind(&root, first, 20), shadow_behind(&root, first, 80));
        assert_eq!((few.0, many.0), (archive, archive), "{first}");
        assert!(many.1 < 5 * few.1, "{first}: {} and {}", few.1, many.1);
        // The two names, and what may be at the first of them, are each looked for through both sides.
        assert!(many.1 - few.1 >= 6 * 60, "{first}: {} and {}", few.1, many.1);
    }
}
