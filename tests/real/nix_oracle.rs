//! Real Nix proves the expectations of `fixtures/nix`.
//!
//! Every case with `"oracle": true` is evaluated by `nix-instantiate` with the stub nixpkgs, and the derivations of its npm
//! dependencies are built: their output is the lockfile that would be hashed. Fails where Nix is not installed.

#![allow(clippy::disallowed_methods, reason = "a test is its own shell")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "our own files, named in lower case")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::nix::fixtures::{
    Case, Edit, ExpectedSite, Options, Outcome, files_below, load_all, token_at, without_system,
};
use crate::support::nix::oracle::{Dependencies, Download, Instantiated, Oracle, Reader, Truth};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn real_nix_agrees_with_every_expectation() {
    let store = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("oracle");
    let Some(oracle) = Oracle::new(&store, &here().join("tests/stub-nixpkgs")) else {
        panic!("nix-instantiate is not installed");
    };
    let only = std::env::var("CASE").ok();
    let cases: Vec<Case> = load_all(&here().join("fixtures/nix"))
        .into_iter()
        .filter(|case| {
            case.entry.is_some() && only.as_ref().is_none_or(|only| case.name.contains(only.as_str()))
        })
        .collect();

    let edited = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("oracle-configurations");
    let others: Vec<Case> = cases.iter().flat_map(|case| configurations(case, &edited)).collect();
    let all = [cases.clone(), others].concat();
    let (mut truths, mut failures) = ask(&oracle, &all);
    for case in cases.iter().filter(|case| !case.configurations.is_empty()) {
        let Some(truth) = truths.get(&case.name) else { continue };
        let sites = case.sites.iter().filter(|site| site.only_when.is_empty()).cloned().collect();
        for problem in compare(&Case { sites, ..case.clone() }, truth) {
            let _ = write!(failures, "\n{}: today: {problem}", case.name);
        }
        let more: Vec<_> = (0..case.configurations.len())
            .filter_map(|i| truths.remove(&name_of(case, i)))
            .flatten()
            .collect();
        truths.entry(case.name.clone()).or_default().extend(more);
    }
    failures.push_str(&survey_agrees(&cases, &truths));
    let mut sites = 0;
    for case in &cases {
        let Some(truth) = truths.get(&case.name) else { continue };
        sites += case.sites.len();
        for problem in compare(case, truth) {
            let _ = write!(failures, "\n{}: {problem}", case.name);
        }
        for wrong in mutations(case) {
            if compare(&wrong, truth).is_empty() {
                let _ =
                    write!(failures, "\n{}: real Nix would agree with {:?} as well", case.name, wrong.sites);
            }
        }
    }
    println!("real Nix: {} cases, {sites} sites", cases.len());
    failures.push_str(&tarballs_agree(&oracle, &cases));
    assert!(failures.is_empty(), "real Nix disagrees:{failures}");
}

/// Real Nix would download every tarball of a registry from the URL, and under the hash, that is expected, and no other ones.
fn tarballs_agree(oracle: &Oracle, cases: &[Case]) -> String {
    let (mut agreed, mut failures) = (0, String::new());
    let tells = |case: &&Case| {
        case.sites.iter().any(|site| site.outcome == Outcome::Tarball || site.sources.is_some())
    };
    for case in cases.iter().filter(tells) {
        let entry = case.entry.as_deref().expect("only such cases");
        let rows = match oracle.instantiate(case, entry) {
            Ok(rows) => rows,
            Err(message) => {
                let _ = write!(failures, "\n{}: real Nix fails: {message}", case.name);
                continue;
            }
        };
        let mut reader = Reader::default();
        let mut downloads: BTreeMap<Download, BTreeSet<String>> = BTreeMap::new();
        for (attr, top) in &rows {
            for download in reader.downloads(top) {
                downloads.entry(download).or_default().insert(without_system(attr));
            }
        }
        let (right, problems) = compare_tarballs(case, &downloads);
        agreed += right;
        for problem in problems {
            let _ = write!(failures, "\n{}: {problem}", case.name);
        }
        for wrong in other_tarballs(case) {
            if compare_tarballs(&wrong, &downloads).1.is_empty() {
                let _ = write!(failures, "\n{}: real Nix would agree with {:?} too", case.name, wrong.sites);
            }
        }
    }
    println!("real Nix would download {agreed} tarballs as expected");
    failures
}

/// How many tarballs are as expected, and what is not.
fn compare_tarballs(case: &Case, downloads: &BTreeMap<Download, BTreeSet<String>>) -> (usize, Vec<String>) {
    let root = case.input();
    let is_tarball = |download: &&Download| download.url.contains("/-/") && download.url.ends_with(".tgz");
    let mut open: BTreeSet<&Download> = downloads.keys().filter(is_tarball).collect();
    let (mut right, mut problems) = (0, Vec::new());
    for site in &case.sites {
        let pinned = site.hashes.iter().filter(|_| site.outcome == Outcome::Tarball);
        for position in pinned.chain(site.sources.iter().flatten()) {
            let hash = token_at(&root, position).value;
            let fits = |download: &&Download| {
                download.hash == hash && site.tarball.as_ref().is_none_or(|url| *url == download.url)
            };
            // A source's URL is not told: all that has its hash is meant.
            let fitting: Vec<&Download> = downloads.keys().filter(fits).collect();
            if fitting.is_empty() {
                problems
                    .push(format!("{position}: Nix downloads nothing of {:?} with this hash", site.tarball));
                continue;
            }
            let under: BTreeSet<&String> =
                fitting.iter().flat_map(|download| &downloads[*download]).collect();
            let expected = site.attr.as_deref().map(without_system);
            if expected.is_some_and(|attr| !under.iter().any(|known| same_attr(known, &attr))) {
                problems.push(format!("{position}: Nix has it under {under:?}"));
            }
            open.retain(|download| !fitting.contains(download));
            right += 1;
        }
        // One literal of several tarballs.
        let undecided = site.hashes.iter().filter(|_| site.outcome == Outcome::Undecided);
        for hash in undecided.map(|position| token_at(&root, position).value) {
            open.retain(|download| download.hash != hash);
        }
    }
    problems.extend(open.into_iter().map(|download| format!("Nix also downloads {download:?}")));
    (right, problems)
}

/// Wrong versions of a case: a tarball less, another URL, the hash of another one. Real Nix must deny each.
fn other_tarballs(case: &Case) -> Vec<Case> {
    let mut wrong = Vec::new();
    for (at, site) in case.sites.iter().enumerate().filter(|(_, site)| site.outcome == Outcome::Tarball) {
        let mut less = case.clone();
        less.sites.remove(at);
        let mut elsewhere = case.clone();
        elsewhere.sites[at].tarball = site.tarball.as_ref().map(|url| url.replace("/-/", "/-/x-"));
        wrong.extend([less, elsewhere]);
        if let Some(other) =
            case.sites.iter().find(|other| other.tarball != site.tarball && other.tarball.is_some())
        {
            let mut swapped = case.clone();
            swapped.sites[at].hashes.clone_from(&other.hashes);
            wrong.push(swapped);
        }
    }
    wrong
}

fn name_of(case: &Case, configuration: usize) -> String {
    format!("{}-{configuration}", case.name)
}

/// A case as other configurations have it: what its flags say otherwise is edited in a copy.
fn configurations(case: &Case, folder: &Path) -> Vec<Case> {
    let edited = |(i, edits): (usize, &Vec<Edit>)| {
        let name = name_of(case, i);
        let dir = folder.join(&name);
        let _ = std::fs::remove_dir_all(&dir);
        copy(&case.input(), &dir.join("in"));
        for Edit { file, old, new } in edits {
            let path = dir.join("in").join(file);
            let text = std::fs::read_to_string(&path).expect("the file of an edit");
            assert_eq!(text.matches(old).count(), 1, "{name}: {old:?} stands once in {file}");
            std::fs::write(&path, text.replace(old, new)).expect("a copy of our own");
        }
        Case { name, dir, sites: Vec::new(), configurations: Vec::new(), ..case.clone() }
    };
    case.configurations.iter().enumerate().map(edited).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder of our own");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}

/// Evaluates all cases, two at a time, then builds everything in one go.
fn ask(oracle: &Oracle, cases: &[Case]) -> (BTreeMap<String, Vec<Dependencies>>, String) {
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<String, Result<Instantiated, String>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let entry = case.entry.as_deref().expect("only such cases");
                    let result = oracle.instantiate(case, entry);
                    results.lock().expect("no panic").insert(case.name.clone(), result);
                }
            });
        }
    });
    let results = results.into_inner().expect("no panic");

    let mut reader = Reader::default();
    let mut found: BTreeMap<&str, BTreeMap<PathBuf, BTreeSet<String>>> = BTreeMap::new();
    let mut failures = String::new();
    for case in cases {
        match &results[&case.name] {
            Err(message) => {
                let _ = write!(failures, "\n{}: real Nix fails: {message}", case.name);
            }
            Ok(rows) => {
                let derivations = found.entry(&case.name).or_default();
                for (attr, top) in rows {
                    for path in reader.npm_dependencies(top) {
                        derivations.entry(path).or_default().insert(without_system(attr));
                    }
                }
            }
        }
    }
    oracle.build(&found.values().flat_map(BTreeMap::keys).cloned().collect());
    let truths = cases
        .iter()
        .filter_map(|case| Some((case, found.remove(case.name.as_str())?)))
        .map(|(case, derivations)| {
            let files = files_below(&case.input());
            let all = derivations
                .into_iter()
                .map(|(path, attrs)| reader.dependencies(&files, &path, attrs))
                .collect();
            (case.name.clone(), all)
        })
        .collect();
    (truths, failures)
}

/// Every literal that the evaluator calls resolved belongs to the lockfile, and has the options, that real Nix gives it.
fn survey_agrees(cases: &[Case], truths: &BTreeMap<String, Vec<Dependencies>>) -> String {
    let (mut agreed, mut failures) = (0, String::new());
    for case in cases {
        let Some(truth) = truths.get(&case.name) else { continue };
        let root = case.input();
        for site in crate::support::nix::evaluator::survey(&root)
            .iter()
            .filter(|site| !matches!(site.outcome, Outcome::Undecided | Outcome::Tarball))
        {
            let claim = ExpectedSite {
                attr: None,
                outcome: site.outcome,
                hashes: site.positions(),
                lockfile: site.lockfile.clone(),
                tarball: site.tarball.clone(),
                sources: None,
                options: site.options,
                reason: None,
                npm_deps: true,
                edits: site.edits.clone(),
                only_when: Vec::new(),
                when: None,
                because: Vec::new(),
            };
            for position in &claim.hashes {
                let value = token_at(&root, position).value;
                if truth.iter().any(|d| agrees(&root, &claim, &value, d)) {
                    agreed += 1;
                } else {
                    let _ = write!(
                        failures,
                        "\n{}: {position}: the evaluator says {:?} {:?} {:?}, Nix has {}",
                        case.name,
                        claim.outcome,
                        claim.lockfile,
                        claim.options,
                        show(truth, &value)
                    );
                }
            }
        }
    }
    println!("the evaluator agrees with real Nix on {agreed} literals");
    failures
}

/// Wrong versions of a case: a site less, another lockfile, another option, another outcome. Real Nix must deny each.
fn mutations(case: &Case) -> Vec<Case> {
    let lockfiles: BTreeSet<&String> = case.sites.iter().filter_map(|s| s.lockfile.as_ref()).collect();
    let mut wrong = Vec::new();
    for at in 0..case.sites.len() {
        let mut with = |change: &dyn Fn(&mut ExpectedSite)| {
            let mut case = case.clone();
            change(&mut case.sites[at]);
            wrong.push(case);
        };
        let site = &case.sites[at];
        if matches!(site.outcome, Outcome::Undecided | Outcome::Tarball) {
            continue;
        }
        with(&|s| s.hashes.clear());
        with(&|s| s.options.fetcher_version = 3 - s.options.fetcher_version);
        with(&|s| s.options.force_git_deps ^= true);
        if site.outcome == Outcome::Local {
            with(&|s| s.outcome = Outcome::MissingLockfile);
            with(&|s| s.lockfile = Some("nowhere/package-lock.json".to_owned()));
            // Placeholders are one text; which of them is which only their lockfiles tell.
            for other in lockfiles
                .iter()
                .filter(|l| site.lockfile.as_ref() != Some(**l) && !is_placeholder(case, site))
            {
                with(&|s| s.lockfile = Some((*other).clone()));
            }
        } else {
            with(&|s| s.outcome = Outcome::Local);
        }
    }
    wrong
}

fn is_placeholder(case: &Case, site: &ExpectedSite) -> bool {
    site.hashes.iter().any(|p| token_at(&case.input(), p).value.chars().all(|c| "sha256-A0=".contains(c)))
}

/// One claim about one hash: its text, what it belongs to, its options.
type Claim = (String, Truth, Options);

/// Both ways: everything expected is so, and nothing else exists.
fn compare(case: &Case, truth: &[Dependencies]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut open: BTreeSet<Claim> =
        truth.iter().map(|d| (d.hash.clone(), d.truth.clone(), d.options)).collect();
    let root = case.input();
    let decided = |site: &&ExpectedSite| site.outcome != Outcome::Undecided;

    for site in case.sites.iter().filter(|site| site.npm_deps).filter(decided) {
        for position in &site.hashes {
            let value = token_at(&root, position).value;
            let matching: Vec<&Dependencies> =
                truth.iter().filter(|d| agrees(&root, site, &value, d)).collect();
            if matching.is_empty() {
                problems.push(format!(
                    "{position}: expected {:?} {:?} {:?}, Nix has {}",
                    site.outcome,
                    site.lockfile,
                    site.options,
                    show(truth, &value)
                ));
            }
            for d in &matching {
                open.remove(&(d.hash.clone(), d.truth.clone(), d.options));
            }
            if let Some(attr) = &site.attr {
                let attr = without_system(attr);
                let known: BTreeSet<_> = matching.iter().flat_map(|d| &d.attrs).collect();
                if !known.is_empty() && !known.iter().any(|k| same_attr(k, &attr)) {
                    problems.push(format!("{position}: expected under {attr}, Nix has it under {known:?}"));
                }
            }
        }
    }
    for site in case.sites.iter().filter(|site| site.npm_deps && !decided(site)) {
        for position in &site.hashes {
            let value = token_at(&root, position).value;
            if !truth.iter().any(|d| d.hash == value) {
                problems.push(format!("{position}: Nix does not use this hash"));
            }
            open.retain(|(hash, ..)| *hash != value);
        }
        // A hash that is not a literal is one of those that are left.
        if site.hashes.is_empty() && open.pop_first().is_none() {
            problems.push("an undecided site without a literal that Nix does not have".to_owned());
        }
    }
    problems.extend(
        open.into_iter()
            .map(|(hash, truth, options)| format!("Nix also has {hash:?}: {truth:?} {options:?}")),
    );
    problems
}

/// The expected lockfile with its expected edits.
fn edited(root: &Path, site: &ExpectedSite) -> Option<Vec<u8>> {
    let lockfile = root.join(site.lockfile.as_deref()?);
    let text = std::fs::read_to_string(&lockfile).ok()?;
    let edited = |text: String, (old, new): &(String, String)| {
        if old.starts_with("patch ") {
            patched(&lockfile, &text, old, &root.join(new))
        } else {
            Some(text.replace(old.as_str(), new))
        }
    };
    let edits = (!site.edits.is_empty()).then_some(&site.edits)?;
    edits.iter().try_fold(text, edited).map(String::into_bytes)
}

/// What the real `patch` makes of a lockfile in its folder, if it fits.
fn patched(lockfile: &Path, text: &str, command: &str, patch: &Path) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let place = folder.path().join("tree");
    copy(lockfile.parent()?, &place);
    let here = place.join(lockfile.file_name()?);
    std::fs::write(&here, text).expect("a copy of our own");
    let mut words = command.split(' ');
    let status = std::process::Command::new(words.next()?)
        .args(words)
        .arg("--silent")
        .arg("--input")
        .arg(patch)
        .current_dir(&place)
        .stdout(std::process::Stdio::null())
        .status()
        .expect("`patch` is there");
    status.success().then(|| std::fs::read_to_string(&here).expect("a copy of our own"))
}

fn agrees(root: &Path, site: &ExpectedSite, value: &str, d: &Dependencies) -> bool {
    let truth = match (&d.truth, site.outcome) {
        (Truth::Local(files), Outcome::Local) => files.iter().any(|f| Some(f) == site.lockfile.as_ref()),
        (Truth::Edited(bytes), Outcome::Local) => edited(root, site).as_ref() == Some(bytes),
        (Truth::Remote, Outcome::Remote) | (Truth::Missing, Outcome::MissingLockfile) => true,
        _ => false,
    };
    // A text file may end with a newline that Nix does not mind.
    truth && d.hash.trim_end() == value && d.options == site.options
}

/// A single derivation is an entry point without a name; an entry of several flakes puts a name in front.
fn same_attr(known: &str, expected: &str) -> bool {
    let expected = &expected.replace('"', "");
    known == expected || known.is_empty() || known.ends_with(&format!(".{expected}"))
}

fn show(truth: &[Dependencies], value: &str) -> String {
    let same: Vec<String> = truth
        .iter()
        .filter(|d| d.hash.trim_end() == value)
        .map(|d| format!("{:?} {:?} under {:?}", d.truth, d.options, d.attrs))
        .collect();
    if same.is_empty() { "no such hash".to_owned() } else { same.join(", ") }
}

/// Keeps the stub honest: it must not name a file of the machine it was written on.
#[test]
fn the_stub_is_self_contained() {
    let files = files_below(Path::new(&here().join("tests/stub-nixpkgs")));
    assert!(files.contains_key("default.nix") && files.contains_key("oracle.nix"));
}
