//! `--fixup-lockfile LOCKFILE`: rewrites a lockfile in place so that its integrities are the cache's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use npm_lockfile::fixup;
use npm_nixhash::replace::{FileReplacement, replace_all};
use npm_nixhash::report::Message;

use super::super::env::Environment;
use super::super::output::{Exit, Fatal, Outcome, Terminal};

pub(super) fn run(arguments: &[OsString], environment: &Environment, terminal: &Terminal) -> Outcome {
    let [lockfile, ..] = arguments else {
        return Err(Fatal(Message::plain("--fixup-lockfile needs the path of a lockfile")));
    };
    let path = environment.absolute(Path::new(lockfile));
    let old = fs::read(&path).map_err(|error| Fatal::reading(&path, &error))?;
    let cache = cache_map(environment)?;
    let fixed = fixup::fixup(&old, cache.as_ref()).map_err(|error| {
        let message = Message::of(&error);
        Fatal(Message { message: format!("{}: {}", path.display(), message.message), ..message })
    })?;
    if let Some(new) = fixed {
        // nixpkgs' tool says so on standard output, and only where it changes something.
        terminal.data("Fixing lockfile\n");
        replace_all(&[FileReplacement { path, old, new }]).map_err(|error| Fatal::new(&error))?;
    }
    Ok(Exit::Fine)
}

/// What `--map-cache` wrote, if its place is known.
fn cache_map(environment: &Environment) -> Result<Option<BTreeMap<String, String>>, Fatal> {
    let Some(path) = environment.path("CACHE_MAP_PATH") else { return Ok(None) };
    let path = environment.absolute(&path);
    let bytes = fs::read(&path).map_err(|error| Fatal::reading(&path, &error))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let message = Message::plain(format!("{} is not a map from URL to integrity", path.display()));
        Fatal(message.caused_by(&error))
    })
}
