//! The flags.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ErrorKind};
use error_advice::advice_on;
use nix_binary_cache::location::{CacheLocation, LocationError};

use crate::cli::args::RemoteMode;

const PUBLISH: &str = "Also write the npm-deps outputs into this Nix binary cache, under the names that their derivations have: \
file:///dir, s3://bucket/prefix, gs://, az:// or https://; may be given several times";

#[derive(Debug, Args)]
#[command(next_help_heading = "Binary caches")]
pub(in crate::cli) struct PublishArgs {
    /// Where the outputs go besides.
    #[arg(long, help = PUBLISH, value_name = "URL", value_parser = LocationParser("--publish"))]
    pub(super) publish: Vec<CacheLocation>,
}

impl PublishArgs {
    /// Whether anything is to be published, by the command line alone.
    pub(in crate::cli) fn wanted(&self) -> bool {
        !self.publish.is_empty()
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Binary caches")]
pub(in crate::cli) struct PublishedArgs {
    /// Also say which outputs this binary cache lacks, and count that as drift; may be given several times; without a URL those
    /// that npm-nixhash.toml names
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", value_parser = TargetParser)]
    pub(super) published: Vec<PublishedTarget>,
}

/// Caches to look into.
#[derive(Debug, Clone)]
pub(super) enum PublishedTarget {
    /// Those of the team.
    Configured,
    /// One.
    At(Box<CacheLocation>),
}

/// Reads what follows `--published`.
#[derive(Debug, Clone)]
struct TargetParser;

impl TypedValueParser for TargetParser {
    type Value = PublishedTarget;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<PublishedTarget, clap::Error> {
        if value.is_empty() {
            return Ok(PublishedTarget::Configured);
        }
        LocationParser("--published").parse_ref(command, arg, value).map(Box::new).map(PublishedTarget::At)
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Network and cache")]
pub(in crate::cli) struct RemoteArgs {
    /// Share remembered hashes with other machines in this object store [or set `NPM_NIXHASH_REMOTE`]
    #[arg(long, value_name = "URL", value_parser = LocationParser("--remote"))]
    pub(super) remote: Option<CacheLocation>,
    /// Whether to read from it, write to it, or both [default: both; or set `NPM_NIXHASH_REMOTE_MODE`]
    #[arg(long, value_name = "MODE", value_enum)]
    pub(super) remote_mode: Option<RemoteMode>,
    /// Share verified tarballs there, too [or set `NPM_NIXHASH_REMOTE_TARBALLS`]
    #[arg(long, conflicts_with = "no_remote")]
    pub(super) remote_tarballs: bool,
    /// Share nothing, whatever else is configured
    #[arg(long, conflicts_with = "remote")]
    pub(super) no_remote: bool,
    /// Sign what is shared or published with this secret key in Nix's format, NAME:BASE64
    #[arg(long, value_name = "FILE")]
    pub(super) sign_key: Option<PathBuf>,
}

/// Reads a location. An error does not repeat what was given, as clap's own would: it may hold a password.
#[derive(Debug, Clone)]
struct LocationParser(&'static str);

impl TypedValueParser for LocationParser {
    type Value = CacheLocation;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<CacheLocation, clap::Error> {
        let text = value.to_str().ok_or(LocationError::NoUrl);
        text.and_then(str::parse).map_err(|error: LocationError| {
            let hint = advice_on(&error).map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            let message = format!("invalid value for '{} <URL>': {error}{hint}\n", self.0);
            let mut said = clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command);
            said.remove(ContextKind::InvalidValue);
            said
        })
    }
}
