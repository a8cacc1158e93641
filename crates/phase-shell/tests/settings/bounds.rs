//! What is followed has bounds, and what is looked through is paid for.

use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;

use nix_lang::budget::Budget;
use nix_lang::files::Files;
use nix_lang::value::source::{Base, Source};
use nix_lang::value::{Piece, Text};
use phase_shell::{Ground, Script, Shell};

use super::{left, repository, script};

/// What it costs to run a script.
fn paid(root: &Path, script: &Script) -> u64 {
    let (files, budget) = (Files::new(root.to_owned()), Budget::default());
    budget.begin();
    let tree = Ground::Source(Rc::new(Source::local(root.to_owned())));
    let mut shell = Shell::new(&files, &budget, tree, Ground::Nothing);
    let before = budget.rest();
    shell.run(script, "postPatch");
    before - budget.rest()
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, at| {
        let _ = writeln!(text, "{}", line(at));
        text
    })
}

#[test]
fn text_costs_what_it_holds() {
    let root = repository();
    let cost = |text: &str| paid(root.path(), &script(root.path(), text));
    let word = cost(&format!("true {}", "a".repeat(16_000))) - cost("true");
    assert!((1_000..1_010).contains(&word), "{word}");
    let patch = |length: usize| {
        let text = Source::new(Base::Text(Some("a".repeat(length).into())));
        let pieces = vec![Piece::Text("patch -p1 < ".into()), Piece::Source(Rc::new(text))];
        paid(root.path(), &Script::new(&Text { pieces, ..Text::default() }))
    };
    let patched = patch(64_000) - patch(0);
    assert!((1_000..1_010).contains(&patched), "{patched}");
}

/// Each look at a path pays for the changes since the script began, and where branches meet, for those in them.
#[test]
fn looks_are_paid_for_by_what_they_look_through() {
    let root = repository();
    let cost = |text: &str| paid(root.path(), &script(root.path(), text));
    let changes = lines(100, |at| format!("mkdir new{at}"));
    let branch = format!("if [ -n \"$UNKNOWN\" ]; then\n{changes}fi\n");
    for (before, look) in [
        (&changes, "[ -e nothing ] || true"),
        (&changes, "echo sub/*.md"),
        (&branch, "echo sub/*.md"),
        (&branch, "[ -e nothing ] || true"),
    ] {
        let looks = lines(100, |_| look.to_owned());
        let cost = cost(&format!("{before}{looks}")) - cost(before) - cost(&looks);
        assert!((10_000..30_000).contains(&cost), "{look}: {cost}");
    }
    let meets = cost(&branch) - cost(&changes);
    assert!((100..200).contains(&meets), "{meets}");
}

#[test]
fn longer_texts_than_64_kib_are_not_followed() {
    let root = repository();
    let root = root.path().canonicalize().expect("a folder");
    for (phase, known, unknown) in [
        ("rm -f N", "as it was", "? Target(\"rm\") in postPatch"),
        ("echo x > N", "as it was", "? Tool(\"echo\") in postPatch"),
    ] {
        for (length, expected) in [(65_535, known), (65_536, known), (65_537, unknown), (70_000, unknown)] {
            let phase = phase.replace('N', &"a".repeat(length));
            assert_eq!(left(&root, "repository", &phase), expected, "{length}");
        }
    }
}

/// Each copy leads back to the state before it and to the folder that is copied, which other copies filled.
#[test]
fn copies_into_each_other_are_not_followed_each_in_each() {
    let root = repository();
    let root = root.path().canonicalize().expect("a folder");
    for copy in ["cp -r new/. .", "cp -r new/. ../repo"] {
        let left = |count: usize| {
            let copies = lines(count, |_| copy.to_owned());
            left(&root, "repository", &format!("mkdir new\n{copies}true"))
        };
        assert_eq!(left(10), "as it was", "{copy}");
        assert!(left(16).contains("? "), "{copy}: {}", left(16));
    }
}

/// What stands at a path is looked for through copies of copies, and through what is laid over one folder again and again.
#[test]
fn copies_are_followed_16_deep() {
    let root = repository();
    let root = root.path().canonicalize().expect("a folder");
    let budget = "? Budget in postPatch";
    let chain = |at: usize| format!("cp -r sub{at} sub{}", at + 1);
    let ends = |count: usize| format!("cp sub{count}/package-lock.json .");
    for (count, expected) in
        [(15, "sub/package-lock.json"), (16, "sub/package-lock.json"), (17, budget), (40, budget)]
    {
        let phase = format!("cp -r sub sub0\n{}{}", lines(count - 1, chain), ends(count - 1));
        assert_eq!(left(&root, "repository", &phase), expected, "{count}");
    }
    let lock = "new: sub/package-lock.json";
    for (setting, first, copy, last, few) in [
        ("repository", "mkdir new", "cp -r sub/. new", "cd new", lock),
        ("repository", "mkdir new", "cp -rf --no-preserve=mode @folder@/. new", "cd new", lock),
        ("repository", "mkdir new", "cp -r new/. ../repo", "true", "as it was"),
        ("repository", "mkdir e web", "cp -r e/. ../repo/web", "cd web", "web: none"),
        (
            "runCommand",
            "mkdir $out",
            "cp -r --no-preserve=mode @fetched@/. $out",
            "true",
            "fetched: package-lock.json, shadowed by fetched: npm-shrinkwrap.json",
        ),
    ] {
        let left = |count: usize| {
            let copies = lines(count, |_| copy.to_owned());
            left(&root, setting, &format!("{first}\n{copies}{last}"))
        };
        assert_eq!(left(10), few, "{copy}");
        let many = left(20);
        assert!(many.contains("? Budget") || many.ends_with("? Around in postPatch"), "{copy}: {many}");
    }
}

/// The way around is a step as well.
#[test]
fn a_copy_from_around_is_one_copy_more() {
    let root = repository();
    let root = root.path().canonicalize().expect("a folder");
    for (count, expected) in [(15, "web: none"), (16, "web: ? Around in postPatch")] {
        let copies = lines(count, |at| format!("cp -r e{at} e{}", at + 1));
        let phase = format!("mkdir e0 web\n{copies}cp -r e{count}/. ../repo/web\ncd web");
        assert_eq!(left(&root, "repository", &phase), expected, "{count}");
    }
}
