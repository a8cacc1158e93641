//! THE PIPELINE: lockfile -> tarballs -> cacache tree -> NAR -> hash.
//!
//! [`compute`] takes all lockfiles of a run at once. Equal ones are computed once, a tarball that several want is fetched
//! once, and all trees are hashed side by side while the downloads run; no tree is ever written to disk on the way, and
//! no tarball counts before its bytes were checked against the lockfile's integrity.

mod archive;
mod assembly;
mod downloads;
mod failure;
mod git_archives;
mod outputs;
mod packument;
mod packuments;
pub mod parallel;
mod prepare;
mod queue;
mod recall;
mod scheduler;
mod sharing;
pub mod supply;
mod underway;
pub mod unpacking;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;
use std::{io, thread};

pub use assembly::NarHash;
pub use failure::{HashFailure, Obstacle};
use foldhash::fast::RandomState;
pub use gnu_archive::repack::Modes;
use npm_lockfile::Lockfile;
use npm_lockfile::options::HashOptions;
use npm_tarballs::cacache::CacheTree;
use npm_tarballs::store::memo::{Memo, SharedMemo};
pub use outputs::{OutputError, Outputs, Reception, Recipient};
pub use recall::ALGORITHM;
use tracing::{debug, info};
pub use verdict::{LockfileWarning, Refusal};

use self::archive::Archives;
use self::assembly::{Assembly, Broken};
use self::downloads::Downloads;
use self::outputs::Staged;
use self::packuments::Packuments;
use self::prepare::{Preparation, Shared, names_of};
use self::recall::{recall, recall_shared, remember};
use self::scheduler::{Ended, Scheduler, TreeId};
use self::supply::Supply;

/// One hash to compute.
#[derive(Debug)]
pub struct HashRequest {
    /// The lockfile's bytes.
    pub lockfile: Arc<[u8]>,
    /// What else decides the hash.
    pub options: HashOptions,
    /// Where else the tree should go.
    pub outputs: Outputs,
    /// What people call what it is for, if they are to see that work on it is under way.
    pub label: Option<Arc<str>>,
}

impl HashRequest {
    /// The hash of a lockfile, and nothing else.
    #[must_use]
    pub fn new(lockfile: Arc<[u8]>, options: HashOptions) -> Self {
        Self { lockfile, options, outputs: Outputs::default(), label: None }
    }
}

/// What a run has to know besides its lockfiles.
#[derive(Debug, Default)]
pub struct Settings {
    /// Results of earlier runs, and the place for those of this one.
    pub memo: Option<Memo>,
    /// Results of other machines, and those of this one for them.
    pub shared: Option<Arc<dyn SharedMemo>>,
    /// Scopes (`@acme`) whose packuments are taken as absent from the public registry without asking.
    pub assumed_absent: BTreeSet<String>,
    /// How the fetcher runs.
    pub manner: Manner,
}

/// How nixpkgs' fetcher runs. What Nix checks is the hash of the default; others are what people wrote down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Manner {
    /// It keeps all of a packument's `dist`, as before 2026-02-15.
    pub whole_dist: bool,
    /// Who unpacks git dependencies.
    pub modes: Modes,
}

impl Settings {
    /// The same for a fetcher that runs otherwise. What is remembered is of the default, so nothing is.
    #[must_use]
    pub fn in_manner(&self, manner: Manner) -> Self {
        Self { memo: None, shared: None, assumed_absent: self.assumed_absent.clone(), manner }
    }
}

/// A computed hash.
#[derive(Debug, Clone)]
pub struct Computed {
    /// The hash of the tree.
    pub hash: NarHash,
    /// Number of contents in the tree, packuments included.
    pub packages: usize,
    /// Size of the tree's contents in bytes.
    pub bytes: u64,
    /// What the user should know nevertheless.
    pub warnings: Vec<LockfileWarning>,
}

/// Computes the hashes of all requests, in their order.
///
/// Errors are per request: a lockfile that fails does not keep the others from their hashes.
#[must_use]
pub fn compute(
    requests: &[HashRequest],
    supply: &Arc<Supply>,
    settings: &Settings,
) -> Vec<Result<Computed, HashFailure>> {
    let (firsts, began) = (first_equals(requests), Instant::now());
    let mut results = Results::new();
    let mut due: Vec<TreeId> = (0..requests.len()).filter(|tree| firsts[*tree] == *tree).collect();
    for careful in ATTEMPTS {
        results.extend(attempt(requests, &due, supply, settings, careful));
        due.retain(|tree| results[tree].as_ref().is_err_and(HashFailure::is_loss));
        if due.is_empty() {
            break;
        }
    }
    let failed = results.values().filter(|result| result.is_err()).count();
    info!(lockfiles = results.len(), failed, took = ?began.elapsed(), "hashes are computed");
    firsts.iter().map(|tree| results[tree].clone()).collect()
}

/// Logs where a hash came from.
fn told(from: &str, request: &HashRequest, computed: &Computed) {
    let Computed { packages, bytes, .. } = computed;
    debug!(of = request.label.as_deref(), from, packages, bytes, hash = %computed.hash.sri(), "a hash");
}

/// The attempts at a tree whose contents get lost on disk on the way, and whether they check contents before they hash
/// them: the first meets one damaged content and ends, the second replaces all there are, the third is for those that
/// another process removes meanwhile.
const ATTEMPTS: [bool; 3] = [false, true, true];

/// Computes the hashes of the requests in `due`.
fn attempt(
    requests: &[HashRequest],
    due: &[TreeId],
    supply: &Arc<Supply>,
    settings: &Settings,
    careful: bool,
) -> Results {
    let (mut results, mut jobs) = (Results::new(), Vec::new());
    let unknown = look_up(requests, due, settings, careful, &mut results);
    let parsed = parallel::map(&unknown, |tree| parse(&requests[*tree]));
    for (tree, parsed) in unknown.into_iter().zip(parsed) {
        match parsed {
            Ok((lockfile, warnings)) => {
                jobs.push(Job { tree, request: &requests[tree], lockfile, warnings });
            }
            Err(failure) => drop(results.insert(tree, Err(failure))),
        }
    }
    if !jobs.is_empty() {
        results.extend(hash_all(requests, jobs, supply, settings, careful));
    }
    results
}

/// Adds what is remembered of the requests in `due`, here or by other machines; returns the others.
fn look_up(
    requests: &[HashRequest],
    due: &[TreeId],
    settings: &Settings,
    careful: bool,
    results: &mut Results,
) -> Vec<TreeId> {
    let mut unknown = Vec::new();
    let recalled = parallel::map(due, |tree| recall(settings, &requests[*tree]));
    for (tree, recalled) in due.iter().copied().zip(recalled) {
        match recalled {
            Some(computed) => {
                told("remembered here", &requests[tree], &computed);
                results.insert(tree, Ok(computed));
            }
            None => unknown.push(tree),
        }
    }
    // Once: the later attempts are about what was asked for already.
    if let (Some(shared), false) = (&settings.shared, careful) {
        for (tree, computed) in recall_shared(&**shared, settings.memo.as_ref(), requests, &unknown) {
            told("remembered by other machines", &requests[tree], &computed);
            results.insert(tree, Ok(computed));
        }
        unknown.retain(|tree| !results.contains_key(tree));
    }
    unknown
}

/// For each request the first one that asks for the same hash.
fn first_equals(requests: &[HashRequest]) -> Vec<TreeId> {
    // Lockfiles are long, and SipHash takes longer for them than all else that is done with one that did not change.
    let mut seen: HashMap<_, _, RandomState> = HashMap::default();
    let first = |(index, request): (TreeId, &HashRequest)| {
        // A tree that is wanted for itself is made, whoever else asks for its hash.
        if request.outputs.wanted() {
            return index;
        }
        let key = (Arc::clone(&request.lockfile), request.options);
        *seen.entry(key).or_insert(index)
    };
    requests.iter().enumerate().map(first).collect()
}

fn parse(request: &HashRequest) -> Result<(Lockfile, Vec<LockfileWarning>), HashFailure> {
    let lockfile = Lockfile::parse(&request.lockfile).map_err(|error| Obstacle::Lockfile(Arc::new(error)))?;
    let (refusals, warnings) = verdict::judge(&lockfile, request.options, false);
    if refusals.is_empty() {
        return Ok((lockfile, warnings));
    }
    Err(HashFailure { obstacles: refusals.into_iter().map(Obstacle::Refused).collect() })
}

/// A hash that is being computed.
struct Job<'a> {
    tree: TreeId,
    request: &'a HashRequest,
    lockfile: Lockfile,
    warnings: Vec<LockfileWarning>,
}

/// What is known of a job once its tree was started or given up.
struct Begun {
    tree: TreeId,
    packages: usize,
    /// Whether the tree can never come out otherwise.
    pinned: bool,
    warnings: Vec<LockfileWarning>,
    obstacles: Vec<Obstacle>,
}

type Results = HashMap<TreeId, Result<Computed, HashFailure>>;

fn hash_all(
    requests: &[HashRequest],
    jobs: Vec<Job<'_>>,
    supply: &Arc<Supply>,
    settings: &Settings,
    careful: bool,
) -> Results {
    let (downloads, start_download) = Downloads::new(Arc::clone(supply));
    let label = |job: &Job<'_>| Some((job.tree, Arc::clone(job.request.label.as_ref()?)));
    let labels: Vec<_> = jobs.iter().filter_map(label).collect();
    for (_, label) in &labels {
        supply.progress().begun_hash(label);
    }
    let labels = labels.into_iter().collect();
    let scheduler = Scheduler::new(supply, start_download, careful, labels);
    let shared = Shared {
        scheduler: &scheduler,
        archives: Archives::new(supply, settings.manner.modes),
        packuments: Packuments::new(supply, settings, foreseen(&jobs)),
    };
    // Held until every tree was started, so that the workers do not go home before.
    scheduler.hold();
    let begun = thread::scope(|scope| {
        let workers: Vec<_> = (0..parallel::workers()).map(|_| scope.spawn(|| scheduler.work())).collect();
        let stop = downloads.stopper();
        let network = scope.spawn(|| supply.runtime().block_on(run_network(downloads, jobs, &shared)));
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
        stop.stop();
        network.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    drop(shared);
    supply.settle();
    conclude_all(requests, settings, begun, scheduler.finish())
}

/// What became of each job; what cannot change any more is remembered.
fn conclude_all(
    requests: &[HashRequest],
    settings: &Settings,
    begun: Vec<Begun>,
    mut ended: HashMap<TreeId, Ended>,
) -> Results {
    let mut results = Results::new();
    for begun in begun {
        let (tree, pinned) = (begun.tree, begun.pinned);
        let result = conclude(begun, ended.remove(&tree).unwrap_or_default());
        if let Ok(computed) = &result {
            told("its tarballs", &requests[tree], computed);
        }
        if let (true, Ok(computed)) = (pinned, &result) {
            remember(settings, &requests[tree], computed);
        }
        results.insert(tree, result);
    }
    results
}

/// The versions of every name that the lockfiles of version 2 jobs are known to want.
fn foreseen(jobs: &[Job<'_>]) -> BTreeMap<String, BTreeSet<String>> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // Version 1 stores no packuments.
    for job in jobs.iter().filter(|job| job.request.options.fetcher_version >= 2) {
        for (name, version) in names_of(&job.lockfile) {
            wanted.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    wanted
}

async fn run_network(downloads: Downloads, jobs: Vec<Job<'_>>, shared: &Shared<'_>) -> Vec<Begun> {
    let prepare = async {
        let begun = futures::future::join_all(jobs.into_iter().map(|job| begin(job, shared))).await;
        shared.scheduler.rest();
        begun
    };
    let (begun, ()) = futures::join!(prepare, downloads.serve(shared.scheduler));
    begun
}

/// Brings a job to where its tree can be assembled.
async fn begin(job: Job<'_>, shared: &Shared<'_>) -> Begun {
    let Job { tree, request, lockfile, mut warnings } = job;
    let mut preparation = Preparation::new(shared, tree, request.options);
    let archives = preparation.absorb(lockfile);
    preparation.fetch_archives(archives).await;
    preparation.fetch_packuments().await;
    let prepared = preparation.finish();
    warnings.extend(prepared.warnings);
    let mut obstacles = prepared.obstacles;
    let mut packages = 0;
    if obstacles.is_empty() {
        let shape =
            CacheTree::new(request.options.fetcher_version, prepared.entries, Arc::clone(&request.lockfile));
        packages = shape.contents().len();
        match assemble(shape, &request.outputs) {
            Ok(assembly) => shared.scheduler.start(tree, assembly),
            Err(obstacle) => obstacles.push(*obstacle),
        }
    }
    if !obstacles.is_empty() {
        // Its contents are on their way already: those that nobody else wants are let go when they come.
        shared.scheduler.give_up(tree);
    }
    Begun { tree, packages, pinned: prepared.pinned, warnings, obstacles }
}

fn assemble(shape: CacheTree, outputs: &Outputs) -> Result<Assembly, Box<Obstacle>> {
    let staged = Staged::begin(outputs).map_err(|error| Box::new(Obstacle::Output(Arc::new(error))))?;
    Assembly::new(Arc::new(shape), staged).map_err(|error| Box::new(Obstacle::Assembly(Arc::new(error))))
}

fn conclude(begun: Begun, ended: Ended) -> Result<Computed, HashFailure> {
    let Begun { packages, warnings, mut obstacles, .. } = begun;
    obstacles.extend(ended.failures.into_iter().map(Obstacle::Supply));
    match ended.outcome {
        // A tree that was hashed to its end has obstacles nevertheless where one of several URLs of a content did not
        // serve it: nixpkgs fetches each of them, and fails.
        Some(Ok(hash)) if obstacles.is_empty() => {
            Ok(Computed { hash, packages, bytes: ended.bytes, warnings })
        }
        Some(Err(broken)) => {
            obstacles.push(match broken {
                Broken::Lost(error) => Obstacle::Lost(Arc::new(error)),
                Broken::Failed(error) => Obstacle::Assembly(Arc::new(error)),
            });
            Err(HashFailure { obstacles })
        }
        _ if obstacles.is_empty() => {
            let error = io::Error::other("the tree was left unfinished");
            Err(HashFailure::from(Obstacle::Assembly(Arc::new(error))))
        }
        _ => Err(HashFailure { obstacles }),
    }
}

#[cfg(test)]
mod tests;
