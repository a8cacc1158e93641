//! Versions 2 and 3: the flat map `packages`.

use std::borrow::Cow;

use serde::Deserialize;

use super::{
    dependency::{Found, ProblemKind, Raw},
    text::{Entries, Flag, Text},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(borrow, default)]
    resolved: Text<'a>,
    #[serde(borrow, default)]
    integrity: Text<'a>,
    #[serde(default)]
    link: Flag,
    #[serde(default)]
    in_bundle: Flag,
    #[serde(default)]
    optional: Flag,
    #[serde(default)]
    os: Flag,
    #[serde(default)]
    cpu: Flag,
}

/// Gathers what is fetched. A lockfile without the map has nothing to fetch.
pub(super) fn collect(packages: Option<Entries<'_, Entry<'_>>>) -> Found {
    let entries = packages.map(|entries| entries.0).unwrap_or_default();
    let mut found = Found::with_capacity(entries.len());
    for (path, entry) in entries {
        // The key "" is the project itself.
        if !path.is_empty() {
            collect_one(path, entry, &mut found);
        }
    }
    found
}

fn collect_one(path: Cow<'_, str>, entry: Entry<'_>, found: &mut Found) {
    let Some(resolved) = entry.resolved.as_deref() else {
        // Links, bundled packages and workspace folders come with the project or with another package; without a
        // version an optional entry stands in for one that the registry does not have.
        let absent = entry.optional.0 && entry.version.0.is_none();
        if !entry.link.0 && !entry.in_bundle.0 && !absent && is_installed(&path) {
            found.skip(path.into_owned(), entry.version.into_owned());
        }
        return;
    };
    match found.urls.read(resolved) {
        Ok(url) if url.scheme() == "file" => {}
        Ok(url) => found.add(Raw {
            name: entry.name.into_owned().unwrap_or_else(|| package_name(&path).to_owned()),
            version: entry.version.into_owned(),
            url,
            integrity: entry.integrity.as_deref(),
            platform_specific: entry.os.0 || entry.cpu.0,
            place: path.into_owned(),
        }),
        Err(_) if entry.link.0 => {}
        Err(_) => found.problem(&path, ProblemKind::NotAUrl(resolved.to_owned())),
    }
}

/// Whether the path is one that npm installs into, rather than a folder of the project.
fn is_installed(path: &str) -> bool {
    path.starts_with("node_modules/") || path.contains("/node_modules/")
}

/// The package name that an install path ends with.
fn package_name(path: &str) -> &str {
    let mut slashes = path.rmatch_indices('/');
    let before_name = slashes.find(|(at, _)| path[..*at].ends_with("node_modules"));
    before_name.map_or(path, |(at, _)| &path[at + 1..])
}
