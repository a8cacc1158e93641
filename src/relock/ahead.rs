//! What npm will ask the registry, asked beforehand and many questions at once.
//!
//! npm asks about one package after the other: of the 6.3 s that it takes for eslint's 77, five pass in waiting. Here the
//! dependencies are followed as well as they can be without resolving them (the newest release in each range that somebody
//! names), and the registry's answers are put where npm looks first: into the cache that it has for this one resolution.
//!
//! npm still decides everything. What is missing there it asks itself, what is too much it does not look at, and the answers
//! are those that it would get; so nothing that goes wrong here is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use std::{fmt, fs, io};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use npm_lockfile::in_step::is_optional_peer;
use npm_registry::Client;
use npm_registry::packages::{self, PackageName, Packument, Selector};
use npm_tarballs::cacache::{IndexEntry, PACKUMENT_ACCEPTS};
use npm_tarballs::integrity::{ContentId, hex};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::debug;

/// Questions at once.
const AT_ONCE: usize = 48;

/// Packages that are asked about. Larger trees are npm's business from there on.
const PACKAGES: usize = 2_000;

/// Bytes of answers.
const BYTES: usize = 256 << 20;

/// How long it may take: longer than npm's waiting would.
const TIME: Duration = Duration::from_secs(30);

/// Whom to ask ahead of npm: it asks about one package after the other, and finds in its cache what was asked before.
#[derive(Clone)]
pub struct Ahead {
    /// The registry's client.
    pub client: Client,
    /// Where it works.
    pub runtime: Handle,
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").finish_non_exhaustive()
    }
}

/// Puts answers about what `manifest` depends on into npm's cache in `cache`.
pub(super) fn fill(ahead: &Ahead, manifest: &[u8], cache: &Path) {
    let Ok(manifest) = serde_json::from_slice::<Map<String, Value>>(manifest) else { return };
    let mut search = Prefetch { client: &ahead.client, cache, asked: BTreeMap::new(), bytes: 0 };
    let ended = ahead.runtime.block_on(async { timeout(TIME, search.run(&manifest)).await });
    debug!(packages = search.asked.len(), bytes = search.bytes, whole = ended.is_ok(), "asked ahead of npm");
}

/// The packages that were asked about.
struct Prefetch<'a> {
    client: &'a Client,
    cache: &'a Path,
    asked: BTreeMap<PackageName, Asked>,
    bytes: usize,
}

/// What is known of one.
#[derive(Default)]
struct Asked {
    packument: Option<Packument>,
    /// The releases that somebody wants, by what they say.
    wanted: BTreeSet<String>,
    /// Versions whose dependencies were followed.
    followed: BTreeSet<String>,
}

impl Prefetch<'_> {
    async fn run(&mut self, manifest: &Map<String, Value>) {
        let mut due = dependencies(manifest, true);
        let mut answers = FuturesUnordered::new();
        loop {
            while answers.len() < AT_ONCE
                && let Some((name, range)) = due.pop()
            {
                let is_new = !self.asked.contains_key(&name);
                // Not the end: those behind it may be of packages that were asked about.
                if is_new && self.asked.len() >= PACKAGES {
                    continue;
                }
                self.asked.entry(name.clone()).or_default().wanted.insert(range);
                if is_new {
                    answers.push(ask(self.client, name));
                } else {
                    due.extend(self.follow(&name));
                }
            }
            let Some((name, answer)) = answers.next().await else { return };
            let Some((url, body)) = answer else { continue };
            self.bytes += body.len();
            if self.bytes > BYTES || keep(self.cache, &url, &body).is_err() {
                return;
            }
            if let Some(asked) = self.asked.get_mut(&name) {
                asked.packument = Packument::parse(&name, &body).ok();
            }
            due.extend(self.follow(&name));
        }
    }

    /// What the wanted releases of a package depend on that was not followed yet.
    fn follow(&mut self, name: &PackageName) -> Vec<(PackageName, String)> {
        let Some(asked) = self.asked.get_mut(name) else { return Vec::new() };
        let Some(packument) = &asked.packument else { return Vec::new() };
        let mut found = Vec::new();
        for range in std::mem::take(&mut asked.wanted) {
            let Ok(release) = packument.select(&Selector::parse(&range)) else { continue };
            if asked.followed.insert(release.version) {
                found.extend(dependencies(&release.manifest, false));
            }
        }
        found
    }
}

async fn ask(client: &Client, name: PackageName) -> (PackageName, Option<(String, Bytes)>) {
    let answer = packages::answer(client, &name).await.ok();
    (name, answer.map(|(url, body)| (url.into(), body)))
}

/// What npm installs with a package: names, and the ranges or tags that are wanted of them.
fn dependencies(manifest: &Map<String, Value>, is_root: bool) -> Vec<(PackageName, String)> {
    let kinds: &[&str] = if is_root {
        &["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"]
    } else {
        &["dependencies", "optionalDependencies", "peerDependencies"]
    };
    let mut found = Vec::new();
    for kind in kinds {
        let Some(Value::Object(entries)) = manifest.get(*kind) else { continue };
        let entries = entries
            .iter()
            .filter(|(name, _)| *kind != "peerDependencies" || !is_optional_peer(manifest, name));
        let wanted = entries.filter_map(|(name, spec)| PackageName::of_dependency(name, spec.as_str()?));
        found.extend(wanted.map(|(name, range)| (name, range.to_owned())));
    }
    found
}

/// Writes an answer as npm's cache has it.
fn keep(cache: &Path, url: &str, body: &[u8]) -> io::Result<()> {
    let content = ContentId::sha512_of(body);
    put(cache, "content-v2/sha512", &content.hex(), body)?;
    let entry =
        |accept| IndexEntry { url: url.to_owned(), integrity: content.sri(), content, accept: Some(accept) };
    // npm finds an answer only under the `accept` that it asks with, and which of the two that is depends on what it
    // is doing. Each line begins with its line feed, as cacache appends them.
    let lines = PACKUMENT_ACCEPTS.map(|accept| format!("\n{}", entry(accept).line(body.len() as u64)));
    put(cache, "index-v5", &hex(&entry(PACKUMENT_ACCEPTS[0]).bucket()), lines.concat().as_bytes())
}

fn put(cache: &Path, kind: &str, digest: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = cache.join("_cacache").join(kind).join(&digest[..2]).join(&digest[2..4]);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(&digest[4..]), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_npm_installs_with_a_package() {
        let manifest = serde_json::json!({
            "dependencies": { "a": "1", "odd": 7 },
            "devDependencies": { "dev": "2" },
            "optionalDependencies": { "fsevents": "3" },
            "peerDependencies": { "react": "4", "maybe": "5" },
            "peerDependenciesMeta": { "maybe": { "optional": true } },
        });
        let names = |is_root| -> Vec<String> {
            let found = dependencies(manifest.as_object().unwrap(), is_root);
            found.iter().map(|(name, _)| name.as_str().to_owned()).collect()
        };
        assert_eq!(names(true), ["a", "dev", "fsevents", "react"]);
        assert_eq!(names(false), ["a", "fsevents", "react"]);
    }
}
