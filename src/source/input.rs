//! Inputs of a flake, pinned by `flake.lock`, which is never edited here.

use nix_sites::{HashText, RemoteSource};
use serde_json::Value;

use super::code_host::CodeHost;
use super::digest::Recorded;
use super::git_url::GitUrl;
use super::origin::{Hashed, Origin, Top, Unsupported, url};

/// The locked node of an input.
struct LockedInput {
    name: String,
    node: Value,
}

impl LockedInput {
    fn of(source: &RemoteSource) -> Result<Self, Unsupported> {
        let unlocked = || Unsupported(format!("`{}` is not in flake.lock", source.fetcher));
        let (name, text) = source.input.as_ref().ok_or_else(unlocked)?;
        let whole: Value = serde_json::from_str(text).unwrap_or_default();
        let locked = |node: &Value| node.get("locked").cloned();
        let node = locked(&whole)
            .ok_or_else(|| Unsupported(format!("the flake's input `{name}` is not in flake.lock")))?;
        Ok(Self { name: name.clone(), node })
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.node.get(key)?.as_str()
    }

    fn needed(&self, key: &str) -> Result<&str, Unsupported> {
        self.text(key).ok_or_else(|| self.refuse(&format!("has no `{key}` in flake.lock")))
    }

    fn refuse(&self, what: &str) -> Unsupported {
        Unsupported(format!("the flake's input `{}` {what}", self.name))
    }
}

/// Where an input comes from.
pub(super) fn origin(source: &RemoteSource) -> Result<Origin, Unsupported> {
    let locked = LockedInput::of(source)?;
    if locked.text("dir").is_some_and(|dir| !dir.is_empty()) {
        return Err(locked.refuse("is a folder of a repository (`dir`), which is not followed"));
    }
    let text = match locked.needed("type")? {
        "github" => CodeHost::GitHub.archive(&server(&locked, "github.com"), &slug(&locked)?, rev(&locked)?),
        // Nix leaves the dots of a project as they are.
        "gitlab" => {
            let project = slug(&locked)?.replace('/', "%2F");
            let (server, rev) = (server(&locked, "gitlab.com"), rev(&locked)?);
            format!("{server}/api/v4/projects/{project}/repository/archive.tar.gz?sha={rev}")
        }
        "sourcehut" => {
            CodeHost::Sourcehut.archive(&server(&locked, "git.sr.ht"), &slug(&locked)?, rev(&locked)?)
        }
        "tarball" => locked.needed("url")?.to_owned(),
        "git" => return git(&locked),
        other => return Err(locked.refuse(&format!("is of the type `{other}`, which is not followed"))),
    };
    Ok(Origin::plain(vec![url(&text)?], Hashed::Tree(Top::OnlyFolder)))
}

/// A checkout, whose tree may be more than the archive of its commit: submodules, and what git's attributes keep out.
fn git(locked: &LockedInput) -> Result<Origin, Unsupported> {
    let (repository, rev) = (locked.needed("url")?, rev(locked)?);
    let found = GitUrl::parse(repository).and_then(|git| Some((git.archive(rev)?, git.access)));
    let (archive, access) = found.ok_or_else(|| {
        locked
            .refuse("is a git checkout of a host whose archives are not known; only archives can be followed")
    })?;
    let more = format!(
        "the flake's input `{}` is a git checkout, so that only Nix can tell its `narHash`",
        locked.name
    );
    let plain = Origin::plain(vec![url(&archive)?], Hashed::Tree(Top::OnlyFolder));
    Ok(Origin { more: Some(more), access, ..plain })
}

fn server(locked: &LockedInput, default: &str) -> String {
    format!("https://{}", locked.text("host").unwrap_or(default))
}

fn slug(locked: &LockedInput) -> Result<String, Unsupported> {
    Ok(format!("{}/{}", locked.needed("owner")?, locked.needed("repo")?))
}

fn rev(locked: &LockedInput) -> Result<&str, Unsupported> {
    locked.needed("rev")
}

/// The hash that `flake.lock` states.
pub(super) fn recorded(source: &RemoteSource) -> Result<Recorded, Unsupported> {
    let locked = LockedInput::of(source)?;
    let text = HashText::parse(locked.needed("narHash")?);
    let known = Recorded::read("narHash", &text).filter(|recorded| recorded.known().is_some());
    known.ok_or_else(|| locked.refuse("has a `narHash` that cannot be read"))
}
