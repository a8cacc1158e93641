//! The same of phases over what else may be there: a fetched source of which nothing is known before it is there, a build
//! that fills `$out`, a folder of a source (`sourceRoot`), and what several scripts and patches leave together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;

use nix_lang::budget::Budget;
use nix_lang::files::Files;
use nix_lang::syntax::ast::{FileId, Location, Span};
use nix_lang::value::source::{Base, Filter, Remote, RemoteKind, Source};
use nix_lang::value::{Kind, Value};
use phase_shell::{Ground, LockfileState, Shadow, Shell, Side};

use super::{repository, said, script};

mod bounds;

fn fetched(kind: RemoteKind) -> Source {
    let call = Location { file: FileId(0), span: Span { start: 0, end: 0 } };
    let args = Value::new(Kind::Null);
    let fetcher = if kind == RemoteKind::FetchUrl { "url" } else { "fetched" };
    let remote = Remote { kind, fetcher: fetcher.into(), call, args, input: None, nixpkgs: false };
    Source::new(Base::Remote(Rc::new(remote)))
}

/// What `@name@` of a phase stands for, besides the files of the repository.
pub fn source(root: &Path, name: &str) -> Option<Rc<Source>> {
    let (base, sub) = name.split_once('/').unwrap_or((name, ""));
    let text = |text: Option<&str>| Source::new(Base::Text(text.map(Into::into)));
    let source = match base {
        "fetched" => fetched(RemoteKind::FetchZip),
        "url" => fetched(RemoteKind::FetchUrl),
        "text" => text(Some("{}\n")),
        "lock-diff" => text(Some(
            "--- a/package-lock.json\n+++ b/package-lock.json\n@@ -1 +1 @@\n-package-lock.json\n+x\n",
        )),
        "empty" => Source::new(Base::Empty),
        "outside" => Source::local("/outside/lock.json".into()),
        "repository" => Source::local(root.to_owned()),
        "filtered" => {
            let mut source = Source::local(root.to_owned());
            source.filters.push(Filter::Opaque);
            source
        }
        _ => return None,
    };
    Some(Rc::new(if sub.is_empty() { source } else { source.inside(sub) }))
}

/// Where a file comes from that the repository does not have.
pub fn origin(source: &Source) -> String {
    let base = match &source.base {
        Base::Remote(remote) => remote.fetcher.to_string(),
        base => format!("{base:?}").to_lowercase(),
    };
    if source.sub.is_empty() { base } else { format!("{base}: {}", source.sub) }
}

/// A build: what the tree is, and which of the trees the lockfile is looked for in.
fn build<'a>(root: &Path, setting: &str, files: &'a Files, budget: &'a Budget) -> (Shell<'a>, Side) {
    let source = |name: &str| Ground::Source(source(root, name).expect("a source"));
    let (tree, out, side) = match setting {
        "repository" => (source("repository"), Ground::Nothing, Side::Tree),
        "filtered" => (source("filtered"), Ground::Nothing, Side::Tree),
        "fetched" => (source("fetched"), Ground::Nothing, Side::Tree),
        "sub" => (source("repository/sub"), Ground::Nothing, Side::Tree),
        "fetched sub" => (source("fetched/web/ui"), Ground::Nothing, Side::Tree),
        "runCommand" => (Ground::Source(Rc::new(Source::new(Base::Empty))), Ground::Nothing, Side::Out),
        "installPhase" => (source("repository"), Ground::Nothing, Side::Out),
        "installPhase of fetched" => (source("fetched"), Ground::Nothing, Side::Out),
        "postFetch" => (Ground::Unknown, source("fetched"), Side::Out),
        other => panic!("{other} is no setting"),
    };
    let mut shell = Shell::new(files, budget, tree, out);
    match setting {
        "sub" => shell.enter_below("sub"),
        "fetched sub" => shell.enter_below("web//ui"),
        _ => {}
    }
    shell.set_source("src", &self::source(root, "repository/sub").expect("a source"));
    shell.set_text("name", "package-lock.json");
    (shell, side)
}

/// Runs `prePatch`, patches and `postPatch`: what stands between `¶`, where `!` begins what is no script.
fn run(root: &Path, shell: &mut Shell<'_>, steps: &str) {
    let steps: Vec<&str> = steps.split(" ¶ ").collect();
    for (at, step) in steps.iter().enumerate() {
        let phase = if at + 1 < steps.len() { "prePatch" } else { "postPatch" };
        match step.split_once(' ').unwrap_or((step, "")) {
            ("!unknown", why) => shell.run_unknown(phase, why),
            ("!patch", path) => shell.patch(path, false, "a patch"),
            ("!patch-fetched", path) => shell.patch(path, true, "a patch"),
            ("!patches", _) => shell.patch_unknown(false, "patches"),
            ("!patches-fetched", _) => shell.patch_unknown(true, "patches"),
            _ => shell.run(&script(root, &step.replace('⏎', "\n")), phase),
        }
    }
}

fn slot(root: &Path, left: &phase_shell::Left, at: usize) -> String {
    match &left.slots[at] {
        LockfileState::Doubt(trouble) => format!("? {:?} in {}", trouble.cause, trouble.phase),
        slot => said(root, slot, &left.edits[at]),
    }
}

fn left(root: &Path, setting: &str, steps: &str) -> String {
    let (files, budget) = (Files::new(root.to_owned()), Budget::default());
    budget.begin();
    let (mut shell, side) = build(root, setting, &files, &budget);
    run(root, &mut shell, steps);
    let folder = match (side, shell.folder()) {
        (Side::Out, _) => String::new(),
        (Side::Tree, Some(folder)) => folder.to_owned(),
        (Side::Tree, None) => {
            let trouble = shell.folder_trouble();
            return format!("? {:?} in {}", trouble.cause, trouble.phase);
        }
    };
    let left = shell.left(side, &folder);
    let lock = slot(root, &left, 1);
    let shrinkwrap = match slot(root, &left, 0) {
        same if same == lock => None,
        shrinkwrap if matches!(shrinkwrap.as_str(), "none" | "as it was") => None,
        shrinkwrap => Some(format!("shrinkwrap {shrinkwrap}")),
    };
    let shadow = left.shadow.as_ref().map(|shadow| match shadow {
        Shadow::Source(source) => format!("shadowed by {}", origin(source)),
        Shadow::Archive(Some(source)) => format!("shadowed by the archive {}", origin(source)),
        Shadow::Archive(None) => "shadowed by an archive".to_owned(),
    });
    let all: Vec<String> = [Some(lock), shrinkwrap, shadow].into_iter().flatten().collect();
    let all = all.join(", ");
    if folder.is_empty() { all } else { format!("{folder}: {all}") }
}

/// A line is a setting, its phases, and what they leave.
#[test]
fn each_phase_leaves_what_it_leaves_wherever_it_runs() {
    let repository = repository();
    let root = repository.path().canonicalize().expect("a folder");
    let mut settings = BTreeMap::new();
    let mut wrong = String::new();
    for line in include_str!("../settings.tsv").lines() {
        let [setting, steps, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        *settings.entry(setting).or_insert(0) += 1;
        let left = left(&root, setting, steps);
        if left != expected {
            let _ = writeln!(wrong, "{setting}\t{steps}\n  expected: {expected}\n  got:      {left}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(settings.len() >= 9, "{settings:?}");
}
