//! npm's configuration, as far as it concerns where tarballs come from.
//!
//! The shell reads the files and hands their texts in, from the weakest to the strongest: global, user, project,
//! then `npm_config_*` settings. The syntax is npm's `ini` dialect: `key = value`, `key[] = value`, comments with `;` and
//! `#`, quotes, `\` before `;`, `#` and `\`; `${NAME}` is replaced by the environment, `${NAME?}` by nothing if it is
//! not set.
//!
//! A value that refers to a variable that is not set is never used as it stands, as npm would: it would be sent as a token.
//! It is an error where the value is needed.
//!
//! Not honoured, but reported: `strict-ssl=false` (certificates are always checked), and credentials that name no
//! registry (npm refuses those too). `@scope:registry` says whom to ask about a package by name, and whose credentials
//! go to tarballs of the same host.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use error_advice::Advise;
use url::Url;

use super::access::ReplaceHost;
use super::credentials::{ClientIdentity, Credential, Grant};
use super::options::Options;
use super::secret::Secret;

/// What a registry's door is opened with.
const FIELDS: [&str; 6] = ["_authToken", "_auth", "username", "_password", "certfile", "keyfile"];

/// Settings of all layers. Values are not shown by `Debug`: any of them may be a secret.
#[derive(Clone, Default)]
pub struct Npmrc {
    settings: BTreeMap<String, Setting>,
}

/// What is set under one name.
#[derive(Clone, Default)]
struct Setting {
    /// The name as it is written, for messages. npm replaces variables in names too, and a line that lost its `=` is a name:
    /// `//host/:_authToken ${TOKEN}` must not show what the variable holds.
    written: String,
    /// One, or those of a list.
    values: Vec<Value>,
}

/// A value, and the first variable that it refers to and that is not set.
#[derive(Clone)]
struct Value {
    text: String,
    unset: Option<String>,
}

/// A setting that every request depends on needs a variable that is not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the setting `{setting}` in .npmrc needs the variable {variable}, which is not set")]
pub struct UnsetVariable {
    /// The setting's name.
    pub setting: String,
    /// The variable's name.
    pub variable: String,
}

impl Advise for UnsetVariable {
    fn advice(&self) -> Option<Cow<'static, str>> {
        let variable = &self.variable;
        Some(
            format!("set {variable}, or write ${{{variable}?}} if the setting may be empty without it")
                .into(),
        )
    }
}

impl std::fmt::Debug for Npmrc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.settings.values().map(|setting| &setting.written)).finish()
    }
}

/// A setting that is not honoured, worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The setting's name; never its value.
    pub setting: String,
    /// Why.
    pub reason: &'static str,
}

impl Npmrc {
    /// Adds a file's text, which wins over what was added before. `lookup` answers for the environment.
    pub fn layer(&mut self, text: &str, lookup: &dyn Fn(&str) -> Option<String>) {
        let mut layer: BTreeMap<String, Setting> = BTreeMap::new();
        // Behind a `[section]` npm's `ini` files keys under its name, where npm looks for no token
        // (docs/credentials.md).
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        for line in
            lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with([';', '#']))
        {
            // A key alone is `true` there.
            let (key, value) = line.split_once('=').unwrap_or((line, "true"));
            let written = unquote(key);
            let key = expand(&written, lookup).text;
            let value = expand(&unquote(value), lookup);
            match key.strip_suffix("[]") {
                _ if key.is_empty() => {}
                Some(list) => {
                    let setting = layer.entry(list.to_owned()).or_default();
                    written.trim_end_matches("[]").clone_into(&mut setting.written);
                    setting.values.push(value);
                }
                None => drop(layer.insert(key, Setting { written, values: vec![value] })),
            }
        }
        self.settings.extend(layer);
    }

    /// Sets one value, as the environment does: `npm_config_<name>`, given here without the prefix.
    ///
    /// Names are lower-cased and `_` becomes `-`, but for those of credentials, which start with `//`.
    pub fn set(&mut self, name: &str, value: String) {
        let is_exact = name.starts_with("//") || name.starts_with('@') || name.starts_with('_');
        let name = if is_exact { name.to_owned() } else { name.to_ascii_lowercase().replace('_', "-") };
        let values = vec![Value { text: value, unset: None }];
        self.settings.insert(name.clone(), Setting { written: name, values });
    }

    /// A setting's (last) value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let last = self.settings.get(name)?.values.last();
        last.map(|value| value.text.as_str()).filter(|value| !matches!(*value, "" | "null"))
    }

    /// The variable that a setting needs and that is not set.
    fn unset(&self, name: &str) -> Option<&str> {
        self.settings.get(name)?.values.iter().find_map(|value| value.unset.as_deref())
    }

    /// A setting's name as messages may show it.
    fn shown<'a>(&'a self, name: &'a str) -> &'a str {
        self.settings.get(name).map_or(name, |setting| &setting.written)
    }

    /// Refuses settings of this name that cannot be known.
    fn known(&self, name: &str) -> Result<(), UnsetVariable> {
        match self.unset(name) {
            None => Ok(()),
            Some(variable) => Err(UnsetVariable { setting: name.to_owned(), variable: variable.to_owned() }),
        }
    }

    /// The folder of npm's cache, if it is set; `~/` and relative paths are resolved.
    #[must_use]
    pub fn cache(&self, home: Option<&Path>, here: &Path) -> Option<PathBuf> {
        self.path("cache", home, here)
    }

    fn path(&self, name: &str, home: Option<&Path>, here: &Path) -> Option<PathBuf> {
        self.get(name).map(|text| resolve(text, home, here))
    }

    /// Writes the settings into `options`; tells what was not honoured.
    ///
    /// # Errors
    /// A setting that decides where every request goes, or whom it believes, needs a variable that is not set.
    pub fn apply(
        &self,
        options: &mut Options,
        home: Option<&Path>,
        here: &Path,
    ) -> Result<Vec<Ignored>, UnsetVariable> {
        for name in
            ["registry", "replace-registry-host", "proxy", "https-proxy", "http-proxy", "cafile", "ca"]
        {
            self.known(name)?;
        }
        let mut ignored = Vec::new();
        self.apply_registry(options, &mut ignored);
        self.apply_credentials(options, &mut ignored, &|text| resolve(text, home, here));
        options.trust.extra_files.extend(self.path("cafile", home, here));
        if self.get("ca").is_some() {
            // A PEM text on one line has its line endings written as `\n`.
            let texts = self.settings["ca"].values.iter().map(|pem| pem.text.replace("\\n", "\n"));
            options.trust.extra_pem.extend(texts);
        }
        self.apply_proxies(options);
        if let Some(sockets) = self.get("maxsockets").and_then(|text| text.parse::<usize>().ok()) {
            options.jobs = options.jobs.min(sockets.max(1));
        }
        if let Some(retries) = self.get("fetch-retries").and_then(|text| text.parse().ok()) {
            options.retries = retries;
        }
        if self.get("strict-ssl") == Some("false") {
            ignored.push(Ignored {
                setting: "strict-ssl".to_owned(),
                reason: "certificates are always checked",
            });
        }
        Ok(ignored)
    }

    fn apply_registry(&self, options: &mut Options, ignored: &mut Vec<Ignored>) {
        for (name, setting) in &self.settings {
            let Some(scope) = name.strip_suffix(":registry").filter(|_| name.starts_with('@')) else {
                continue;
            };
            match self.get(name).map(Url::parse) {
                Some(Ok(url)) if matches!(url.scheme(), "http" | "https") => {
                    options.access.set_scope_registry(scope, url);
                }
                _ => ignored
                    .push(Ignored { setting: setting.written.clone(), reason: "not an http or https URL" }),
            }
        }
        let Some(text) = self.get("registry") else { return };
        let replace = match self.get("replace-registry-host") {
            None | Some("npmjs") => ReplaceHost::Public,
            Some("never") => ReplaceHost::Never,
            Some("always") => ReplaceHost::Always,
            Some(host) => ReplaceHost::Host(host.to_ascii_lowercase()),
        };
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => options.access.set_registry(url, replace),
            _ => ignored.push(Ignored { setting: "registry".to_owned(), reason: "not an http or https URL" }),
        }
    }

    fn apply_credentials(
        &self,
        options: &mut Options,
        ignored: &mut Vec<Ignored>,
        path: &dyn Fn(&str) -> PathBuf,
    ) {
        let mut prefixes = BTreeSet::new();
        for name in self.settings.keys() {
            match name.rsplit_once(':').filter(|_| name.starts_with("//")) {
                Some((prefix, field)) if FIELDS.contains(&field) => drop(prefixes.insert(prefix)),
                None if matches!(name.as_str(), "_authToken" | "_auth" | "_password") => {
                    ignored.push(Ignored { setting: name.clone(), reason: "it names no registry" });
                }
                None if matches!(name.as_str(), "cert" | "key") => ignored.push(Ignored {
                    setting: name.clone(),
                    reason: "every host would see it; write `//host/:certfile` and `//host/:keyfile`",
                }),
                _ => {}
            }
        }
        for prefix in prefixes {
            if let Some(grant) = self.grant(prefix, path) {
                options.access.grant(prefix, grant);
            }
        }
    }

    /// What is configured for one prefix. Of several credentials the first one counts that npm would take: a token, both
    /// in one, user and password; a client certificate goes with any of them.
    fn grant(&self, prefix: &str, path: &dyn Fn(&str) -> PathBuf) -> Option<Grant> {
        let name = |field: &str| format!("{prefix}:{field}");
        let field = |field: &str| self.get(&name(field));
        let mut used = Vec::new();
        let mut credential = None;
        if let Some(token) = field("_authToken") {
            credential = Some(Credential::Bearer(Secret::new(token.to_owned())));
            used.push("_authToken");
        } else if let Some(auth) = field("_auth") {
            credential = Some(Credential::Basic(Secret::new(auth.to_owned())));
            used.push("_auth");
        } else if let (Some(user), Some(password)) = (field("username"), field("_password")) {
            let password = BASE64.decode(password).unwrap_or_default();
            credential = Some(Credential::pair(user.as_bytes(), &password));
            used.extend(["_password", "username"]);
        }
        let mut identity = None;
        if let (Some(certfile), Some(keyfile)) = (field("certfile"), field("keyfile")) {
            identity = Some(Arc::new(ClientIdentity { certfile: path(certfile), keyfile: path(keyfile) }));
            used.extend(["certfile", "keyfile"]);
        }
        // Of what is used alone: an `_auth` that lacks its variable is no matter where `_authToken` wins.
        let unset = used.iter().find_map(|field| self.unset(&name(field))).map(str::to_owned);
        let place = format!("`{}` in .npmrc", self.shown(&name(used.first()?)));
        Some(Grant { credential, identity, unset, place })
    }

    fn apply_proxies(&self, options: &mut Options) {
        let proxy = |names: &[&str]| {
            // `proxy=false` is how npm is told to use none.
            let value = names.iter().find_map(|name| self.get(name)).filter(|value| *value != "false");
            value.map(|value| Secret::new(value.to_owned()))
        };
        if let Some(https) = proxy(&["https-proxy", "proxy"]) {
            options.proxies.https = Some(https);
        }
        if let Some(http) = proxy(&["http-proxy", "proxy"]) {
            options.proxies.http = Some(http);
        }
        if let Some(exempt) = self.get("noproxy").or_else(|| self.get("no-proxy")) {
            options.proxies.exempt = Some(exempt.to_owned());
        }
    }
}

/// A path as npm resolves it.
fn resolve(text: &str, home: Option<&Path>, here: &Path) -> PathBuf {
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => here.join(text),
    }
}

/// The `ini` dialect's values: quoted, or with comments and escapes.
fn unquote(text: &str) -> String {
    let text = text.trim();
    if text.len() > 1 && text.starts_with('"') && text.ends_with('"') {
        return serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
    }
    if let Some(inner) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return inner.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => match rest.next() {
                Some(escaped @ ('\\' | ';' | '#')) => plain.push(escaped),
                Some(other) => plain.extend(['\\', other]),
                None => plain.push('\\'),
            },
            ';' | '#' => break,
            other => plain.push(other),
        }
    }
    plain.trim().to_owned()
}

/// A text with `${NAME}` replaced as npm does it in names and values.
pub fn expanded(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    expand(text, lookup).text
}

/// Replaces `${NAME}`; an unset name stays as written and is noted, and an odd number of backslashes before it protects it.
fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Value {
    let mut expanded = Value { text: String::with_capacity(text.len()), unset: None };
    let mut rest = text;
    while let Some((before, inside, after)) = next_reference(rest) {
        let slashes = before.len() - before.trim_end_matches('\\').len();
        expanded.text.push_str(&before[..before.len() - slashes.div_ceil(2)]);
        let name = inside.strip_suffix('?').unwrap_or(inside);
        if slashes % 2 == 1 {
            expanded.text.extend(["${", inside, "}"]);
        } else if let Some(value) = lookup(name) {
            expanded.text.push_str(&value);
        } else if name == inside {
            expanded.text.extend(["${", name, "}"]);
            expanded.unset.get_or_insert_with(|| name.to_owned());
        }
        rest = after;
    }
    expanded.text.push_str(rest);
    expanded
}

/// Splits at the first `${NAME}`. What npm takes for no name, because it is empty or has another `${` in it, is text.
fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices("${").find_map(|(start, _)| {
        let rest = &text[start + 2..];
        let end = rest.find(['$', '{', '}']).filter(|end| *end > 0 && rest[*end..].starts_with('}'))?;
        Some((&text[..start], &rest[..end], &rest[end + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CredentialUse, Purpose};

    fn lookup(name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "s3cret".to_owned())
    }

    fn parsed(texts: &[&str]) -> Npmrc {
        let mut npmrc = Npmrc::default();
        for text in texts {
            npmrc.layer(text, &lookup);
        }
        npmrc
    }

    fn applied(texts: &[&str]) -> (Options, Vec<Ignored>) {
        let mut options = Options::default();
        let (home, here) = (Some(Path::new("/home/me")), Path::new("/srv/app"));
        let ignored = parsed(texts).apply(&mut options, home, here).unwrap();
        (options, ignored)
    }

    #[test]
    fn the_ini_dialect() {
        let npmrc = parsed(&[
            "\u{feff}; comment\n# another\nplain = a b ; trailing\r\nquoted = \"x;y\"\nsingle='z#'\nflag\nesc=a\\;b\\\\c\\d\n",
            "list[] = one\nlist[] = two\nunset=${NONE}\ngone=<${NONE?}>\nset=${TOKEN}!\nkept=\\${TOKEN}\nopen=${TOKEN\n\
             empty=${}-${TOKEN}\nwithin=${a${TOKEN}}\n[section]\nplain=no\n",
        ]);
        for (name, value) in [
            ("plain", "a b"),
            ("quoted", "x;y"),
            ("single", "z#"),
            ("flag", "true"),
            ("esc", "a;b\\c\\d"),
            ("list", "two"),
            ("unset", "${NONE}"),
            ("gone", "<>"),
            ("set", "s3cret!"),
            ("kept", "${TOKEN}"),
            ("open", "${TOKEN"),
            ("empty", "${}-s3cret"),
            ("within", "${as3cret}"),
        ] {
            assert_eq!(npmrc.get(name), Some(value), "{name}");
        }
        let list: Vec<_> = npmrc.settings["list"].values.iter().map(|value| value.text.as_str()).collect();
        assert_eq!(list, ["one", "two"]);
        assert!(!format!("{npmrc:?}").contains("s3cret"));
    }

    #[test]
    fn later_layers_and_the_environment_win() {
        let mut npmrc = parsed(&["cache=/global\nmaxsockets=9", "cache=~/c"]);
        let cache = |npmrc: &Npmrc| npmrc.cache(Some(Path::new("/home/me")), Path::new("/srv"));
        assert_eq!(cache(&npmrc), Some("/home/me/c".into()));
        npmrc.set("CACHE", "rel".to_owned());
        assert_eq!(cache(&npmrc), Some("/srv/rel".into()));
        npmrc.set("fetch_retries", "7".to_owned());
        assert_eq!(npmrc.get("fetch-retries"), Some("7"));
        assert_eq!(parsed(&[]).cache(None, Path::new("/")), None);
    }

    #[test]
    fn credentials_by_prefix() {
        let (options, ignored) = applied(&[
            "//a/:_authToken=${TOKEN}\n//b/x/:username=u\n//b/x/:_password=cA==\n//c:81/:_auth=dTpw\n_authToken=loose\n\
             //m/:certfile=~/c.pem\n//m/:keyfile=k.pem\nstrict-ssl=false\nregistry=http://c:81/\n\
             //e/:_authToken=${NONE?}\n//half/:username=u",
        ]);
        let chosen =
            |text: &str| options.access.choose(&Url::parse(text).unwrap(), None, Purpose::Package).unwrap();
        let sent = |text: &str| chosen(text).header.map(|(_, value)| value.to_str().unwrap().to_owned());
        assert_eq!(sent("https://a/t.tgz").as_deref(), Some("Bearer s3cret"));
        assert_eq!(sent("https://b/x/t.tgz").as_deref(), Some("Basic dTpw"));
        assert_eq!(sent("https://b/t.tgz"), None);
        assert_eq!(sent("http://c:81/t.tgz").as_deref(), Some("Basic dTpw"));
        assert_eq!(sent("https://e/t.tgz"), None);
        assert_eq!(sent("https://half/t.tgz"), None);
        let identity = chosen("https://m/t.tgz").identity.unwrap();
        assert_eq!(identity.certfile, Path::new("/home/me/c.pem"));
        assert_eq!(identity.keyfile, Path::new("/srv/app/k.pem"));
        let names: Vec<_> = ignored.iter().map(|one| one.setting.as_str()).collect();
        assert_eq!(names, ["_authToken", "strict-ssl"]);
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named_where_its_value_is_needed() {
        let (options, _) =
            applied(&["//a/:_authToken=${NPM_TOKEN}\n//b/:username=${ME}\n//b/:_password=cA=="]);
        for (url, variable) in [("https://a/t.tgz", "NPM_TOKEN"), ("https://b/t.tgz", "ME")] {
            let error = options
                .access
                .choose(&Url::parse(url).unwrap(), None, Purpose::Package)
                .unwrap_err()
                .to_string();
            assert!(error.contains(variable) && !error.contains("${"), "{error}");
        }
        assert!(options.access.choose(&Url::parse("https://c/").unwrap(), None, Purpose::Package).is_ok());
        for name in ["registry", "https-proxy", "cafile"] {
            let npmrc = parsed(&[&format!("{name}=https://${{WHERE}}/")]);
            let error = npmrc.apply(&mut Options::default(), None, Path::new("/")).unwrap_err();
            let expected =
                format!("the setting `{name}` in .npmrc needs the variable WHERE, which is not set");
            assert_eq!(error.to_string(), expected);
            assert_eq!(
                error.advice().unwrap(),
                "set WHERE, or write ${WHERE?} if the setting may be empty without it"
            );
        }
    }

    #[test]
    fn what_a_variable_holds_is_shown_of_no_name_either() {
        let text =
            "//a/${TOKEN}/:_authToken=t\n@${TOKEN}:registry=none\n//host/:_authToken ${TOKEN}\n${TOKEN}[]=x";
        let (options, ignored) = applied(&[text]);
        assert_eq!(ignored[0].setting, "@${TOKEN}:registry");
        let chosen = options
            .access
            .choose(&Url::parse("https://a/s3cret/t.tgz").unwrap(), None, Purpose::Package)
            .unwrap();
        let CredentialUse::Sent { place, .. } = chosen.used else { panic!("nothing was sent") };
        assert_eq!(place, "`//a/${TOKEN}/:_authToken` in .npmrc");
        assert!(!format!("{:?}{ignored:?}", parsed(&[text])).contains("s3cret"));
    }

    #[test]
    fn everything_else_lands_in_the_options() {
        let (options, ignored) = applied(&[
            "registry=https://corp/npm/\ncafile=certs/ca.pem\nca[]=\"one\\nline\"\nca[]=two\nhttps-proxy=http://u:p@proxy:1/\n\
             noproxy=corp,local\nmaxsockets=3\nfetch-retries=1\n",
        ]);
        assert_eq!(options.trust.extra_files, [PathBuf::from("/srv/app/certs/ca.pem")]);
        assert_eq!(options.trust.extra_pem, ["one\nline", "two"]);
        assert_eq!((options.jobs, options.retries), (3, 1));
        assert_eq!(options.proxies.exempt.as_deref(), Some("corp,local"));
        assert!(options.proxies.https.is_some() && options.proxies.http.is_none());
        assert!(ignored.is_empty());
        let (_, ignored) = applied(&["registry=corp"]);
        assert_eq!(ignored[0].setting, "registry");
    }
}
