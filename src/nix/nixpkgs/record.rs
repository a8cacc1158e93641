//! What the evaluator notes about every derivation of npm dependencies that it meets.

use std::rc::Rc;

use crate::nix::budget::Cost;
use crate::nix::eval::Eval;
use crate::nix::source::Source;
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Unknown, Value};
use crate::options::HashOptions;

/// The names under which a derivation that fetches takes its hash, the ones that win first.
pub(crate) const HASH_NAMES: [&str; 4] = ["outputHash", "hash", "npmDepsHash", "sha256"];

/// How the dependencies are declared.
#[derive(Clone)]
pub(crate) enum RecordKind {
    /// `buildNpmPackage { npmDepsHash = ...; }`
    Package,
    /// `fetchNpmDeps { hash = ...; }`
    FetchDeps,
    /// A derivation of the repository that runs nixpkgs' tool on a lockfile.
    OwnFetcher(Rc<OwnFetcher>),
    /// `npmDeps` that something makes which is not known.
    Foreign(Rc<str>),
}

/// What a derivation of the repository that runs nixpkgs' tool does.
#[derive(Debug, Clone)]
pub(crate) struct OwnFetcher {
    /// The lockfile that the tool is given.
    pub lockfile: ToolFile,
    /// `NPM_FETCHER_VERSION`, `FORCE_GIT_DEPS` and `FORCE_EMPTY_CACHE`.
    pub options: Result<HashOptions, &'static str>,
}

/// A file that is given to nixpkgs' tool.
#[derive(Debug, Clone)]
pub(crate) enum ToolFile {
    /// Below the folder in which the derivation works.
    InTree {
        folder: String,
        name: String,
    },
    Source(Rc<Source>),
}

/// One declaration.
#[derive(Clone)]
pub(crate) struct Record {
    pub kind: RecordKind,
    pub args: Value,
    pub call: Location,
    pub attr_paths: Vec<String>,
    /// The function of somebody else that is taken for the builder of nixpkgs.
    pub assumed: Option<Rc<Unknown>>,
}

impl Record {
    /// A declaration that no attribute path is known for.
    pub fn new(kind: RecordKind, args: Value, call: Location) -> Self {
        Self { kind, args, call, attr_paths: Vec::new(), assumed: None }
    }

    /// Whether the arguments are those of the derivation that fetches.
    pub fn is_direct(&self) -> bool {
        !matches!(self.kind, RecordKind::Package)
    }

    /// The binding of the hash.
    pub fn binding(&self) -> Option<Location> {
        self.args.as_attrs()?.map.get(self.hash_name())?.pos
    }

    /// The attribute that holds the hash.
    pub fn hash_name(&self) -> &'static str {
        if matches!(self.kind, RecordKind::Package) {
            return "npmDepsHash";
        }
        let given = self.args.as_attrs();
        let is_given = |name: &&&str| given.is_some_and(|attrs| attrs.map.contains_key(**name));
        HASH_NAMES.iter().find(is_given).copied().unwrap_or("hash")
    }

    /// The attribute that holds the version of the fetcher.
    pub fn version_name(&self) -> &'static str {
        match self.kind {
            RecordKind::Package => "npmDepsFetcherVersion",
            _ => "fetcherVersion",
        }
    }
}

impl Eval {
    /// Notes a declaration; answers its index.
    pub fn record(&mut self, record: Record) -> usize {
        self.budget.spend(Cost::Alternatives(1));
        self.records.push(record);
        self.records.len() - 1
    }

    /// Notes the attribute path of a declaration.
    pub fn name_record(&mut self, index: usize, path: &str) {
        const MOST: usize = 200;
        if let Some(record) = self.records.get_mut(index)
            && record.attr_paths.len() < MOST
            && !record.attr_paths.iter().any(|known| known == path)
        {
            record.attr_paths.push(path.to_owned());
        }
    }

    /// Notes that an overlay of the repository replaces the fetcher.
    pub fn replace_fetcher(&mut self, name: &str, at: Location) {
        if !self.replaced.iter().any(|(_, known)| *known == at) {
            self.replaced.push((name.to_owned(), at));
        }
    }
}
