//! What of a lockfile has to be downloaded, and what of that lacks something.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::need::{reached, wanted_by};
use super::{Completeness, Gap, Limits, Need, Respelled};
use crate::canonical_url::UrlReader;
use crate::entries::{Flat, Nested};
use crate::packages::{is_installed, package_name};
use crate::text::Entries;
use crate::{CanonicalUrl, is_git};

/// What has been gathered of a lockfile so far.
#[derive(Default)]
pub(super) struct GapCollector {
    urls: UrlReader,
    completeness: Completeness,
    /// URLs of which some entry has an integrity.
    vouched: Vec<CanonicalUrl>,
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

impl GapCollector {
    /// `serde_json` bounds the nesting, and so this recursion.
    pub(super) fn collect_nested(&mut self, entries: &Entries<'_, Nested<'_>>, parents: &str) {
        for (name, entry) in &entries.list {
            // With everything below it.
            if entry.bundled.0 {
                continue;
            }
            let place = crate::v1::join(parents, name);
            if let Some(nested) = &entry.dependencies {
                self.collect_nested(nested, &place);
            }
            // Without it there is nothing to ask for; nixpkgs' fetcher refuses that by itself, as it does what is not text.
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

    pub(super) fn collect_flat(&mut self, packages: &Entries<'_, Flat<'_>>) {
        for (place, entry) in &packages.list {
            let resolved = entry.resolved.as_deref();
            // Without a version an optional entry stands in for one that the registry does not have.
            let absent = entry.optional.0 && entry.version.as_deref().is_none() && resolved.is_none();
            // What is not text is refused by nixpkgs' fetcher, and is not what an entry lacks.
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
        // What is not a URL at all is refused or passed over elsewhere, and is not what an entry *lacks*.
        if is_git(scheme) || is_shorthand(scheme) || (url.is_none() && download.resolved.is_some()) {
            return;
        }
        let has_integrity = download.integrity.is_some_and(|text| !text.trim().is_empty());
        if let (Some(url), Some(written), true) = (&url, download.resolved, has_integrity) {
            self.note_respelled(download.place, written, url);
            self.vouched.push(url.clone());
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

    /// Marks the gaps that nothing leads to.
    pub(super) fn mark_needed(&mut self, packages: &Entries<'_, Flat<'_>>, manifest: Option<&[u8]>) {
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
    pub(super) fn assume_needed(&mut self, manifest: Option<&[u8]>) {
        let stated = manifest.is_some_and(|manifest| !wanted_by(manifest).is_empty());
        for gap in self.completeness.gaps.iter_mut().filter(|_| !stated) {
            gap.need = Need::Unknown;
        }
    }

    pub(super) fn into_completeness(self) -> Completeness {
        let Self { mut completeness, vouched, gap_urls, .. } = self;
        if !gap_urls.is_empty() {
            let vouched: HashSet<CanonicalUrl> = vouched.into_iter().collect();
            for (number, url) in gap_urls {
                completeness.gaps[number].has_twin = vouched.contains(&url);
            }
        }
        completeness
    }
}

/// `github:user/project`, which version 1 writes in the place of a git URL.
fn is_shorthand(scheme: &str) -> bool {
    matches!(scheme, "github" | "gitlab" | "bitbucket" | "gist")
}
