//! How caches and stores are reached: credentials as the environment has them, requests as registries get theirs.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use error_advice::advice_on;
use nix_binary_cache::credentials::Surroundings;
use nix_binary_cache::location::CacheLocation;
use nix_binary_cache::signing::SecretKey;
use nix_binary_cache::storage::{OpenError, RetryLimits, Storage};
use npm_nixhash::report::Message;
use npm_registry::{Options, plain_client};

use super::RemoteArgs;
use crate::cli::env::Environment;
use crate::cli::output::Fatal;

/// Opens the place at a location.
pub(super) fn open(
    location: &CacheLocation,
    environment: &Environment,
    options: &Options,
    patience: RetryLimits,
    write: bool,
) -> Result<Result<Storage, OpenError>, Fatal> {
    let http = plain_client(options).map_err(|error| Fatal::new(&error))?;
    let around = Surroundings {
        variable: &|name| environment.text(name).map(str::to_owned),
        home: environment.home(),
        // Where Nix's own client has it. A repository may name the place: what opens registries and code hosts is not for it.
        authorization: &|url| options.access.of_netrc(url),
        http,
    };
    Ok(Storage::open(location, &around, patience, write))
}

/// The key that is to sign.
pub(super) fn sign_key(
    args: &RemoteArgs,
    environment: &Environment,
) -> Result<Option<Arc<SecretKey>>, Fatal> {
    args.sign_key.as_deref().map(|file| read_key(&environment.absolute(file))).transpose()
}

fn read_key(file: &Path) -> Result<Arc<SecretKey>, Fatal> {
    let cannot = |cause: String| {
        let message = Message::plain(format!("cannot sign with {}", file.display()));
        Fatal(message.caused_by(&cause))
    };
    let text = fs::read_to_string(file).map_err(|error| cannot(error.to_string()))?;
    SecretKey::parse(&text).map(Arc::new).map_err(|error| cannot(error.to_string()))
}

/// Why a place cannot be opened, for people.
pub(super) fn unopened(location: &CacheLocation, error: &OpenError) -> Message {
    Message::plain(format!("{location} cannot be used")).caused_by(error).hinting(advice_on(error))
}
