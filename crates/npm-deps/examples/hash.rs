//! Computes `npmDepsHash`: `hash package-lock.json` downloads every tarball and writes nothing.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    sync::Arc,
};

use npm_deps::{Failure, Request, Settings, compute, supply::Supply};
use npm_lockfile::options::HashOptions;
use npm_registry::{Client, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("hash package-lock.json")?;
    let request = Request::new(fs::read(file)?.into(), HashOptions::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = Client::new(Options::default());
    let supply = Arc::new(Supply::new(None, None, Some(client), runtime.handle().clone()));
    for computed in compute(&[request], &supply, &Settings::default()) {
        let all = |failure: Failure| {
            failure.obstacles.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        writeln!(io::stdout(), "{}", computed.map_err(all)?.hash.sri())?;
    }
    Ok(())
}
