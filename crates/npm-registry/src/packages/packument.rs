//! The registry's document about a name.

use std::collections::BTreeMap;

use bytes::Bytes;
use nodejs_semver::{Range, Version};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::{PackageError, PackageName, Release};
use crate::{Client, Get, Purpose};

/// The largest packument that is read, in bytes.
const LIMIT: usize = 256 << 20;

/// What npm itself accepts for an install.
const ABBREVIATED: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

/// What the registry says about a name. Releases are read only when they are asked for: there may be thousands.
#[derive(Debug)]
pub struct Packument {
    name: PackageName,
    tags: BTreeMap<String, String>,
    versions: BTreeMap<String, Box<RawValue>>,
    times: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct PackumentDocument {
    #[serde(default, rename = "dist-tags")]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    versions: BTreeMap<String, Box<RawValue>>,
    /// Values other than texts (`unpublished`) are of no interest.
    #[serde(default)]
    time: BTreeMap<String, serde_json::Value>,
}

/// Which release is meant: a version, a range, or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// This one.
    Exact(String),
    /// The newest in this range, the `latest` one if it is in it.
    Range(String),
    /// The one that this tag names.
    Tag(String),
}

/// Why a selector selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// No such tag.
    #[error("there is no tag `{}`", .0.escape_debug())]
    NoTag(String),
    /// Nothing in the range.
    #[error("no release is in the range `{}`", .0.escape_debug())]
    Empty(String),
}

impl Selector {
    /// What stands behind the `@` of `NAME@VERSION`, as npm reads it; nothing means `latest`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        // Before ranges, which a version is as well: of a release that is not there the neighbours are told.
        if let Ok(version) = Version::parse(text) {
            return Self::Exact(version.to_string());
        }
        match Range::parse(text) {
            _ if text.is_empty() => Self::Tag("latest".to_owned()),
            Ok(_) => Self::Range(text.to_owned()),
            Err(_) => Self::Tag(text.to_owned()),
        }
    }
}

impl Packument {
    /// Reads the registry's answer.
    ///
    /// # Errors
    /// The answer is not a packument.
    pub fn parse(name: &PackageName, body: &[u8]) -> Result<Self, PackageError> {
        let wrong = |source| PackageError::Packument { name: name.clone(), source };
        let document: PackumentDocument = serde_json::from_slice(body).map_err(wrong)?;
        let text = |(version, time): (String, serde_json::Value)| Some((version, time.as_str()?.to_owned()));
        let times = document.time.into_iter().filter_map(text).collect();
        Ok(Self { name: name.clone(), tags: document.tags, versions: document.versions, times })
    }

    /// The bytes that it takes up in memory, roughly.
    #[must_use]
    pub fn size(&self) -> usize {
        self.versions.values().map(|entry| entry.get().len()).sum()
    }

    /// The release with exactly this version.
    ///
    /// # Errors
    /// There is none, or the registry's entry cannot be used.
    pub fn release(&self, version: &str) -> Result<Release, PackageError> {
        let missing = || PackageError::NoRelease {
            name: self.name.clone(),
            version: version.chars().take(80).collect(),
            nearest: self.nearest(version),
        };
        let entry = self.versions.get(version).ok_or_else(missing)?;
        let published = self.times.get(version).and_then(|time| humantime::parse_rfc3339(time).ok());
        Release::parse(&self.name, version, entry, published)
    }

    /// The last version before one that is not there, and the first one after it.
    fn nearest(&self, version: &str) -> Vec<String> {
        let Ok(wanted) = Version::parse(version) else { return Vec::new() };
        let all: Vec<Version> = self.versions.keys().filter_map(|text| Version::parse(text).ok()).collect();
        let before = all.iter().filter(|version| **version < wanted).max();
        let after = all.iter().filter(|version| **version > wanted).min();
        before.into_iter().chain(after).map(ToString::to_string).collect()
    }

    /// The release that is meant.
    ///
    /// # Errors
    /// None is, or the registry's entry cannot be used.
    pub fn select(&self, selector: &Selector) -> Result<Release, PackageError> {
        let wrong = |source| PackageError::Selector { name: self.name.clone(), source };
        match selector {
            Selector::Exact(version) => self.release(version),
            Selector::Tag(tag) => {
                let version = self.tags.get(tag).ok_or_else(|| wrong(SelectorError::NoTag(tag.clone())))?;
                self.release(version)
            }
            Selector::Range(range) => {
                let version =
                    self.newest_in(range).ok_or_else(|| wrong(SelectorError::Empty(range.clone())))?;
                self.release(&version)
            }
        }
    }

    /// `latest` if the range has it, as npm prefers it; else the greatest.
    fn newest_in(&self, range: &str) -> Option<String> {
        let range = Range::parse(range).ok()?;
        let inside = |text: &String| {
            let version = Version::parse(text).ok()?;
            version.satisfies(&range).then(|| (version, text.clone()))
        };
        let latest = self.tags.get("latest").filter(|version| self.versions.contains_key(*version));
        if let Some((_, latest)) = latest.and_then(inside) {
            return Some(latest);
        }
        self.versions.keys().filter_map(inside).max_by(|a, b| a.0.cmp(&b.0)).map(|(_, text)| text)
    }
}

/// Asks the registry about a name.
///
/// # Errors
/// It cannot be asked, knows no such name, or answers something else.
pub async fn fetch(client: &Client, name: &PackageName) -> Result<Packument, PackageError> {
    fetch_as(client, name, "application/json").await
}

/// The same without what an install does not need, if the registry has that form: descriptions, times of publication.
///
/// # Errors
/// As above.
pub async fn fetch_abbreviated(client: &Client, name: &PackageName) -> Result<Packument, PackageError> {
    fetch_as(client, name, ABBREVIATED).await
}

/// The registry's answer about a name as it is, and the URL that npm would ask for it.
///
/// # Errors
/// As above, but that the answer is not read.
pub async fn answer(client: &Client, name: &PackageName) -> Result<(Url, Bytes), PackageError> {
    let access = &client.options().access;
    let url = access.locate(&access.registry_url(name.scope(), &name.packument_path()), true);
    Ok((url, answer_as(client, name, "application/json").await?))
}

async fn fetch_as(client: &Client, name: &PackageName, accept: &str) -> Result<Packument, PackageError> {
    Packument::parse(name, &answer_as(client, name, accept).await?)
}

async fn answer_as(client: &Client, name: &PackageName, accept: &str) -> Result<Bytes, PackageError> {
    let url = client.options().access.registry_url(name.scope(), &name.packument_path());
    let get = Get {
        url: &url,
        scope: name.scope(),
        purpose: Purpose::Package,
        accept,
        limit: LIMIT,
        registry: true,
        gzip: true,
        may_be_missing: true,
    };
    let reply = client
        .get(&get)
        .await
        .map_err(|source| PackageError::Fetch { name: name.clone(), source: Box::new(source) })?;
    if reply.status == StatusCode::NOT_FOUND {
        return Err(PackageError::Unknown { name: name.clone() });
    }
    Ok(reply.bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn packument() -> Packument {
        let entry = |version: &str| {
            let integrity = npm_tarballs::integrity::ContentId::sha512_of(version.as_bytes()).sri();
            let tarball = format!("https://registry/a/-/a-{version}.tgz");
            json!({ "name": "a", "version": version, "dist": { "tarball": tarball, "integrity": integrity } })
        };
        let versions: serde_json::Map<_, _> = ["1.0.0", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0"]
            .map(|version| (version.to_owned(), entry(version)))
            .into_iter()
            .collect();
        let document = json!({
            "name": "a", "dist-tags": { "latest": "1.9.0", "next": "2.0.0-rc.1" }, "versions": versions,
            "time": { "1.0.0": "2020-01-02T03:04:05.678Z", "unpublished": { "by": "me" } },
        });
        Packument::parse(&PackageName::parse("a").unwrap(), document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn selectors_are_read_as_npm_reads_them() {
        assert_eq!(Selector::parse(""), Selector::Tag("latest".into()));
        assert_eq!(Selector::parse("next"), Selector::Tag("next".into()));
        assert_eq!(Selector::parse("1.2.3"), Selector::Exact("1.2.3".into()));
        assert_eq!(Selector::parse("v1.2.3"), Selector::Exact("1.2.3".into()));
        for range in ["1", "^1.2", "~1.2.3", ">=1 <2", "1.x || 2", "*"] {
            assert_eq!(Selector::parse(range), Selector::Range(range.into()));
        }
    }

    #[test]
    fn the_release_that_npm_would_take() {
        let packument = packument();
        let chosen = |text: &str| packument.select(&Selector::parse(text)).map(|release| release.version);
        for (text, version) in [
            ("", "1.9.0"),
            ("next", "2.0.0-rc.1"),
            ("1.10.0", "1.10.0"),
            ("^1", "1.9.0"),
            ("^1.9.1", "1.10.0"),
            ("2", "2.0.0"),
            ("*", "1.9.0"),
        ] {
            assert_eq!(chosen(text).unwrap(), version, "{text}");
        }
        for text in ["3", "old", "9.9.9"] {
            assert!(chosen(text).is_err(), "{text}");
        }
        for (text, nearest) in [
            ("1.9.5", "; the nearest are 1.9.0 and 1.10.0"),
            ("9.9.9", "; the nearest is 2.0.0"),
            ("0.1.0", "; the nearest is 1.0.0"),
        ] {
            let error = packument.release(text).unwrap_err().to_string();
            assert_eq!(error, format!("the registry has no a@{text}{nearest}"));
        }
        assert!(packument.release("1.0.0").unwrap().published.is_some());
        assert!(packument.release("1.9.0").unwrap().published.is_none());
    }
}
