//! The pipeline from lockfiles to hashes, against a host in this process.

mod archives;
mod contents;
mod host;
mod remembered;
mod said;
mod shared;
mod truth;

use std::sync::Arc;

use npm_lockfile::options::HashOptions;
use npm_registry::{Client, Options};
use npm_tarballs::store::Store;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use self::host::Host;
use super::supply::Supply;
use super::{Computed, HashFailure, HashRequest, Settings, compute};

/// A host, and what a run needs besides.
struct Run {
    host: Host,
    runtime: Runtime,
}

impl Run {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { host: Host::start(), runtime }
    }

    /// Asks the host for everything, once, and keeps nothing.
    fn supply(&self) -> Supply {
        let mut options = Options { retries: 0, ..Options::default() };
        for host in ["registry.npmjs.org", "codeload.github.com", "mirror.example"] {
            options.access.override_host(host, &self.host.url()).unwrap();
        }
        Supply::new(None, None, Some(Client::new(options)), self.runtime.handle().clone())
    }

    /// The same with a store in this folder.
    fn keeping(&self, folder: &tempfile::TempDir) -> Supply {
        self.supply().keeping(Store::at(folder.path().to_owned()))
    }

    fn hash(&self, lockfile: &str) -> Result<Computed, HashFailure> {
        one(&HashRequest::new(lockfile.as_bytes().into(), HashOptions::default()), self.supply())
    }
}

fn one(request: &HashRequest, supply: Supply) -> Result<Computed, HashFailure> {
    all(std::slice::from_ref(request), supply).remove(0)
}

fn all(requests: &[HashRequest], supply: Supply) -> Vec<Result<Computed, HashFailure>> {
    compute(requests, &Arc::new(supply), &Settings::default())
}

/// A lockfile of these entries: the name, where it is, and its integrity if it has one.
fn lockfile(entries: &[(&str, &str, Option<&str>)]) -> String {
    let mut packages = Map::from_iter([(String::new(), json!({"name": "of-a-test", "version": "1.0.0"}))]);
    for (name, resolved, integrity) in entries {
        let mut entry = json!({"version": "1.0.0", "resolved": resolved});
        if let Some(integrity) = integrity {
            entry["integrity"] = Value::from(*integrity);
        }
        packages.insert(format!("node_modules/{name}"), entry);
    }
    json!({"name": "of-a-test", "version": "1.0.0", "lockfileVersion": 3, "packages": packages}).to_string()
}

/// What stands in the way, as it is said.
fn obstacles(result: Result<Computed, HashFailure>) -> Vec<String> {
    result.unwrap_err().obstacles.iter().map(ToString::to_string).collect()
}
