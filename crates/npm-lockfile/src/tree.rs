//! A lockfile as those read it who do not hash: for what an offline install needs ([`completeness`](crate::completeness)), and for what
//! `npm ci` asks ([`in_step`](crate::in_step)).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::entries::{Flat, Nested};
use super::text::{Entries, Object};
use super::{LockfileError, explain, utf8};

/// The entries of a lockfile, borrowed from its bytes.
pub struct LockedTree<'a>(pub(super) LockedEntries<'a>);

pub(super) enum LockedEntries<'a> {
    /// Of versions 2 and 3, by their places.
    Flat(Entries<'a, Flat<'a>>),
    /// Of version 1, by their names.
    Nested(Entries<'a, Nested<'a>>),
}

#[derive(Deserialize)]
struct TreeDocument<'a> {
    #[serde(rename = "lockfileVersion")]
    version: u64,
    #[serde(borrow, default)]
    packages: Option<Entries<'a, Flat<'a>>>,
    // Version 2 has everything a second time in here, for npm 6: of no interest to npm 7.
    #[serde(borrow, default)]
    dependencies: Option<&'a RawValue>,
}

impl<'a> LockedTree<'a> {
    /// Reads a lockfile.
    ///
    /// # Errors
    /// When the bytes are not a lockfile.
    pub fn read(lockfile: &'a [u8]) -> Result<Self, LockfileError> {
        let text = utf8(lockfile)?;
        let document: Object<TreeDocument> =
            serde_json::from_str(text).map_err(|error| explain(text, error))?;
        let TreeDocument { version, packages, dependencies } = document.0;
        if version != 1 {
            return Ok(Self(LockedEntries::Flat(packages.unwrap_or_default())));
        }
        let nested = dependencies.map(|entries| serde_json::from_str(entries.get())).transpose();
        Ok(Self(LockedEntries::Nested(nested.map_err(|error| explain(text, error))?.unwrap_or_default())))
    }
}
