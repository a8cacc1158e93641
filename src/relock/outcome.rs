//! What npm wrote, looked at before anybody believes it.

use npm_lockfile::Lockfile;
use npm_registry::Access;
use serde_json::Value;

use super::RelockError;
use super::start::Start;

/// The lockfile with the public registry's addresses in place of an override's: an override is for this run, and not for
/// those who read the lockfile.
pub(super) fn public_urls(lockfile: Vec<u8>, access: &Access) -> Vec<u8> {
    let public = access.registry_url(None, "");
    let Some(mirror) = access.mirror_of(&public) else { return lockfile };
    // With the field's name, so that the same address in another field, such as `funding`, stays. As text, so that all
    // else keeps the bytes that npm wrote.
    let opening = |url: &str| format!("\"resolved\": \"{}/", url.trim_end_matches('/'));
    match String::from_utf8(lockfile) {
        Ok(text) => text.replace(&opening(mirror.as_str()), &opening(public.as_str())).into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

/// Holds the lockfile to what an offline install needs.
pub(super) fn check(lockfile: &[u8], start: &Start) -> Result<(), RelockError> {
    let parsed = Lockfile::parse(lockfile).map_err(RelockError::Written)?;
    let document: Value =
        serde_json::from_slice(lockfile).map_err(|error| RelockError::Written(error_of(error)))?;
    let found = document["packages"][""]["version"].as_str().or(document["version"].as_str());
    match (start.version.as_deref(), found) {
        (Some(expected), found) if found != Some(expected) => {
            return Err(RelockError::Version {
                expected: expected.escape_debug().to_string(),
                found: found.unwrap_or("none").escape_debug().to_string(),
            });
        }
        _ => {}
    }
    let without_url = parsed.skipped.into_iter().map(|skipped| skipped.place);
    let places: Vec<_> =
        without_url.chain(parsed.problems.into_iter().map(|problem| problem.place)).collect();
    if places.is_empty() { Ok(()) } else { Err(RelockError::Incomplete(places)) }
}

fn error_of(error: serde_json::Error) -> npm_lockfile::LockfileError {
    npm_lockfile::LockfileError::Json(error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(lockfile: &Value) -> Result<(), RelockError> {
        let start = Start {
            manifest: Vec::new(),
            name: "package-lock.json",
            lockfile: None,
            version: Some("1.0.0".to_owned()),
            package: "a@1.0.0".to_owned(),
        };
        check(lockfile.to_string().as_bytes(), &start)
    }

    fn lockfile(version: &str, dependency: &Value) -> Value {
        json!({ "lockfileVersion": 3, "packages": { "": { "version": version }, "node_modules/b": dependency } })
    }

    #[test]
    fn only_a_complete_lockfile_of_the_right_version_counts() {
        let sri = npm_tarballs::integrity::ContentId::sha512_of(b"").sri();
        let whole = json!({ "version": "1.0.0", "resolved": "https://r/b/-/b-1.0.0.tgz", "integrity": sri });
        checked(&lockfile("1.0.0", &whole)).unwrap();
        assert!(matches!(checked(&lockfile("0.9.0", &whole)), Err(RelockError::Version { .. })));
        for broken in [
            json!({ "version": "1.0.0", "integrity": sri }),
            json!({ "version": "1.0.0", "resolved": "https://r/b/-/b-1.0.0.tgz" }),
        ] {
            let error = checked(&lockfile("1.0.0", &broken)).unwrap_err();
            assert_eq!(error.to_string(), "npm wrote a lockfile without the addresses of node_modules/b");
        }
        assert!(matches!(checked(&json!({})), Err(RelockError::Written(_))));
    }

    #[test]
    fn an_override_leaves_no_trace() {
        let mut access = Access::default();
        let host = access.registry_url(None, "").host_str().unwrap().to_owned();
        let text = "{\"resolved\": \"http://127.0.0.1:1/npm/a/-/a-1.tgz\"}".to_owned().into_bytes();
        assert_eq!(public_urls(text.clone(), &access), text);
        access.override_host(&host, "http://127.0.0.1:1/npm").unwrap();
        let public = String::from_utf8(public_urls(text, &access)).unwrap();
        assert_eq!(public, format!("{{\"resolved\": \"https://{host}/a/-/a-1.tgz\"}}"));
    }
}
