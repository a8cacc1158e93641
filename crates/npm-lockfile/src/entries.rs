//! Entries with everything that is told of them, for those who do not hash: what nixpkgs' fetcher reads of them, and refuses a
//! lockfile for, stands in `v1` and `packages`.

use std::borrow::Cow;

use serde::Deserialize;

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
    #[serde(borrow, default)]
    pub(super) dependencies: Names<'a>,
    #[serde(borrow, default)]
    pub(super) dev_dependencies: Names<'a>,
    #[serde(borrow, default)]
    pub(super) optional_dependencies: Names<'a>,
    #[serde(borrow, default)]
    pub(super) peer_dependencies: Names<'a>,
}

impl<'a> Flat<'a> {
    /// The names it depends on.
    pub(super) fn edges(&self, dev: bool) -> impl Iterator<Item = &Cow<'a, str>> {
        let own = [&self.dependencies, &self.optional_dependencies, &self.peer_dependencies];
        own.into_iter().chain(dev.then_some(&self.dev_dependencies)).flat_map(|names| &names.0)
    }
}
