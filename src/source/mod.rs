//! Sources that are not in the repository: where they come from, what they hold, and what their hash is.
//!
//! [`resolve`] turns a fetcher's call into an [`Origin`] and what the repository records of its hash, or says why it
//! cannot. [`fetch`] brings all origins of a run and hashes them as Nix does: a file's bytes, or the archive's tree,
//! which is unpacked in memory. Nothing is judged here; what a mismatch means is for [`crate::drift`] to say.

pub mod archive;
mod arguments;
mod code_host;
pub mod digest;
mod fetch;
mod forge;
mod git_url;
pub mod head;
mod input;
mod look;
mod nar;
mod npm;
pub mod origin;
pub mod patch;
pub mod tokens;
mod zip;

use digest::{Recorded, SourceDigest};
pub use fetch::{FetchedSource, SourceFailure, SourceRequest, fetch};
pub use look::{Excerpt, LookError, SourcePlace};
use nix_sites::{AttributeValue, HASHES, HashText, Literal, RemoteKind, RemoteSource, SourceAttribute};
pub use npm::{NpmFailure, NpmServices, Relock, TarballQuestion, Word};
use origin::{Origin, Unsupported};
pub use zip::ZipError;

/// A source whose origin is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Where it comes from.
    pub origin: Origin,
    /// What is recorded of its hash.
    pub recorded: Recorded,
    /// The token that records it, if it is one.
    pub literal: Option<Literal>,
}

/// Reads a fetcher's call.
///
/// # Errors
/// When it is not a plain download, or something about it is not known.
pub fn resolve(source: &RemoteSource) -> Result<Resolved, Unsupported> {
    let origin = Origin::of(source)?;
    if source.kind == RemoteKind::FlakeInput {
        return Ok(Resolved { origin, recorded: input::recorded(source)?, literal: None });
    }
    if is_pinned_by_commit(source) {
        return Ok(Resolved { origin, recorded: Recorded::Commit, literal: None });
    }
    let (attribute, written) = written(source)?;
    let recorded = Recorded::read(&attribute.name, &written);
    let unreadable = || Unsupported(format!("`{}` of `{}` is not a hash", attribute.name, source.fetcher));
    Ok(Resolved { origin, recorded: recorded.ok_or_else(unreadable)?, literal: attribute.literal.clone() })
}

/// Whether a source has no hash and needs none: Nix fetches the commit that it names.
fn is_pinned_by_commit(source: &RemoteSource) -> bool {
    matches!(source.kind, RemoteKind::BuiltinFetchGit | RemoteKind::FetchTree)
        && HASHES.iter().all(|name| source.attribute(name).is_none())
        && source.text("rev").is_some_and(forge::is_commit)
}

/// The attribute that records the hash, and what it says.
fn written(source: &RemoteSource) -> Result<(&SourceAttribute, HashText), Unsupported> {
    let given: Vec<_> = HASHES.iter().filter_map(|name| source.attribute(name)).collect();
    let [attribute] = given.as_slice() else {
        let count = if given.is_empty() { "no hash" } else { "several hashes" };
        return Err(Unsupported(format!("`{}` has {count}", source.fetcher)));
    };
    match (&attribute.literal, &attribute.value) {
        (Some(literal), _) => Ok((attribute, literal.written.clone())),
        (None, AttributeValue::Text(text)) => Ok((attribute, HashText::parse(text))),
        _ => Err(Unsupported(format!("the hash of `{}` is not known", source.fetcher))),
    }
}

/// The hash that is recorded for a source, whatever its origin.
fn recorded(source: &RemoteSource) -> Option<SourceDigest> {
    let (attribute, written) = written(source).ok()?;
    Recorded::read(&attribute.name, &written)?.known().cloned()
}
