//! Of the user's `.npmrc` what concerns registries, for a npm that gets nothing else of it.

use std::{collections::BTreeSet, fmt, fmt::Write as _, path::Path};

use regex_lite::Regex;

/// Settings that say where registries are and how they are reached.
const SETTINGS: &[&str] = &[
    "ca",
    "cafile",
    "fetch-retries",
    "fetch-retry-factor",
    "fetch-retry-maxtimeout",
    "fetch-retry-mintimeout",
    "fetch-timeout",
    "http-proxy",
    "https-proxy",
    "local-address",
    "maxsockets",
    "no-proxy",
    "noproxy",
    "proxy",
    "registry",
    "replace-registry-host",
];

/// A configuration to hand over. Not shown by `Debug`: it may hold tokens.
#[derive(Clone, Default)]
pub struct Passed {
    /// The text of the file.
    pub(super) text: String,
    /// The variables that it refers to as `${NAME}`, with what they hold.
    pub(super) variables: Vec<(String, String)>,
    /// What must not be shown to anybody.
    pub(super) secrets: Vec<String>,
}

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.variables.iter().map(|(name, _)| name).collect();
        f.debug_struct("Passed").field("variables", &names).finish_non_exhaustive()
    }
}

impl Passed {
    /// What of the user's `.npmrc` is handed over. `lookup` answers for the environment; it is asked only for what lines
    /// that are handed over refer to, and never for git's variables, where bots keep their platform's token.
    #[must_use]
    pub fn of(text: &str, home: Option<&Path>, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut passed = Self::default();
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        for line in lines.take_while(|line| !line.starts_with('[')) {
            let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with([';', '#'])) else {
                continue;
            };
            let key = key.trim().trim_matches(['"', '\'']);
            if !is_passed(key.trim_end_matches("[]")) {
                continue;
            }
            let value = value.trim();
            if is_secret(key) {
                passed.secrets.push(value.trim_matches(['"', '\'']).to_owned());
            }
            let _ = writeln!(passed.text, "{key}={}", at_home(key, value, home));
        }
        passed.take_variables(lookup);
        passed
    }

    fn take_variables(&mut self, lookup: &dyn Fn(&str) -> Option<String>) {
        let reference = Regex::new(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\??\}").expect("bug: the pattern is one");
        let names: BTreeSet<_> =
            reference.captures_iter(&self.text).map(|found| found[1].to_owned()).collect();
        for name in names.into_iter().filter(|name| !name.to_ascii_uppercase().starts_with("GIT_")) {
            if let Some(value) = lookup(&name) {
                self.secrets.push(value.clone());
                self.variables.push((name, value));
            }
        }
    }
}

fn is_passed(key: &str) -> bool {
    let of_scope = key.starts_with('@') && key.ends_with(":registry");
    key.starts_with("//") || of_scope || SETTINGS.contains(&key)
}

fn is_secret(key: &str) -> bool {
    ["_authToken", "_auth", "_password"].iter().any(|field| key.ends_with(field))
}

/// A path below `~` as it is outside of npm's own home.
fn at_home(key: &str, value: &str, home: Option<&Path>) -> String {
    let is_path = key == "cafile" || key.ends_with(":certfile") || key.ends_with(":keyfile");
    match (value.trim_matches(['"', '\'']).strip_prefix("~/"), home) {
        (Some(rest), Some(home)) if is_path => home.join(rest).display().to_string(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_and_what_opens_them_are_passed_and_nothing_else() {
        let text = "\u{feff}; a comment=1\nregistry = https://corp/npm/\nlegacy-peer-deps=true\n\
                    @acme:registry=https://acme/\n//corp/npm/:_authToken=${NPM_TOKEN}\n\
                    //acme/:_auth = \"c2VjcmV0\"\ncafile=~/ca.pem\nca[]=one\nignore-scripts=false\nstrict-ssl=false\n\
                    //evil/:_authToken=${GIT_CONFIG_VALUE_0}\nprefix=${SECRET}\n[section]\nproxy=http://x\n";
        let lookup = |name: &str| (name != "UNSET").then(|| format!("value of {name}"));
        let passed = Passed::of(text, Some(Path::new("/home/me")), &lookup);
        assert_eq!(
            passed.text,
            "registry=https://corp/npm/\n@acme:registry=https://acme/\n//corp/npm/:_authToken=${NPM_TOKEN}\n\
             //acme/:_auth=\"c2VjcmV0\"\ncafile=/home/me/ca.pem\nca[]=one\n//evil/:_authToken=${GIT_CONFIG_VALUE_0}\n"
        );
        assert_eq!(passed.variables, [("NPM_TOKEN".to_owned(), "value of NPM_TOKEN".to_owned())]);
        assert!(passed.secrets.contains(&"value of NPM_TOKEN".to_owned()));
        assert!(passed.secrets.contains(&"c2VjcmV0".to_owned()));
        assert!(!format!("{passed:?}").contains("value of"));
    }
}
