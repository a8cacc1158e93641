//! Versions 2 and 3: the flat map `packages`.

use serde::Deserialize;
use url::Url;

use super::{
    dependency::{Found, ProblemKind, Raw},
    text::{Entries, Flag, Text},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    version: Text,
    #[serde(default)]
    resolved: Text,
    #[serde(default)]
    integrity: Text,
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
pub(super) fn collect(packages: Option<Entries<Entry>>) -> Found {
    let mut found = Found::default();
    for (path, entry) in packages.map(|entries| entries.0).unwrap_or_default() {
        // The key "" is the project itself.
        if !path.is_empty() {
            collect_one(path, entry, &mut found);
        }
    }
    found
}

fn collect_one(path: String, entry: Entry, found: &mut Found) {
    let Some(resolved) = entry.resolved.0 else {
        // Links, bundled packages and workspace folders come with the project or with another package; without a
        // version an optional entry stands in for one that the registry does not have.
        let absent = entry.optional.0 && entry.version.0.is_none();
        if !entry.link.0 && !entry.in_bundle.0 && !absent && is_installed(&path) {
            found.skip(path, entry.version.0);
        }
        return;
    };
    match Url::parse(&resolved) {
        Ok(url) if url.scheme() == "file" => {}
        Ok(url) => found.add(Raw {
            name: entry.name.0.unwrap_or_else(|| package_name(&path).to_owned()),
            version: entry.version.0,
            url,
            integrity: entry.integrity.0,
            platform_specific: entry.os.0 || entry.cpu.0,
            place: path,
        }),
        Err(_) if entry.link.0 => {}
        Err(_) => found.problem(&path, ProblemKind::NotAUrl(resolved)),
    }
}

/// Whether the path is one that npm installs into, rather than a folder of the project.
fn is_installed(path: &str) -> bool {
    path.starts_with("node_modules/") || path.contains("/node_modules/")
}

/// The package name that an install path ends with.
fn package_name(path: &str) -> &str {
    path.rsplit_once("node_modules/").map_or(path, |(_, name)| name)
}
