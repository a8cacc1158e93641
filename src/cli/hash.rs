//! `hash`: the npmDepsHash of one lockfile, and on request the tree itself.

use std::fs;
use std::path::{Path, PathBuf};

use nix_binary_cache::store_path::DerivationName;
use npm_deps::{Computed, HashRequest, LockfileWarning, NarHash, Obstacle, Outputs};
use npm_lockfile::LockedTree;
use npm_lockfile::completeness::Completeness;
use npm_lockfile::options::HashOptions;
use npm_nixhash::drift::SiteWarning;
use npm_nixhash::report::messages::{self, MessageKind};
use npm_nixhash::report::{Message, PublishedReport};
use serde_json::json;

use super::args::{Allowed, HashArgs};
use super::config::Config;
use super::env::Environment;
use super::fleet::{Caches, WantedOutput};
use super::nix_store::NixStore;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::supply::{PublishSettings, Sources};

pub(super) fn run(args: &HashArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let path = find_lockfile(&environment.absolute(&args.lockfile))?;
    let name = args.store_path.as_deref().or(args.add_to_store.as_deref());
    let name = name.map(|name| DerivationName::parse(name).map_err(|e| Fatal::new(&e))).transpose()?;
    // `nix-store` takes the name of a tree from its folder.
    let to_add =
        args.add_to_store.is_some().then(tempfile::tempdir).transpose().map_err(|e| Fatal::new(&e))?;
    let named = to_add.as_ref().zip(name.as_ref()).map(|(folder, name)| folder.path().join(name.as_str()));
    let outputs = Outputs {
        tree: args.out.as_deref().map(|out| environment.absolute(out)).or_else(|| named.clone()),
        nar: args.nar.as_deref().map(|nar| environment.absolute(nar)),
        in_place: false,
        recipient: None,
    };
    // Said before anything is downloaded.
    outputs.check().map_err(|error| Fatal(Message::of(&error)))?;
    let options = options(Flags::of(args), environment)?;
    let mut sources = Sources::new(
        &args.sources,
        &Config::around(&environment.absolute(&args.lockfile))?,
        environment,
        terminal,
    )?;
    let caches = caches(args, name.as_ref(), &sources, environment, terminal)?;
    if !caches.is_empty() {
        sources.keep_for_the_run();
    }
    let request = request(&path, options, outputs)?;
    let manifest = fs::read(path.with_file_name("package.json")).ok();
    let shown = environment.shown(&path);
    // A text that is not a lockfile is refused where its hash is computed.
    if let Ok(tree) = LockedTree::read(&request.lockfile) {
        let completeness = tree.completeness(manifest.as_deref());
        look_at(shown, &completeness, args.allow.contains(&Allowed::Incomplete), terminal)?;
    }
    let Some(computed) = compute(shown, &request, &sources, terminal) else {
        return Ok(Exit::Failed);
    };
    let store_path = match (&named, &name) {
        (Some(tree), Some(name)) => Some(NixStore::new(environment).add(tree, name, &computed.hash)?),
        (_, name) => name.as_ref().map(|name| name.fixed_output_path(&computed.hash.0)),
    };
    let HashRequest { lockfile, options, .. } = request;
    let wanted = name.map(|name| WantedOutput { name, nar_hash: computed.hash.0, lockfile, options });
    let wanted: Vec<_> = wanted.into_iter().filter(|_| !caches.is_empty()).collect();
    let (standings, trouble) = caches.publish(&wanted, &sources);
    let published: Vec<_> = standings.into_iter().flatten().collect();
    for message in &trouble {
        terminal.message(MessageKind::Error, message);
    }
    terminal.data(&if args.json {
        json_form(&computed, store_path.as_deref(), &published)
    } else {
        plain(&computed.hash, store_path)
    });
    Ok(if trouble.is_empty() { Exit::Fine } else { Exit::Failed })
}

/// Where the output is published, if anywhere.
fn caches(
    args: &HashArgs,
    name: Option<&DerivationName>,
    sources: &Sources,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Caches, Fatal> {
    if args.publish.wanted() && name.is_none() {
        let message = Message::plain("the name under which to publish the output is not known");
        return Err(Fatal(
            message.hinting(Some("say it with --store-path NAME, such as web-1.0.0-npm-deps")),
        ));
    }
    let settings = PublishSettings { args: &args.publish, remote: &args.sources.remote, config: None };
    Caches::to_publish(settings, sources, environment, terminal)
}

/// What is to be computed of the lockfile at `path`.
pub(super) fn request(path: &Path, options: HashOptions, outputs: Outputs) -> Result<HashRequest, Fatal> {
    let lockfile = fs::read(path).map_err(|error| Fatal::reading(path, &error))?;
    Ok(HashRequest { outputs, ..HashRequest::new(lockfile.into(), options) })
}

/// Stops at a lockfile that cannot be installed from offline, unless that is allowed, and warns of what breaks nixpkgs'
/// build. nixpkgs' own tool does neither, and so does the drop-in.
fn look_at(
    path: &Path,
    completeness: &Completeness,
    allow_incomplete: bool,
    terminal: &Terminal,
) -> Result<(), Fatal> {
    let path = path.display();
    if !completeness.respelled.is_empty() {
        let warning = SiteWarning::Respelled(completeness.respelled.clone());
        let message = Message::plain(format!("{path}: {warning}")).hinting(Some(warning.hint()));
        terminal.message(MessageKind::Warning, &message);
    }
    match completeness.passed_over() {
        Some(lacks) if !allow_incomplete => {
            let hint = format!(
                "`npm-nixhash repair {path}` fills them in without moving a version; --allow incomplete goes on without \
                 them, as nixpkgs' fetcher does"
            );
            Err(Fatal(Message::plain(format!("{path}: {lacks}")).hinting(Some(hint))))
        }
        _ => Ok(()),
    }
}

/// Computes the hash of one lockfile and tells what there is to tell; `None` if it failed and that was told.
pub(super) fn compute(
    path: &Path,
    request: &HashRequest,
    sources: &Sources,
    terminal: &Terminal,
) -> Option<Computed> {
    let result = npm_deps::compute(std::slice::from_ref(request), &sources.supply, &sources.settings).pop();
    sources.finish(terminal);
    match result.expect("bug: one request has one result") {
        Ok(computed) => {
            warn(path, &computed, terminal);
            Some(computed)
        }
        Err(failure) => {
            let errors = failure.obstacles.iter().map(|obstacle| about(path, obstacle));
            terminal.messages(&messages::all(MessageKind::Error, errors, terminal.room()));
            None
        }
    }
}

/// The lockfile that a path names: itself, or of a folder the one that npm would take.
fn find_lockfile(path: &Path) -> Result<PathBuf, Fatal> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let candidates = npm_lockfile::FILE_NAMES.map(|name| path.join(name));
    candidates.into_iter().find(|candidate| candidate.is_file()).ok_or_else(|| {
        let message = Message::plain(format!("{} holds no lockfile", path.display()));
        Fatal(message.hinting(Some("write one with `npm install --package-lock-only`")))
    })
}

/// What of [`HashOptions`] the command line says.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Flags {
    fetcher_version: Option<u32>,
    force_git_deps: bool,
    force_empty_cache: bool,
}

impl Flags {
    fn of(args: &HashArgs) -> Self {
        let HashArgs { fetcher_version, force_git_deps, force_empty_cache, .. } = *args;
        Self { fetcher_version, force_git_deps, force_empty_cache }
    }
}

/// Flags first, then the variables of nixpkgs' own tool.
pub(super) fn options(flags: Flags, environment: &Environment) -> Result<HashOptions, Fatal> {
    let fetcher_version = match (flags.fetcher_version, environment.text("NPM_FETCHER_VERSION")) {
        (Some(version), _) => version,
        (None, None) => HashOptions::default().fetcher_version,
        (None, Some(text)) => text
            .parse()
            .map_err(|_| Fatal(Message::plain(format!("NPM_FETCHER_VERSION is not a number: {text}"))))?,
    };
    Ok(HashOptions {
        fetcher_version,
        // nixpkgs' tool asks whether these are set, not what they say.
        force_git_deps: flags.force_git_deps || environment.is_set("FORCE_GIT_DEPS"),
        force_empty_cache: flags.force_empty_cache || environment.is_set("FORCE_EMPTY_CACHE"),
    })
}

fn warn(path: &Path, computed: &Computed, terminal: &Terminal) {
    let about = |warning: &LockfileWarning| {
        Message::plain(format!("{}: {warning}", path.display())).hinting(warning.hint())
    };
    terminal.messages(&messages::all(
        MessageKind::Warning,
        computed.warnings.iter().map(about),
        terminal.room(),
    ));
}

fn about(path: &Path, obstacle: &Obstacle) -> Message {
    let message = Message::of(obstacle);
    Message { message: format!("{}: {}", path.display(), message.message), ..message }
}

fn plain(hash: &NarHash, store_path: Option<String>) -> String {
    let path = store_path.map(|path| path + "\n").unwrap_or_default();
    format!("{}\n{path}", hash.sri())
}

fn json_form(computed: &Computed, store_path: Option<&str>, published: &[PublishedReport]) -> String {
    let value = json!({
        "schema_version": npm_nixhash::report::SCHEMA_VERSION,
        "command": "hash",
        "hash": computed.hash.sri(),
        "packages": computed.packages,
        "bytes": computed.bytes,
        "store_path": store_path,
        "published": published,
        "warnings": computed.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    npm_nixhash::report::json(&value)
}
