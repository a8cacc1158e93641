//! Computes `npmDepsHash`: `hash package-lock.json [REGISTRY]` downloads every tarball and writes nothing.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use npm_deps::supply::Supply;
use npm_deps::{HashFailure, HashRequest, Settings, compute};
use npm_lockfile::options::HashOptions;
use npm_registry::npmrc::Npmrc;
use npm_registry::{Client, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("hash package-lock.json [REGISTRY]")?;
    let request = HashRequest::new(fs::read(file)?.into(), HashOptions::default());
    let mut options = Options::default();
    if let Some(registry) = arguments.next() {
        // As npm does: URLs of the public registry are asked for here instead.
        let mut npmrc = Npmrc::default();
        npmrc.layer(&format!("registry={registry}"), &|_| None);
        npmrc.apply(&mut options, None, Path::new("."))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let supply = Supply::new(None, None, Some(Client::new(options)), runtime.handle().clone());
    for computed in compute(&[request], &Arc::new(supply), &Settings::default()) {
        let all = |failure: HashFailure| {
            failure.obstacles.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        writeln!(io::stdout(), "{}", computed.map_err(all)?.hash.sri())?;
    }
    Ok(())
}
