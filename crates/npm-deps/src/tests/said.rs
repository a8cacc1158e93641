//! What is said where there is no hash, or more than a hash: the reasons, and what to do about them.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use error_advice::{Advise as _, advice_on};
use npm_lockfile::options::HashOptions;
use npm_lockfile::{DependencyProblem, Lockfile, ProblemKind};
use npm_registry::Watch;
use npm_tarballs::integrity::ContentId;
use serde_json::json;
use tempfile::tempdir;

use super::truth::fixtures;
use super::{Run, all, lockfile, obstacles, one};
use crate::assembly::{Broken, NarHash};
use crate::scheduler::Ended;
use crate::supply::{Progress, Supply, SupplyError, scope_of};
use crate::verdict::judge;
use crate::{
    Begun, HashFailure, HashRequest, LockfileWarning, Obstacle, OutputError, Outputs, Refusal, Settings,
    compute, conclude,
};

fn offline(package: &str) -> SupplyError {
    SupplyError::Offline { package: package.to_owned(), url: "https://host.example/".to_owned() }
}

fn begun(obstacles: Vec<Obstacle>) -> Begun {
    let warnings = vec![LockfileWarning::FetcherVersion(3)];
    Begun { tree: 0, packages: 2, pinned: true, warnings, obstacles }
}

fn ended(outcome: Option<Result<NarHash, Broken>>, failures: Vec<SupplyError>) -> Ended {
    Ended { outcome, failures: failures.into_iter().map(Arc::new).collect(), bytes: 5 }
}

#[test]
fn a_tree_has_a_hash_where_it_was_hashed_to_its_end_and_nothing_stood_in_the_way() {
    let hash = NarHash([7; 32]);
    let computed = conclude(begun(Vec::new()), ended(Some(Ok(hash)), Vec::new())).unwrap();
    assert_eq!((computed.hash, computed.packages, computed.bytes), (hash, 2, 5));
    assert_eq!(computed.warnings, [LockfileWarning::FetcherVersion(3)]);
    let said = |begun, ended| obstacles(conclude(begun, ended));
    assert_eq!(
        said(begun(Vec::new()), ended(Some(Ok(hash)), vec![offline("b")])),
        ["b is not on disk (https://host.example/)"],
        "one of several URLs of a content that did not serve it"
    );
    assert_eq!(said(begun(Vec::new()), ended(None, Vec::new())), ["cannot assemble the tree"]);
    assert_eq!(
        said(begun(vec![Obstacle::Refused(Refusal::FetcherVersion(0))]), ended(None, vec![offline("b")])),
        ["fetcher version 0 does not exist", "b is not on disk (https://host.example/)"]
    );
}

#[test]
fn only_what_was_lost_on_disk_is_worth_another_attempt() {
    let lost = || Some(Err(Broken::Lost(io::Error::other("gone"))));
    let failure = |ended| conclude(begun(Vec::new()), ended).unwrap_err();
    let alone = failure(ended(lost(), Vec::new()));
    assert!(alone.is_loss());
    assert_eq!(alone.obstacles[0].to_string(), "a tarball was lost on disk while the tree was assembled");
    assert_eq!(
        advice_on(&alone.obstacles[0]).as_deref(),
        Some("try again; if it happens again, use --no-cache")
    );
    assert!(!failure(ended(lost(), vec![offline("b")])).is_loss());
    let failed = failure(ended(Some(Err(Broken::Failed(io::Error::other("full")))), Vec::new()));
    assert!(!failed.is_loss());
    assert_eq!(failed.obstacles[0].to_string(), "cannot assemble the tree");
    assert_eq!(advice_on(&failed.obstacles[0]), None);
}

#[test]
fn what_led_to_an_obstacle_has_the_advice() {
    let advice = |obstacle: Obstacle| advice_on(&obstacle).map(String::from);
    let torn = || Arc::new(Lockfile::parse(b"<<<<<<< HEAD").unwrap_err());
    let resolve = "resolve the conflict with `npm install --package-lock-only`, then run this again";
    assert_eq!(advice(Obstacle::Lockfile(torn())).as_deref(), Some(resolve));
    let nested = Obstacle::Nested { place: "node_modules/a".to_owned(), error: torn() };
    assert_eq!(advice(nested).as_deref(), Some(resolve));
    assert_eq!(advice(Obstacle::Refused(Refusal::FetcherVersion(0))).as_deref(), Some("use 1 or 2"));
    let occupied = OutputError::Occupied("out".into());
    assert_eq!(
        advice(Obstacle::Output(Arc::new(occupied))).as_deref(),
        Some("name a folder that does not exist yet, or remove what is there")
    );
    let reception = OutputError::Reception(io::Error::other("no"));
    assert_eq!(advice(Obstacle::Output(Arc::new(reception))), None);
    let online = "run once without --offline, or run `npm ci` first";
    assert_eq!(advice(Obstacle::Supply(Arc::new(offline("a")))).as_deref(), Some(online));
    let (package, url) = ("a".to_owned(), "https://host.example/".to_owned());
    let elsewhere = SupplyError::FromElsewhere { package: package.clone(), url: url.clone() };
    assert_eq!(advice(Obstacle::Supply(Arc::new(elsewhere))).as_deref(), Some(online));
    let source = serde_json::from_str::<u8>("").unwrap_err();
    assert_eq!(advice(Obstacle::Supply(Arc::new(SupplyError::Packument { package, url, source }))), None);
}

#[test]
fn a_fetch_that_failed_has_the_advice_of_the_client() {
    let run = Run::new();
    let failure =
        run.hash(&lockfile(&[("a", "https://registry.npmjs.org/a.tgz", Some(&sri(b"a")))])).unwrap_err();
    assert_eq!(failure.obstacles[0].to_string(), "a is not available");
    let Obstacle::Supply(error) = &failure.obstacles[0] else { panic!("{failure:?}") };
    let SupplyError::Fetch { source, .. } = &**error else { panic!("{error:?}") };
    assert!(source.advice().is_some() && error.advice().is_none());
    assert_eq!(advice_on(&failure.obstacles[0]), source.advice());
}

#[test]
fn each_refusal_tells_what_would_help() {
    let advice = |refusal: Refusal| refusal.advice().map(String::from);
    let nothing = |without_url: &[&str]| Refusal::NothingToFetch {
        without_url: without_url.iter().map(ToString::to_string).collect(),
    };
    let rewrite = "let npm write the entry again: remove it from the lockfile and run `npm install --package-lock-only`";
    let (place, url) = (String::from("a"), "https://host.example/a.tgz".parse().unwrap());
    let entry = |kind, aside| Refusal::Entry(DependencyProblem { place: "a".to_owned(), kind, aside });
    let told = [
        (nothing(&[]), "set forceEmptyCache = true if it really needs nothing"),
        (nothing(&["a@1"]), "`npm-nixhash repair` fills in what is missing, without moving a version"),
        (
            Refusal::GitScripts { place: place.clone(), scripts: "install".to_owned() },
            "set forceGitDeps = true if the package works without running them",
        ),
        (Refusal::Names { place: place.clone(), url }, rewrite),
        (entry(ProblemKind::NoVersion, None), rewrite),
        (
            entry(ProblemKind::NoVersion, Some("dependencies")),
            "write the lockfile again with `npm install --package-lock-only --lockfile-version 3`",
        ),
        (
            entry(ProblemKind::Scheme("ftp://host.example/a".parse().unwrap()), None),
            "depend on a published version, or on a tarball at an https URL",
        ),
    ];
    for (refusal, expected) in told {
        assert_eq!(advice(refusal.clone()).as_deref(), Some(expected), "{refusal}");
    }
    assert_eq!(advice(Refusal::GitManifest { place, reason: "is odd" }), None);
    assert_eq!(advice(entry(ProblemKind::NotAUrl("a".to_owned()), None)), None);
}

/// What stands in `fixtures/lockfiles/judged.tsv`, by what is said of the lockfile before anything is fetched.
#[test]
fn each_lockfile_that_nixpkgs_refuses_is_refused_by_its_text_and_its_place_is_named() {
    let table = fs::read_to_string(fixtures().join("lockfiles/judged.tsv")).unwrap();
    let mut judged = 0;
    for line in table.lines().skip(1) {
        let [_, verdict, arguments, place, message, text] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let Ok(lockfile) = Lockfile::parse(text.as_bytes()) else { continue };
        let words: Vec<_> = arguments.split(' ').collect();
        let version = words.iter().position(|word| *word == "--fetcher-version");
        let options = HashOptions {
            fetcher_version: version.map_or(1, |at| words[at + 1].parse().unwrap()),
            force_empty_cache: words.contains(&"--force-empty-cache"),
            force_git_deps: false,
        };
        let (refusals, warnings) = judge(&lockfile, options, false);
        let said = refusals.iter().map(ToString::to_string).chain(warnings.iter().map(ToString::to_string));
        let said: Vec<_> = said.collect();
        assert_eq!(refusals.is_empty(), verdict == "warned", "{line}");
        assert_eq!(said.len(), 1, "{line}\n{said:?}");
        assert!(said[0].contains(message), "{line}\n{said:?}");
        assert!(place == "-" || said[0].starts_with(&format!("{place}: ")), "{line}\n{said:?}");
        judged += 1;
    }
    assert!(judged > 50, "{judged}");
}

fn parsed(text: &str) -> Lockfile {
    Lockfile::parse(text.as_bytes()).unwrap()
}

#[test]
fn two_names_of_one_url_matter_where_packuments_are_stored() {
    let packages = json!({
        "node_modules/a": {"version": "1.0.0", "resolved": "https://host.example/x.tgz", "integrity": sri(b"x")},
        "node_modules/b": {"version": "1.0.0", "resolved": "https://host.example/x.tgz", "integrity": sri(b"x")},
    });
    let lockfile = parsed(&json!({"lockfileVersion": 3, "packages": packages}).to_string());
    let refused = |fetcher_version| {
        let (refusals, _) =
            judge(&lockfile, HashOptions { fetcher_version, ..HashOptions::default() }, false);
        refusals.into_iter().map(|refusal| matches!(refusal, Refusal::Names { .. })).collect::<Vec<_>>()
    };
    assert_eq!((refused(1), refused(2), refused(3)), (vec![], vec![true], vec![true]));
}

#[test]
fn an_empty_lockfile_is_fine_inside_of_a_git_dependency_or_where_it_is_forced() {
    let empty = parsed(&lockfile(&[]));
    let refused = |force_empty_cache, nested| {
        let options = HashOptions { force_empty_cache, ..HashOptions::default() };
        !judge(&empty, options, nested).0.is_empty()
    };
    assert!(refused(false, false));
    assert!(!refused(true, false) && !refused(false, true) && !refused(true, true));
}

#[test]
fn a_fetcher_version_of_the_future_is_a_warning_of_the_outer_lockfile() {
    let lockfile = parsed(&lockfile(&[("a", "https://host.example/a.tgz", Some(&sri(b"a")))]));
    let warned = |fetcher_version, nested| {
        judge(&lockfile, HashOptions { fetcher_version, ..HashOptions::default() }, nested).1
    };
    assert_eq!(warned(2, false), []);
    assert_eq!(warned(3, false), [LockfileWarning::FetcherVersion(3)]);
    assert_eq!(warned(3, true), []);
}

#[test]
fn warnings_count_what_they_name() {
    let names = |count: usize| (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>();
    let no_url = |count| LockfileWarning::NoUrl { packages: names(count) };
    assert!(no_url(1).to_string().starts_with("1 package without `resolved`"));
    assert!(no_url(2).to_string().starts_with("2 packages without `resolved`"));
    assert!(no_url(2).to_string().ends_with(": p0, p1"), "{}", no_url(2));
    let entries = LockfileWarning::NotAUrl { places: names(2) };
    assert!(entries.to_string().starts_with("2 entries with a `resolved` that is not a URL"), "{entries}");
    let cycle = LockfileWarning::GitCycle { places: names(2) };
    assert!(cycle.to_string().starts_with("2 git dependencies with itself"), "{cycle}");
    assert_eq!(
        no_url(1).hint(),
        Some("`npm-nixhash repair` fills in what is missing, without moving a version")
    );
    assert_eq!(entries.hint(), None);
    let nothing = |count| Refusal::NothingToFetch { without_url: names(count) }.to_string();
    assert_eq!(nothing(0), "the lockfile has no package to fetch");
    assert_eq!(nothing(1), "1 package without `resolved`, and no other to fetch: p0");
}

#[test]
fn an_entry_without_a_url_is_named_with_its_version() {
    let packages = json!({"node_modules/a": {"version": "1.2.3"}, "node_modules/b": {"version": "1.0.0", "resolved": "not a URL"}});
    let text = json!({"lockfileVersion": 3, "packages": packages}).to_string();
    let options = HashOptions { force_empty_cache: true, ..HashOptions::default() };
    let (refusals, warnings) = judge(&parsed(&text), options, false);
    assert_eq!(refusals, []);
    let packages = vec!["node_modules/a@1.2.3".to_owned()];
    let places = vec!["node_modules/b".to_owned()];
    assert_eq!(warnings, [LockfileWarning::NoUrl { packages }, LockfileWarning::NotAUrl { places }]);
}

fn sri(bytes: &[u8]) -> String {
    ContentId::sha512_of(bytes).sri()
}

/// Remembers which hashes began and ended.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Watch for Told {}

impl Progress for Told {
    fn ordered(&self) {
        self.0.lock().unwrap().push("ordered".to_owned());
    }
    fn delivered(&self) {
        self.0.lock().unwrap().push("delivered".to_owned());
    }
    fn begun_hash(&self, label: &str) {
        self.0.lock().unwrap().push(format!("{label} begun"));
    }
    fn ended_hash(&self, label: &str) {
        self.0.lock().unwrap().push(format!("{label} ended"));
    }
}

#[test]
fn each_hash_begins_and_ends_once_whatever_becomes_of_it() {
    let run = Run::new();
    run.host.serve("/a.tgz", b"a".as_slice());
    let place = tempdir().unwrap();
    fs::write(place.path().join("occupied"), "").unwrap();
    let (a, b) = (sri(b"a"), sri(b"b"));
    let text = |names: &[&str]| {
        let entry = |name: &&str| {
            (
                format!("https://registry.npmjs.org/{name}.tgz"),
                if *name == "a" { a.clone() } else { b.clone() },
            )
        };
        let entries: Vec<_> = names.iter().map(entry).collect();
        let with = |(name, (url, integrity)): (&&str, &(String, String))| {
            (name.to_string(), url.clone(), integrity.clone())
        };
        let owned: Vec<_> = names.iter().zip(&entries).map(with).collect();
        lockfile(
            &owned.iter().map(|(n, u, i)| (n.as_str(), u.as_str(), Some(i.as_str()))).collect::<Vec<_>>(),
        )
    };
    let request = |label: &str, text: String, outputs| HashRequest {
        label: Some(label.into()),
        outputs,
        ..HashRequest::new(text.as_bytes().into(), HashOptions::default())
    };
    let tree = Some(place.path().join("occupied"));
    let requests = [
        request("hashed", text(&["a"]), Outputs::default()),
        request("missing", text(&["a", "b"]), Outputs::default()),
        request("occupied", text(&["a"]), Outputs { tree, ..Outputs::default() }),
    ];
    let told = Arc::new(Told::default());
    let results = all(&requests, run.supply().watched_by(Arc::clone(&told) as Arc<dyn Progress>));
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false]);
    let mut told = told.0.lock().unwrap().clone();
    assert_eq!(told[..3], ["hashed begun", "missing begun", "occupied begun"]);
    told.sort();
    let both = |label: &str| [format!("{label} begun"), format!("{label} ended")];
    let twice = |word: &str| [word.to_owned(), word.to_owned()];
    let expected = [twice("delivered"), both("hashed"), both("missing"), both("occupied"), twice("ordered")];
    assert_eq!(told, expected.concat());
}

#[test]
fn scopes_that_are_assumed_absent_are_not_asked_for_and_told() {
    let run = Run::new();
    run.host.serve("/a.tgz", b"a".as_slice());
    run.host.serve("/plain", r#"{"name": "plain"}"#);
    let (url, a) = ("https://registry.npmjs.org/a.tgz", sri(b"a"));
    let text = lockfile(&[("@acme/tool", url, Some(&a))]);
    let plain = lockfile(&[("plain", url, Some(&a))]);
    let options = HashOptions::default().with_other_version();
    let request = |text: &str| HashRequest::new(text.as_bytes().into(), options);
    let settings = Settings { assumed_absent: ["@acme".to_owned()].into(), ..Settings::default() };
    let results = compute(&[request(&text), request(&plain)], &Arc::new(run.supply()), &settings);
    let warnings = |at: usize| results[at].as_ref().unwrap().warnings.clone();
    let packages = vec!["@acme/tool".to_owned()];
    assert_eq!(warnings(0), [LockfileWarning::AssumedAbsent { packages }]);
    assert_eq!(warnings(1), []);
    assert_eq!(run.host.asked(), ["/a.tgz", "/plain"]);
    // Asked for and unknown, it is left out, too.
    let asked = one(&request(&text), run.supply()).unwrap();
    assert_eq!((asked.hash, asked.warnings), (results[0].as_ref().unwrap().hash, Vec::new()));
    assert!(run.host.asked().contains(&"/@acme%2ftool".to_owned()), "{:?}", run.host.asked());
}

#[test]
fn an_answer_that_is_no_packument_is_an_obstacle() {
    let run = Run::new();
    run.host.serve("/a.tgz", b"a".as_slice());
    let text = lockfile(&[("a", "https://registry.npmjs.org/a.tgz", Some(&sri(b"a")))]);
    let request = HashRequest::new(text.as_bytes().into(), HashOptions::default().with_other_version());
    run.host.serve("/a", "[]");
    let failure = one(&request, run.supply()).unwrap_err();
    assert_eq!(
        failure.obstacles[0].to_string(),
        "the registry's answer for a at https://registry.npmjs.org/a is not a packument"
    );
}

#[test]
fn without_a_network_it_is_said_whether_only_the_origin_is_unknown() {
    let run = Run::new();
    run.host.serve("/a.tgz", b"a".as_slice());
    let folder = tempdir().unwrap();
    let request = |name: &str| {
        let text = lockfile(&[("a", &format!("https://registry.npmjs.org/{name}.tgz"), Some(&sri(b"a")))]);
        HashRequest::new(text.as_bytes().into(), HashOptions::default())
    };
    let computed = one(&request("a"), run.keeping(&folder)).unwrap();
    let offline = || run.keeping(&folder).without_network();
    assert_eq!(one(&request("a"), offline()).unwrap().hash, computed.hash);
    assert_eq!(
        obstacles(one(&request("b"), offline())),
        ["a is on disk, but not known to come from https://registry.npmjs.org/b.tgz"]
    );
    let empty = tempdir().unwrap();
    let nothing = run.keeping(&empty).without_network();
    assert_eq!(
        obstacles(one(&request("a"), nothing)),
        ["a is not on disk (https://registry.npmjs.org/a.tgz)"]
    );
    assert_eq!(run.host.asked(), ["/a.tgz"]);
}

#[test]
fn npms_cache_answers_for_what_npm_asked_a_configured_registry() {
    let run = Run::new();
    run.host.serve("/a.tgz", b"a".as_slice());
    let folder = tempdir().unwrap();
    let tree = Some(folder.path().join("tree"));
    let url = "https://mirror.example/a.tgz";
    let request = |url: &str| {
        HashRequest::new(lockfile(&[("a", url, Some(&sri(b"a")))]).as_bytes().into(), HashOptions::default())
    };
    // A tree is npm's cache.
    one(&HashRequest { outputs: Outputs { tree, ..Outputs::default() }, ..request(url) }, run.supply())
        .unwrap();
    let cache = || {
        let cache = npm_tarballs::store::npm_cache::NpmCache::at(&folder.path().join("tree"));
        Supply::new(None, Some(cache), None, run.runtime.handle().clone())
    };
    assert!(one(&request(url), cache()).is_ok());
    let public = "https://registry.npmjs.org/a.tgz";
    assert_eq!(
        obstacles(one(&request(public), cache())),
        ["a is on disk, but not known to come from https://registry.npmjs.org/a.tgz"]
    );
    let mut access = npm_registry::Access::default();
    access.override_host("registry.npmjs.org", "https://mirror.example").unwrap();
    assert!(one(&request(public), cache().located_by(access)).is_ok());
    assert_eq!(run.host.asked(), ["/a.tgz"]);
}

#[test]
fn the_scope_of_a_name_is_what_stands_before_its_slash() {
    assert_eq!(scope_of("@acme/tool@1.0.0"), Some("@acme"));
    assert_eq!(scope_of("acme/tool"), None);
    assert_eq!(scope_of("@acme"), None);
}

#[test]
fn an_output_that_cannot_be_made_is_an_obstacle_of_its_own_hash() {
    let run = Run::new();
    run.host.serve("/a.tgz", b"a".as_slice());
    let text = lockfile(&[("a", "https://registry.npmjs.org/a.tgz", Some(&sri(b"a")))]);
    let outputs = Outputs { nar: Some("/nowhere/at/all/nar".into()), ..Outputs::default() };
    let request = HashRequest { outputs, ..HashRequest::new(text.as_bytes().into(), HashOptions::default()) };
    let results: Vec<Result<_, HashFailure>> =
        all(&[HashRequest::new(text.as_bytes().into(), HashOptions::default()), request], run.supply());
    assert!(results[0].is_ok());
    let failure = results[1].as_ref().unwrap_err();
    assert!(matches!(failure.obstacles[..], [Obstacle::Output(_)]), "{failure:?}");
    assert_eq!(failure.obstacles[0].to_string(), "cannot write /nowhere/at/all/nar");
    assert!(!Path::new("/nowhere").exists());
}
