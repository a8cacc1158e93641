//! Entries with everything that is told of them, for those who do not hash: what nixpkgs' fetcher reads of them, and refuses a
//! lockfile for, stands in `v1` and `packages`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::text::{Entries, Flag, Names, Text, Words};

/// An entry of version 1.
#[derive(Deserialize)]
pub(super) struct Nested<'a> {
    #[serde(borrow, default)]
    pub(super) version: Text<'a>,
    #[serde(borrow, default)]
    pub(super) resolved: Text<'a>,
    #[serde(borrow, default)]
    pub(super) integrity: Text<'a>,
    #[serde(default)]
    pub(super) bundled: Flag,
    #[serde(borrow, default)]
    pub(super) dependencies: Option<Entries<'a, Nested<'a>>>,
}

/// An entry of versions 2 and 3.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flat<'a> {
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) version: Text<'a>,
    #[serde(borrow, default)]
    pub(super) resolved: Text<'a>,
    #[serde(borrow, default)]
    pub(super) integrity: Text<'a>,
    #[serde(default)]
    pub(super) link: Flag,
    #[serde(default)]
    pub(super) in_bundle: Flag,
    #[serde(default)]
    pub(super) optional: Flag,
    #[serde(borrow, default)]
    pub(super) os: Words<'a>,
    #[serde(borrow, default)]
    pub(super) cpu: Words<'a>,
    #[serde(borrow, default)]
    pub(super) libc: Words<'a>,
    // What it depends on is text until somebody asks: of most entries nobody does, and a name costs as much as the rest of them.
    #[serde(borrow, default)]
    pub(super) dependencies: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) dev_dependencies: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) optional_dependencies: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) peer_dependencies: Option<&'a RawValue>,
}

impl<'a> Flat<'a> {
    /// The names it depends on.
    pub(super) fn edges(&self, dev: bool) -> impl Iterator<Item = Cow<'a, str>> {
        let own = [self.dependencies, self.optional_dependencies, self.peer_dependencies];
        own.into_iter().chain([self.dev_dependencies.filter(|_| dev)]).flat_map(names)
    }
}

/// The names that a field of dependencies has.
pub(super) fn names(field: Option<&RawValue>) -> Vec<Cow<'_, str>> {
    let names = field.map(|field| serde_json::from_str::<Names>(field.get()).unwrap_or_default());
    names.unwrap_or_default().0
}
