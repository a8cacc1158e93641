//! What nixpkgs' build does to a lockfile before `npm ci` runs offline: integrities are made those of the cache.
//!
//! A lockfile may name one URL with several integrities, of which the cache holds the strongest; and the integrity of
//! a git dependency is that of an archive npm would have packed, not of the one in the cache, so it goes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use error_advice::Advise;
use serde_json::{Map, Value};
use url::Url;

use super::is_git;

/// From URL to integrity, as [`npm_tarballs::cacache::CacheMap`] reads it out of a cache.
type Integrities = BTreeMap<String, String>;

/// Why a lockfile cannot be fixed up.
#[derive(Debug, thiserror::Error)]
pub enum FixupError {
    /// Not a JSON object.
    #[error("not a lockfile")]
    Json(#[from] serde_json::Error),
    /// A format that has never existed, or none stated.
    #[error("unsupported lockfileVersion {0}: only 1, 2 and 3 exist")]
    Version(String),
    /// An install would ask the cache for something that it does not hold.
    #[error("{place}: the cache holds nothing for {url}")]
    NotCached {
        /// Where the entry stands in the lockfile.
        place: String,
        /// The entry's URL.
        url: String,
    },
}

impl Advise for FixupError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NotCached { .. } => Some(
                "the cache was made from another lockfile: bring npmDepsHash up to date with this one".into(),
            ),
            Self::Json(_) | Self::Version(_) => None,
        }
    }
}

/// The lockfile with the cache's integrities, as compact JSON with sorted keys; `None` if nothing has to change.
///
/// Without `cache`, only the integrities of git dependencies go.
///
/// # Errors
/// The text is not a lockfile, or it needs something that the cache does not hold.
pub fn fixup(text: &[u8], cache: Option<&Integrities>) -> Result<Option<Vec<u8>>, FixupError> {
    // serde_json's map is ordered by key, and so is what is written.
    let mut lockfile: Map<String, Value> = serde_json::from_slice(text)?;
    let version = lockfile.get("lockfileVersion").cloned().unwrap_or_default();
    let mut fixup = Fixup { cache, changed: false };
    match version.as_u64() {
        Some(1) => fixup.dependencies(&mut lockfile, "")?,
        Some(2 | 3) => {
            fixup.packages(&mut lockfile)?;
            if fixup.changed {
                // What version 2 repeats for old clients would now contradict the rest.
                lockfile.remove("dependencies");
            }
        }
        _ => return Err(FixupError::Version(version.to_string())),
    }
    if fixup.changed { Ok(Some(serde_json::to_vec(&lockfile)?)) } else { Ok(None) }
}

struct Fixup<'a> {
    cache: Option<&'a Integrities>,
    changed: bool,
}

impl Fixup<'_> {
    fn packages(&mut self, lockfile: &mut Map<String, Value>) -> Result<(), FixupError> {
        for (place, entry) in objects(lockfile, "packages") {
            self.entry(place, entry, "git+")?;
        }
        Ok(())
    }

    /// Version 1. The parser bounds the nesting, and so this recursion.
    fn dependencies(&mut self, parent: &mut Map<String, Value>, parents: &str) -> Result<(), FixupError> {
        for (name, entry) in objects(parent, "dependencies") {
            let place = if parents.is_empty() { name.clone() } else { format!("{parents} > {name}") };
            // This prefix, and `git+` in the newer versions, are those that nixpkgs' own tool looks for.
            self.entry(&place, entry, "git+ssh://")?;
            self.dependencies(entry, &place)?;
        }
        Ok(())
    }

    fn entry(&mut self, place: &str, entry: &mut Map<String, Value>, git: &str) -> Result<(), FixupError> {
        let text = |field| entry.get(field).and_then(Value::as_str);
        let (Some(url), Some(integrity)) = (text("resolved"), text("integrity")) else { return Ok(()) };
        let fixed = if url.starts_with(git) {
            None
        } else {
            let Some(cache) = self.cache else { return Ok(()) };
            match cached(cache, url) {
                Some(cached) if cached == integrity => return Ok(()),
                Some(cached) => Some(Value::from(cached)),
                None => match absent(entry, url) {
                    Absent::Expected => return Ok(()),
                    Absent::Git => None,
                    Absent::Missing => {
                        return Err(FixupError::NotCached { place: place.to_owned(), url: url.to_owned() });
                    }
                },
            }
        };
        self.changed = true;
        match fixed {
            Some(integrity) => drop(entry.insert("integrity".to_owned(), integrity)),
            None => drop(entry.remove("integrity")),
        }
        Ok(())
    }
}

/// The objects in a field that is an object.
fn objects<'a>(
    parent: &'a mut Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = (&'a String, &'a mut Map<String, Value>)> {
    let entries = parent.get_mut(field).and_then(Value::as_object_mut);
    entries.into_iter().flatten().filter_map(|(name, entry)| Some((name, entry.as_object_mut()?)))
}

/// What the cache has for a URL as the lockfile writes it, or as the URL standard does.
fn cached<'a>(cache: &'a Integrities, url: &str) -> Option<&'a str> {
    let standard = || cache.get(Url::parse(url).ok()?.as_str());
    cache.get(url).or_else(standard).map(String::as_str)
}

/// What it means that the cache holds nothing for an entry.
enum Absent {
    /// It is never fetched: a file of the project, or bundled with its parent.
    Expected,
    /// A git dependency in another writing; the cache holds its archive under the archive's own URL.
    Git,
    /// The install would fail.
    Missing,
}

fn absent(entry: &Map<String, Value>, url: &str) -> Absent {
    let bundled = entry.get("bundled") == Some(&Value::Bool(true));
    match Url::parse(url) {
        Ok(url) if is_git(url.scheme()) => Absent::Git,
        Ok(url) if url.scheme() == "file" => Absent::Expected,
        Ok(_) if !bundled => Absent::Missing,
        _ => Absent::Expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(&str, &str)]) -> Integrities {
        entries.iter().map(|(url, integrity)| ((*url).to_owned(), (*integrity).to_owned())).collect()
    }

    fn fixed(text: &str, entries: &[(&str, &str)]) -> Option<String> {
        fixup(text.as_bytes(), Some(&cache(entries))).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn packages_get_the_caches_integrity_and_git_ones_none() {
        let text = r#"{ "version": "1", "lockfileVersion": 2, "dependencies": {"a": {}}, "packages": {
            "": {"name": "x"},
            "node_modules/b": {"resolved": "https://h/b.tgz", "integrity": "sha1-b"},
            "node_modules/a": {"resolved": "https://h/a.tgz", "integrity": "sha512-a"},
            "node_modules/g": {"resolved": "git+https://github.com/a/g.git#c", "integrity": "sha512-g"},
            "node_modules/l": {"resolved": "lib", "link": true}
        }}"#;
        let expected = concat!(
            r#"{"lockfileVersion":2,"packages":{"":{"name":"x"},"#,
            r#""node_modules/a":{"integrity":"sha512-a","resolved":"https://h/a.tgz"},"#,
            r#""node_modules/b":{"integrity":"sha512-b","resolved":"https://h/b.tgz"},"#,
            r#""node_modules/g":{"resolved":"git+https://github.com/a/g.git#c"},"#,
            r#""node_modules/l":{"link":true,"resolved":"lib"}},"version":"1"}"#
        );
        let entries = [("https://h/a.tgz", "sha512-a"), ("https://h/b.tgz", "sha512-b")];
        assert_eq!(fixed(text, &entries).as_deref(), Some(expected));
        assert_eq!(fixed(expected, &entries), None, "a second time nothing is left to do");
    }

    #[test]
    fn version_1_is_walked_to_the_bottom() {
        let text = r#"{"lockfileVersion": 1, "dependencies": {
            "a": {"version": "1.0.0", "resolved": "https://h/a.tgz", "integrity": "sha512-a", "dependencies": {
                "b": {"resolved": "https://h/b.tgz", "integrity": "sha1-b"},
                "g": {"resolved": "git+ssh://git@github.com/a/g.git#c", "integrity": "sha512-g"}}}}}"#;
        let expected = concat!(
            r#"{"dependencies":{"a":{"dependencies":{"b":{"integrity":"sha512-b","resolved":"https://h/b.tgz"},"#,
            r#""g":{"resolved":"git+ssh://git@github.com/a/g.git#c"}},"#,
            r#""integrity":"sha512-a","resolved":"https://h/a.tgz","version":"1.0.0"}},"lockfileVersion":1}"#
        );
        let entries = [("https://h/a.tgz", "sha512-a"), ("https://h/b.tgz", "sha512-b")];
        assert_eq!(fixed(text, &entries).as_deref(), Some(expected));
    }

    #[test]
    fn without_a_cache_only_git_dependencies_change() {
        let text = br#"{"lockfileVersion": 3, "packages": {"n": {"resolved": "https://h/a", "integrity": "sha1-a"}}}"#;
        assert_eq!(fixup(text, None).unwrap(), None);
    }

    #[test]
    fn what_is_never_fetched_may_be_missing_and_the_rest_may_not() {
        let entry = |resolved: &str, more: &str| {
            format!(
                r#"{{"lockfileVersion":1,"dependencies":{{"a":{{"integrity":"sha1-a","resolved":"{resolved}"{more}}}}}}}"#
            )
        };
        assert_eq!(fixed(&entry("file:a.tgz", ""), &[]), None);
        assert_eq!(fixed(&entry("https://h/a", r#","bundled":true"#), &[]), None);
        assert!(!fixed(&entry("git://github.com/a/b.git#c", ""), &[]).unwrap().contains("integrity"));
        let error = fixup(entry("https://h/a", "").as_bytes(), Some(&cache(&[]))).unwrap_err();
        assert_eq!(error.to_string(), "a: the cache holds nothing for https://h/a");
        assert_eq!(
            error.advice().as_deref(),
            Some("the cache was made from another lockfile: bring npmDepsHash up to date with this one")
        );
        assert_eq!(FixupError::Version("4".to_owned()).advice(), None);
        assert!(fixed(&entry("HTTPS://H/a", ""), &[("https://h/a", "sha1-b")]).unwrap().contains("sha1-b"));
    }

    #[test]
    fn what_is_no_lockfile_is_refused() {
        for text in ["", "[]", "{}", r#"{"lockfileVersion":4}"#, r#"{"lockfileVersion":"1"}"#] {
            assert!(fixup(text.as_bytes(), None).is_err(), "{text}");
        }
        assert_eq!(fixup(br#"{"lockfileVersion":1}"#, None).unwrap(), None);
    }
}
