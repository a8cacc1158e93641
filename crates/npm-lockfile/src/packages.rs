//! Versions 2 and 3: the flat map `packages`.

use std::borrow::Cow;

use npm_tarballs::integrity::Candidate;
use serde::Deserialize;

use super::dependency::{DependencyCollector, ProblemKind, Raw, verdict, wrong_types};
use super::text::{Entries, Flag, Text};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PackageEntry<'a> {
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
pub(super) fn collect(packages: Option<Entries<'_, PackageEntry<'_>>>) -> DependencyCollector {
    let entries = packages.unwrap_or_default();
    let mut found = DependencyCollector::with_capacity(entries.list.len());
    for (path, entry) in &entries.replaced {
        found.problems(path, faults(entry));
    }
    for (path, entry) in entries.list {
        collect_one(path, entry, &mut found);
    }
    found
}

/// Looks at what nixpkgs reads of every entry, wherever it stands; gives the strongest integrity.
///
/// # Errors
/// What nixpkgs refuses the whole lockfile for.
fn examine(entry: &PackageEntry<'_>) -> Result<Option<Candidate>, Vec<ProblemKind>> {
    let PackageEntry { name, version, resolved, integrity, .. } = entry;
    let fields = [("name", name), ("version", version), ("resolved", resolved), ("integrity", integrity)];
    verdict(wrong_types(&fields), integrity)
}

fn faults(entry: &PackageEntry<'_>) -> Vec<ProblemKind> {
    examine(entry).err().unwrap_or_default()
}

/// What nixpkgs would refuse a map for that it only reads.
pub(super) fn all_faults(entries: &Entries<'_, PackageEntry<'_>>) -> Vec<(String, ProblemKind)> {
    let faults = |(path, entry): &(Cow<'_, str>, PackageEntry<'_>)| {
        let path = path.to_string();
        faults(entry).into_iter().map(move |kind| (path.clone(), kind))
    };
    entries.all().flat_map(faults).collect()
}

fn collect_one(path: Cow<'_, str>, entry: PackageEntry<'_>, found: &mut DependencyCollector) {
    let integrity = match examine(&entry) {
        Ok(integrity) => integrity,
        Err(kinds) => {
            return found.problems(if path.is_empty() { "the root package" } else { &path }, kinds);
        }
    };
    // The key "" is the project itself.
    if path.is_empty() {
        return;
    }
    let Some(resolved) = entry.resolved.as_deref() else {
        // Links, bundled packages and workspace folders come with the project or with another package; without a
        // version an optional entry stands in for one that the registry does not have.
        let absent = entry.optional.0 && entry.version.as_deref().is_none();
        if !entry.link.0 && !entry.in_bundle.0 && !absent && is_installed(&path) {
            found.skip(path.into_owned(), entry.version.into_owned());
        }
        return;
    };
    match found.urls.read(resolved) {
        Ok(url) if url.scheme() == "file" => {}
        Ok(url) => found.add(Raw {
            name: package_name(entry.name.as_deref().unwrap_or(&path)).to_owned(),
            version: entry.version.into_owned(),
            url,
            integrity,
            platform_specific: entry.os.0 || entry.cpu.0,
            place: path.into_owned(),
        }),
        // A link's `resolved` is a folder of the project.
        Err(_) if entry.link.0 => {}
        Err(_) => found.problem(&path, ProblemKind::NotAUrl(resolved.to_owned())),
    }
}

/// Whether the path is one that npm installs into, rather than a folder of the project.
#[must_use]
pub fn is_installed(path: &str) -> bool {
    path.starts_with("node_modules/") || path.contains("/node_modules/")
}

/// The package name that an install path ends with.
#[must_use]
pub fn package_name(path: &str) -> &str {
    let mut slashes = path.rmatch_indices('/');
    let before_name = slashes.find(|(at, _)| path[..*at].ends_with("node_modules"));
    before_name.map_or(path, |(at, _)| &path[at + 1..])
}
