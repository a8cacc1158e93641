//! Which credential a request carries, chosen as npm chooses it.
//!
//! For a URL that is, first match wins:
//!
//! 1. the nearest `//host[:port]/path/` of `.npmrc`, from the whole path up to the host;
//! 2. the one that the registry of the package's scope, else the default registry, would get, *if it is on the same host
//!    and port*: GitLab's group registries and virtual registries serve tarballs under other paths than they are asked at;
//! 3. a host's token (`NIX_NPM_TOKENS`);
//! 4. user name and password of the URL itself;
//! 5. a host's entry of a netrc file.
//!
//! The source of a derivation, which a code host has, looks first among credentials of code hosts ([`Purpose::Source`]),
//! by the nearest prefix as well; nothing else looks there, so that no lockfile can draw such a token.
//!
//! npm does not look at the scheme, and would send a token in clear if somebody changed `https` into `http` in a lockfile.
//! Here an unencrypted URL gets one only if the user configured that very host and port with `http`. A host without
//! a port means the scheme's own port, or the port of a configured registry.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use url::Url;

use super::error::Problem;
use super::secret::Secret;

/// GitLab's own header for personal access tokens.
const PRIVATE_TOKEN: HeaderName = HeaderName::from_static("private-token");

/// What opens a registry's door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token (`_authToken`).
    Bearer(Secret),
    /// base64 of `user:password` (`_auth`).
    Basic(Secret),
    /// A personal access token of GitLab, in a header of its own.
    PrivateToken(Secret),
}

impl Credential {
    /// User and password.
    #[must_use]
    pub fn pair(user: &[u8], password: &[u8]) -> Self {
        Self::Basic(Secret::new(BASE64.encode([user, b":", password].concat())))
    }

    /// What `NIX_NPM_TOKENS` holds: a bearer token; `user:password`, which no such token can look like; or a whole
    /// header value, `Basic ...` or `Bearer ...`.
    #[must_use]
    pub fn of_token(text: &str) -> Self {
        let scheme = |name: &str| {
            let (start, rest) = text.split_at_checked(name.len())?;
            start.eq_ignore_ascii_case(name).then(|| Secret::new(rest.trim().to_owned()))
        };
        if let Some(rest) = scheme("basic ") {
            return Self::Basic(rest);
        }
        if let Some(rest) = scheme("bearer ") {
            return Self::Bearer(rest);
        }
        match text.split_once(':') {
            Some((user, password)) => Self::pair(user.as_bytes(), password.as_bytes()),
            None => Self::Bearer(Secret::new(text.to_owned())),
        }
    }

    /// The scheme's name, for messages.
    fn scheme(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "Bearer",
            Self::Basic(_) => "Basic",
            Self::PrivateToken(_) => "Private-Token",
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, text) = match self {
            Self::Bearer(token) => (AUTHORIZATION, format!("Bearer {}", token.expose())),
            Self::Basic(auth) => (AUTHORIZATION, format!("Basic {}", auth.expose())),
            Self::PrivateToken(token) => (PRIVATE_TOKEN, token.expose().to_owned()),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        // So `Debug` hides it, and HTTP/2 keeps it out of the table of headers that later requests refer to.
        value.set_sensitive(true);
        Some((name, value))
    }
}

/// A client certificate and its key, as PEM files (`certfile`, `keyfile`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientIdentity {
    /// The certificate chain.
    pub certfile: PathBuf,
    /// The private key.
    pub keyfile: PathBuf,
}

/// What is configured for a URL prefix, or for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What is sent in a header.
    pub credential: Option<Credential>,
    /// What is shown in the TLS handshake.
    pub identity: Option<Arc<ClientIdentity>>,
    /// The variable that the value needs and that is not set.
    pub unset: Option<String>,
    /// Where it is configured, for messages: "`//host/:_authToken` in .npmrc".
    pub place: String,
}

impl Grant {
    /// A grant of just a credential.
    #[must_use]
    pub fn of(credential: Credential, place: String) -> Self {
        Self { credential: Some(credential), identity: None, unset: None, place }
    }
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A package, or what a registry says of it.
    Package,
    /// The source of a derivation.
    Source,
}

/// Which credential a request carried, for messages: places, never values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CredentialUse {
    /// Nothing is configured for it.
    #[default]
    None,
    /// It was sent.
    Sent {
        /// Where it is configured.
        place: String,
        /// The scheme's name; none for a client certificate.
        scheme: Option<&'static str>,
    },
    /// It was kept back.
    Withheld {
        /// Where it is configured.
        place: String,
        /// Why it was not sent.
        why: Withheld,
    },
}

impl fmt::Display for CredentialUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Sent { place, .. } => write!(f, "{place}"),
            Self::Withheld { place, .. } => write!(f, "{place}, kept back"),
        }
    }
}

impl CredentialUse {
    /// What became of it once a redirect had led to another host.
    pub(super) fn elsewhere(&self) -> Option<Self> {
        match self {
            Self::Sent { place, .. } => {
                Some(Self::Withheld { place: place.clone(), why: Withheld::Redirected })
            }
            _ => None,
        }
    }
}

impl Chosen {
    /// The same without anything that a request would carry.
    pub(super) fn kept_back(self, why: Withheld) -> Self {
        let used = match self.used {
            CredentialUse::Sent { place, .. } => CredentialUse::Withheld { place, why },
            used => used,
        };
        Self { used, ..Self::default() }
    }
}

/// Why a credential was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// The URL is not encrypted, and its registry is not configured so.
    Unencrypted,
    /// It is for another port.
    OtherPort,
    /// It is for another path of the same host.
    OtherPath,
    /// A redirect led to another host.
    Redirected,
    /// The repository's own settings led the request to a mirror.
    Mirror,
}

/// What one request carries.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    pub header: Option<(HeaderName, HeaderValue)>,
    pub identity: Option<Arc<ClientIdentity>>,
    pub used: CredentialUse,
}

/// All credentials, and which registries may be asked unencrypted.
#[derive(Debug, Clone, Default)]
pub(super) struct Credentials {
    prefixes: HashMap<String, Grant>,
    /// Code hosts', by prefix.
    sources: HashMap<String, Grant>,
    /// By `host` or `host:port`.
    tokens: HashMap<String, Grant>,
    netrc: HashMap<String, Grant>,
    /// `host[:port]` of what the user configured, with the scheme.
    configured: HashSet<(String, String)>,
}

impl Credentials {
    pub(super) fn add_prefix(&mut self, prefix: &str, grant: Grant) {
        self.prefixes.insert(lowercase_host(prefix), grant);
    }

    pub(super) fn add_source(&mut self, prefix: &str, grant: Grant) {
        self.sources.insert(lowercase_host(prefix), grant);
    }

    /// A token for `host`, `host:port`, or with a scheme before it, which then counts as configured.
    pub(super) fn add_token(&mut self, host: &str, grant: Grant) {
        let host = match Url::parse(host).ok().filter(|url| matches!(url.scheme(), "http" | "https")) {
            Some(url) => {
                self.configure(&url);
                authority(&url).unwrap_or_default()
            }
            None => host.trim_end_matches('/').to_ascii_lowercase(),
        };
        self.tokens.insert(host, grant);
    }

    pub(super) fn add_netrc(&mut self, host: &str, grant: Grant) {
        self.netrc.entry(host.to_ascii_lowercase()).or_insert(grant);
    }

    /// The user named this registry or mirror.
    pub(super) fn configure(&mut self, url: &Url) {
        if let Some(authority) = authority(url) {
            self.configured.insert((url.scheme().to_owned(), authority));
        }
    }

    /// What a request for `url` carries; `registry` is where its package is asked for.
    ///
    /// # Errors
    /// The credential's value needs a variable that is not set, or cannot be a header.
    pub(super) fn choose(
        &self,
        url: &Url,
        registry: Option<&Url>,
        purpose: Purpose,
    ) -> Result<Chosen, Problem> {
        // GitLab has a project's path as one component.
        let path = url.path().replace("%2F", "/");
        let of_source = || nearest(&self.sources, url, &path).filter(|_| purpose == Purpose::Source);
        let of_registry = || {
            let registry = registry.filter(|registry| authority(registry) == authority(url))?;
            nearest(&self.prefixes, registry, registry.path())
        };
        // npm looks its own prefixes up by the path as the URL has it, `%2F` and all.
        let near = of_source().or_else(|| nearest(&self.prefixes, url, url.path())).or_else(of_registry);
        let Some(grant) = near.or_else(|| self.of_host(&self.tokens, url)) else {
            if let Some(chosen) = user_info(url) {
                return Ok(chosen);
            }
            return match self.of_host(&self.netrc, url) {
                Some(grant) => self.grant(grant, url),
                None => Ok(Chosen { used: self.near_miss(url), ..Chosen::default() }),
            };
        };
        self.grant(grant, url)
    }

    /// What a netrc file has for a URL's host, at whichever port, as curl and Nix read it.
    pub(super) fn of_netrc(&self, url: &Url) -> Option<HeaderValue> {
        let host = url.host_str()?;
        let with_port = format!("{host}:{}", url.port_or_known_default()?);
        let grant = self.netrc.get(&with_port).or_else(|| self.netrc.get(host))?;
        self.grant(grant, url).ok()?.header.map(|(_, value)| value)
    }

    fn grant(&self, grant: &Grant, url: &Url) -> Result<Chosen, Problem> {
        let place = grant.place.clone();
        // Before the variable is asked for: what would not be sent anyway need not be complete.
        if !self.may_carry(url) {
            let used = CredentialUse::Withheld { place, why: Withheld::Unencrypted };
            return Ok(Chosen { used, ..Chosen::default() });
        }
        if let Some(variable) = grant.unset.clone() {
            return Err(Problem::Unset { variable, place });
        }
        let header = match &grant.credential {
            None => None,
            Some(credential) => {
                Some(credential.header().ok_or_else(|| Problem::Credential { place: place.clone() })?)
            }
        };
        let used = CredentialUse::Sent { place, scheme: grant.credential.as_ref().map(Credential::scheme) };
        Ok(Chosen { header, identity: grant.identity.clone(), used })
    }

    /// Whether a secret may go to this URL: it is encrypted, or the user configured it unencrypted.
    fn may_carry(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.is_configured(url)
    }

    fn is_configured(&self, url: &Url) -> bool {
        let key = authority(url).map(|authority| (url.scheme().to_owned(), authority));
        key.is_some_and(|key| self.configured.contains(&key))
    }

    /// `host:port`, or `host` where the port is the scheme's own or a configured registry's.
    fn of_host<'a>(&self, table: &'a HashMap<String, Grant>, url: &Url) -> Option<&'a Grant> {
        let host = url.host_str()?;
        let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
        let any = || table.get(host).filter(|_| url.port().is_none() || self.is_configured(url));
        with_port.and_then(|key| table.get(&key)).or_else(any)
    }

    /// What is configured for the same host and does not fit, so that a refusal can be explained.
    fn near_miss(&self, url: &Url) -> CredentialUse {
        let (Some(host), Some(authority)) = (url.host_str(), authority(url)) else {
            return CredentialUse::None;
        };
        let of_prefix =
            |prefix: &str| prefix.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
        let mut same: Vec<_> = self
            .prefixes
            .iter()
            .map(|(prefix, grant)| (of_prefix(prefix), grant))
            .chain(self.tokens.iter().chain(&self.netrc).map(|(host, grant)| (host.clone(), grant)))
            .filter(|(at, _)| at.rsplit_once(':').map_or(at.as_str(), |(host, _)| host) == host)
            .collect();
        // The order of a `HashMap` would name another one in each run.
        same.sort_by(|a, b| (a.0 != authority, &a.1.place).cmp(&(b.0 != authority, &b.1.place)));
        match same.first() {
            None => CredentialUse::None,
            Some((at, grant)) => {
                let why = if *at == authority { Withheld::OtherPath } else { Withheld::OtherPort };
                CredentialUse::Withheld { place: grant.place.clone(), why }
            }
        }
    }
}

/// `host`, or `host:port` where the port is not the scheme's own.
pub(super) fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// npm's search: from the whole path up to the host, dropping a component or a slash at each step.
fn nearest<'a>(grants: &'a HashMap<String, Grant>, url: &Url, path: &str) -> Option<&'a Grant> {
    let mut key = format!("//{}{path}", authority(url)?);
    while key.len() > 2 {
        if let Some(grant) = grants.get(&key) {
            return Some(grant);
        }
        let kept = key.strip_suffix('/').unwrap_or_else(|| key.trim_end_matches(|c| c != '/')).len();
        key.truncate(kept);
    }
    None
}

/// `//Host/Path/` with the host in lower case, as URLs have it.
fn lowercase_host(prefix: &str) -> String {
    let end = prefix.get(2..).and_then(|rest| rest.find('/')).map_or(prefix.len(), |at| at + 2);
    prefix[..end].to_ascii_lowercase() + &prefix[end..]
}

/// User name and password of the URL. The author of the URL knows them, so its scheme does not matter.
fn user_info(url: &Url) -> Option<Chosen> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text| percent_decode_str(text).collect::<Vec<u8>>();
    let pair = Credential::pair(&decode(url.username()), &decode(url.password().unwrap_or_default()));
    let used = CredentialUse::Sent {
        place: "the user name and password in the URL".to_owned(),
        scheme: Some(pair.scheme()),
    };
    Some(Chosen { header: pair.header(), identity: None, used })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn bearer(text: &str) -> Grant {
        Grant::of(Credential::Bearer(Secret::new(text.into())), format!("place of {text}"))
    }

    fn sent(credentials: &Credentials, text: &str, registry: Option<&str>) -> Option<String> {
        let chosen = credentials.choose(&url(text), registry.map(url).as_ref(), Purpose::Package).unwrap();
        chosen.header.map(|(_, value)| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn credentials_go_to_the_longest_prefix_and_to_nobody_else() {
        let mut credentials = Credentials::default();
        credentials.add_prefix("//Host/", bearer("host"));
        credentials.add_prefix("//host/npm/private/", bearer("private"));
        credentials.add_prefix("//host:8080", Grant::of(Credential::pair(b"u", b"pw"), String::new()));
        credentials.add_token("plain", Grant::of(Credential::of_token("nix"), String::new()));
        credentials.add_token("basic:99", Grant::of(Credential::of_token("u:pw"), String::new()));
        let sent = |text| sent(&credentials, text, None);
        for (text, expected) in [
            ("https://host/a.tgz", Some("Bearer host")),
            ("https://host/npm/private/a/b.tgz", Some("Bearer private")),
            ("https://host/npm/privateer/b.tgz", Some("Bearer host")),
            ("https://host:8080/a", Some("Basic dTpwdw==")),
            ("https://plain/a", Some("Bearer nix")),
            ("https://plain:99/a", None),
            ("https://basic:99/a", Some("Basic dTpwdw==")),
            ("https://basic/a", None),
            ("http://host/a.tgz", None),
            ("http://plain/a", None),
            ("https://host:444/a", None),
            ("https://host.evil/a", None),
            ("https://sub.host/a", None),
            ("https://u:p%40@else/a", Some("Basic dTpwQA==")),
        ] {
            assert_eq!(sent(text).as_deref(), expected, "{text}");
        }
        assert!(!format!("{credentials:?}").contains("\"nix\""));
    }

    #[test]
    fn the_registrys_credential_goes_to_its_host_and_port_only() {
        let mut credentials = Credentials::default();
        credentials.add_prefix("//host/npm/", bearer("npm"));
        let registry = Some("https://host/npm/");
        assert_eq!(sent(&credentials, "https://host/files/a.tgz", registry).as_deref(), Some("Bearer npm"));
        assert_eq!(sent(&credentials, "https://host/files/a.tgz", Some("https://host/other/")), None);
        assert_eq!(sent(&credentials, "https://host:81/files/a.tgz", registry), None);
        assert_eq!(sent(&credentials, "https://files.host/a.tgz", registry), None);
    }

    #[test]
    fn an_unencrypted_registry_is_one_that_the_user_configured_so() {
        let mut credentials = Credentials::default();
        credentials.add_prefix("//host/", bearer("host"));
        credentials.add_token("http://nix:81", bearer("nix"));
        credentials.configure(&url("https://host/"));
        let used = credentials.choose(&url("http://host/a"), None, Purpose::Package).unwrap().used;
        let place = "place of host".to_owned();
        assert_eq!(used, CredentialUse::Withheld { place, why: Withheld::Unencrypted });
        credentials.configure(&url("http://host/npm/"));
        assert_eq!(sent(&credentials, "http://host/a", None).as_deref(), Some("Bearer host"));
        assert_eq!(sent(&credentials, "http://host:81/a", None), None);
        assert_eq!(sent(&credentials, "http://nix:81/a", None).as_deref(), Some("Bearer nix"));
    }

    #[test]
    fn a_netrc_entry_is_the_last_resort() {
        let mut credentials = Credentials::default();
        credentials.add_netrc("host", Grant::of(Credential::pair(b"u", b"pw"), "netrc".to_owned()));
        assert_eq!(sent(&credentials, "https://host/a", None).as_deref(), Some("Basic dTpwdw=="));
        assert_eq!(sent(&credentials, "https://me@host/a", None).as_deref(), Some("Basic bWU6"));
        assert_eq!(sent(&credentials, "https://host:8443/a", None), None);
        credentials.configure(&url("https://host:8443/"));
        assert_eq!(sent(&credentials, "https://host:8443/a", None).as_deref(), Some("Basic dTpwdw=="));
    }

    #[test]
    fn of_netrc_alone_a_host_gets_its_entry_at_any_port_but_not_in_clear() {
        let mut credentials = Credentials::default();
        credentials.add_prefix("//host/", bearer("npm"));
        credentials.add_token("host", bearer("nix"));
        credentials.add_netrc("host", Grant::of(Credential::pair(b"u", b"pw"), "netrc".to_owned()));
        let sent = |text| credentials.of_netrc(&url(text)).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(sent("https://host/a").as_deref(), Some("Basic dTpwdw=="));
        assert_eq!(sent("https://host:8443/a").as_deref(), Some("Basic dTpwdw=="));
        assert_eq!((sent("http://host/a"), sent("https://elsewhere/a")), (None, None));
    }

    #[test]
    fn what_does_not_fit_is_told_by_place() {
        let mut credentials = Credentials::default();
        credentials.add_prefix("//host/npm/", bearer("npm"));
        let why = |text| match credentials.choose(&url(text), None, Purpose::Package).unwrap().used {
            CredentialUse::Withheld { place, why } if place == "place of npm" => Some(why),
            _ => None,
        };
        assert_eq!(why("https://host/a"), Some(Withheld::OtherPath));
        assert_eq!(why("https://host:81/a"), Some(Withheld::OtherPort));
        assert_eq!(why("https://elsewhere/a"), None);
    }

    #[test]
    fn a_value_that_needs_an_unset_variable_is_an_error() {
        let mut credentials = Credentials::default();
        let grant = Grant { credential: None, unset: Some("NPM_TOKEN".to_owned()), ..bearer("x") };
        credentials.add_prefix("//host/", grant);
        let error = credentials.choose(&url("https://host/a"), None, Purpose::Package).unwrap_err();
        assert!(error.to_string().contains("NPM_TOKEN"), "{error}");
        assert!(credentials.choose(&url("https://other/a"), None, Purpose::Package).is_ok());
    }

    #[test]
    fn a_code_hosts_token_is_for_sources_alone() {
        let mut credentials = Credentials::default();
        credentials.add_source("//git.example/", bearer("all"));
        credentials.add_source(
            "//git.example/acme",
            Grant::of(Credential::PrivateToken(Secret::new("t".into())), String::new()),
        );
        let chosen = |text, purpose| {
            let (name, value) = credentials.choose(&url(text), None, purpose).unwrap().header?;
            Some(format!("{name}: {}", value.to_str().unwrap()))
        };
        let source = |text| chosen(text, Purpose::Source);
        assert_eq!(source("https://git.example/a/b.tar.gz").as_deref(), Some("authorization: Bearer all"));
        assert_eq!(source("https://git.example/acme/b.tar.gz").as_deref(), Some("private-token: t"));
        assert_eq!(source("http://git.example/a/b.tar.gz"), None);
        assert_eq!(chosen("https://git.example/a/b.tar.gz", Purpose::Package), None);
    }
}
