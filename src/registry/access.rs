//! Where a request really goes, and which credentials it carries there.
//!
//! Cache keys are made of the lockfile's URLs; only the request is rewritten. Credentials are looked up for the rewritten
//! URL, by host, port and path prefix, as npm does it ("nerf dart"). Unlike npm, credentials of a registry's path are
//! not used for other paths of the same host.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderValue;
use url::Url;

use super::secret::Secret;

/// The host whose URLs lockfiles hold, and that npm replaces by the configured registry's.
const PUBLIC_HOST: &str = "registry.npmjs.org";

/// Mirrors, the configured registry, and credentials.
#[derive(Debug, Clone, Default)]
pub struct Access {
    overrides: HashMap<String, Url>,
    /// Mirrors that a repository names, for tarballs alone and without credentials.
    open_mirrors: HashMap<String, Url>,
    registry: Option<Url>,
    scopes: HashMap<String, Url>,
    replace_host: ReplaceHost,
    credentials: HashMap<String, Credential>,
    tokens: HashMap<String, Secret>,
}

/// npm's `replace-registry-host`: whose tarball URLs go to the configured registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum ReplaceHost {
    /// The public registry's.
    #[default]
    Public,
    /// Nobody's.
    Never,
    /// Everybody's.
    Always,
    /// This host's.
    Host(String),
}

/// What opens a registry's door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `_authToken`.
    Bearer(Secret),
    /// `_auth`: base64 of `user:password`.
    Basic(Secret),
}

/// A registry override that names no usable mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("registry override for `{host}`: the mirror must be an http or https URL")]
pub struct InvalidOverride {
    /// The overridden host.
    pub host: String,
}

impl Access {
    /// Sends requests for `host` (or `host:port`) to `mirror`, whose path goes before theirs.
    pub fn override_host(&mut self, host: &str, mirror: &str) -> Result<(), InvalidOverride> {
        let mirror =
            Url::parse(mirror).ok().filter(is_web).ok_or(InvalidOverride { host: host.to_owned() })?;
        self.overrides.insert(host.to_ascii_lowercase(), mirror);
        Ok(())
    }

    /// Sends requests for tarballs of `host` (or `host:port`) to `mirror` where nothing else is configured for them. A
    /// repository may say so: what comes is verified, and no credentials go below that URL.
    pub fn mirror_tarballs(&mut self, host: &str, mirror: &str) -> Result<(), InvalidOverride> {
        let mirror =
            Url::parse(mirror).ok().filter(is_web).ok_or(InvalidOverride { host: host.to_owned() })?;
        self.open_mirrors.insert(host.to_ascii_lowercase(), mirror);
        Ok(())
    }

    /// Where a request for a tarball goes, whose bytes are verified.
    pub(super) fn locate_tarball(&self, url: &Url) -> Url {
        let located = self.locate(url, true);
        let open =
            entry_of(&self.open_mirrors, url).filter(|_| located == *url && self.override_of(url).is_none());
        open.map_or(located, |base| rebase(url, base))
    }

    /// Whether a URL lies below a mirror that a repository names: no credentials are sent there.
    fn is_open(&self, url: &Url) -> bool {
        let below = |base: &Url| url.path().starts_with(base.path().trim_end_matches('/'));
        self.open_mirrors.values().any(|base| url.origin() == base.origin() && below(base))
    }

    /// Sends this bearer token to `host` (or `host:port`), whatever the path (`NIX_NPM_TOKENS`).
    pub fn token(&mut self, host: &str, token: Secret) {
        self.tokens.insert(host.to_ascii_lowercase(), token);
    }

    /// Uses this credential for URLs below `prefix`, written `//host[:port]/path/`.
    pub fn credential(&mut self, prefix: &str, credential: Credential) {
        self.credentials.insert(prefix.to_ascii_lowercase_host(), credential);
    }

    /// Sends what the public registry (or as [`ReplaceHost`] says) is asked for to this registry.
    pub(super) fn set_registry(&mut self, registry: Url, replace_host: ReplaceHost) {
        (self.registry, self.replace_host) = (Some(registry), replace_host);
    }

    /// Asks this registry about packages of a scope (`@acme`).
    pub(super) fn set_scope_registry(&mut self, scope: &str, registry: Url) {
        self.scopes.insert(scope.to_owned(), registry);
    }

    /// Whether packages of a scope are asked for at a registry of their own.
    #[must_use]
    pub fn has_registry(&self, scope: Option<&str>) -> bool {
        scope.is_some_and(|scope| self.scopes.contains_key(scope))
    }

    /// A path of the registry that publishes packages of this scope: that of the scope, else the public one, which the
    /// configured one stands in for (see [`super::Get::registry`]). The path has no leading slash.
    #[must_use]
    pub fn registry_url(&self, scope: Option<&str>, path: &str) -> Url {
        let own = scope.and_then(|scope| self.scopes.get(scope)).cloned();
        let mut url = own.unwrap_or_else(|| {
            Url::parse(&format!("https://{PUBLIC_HOST}/")).expect("bug: the registry's URL is one")
        });
        // The standard leaves `%2f` alone and encodes what else a path may not hold.
        let path = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// Where a request for `url` goes: to the host's override, else, with `registry`, to the configured registry.
    #[must_use]
    pub fn locate(&self, url: &Url, registry: bool) -> Url {
        let base = self
            .override_of(url)
            .or_else(|| self.registry.as_ref().filter(|_| registry && self.replaces(url)));
        base.map_or_else(|| url.clone(), |base| rebase(url, base))
    }

    /// Where an override sends requests for `url`; `None` if there is none for its host.
    #[must_use]
    pub fn mirror_of(&self, url: &Url) -> Option<Url> {
        self.override_of(url).map(|base| rebase(url, base))
    }

    fn override_of(&self, url: &Url) -> Option<&Url> {
        entry_of(&self.overrides, url)
    }

    fn replaces(&self, url: &Url) -> bool {
        match &self.replace_host {
            ReplaceHost::Public => url.host_str() == Some(PUBLIC_HOST),
            ReplaceHost::Never => false,
            ReplaceHost::Always => true,
            ReplaceHost::Host(host) => url.host_str() == Some(host),
        }
    }

    /// The `authorization` header for a request to `url`, if something opens its door.
    pub(super) fn authorization(&self, url: &Url) -> Option<HeaderValue> {
        if self.is_open(url) {
            return None;
        }
        let text = self
            .configured(url)
            .map(|credential| match credential {
                Credential::Bearer(token) => format!("Bearer {}", token.expose()),
                Credential::Basic(auth) => format!("Basic {}", auth.expose()),
            })
            .or_else(|| self.token_of(url))
            .or_else(|| user_info(url))?;
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// npm's search: from the whole path up to the host, dropping a component or a slash at each step.
    fn configured(&self, url: &Url) -> Option<&Credential> {
        let mut key = format!("//{}{}", authority(url)?, url.path());
        while key.len() > 2 {
            if let Some(credential) = self.credentials.get(&key) {
                return Some(credential);
            }
            let kept = key.strip_suffix('/').unwrap_or_else(|| key.trim_end_matches(|c| c != '/')).len();
            key.truncate(kept);
        }
        None
    }

    fn token_of(&self, url: &Url) -> Option<String> {
        let token = self.tokens.get(&authority(url)?).or_else(|| self.tokens.get(url.host_str()?))?;
        Some(format!("Bearer {}", token.expose()))
    }
}

trait LowercaseHost {
    fn to_ascii_lowercase_host(&self) -> String;
}

impl LowercaseHost for str {
    /// `//Host/Path/` with the host in lower case, as URLs have it.
    fn to_ascii_lowercase_host(&self) -> String {
        let end = self.get(2..).and_then(|rest| rest.find('/')).map_or(self.len(), |at| at + 2);
        self[..end].to_ascii_lowercase() + &self[end..]
    }
}

/// What is configured for a URL's host, with its port or without.
fn entry_of<'a>(hosts: &'a HashMap<String, Url>, url: &Url) -> Option<&'a Url> {
    let host = url.host_str()?;
    let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
    with_port.and_then(|key| hosts.get(&key)).or_else(|| hosts.get(host))
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// `host`, or `host:port` where the port is not the scheme's own.
fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// `base` with the path and query of `url` behind its path, which is not doubled if `url` has it already.
fn rebase(url: &Url, base: &Url) -> Url {
    let mut located = base.clone();
    let prefix = base.path().trim_end_matches('/');
    let path = url.path();
    let doubled = path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    located.set_path(&if doubled { path.to_owned() } else { format!("{prefix}{path}") });
    located.set_query(url.query());
    located.set_fragment(None);
    located
}

fn user_info(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text| percent_decode_str(text).decode_utf8_lossy();
    let pair = format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or_default()));
    Some(format!("Basic {}", BASE64.encode(pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn overrides_keep_scheme_port_and_path_of_the_mirror() {
        let mut access = Access::default();
        access.override_host("Registry.example", "http://127.0.0.1:8080/npm/").unwrap();
        access.override_host("registry.example:8443", "https://other").unwrap();
        let located = |text| access.locate(&url(text), true).to_string();
        assert_eq!(
            located("https://registry.example/a/-/a-1.tgz?x=1#f"),
            "http://127.0.0.1:8080/npm/a/-/a-1.tgz?x=1"
        );
        assert_eq!(located("https://registry.example:8443/@s%2fa"), "https://other/@s%2fa");
        assert_eq!(located("https://elsewhere/a"), "https://elsewhere/a");
        assert!(access.override_host("h", "mirror").is_err());
        assert!(access.override_host("h", "file:///mirror").is_err());
    }

    #[test]
    fn the_configured_registry_stands_in_for_the_public_one() {
        let mut access = Access::default();
        access.set_registry(url("https://corp/api/npm/"), ReplaceHost::Public);
        let public = url(&format!("https://{PUBLIC_HOST}/a/-/a-1.tgz"));
        assert_eq!(access.locate(&public, true).as_str(), "https://corp/api/npm/a/-/a-1.tgz");
        assert_eq!(access.locate(&public, false), public);
        let doubled = url(&format!("https://{PUBLIC_HOST}/api/npm/a/-/a-1.tgz"));
        assert_eq!(access.locate(&doubled, true).as_str(), "https://corp/api/npm/a/-/a-1.tgz");
        access.set_registry(url("https://corp/"), ReplaceHost::Never);
        assert_eq!(access.locate(&public, true), public);
        access.set_registry(url("https://corp/"), ReplaceHost::Host("old".into()));
        assert_eq!(access.locate(&url("https://old/a"), true).as_str(), "https://corp/a");
    }

    #[test]
    fn a_scope_may_have_a_registry_of_its_own() {
        let mut access = Access::default();
        access.set_scope_registry("@acme", url("https://corp/npm/"));
        let asked = |scope, path| access.registry_url(scope, path).to_string();
        assert_eq!(asked(Some("@acme"), "@acme%2ftool"), "https://corp/npm/@acme%2ftool");
        assert_eq!(asked(Some("@other"), "@other%2ftool"), format!("https://{PUBLIC_HOST}/@other%2ftool"));
        assert_eq!(asked(None, "ms"), format!("https://{PUBLIC_HOST}/ms"));
    }

    #[test]
    fn credentials_go_to_the_longest_prefix_and_to_nobody_else() {
        let mut access = Access::default();
        let bearer = |text: &str| Credential::Bearer(Secret::new(text.into()));
        access.credential("//Host/", bearer("host"));
        access.credential("//host/npm/private/", bearer("private"));
        access.credential("//host:8080/", Credential::Basic(Secret::new("dTpw".into())));
        access.token("plain", Secret::new("nix".into()));
        let sent = |text| access.authorization(&url(text)).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(sent("https://host/a.tgz").as_deref(), Some("Bearer host"));
        assert_eq!(sent("https://host/npm/private/a/b.tgz").as_deref(), Some("Bearer private"));
        assert_eq!(sent("https://host/npm/privateer/b.tgz").as_deref(), Some("Bearer host"));
        assert_eq!(sent("https://host:8080/a").as_deref(), Some("Basic dTpw"));
        assert_eq!(sent("https://plain:99/a").as_deref(), Some("Bearer nix"));
        assert_eq!(sent("https://host.evil/a"), None);
        assert_eq!(sent("https://sub.host/a"), None);
        assert_eq!(sent("https://u:p%40@else/a").as_deref(), Some("Basic dTpwQA=="));
        assert!(!format!("{access:?}").contains("private\""));
    }
}
