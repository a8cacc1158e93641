//! What the evaluator notes about every derivation of npm dependencies that it meets.

use std::rc::Rc;

use crate::nix::budget::Cost;
use crate::nix::eval::Eval;
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Unknown, Value};

/// How the dependencies are declared.
#[derive(Clone)]
pub(crate) enum RecordKind {
    /// `buildNpmPackage { npmDepsHash = ...; }`
    Package,
    /// `fetchNpmDeps { hash = ...; }`
    FetchDeps,
    /// A call of something unknown that is given `npmDepsHash`.
    Assumed(Rc<Unknown>),
}

/// One declaration.
#[derive(Clone)]
pub(crate) struct Record {
    pub kind: RecordKind,
    pub args: Value,
    pub call: Location,
    pub attr_paths: Vec<String>,
}

impl Record {
    /// A declaration that no attribute path is known for.
    pub fn new(kind: RecordKind, args: Value, call: Location) -> Self {
        Self { kind, args, call, attr_paths: Vec::new() }
    }

    /// The binding of the hash.
    pub fn binding(&self) -> Option<Location> {
        self.args.as_attrs()?.map.get(self.hash_name())?.pos
    }

    /// The attribute that holds the hash.
    pub fn hash_name(&self) -> &'static str {
        match self.kind {
            RecordKind::FetchDeps
                if self.args.as_attrs().is_some_and(|attrs| attrs.map.contains_key("outputHash")) =>
            {
                "outputHash"
            }
            RecordKind::FetchDeps => "hash",
            RecordKind::Package | RecordKind::Assumed(_) => "npmDepsHash",
        }
    }

    /// The attribute that holds the version of the fetcher.
    pub fn version_name(&self) -> &'static str {
        match self.kind {
            RecordKind::FetchDeps => "fetcherVersion",
            RecordKind::Package | RecordKind::Assumed(_) => "npmDepsFetcherVersion",
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
