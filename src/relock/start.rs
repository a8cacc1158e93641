//! What npm starts from.

use serde_json::{Map, Value};

use super::{RelockError, RelockRequest};

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
    pub(super) fn of(request: &RelockRequest<'_>) -> Result<Self, RelockError> {
        let mut manifest: Map<String, Value> =
            serde_json::from_slice(request.package_json).map_err(RelockError::Manifest)?;
        let (name, lockfile) = match request.shrinkwrap {
            Some(shrinkwrap) => ("npm-shrinkwrap.json", Some(shrinkwrap)),
            None => ("package-lock.json", request.existing),
        };
        let omit_dev = lockfile.map(omits_dev).transpose()?.unwrap_or(request.omit_dev);
        let text = |field: &str| manifest.get(field).and_then(Value::as_str).map(str::to_owned);
        let version = text("version");
        let package = format!(
            "{}@{}",
            text("name").unwrap_or_default().escape_debug(),
            version.as_deref().unwrap_or("?").escape_debug()
        );
        // `--omit=dev` keeps them from being installed, but npm locks them all the same.
        let manifest = if omit_dev && manifest.remove("devDependencies").is_some() {
            serde_json::to_vec(&manifest).expect("bug: a JSON object can be written")
        } else {
            request.package_json.to_vec()
        };
        Ok(Self { manifest, name, lockfile: lockfile.map(<[u8]>::to_vec), version, package })
    }
}

/// Whether a lockfile was made without `devDependencies`.
fn omits_dev(lockfile: &[u8]) -> Result<bool, RelockError> {
    let lockfile: Map<String, Value> = serde_json::from_slice(lockfile).map_err(RelockError::Existing)?;
    let root = lockfile.get("packages").and_then(|packages| packages.get(""));
    Ok(root.is_some_and(|root| root.get("devDependencies").is_none()))
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
        Start::of(&request).unwrap()
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
}
