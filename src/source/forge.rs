//! Archives of code hosts, as nixpkgs' `fetchFrom...` functions ask for them.

use super::arguments::Arguments;
use super::code_host::CodeHost;
use super::git_url::GitUrl;
use super::origin::{Origin, Unsupported, stripped};

/// Arguments with which nixpkgs checks the repository out instead. A file that is in the archive is in the checkout, too,
/// with the same bytes: a submodule is an empty folder in the archive, and what git's attributes keep out of it is not
/// there. Of the tree as a whole the archive does not tell the hash.
const CHECKOUT: &[&str] = &["fetchSubmodules", "leaveDotGit", "deepClone", "forceFetchGit"];

fn archive_only(arguments: &Arguments<'_>) -> Result<(), Unsupported> {
    const WHY: &str = "makes Nix check the git repository out; only archives can be followed";
    arguments
        .adding(CHECKOUT, "makes Nix check the git repository out, so that only a build can tell its hash")?;
    arguments.off(&["fetchLFS"], WHY)?;
    arguments.empty(&["sparseCheckout", "rootDir"], WHY)?;
    arguments.unpacked()
}

// As nixpkgs asks: a branch may have the tag's name.
fn tag_reference(tag: &str) -> String {
    format!("refs/tags/{tag}")
}

pub(super) fn github(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    archive_only(arguments)?;
    let (owner, repo) = (arguments.needed("owner")?, arguments.needed("repo")?);
    let base = arguments.text("githubBase")?.unwrap_or("github.com");
    let revision = arguments.revision(tag_reference)?;
    if arguments.flag("private", false)? {
        let api = if base == "github.com" { "api.github.com".to_owned() } else { format!("{base}/api/v3") };
        return stripped(&format!("https://{api}/repos/{owner}/{repo}/tarball/{revision}"));
    }
    stripped(&CodeHost::GitHub.archive(&format!("https://{base}"), &format!("{owner}/{repo}"), &revision))
}

pub(super) fn gitlab(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    archive_only(arguments)?;
    // The same address; which token goes along is the user's business.
    arguments.ignore(&["private"]);
    let (owner, repo) = (arguments.needed("owner")?, arguments.needed("repo")?);
    let protocol = arguments.text("protocol")?.unwrap_or("https");
    let domain = arguments.text("domain")?.unwrap_or("gitlab.com");
    let group = arguments.text("group")?.map(|group| format!("{group}/")).unwrap_or_default();
    let revision = arguments.revision(tag_reference)?;
    let (server, project) = (format!("{protocol}://{domain}"), format!("{group}{owner}/{repo}"));
    stripped(&CodeHost::GitLab.archive(&server, &project, &revision))
}

/// Gitea, Forgejo, and Codeberg, which is one.
pub(super) fn forgejo(arguments: &Arguments<'_>, host: Option<&str>) -> Result<Origin, Unsupported> {
    archive_only(arguments)?;
    let (owner, repo) = (arguments.needed("owner")?, arguments.needed("repo")?);
    let domain = match (arguments.text("domain")?, host) {
        (Some(domain), _) => domain,
        (None, Some(host)) => host,
        (None, None) => arguments.needed("domain")?,
    };
    let revision = arguments.revision(str::to_owned)?;
    if arguments.flag("private", false)? {
        return stripped(&format!("https://{domain}/api/v1/repos/{owner}/{repo}/archive/{revision}.tar.gz"));
    }
    stripped(&CodeHost::Forgejo.archive(&format!("https://{domain}"), &format!("{owner}/{repo}"), &revision))
}

pub(super) fn sourcehut(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    archive_only(arguments)?;
    let (owner, repo) = (arguments.needed("owner")?, arguments.needed("repo")?);
    let domain = arguments.text("domain")?.unwrap_or("sr.ht");
    match arguments.text("vc")? {
        None | Some("git") => {}
        Some(other) => {
            return Err(arguments.refuse(&format!("has `vc = \"{other}\"`; only git can be followed")));
        }
    }
    let revision = arguments.revision(str::to_owned)?;
    stripped(&CodeHost::Sourcehut.archive(
        &format!("https://git.{domain}"),
        &format!("{owner}/{repo}"),
        &revision,
    ))
}

pub(super) fn bitbucket(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    archive_only(arguments)?;
    let (owner, repo) = (arguments.needed("owner")?, arguments.needed("repo")?);
    let revision = arguments.revision(str::to_owned)?;
    let safe = revision.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
    if !safe {
        return Err(arguments.refuse("has a revision that does not fit into a URL as it is"));
    }
    stripped(&CodeHost::Bitbucket.archive("https://bitbucket.org", &format!("{owner}/{repo}"), &revision))
}

/// `fetchgit`, which nixpkgs hashes after git's attributes and submodules had their say.
pub(super) fn fetchgit(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    arguments.add(format!(
        "`{}` checks the git repository out, so that only a build can tell its hash",
        arguments.fetcher()
    ));
    arguments.off(&["fetchLFS"], "replaces files")?;
    arguments.empty(&["sparseCheckout", "rootDir"], "leaves out some of it")?;
    arguments.ignore(&[
        "fetchSubmodules",
        "leaveDotGit",
        "deepClone",
        "fetchTags",
        "branchName",
        "nonConeMode",
    ]);
    arguments.unpacked()?;
    let revision = arguments.revision(tag_reference)?;
    commit_archive(arguments, &revision)
}

/// `builtins.fetchGit`, and `builtins.fetchTree` of a git repository. Without a commit they bring whatever a branch has on
/// that day.
pub(super) fn builtin_fetch_git(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    arguments.common();
    arguments.ignore(&["type", "ref", "shallow", "allRefs", "submodules", "exportIgnore", "narHash"]);
    arguments.ignore(&[
        "lastModified",
        "lastModifiedDate",
        "revCount",
        "verifyCommit",
        "publicKey",
        "publicKeys",
        "keytype",
    ]);
    arguments.off(&["lfs"], "replaces files")?;
    let revision = arguments.needed("rev")?;
    if !is_commit(revision) {
        return Err(arguments.refuse("has a `rev` that is not a whole commit"));
    }
    if arguments.value("narHash").is_some() {
        arguments.add(format!(
            "`{}` checks the git repository out, so that only Nix can tell its `narHash`",
            arguments.fetcher()
        ));
    }
    commit_archive(arguments, revision)
}

/// Whether a revision can be nothing but a commit: all 40 digits of it, or 64.
pub(super) fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The archive that the host of a git repository makes of a commit. A file that is in it is in the checkout, too, with the
/// same bytes.
fn commit_archive(arguments: &Arguments<'_>, revision: &str) -> Result<Origin, Unsupported> {
    let text = arguments.needed("url")?;
    let found = GitUrl::parse(text).and_then(|git| Some((git.archive(revision)?, git.access)));
    let (archive, access) = found.ok_or_else(|| {
        arguments.refuse("checks a git repository out of a host whose archives are not known; only archives can be followed")
    })?;
    Ok(Origin { access, ..stripped(&archive)? })
}
