//! What the evaluator notes about every derivation of npm dependencies that it meets.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use super::given::Calls;
use crate::hash_text::HASHES;
use nix_lang::budget::Cost;
use nix_lang::eval::{Decided, Eval};
use nix_lang::syntax::ast::{Location, Name};
use nix_lang::value::source::{Remote, Source};
use nix_lang::value::{ThunkId, Unknown, Value};
use npm_lockfile::options::HashOptions;

/// The names under which a derivation that fetches takes its hash, the ones that win first.
// The fetcher makes `outputHash` of `hash`, and an `overrideAttrs` comes later (fixture `npm-deps-override-attrs`).
pub(crate) const HASH_NAMES: [&str; 4] = ["outputHash", "hash", "npmDepsHash", "sha256"];

/// How the dependencies are declared.
#[derive(Clone)]
pub enum RecordKind {
    /// `buildNpmPackage { npmDepsHash = ...; }`
    Package,
    /// `fetchNpmDeps { hash = ...; }`
    FetchDeps,
    /// A derivation of the repository that runs nixpkgs' tool on a lockfile.
    OwnFetcher(Rc<OwnFetcher>),
    /// `npmDeps` that something makes which is not known.
    Foreign(Rc<str>),
    /// A fixed-output download of a registry's tarball.
    Tarball(Rc<Remote>),
    /// A fixed-output derivation that runs this package manager.
    Installed(&'static str),
}

/// What a derivation of the repository that runs nixpkgs' tool does.
#[derive(Debug, Clone)]
pub struct OwnFetcher {
    /// The lockfile that the tool is given.
    pub lockfile: ToolFile,
    /// `NPM_FETCHER_VERSION`, `FORCE_GIT_DEPS` and `FORCE_EMPTY_CACHE`.
    pub options: Result<HashOptions, &'static str>,
}

/// A file that is given to nixpkgs' tool.
#[derive(Debug, Clone)]
pub enum ToolFile {
    /// Below the folder in which the derivation works.
    InTree {
        /// Below the top, `/`-separated.
        folder: String,
        /// The name of the file.
        name: String,
    },
    /// A file of its own.
    Source(Rc<Source>),
}

/// One declaration.
#[derive(Clone)]
pub struct Record {
    /// What declares.
    pub kind: RecordKind,
    /// The arguments.
    pub args: Value,
    /// The call.
    pub call: Location,
    /// The attribute paths under which it is found.
    pub attr_paths: Vec<String>,
    /// The function of somebody else that is taken for the builder of nixpkgs.
    pub assumed: Option<Rc<Unknown>>,
    /// The decisions that its arguments rest on.
    pub decided: Decided,
}

impl Record {
    /// A declaration that no attribute path is known for.
    #[must_use]
    pub fn new(kind: RecordKind, args: Value, call: Location) -> Self {
        Self { kind, args, call, attr_paths: Vec::new(), assumed: None, decided: Decided::default() }
    }

    /// The same declaration, which counts only under the condition under which it is made. One that contradicts itself
    /// stays as it is: no configuration comes to it.
    #[must_use]
    pub(crate) fn made_here(self, ev: &Eval) -> Self {
        match self.args.clone().only_under(&ev.assumed(), self.call) {
            Some(args) => Self { args, ..self },
            None => self,
        }
    }

    /// Whether the arguments are those of the derivation that fetches.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        !matches!(self.kind, RecordKind::Package)
    }

    /// The binding of the hash.
    #[must_use]
    pub fn binding(&self) -> Option<Location> {
        self.args.as_attrs()?.map.get(self.hash_name())?.pos
    }

    /// The attribute that holds the hash.
    #[must_use]
    pub fn hash_name(&self) -> &'static str {
        if matches!(self.kind, RecordKind::Package) {
            return "npmDepsHash";
        }
        let given = self.args.as_attrs();
        let is_given = |name: &&&str| given.is_some_and(|attrs| attrs.map.contains_key(**name));
        if matches!(self.kind, RecordKind::Tarball(_)) {
            return HASHES.iter().find(is_given).copied().unwrap_or("hash");
        }
        HASH_NAMES.iter().find(is_given).copied().unwrap_or("hash")
    }

    /// The attribute that holds the version of the fetcher.
    #[must_use]
    pub fn version_name(&self) -> &'static str {
        match self.kind {
            RecordKind::Package => "npmDepsFetcherVersion",
            _ => "fetcherVersion",
        }
    }
}

/// What the model of nixpkgs notes while a configuration is evaluated.
#[derive(Default)]
pub struct Declared {
    /// Every derivation of npm dependencies that was evaluated, in order.
    pub records: Vec<Record>,
    /// Bindings of hashes whose derivation was made, whether or not anything uses it.
    pub made: HashSet<Location>,
    /// Bindings of hashes that the derivation itself does not read.
    pub inert: BTreeMap<Location, Inert>,
    /// What `importNpmLock` and its like were called with, and where.
    pub lock_uses: Vec<(ThunkId, Location)>,
    /// Packages that are given `npmDeps`, and where they are made.
    pub given_dependencies: Vec<(Value, Location)>,
    /// Overlays of the repository that replace the fetcher: which name, and where.
    pub replaced: Vec<(String, Location)>,
    /// Names that the repository binds to functions mentioning npm dependencies.
    pub own_functions: HashMap<Name, Location>,
    /// Calls of functions that are not known.
    pub(super) calls: Calls,
    /// Every download of a plain URL.
    pub downloads: Downloads,
}

/// A download that was met; whether it is a registry's tarball shows once everything around it is evaluated.
struct Download {
    remote: Rc<Remote>,
    /// The attribute paths of derivations that hold it.
    paths: Vec<String>,
    /// Its declaration, once it is known to be one.
    record: Option<usize>,
}

/// All downloads that were met, in order.
#[derive(Default)]
pub struct Downloads {
    all: Vec<Download>,
    /// By the address of the call's description, which `all` keeps alive.
    by_address: HashMap<*const Remote, usize>,
}

impl Downloads {
    /// Notes one.
    pub fn push(&mut self, remote: &Rc<Remote>) {
        self.by_address.insert(Rc::as_ptr(remote), self.all.len());
        self.all.push(Download { remote: Rc::clone(remote), paths: Vec::new(), record: None });
    }

    /// The download of that number.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Rc<Remote>> {
        self.all.get(index).map(|download| &download.remote)
    }
}

/// Why a derivation does not read a hash among its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inert {
    /// `npmDeps` is given beside it.
    BesideNpmDeps,
    /// `overrideAttrs` comes after `npmDeps` was made.
    OverriddenTooLate,
}

impl Declared {
    /// For another configuration of the same repository.
    #[must_use]
    pub fn for_another_configuration(&self) -> Self {
        Self { own_functions: self.own_functions.clone(), ..Self::default() }
    }

    /// Takes from another configuration what counts in all of them.
    pub fn take_back(&mut self, other: Self) {
        for (name, at) in other.replaced {
            self.replace_fetcher(&name, at);
        }
    }

    /// Notes that an overlay of the repository replaces the fetcher.
    pub(crate) fn replace_fetcher(&mut self, name: &str, at: Location) {
        if !self.replaced.iter().any(|(_, known)| *known == at) {
            self.replaced.push((name.to_owned(), at));
        }
    }

    /// Notes the attribute path of a derivation that holds a download.
    pub fn name_download(&mut self, remote: &Rc<Remote>, path: &str) {
        // One value may be bound to any number of names (fixture `hostile-many-names-one-value`).
        const MOST: usize = 200;
        let Some(index) = self.downloads.by_address.get(&Rc::as_ptr(remote)) else { return };
        let download = &mut self.downloads.all[*index];
        match download.record {
            Some(number) => self.name_record(number, path),
            None if download.paths.len() < MOST => download.paths.push(path.to_owned()),
            None => {}
        }
    }

    /// Notes the attribute path of a declaration.
    pub fn name_record(&mut self, index: usize, path: &str) {
        // As above.
        const MOST: usize = 200;
        if let Some(record) = self.records.get_mut(index)
            && record.attr_paths.len() < MOST
            && !record.attr_paths.iter().any(|known| known == path)
        {
            record.attr_paths.push(path.to_owned());
        }
    }
}

/// What an evaluation notes of declarations.
pub trait Declarations {
    /// What is declared so far.
    fn declared(&mut self) -> &mut Declared;

    /// Notes that a download is a declaration of its own.
    fn declare_download(&mut self, index: usize, record: Record);

    /// Notes a declaration; answers its index.
    fn record(&mut self, record: Record) -> usize;
}

impl Declarations for Eval {
    fn declared(&mut self) -> &mut Declared {
        self.notes()
    }

    fn declare_download(&mut self, index: usize, record: Record) {
        let number = self.record(record);
        let declared = self.declared();
        let Some(download) = declared.downloads.all.get_mut(index) else { return };
        download.record = Some(number);
        for path in std::mem::take(&mut download.paths) {
            declared.name_record(number, &path);
        }
    }

    fn record(&mut self, record: Record) -> usize {
        self.budget.spend(Cost::Alternatives(1));
        let records = &mut self.declared().records;
        records.push(record);
        records.len() - 1
    }
}
