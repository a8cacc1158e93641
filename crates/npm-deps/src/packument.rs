//! Packuments as fetcher version 2 stores them: cut down to what does not change behind a lockfile's back.
//!
//! At the top `name` and `versions`; of the versions only those that the lockfile names; of a version only what npm
//! needs to resolve it; all keys sorted, no white space. A registry answers with megabytes of other versions, so those
//! are skipped while parsing rather than built up and dropped.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// What a version keeps.
const VERSION_FIELDS: [&str; 14] = [
    "name",
    "version",
    "dependencies",
    "devDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "optionalDependencies",
    "bundleDependencies",
    "bundledDependencies",
    "dist",
    "bin",
    "engines",
    "os",
    "cpu",
];

/// And one more, which is why the abbreviated packument (it has no scripts) cannot stand in for the full one.
const SCRIPTS: &str = "scripts";

/// What a version's `dist` keeps.
const DIST_FIELDS: [&str; 3] = ["tarball", "integrity", "shasum"];

/// What is kept of a packument.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// The versions.
    pub versions: &'a BTreeSet<String>,
    /// All of a version's `dist`, as nixpkgs kept it before 2026-02-15.
    pub whole_dist: bool,
}

/// The bytes that are stored for a packument.
///
/// # Errors
/// The body is not JSON, or not an object.
pub(crate) fn normalise(body: &[u8], kept: Kept<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let kept = PackumentSeed(kept).deserialize(&mut deserializer)?;
    // A proxy that answers `{}` and then a page of HTML is not the registry.
    deserializer.end()?;
    // serde_json's map is ordered by key, and so are the bytes.
    serde_json::to_vec(&kept)
}

struct PackumentSeed<'a>(Kept<'a>);

impl<'de> DeserializeSeed<'de> for PackumentSeed<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PackumentSeed<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a packument (a JSON object)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut kept = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => drop(kept.insert(key, map.next_value()?)),
                "versions" => drop(kept.insert(key, map.next_value_seed(VersionsSeed(self.0))?)),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(kept)
    }
}

struct VersionsSeed<'a>(Kept<'a>);

impl<'de> DeserializeSeed<'de> for VersionsSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for VersionsSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of versions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(version) = map.next_key::<String>()? {
            if self.0.versions.contains(&version) {
                kept.insert(version, trim_version(map.next_value()?, self.0.whole_dist));
            } else {
                // Parsed, because what is no JSON must fail, but never built up.
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(kept))
    }
}

fn trim_version(mut version: Value, whole_dist: bool) -> Value {
    if let Value::Object(fields) = &mut version {
        fields.retain(|name, _| name == SCRIPTS || VERSION_FIELDS.contains(&name.as_str()));
        if let Some(Value::Object(dist)) = fields.get_mut("dist").filter(|_| !whole_dist) {
            dist.retain(|name, _| DIST_FIELDS.contains(&name.as_str()));
        }
    }
    version
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(body: &str, wanted: &[&str]) -> String {
        let versions = wanted.iter().map(|&version| version.to_owned()).collect();
        let kept = Kept { versions: &versions, whole_dist: false };
        String::from_utf8(normalise(body.as_bytes(), kept).unwrap()).unwrap()
    }

    #[test]
    fn only_what_is_wanted_stays_and_is_sorted() {
        let body = r#"{
            "_id": "a", "versions": {
                "2.0.0": {"scripts": {"b": "x", "a": "y"}, "name": "a", "dist": {"shasum": "s", "tarball": "t",
                          "integrity": "i", "signatures": [1], "fileCount": 3}, "version": "2.0.0", "readme": "long"},
                "1.0.0": {"name": "a"}
            }, "name": "a", "time": {}
        }"#;
        assert_eq!(
            normalised(body, &["2.0.0", "3.0.0"]),
            r#"{"name":"a","versions":{"2.0.0":{"dist":{"integrity":"i","shasum":"s","tarball":"t"},"name":"a","scripts":{"a":"y","b":"x"},"version":"2.0.0"}}}"#
        );
    }

    #[test]
    fn what_is_missing_stays_missing() {
        assert_eq!(normalised("{}", &[]), "{}");
        assert_eq!(normalised(r#"{"versions":{"1.0.0":{}}}"#, &[]), r#"{"versions":{}}"#);
    }

    #[test]
    fn what_was_expected_in_place_of_an_answer_is_said() {
        let said = |body: &str| {
            let kept = Kept { versions: &BTreeSet::new(), whole_dist: false };
            normalise(body.as_bytes(), kept).unwrap_err().to_string()
        };
        assert!(said("[]").contains("expected a packument (a JSON object)"), "{}", said("[]"));
        let list = r#"{"versions": []}"#;
        assert!(said(list).contains("expected an object of versions"), "{}", said(list));
    }

    #[test]
    fn an_error_page_is_no_packument() {
        for body in ["<html>", "[]", "", "{} trailing"] {
            let kept = Kept { versions: &BTreeSet::new(), whole_dist: false };
            assert!(normalise(body.as_bytes(), kept).is_err(), "{body}");
        }
    }
}
