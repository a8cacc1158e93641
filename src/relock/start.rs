//! What npm starts from.

use serde_json::{Map, Value};

use super::{RelockError, RelockRequest};
use crate::{npm_package::PackageName, registry::Access};

/// npm's files, and what the result is held to.
pub(super) struct Start {
    /// `package.json`.
    pub manifest: Vec<u8>,
    /// The lockfile's name, which is also the result's.
    pub name: &'static str,
    /// The lockfile, if there is one.
    pub lockfile: Option<Vec<u8>>,
    /// The manifest's version, if it has one.
    pub version: Option<String>,
    /// `name@version`, for messages.
    pub package: String,
}

impl Start {
    pub(super) fn of(request: &RelockRequest<'_>, access: &Access) -> Result<Self, RelockError> {
        let mut manifest: Map<String, Value> =
            serde_json::from_slice(request.package_json).map_err(RelockError::Manifest)?;
        let (name, lockfile) = match request.shrinkwrap {
            Some(shrinkwrap) => ("npm-shrinkwrap.json", Some(shrinkwrap)),
            None => ("package-lock.json", request.existing),
        };
        let lockfile = lockfile.map(|bytes| Begun::read(bytes, access)).transpose()?;
        let omit_dev = lockfile.as_ref().map_or(request.omit_dev, |begun| begun.omits_dev);
        let text = |field: &str| manifest.get(field).and_then(Value::as_str).map(str::to_owned);
        let version = text("version");
        let package = format!(
            "{}@{}",
            text("name").unwrap_or_default().escape_debug(),
            version.as_deref().unwrap_or("?").escape_debug()
        );
        let manifest = if omit_dev && manifest.remove("devDependencies").is_some() {
            serde_json::to_vec(&manifest).expect("bug: a JSON object can be written")
        } else {
            request.package_json.to_vec()
        };
        Ok(Self { manifest, name, lockfile: lockfile.map(|begun| begun.bytes), version, package })
    }
}

/// The lockfile that npm continues.
struct Begun {
    bytes: Vec<u8>,
    omits_dev: bool,
}

impl Begun {
    fn read(bytes: &[u8], access: &Access) -> Result<Self, RelockError> {
        let mut lockfile: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(RelockError::Existing)?;
        let mut completed = 0;
        let mut omits_dev = false;
        if let Some(Value::Object(packages)) = lockfile.get_mut("packages") {
            omits_dev = packages.get("").is_some_and(|root| root.get("devDependencies").is_none());
            completed =
                packages.iter_mut().filter_map(|(place, entry)| complete(place, entry, access)).count();
        }
        let bytes = if completed > 0 {
            serde_json::to_vec_pretty(&lockfile).expect("bug: a JSON object can be written")
        } else {
            bytes.to_vec()
        };
        Ok(Self { bytes, omits_dev })
    }
}

/// Gives a registry package the address that npm leaves out with `omit-lockfile-registry-resolved`, and would never add
/// to an entry that it keeps.
fn complete(place: &str, entry: &mut Value, access: &Access) -> Option<()> {
    let entry = entry.as_object_mut()?;
    let elsewhere = |field: &str| entry.get(field) == Some(&Value::Bool(true));
    if entry.contains_key("resolved") || elsewhere("link") || elsewhere("inBundle") {
        return None;
    }
    let (_, installed_as) = place.rsplit_once("node_modules/")?;
    let text = |field: &str| entry.get(field).and_then(Value::as_str);
    let (version, _) = (text("version")?, text("integrity")?);
    let name = PackageName::parse(text("name").unwrap_or(installed_as)).ok()?;
    let url = access.registry_url(name.scope(), &name.tarball_path(version));
    entry.insert("resolved".to_owned(), Value::String(url.into()));
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn start(manifest: &Value, existing: Option<&Value>, omit_dev: bool) -> Start {
        let (manifest, existing) = (manifest.to_string(), existing.map(ToString::to_string));
        let existing = existing.as_ref().map(String::as_bytes);
        let request =
            RelockRequest { package_json: manifest.as_bytes(), shrinkwrap: None, existing, omit_dev };
        Start::of(&request, &Access::default()).unwrap()
    }

    #[test]
    fn development_is_left_out_where_the_lockfile_leaves_it_out() {
        let manifest = json!({ "name": "a", "version": "2.0.0", "devDependencies": { "b": "1" } });
        let without = json!({ "packages": { "": { "version": "1.0.0" } } });
        let with = json!({ "packages": { "": { "devDependencies": { "b": "1" } } } });
        let has_dev = |start: Start| String::from_utf8(start.manifest).unwrap().contains("devDependencies");
        assert!(!has_dev(start(&manifest, Some(&without), false)));
        assert!(has_dev(start(&manifest, Some(&with), true)));
        assert!(!has_dev(start(&manifest, None, true)));
        assert!(has_dev(start(&manifest, None, false)));
    }

    #[test]
    fn missing_addresses_are_filled_in() {
        let lockfile = json!({ "packages": {
            "": { "version": "1.0.0" },
            "node_modules/@s/a": { "version": "1.0.0", "integrity": "sha512-x" },
            "node_modules/alias": { "name": "real", "version": "2.0.0", "integrity": "sha512-x" },
            "node_modules/b": { "version": "1.0.0", "resolved": "https://elsewhere/b.tgz" },
            "node_modules/b/node_modules/c": { "version": "1.0.0", "inBundle": true, "integrity": "sha512-x" },
            "node_modules/l": { "resolved": "l", "link": true }, "l": { "version": "1.0.0" },
        } });
        let begun = start(&json!({}), Some(&lockfile), false).lockfile.unwrap();
        let begun: Value = serde_json::from_slice(&begun).unwrap();
        let resolved = |place: &str| begun["packages"][place]["resolved"].as_str().map(str::to_owned);
        let at = |path: &str| Some(Access::default().registry_url(None, path).to_string());
        assert_eq!(resolved("node_modules/@s/a"), at("@s/a/-/a-1.0.0.tgz"));
        assert_eq!(resolved("node_modules/alias"), at("real/-/real-2.0.0.tgz"));
        assert_eq!(resolved("node_modules/b").as_deref(), Some("https://elsewhere/b.tgz"));
        assert_eq!(resolved("node_modules/b/node_modules/c"), None);
        assert_eq!(resolved("l"), None);
        let whole = json!({ "packages": {} });
        let kept = start(&json!({}), Some(&whole), false).lockfile.unwrap();
        assert_eq!(kept, whole.to_string().as_bytes(), "what lacks nothing is not touched");
    }
}
