//! Where a request really goes.
//!
//! Cache keys are made of the lockfile's URLs; only the request is rewritten. Credentials are looked up for the rewritten
//! URL (see [`super::credentials`]).

use std::collections::{BTreeSet, HashMap};

use npm_tarballs::redaction::redacted;
use url::Url;

use super::credentials::{Chosen, Credential, Credentials, Grant, Purpose, authority};
use super::error::Problem;

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
    credentials: Credentials,
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

/// A registry override that names no usable mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("registry override for `{host}`: it needs a host, or host:port, and an http or https URL")]
pub struct InvalidOverride {
    /// The overridden host, without what may be secret.
    pub host: String,
}

impl Access {
    /// Sends requests for `host` (or `host:port`) to `mirror`, whose path goes before theirs.
    ///
    /// # Errors
    /// `mirror` is not a URL of http or https.
    pub fn override_host(&mut self, host: &str, mirror: &str) -> Result<(), InvalidOverride> {
        let invalid = || InvalidOverride { host: redacted(host) };
        let named = !host.is_empty() && !host.contains(['/', '@', '?', '#', '\\']);
        let mirror = Url::parse(mirror).ok().filter(|mirror| named && is_web(mirror)).ok_or_else(invalid)?;
        self.credentials.configure(&mirror);
        self.overrides.insert(host.to_ascii_lowercase(), mirror);
        Ok(())
    }

    /// Sends requests for tarballs of `host` (or `host:port`) to `mirror` where nothing else is configured for them. A
    /// repository may say so: what comes is verified, and such a request carries no credentials.
    ///
    /// # Errors
    /// `mirror` is not a URL of http or https.
    pub fn mirror_tarballs(&mut self, host: &str, mirror: &str) -> Result<(), InvalidOverride> {
        let mirror =
            Url::parse(mirror).ok().filter(is_web).ok_or(InvalidOverride { host: redacted(host) })?;
        // Not `configure`d as the user's own mirrors are: else a repository that names `http://` here would open that
        // host for credentials in clear.
        self.open_mirrors.insert(host.to_ascii_lowercase(), mirror);
        Ok(())
    }

    /// Where a request for a tarball goes, whose bytes are verified; and whether it is a repository that leads it there. The
    /// user's own configuration comes first, also where both name the same mirror: then it is one with credentials.
    pub(super) fn locate_tarball(&self, url: &Url) -> (Url, bool) {
        let located = self.locate(url, true);
        let open =
            entry_of(&self.open_mirrors, url).filter(|_| located == *url && self.override_of(url).is_none());
        open.map_or((located, false), |base| (rebase(url, base), true))
    }

    /// Uses this credential for `host` (or `host:port`), whatever the path (`NIX_NPM_TOKENS`). A scheme before the host
    /// configures it: `http://host:port` is one that may be asked unencrypted.
    pub fn token(&mut self, host: &str, credential: Credential) {
        let place = format!("`{}` in NIX_NPM_TOKENS", redacted(host));
        self.credentials.add_token(host, Grant::of(credential, place));
    }

    /// Uses this for URLs below `prefix`, written `//host[:port]/path/`.
    pub fn grant(&mut self, prefix: &str, grant: Grant) {
        self.credentials.add_prefix(prefix, grant);
    }

    /// Uses this for sources below `prefix`, written `//host[:port]/path/`, and for nothing else.
    pub fn grant_source(&mut self, prefix: &str, grant: Grant) {
        self.credentials.add_source(prefix, grant);
    }

    /// Uses this for `host` where nothing else is configured, as a netrc file says.
    pub fn netrc(&mut self, host: &str, grant: Grant) {
        self.credentials.add_netrc(host, grant);
    }

    /// Sends what the public registry (or as [`ReplaceHost`] says) is asked for to this registry.
    pub(super) fn set_registry(&mut self, registry: Url, replace_host: ReplaceHost) {
        self.credentials.configure(&registry);
        (self.registry, self.replace_host) = (Some(registry), replace_host);
    }

    /// Asks this registry about packages of a scope (`@acme`).
    pub(super) fn set_scope_registry(&mut self, scope: &str, registry: Url) {
        self.credentials.configure(&registry);
        self.scopes.insert(scope.to_owned(), registry);
    }

    /// Whether packages of a scope are asked for at a registry of their own.
    #[must_use]
    pub(crate) fn has_registry(&self, scope: Option<&str>) -> bool {
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

    /// The hosts (`host[:port]`) that are asked about packages of this scope.
    #[must_use]
    pub fn hosts_of(&self, scope: Option<&str>) -> BTreeSet<String> {
        let url = self.registry_url(scope, "");
        [Some(&url), self.mirror_of(&url).as_ref(), self.registry.as_ref().filter(|_| scope.is_none())]
            .into_iter()
            .flatten()
            .filter_map(authority)
            .collect()
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

    /// What a request for `url`, which was rewritten, carries; `scope` is that of the package it is about.
    ///
    /// # Errors
    /// The credential cannot be sent.
    pub(super) fn choose(&self, url: &Url, scope: Option<&str>, purpose: Purpose) -> Result<Chosen, Problem> {
        let registry = scope.and_then(|scope| self.scopes.get(scope)).or(self.registry.as_ref());
        self.credentials.choose(url, registry, purpose)
    }

    /// The value of the header that a request for `url` carries: where the fuzzer comes in.
    #[must_use]
    pub fn sent_to(&self, url: &Url, scope: Option<&str>, purpose: Purpose) -> Option<String> {
        let (_, value) = self.choose(url, scope, purpose).ok()?.header?;
        value.to_str().ok().map(str::to_owned)
    }

    /// The value of the header that a request for `url` carries to a server that is not a registry: by a netrc file alone.
    #[must_use]
    pub fn of_netrc(&self, url: &Url) -> Option<String> {
        self.credentials.of_netrc(url)?.to_str().ok().map(str::to_owned)
    }

    /// Whether this is the public registry's URL.
    #[must_use]
    pub fn is_public(url: &Url) -> bool {
        url.host_str() == Some(PUBLIC_HOST)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CredentialUse, Withheld};

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
        let error = access.override_host("http://u:hunter2@m/?x", "y").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_repository_leads_requests_to_a_mirror_and_no_credential_with_them() {
        let mut access = Access::default();
        access.token("corp", Credential::of_token("mine"));
        access.mirror_tarballs(PUBLIC_HOST, "https://corp/npm").unwrap();
        let public = url(&format!("https://{PUBLIC_HOST}/a/-/a-1.tgz"));
        let there = url("https://corp/npm/a/-/a-1.tgz");
        assert_eq!(access.locate_tarball(&public), (there.clone(), true));
        let place = "`corp` in NIX_NPM_TOKENS".to_owned();
        let chosen = access.choose(&there, None, Purpose::Package).unwrap();
        assert!(chosen.header.is_some());
        let kept = chosen.kept_back(Withheld::Mirror);
        assert!(kept.header.is_none() && kept.identity.is_none());
        assert_eq!(kept.used, CredentialUse::Withheld { place, why: Withheld::Mirror });
        // What the lockfile itself names, or the user, is not led there by the repository's settings.
        assert_eq!(access.locate_tarball(&there), (there.clone(), false));
        access.set_registry(url("https://corp/npm/"), ReplaceHost::Public);
        assert_eq!(access.locate_tarball(&public), (there, false));
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
}
