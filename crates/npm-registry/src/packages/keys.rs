//! The keys with which a registry signs what it publishes.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

use super::{PackageError, PackageName};
use crate::{Client, Get, Problem, Purpose};

/// The largest key document that is read, in bytes.
const LIMIT: usize = 1 << 20;

/// The one kind of key that registries sign with.
const SCHEME: &str = "ecdsa-sha2-nistp256";

/// A `SubjectPublicKeyInfo` of a P-256 key is these bytes and the point (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Bytes of an uncompressed point.
const POINT: usize = 65;

/// A registry's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// How signatures name it.
    pub id: String,
    /// From when on it signs nothing; releases from before keep their signatures.
    pub expires: Option<SystemTime>,
    /// The uncompressed point on P-256.
    pub(super) point: Vec<u8>,
}

#[derive(Deserialize)]
struct KeysDocument {
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
struct RawKey {
    keyid: String,
    #[serde(default)]
    scheme: String,
    #[serde(default)]
    expires: Option<String>,
    key: String,
}

impl Key {
    /// `None` if it is of another kind, or its end cannot be read: such a key vouches for nothing.
    fn of(raw: RawKey) -> Option<Self> {
        let expires = raw.expires.as_deref().map(humantime::parse_rfc3339).transpose().ok()?;
        let der = BASE64.decode(&raw.key).ok().filter(|_| raw.scheme == SCHEME)?;
        let point = der.strip_prefix(&SPKI).filter(|point| point.len() == POINT)?.to_vec();
        Some(Self { id: raw.keyid, expires, point })
    }

    /// Reads a registry's key document.
    ///
    /// # Errors
    /// It is none. Keys of other kinds are left out.
    pub fn parse(body: &[u8]) -> Result<Vec<Self>, PackageError> {
        let document: KeysDocument = serde_json::from_slice(body).map_err(PackageError::Keys)?;
        Ok(document.keys.into_iter().filter_map(Self::of).collect())
    }
}

/// Where the registry that publishes `name` tells its keys.
#[must_use]
pub fn keys_url(client: &Client, name: &PackageName) -> Url {
    client.options().access.registry_url(name.scope(), "-/npm/v1/keys")
}

/// The keys of the registry that publishes `name`; none if it signs nothing.
///
/// # Errors
/// It cannot be asked, or answers something else.
pub async fn keys(client: &Client, name: &PackageName) -> Result<Vec<Key>, PackageError> {
    let url = keys_url(client, name);
    let get = Get {
        url: &url,
        scope: name.scope(),
        purpose: Purpose::Package,
        accept: "application/json",
        limit: LIMIT,
        registry: true,
        gzip: true,
        may_be_missing: true,
    };
    match client.get(&get).await {
        Ok(reply) if reply.status == StatusCode::NOT_FOUND => Ok(Vec::new()),
        Ok(reply) => Key::parse(&reply.bytes),
        // A registry that does not know the question has no keys; mirrors refuse it in many ways. Code that wants a
        // signature gets none by that.
        Err(error) if matches!(error.problem, Problem::Status { status, .. } if status.is_client_error()) => {
            Ok(Vec::new())
        }
        Err(source) => Err(PackageError::Fetch { name: name.clone(), source: Box::new(source) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kinds_of_keys_are_left_out() {
        let right = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg==";
        let key = |id: &str, scheme: &str, key: &str, expires: &str| {
            format!(r#"{{"keyid":"{id}","scheme":"{scheme}","key":"{key}","expires":{expires}}}"#)
        };
        let all = [
            key("a", SCHEME, right, "null"),
            key("b", "rsa", right, "null"),
            key("c", SCHEME, "AAAA", "null"),
            key("d", SCHEME, right, "\"2025-01-29T00:00:00.000Z\""),
            key("e", SCHEME, right, "\"some day\""),
        ];
        let keys = Key::parse(format!(r#"{{"keys":[{}]}}"#, all.join(",")).as_bytes()).unwrap();
        let ids: Vec<_> = keys.iter().map(|key| (key.id.as_str(), key.expires.is_some())).collect();
        assert_eq!(ids, [("a", false), ("d", true)]);
        assert!(Key::parse(b"<html>").is_err());
    }
}
