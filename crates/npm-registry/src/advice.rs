//! What to do about a failed fetch: which setting, and where it is written.

use std::borrow::Cow;

use error_advice::Advise;
use url::Url;

use super::access::Access;
use super::credentials::{CredentialUse, Purpose, Withheld, authority};
use super::error::{Challenge, FetchError, Problem};

impl Advise for FetchError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        if self.is_refusal() {
            return Some(self.refusal_hint().into());
        }
        if self.is_missing() {
            return Some(
                format!(
                    "the registry has no such version any more, or hides it from those without access: {}",
                    self.access_hint()
                )
                .into(),
            );
        }
        let hint = match &self.problem {
            Problem::Mismatch(_) => {
                "the lockfile or the registry's file was changed; do not accept the new integrity unexamined"
            }
            Problem::WebPage { .. } => {
                "a sign-in page, a captive portal or a filtering proxy answers in the registry's place: sign in, or name \
                 the right registry, mirror or proxy"
            }
            Problem::Identity { certificate, .. } => {
                return Some(self.identity_hint(certificate.is_some()).into());
            }
            Problem::Status { asks_for, .. } if asks_for.certificate => {
                return Some(self.identity_hint(false).into());
            }
            Problem::Certificate { .. } => {
                "if a company's proxy re-signs the traffic, name its certificate with NODE_EXTRA_CA_CERTS or `cafile` in .npmrc"
            }
            Problem::Proxy { .. } => {
                "check the proxy's address in https_proxy, http_proxy or .npmrc, or exempt the host with no_proxy"
            }
            Problem::Lookup { .. } if self.asked.is_none() && !self.is_public() => {
                return Some(format!(
                    "if {0} can be reached only from elsewhere, lead its requests to another mirror with \
                     `--registry-override {0}=URL`, or with `registry` and `replace-registry-host={0}` in ~/.npmrc",
                    self.host()
                ).into());
            }
            Problem::Connect { .. } | Problem::Lookup { .. } => {
                "check the network, the proxy settings and the registry in .npmrc; --offline uses only what is on disk"
            }
            Problem::Setup(_) => "check SSL_CERT_FILE, NODE_EXTRA_CA_CERTS and the proxy settings",
            Problem::Downgrade { .. } => {
                "the registry redirects to an unencrypted address: name another registry or mirror"
            }
            Problem::TooLarge { .. } => "if it really is that large, raise the limit with --max-download",
            Problem::TooSlow { .. } => "name a nearer mirror with --registry-override",
            Problem::Deadline { .. } => {
                "name a nearer mirror with --registry-override, or give the run more time with --timeout: one request \
                 may take a quarter of it"
            }
            Problem::AskedToWait { .. } => "try again later, or ask for less at once with --jobs",
            Problem::Unset { variable, .. } => {
                return Some(
                    format!(
                        "set {variable}, or write ${{{variable}?}} if the setting may be empty without it"
                    )
                    .into(),
                );
            }
            _ => return None,
        };
        Some(hint.into())
    }
}

impl FetchError {
    /// Where the request went: `host` or `host:port`.
    fn host(&self) -> String {
        let url = Url::parse(self.asked.as_ref().unwrap_or(&self.url)).ok();
        url.and_then(|url| authority(&url)).unwrap_or_default()
    }

    fn refusal_hint(&self) -> String {
        let wanted = match (&self.problem, &self.credential) {
            (Problem::Status { asks_for, .. }, CredentialUse::Sent { scheme: Some(sent), .. })
                if !asks_for.is_nothing() && !asks_for.scheme(sent) =>
            {
                format!("; the server wants {asks_for}, and what was sent is {sent}")
            }
            _ => String::new(),
        };
        self.access_hint() + &wanted
    }

    /// What to do if the server did not take the client certificate, or got none.
    fn identity_hint(&self, was_shown: bool) -> String {
        let host = self.host();
        let (certfile, keyfile) = (format!("`//{host}/:certfile`"), format!("`//{host}/:keyfile`"));
        match &self.credential {
            CredentialUse::Sent { place, .. } | CredentialUse::Withheld { place, .. } if was_shown => {
                format!(
                    "{place} is what applies: see that its certificate has not expired, and that the server knows its \
                 authority; or set {certfile} and {keyfile} in ~/.npmrc to the PEM files of another"
                )
            }
            _ => format!(
                "set {certfile} and {keyfile} in ~/.npmrc to the PEM files of a certificate that it takes{}",
                self.unread()
            ),
        }
    }

    /// Where to write a credential for this server, of the kind that it asked for.
    fn where_to_write_one(&self) -> String {
        let host = self.host();
        let nothing = Challenge::default();
        let asked = if let Problem::Status { asks_for, .. } = &self.problem { asks_for } else { &nothing };
        let basic = asked.scheme("basic") && !asked.scheme("bearer");
        if asked.certificate && asked.schemes.is_empty() {
            return format!("`//{host}/:certfile` and `//{host}/:keyfile` in ~/.npmrc");
        }
        match self.purpose {
            Purpose::Package if basic => {
                format!("`//{host}/:_auth` in ~/.npmrc to the base64 of user:password, or NIX_NPM_TOKENS")
            }
            Purpose::Package => format!("`//{host}/:_authToken` in ~/.npmrc, or NIX_NPM_TOKENS"),
            Purpose::Source if basic => format!("`machine {host}` in ~/.netrc with its login and password"),
            Purpose::Source => {
                // GitHub serves archives through its API; Nix users have the token for the host itself.
                let host = if host == "api.github.com" { "github.com" } else { &host };
                format!("`access-tokens = {host}=TOKEN` in nix.conf, or `machine {host}` in ~/.netrc")
            }
        }
    }

    /// Why the token that lies beside the lockfile is of no use. It is about packages alone.
    fn unread(&self) -> &'static str {
        match self.purpose {
            Purpose::Package => {
                "; a repository's own .npmrc is not read, because anyone who can change it could send your tokens anywhere"
            }
            Purpose::Source => "",
        }
    }

    /// Which credential went along, and what to do if it was the wrong one or none.
    #[must_use]
    pub fn access_hint(&self) -> String {
        let host = self.host();
        match &self.credential {
            CredentialUse::Sent { place, .. } => {
                format!(
                    "{place} was sent: it may have expired, or may not be allowed to read this{}",
                    self.unread()
                )
            }
            CredentialUse::Withheld { place, why } => {
                let why = match why {
                    Withheld::Unencrypted => {
                        format!(
                            "because the URL is not encrypted and nothing of the user's configuration says http://{host}"
                        )
                    }
                    Withheld::OtherPort => "because it is for another port of this host".to_owned(),
                    Withheld::OtherPath => {
                        "because it is for another path of this host, and no registry there is configured"
                            .to_owned()
                    }
                    Withheld::Redirected => "because a redirect led to another host".to_owned(),
                    Withheld::Mirror => {
                        "because the repository's npm-nixhash.toml leads the request to this mirror, not your own \
                         configuration"
                            .to_owned()
                    }
                };
                format!("{place} was not sent, {why}{}", self.unread())
            }
            CredentialUse::None => {
                let place = self.where_to_write_one();
                format!("no credential for {host} is configured: set {place}{}", self.unread())
            }
        }
    }

    fn is_public(&self) -> bool {
        Url::parse(&self.url).is_ok_and(|url| Access::is_public(&url))
    }
}
