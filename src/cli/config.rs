//! `npm-nixhash.toml` at the top of a repository: what its team decided.
//!
//! It comes with the repository, so a stranger's pull request can bring another one: nothing in it runs anything, sends
//! credentials anywhere, or lets a file outside of the repository be read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use clap::ValueEnum as _;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use nix_binary_cache::location::{CacheLocation, LocationError};
use nix_binary_cache::signing::PublicKey;
use nix_sites::Survey;
use npm_nixhash::choice::{NamePattern, closest};
use npm_nixhash::report::{Message, PlaceReport};
use repository_files::CONFIG;
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::args::{Denied, RemoteMode};
use super::output::Fatal;

/// A longer file is not settings.
const LARGEST: u64 = 1 << 20;

/// What is written in it; everything may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[cfg_attr(test, schemars(title = "npm-nixhash.toml"))]
pub(super) struct Config {
    /// What counts as a failure, besides what the command line denies.
    pub(super) deny: Vec<Denied>,
    /// Derivations that are left out: attribute paths, their ends, names of packages; with `*` and the like.
    pub(super) exclude: Vec<String>,
    /// Lockfiles to leave alone: paths from the top of the repository, with `*` (within a folder) and `**`.
    pub(super) ignore_lockfiles: Vec<String>,
    /// Lockfiles of derivations whose source cannot be known from the text: attribute path and path from the top.
    pub(super) lockfiles: BTreeMap<String, PathBuf>,
    /// Scopes that the public registry knows no package of, such as `@acme`: it is not asked about them.
    pub(super) private_scopes: Vec<String>,
    /// Where tarballs of a host come from instead, without credentials: host and URL, whose path goes before theirs.
    pub(super) registry_mirrors: BTreeMap<String, String>,
    /// Nix binary caches that `update` publishes npm-deps outputs to, without credentials and `endpoint`.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) publish: Places,
    /// The object store in which machines share remembered hashes, likewise.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) remote: ConfiguredLocation,
    /// What is done with it: `read`, `write` or `both`.
    pub(super) remote_mode: Option<RemoteMode>,
    /// Whether tarballs that others put there are read as well; what is written is the command line's or the environment's to say.
    pub(super) remote_tarballs: bool,
    /// Public keys of Nix's, one of which has to have signed what is read from it; without any nothing has to be signed.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) remote_keys: TrustedKeys,
}

/// Locations of caches.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) struct Places(pub(super) Vec<CacheLocation>);

impl TryFrom<Vec<String>> for Places {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        texts.iter().map(|text| place(text)).collect::<Result<_, _>>().map(Self)
    }
}

/// The location of a store.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ConfiguredLocation(pub(super) Option<CacheLocation>);

impl TryFrom<String> for ConfiguredLocation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        place(&text).map(Some).map(Self)
    }
}

/// A location that says nothing of where credentials go: with a stranger's endpoint in this file, all who run this program on
/// the stranger's change would send their session tokens there.
fn place(text: &str) -> Result<CacheLocation, String> {
    let location: CacheLocation = text.parse().map_err(|error: LocationError| error.to_string())?;
    if location.directs_credentials() {
        return Err("`endpoint` cannot be set in this file, because credentials are sent there: set AWS_ENDPOINT_URL, or use a flag".to_owned());
    }
    Ok(location)
}

/// Keys that are trusted.
#[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "read, but not obeyed"))]
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) struct TrustedKeys(pub(super) Vec<PublicKey>);

impl TryFrom<Vec<String>> for TrustedKeys {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let read = |text: &String| PublicKey::parse(text).map_err(|error| error.to_string());
        texts.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// The keys of [`Config`].
const KEYS: [&str; 11] = [
    "deny",
    "exclude",
    "ignore-lockfiles",
    "lockfiles",
    "private-scopes",
    "publish",
    "registry-mirrors",
    "remote",
    "remote-keys",
    "remote-mode",
    "remote-tarballs",
];

impl Config {
    /// Reads the file of the repository at this folder; without one nothing is decided.
    pub(super) fn read(root: &Path) -> Result<Self, Fatal> {
        let path = root.join(CONFIG);
        let text = match text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Fatal::reading(Path::new(CONFIG), &error)),
        };
        Self::parse(&text)
    }

    /// That of the repository around a path.
    pub(super) fn around(path: &Path) -> Result<Self, Fatal> {
        Self::read(&repository_files::around(path))
    }

    fn parse(text: &str) -> Result<Self, Fatal> {
        let wrong = |error: &toml::de::Error| refusal(text, error.span(), error.message(), None);
        let table = DeTable::parse(text).map_err(|error| wrong(&error))?;
        // Before serde, which lists all keys and does not say which one was meant.
        known_keys(text, table.get_ref())?;
        known_denials(text, table.get_ref())?;
        let config: Self = toml::from_str(text).map_err(|error| wrong(&error))?;
        config.require_inside(text)?;
        config.require_scopes(text)?;
        config.require_open_mirrors(text)?;
        config.exclude()?;
        config.ignored()?;
        Ok(config)
    }

    /// What is left out. That one of them is gone is not an error: the file is for all branches.
    pub(super) fn exclude(&self) -> Result<Vec<NamePattern>, Fatal> {
        let pattern = |text: &String| {
            NamePattern::parse(text)
                .map(NamePattern::lenient)
                .map_err(|error| refusal("", None, &error.to_string(), None))
        };
        self.exclude.iter().map(pattern).collect()
    }

    /// Lockfiles to leave alone.
    pub(super) fn ignored(&self) -> Result<GlobSet, Fatal> {
        let mut set = GlobSetBuilder::new();
        for text in &self.ignore_lockfiles {
            let glob = GlobBuilder::new(text.trim_start_matches("./")).literal_separator(true).build();
            set.add(glob.map_err(|error| refusal("", None, &error.to_string(), None))?);
        }
        set.build().map_err(|error| refusal("", None, &error.to_string(), None))
    }

    /// The lockfiles that are stated, absolute.
    pub(super) fn stated(&self, root: &Path) -> BTreeMap<String, PathBuf> {
        self.lockfiles.iter().map(|(attr, path)| (attr.clone(), root.join(plain(path)))).collect()
    }

    /// What is said of derivations that are not there.
    pub(super) fn unknown<'a>(&'a self, survey: &'a Survey) -> impl Iterator<Item = String> + 'a {
        let paths =
            || survey.sites.iter().flat_map(|site| site.attr_path.iter().chain(&site.other_attr_paths));
        let gone = self.lockfiles.keys().filter(move |attr| !paths().any(|path| path == *attr));
        gone.map(move |attr| {
            let meant = closest(attr, paths().map(String::as_str));
            let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            format!("no npm derivation has the attribute path `{attr}`{meant}")
        })
    }

    fn require_inside(&self, text: &str) -> Result<(), Fatal> {
        let outside = |path: &Path| {
            !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        };
        match self.lockfiles.iter().find(|(_, path)| outside(path)) {
            None => Ok(()),
            Some((attr, path)) => {
                let message =
                    format!("the lockfile of `{attr}` is outside of the repository: {}", path.display());
                Err(refusal(
                    text,
                    find(text, &path.display().to_string()),
                    &message,
                    Some("write its path from the top".to_owned()),
                ))
            }
        }
    }

    fn require_scopes(&self, text: &str) -> Result<(), Fatal> {
        for scope in &self.private_scopes {
            super::args::scope(scope).map_err(|message| refusal(text, find(text, scope), &message, None))?;
        }
        Ok(())
    }

    fn require_open_mirrors(&self, text: &str) -> Result<(), Fatal> {
        for (host, mirror) in &self.registry_mirrors {
            let Err(message) = open_mirror(mirror) else { continue };
            return Err(refusal(text, find(text, host), &format!("the mirror of `{host}` {message}"), None));
        }
        Ok(())
    }
}

/// Whether a URL names nothing but a place.
fn open_mirror(text: &str) -> Result<(), &'static str> {
    let Ok(url) = url::Url::parse(text) else { return Err("is not a URL") };
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err("has to be a URL of https or http");
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(
            "may have neither credentials nor a query: the file is public to all who have the repository",
        );
    }
    Ok(())
}

/// Without `.` on the way.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

fn text(path: &Path) -> io::Result<String> {
    let metadata = fs::symlink_metadata(path)?;
    // A link could lead out of the repository, a FIFO nowhere.
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST { Err(io::Error::other("it is larger than 1 MiB")) } else { Ok(text) }
}

fn known_keys(text: &str, table: &DeTable<'_>) -> Result<(), Fatal> {
    let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(&&**key.get_ref())) else {
        return Ok(());
    };
    let name: &str = key.get_ref();
    let meant = closest(name, KEYS.into_iter()).map(|meant| format!("did you mean `{meant}`?"));
    let hint = meant.unwrap_or_else(|| format!("the keys are {}", KEYS.join(", ")));
    Err(refusal(text, Some(key.span()), &format!("unknown key `{name}`"), Some(hint)))
}

fn known_denials(text: &str, table: &DeTable<'_>) -> Result<(), Fatal> {
    let Some(DeValue::Array(items)) = table.get("deny").map(toml::Spanned::get_ref) else { return Ok(()) };
    let values = Denied::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
    let known: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
    for item in items {
        let DeValue::String(word) = item.get_ref() else { continue };
        if !known.iter().any(|known| known == word) {
            let meant = closest(word, known.iter().map(String::as_str))
                .map(|meant| format!("did you mean `{meant}`?"));
            let hint = meant.unwrap_or_else(|| format!("what can be denied: {}", known.join(", ")));
            return Err(refusal(text, Some(item.span()), &format!("`{word}` cannot be denied"), Some(hint)));
        }
    }
    Ok(())
}

fn find(text: &str, what: &str) -> Option<Range<usize>> {
    let at = text.find(what)?;
    Some(at..at + what.len())
}

/// An error at a place of the file.
fn refusal(text: &str, span: Option<Range<usize>>, message: &str, hint: Option<String>) -> Fatal {
    let before = span.and_then(|span| text.get(..span.start));
    let place = before.map(|before| PlaceReport {
        file: CONFIG.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
    });
    let message = message.lines().next().unwrap_or_default();
    let message = if place.is_some() { message.to_owned() } else { format!("{CONFIG}: {message}") };
    Fatal(Message { place, ..Message::plain(message) }.hinting(hint))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn schema() -> Value {
        let mut schema = serde_json::to_value(schemars::schema_for!(Config)).unwrap();
        schema["$id"] = json!("https://github.com/OWNER/npm-nixhash/blob/main/docs/config.schema.json");
        schema
    }

    #[expect(clippy::disallowed_methods, reason = "a test is its own shell")]
    #[test]
    fn the_schema_in_the_documentation_is_that_of_the_settings() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.schema.json");
        let text = format!("{:#}\n", schema());
        if std::env::var_os("NPM_NIXHASH_WRITE_PAGES").is_some() {
            fs::write(&file, &text).unwrap();
        }
        assert!(fs::read_to_string(&file).unwrap() == text, "docs/config.schema.json is of another time");
    }

    #[test]
    fn the_known_keys_are_all_and_no_other() {
        let schema = schema();
        let keys: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from(KEYS));
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn what_init_writes_is_valid_as_it_is_and_with_its_comments_taken_away() {
        let text = include_str!("../../templates/npm-nixhash.toml");
        assert_eq!(format!("{:?}", Config::parse(text).unwrap()), format!("{:?}", Config::default()));
        let uncommented: String = text
            .lines()
            .map(|line| {
                line.strip_prefix("#| ").unwrap_or(if line.starts_with('#') { "" } else { line }).to_owned()
                    + "\n"
            })
            .collect();
        let config = Config::parse(&uncommented).unwrap();
        let full = !config.deny.is_empty()
            && !config.exclude.is_empty()
            && !config.ignore_lockfiles.is_empty()
            && !config.lockfiles.is_empty()
            && !config.private_scopes.is_empty()
            && !config.registry_mirrors.is_empty()
            && !config.publish.0.is_empty()
            && config.remote.0.is_some()
            && config.remote_mode.is_some()
            && config.remote_tarballs
            && !config.remote_keys.0.is_empty();
        assert!(full, "the template shows every key: {config:?}");
        let value: Value =
            serde_json::to_value(toml::from_str::<toml::Table>(&uncommented).unwrap()).unwrap();
        assert!(jsonschema::validator_for(&schema()).unwrap().is_valid(&value));
    }

    #[test]
    fn errors_have_their_place_and_a_suggestion() {
        let said = |text: &str| {
            let Fatal(message) = Config::parse(text).unwrap_err();
            let place =
                message.place.map(|place| format!("{}:{}: ", place.line, place.column)).unwrap_or_default();
            format!("{place}{}; {}", message.message, message.hint.unwrap_or_default())
        };
        assert_eq!(said("deny = []\nexlude = []\n"), "2:1: unknown key `exlude`; did you mean `exclude`?");
        assert_eq!(
            said("deny = [\"undecided\",\n  \"fakes\"]\n"),
            "2:3: `fakes` cannot be denied; did you mean `fake`?"
        );
        assert!(said("run = \"x\"\n").starts_with("1:1: unknown key `run`; the keys are deny, "));
        assert!(
            said("deny = \"fake\"\n").starts_with("1:8: invalid type: string"),
            "{}",
            said("deny = \"fake\"\n")
        );
        assert!(said("exclude = [\"a[\"]\n").contains("not a name"));
        assert!(
            said("[lockfiles]\na = \"../x/package-lock.json\"\n")
                .starts_with("2:6: the lockfile of `a` is outside")
        );
        assert!(said("private-scopes = [\"acme\"]\n").contains("expected a scope such as @acme"));
        for (text, why) in [
            ("publish = [\"s3://u:hunter2@b\"]\n", "1:11: the URL has a user name or a password in it"),
            ("publish = [\"az://c?sig=hunter2\"]\n", "1:11: the URL has the parameter `sig`"),
            ("remote = \"s3://b?endpoint=https://h\"\n", "1:10: `endpoint` cannot be set in this file"),
            ("remote-keys = [\"hunter2\"]\n", "1:15: not a Nix key"),
        ] {
            let said = said(text);
            assert!(said.starts_with(why) && !said.contains("hunter2"), "{said}");
        }
        for mirror in ["ftp://h/", "https://u:p@h/", "https://h/?token=x", "h"] {
            let said = said(&format!("[registry-mirrors]\n\"r.example\" = \"{mirror}\"\n"));
            assert!(said.starts_with("2:2: the mirror of `r.example` "), "{said}");
        }
    }
}
