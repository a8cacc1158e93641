//! What was computed before, here and elsewhere, and when it counts.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use npm_lockfile::options::HashOptions;
use npm_tarballs::integrity::ContentId;
use npm_tarballs::store::memo::{Memo, SharedMemo};
use serde_json::json;
use tempfile::tempdir;

use super::archives::{resolved, serve_package};
use super::{Run, lockfile};
use crate::{
    Computed, HashFailure, HashRequest, LockfileWarning, Manner, NarHash, Outputs, Settings, compute,
};

/// A memo of other machines, in this one.
#[derive(Debug)]
struct Others {
    word: Option<String>,
    known: Mutex<HashMap<[u8; 32], Vec<u8>>>,
}

impl Others {
    fn new(word: Option<&str>) -> Arc<Self> {
        Arc::new(Self { word: word.map(str::to_owned), known: Mutex::default() })
    }

    fn known(&self) -> usize {
        self.known.lock().unwrap().len()
    }
}

impl SharedMemo for Others {
    fn word(&self) -> Option<String> {
        self.word.clone()
    }

    fn get(&self, keys: &[[u8; 32]]) -> Vec<Option<Vec<u8>>> {
        let known = self.known.lock().unwrap();
        keys.iter().map(|key| known.get(key).cloned()).collect()
    }

    fn put(&self, key: &[u8; 32], value: &[u8]) {
        self.known.lock().unwrap().insert(*key, value.to_vec());
    }
}

fn settings(memo: Option<&tempfile::TempDir>, others: Option<&Arc<Others>>) -> Settings {
    let shared = others.map(|others| Arc::clone(others) as Arc<dyn SharedMemo>);
    Settings { memo: memo.map(|folder| Memo::at(folder.path())), shared, ..Settings::default() }
}

const URL: &str = "https://registry.npmjs.org/ms/-/ms-1.0.0.tgz";
const BYTES: &[u8] = b"bytes of ms";

/// A host that serves one package, and a lockfile of it.
fn one_package() -> (Run, HashRequest) {
    let run = Run::new();
    run.host.serve("/ms/-/ms-1.0.0.tgz", BYTES);
    let text = lockfile(&[("ms", URL, Some(&ContentId::sha512_of(BYTES).sri()))]);
    (run, HashRequest::new(text.as_bytes().into(), HashOptions::default()))
}

fn hash(run: &Run, requests: &[HashRequest], settings: &Settings) -> Vec<Result<Computed, HashFailure>> {
    compute(requests, &Arc::new(run.supply()), settings)
}

fn hash_one(run: &Run, request: &HashRequest, settings: &Settings) -> Computed {
    hash(run, std::slice::from_ref(request), settings).remove(0).unwrap()
}

fn again(request: &HashRequest) -> HashRequest {
    HashRequest::new(Arc::clone(&request.lockfile), request.options)
}

#[test]
fn a_hash_is_computed_once_and_remembered_with_all_that_was_said_of_it() {
    let (run, request) = one_package();
    let text = String::from_utf8(request.lockfile.to_vec()).unwrap();
    let text = text
        .replace("\"node_modules/ms\"", r#""node_modules/no-url": {"version": "2.0.0"}, "node_modules/ms""#);
    let request = HashRequest::new(text.as_bytes().into(), request.options);
    let folder = tempdir().unwrap();
    let first = hash_one(&run, &request, &settings(Some(&folder), None));
    assert_eq!((first.packages, first.bytes), (1, 11));
    let packages = vec!["node_modules/no-url@2.0.0".to_owned()];
    assert_eq!(first.warnings, [LockfileWarning::NoUrl { packages }]);
    let second = hash_one(&run, &request, &settings(Some(&folder), None));
    assert_eq!(
        (second.hash, second.packages, second.bytes, &second.warnings),
        (first.hash, 1, 11, &first.warnings)
    );
    assert_eq!(run.host.asked().len(), 1);
    let without = hash_one(&run, &request, &Settings::default());
    assert_eq!((without.hash, run.host.asked().len()), (first.hash, 2));
}

#[test]
fn each_option_and_each_byte_of_the_lockfile_has_a_hash_of_its_own() {
    let run = Run::new();
    let folder = tempdir().unwrap();
    let settings = settings(Some(&folder), None);
    let of = |text: &str, force_git_deps, force_empty_cache| {
        let options = HashOptions { fetcher_version: 1, force_git_deps, force_empty_cache };
        hash(&run, &[HashRequest::new(text.as_bytes().into(), options)], &settings).remove(0)
    };
    let empty = lockfile(&[]);
    let forced = of(&empty, false, true).unwrap();
    assert!(of(&empty, false, false).is_err(), "what is known of the forced one says nothing of this one");
    assert!(of(&empty, true, false).is_err());
    assert_eq!(of(&empty, true, true).unwrap().hash, forced.hash, "there is no git dependency");
    assert_ne!(of(&format!("{empty} "), false, true).unwrap().hash, forced.hash);
}

#[test]
fn what_the_registry_says_today_is_asked_again_tomorrow() {
    let (run, request) = one_package();
    run.host
        .serve("/ms", json!({"name": "ms", "versions": {"1.0.0": {"bin": "x"}, "2.0.0": {}}}).to_string());
    let request = HashRequest { options: request.options.with_other_version(), ..request };
    let folder = tempdir().unwrap();
    let today = hash_one(&run, &request, &settings(Some(&folder), None));
    assert_eq!(today.packages, 2);
    run.host
        .serve("/ms", json!({"name": "ms", "versions": {"1.0.0": {"bin": "y"}, "3.0.0": {}}}).to_string());
    let tomorrow = hash_one(&run, &request, &settings(Some(&folder), None));
    assert_ne!(today.hash, tomorrow.hash);
    assert_eq!(run.host.asked(), ["/ms", "/ms", "/ms/-/ms-1.0.0.tgz", "/ms/-/ms-1.0.0.tgz"]);
}

#[test]
fn what_a_branch_is_today_is_asked_again_and_what_a_commit_is_is_not() {
    let run = Run::new();
    let folder = tempdir().unwrap();
    let settings = settings(Some(&folder), None);
    let hash_of = |resolved: &str| {
        let text = lockfile(&[("dep", resolved, None)]);
        hash_one(&run, &HashRequest::new(text.as_bytes().into(), HashOptions::default()), &settings).hash
    };
    serve_package(&run, "dep", None);
    let commit = hash_of(&resolved("dep"));
    let path = run.host.asked().remove(0);
    let branch = path.replace(&path[path.len() - 40..], "main");
    run.host.serve(&branch, run.host.served(&path));
    let main = "git+ssh://git@github.com/acme/dep.git#main";
    let before = hash_of(main);
    serve_package(&run, "dep", Some(&lockfile(&[])));
    run.host.serve(&branch, run.host.served(&path));
    assert_eq!(hash_of(&resolved("dep")), commit, "a commit does not change");
    assert_ne!(hash_of(main), before);
    assert_eq!(run.host.asked(), [path, branch.clone(), branch]);
}

#[test]
fn a_tree_that_is_wanted_for_itself_is_made_and_its_hash_remembered_for_others() {
    let (run, request) = one_package();
    let (folder, place) = (tempdir().unwrap(), tempdir().unwrap());
    let settings = settings(Some(&folder), None);
    let wanted = |name: &str| {
        let outputs = Outputs { nar: Some(place.path().join(name)), ..Outputs::default() };
        HashRequest { outputs, ..again(&request) }
    };
    let made = hash_one(&run, &wanted("first"), &settings);
    assert_eq!(hash_one(&run, &request, &settings).hash, made.hash);
    assert_eq!(run.host.asked().len(), 1, "it is known");
    assert_eq!(hash_one(&run, &wanted("second"), &settings).hash, made.hash);
    assert!(place.path().join("second").exists());
    // Side by side with one that is not, too.
    let results = hash(&run, &[again(&request), wanted("third"), wanted("fourth")], &settings);
    assert!(results.into_iter().all(|result| result.unwrap().hash == made.hash));
    assert!(place.path().join("third").exists() && place.path().join("fourth").exists());
}

#[test]
fn what_another_machine_computed_is_believed_as_long_as_it_is_asked_at_all() {
    let (run, request) = one_package();
    let (here, others) = (tempdir().unwrap(), Others::new(Some("https://cache.example")));
    let computed = hash_one(&run, &request, &settings(None, Some(&others)));
    assert_eq!((others.known(), run.host.asked().len()), (1, 1));
    // Another machine hears of it, for one request among others.
    let unknown = HashRequest::new(lockfile(&[]).as_bytes().into(), request.options);
    let results = hash(&run, &[unknown, again(&request)], &settings(Some(&here), Some(&others)));
    assert!(results[0].is_err());
    let heard = results[1].as_ref().unwrap();
    assert_eq!((heard.hash, heard.packages, heard.bytes), (computed.hash, 1, 11));
    assert_eq!(run.host.asked().len(), 1);
    // What it heard it keeps, by their word.
    let silent = Others::new(Some("https://cache.example"));
    assert_eq!(hash_one(&run, &request, &settings(Some(&here), Some(&silent))).hash, computed.hash);
    assert_eq!((run.host.asked().len(), silent.known()), (1, 0), "hearsay is not told on");
    let strangers = Others::new(Some("https://other.example"));
    assert_eq!(hash_one(&run, &request, &settings(Some(&here), Some(&strangers))).hash, computed.hash);
    assert_eq!(run.host.asked().len(), 2, "this is the word of others");
    assert_eq!(strangers.known(), 1);
}

#[test]
fn what_was_heard_counts_for_nobody_who_listens_to_nobody() {
    let (run, request) = one_package();
    let (here, others) = (tempdir().unwrap(), Others::new(Some("https://cache.example")));
    hash_one(&run, &request, &settings(None, Some(&others)));
    hash_one(&run, &request, &settings(Some(&here), Some(&others)));
    assert_eq!(run.host.asked().len(), 1);
    // It computes for itself, and that counts from then on; and it tells those who were not told yet.
    hash_one(&run, &request, &settings(Some(&here), None));
    hash_one(&run, &request, &settings(Some(&here), None));
    assert_eq!(run.host.asked().len(), 2);
    let deaf = Others::new(None);
    hash_one(&run, &request, &settings(Some(&here), Some(&deaf)));
    assert_eq!((run.host.asked().len(), deaf.known()), (2, 1));
}

#[test]
fn no_machine_is_told_of_what_is_not_to_be_remembered_or_asked_for_it() {
    let (run, request) = one_package();
    run.host.serve("/ms", "{}");
    let others = Others::new(Some("https://cache.example"));
    let (folder, place) = (tempdir().unwrap(), tempdir().unwrap());
    let request = HashRequest { options: request.options.with_other_version(), ..request };
    hash_one(&run, &request, &settings(Some(&folder), Some(&others)));
    assert_eq!(others.known(), 0);
    // A tree that is wanted for itself is made although others know its hash.
    let (run, request) = one_package();
    hash_one(&run, &request, &settings(None, Some(&others)));
    let outputs = Outputs { nar: Some(place.path().join("nar")), ..Outputs::default() };
    hash_one(&run, &HashRequest { outputs, ..again(&request) }, &settings(Some(&folder), Some(&others)));
    assert!(place.path().join("nar").exists());
}

#[test]
fn a_fetcher_that_runs_otherwise_neither_recalls_nor_remembers() {
    let folder = tempdir().unwrap();
    let absent = BTreeSet::from(["@acme".to_owned()]);
    let settings =
        Settings { assumed_absent: absent.clone(), ..settings(Some(&folder), Some(&Others::new(None))) };
    let manner = Manner { whole_dist: true, ..Manner::default() };
    let other = settings.in_manner(manner);
    assert!(other.memo.is_none() && other.shared.is_none());
    assert_eq!((other.assumed_absent, other.manner), (absent, manner));
}

#[test]
fn a_hash_is_shown_as_nix_writes_it() {
    assert_eq!(NarHash([0; 32]).sri(), "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
}
