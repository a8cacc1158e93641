//! `--publish` and `--published`: the outputs of sites in Nix binary caches.
//!
//! A tree is made again, from what the first computation left on disk, only where a cache lacks it: the store path is known
//! from the hash, so that one HEAD tells. Its NAR goes into the caches while it is hashed, and no narinfo is written unless it
//! was that hash.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use error_advice::advice_on;
use futures::{StreamExt as _, stream};
use nix_binary_cache::cache::{Cache, CacheError, Presence, Upload, UploadResult};
use nix_binary_cache::location::CacheLocation;
use nix_binary_cache::signing::SecretKey;
use nix_binary_cache::storage::RetryLimits;
use nix_binary_cache::store_path::{DerivationName, FixedOutput};
use npm_deps::{HashRequest, Outputs, Reception, Recipient};
use npm_lockfile::options::HashOptions;
use npm_nixhash::drift::Plan;
use npm_nixhash::report::messages::MessageKind;
use npm_nixhash::report::{Message, PublishedReport, PublishedState, Report};
use tokio::runtime::Handle;

use super::PublishedArgs;
use super::args::PublishedTarget;
use super::outside::{open, sign_key, unopened};
use crate::cli::config::Config;
use crate::cli::env::Environment;
use crate::cli::output::{Fatal, Terminal};
use crate::cli::supply::{PublishSettings, Sources};

/// Trees that are uploaded side by side; each holds some parts of 6 MiB in memory.
const UPLOADS: usize = 3;

/// Outputs that are looked for side by side.
const LOOKS: usize = 16;

/// Why an output has no name.
const UNNAMED: &str = "the name of its derivation is not known";

/// An output that should be in the caches, and what its tree is made of.
pub(in crate::cli) struct WantedOutput {
    pub(in crate::cli) name: DerivationName,
    pub(in crate::cli) nar_hash: [u8; 32],
    pub(in crate::cli) lockfile: Arc<[u8]>,
    pub(in crate::cli) options: HashOptions,
}

/// Caches to write to, or to look into.
pub(in crate::cli) struct Caches {
    all: Vec<Arc<Cache>>,
    key: Option<Arc<SecretKey>>,
    runtime: Handle,
}

/// How each wanted output stands in each cache.
type Standings = Vec<Vec<PublishedReport>>;

impl Caches {
    /// The caches to publish to: those of the command line have to be usable; of those of the team the ones that this
    /// machine has nothing to open with are left out with a warning, for not all who run `update` may write there.
    pub(in crate::cli) fn to_publish(
        settings: PublishSettings<'_>,
        sources: &Sources,
        environment: &Environment,
        terminal: &Terminal,
    ) -> Result<Self, Fatal> {
        let PublishSettings { args, remote, config } = settings;
        let key = sign_key(remote, environment)?;
        let mut caches =
            Self { all: all_of(&args.publish, sources, environment, true)?, key, runtime: sources.runtime() };
        for location in config.into_iter().flat_map(|config| &config.publish.0) {
            if args.publish.contains(location) {
                continue;
            }
            match open(location, environment, &sources.options, RetryLimits::default(), true)? {
                Ok(storage) => caches.all.push(Arc::new(Cache::new(storage))),
                Err(error) if error.lacks_credentials() => {
                    terminal.message(MessageKind::Warning, &unopened(location, &error));
                }
                Err(error) => return Err(Fatal(unopened(location, &error))),
            }
        }
        if remote.sign_key.is_some() && caches.all.is_empty() && !sources.tells_others() {
            terminal.message(MessageKind::Warning, &unsigned());
        }
        Ok(caches)
    }

    /// The caches to look into, which have to be usable.
    pub(in crate::cli) fn to_look_into(
        args: &PublishedArgs,
        config: &Config,
        sources: &Sources,
        environment: &Environment,
    ) -> Result<Self, Fatal> {
        let mut locations: Vec<CacheLocation> = Vec::new();
        for target in &args.published {
            let meant = match target {
                PublishedTarget::At(location) => std::slice::from_ref(&**location),
                PublishedTarget::Configured if config.publish.0.is_empty() => return Err(Fatal(no_team())),
                PublishedTarget::Configured => &config.publish.0,
            };
            for location in meant {
                if !locations.contains(location) {
                    locations.push(location.clone());
                }
            }
        }
        let all = all_of(&locations, sources, environment, false)?;
        Ok(Self { all, key: None, runtime: sources.runtime() })
    }

    /// Whether there is none.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Publishes the output of every site whose hash was computed, and notes in the report how each stands.
    pub(in crate::cli) fn publish_all(
        &self,
        plan: &Plan,
        report: &mut Report,
        sources: &Sources,
        terminal: &Terminal,
    ) {
        self.note(plan, report, terminal, |wanted| self.publish(wanted, sources));
    }

    /// Looks for the output of every site whose hash was computed, and notes in the report how each stands.
    pub(in crate::cli) fn look_for_all(&self, plan: &Plan, report: &mut Report, terminal: &Terminal) {
        self.note(plan, report, terminal, |wanted| self.look(wanted));
    }

    fn note(
        &self,
        plan: &Plan,
        report: &mut Report,
        terminal: &Terminal,
        judge: impl FnOnce(&[WantedOutput]) -> (Standings, Vec<Message>),
    ) {
        if self.all.is_empty() {
            return;
        }
        // Several sites may have one output.
        let (mut all, mut of_sites, mut known) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (index, planned) in plan.sites.iter().enumerate() {
            let (Some(computed), Some(lockfile)) = (planned.computed(), &planned.hashed) else { continue };
            let Some(name) =
                planned.site.output_name.as_deref().and_then(|name| DerivationName::parse(name).ok())
            else {
                if let Some(site) = report.sites.get_mut(index) {
                    site.published.extend(self.all.iter().map(unnamed));
                }
                continue;
            };
            let place = match known.entry((name.as_str().to_owned(), computed.hash.0)) {
                Entry::Occupied(place) => *place.get(),
                Entry::Vacant(vacant) => {
                    let (lockfile, options) = (Arc::clone(lockfile), planned.site.options);
                    all.push(WantedOutput { name, nar_hash: computed.hash.0, lockfile, options });
                    *vacant.insert(all.len() - 1)
                }
            };
            of_sites.push((index, place));
        }
        let (standings, trouble) = judge(&all);
        for (index, place) in of_sites {
            if let (Some(site), Some(standing)) = (report.sites.get_mut(index), standings.get(place)) {
                site.published.extend(standing.iter().cloned());
            }
        }
        for message in trouble {
            terminal.message(MessageKind::Error, &message);
        }
    }

    /// Publishes what is not there yet.
    pub(in crate::cli) fn publish(
        &self,
        wanted: &[WantedOutput],
        sources: &Sources,
    ) -> (Standings, Vec<Message>) {
        let outputs: Vec<FixedOutput> = wanted.iter().map(WantedOutput::output).collect();
        let mut troubles = Troubles::default();
        let looks = self.ask(&outputs, &async |cache: &Cache, output: &FixedOutput| {
            Ok(if cache.has(output).await? { Presence::There } else { Presence::Missing })
        });
        let mut standings: Standings = Vec::new();
        let mut lacking = Vec::new();
        for (index, (output, looks)) in outputs.iter().zip(looks).enumerate() {
            let mut caches = Vec::new();
            let standing = self.all.iter().zip(looks).map(|(cache, look)| match look {
                Ok(Presence::There) => state(cache, output, PublishedState::There, None),
                Ok(_) => {
                    caches.push(Arc::clone(cache));
                    state(cache, output, PublishedState::Missing, None)
                }
                Err(error) => failed(cache, output, &error, &mut troubles),
            });
            standings.push(standing.collect());
            if !caches.is_empty() {
                lacking.push((index, caches));
            }
        }
        for some in lacking.chunks(UPLOADS) {
            for (index, done) in self.upload(wanted, some, sources) {
                let (Some(output), Some(standing)) = (outputs.get(index), standings.get_mut(index)) else {
                    continue;
                };
                settle(standing, output, done, &mut troubles);
            }
        }
        (standings, troubles.messages())
    }

    /// Makes some trees again, side by side, into the caches that lack them.
    fn upload(
        &self,
        wanted: &[WantedOutput],
        lacking: &[(usize, Vec<Arc<Cache>>)],
        sources: &Sources,
    ) -> Vec<(usize, Result<Vec<UploadResult>, String>)> {
        let publishing = |(index, caches): &(usize, Vec<Arc<Cache>>)| Publishing {
            output: wanted[*index].output(),
            caches: caches.clone(),
            key: self.key.clone(),
            runtime: self.runtime.clone(),
            done: Arc::default(),
        };
        let publishings: Vec<_> = lacking.iter().map(publishing).map(Arc::new).collect();
        let request = |((index, _), publishing): (&(usize, _), &Arc<Publishing>)| {
            let outputs = Outputs { recipient: Some(Arc::clone(publishing) as _), ..Outputs::default() };
            let WantedOutput { lockfile, options, name, .. } = &wanted[*index];
            HashRequest {
                outputs,
                label: Some(name.as_str().into()),
                ..HashRequest::new(Arc::clone(lockfile), *options)
            }
        };
        let requests: Vec<_> = lacking.iter().zip(&publishings).map(request).collect();
        let results = npm_deps::compute(&requests, &sources.supply, &sources.settings);
        let told = |(((index, _), publishing), result): ((&(usize, _), &Arc<Publishing>), _)| {
            let done = std::mem::take(&mut *publishing.done.lock().unwrap_or_else(PoisonError::into_inner));
            let told = match result {
                Ok(_) => Ok(done),
                Err(npm_deps::HashFailure { obstacles }) => {
                    Err(obstacles.first().map(ToString::to_string).unwrap_or_default())
                }
            };
            (*index, told)
        };
        lacking.iter().zip(&publishings).zip(results).map(told).collect()
    }

    /// Tells what is there, by what the narinfo says, and whether its NAR is there.
    fn look(&self, wanted: &[WantedOutput]) -> (Standings, Vec<Message>) {
        let outputs: Vec<FixedOutput> = wanted.iter().map(WantedOutput::output).collect();
        let mut troubles = Troubles::default();
        let looks = self.ask(&outputs, &async |cache: &Cache, output: &FixedOutput| cache.look(output).await);
        let mut standings = Vec::new();
        for (output, looks) in outputs.iter().zip(looks) {
            let standing = self.all.iter().zip(looks).map(|(cache, look)| match look {
                Ok(presence) => match why_missing(&presence) {
                    None => state(cache, output, PublishedState::There, None),
                    Some(why) => state(cache, output, PublishedState::Missing, Some(why)),
                },
                Err(error) => failed(cache, output, &error, &mut troubles),
            });
            standings.push(standing.collect());
        }
        (standings, troubles.messages())
    }

    /// Asks every cache about every output.
    fn ask(
        &self,
        outputs: &[FixedOutput],
        question: &impl AsyncFn(&Cache, &FixedOutput) -> Result<Presence, CacheError>,
    ) -> Vec<Vec<Result<Presence, CacheError>>> {
        let about = |output| async move {
            futures::future::join_all(self.all.iter().map(|cache| question(cache, output))).await
        };
        self.runtime.block_on(stream::iter(outputs).map(about).buffered(LOOKS).collect())
    }
}

/// The caches at these places, which have to be usable.
fn all_of(
    locations: &[CacheLocation],
    sources: &Sources,
    environment: &Environment,
    writes: bool,
) -> Result<Vec<Arc<Cache>>, Fatal> {
    let cache = |location| {
        let opened = open(location, environment, &sources.options, RetryLimits::default(), writes)?;
        let storage = opened.map_err(|error| Fatal(unopened(location, &error)))?;
        Ok(Arc::new(Cache::new(storage)))
    };
    locations.iter().map(cache).collect()
}

/// `--sign-key`, where nothing is written that could be signed.
fn unsigned() -> Message {
    Message::plain("--sign-key signs nothing, because nothing is published or told to other machines")
        .hinting(Some("it goes with --publish URL and --remote URL"))
}

/// `--published` alone, where nothing says what is meant.
fn no_team() -> Message {
    Message::plain("--published without a URL looks into the caches of `publish` in npm-nixhash.toml, and there are none")
        .hinting(Some("name a cache: --published URL"))
}

impl WantedOutput {
    fn output(&self) -> FixedOutput {
        FixedOutput::new(self.name.clone(), self.nar_hash)
    }
}

fn unnamed(cache: &Arc<Cache>) -> PublishedReport {
    let (state, reason) = (PublishedState::Unnamed, Some(UNNAMED.to_owned()));
    PublishedReport { cache: cache.storage().location().to_string(), store_path: None, state, reason }
}

fn state(
    cache: &Cache,
    output: &FixedOutput,
    state: PublishedState,
    reason: Option<String>,
) -> PublishedReport {
    let cache = cache.storage().location().to_string();
    PublishedReport { cache, store_path: Some(output.path().to_owned()), state, reason }
}

fn why_missing(presence: &Presence) -> Option<String> {
    match presence {
        Presence::There => None,
        Presence::Missing => Some("there is no narinfo".to_owned()),
        Presence::NarMissing => Some("the NAR that its narinfo names is not there".to_owned()),
        Presence::Unfit(unfit) => Some(unfit.to_string()),
        Presence::NoNarInfo(error) => Some(error.to_string()),
    }
}

fn failed(
    cache: &Cache,
    output: &FixedOutput,
    error: &CacheError,
    troubles: &mut Troubles,
) -> PublishedReport {
    troubles.add(cache.storage().location(), error, output);
    state(cache, output, PublishedState::Failed, Some(error.to_string()))
}

/// Notes what became of an upload.
fn settle(
    standing: &mut [PublishedReport],
    output: &FixedOutput,
    done: Result<Vec<UploadResult>, String>,
    troubles: &mut Troubles,
) {
    match done {
        Ok(done) => {
            for UploadResult { cache, result } in done {
                let new = match result {
                    Ok(_) => state(&cache, output, PublishedState::Published, None),
                    Err(error) => failed(&cache, output, &error, troubles),
                };
                let place = standing.iter_mut().find(|one| one.cache == new.cache);
                if let Some(place) = place {
                    *place = new;
                }
            }
        }
        Err(reason) => {
            for one in standing.iter_mut().filter(|one| one.state == PublishedState::Missing) {
                one.state = PublishedState::Failed;
                one.reason = Some(reason.clone());
            }
            troubles.lost.push((output.name().as_str().to_owned(), reason));
        }
    }
}

/// What a reason kept from being done with one cache.
#[derive(Default)]
struct Failed {
    hint: Option<Cow<'static, str>>,
    outputs: Vec<String>,
}

/// What failed, one message for each cache and reason.
#[derive(Default)]
struct Troubles {
    caches: BTreeMap<(String, String), Failed>,
    /// Trees that could not be made again.
    lost: Vec<(String, String)>,
}

impl Troubles {
    fn add(&mut self, location: &CacheLocation, error: &CacheError, output: &FixedOutput) {
        let entry = self.caches.entry((location.to_string(), error.to_string())).or_default();
        entry.hint = advice_on(error);
        entry.outputs.push(output.name().as_str().to_owned());
    }

    fn messages(self) -> Vec<Message> {
        let about = |((cache, reason), Failed { hint, outputs }): ((String, String), Failed)| {
            let others = match outputs.len() {
                1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            let first = outputs.into_iter().next().unwrap_or_default();
            let message =
                Message::plain(format!("{cache}: {first}{others} could not be looked for or published"));
            message.caused_by(&reason).hinting(hint)
        };
        let lost = |(name, reason): (String, String)| {
            Message::plain(format!("cannot make the tree of {name} again, to publish it")).caused_by(&reason)
        };
        self.caches.into_iter().map(about).chain(self.lost.into_iter().map(lost)).collect()
    }
}

/// Takes a NAR into caches.
#[derive(Debug)]
struct Publishing {
    output: FixedOutput,
    caches: Vec<Arc<Cache>>,
    key: Option<Arc<SecretKey>>,
    runtime: Handle,
    done: Arc<Mutex<Vec<UploadResult>>>,
}

impl Recipient for Publishing {
    fn begin(&self) -> io::Result<Box<dyn Reception>> {
        let upload =
            Upload::begin(self.output.clone(), &self.caches, self.key.clone(), self.runtime.clone())?;
        Ok(Box::new(Receiving { upload, done: Arc::clone(&self.done) }))
    }
}

struct Receiving {
    upload: Upload,
    done: Arc<Mutex<Vec<UploadResult>>>,
}

impl Write for Receiving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Reception for Receiving {
    fn finish(self: Box<Self>) -> io::Result<()> {
        let Self { upload, done } = *self;
        // What failed is told of each cache, and is not a failure of the hash.
        *done.lock().unwrap_or_else(PoisonError::into_inner) = upload.finish();
        Ok(())
    }
}
