//! Says what a lockfile needs, from where, and what it lacks: `needs package-lock.json`.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};

use npm_lockfile::Lockfile;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("needs package-lock.json")?;
    let lockfile = Lockfile::parse(&fs::read(file)?)?;
    let mut out = io::stdout().lock();
    for dependency in &lockfile.dependencies {
        writeln!(out, "{} {}", dependency.name, dependency.url)?;
    }
    for skipped in &lockfile.skipped {
        writeln!(out, "without a URL: {}", skipped.place)?;
    }
    Ok(())
}
