use std::rc::Rc;

use nix_lang::eval::Decided;
use nix_lang::files::Files;
use nix_lang::syntax::ast::{FileId, Span};
use nixpkgs_model::world::Nixpkgs;

use super::*;
use crate::remote::Shrinkwrap;

fn at(start: u32) -> Location {
    Location { file: FileId(0), span: Span { start, end: start + 1 } }
}

fn place(line: usize) -> Place {
    Place { file: "/repo/flake.nix".into(), line, column: 1 }
}

/// A derivation on a line, whose hash is one literal.
fn draft(line: usize, literal: u32, outcome: Outcome) -> Draft {
    let mut site = Site::new(place(line), outcome);
    site.attr_path = Some(format!("on-line-{line}"));
    Draft {
        site,
        literals: vec![at(literal)],
        ways: Vec::new(),
        from_caller: false,
        call: at(0),
        decided: vec![Decided::default()],
        turned: Vec::new(),
        warnings: Vec::new(),
    }
}

fn local(lockfile: &str) -> Outcome {
    Outcome::Local { lockfile: lockfile.into(), edits: Vec::new() }
}

fn undecided(reason: Reason) -> Outcome {
    Outcome::Undecided(Undecided::new(reason, "it is not known", place(9)))
}

fn attribute(name: &str, value: &str) -> SourceAttribute {
    SourceAttribute { name: name.to_owned(), value: AttributeValue::Text(value.to_owned()), literal: None }
}

fn fetched(kind: RemoteKind, attributes: Vec<SourceAttribute>) -> RemoteSource {
    RemoteSource {
        kind,
        fetcher: "a fetcher".to_owned(),
        place: place(1),
        attributes,
        open: None,
        input: None,
        source_root: None,
        patches: Vec::new(),
        patched_in: String::new(),
        vendored_in: None,
        shrinkwrap: Shrinkwrap::Ignored,
        keeps_manifest: true,
    }
}

fn input(name: &str, node: &str) -> RemoteSource {
    RemoteSource {
        input: Some((name.to_owned(), node.to_owned())),
        ..fetched(RemoteKind::FlakeInput, Vec::new())
    }
}

fn remote(source: RemoteSource) -> Outcome {
    Outcome::Remote { source: Box::new(source), inside: LockfileInside::default() }
}

fn evaluator() -> Eval {
    Eval::new(Files::new(PathBuf::from("/repo")), &Nixpkgs, Rc::new(()))
}

/// The first name of each, and how many others it has.
fn names(drafts: &[Draft]) -> Vec<(&str, usize)> {
    let sites = drafts.iter().map(|draft| &draft.site);
    sites.map(|site| (site.attr_path.as_deref().unwrap_or_default(), site.other_attr_paths.len())).collect()
}

#[test]
fn one_answer_of_one_literal_is_one_site_under_all_its_names() {
    let mut nameless = draft(1, 7, local("/repo/package-lock.json"));
    nameless.site.attr_path = None;
    let mut second = draft(2, 7, local("/repo/package-lock.json"));
    second.site.other_attr_paths = ["alias", "on-line-2", "other"].map(str::to_owned).to_vec();
    let third = draft(3, 7, local("/repo/package-lock.json"));
    let merged = merge(vec![nameless, second, third, draft(4, 8, local("/repo/package-lock.json"))]);
    assert_eq!(names(&merged), [("on-line-2", 3), ("on-line-4", 0)]);
    assert_eq!(merged[0].site.other_attr_paths, ["alias", "other", "on-line-3"]);
    assert_eq!(merged[0].decided, [Decided::default()], "what they rest on is told once");
}

#[test]
fn other_lockfiles_options_edits_and_doubts_are_other_sites() {
    let two = HashOptions { fetcher_version: 2, ..HashOptions::default() };
    let mut newer = draft(2, 7, local("/repo/a"));
    newer.site.options = two;
    let edits =
        vec![LockfileEdit::Replace { pattern: "a".to_owned(), replacement: "b".to_owned(), required: false }];
    let merged = merge(vec![
        draft(1, 7, local("/repo/a")),
        newer,
        draft(3, 7, local("/repo/b")),
        draft(4, 7, Outcome::Local { lockfile: "/repo/a".into(), edits }),
        draft(5, 7, Outcome::MissingLockfile { expected: "/repo/a".into() }),
        draft(6, 7, Outcome::MissingLockfile { expected: "/repo/b".into() }),
        draft(7, 7, undecided(Reason::UnknownSource)),
        draft(8, 7, undecided(Reason::SourceRoot)),
        draft(9, 7, undecided(Reason::UnknownSource)),
    ]);
    let lines: Vec<_> = merged.iter().map(|draft| draft.site.place.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn without_a_literal_each_call_of_each_name_is_a_site() {
    let bare = |line, call, name: &str| {
        let mut draft = draft(line, 7, undecided(Reason::NoHash));
        draft.literals.clear();
        draft.call = at(call);
        draft.site.name = Some(name.to_owned());
        draft
    };
    let merged = merge(vec![bare(1, 1, "a"), bare(2, 2, "a"), bare(3, 1, "b"), bare(4, 1, "a")]);
    assert_eq!(names(&merged), [("on-line-1", 1), ("on-line-2", 0), ("on-line-3", 0)]);
}

/// Two inputs have no attributes to tell them apart: were they one, the hash of the first would be written for both
/// (fixture `two-inputs-one-hash`).
#[test]
fn sources_are_told_apart_by_fetcher_input_and_attributes() {
    let github = |rev| fetched(RemoteKind::GitHub, vec![attribute("rev", rev)]);
    let open = RemoteSource { open: Some("more may follow".to_owned()), ..github("1") };
    let patch = |path: &str, names_lockfile| Patch::Local { path: path.into(), strip: 1, names_lockfile };
    let patched = |path| RemoteSource { patches: vec![patch(path, true)], ..github("1") };
    let tarball = |kind| Outcome::Tarball(Box::new(fetched(kind, vec![attribute("url", "u")])));
    let kinds = [
        remote(input("one", "{\"locked\":1}")),
        remote(input("two", "{\"locked\":1}")),
        remote(input("one", "{\"locked\":2}")),
        remote(github("1")),
        remote(github("2")),
        remote(fetched(RemoteKind::GitLab, vec![attribute("rev", "1")])),
        remote(open),
        remote(patched("/repo/a.patch")),
        remote(patched("/repo/b.patch")),
        tarball(RemoteKind::FetchUrl),
        tarball(RemoteKind::FetchZip),
    ];
    let once = kinds.len();
    let drafts = kinds.iter().chain(&kinds).enumerate();
    let drafts = drafts.map(|(line, outcome)| draft(line, 7, outcome.clone())).collect();
    let merged = merge(drafts);
    assert_eq!(merged.len(), once);
    assert!(merged.iter().all(|draft| draft.site.other_attr_paths.len() == 1));
    // A patch of something else makes no difference, nor where it is applied.
    let elsewhere = RemoteSource {
        patches: vec![patch("/repo/readme.patch", false)],
        patched_in: "docs".to_owned(),
        ..github("1")
    };
    let merged = merge(vec![draft(1, 7, remote(github("1"))), draft(2, 7, remote(elsewhere))]);
    assert_eq!(merged.len(), 1);
}

#[test]
fn what_is_not_known_of_npm_deps_goes_where_another_way_led_to_the_same_literals() {
    let foreign = |line, literals: &[u32]| {
        let mut draft = draft(line, 0, undecided(Reason::UnknownFetcher));
        draft.literals = literals.iter().copied().map(at).collect();
        draft
    };
    let mut drafts = vec![
        draft(1, 1, local("/repo/a")),
        foreign(2, &[1]),
        foreign(3, &[1, 2]),
        foreign(4, &[2]),
        foreign(5, &[]),
        draft(6, 1, undecided(Reason::UnknownSource)),
    ];
    drop_followed(&mut drafts);
    let lines: Vec<_> = drafts.iter().map(|draft| draft.site.place.line).collect();
    assert_eq!(lines, [1, 3, 4, 5, 6]);
}

#[test]
fn one_literal_for_two_needs_is_undecided_at_both_and_told_with_the_other() {
    let ev = evaluator();
    let mut drafts = vec![
        draft(1, 7, remote(input("one", "{}"))),
        draft(2, 7, remote(input("two", "{}"))),
        draft(3, 8, local("/repo/web/package-lock.json")),
        draft(4, 8, undecided(Reason::UnknownSource)),
        draft(5, 9, local("/repo/web/package-lock.json")),
        draft(6, 9, local("/repo/api/package-lock.json")),
        draft(7, 9, undecided(Reason::LockfileEdited)),
        draft(8, 10, Outcome::MissingLockfile { expected: "/repo/c/package-lock.json".into() }),
        draft(9, 10, local("/repo/web/package-lock.json")),
    ];
    drafts[5].site.attr_path = None;
    settle_conflicts(&ev, &mut drafts);
    let told = |draft: &Draft| match &draft.site.outcome {
        Outcome::Undecided(why) => why.message.clone(),
        _ => "decided".to_owned(),
    };
    let shared = |who: &str, what: &str| format!("its hash is shared with {who}, which needs that of {what}");
    let messages: Vec<_> = drafts.iter().map(told).collect();
    assert_eq!(
        messages,
        [
            shared("on-line-2 (line 2)", "what `a fetcher` fetches"),
            shared("on-line-1 (line 1)", "what `a fetcher` fetches"),
            "decided".to_owned(),
            "it is not known".to_owned(),
            shared("another derivation (line 6)", "api/package-lock.json"),
            shared("on-line-5 (line 5)", "web/package-lock.json"),
            format!("it is not known; {}", shared("on-line-5 (line 5)", "web/package-lock.json")),
            shared("on-line-9 (line 9)", "web/package-lock.json"),
            shared("on-line-8 (line 8)", "c/package-lock.json"),
        ]
    );
    let Outcome::Undecided(why) = &drafts[0].site.outcome else { panic!("it is shared") };
    assert_eq!((why.reason, &why.stopped_at), (Reason::SharedLiteral, &place(2)));
    let step = Step { place: place(2), text: why.message.clone() };
    assert_eq!(drafts[0].site.explain, [step]);
}

#[test]
fn what_is_needed_is_called_by_its_file_or_its_fetcher() {
    let ev = evaluator();
    let called = |outcome| lock_of(&ev, &Site::new(place(1), outcome));
    assert_eq!(called(local("/repo/web/package-lock.json")), "web/package-lock.json");
    assert_eq!(called(undecided(Reason::SeveralLockfiles)), "one of several lockfiles");
    assert_eq!(called(undecided(Reason::UnknownSource)), "something else");
    assert_eq!(called(Outcome::Tarball(Box::new(input("a", "{}")))), "what `a fetcher` fetches");
}

#[test]
fn sites_can_share_a_literal_only_if_they_surely_need_one_hash() {
    let site = |line, outcome| Site::new(place(line), outcome);
    let same = |one: &Outcome, two: &Outcome| {
        let (one, two) = (site(1, one.clone()), site(2, two.clone()));
        assert_eq!(compatible(&one, &two), compatible(&two, &one));
        compatible(&one, &two)
    };
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let again = concat!(env!("CARGO_MANIFEST_DIR"), "/src/../Cargo.toml");
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    assert!(same(&local(manifest), &local(again)), "a copy needs the same hash");
    assert!(!same(&local(manifest), &local(readme)));
    assert!(same(&local("/nowhere/a"), &local("/nowhere/a")));
    assert!(!same(&local("/nowhere/a"), &local("/nowhere/b")), "what cannot be read is like nothing else");
    let missing = |path: &str| Outcome::MissingLockfile { expected: path.into() };
    assert!(same(&missing("/a"), &missing("/a")) && !same(&missing("/a"), &missing("/b")));
    assert!(!same(&missing("/a"), &local("/a")));

    let github = |rev| fetched(RemoteKind::GitHub, vec![attribute("owner", "o"), attribute("rev", rev)]);
    let one = remote(github("v1"));
    assert!(same(&one, &one) && same(&remote(input("a", "{}")), &remote(input("a", "{}"))));
    let gitlab = RemoteSource { kind: RemoteKind::GitLab, ..github("v1") };
    let open = RemoteSource { open: Some("more may follow".to_owned()), ..github("v1") };
    let given = vec![Patch::Other("a patch".to_owned())];
    let patched = RemoteSource { patches: given.clone(), ..github("v1") };
    let deeper = RemoteSource { patches: given, patched_in: "web".to_owned(), ..github("v1") };
    let within = |inside| Outcome::Remote { source: Box::new(github("v1")), inside };
    let folder = within(LockfileInside { folder: "web".to_owned(), ..LockfileInside::default() });
    let shrinkwrap = Shrinkwrap::In(String::new());
    let shadowed = within(LockfileInside { shrinkwrap, ..LockfileInside::default() });
    for other in [github("v2"), gitlab, open, patched.clone(), input("a", "{}")] {
        assert!(!same(&one, &remote(other.clone())), "{other:?}");
    }
    let open = remote(RemoteSource { open: Some("more may follow".to_owned()), ..github("v1") });
    assert!(!same(&open, &open), "what is not wholly known is like nothing else");
    assert!(!same(&one, &folder) && !same(&one, &shadowed) && !same(&remote(patched), &remote(deeper)));
    assert!(!same(&remote(input("a", "{}")), &remote(input("b", "{}"))));
    assert!(!same(&one, &local(manifest)));

    let tarball = |source| Outcome::Tarball(Box::new(source));
    assert!(same(&tarball(github("v1")), &tarball(github("v1"))));
    assert!(!same(&tarball(github("v1")), &tarball(github("v2"))));
    let gitlab = RemoteSource { kind: RemoteKind::GitLab, ..github("v1") };
    assert!(!same(&tarball(github("v1")), &tarball(gitlab)));
}

#[test]
fn other_options_need_another_hash_unless_one_of_two_is_undecided() {
    let known = Site::new(place(1), local("/repo/a"));
    let options = HashOptions { fetcher_version: 2, ..HashOptions::default() };
    let other = Site { options, ..known.clone() };
    assert!(compatible(&known, &known) && !compatible(&known, &other));
    let doubt = Site { options, ..Site::new(place(2), undecided(Reason::UnknownSource)) };
    assert!(compatible(&known, &doubt) && compatible(&doubt, &known));
}

#[test]
fn a_doubt_says_nothing_against_what_is_known_unless_it_is_about_the_lockfile() {
    let known = Site::new(place(1), local("/repo/a"));
    let beside = |reason| compatible(&known, &Site::new(place(2), undecided(reason)));
    for reason in [
        Reason::UnknownArguments,
        Reason::Unreached,
        Reason::UnknownHash,
        Reason::Replaced,
        Reason::UnknownSource,
        Reason::UnknownFetcher,
        Reason::SourceRoot,
        Reason::FilteredOut,
        Reason::NoHash,
    ] {
        assert!(beside(reason), "{reason:?}");
    }
    for reason in [
        Reason::LockfileEdited,
        Reason::Patched,
        Reason::Generated,
        Reason::BuildOnly,
        Reason::StaleUnknown,
        Reason::InArchive,
        Reason::SharedLiteral,
        Reason::SeveralLockfiles,
        Reason::UnknownOptions,
    ] {
        assert!(!beside(reason), "{reason:?}");
        let doubt = |line| Site::new(place(line), undecided(reason));
        let alike = compatible(&doubt(2), &doubt(3));
        assert_eq!(alike, reason == Reason::SeveralLockfiles, "{reason:?}");
        assert!(compatible(&doubt(2), &doubt(2)), "the same derivation asks for one hash");
    }
}
