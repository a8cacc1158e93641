//! Tokens of code hosts, from the places where users of Nix have them. `docs/credentials.md` has the table.

use npm_registry::{Access, Credential, Grant, Secret};

/// What `access-tokens`, `extra-access-tokens` and `netrc-file` of a `nix.conf` say.
#[derive(Default)]
pub struct NixConf {
    /// `host` or `host/owner`, and the token.
    tokens: Vec<(String, String)>,
    /// The netrc file that Nix reads.
    pub netrc_file: Option<String>,
    /// Other files that are included, with whether they may be missing.
    pub includes: Vec<String>,
}

impl NixConf {
    /// Adds a file's text, which wins over what was added before. Includes are for the caller to follow.
    pub fn layer(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("include" | "!include"), Some(file)) => self.includes.push(file.to_owned()),
                (Some(name @ ("access-tokens" | "extra-access-tokens")), Some("=")) => {
                    // As in Nix: the plain name sets the list anew, `extra-` adds to it.
                    if name == "access-tokens" {
                        self.tokens.clear();
                    }
                    let pairs = words.filter_map(|word| word.split_once('='));
                    self.tokens.extend(pairs.map(|(host, token)| (host.to_owned(), token.to_owned())));
                }
                (Some("netrc-file"), Some("=")) => self.netrc_file = words.next().map(str::to_owned),
                _ => {}
            }
        }
    }

    /// Grants the tokens to their hosts.
    pub fn apply(&self, access: &mut Access) {
        for (host, token) in &self.tokens {
            let credential = match token.split_once(':') {
                // The two forms that Nix knows for GitLab.
                Some(("PAT", token)) => Credential::PrivateToken(Secret::new(token.to_owned())),
                Some(("OAuth2", token)) => Credential::Bearer(Secret::new(token.to_owned())),
                _ => Credential::Bearer(Secret::new(token.clone())),
            };
            grant(access, host, &credential, &format!("`access-tokens` of nix.conf for {host}"));
        }
    }
}

/// Grants a token to a code host (`host` or `host/owner`), and to the addresses of its API.
pub fn grant(access: &mut Access, host: &str, credential: &Credential, place: &str) {
    let (host, owner) = host.trim_end_matches('/').split_once('/').unwrap_or((host, ""));
    let owner = if owner.is_empty() { String::new() } else { format!("{owner}/") };
    let mut prefixes = vec![format!("//{host}/{owner}")];
    match host {
        "github.com" if owner.is_empty() => prefixes.push("//api.github.com/".to_owned()),
        "github.com" => prefixes.push(format!("//api.github.com/repos/{owner}")),
        _ if owner.is_empty() => {}
        // GitHub Enterprise, Gitea and Forgejo, GitLab. The owner is in each, so that the token of one is never sent
        // for another's repository.
        _ => prefixes.extend([
            format!("//{host}/api/v3/repos/{owner}"),
            format!("//{host}/api/v1/repos/{owner}"),
            format!("//{host}/api/v4/projects/{owner}"),
        ]),
    }
    for prefix in prefixes {
        access.grant_source(&prefix, Grant::of(credential.clone(), place.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nix_conf_is_read_as_nix_reads_it() {
        let mut conf = NixConf::default();
        conf.layer("access-tokens = old=x\nnetrc-file = /n\n!include more.conf\n");
        conf.layer("access-tokens = github.com=ghp # a comment=x\nextra-access-tokens = g.example/acme=PAT:p\nsandbox = true");
        let tokens = [("github.com", "ghp"), ("g.example/acme", "PAT:p")];
        assert_eq!(conf.tokens, tokens.map(|(host, token)| (host.to_owned(), token.to_owned())));
        assert_eq!((conf.netrc_file.as_deref(), conf.includes), (Some("/n"), vec!["more.conf".to_owned()]));
    }
}
