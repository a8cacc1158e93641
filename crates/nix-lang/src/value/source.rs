//! Where a derivation's files come from.

use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use super::filter::{Fileset, Filter};
use super::{Attrs, Special, Text, Unknown, Value};
use crate::files::normalize;
use crate::syntax::ast::Location;

/// A tree or file, and what was done to it.
#[derive(Debug, Clone)]
pub struct Source {
    /// What it is made of.
    pub base: Base,
    /// A folder or file inside, `/`-separated, without leading or trailing slash.
    pub sub: String,
    /// The name in the store, where it is given.
    pub name: Option<Rc<str>>,
    /// What was left out of it.
    pub filters: Vec<Filter>,
    /// What was done on the way, for the proof.
    pub notes: Vec<(Location, Rc<str>)>,
}

/// What a source is made of.
#[derive(Clone)]
pub enum Base {
    /// A folder or file of the repository.
    Local(PathBuf),
    /// What a fetcher brings.
    Remote(Rc<Remote>),
    /// `null`, or none given.
    Nothing,
    /// An empty folder.
    Empty,
    /// `runCommand`: the script that makes it, and its environment.
    Script {
        /// The script.
        text: Rc<Text>,
        /// The environment.
        env: Rc<Value>,
    },
    /// A derivation that changes another source: `applyPatches`.
    Changed(Rc<Value>),
    /// The output of a build.
    Built(Rc<Value>),
    /// A folder of links: what stands at each path, `/`-separated.
    Farm(Rc<Vec<(String, Rc<Source>)>>),
    /// A file of the repository in which words were replaced.
    Template(PathBuf),
    /// Text that the Nix files write, where it is known.
    Text(Option<Rc<str>>),
    /// Not known.
    Unknown(Rc<Unknown>),
}

/// Which fetcher makes the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemoteKind {
    /// `fetchurl`: a file with a flat hash.
    FetchUrl,
    /// `fetchzip`: the unpacked tree is hashed.
    FetchZip,
    /// `fetchTarball`, `builtins.fetchTarball`.
    FetchTarball,
    /// `builtins.fetchurl`.
    BuiltinFetchUrl,
    /// `builtins.fetchTree`, `builtins.getFlake`.
    FetchTree,
    /// `fetchgit`.
    FetchGit,
    /// `builtins.fetchGit`.
    BuiltinFetchGit,
    /// `fetchFromGitHub`.
    GitHub,
    /// `fetchFromGitLab`.
    GitLab,
    /// `fetchFromGitea`.
    Gitea,
    /// `fetchFromForgejo`.
    Forgejo,
    /// `fetchFromCodeberg`.
    Codeberg,
    /// `fetchFromSourcehut`.
    Sourcehut,
    /// `fetchFromBitbucket`.
    Bitbucket,
    /// An input of the flake, pinned by `flake.lock`.
    FlakeInput,
    /// A fetcher that is known by name only.
    Other,
}

/// A call of a fetcher.
#[derive(Clone)]
pub struct Remote {
    /// The kind of fetcher.
    pub kind: RemoteKind,
    /// Its name, as called.
    pub fetcher: Rc<str>,
    /// The call.
    pub call: Location,
    /// What it was given.
    pub args: Value,
    /// Name and locked node of a flake's input.
    pub input: Option<(String, String)>,
    /// Whether it is nixpkgs itself.
    pub nixpkgs: bool,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(path) => write!(f, "Local({})", path.display()),
            Self::Remote(remote) => write!(f, "Remote({})", remote.fetcher),
            Self::Nothing => f.write_str("Nothing"),
            Self::Empty => f.write_str("Empty"),
            Self::Script { .. } => f.write_str("Script"),
            Self::Changed(_) => f.write_str("Changed"),
            Self::Built(_) => f.write_str("Built"),
            Self::Farm(_) => f.write_str("Farm"),
            Self::Template(path) => write!(f, "Template({})", path.display()),
            Self::Text(_) => f.write_str("Text"),
            Self::Unknown(unknown) => write!(f, "Unknown({})", unknown.message),
        }
    }
}

impl Source {
    /// A source of that base.
    #[must_use]
    pub fn new(base: Base) -> Self {
        Self { base, sub: String::new(), name: None, filters: Vec::new(), notes: Vec::new() }
    }

    /// A path of the repository.
    #[must_use]
    pub fn local(path: PathBuf) -> Self {
        Self::new(Base::Local(path))
    }

    /// A place inside.
    #[must_use]
    pub fn inside(&self, text: &str) -> Self {
        let mut inner = self.clone();
        inner.sub = join_sub(&self.sub, text);
        // `"${src}/web"` unpacks as `web`, whatever the source itself is called.
        inner.name = None;
        match inner.linked() {
            Some(linked) => linked,
            None => inner,
        }
    }

    /// What a folder of links has at this place.
    fn linked(&self) -> Option<Self> {
        let Base::Farm(entries) = &self.base else { return None };
        entries.iter().find_map(|(path, source)| {
            let rest = self.sub.strip_prefix(path.as_str())?;
            let fits = rest.is_empty() || rest.starts_with('/');
            fits.then(|| if rest.is_empty() { source.as_ref().clone() } else { source.inside(rest) })
        })
    }

    /// Another name in the store.
    #[must_use]
    pub fn named(&self, name: Option<Rc<str>>) -> Self {
        Self { name: name.or_else(|| self.name.clone()), ..self.clone() }
    }

    /// The same source behind one more filter.
    #[must_use]
    pub fn filtered(&self, filter: Filter, at: Location, note: &str) -> Self {
        let mut filtered = self.clone();
        filtered.filters.push(filter);
        filtered.notes.push((at, Rc::from(note)));
        filtered
    }

    /// The folder that the place is in, `/`-separated, empty at the top of the source.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.sub.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The path in the repository, if it is there.
    #[must_use]
    pub fn local_path(&self) -> Option<PathBuf> {
        match &self.base {
            Base::Local(root) => Some(join(root, &self.sub)),
            _ => None,
        }
    }

    /// The names that the unpacked folder can have.
    #[must_use]
    pub fn folder_names(&self) -> Vec<String> {
        if let Some(name) = &self.name {
            return vec![name.to_string()];
        }
        let mut names = self.plain_names();
        if !self.filters.is_empty() && !names.iter().any(|name| name == "source") {
            // `cleanSource` and its relatives call what they make `source`, `builtins.filterSource` leaves it the folder's
            // name.
            names.push("source".to_owned());
        }
        names
    }

    fn plain_names(&self) -> Vec<String> {
        if let Some((_, last)) = self.sub.rsplit_once('/') {
            return vec![last.to_owned()];
        }
        if !self.sub.is_empty() {
            return vec![self.sub.clone()];
        }
        let mut names = vec!["source".to_owned()];
        match &self.base {
            Base::Local(path) => names.extend(path.file_name().map(|n| n.to_string_lossy().into_owned())),
            Base::Remote(remote) => names.extend(remote_folder(remote)),
            _ => {}
        }
        names
    }

    /// As a value of the language.
    #[must_use]
    pub fn value(self) -> Value {
        Value::attrs(Attrs::special(Special::Source(Rc::new(self))))
    }
}

/// npm tarballs unpack into `package`.
fn remote_folder(remote: &Remote) -> Option<String> {
    (remote.kind == RemoteKind::FetchUrl).then(|| "package".to_owned())
}

/// `root` and a `/`-separated path below it.
#[must_use]
pub fn join(root: &Path, sub: &str) -> PathBuf {
    if sub.is_empty() { root.to_path_buf() } else { normalize(&root.join(sub)) }
}

fn join_sub(sub: &str, text: &str) -> String {
    let mut parts: Vec<&str> = sub.split('/').filter(|part| !part.is_empty()).collect();
    for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}
