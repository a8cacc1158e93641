//! Where a source comes from: the URL that nixpkgs' fetchers form, and what of its bytes they hash.
//!
//! What is not a plain download is refused with the reason: git checkouts, scripts that run after the download, arguments
//! that are not known to be harmless.

use nix_sites::{AttributeValue, RemoteKind, RemoteSource};
use npm_tarballs::redaction::redacted;
use url::Url;

use super::arguments::Arguments;
use super::{forge, input};

/// Where a source comes from. Equal ones are fetched once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Where it can be had, in the order in which to ask.
    pub urls: Vec<Url>,
    /// What of it is hashed.
    pub hashed: Hashed,
    /// Why the recorded hash is that of more, where it is: what is downloaded does not tell it.
    pub more: Option<String>,
    /// How Nix itself fetches it.
    pub access: Access,
}

/// How Nix fetches a source, which is not always how it is fetched here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// From the same URL.
    Download,
    /// With git, which may know a password that is not known here.
    Git,
    /// With git over SSH, which asks for a key: such a repository is often one that nobody else may read.
    GitWithKey,
}

/// What of a download is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hashed {
    /// Its bytes.
    File,
    /// Its bytes as a file of the store that is not executable: as a Nix archive.
    StoreFile,
    /// What is unpacked from it.
    Tree(Top),
}

/// What becomes of the top of an unpacked archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Top {
    /// All of it is the tree.
    Kept,
    /// The only folder at the top is the tree; a single file goes into a folder of its own, as `fetchzip` does it.
    Stripped,
    /// The only folder at the top is the tree, and has to be a folder.
    OnlyFolder,
}

/// Why a source cannot be followed: a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub String);

impl Origin {
    /// The origin of a source.
    ///
    /// # Errors
    /// When an argument is not known, or the source is not a plain download.
    pub fn of(source: &RemoteSource) -> Result<Self, Unsupported> {
        let arguments = Arguments::new(source);
        let origin = match source.kind {
            RemoteKind::FetchUrl => fetchurl(&arguments),
            RemoteKind::FetchZip => fetchzip(&arguments),
            RemoteKind::FetchTarball => fetch_tarball(&arguments),
            RemoteKind::BuiltinFetchUrl => builtin_fetchurl(&arguments),
            RemoteKind::GitHub => forge::github(&arguments),
            RemoteKind::GitLab => forge::gitlab(&arguments),
            RemoteKind::Gitea | RemoteKind::Forgejo => forge::forgejo(&arguments, None),
            RemoteKind::Codeberg => forge::forgejo(&arguments, Some("codeberg.org")),
            RemoteKind::Sourcehut => forge::sourcehut(&arguments),
            RemoteKind::Bitbucket => forge::bitbucket(&arguments),
            RemoteKind::FlakeInput => return input::origin(source),
            RemoteKind::FetchGit => forge::fetchgit(&arguments),
            RemoteKind::BuiltinFetchGit => forge::builtin_fetch_git(&arguments),
            RemoteKind::FetchTree => fetch_tree(&arguments),
            RemoteKind::Other => Err(refused(source, "is a fetcher that cannot be followed")),
        }?;
        arguments.nothing_else()?;
        Ok(Self { more: arguments.more(), ..origin })
    }

    /// What is downloaded is what is hashed.
    pub(super) fn plain(urls: Vec<Url>, hashed: Hashed) -> Self {
        Self { urls, hashed, more: None, access: Access::Download }
    }

    /// A text that tells this origin from all others.
    #[must_use]
    pub fn identity(&self) -> String {
        let urls: Vec<&str> = self.urls.iter().map(Url::as_str).collect();
        format!("{:?} {}", self.hashed, urls.join(" "))
    }

    /// The URL to show.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.urls.first().expect("bug: an origin has a URL")
    }
}

fn refused(source: &RemoteSource, why: &str) -> Unsupported {
    Unsupported(format!("`{}` {why}", source.fetcher))
}

/// A URL that can be downloaded.
pub(super) fn url(text: &str) -> Result<Url, Unsupported> {
    let refuse = |why: &str| Unsupported(format!("the URL `{}` {why}", redacted(text)));
    let url = Url::parse(text).map_err(|_| refuse("is not valid"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        "mirror" => Err(refuse("stands for a list of mirrors, which only nixpkgs has")),
        _ => Err(refuse("is neither http nor https")),
    }
}

/// An origin with one URL whose archive has one folder at its top.
pub(super) fn stripped(text: &str) -> Result<Origin, Unsupported> {
    Ok(Origin::plain(vec![url(text)?], Hashed::Tree(Top::Stripped)))
}

/// `url`, or `urls`.
fn urls(arguments: &Arguments<'_>) -> Result<Vec<Url>, Unsupported> {
    if let Some(text) = arguments.text("url")?.filter(|text| !text.is_empty()) {
        return Ok(vec![url(text)?]);
    }
    let urls = match arguments.value("urls") {
        Some(AttributeValue::Texts(texts)) => {
            texts.iter().map(|(text, _)| url(text)).collect::<Result<_, _>>()?
        }
        Some(AttributeValue::Unknown(why)) => return Err(arguments.unknown("urls", why)),
        _ => Vec::new(),
    };
    if urls.is_empty() { Err(arguments.refuse("has no `url`")) } else { Ok(urls) }
}

fn fetchurl(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    arguments.off(&["executable", "recursiveHash"], "makes Nix hash a tree of its own")?;
    arguments.download()?;
    arguments.ignore(&["downloadToTemp", "outputHashAlgo"]);
    Ok(Origin::plain(urls(arguments)?, Hashed::File))
}

fn fetchzip(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    arguments.unpacked()?;
    let top = if arguments.flag("stripRoot", true)? { Top::Stripped } else { Top::Kept };
    Ok(Origin::plain(urls(arguments)?, Hashed::Tree(top)))
}

/// `builtins.fetchTarball`.
fn fetch_tarball(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    arguments.common();
    Ok(Origin::plain(urls(arguments)?, Hashed::Tree(Top::OnlyFolder)))
}

/// `builtins.fetchurl`.
fn builtin_fetchurl(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    arguments.common();
    Ok(Origin::plain(urls(arguments)?, Hashed::File))
}

/// `builtins.fetchTree` of an archive or a file, as `flake.lock` has them. What it says of revisions and times is not part of the
/// hash.
fn fetch_tree(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    let hashed = match arguments.needed("type")? {
        "git" => return forge::builtin_fetch_git(arguments),
        "tarball" => Hashed::Tree(Top::OnlyFolder),
        "file" => Hashed::StoreFile,
        _ => return Err(arguments.refuse("fetches neither a `tarball` nor a `file` nor a `git` repository")),
    };
    arguments.common();
    arguments.ignore(&["lastModified", "rev", "revCount", "shortRev"]);
    Ok(Origin::plain(vec![url(arguments.needed("url")?)?], hashed))
}
