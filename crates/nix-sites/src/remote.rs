//! Sources that must be fetched, described as data.

use nix_lang::place::Place;
pub use nix_lang::value::source::RemoteKind;
use nixpkgs_model::hash_text::HASHES;
use phase_shell::LockfileEdit;

use super::literal::Literal;

/// The value of one attribute of a fetcher call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AttributeValue {
    /// A string.
    Text(String),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Number(i64),
    /// A list of strings, each with its literal.
    Texts(Vec<(String, Option<Literal>)>),
    /// Given, but not known: why.
    Unknown(String),
}

/// One attribute of a fetcher call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceAttribute {
    /// `url`, `rev`, `hash`, ...
    pub name: String,
    /// Its value.
    pub value: AttributeValue,
    /// The one token that holds the value, if it is one.
    pub literal: Option<Literal>,
}

/// A patch that nixpkgs applies to the source before the lockfile is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Patch {
    /// A file of the repository.
    Local {
        /// Where it is.
        path: std::path::PathBuf,
        /// How many leading parts of the names in it do not count: `-p` of `patch`.
        strip: usize,
        /// Whether its text names a lockfile anywhere; also where it cannot be read.
        names_lockfile: bool,
    },
    /// Something else: what it is.
    Other(String),
}

/// Which `npm-shrinkwrap.json` of a fetched source is hashed in place of a `package-lock.json`, if it is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Shrinkwrap {
    /// None: it was removed, or left behind.
    #[default]
    Ignored,
    /// That in this folder of the source, `/`-separated, empty at the top.
    In(String),
    /// Whichever a script unpacks to where the lockfile is: to which place its files come is not followed, so that where there
    /// is one, nothing is known.
    Anywhere,
}

/// The lockfile in a fetched source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct LockfileInside {
    /// The folder of `package-lock.json` in the unpacked source, `/`-separated, empty at the top.
    pub folder: String,
    /// Which shrinkwrap wins over it.
    pub shrinkwrap: Shrinkwrap,
    /// What phases replace in `npm-shrinkwrap.json` and in `package-lock.json`, whichever is there.
    pub edits: [Vec<LockfileEdit>; 2],
}

/// A source that must be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSource {
    /// The fetcher.
    pub kind: RemoteKind,
    /// The name of the fetcher as it is written, such as `fetchFromGitHub`.
    pub fetcher: String,
    /// The call.
    pub place: Place,
    /// All attributes that are known, in the order of their names.
    pub attributes: Vec<SourceAttribute>,
    /// Why there may be others, if there may.
    pub open: Option<String>,
    /// The name of the flake's input and its locked node of `flake.lock`, as JSON text.
    pub input: Option<(String, String)>,
    /// `sourceRoot` of the derivation, as it is written.
    pub source_root: Option<String>,
    /// Patches in the order in which they are applied.
    pub patches: Vec<Patch>,
    /// The folder of the source in which patches are applied, `/`-separated, empty at the top.
    pub patched_in: String,
    /// The folder of the source into which a lockfile of the repository is copied, if one is.
    pub vendored_in: Option<String>,
    /// Which `npm-shrinkwrap.json` of the source would win over that copy.
    pub shrinkwrap: Shrinkwrap,
    /// Whether the manifest beside that copy is surely the source's own, so that the copy has to follow its version.
    pub keeps_manifest: bool,
}

impl RemoteSource {
    /// The same without the places within files.
    pub(super) fn without_positions(&self) -> Self {
        let attribute = |attribute: &SourceAttribute| SourceAttribute {
            name: attribute.name.clone(),
            value: match &attribute.value {
                AttributeValue::Texts(texts) => {
                    let text = |(text, literal): &(String, Option<Literal>)| {
                        (text.clone(), literal.as_ref().map(Literal::without_positions))
                    };
                    AttributeValue::Texts(texts.iter().map(text).collect())
                }
                value => value.clone(),
            },
            literal: attribute.literal.as_ref().map(Literal::without_positions),
        };
        Self {
            place: self.place.file_only(),
            attributes: self.attributes.iter().map(attribute).collect(),
            ..self.clone()
        }
    }

    /// The attribute of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&SourceAttribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The attribute's text, if it is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attribute(name)?.value {
            AttributeValue::Text(ref text) => Some(text),
            _ => None,
        }
    }

    /// The URL, or the first of several mirrors.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.text("url").or_else(|| match &self.attribute("urls")?.value {
            AttributeValue::Texts(texts) => Some(texts.first()?.0.as_str()),
            _ => None,
        })
    }

    /// The commit of a forge that is fetched as a whole, whichever fetcher names it: forge, owner, repository and revision.
    /// `fetchFromGitHub` with what `flake.lock` pins is the same source as the input itself (fixture
    /// `same-commit-by-two-fetchers`).
    pub(super) fn commit(&self) -> Option<[String; 4]> {
        let is_whole = |hex: &str| hex.len() == 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let [owner, repository, revision] = match (self.kind, &self.input) {
            (RemoteKind::FlakeInput, Some((_, node))) => {
                let node: serde_json::Value = serde_json::from_str(node).ok()?;
                let locked = node.get("locked")?;
                let text = |name: &str| Some(locked.get(name)?.as_str()?.to_owned());
                if text("type")? != "github" || locked.get("dir").is_some() || locked.get("host").is_some() {
                    return None;
                }
                [text("owner")?, text("repo")?, text("rev")?]
            }
            (RemoteKind::GitHub, None) if self.open.is_none() => {
                // With others, such as `fetchSubmodules` and `postFetch`, what comes is not the tree of the commit.
                const PLAIN: [&str; 4] = ["owner", "repo", "rev", "name"];
                let plain = |name: &str| PLAIN.contains(&name) || HASHES.contains(&name);
                if !self.attributes.iter().all(|attribute| plain(&attribute.name)) {
                    return None;
                }
                ["owner", "repo", "rev"].map(|name| self.text(name).unwrap_or_default().to_owned())
            }
            _ => return None,
        };
        // GitHub takes both names in any case of their letters.
        let commit = ["github".to_owned(), owner.to_lowercase(), repository.to_lowercase(), revision];
        is_whole(&commit[3]).then_some(commit)
    }

    /// The attribute that holds the source's own hash.
    #[must_use]
    pub fn hash(&self) -> Option<&SourceAttribute> {
        HASHES.iter().find_map(|name| self.attribute(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn attribute(name: &str, value: &str) -> SourceAttribute {
        SourceAttribute {
            name: name.to_owned(),
            value: AttributeValue::Text(value.to_owned()),
            literal: None,
        }
    }

    fn fetched(kind: RemoteKind, attributes: Vec<SourceAttribute>) -> RemoteSource {
        RemoteSource {
            kind,
            fetcher: "a fetcher".to_owned(),
            place: Place { file: "/repo/flake.nix".into(), line: 1, column: 1 },
            attributes,
            open: None,
            input: None,
            source_root: None,
            patches: Vec::new(),
            patched_in: String::new(),
            vendored_in: None,
            shrinkwrap: Shrinkwrap::Ignored,
            keeps_manifest: true,
        }
    }

    fn github(rev: &str, more: &[(&str, &str)]) -> RemoteSource {
        let own = [("owner", "Acme"), ("repo", "Tool"), ("rev", rev), ("hash", "sha256-x")];
        let all = own.iter().chain(more).map(|(name, value)| attribute(name, value));
        fetched(RemoteKind::GitHub, all.collect())
    }

    fn input(locked: &str) -> RemoteSource {
        let node = format!(r#"{{"locked": {{{locked}}}}}"#);
        RemoteSource { input: Some(("tool".to_owned(), node)), ..fetched(RemoteKind::FlakeInput, Vec::new()) }
    }

    #[test]
    fn one_commit_is_the_same_source_whichever_fetcher_names_it() {
        let same = Some(["github", "acme", "tool", COMMIT].map(str::to_owned));
        assert_eq!(github(COMMIT, &[]).commit(), same);
        assert_eq!(github(COMMIT, &[("name", "source")]).commit(), same);
        let locked = format!(r#""type": "github", "owner": "acme", "repo": "tool", "rev": "{COMMIT}""#);
        assert_eq!(input(&locked).commit(), same);
    }

    #[test]
    fn what_may_fetch_something_else_of_a_commit_is_not_that_commit() {
        assert_eq!(github("v1.0.0", &[]).commit(), None, "a tag moves");
        assert_eq!(github(&COMMIT[1..], &[]).commit(), None);
        assert_eq!(github(&COMMIT.replace('a', "g"), &[]).commit(), None);
        assert_eq!(github(COMMIT, &[("fetchSubmodules", "true")]).commit(), None);
        assert_eq!(github(COMMIT, &[("postFetch", "rm x")]).commit(), None);
        let open = RemoteSource { open: Some("more may follow".to_owned()), ..github(COMMIT, &[]) };
        assert_eq!(open.commit(), None);
        let gitlab = RemoteSource { kind: RemoteKind::GitLab, ..github(COMMIT, &[]) };
        assert_eq!(gitlab.commit(), None);
        let locked = |more: &str| format!(r#""owner": "acme", "repo": "tool", "rev": "{COMMIT}", {more}"#);
        for more in [
            r#""type": "gitlab""#,
            r#""type": "github", "dir": "web""#,
            r#""type": "github", "host": "git.example""#,
        ] {
            assert_eq!(input(&locked(more)).commit(), None, "{more}");
        }
    }
}
