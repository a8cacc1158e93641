//! Archives of code hosts, as nixpkgs' `fetchFrom...` functions ask for them.

use super::arguments::Arguments;
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
    stripped(&format!("https://{base}/{owner}/{repo}/archive/{revision}.tar.gz"))
}

pub(super) fn gitlab(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    archive_only(arguments)?;
    // The same address; which token goes along is the user's business.
    arguments.ignore(&["private"]);
    let (owner, repo) = (arguments.needed("owner")?, arguments.needed("repo")?);
    let protocol = arguments.text("protocol")?.unwrap_or("https");
    let domain = arguments.text("domain")?.unwrap_or("gitlab.com");
    let group = arguments.text("group")?.map(|group| format!("{group}/")).unwrap_or_default();
    let slug = format!("{group}{owner}/{repo}").replace('.', "%2E").replace('/', "%2F");
    let revision = arguments.revision(tag_reference)?;
    let revision = revision.replace('%', "%25").replace('+', "%2B").replace('/', "%2F");
    stripped(&format!(
        "{protocol}://{domain}/api/v4/projects/{slug}/repository/archive.tar.gz?sha={revision}"
    ))
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
    stripped(&format!("https://{domain}/{owner}/{repo}/archive/{revision}.tar.gz"))
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
    stripped(&format!("https://git.{domain}/{owner}/{repo}/archive/{revision}.tar.gz"))
}

pub(super) fn bitbucket(arguments: &Arguments<'_>) -> Result<Origin, Unsupported> {
    archive_only(arguments)?;
    let (owner, repo) = (arguments.needed("owner")?, arguments.needed("repo")?);
    let revision = arguments.revision(str::to_owned)?;
    let safe = revision.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
    if !safe {
        return Err(arguments.refuse("has a revision that does not fit into a URL as it is"));
    }
    stripped(&format!("https://bitbucket.org/{owner}/{repo}/get/{revision}.tar.gz"))
}
