//! Whether a lockfile holds what an offline install needs: of every package that `npm ci` would have to download the
//! URL (`resolved`) and what its bytes are checked against (`integrity`).
//!
//! npm writes neither for registry packages with `omit-lockfile-registry-resolved`, and drops both where it writes a
//! lockfile from an installed tree (npm/cli#4460). nixpkgs' fetcher passes such entries over, so there is a hash, but the
//! build that uses it ends with `ENOTCACHED`.
//!
//! Not downloaded, so never lacking anything: the project and its workspaces, links, `file:` packages, what is bundled
//! into another package's tarball, and what nothing in the lockfile depends on, which `npm ci` prunes before it
//! downloads. Git dependencies need no integrity.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use serde::Deserialize;

use super::{
    CanonicalUrl, LockfileError,
    canonical_url::UrlReader,
    hosted_git::is_git,
    packages::{is_installed, package_name},
    text::{Entries, Flag, Names, Text, Words},
};

use crate::redaction::redacted;

mod platform;

pub use platform::{Limits, System};

/// What a lockfile has of what an offline install needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completeness {
    /// Number of entries that have to be downloaded.
    pub packages: usize,
    /// Those that lack something, in file order.
    pub gaps: Vec<Gap>,
    /// URLs that are not written as the URL standard writes them, in file order.
    pub respelled: Vec<Respelled>,
}

/// An entry that lacks something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where it stands: an install path, or of version 1 the chain of names (`a > b`).
    pub place: String,
    /// The package's name; of an alias the real one.
    pub name: String,
    /// Its version, if the entry has one.
    pub version: Option<String>,
    /// It has no usable `resolved`.
    pub no_resolved: bool,
    /// It has no `integrity`.
    pub no_integrity: bool,
    /// Another entry for the same URL has an integrity, which serves for both once the tree is fetched by URL.
    pub has_twin: bool,
    /// Whether something depends on it.
    pub need: Need,
    /// The platforms it is limited to, if it is only optional.
    pub limits: Option<Limits>,
}

/// Whether an install wants an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The project depends on it, if by others.
    Yes,
    /// Nothing does.
    No,
    /// Nobody says what the project depends on: neither its lockfile nor a manifest that is at hand.
    Unknown,
}

/// A `resolved` that nixpkgs' build looks up as it is written, and does not find: it panics (nixpkgs#496687).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respelled {
    /// Where the entry stands.
    pub place: String,
    /// What it says.
    pub written: String,
    /// The same URL as the URL standard writes it.
    pub canonical: CanonicalUrl,
}

impl Gap {
    /// Whether a build that fetches by URL, as `fetchNpmDeps` does, breaks on it on one of these systems.
    ///
    /// Without any system known, a package that is limited to some platforms and only optional counts as one for others.
    #[must_use]
    pub fn breaks(&self, systems: &[System]) -> bool {
        if self.no_resolved {
            return self.is_wanted(systems);
        }
        // nixpkgs' fetcher refuses a URL without integrity, whoever wants it.
        self.no_integrity && !self.has_twin
    }

    /// The same for `importNpmLock`, which takes each entry by itself.
    #[must_use]
    pub fn breaks_import(&self, systems: &[System]) -> bool {
        if self.no_resolved { self.is_wanted(systems) } else { self.no_integrity }
    }

    fn is_wanted(&self, systems: &[System]) -> bool {
        let elsewhere = |limits: &Limits| !systems.iter().any(|system| limits.admit(system));
        self.need != Need::No && !self.limits.as_ref().is_some_and(elsewhere)
    }
}

/// A lockfile that cannot be installed from offline, as people are told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Incomplete {
    /// Number of packages that have to be downloaded.
    pub packages: usize,
    /// `name@version` of those without `resolved`, each once.
    pub no_resolved: Vec<String>,
    /// `name@version` of those without `integrity`, likewise.
    pub no_integrity: Vec<String>,
}

impl Completeness {
    /// Looks at a lockfile. `manifest` is the `package.json` beside it, whose dependencies count as wanted besides those
    /// that the lockfile says the project has.
    ///
    /// # Errors
    /// When the bytes are no lockfile.
    pub fn of(lockfile: &[u8], manifest: Option<&[u8]>) -> Result<Self, LockfileError> {
        let text = super::utf8(lockfile)?;
        let document: Document = serde_json::from_str(text).map_err(|error| super::explain(text, error))?;
        let mut found = Found::default();
        if document.version == 1 {
            found.collect_nested(&document.dependencies.unwrap_or_default(), "");
            found.assume_needed(manifest);
        } else {
            let packages = document.packages.unwrap_or_default();
            found.collect_flat(&packages);
            found.mark_needed(&packages, manifest);
        }
        Ok(found.into_completeness())
    }

    /// What `fetchNpmDeps` breaks on, if it does on one of these systems.
    #[must_use]
    pub fn incomplete(&self, systems: &[System]) -> Option<Incomplete> {
        self.judged(|gap| gap.breaks(systems))
    }

    /// What `fetchNpmDeps` passes over although the lockfile itself says that an install wants it.
    #[must_use]
    pub fn passed_over(&self) -> Option<Incomplete> {
        self.judged(|gap| gap.no_resolved && gap.need == Need::Yes && gap.breaks(&[]))
    }

    /// What `importNpmLock` breaks on, likewise.
    #[must_use]
    pub fn incomplete_for_import(&self, systems: &[System]) -> Option<Incomplete> {
        self.judged(|gap| gap.breaks_import(systems))
    }

    fn judged(&self, breaks: impl Fn(&Gap) -> bool) -> Option<Incomplete> {
        let named = |lacks: fn(&Gap) -> bool| {
            let mut seen = BTreeSet::new();
            let gaps = self.gaps.iter().filter(|gap| lacks(gap) && breaks(gap)).map(Gap::spec);
            gaps.filter(|name| seen.insert(name.clone())).collect::<Vec<_>>()
        };
        let (no_resolved, no_integrity) = (named(|gap| gap.no_resolved), named(|gap| gap.no_integrity));
        let complete = no_resolved.is_empty() && no_integrity.is_empty();
        (!complete).then_some(Incomplete { packages: self.packages, no_resolved, no_integrity })
    }
}

impl Gap {
    /// `name@version`.
    #[must_use]
    pub fn spec(&self) -> String {
        let version = self.version.as_deref().map(|version| format!("@{}", redacted(version)));
        self.name.clone() + &version.unwrap_or_default()
    }
}

/// Names in a message before the rest is only counted.
const LISTED: usize = 3;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packages, no_resolved, no_integrity } = self;
        if no_resolved == no_integrity {
            return lacking(f, no_resolved, *packages, "`resolved` and no `integrity`");
        }
        if !no_resolved.is_empty() {
            lacking(f, no_resolved, *packages, "`resolved`")?;
        }
        if !no_resolved.is_empty() && !no_integrity.is_empty() {
            f.write_str("; ")?;
        }
        if !no_integrity.is_empty() {
            lacking(f, no_integrity, *packages, "`integrity`")?;
        }
        Ok(())
    }
}

/// `72 of 133 packages have no X: a, b, c and 69 more`.
fn lacking(f: &mut fmt::Formatter<'_>, names: &[String], all: usize, what: &str) -> fmt::Result {
    let (shown, rest) = names.split_at(names.len().min(LISTED));
    let have = if names.len() == 1 { "has" } else { "have" };
    write!(f, "{} of {all} packages {have} no {what}: {}", names.len(), shown.join(", "))?;
    if rest.is_empty() { Ok(()) } else { write!(f, " and {} more", rest.len()) }
}

/// The parts of a lockfile that say what is downloaded.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "lockfileVersion")]
    version: u64,
    #[serde(borrow, default)]
    dependencies: Option<Entries<'a, Nested<'a>>>,
    #[serde(borrow, default)]
    packages: Option<Entries<'a, Flat<'a>>>,
}

/// An entry of version 1.
#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(borrow, default)]
    resolved: Text<'a>,
    #[serde(borrow, default)]
    integrity: Text<'a>,
    #[serde(default)]
    bundled: Flag,
    #[serde(borrow, default)]
    dependencies: Option<Entries<'a, Nested<'a>>>,
}

/// An entry of versions 2 and 3.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flat<'a> {
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
    #[serde(borrow, default)]
    os: Words<'a>,
    #[serde(borrow, default)]
    cpu: Words<'a>,
    #[serde(borrow, default)]
    libc: Words<'a>,
    #[serde(borrow, default)]
    dependencies: Names<'a>,
    #[serde(borrow, default)]
    dev_dependencies: Names<'a>,
    #[serde(borrow, default)]
    optional_dependencies: Names<'a>,
    #[serde(borrow, default)]
    peer_dependencies: Names<'a>,
}

/// What has been gathered of a lockfile so far.
#[derive(Default)]
struct Found {
    urls: UrlReader,
    completeness: Completeness,
    /// URLs of which some entry has an integrity.
    vouched: BTreeSet<CanonicalUrl>,
    /// The URL of each gap that has one, by its number.
    gap_urls: BTreeMap<usize, CanonicalUrl>,
}

/// What both formats say of an entry that comes from a registry or another server.
struct Download<'a> {
    place: &'a str,
    name: &'a str,
    version: Option<&'a str>,
    resolved: Option<&'a str>,
    integrity: Option<&'a str>,
}

impl Found {
    /// `serde_json` bounds the nesting, and so this recursion.
    fn collect_nested(&mut self, entries: &Entries<'_, Nested<'_>>, parents: &str) {
        for (name, entry) in &entries.list {
            // With everything below it.
            if entry.bundled.0 {
                continue;
            }
            let place = super::v1::join(parents, name);
            if let Some(nested) = &entry.dependencies {
                self.collect_nested(nested, &place);
            }
            // Without it there is nothing to ask for; nixpkgs' fetcher refuses that by itself, as it does what is no text.
            let Some(version) = entry.version.as_deref() else { continue };
            if entry.resolved.other().or(entry.integrity.other()).is_some() {
                continue;
            }
            let (name, version, resolved) = match version.split_once(':') {
                Some(("npm", alias)) => {
                    let (real, version) = alias.rsplit_once('@').filter(|(real, _)| !real.is_empty()).unzip();
                    (real.unwrap_or(name), version, entry.resolved.as_deref())
                }
                // A URL in the place of the version is where it comes from.
                Some(_) => (&**name, None, Some(version)),
                None => (&**name, Some(version), entry.resolved.as_deref()),
            };
            let integrity = entry.integrity.as_deref();
            self.add(&Download { place: &place, name, version, resolved, integrity }, None);
        }
    }

    fn collect_flat(&mut self, packages: &Entries<'_, Flat<'_>>) {
        for (place, entry) in &packages.list {
            let resolved = entry.resolved.as_deref();
            // Without a version an optional entry stands in for one that the registry does not have.
            let absent = entry.optional.0 && entry.version.as_deref().is_none() && resolved.is_none();
            // What is no text is refused by nixpkgs' fetcher, and is not what an entry lacks.
            let refused = entry.resolved.other().or(entry.integrity.other()).is_some();
            if entry.link.0 || entry.in_bundle.0 || absent || refused || !is_installed(place) {
                continue;
            }
            let limits = Limits::of(&entry.os.0, &entry.cpu.0, &entry.libc.0).filter(|_| entry.optional.0);
            let download = Download {
                place,
                name: entry.name.as_deref().unwrap_or_else(|| package_name(place)),
                version: entry.version.as_deref(),
                resolved,
                integrity: entry.integrity.as_deref(),
            };
            self.add(&download, limits);
        }
    }

    fn add(&mut self, download: &Download<'_>, limits: Option<Limits>) {
        let url = download.resolved.and_then(|text| self.urls.read(text).ok());
        let scheme = url.as_ref().map_or("", CanonicalUrl::scheme);
        if scheme == "file" {
            return;
        }
        self.completeness.packages += 1;
        // What is no URL at all is refused or passed over elsewhere, and is not what an entry *lacks*.
        if is_git(scheme) || is_shorthand(scheme) || (url.is_none() && download.resolved.is_some()) {
            return;
        }
        let has_integrity = download.integrity.is_some_and(|text| !text.trim().is_empty());
        if let (Some(url), Some(written), true) = (&url, download.resolved, has_integrity) {
            self.note_respelled(download.place, written, url);
            self.vouched.insert(url.clone());
        }
        if url.is_some() && has_integrity {
            return;
        }
        self.gap_urls.extend(url.clone().map(|url| (self.completeness.gaps.len(), url)));
        self.completeness.gaps.push(Gap {
            place: download.place.to_owned(),
            name: download.name.to_owned(),
            version: download.version.map(str::to_owned),
            no_resolved: url.is_none(),
            no_integrity: !has_integrity,
            has_twin: false,
            need: Need::Yes,
            limits,
        });
    }

    fn note_respelled(&mut self, place: &str, written: &str, url: &CanonicalUrl) {
        if written != url.as_str() {
            let (place, written) = (place.to_owned(), written.to_owned());
            self.completeness.respelled.push(Respelled { place, written, canonical: url.clone() });
        }
    }

    /// Marks the gaps that nothing leads to. Edges go by name, as Node searches: ranges do not matter here.
    fn mark_needed(&mut self, packages: &Entries<'_, Flat<'_>>, manifest: Option<&[u8]>) {
        if self.completeness.gaps.is_empty() {
            return;
        }
        let known: HashMap<&str, &Flat<'_>> =
            packages.list.iter().map(|(place, entry)| (&**place, entry)).collect();
        let wanted = manifest.map(wanted_by);
        let says = |entry: &&Flat<'_>| entry.edges(true).next().is_some();
        let stated =
            wanted.is_some() || known.iter().any(|(place, entry)| !is_installed(place) && says(entry));
        let reached = reached(&known, &wanted.unwrap_or_default());
        for gap in &mut self.completeness.gaps {
            gap.need = match () {
                () if reached.contains(gap.place.as_str()) => Need::Yes,
                () if stated => Need::No,
                () => Need::Unknown,
            };
        }
    }

    /// Version 1 does not say what the project itself depends on; where a manifest does, all that is locked is for that.
    fn assume_needed(&mut self, manifest: Option<&[u8]>) {
        let stated = manifest.is_some_and(|manifest| !wanted_by(manifest).is_empty());
        for gap in self.completeness.gaps.iter_mut().filter(|_| !stated) {
            gap.need = Need::Unknown;
        }
    }

    fn into_completeness(self) -> Completeness {
        let Self { mut completeness, vouched, gap_urls, .. } = self;
        for (number, url) in gap_urls {
            completeness.gaps[number].has_twin = vouched.contains(&url);
        }
        completeness
    }
}

/// `github:user/project`, which version 1 writes in the place of a git URL.
fn is_shorthand(scheme: &str) -> bool {
    matches!(scheme, "github" | "gitlab" | "bitbucket" | "gist")
}

impl<'a> Flat<'a> {
    /// The names it depends on.
    fn edges(&self, dev: bool) -> impl Iterator<Item = &Cow<'a, str>> {
        let own = [&self.dependencies, &self.optional_dependencies, &self.peer_dependencies];
        own.into_iter().chain(dev.then_some(&self.dev_dependencies)).flat_map(|names| &names.0)
    }
}

/// The places that the project and its workspaces lead to.
fn reached<'a>(known: &HashMap<&'a str, &Flat<'_>>, wanted: &[String]) -> BTreeSet<&'a str> {
    let mut reached: BTreeSet<&str> = known.keys().copied().filter(|place| !is_installed(place)).collect();
    let mut queue: Vec<&str> = reached.iter().copied().collect();
    for place in wanted.iter().filter_map(|name| find(known, "", name)) {
        if reached.insert(place) {
            queue.push(place);
        }
    }
    while let Some(place) = queue.pop() {
        // Of installed packages npm leaves out what only their developers need.
        for name in known[place].edges(!is_installed(place)) {
            if let Some(target) = find(known, place, name).filter(|target| reached.insert(target)) {
                queue.push(target);
            }
        }
    }
    reached
}

/// The names that a manifest depends on.
fn wanted_by(manifest: &[u8]) -> Vec<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    let of =
        |field: &str| manifest.get(field)?.as_object().map(|names| names.keys().cloned().collect::<Vec<_>>());
    DEPENDENCY_FIELDS.iter().filter_map(|field| of(field)).flatten().collect()
}

/// The fields of a manifest that name what a project depends on.
pub(super) const DEPENDENCY_FIELDS: [&str; 4] =
    ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];

/// Node's search: in the package's own folder, then in those around it.
fn find<'a>(known: &HashMap<&'a str, &Flat<'_>>, from: &str, name: &str) -> Option<&'a str> {
    let mut folder = from;
    loop {
        let slash = if folder.is_empty() { "" } else { "/" };
        let place = format!("{folder}{slash}node_modules/{name}");
        if let Some((place, _)) = known.get_key_value(place.as_str()) {
            return Some(place);
        }
        if folder.is_empty() {
            return None;
        }
        folder = folder.rfind("node_modules/").map_or("", |at| folder[..at].trim_end_matches('/'));
    }
}

#[cfg(test)]
mod tests;
