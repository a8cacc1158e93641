//! One release: its tarball, and what the registry vouches for.

use std::time::SystemTime;

use npm_tarballs::integrity::{Algorithm, ContentId, Integrity, unhex};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

use super::signature::Signature;
use super::{PackageError, PackageName, published_at};
use crate::Access;

/// A published version of a package.
#[derive(Debug, Clone)]
pub struct Release {
    /// The package.
    pub name: PackageName,
    /// Its version.
    pub version: String,
    /// Its tarball.
    pub dist: Dist,
    /// When it was published, if the registry tells.
    pub published: Option<SystemTime>,
    /// The registry's copy of its `package.json`. The one in the tarball is the one that counts.
    pub manifest: Map<String, Value>,
}

/// What the registry says of a tarball.
#[derive(Debug, Clone)]
pub struct Dist {
    /// Where it is.
    pub tarball: Url,
    /// What its bytes are: `integrity`, or for releases from before 2017 the sha1 `shasum`.
    pub integrity: Integrity,
    /// The sha1 of its bytes, where the registry tells it, whatever else it tells.
    pub shasum: Option<ContentId>,
    /// The signatures over name, version and integrity.
    pub signatures: Vec<Signature>,
}

/// Whether the registry vouches for some bytes from some URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouch {
    /// They are this release's tarball.
    Yes,
    /// The URL names another package or version.
    OtherRelease,
    /// The registry says the tarball is something else.
    OtherBytes {
        /// What it says.
        expected: ContentId,
    },
}

#[derive(Deserialize)]
struct RawDist {
    tarball: String,
    integrity: Option<String>,
    shasum: Option<String>,
    #[serde(default)]
    signatures: Vec<Signature>,
}

impl Release {
    pub(super) fn parse(
        name: &PackageName,
        version: &str,
        entry: &RawValue,
        published: Option<SystemTime>,
    ) -> Result<Self, PackageError> {
        let wrong = |reason: String| PackageError::Release {
            name: name.clone(),
            version: version.to_owned(),
            reason,
        };
        let manifest: Map<String, Value> =
            serde_json::from_str(entry.get()).map_err(|error| wrong(error.to_string()))?;
        for (field, expected) in [("name", name.as_str()), ("version", version)] {
            if manifest.get(field).and_then(Value::as_str) != Some(expected) {
                return Err(wrong(format!("its {field} is another")));
            }
        }
        let dist = manifest.get("dist").cloned().unwrap_or_default();
        let dist: RawDist = serde_json::from_value(dist).map_err(|error| wrong(format!("dist: {error}")))?;
        let tarball = Url::parse(&dist.tarball).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let tarball = tarball.ok_or_else(|| wrong("its tarball has no web address".to_owned()))?;
        let integrity = integrity(dist.integrity.as_deref(), dist.shasum.as_deref())
            .ok_or_else(|| wrong("it has neither integrity nor shasum".to_owned()))?
            .map_err(|source| PackageError::Integrity {
                name: name.clone(),
                version: version.to_owned(),
                source,
            })?;
        let shasum = dist.shasum.as_deref().and_then(sha1);
        let dist = Dist { tarball, integrity, shasum, signatures: dist.signatures };
        Ok(Self { name: name.clone(), version: version.to_owned(), dist, published, manifest })
    }

    /// The address to write down: that of the public registry if the package is asked for there, even if another one
    /// stood in for it.
    #[must_use]
    pub fn public_url(&self, access: &Access) -> Url {
        let own = published_at(&self.dist.tarball)
            .is_some_and(|found| found.name == self.name && found.version == self.version);
        if own && !access.has_registry(self.name.scope()) {
            access.registry_url(None, &self.name.tarball_path(&self.version))
        } else {
            self.dist.tarball.clone()
        }
    }

    /// Whether the registry vouches for bytes that came from `url` and are `got`.
    ///
    /// `got` must be of the algorithm of [`Dist::integrity`]: hash with [`npm_tarballs::integrity::Hasher`] by that one.
    #[must_use]
    pub fn vouches_for(&self, url: &Url, got: &ContentId) -> Vouch {
        let same_place =
            published_at(url).is_some_and(|found| found.name == self.name && found.version == self.version);
        let expected = self.dist.integrity.id();
        match () {
            () if !same_place && *url != self.dist.tarball => Vouch::OtherRelease,
            () if expected == *got => Vouch::Yes,
            () => Vouch::OtherBytes { expected },
        }
    }
}

type Parsed = Result<Integrity, npm_tarballs::integrity::IntegrityError>;

fn integrity(sri: Option<&str>, shasum: Option<&str>) -> Option<Parsed> {
    match sri.filter(|text| !text.trim().is_empty()) {
        Some(text) => Some(Integrity::strongest_of(text)),
        None => Some(Ok(sha1(shasum?)?.into())),
    }
}

fn sha1(hex: &str) -> Option<ContentId> {
    ContentId::new(Algorithm::Sha1, &unhex(hex)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(dist: &Value) -> Result<Release, PackageError> {
        let entry = json!({ "name": "a", "version": "1.0.0", "dist": dist });
        let entry = RawValue::from_string(entry.to_string()).unwrap();
        Release::parse(&PackageName::parse("a").unwrap(), "1.0.0", &entry, None)
    }

    #[test]
    fn the_registry_vouches_for_its_own_bytes_alone() {
        let right = ContentId::sha512_of(b"right");
        let release = parse(&json!({ "tarball": "https://r/a/-/a-1.0.0.tgz", "integrity": right.sri() }));
        let release = release.unwrap();
        let vouch = |url: &str, bytes: &[u8]| {
            release.vouches_for(&Url::parse(url).unwrap(), &ContentId::sha512_of(bytes))
        };
        assert_eq!(vouch("https://r/a/-/a-1.0.0.tgz", b"right"), Vouch::Yes);
        assert_eq!(vouch("https://mirror/npm/a/-/a-1.0.0.tgz", b"right"), Vouch::Yes);
        assert_eq!(vouch("https://r/a/-/a-1.0.0.tgz", b"wrong"), Vouch::OtherBytes { expected: right });
        assert_eq!(vouch("https://r/a/-/a-1.0.1.tgz", b"right"), Vouch::OtherRelease);
        assert_eq!(vouch("https://r/b/-/b-1.0.0.tgz", b"right"), Vouch::OtherRelease);
    }

    #[test]
    fn old_releases_have_a_shasum() {
        let release = parse(
            &json!({ "tarball": "https://r/a.tgz", "shasum": "da39a3ee5e6b4b0d3255bfef95601890afd80709" }),
        );
        assert_eq!(release.unwrap().dist.integrity.text(), "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let sri = ContentId::sha512_of(b"").sri();
        for (dist, part) in [
            (json!(null), "dist: "),
            (json!({ "tarball": "https://r/a.tgz" }), "neither integrity nor shasum"),
            (json!({ "tarball": "https://r/a.tgz", "shasum": "zz" }), "neither integrity nor shasum"),
            (json!({ "tarball": "file:///etc/passwd", "integrity": sri }), "no web address"),
            (json!({ "tarball": "https://r/a.tgz", "integrity": "md5-x" }), "integrity of a@1.0.0"),
        ] {
            let message = parse(&dist).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
