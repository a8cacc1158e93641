//! Of the user's `.npmrc` what concerns registries, for a npm that gets nothing else of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use npm_registry::Access;
use npm_registry::npmrc::expanded;
use regex_lite::Regex;

use super::start::Start;

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

/// A configuration to choose from. Not shown by `Debug`: it may hold tokens.
#[derive(Clone, Default)]
pub struct Passed {
    lines: Vec<Line>,
    /// The variables that lines refer to as `${NAME}`, with what they hold.
    variables: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Line {
    key: String,
    value: String,
}

/// What of it is handed over.
pub(super) struct Selected {
    /// The text of the file.
    pub(super) text: String,
    /// The variables that it refers to.
    pub(super) variables: Vec<(String, String)>,
    /// What must not be shown to anybody.
    pub(super) secrets: Vec<String>,
}

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.variables.keys().collect();
        f.debug_struct("Passed").field("variables", &names).finish_non_exhaustive()
    }
}

impl Passed {
    /// What of the user's `.npmrc` may be handed over. `lookup` answers for the environment; it is asked only for what
    /// such lines refer to, and never for git's variables, where bots keep their platform's token.
    #[must_use]
    pub fn of(text: &str, home: Option<&Path>, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let of_user = |name: &str| lookup(name).filter(|_| !name.to_ascii_uppercase().starts_with("GIT_"));
        let mut passed = Self::default();
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        for line in lines.take_while(|line| !line.starts_with('[')) {
            let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with([';', '#'])) else {
                continue;
            };
            // npm replaces variables in names, too; which host a line is for has to be known here.
            let key = expanded(key.trim().trim_matches(['"', '\'']), &of_user);
            if is_passed(key.trim_end_matches("[]")) {
                let value = at_home(&key, value.trim(), home);
                passed.lines.push(Line { key, value });
            }
        }
        let names: BTreeSet<_> = passed.lines.iter().flat_map(|line| references(&line.value)).collect();
        passed
            .variables
            .extend(names.into_iter().filter_map(|name| of_user(&name).map(|value| (name, value))));
        passed
    }

    /// Adds a setting of the environment (`npm_config_//host/:_authToken`), which wins over those of the file.
    pub fn set(&mut self, name: &str, value: &str) {
        if is_passed(name) {
            // Quoted as the file's dialect, which is JSON's, wants it.
            let value = serde_json::Value::from(value).to_string();
            self.lines.push(Line { key: name.to_owned(), value });
        }
    }

    /// The lines that a resolution needs: all but the credentials of hosts that it has no reason to ask.
    pub(super) fn select(&self, start: &Start, access: &Access) -> Selected {
        let hosts = hosts_of(start, access);
        let mut selected = Selected { text: String::new(), variables: Vec::new(), secrets: Vec::new() };
        let is_needed = |line: &&Line| host_of(&line.key).is_none_or(|host| hosts.contains(&host));
        let mut names = BTreeSet::new();
        for Line { key, value } in self.lines.iter().filter(is_needed) {
            if is_secret(key) {
                selected.secrets.push(value.trim_matches(['"', '\'']).to_owned());
            }
            names.extend(references(value));
            let _ = writeln!(selected.text, "{key}={value}");
        }
        for (name, value) in self.variables.iter().filter(|(name, _)| names.contains(*name)) {
            selected.secrets.push(value.clone());
            selected.variables.push((name.clone(), value.clone()));
        }
        selected
    }
}

/// The host that a credential is for.
fn host_of(key: &str) -> Option<String> {
    key.strip_prefix("//")?.split('/').next().map(str::to_ascii_lowercase)
}

/// The hosts that a resolution may ask.
fn hosts_of(start: &Start, access: &Access) -> BTreeSet<String> {
    let scope = Regex::new("(@[A-Za-z0-9][A-Za-z0-9._-]*)/").expect("bug: the pattern is one");
    let address = Regex::new(r#""https?://([^/"\s@]+@)?([^/"\s@]+)/"#).expect("bug: the pattern is one");
    let texts = [Some(&start.manifest), start.lockfile.as_ref()];
    let mut hosts = access.hosts_of(None);
    for text in texts.into_iter().flatten().map(|bytes| String::from_utf8_lossy(bytes)) {
        let scopes: BTreeSet<_> = scope.captures_iter(&text).map(|found| found[1].to_owned()).collect();
        hosts.extend(scopes.iter().flat_map(|scope| access.hosts_of(Some(scope))));
        hosts.extend(address.captures_iter(&text).map(|found| found[2].to_ascii_lowercase()));
    }
    hosts
}

/// The names that a value refers to as `${NAME}`.
fn references(value: &str) -> Vec<String> {
    let reference = Regex::new(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\??\}").expect("bug: the pattern is one");
    reference.captures_iter(value).map(|found| found[1].to_owned()).collect()
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
    use npm_registry::Options;
    use npm_registry::npmrc::Npmrc;

    use super::*;

    fn selected(text: &str, manifest: &str, lockfile: Option<&str>) -> Selected {
        let lookup = |name: &str| match name {
            "UNSET" => None,
            "HOST" => Some("files:81".to_owned()),
            other => Some(format!("value of {other}")),
        };
        let (mut npmrc, mut options) = (Npmrc::default(), Options::default());
        npmrc.layer(text, &lookup);
        npmrc.apply(&mut options, None, Path::new("/")).unwrap();
        let start = Start {
            manifest: manifest.as_bytes().to_vec(),
            name: "package-lock.json",
            lockfile: lockfile.map(|text| text.as_bytes().to_vec()),
            version: None,
            package: String::new(),
        };
        let passed = Passed::of(text, Some(Path::new("/home/me")), &lookup);
        assert!(!format!("{passed:?}").contains("value of"));
        passed.select(&start, &options.access)
    }

    #[test]
    fn registries_and_what_opens_them_are_passed_and_nothing_else() {
        let text = "\u{feff}; a comment=1\nregistry = https://corp/npm/\nlegacy-peer-deps=true\n\
                    @acme:registry=https://acme/\n//corp/npm/:_authToken=${NPM_TOKEN}\n\
                    //acme/:_auth = \"c2VjcmV0\"\ncafile=~/ca.pem\nca[]=one\nignore-scripts=false\nstrict-ssl=false\n\
                    //corp/npm/:keyfile=${GIT_CONFIG_VALUE_0}\nprefix=${SECRET}\n[section]\nproxy=http://x\n";
        let Selected { text, variables, secrets } =
            selected(text, r#"{"dependencies":{"@acme/x":"1"}}"#, None);
        assert_eq!(
            text,
            "registry=https://corp/npm/\n@acme:registry=https://acme/\n//corp/npm/:_authToken=${NPM_TOKEN}\n\
             //acme/:_auth=\"c2VjcmV0\"\ncafile=/home/me/ca.pem\nca[]=one\n//corp/npm/:keyfile=${GIT_CONFIG_VALUE_0}\n"
        );
        assert_eq!(variables, [("NPM_TOKEN".to_owned(), "value of NPM_TOKEN".to_owned())]);
        assert!(
            secrets.contains(&"value of NPM_TOKEN".to_owned()) && secrets.contains(&"c2VjcmV0".to_owned())
        );
    }

    #[test]
    fn other_hosts_credentials_stay_here() {
        let text = "@acme:registry=https://acme/\n//acme/:_authToken=${ACME}\n//registry.npmjs.org/:_authToken=${NPM}\n\
                    //elsewhere/:_authToken=${OTHER}\n//files:81/a/:_authToken=files\n//${HOST}/:_authToken=${OF_HOST}\n";
        let names =
            |selected: &Selected| selected.variables.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let none = selected(text, "{}", None);
        assert_eq!(names(&none), ["NPM"]);
        assert_eq!(
            none.text, "@acme:registry=https://acme/\n//registry.npmjs.org/:_authToken=${NPM}\n",
            "the scope's registry stays known, or npm would ask the public one for its packages"
        );
        let lockfile = r#"{"packages":{"node_modules/@acme/x":{"resolved":"https://files:81/x.tgz"}}}"#;
        let both = selected(text, "{}", Some(lockfile));
        assert_eq!(names(&both), ["ACME", "NPM", "OF_HOST"]);
        assert!(both.text.contains("//files:81/:_authToken=${OF_HOST}\n"), "{}", both.text);
        assert!(both.text.contains("//files:81/a/") && !both.text.contains("elsewhere"), "{}", both.text);
    }
}
