//! Git URLs and the archives that code hosts offer for them, as nixpkgs knows them.

use npm_tarballs::redaction::redacted;
use url::Url;

use super::CanonicalUrl;

/// Why a git URL has no archive that nixpkgs would fetch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitUrlError {
    /// A host that nixpkgs does not know, gitlab.com included.
    #[error("git dependency on a host that nixpkgs' fetcher does not support: {}", redacted(.0))]
    UnsupportedHost(Url),
    /// A known host, but a path that is not one of a project.
    #[error("git dependency whose URL names no project: {}", redacted(.0))]
    Malformed(Url),
    /// No commit after `#`.
    #[error("git dependency without a commit: {}", redacted(.0))]
    NoCommit(Url),
}

/// Whether npm clones URLs of this scheme rather than downloading them.
#[must_use]
pub fn is_git(scheme: &str) -> bool {
    matches!(scheme, "git" | "git+ssh" | "git+https" | "ssh")
}

/// Whether this names a commit by its full SHA-1, so that what it names cannot change.
#[must_use]
pub(crate) fn is_full_commit(commit: &str) -> bool {
    commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The archive URL of a git URL, and whether it is pinned to a full commit.
///
/// # Errors
/// Hosts without a known archive, URLs that name no project or no commit.
pub(crate) fn hosted_archive(url: &Url) -> Result<(CanonicalUrl, bool), GitUrlError> {
    let malformed = || GitUrlError::Malformed(url.clone());
    let mut segments = url.path_segments().ok_or_else(malformed)?;
    let mut next = || segments.next().filter(|segment| !segment.is_empty());
    let host = url.host_str().unwrap_or_default();
    if !matches!(host, "github.com" | "bitbucket.org" | "git.sr.ht") {
        return Err(GitUrlError::UnsupportedHost(url.clone()));
    }
    let (user, project) = next().zip(next()).ok_or_else(malformed)?;
    let (kind, tail) = (next(), next());
    let project = project.strip_suffix(".git").unwrap_or(project);
    let commit = match (host, kind) {
        // Of addresses of pages, nixpkgs' fetcher takes a commit from this one alone.
        ("github.com", Some("tree")) => tail,
        ("github.com", Some(_)) | ("bitbucket.org", Some("get")) | ("git.sr.ht", Some("archive")) => {
            return Err(malformed());
        }
        _ => url.fragment(),
    };
    let commit = commit.filter(|text| !text.is_empty()).ok_or_else(|| GitUrlError::NoCommit(url.clone()))?;
    let archive = match host {
        "github.com" => format!("https://codeload.github.com/{user}/{project}/tar.gz/{commit}"),
        "bitbucket.org" => format!("https://bitbucket.org/{user}/{project}/get/{commit}.tar.gz"),
        _ => format!("https://git.sr.ht/{user}/{project}/archive/{commit}.tar.gz"),
    };
    Ok((archive.parse().map_err(|_| malformed())?, is_full_commit(commit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(url: &str) -> Result<String, GitUrlError> {
        hosted_archive(&Url::parse(url).unwrap()).map(|(url, _)| url.to_string())
    }

    #[test]
    fn known_hosts_have_archives() {
        for (url, expected) in [
            (
                "git+ssh://git@github.com/acme/tool.git#abc",
                "https://codeload.github.com/acme/tool/tar.gz/abc",
            ),
            ("git+https://github.com/acme/tool#v1.0", "https://codeload.github.com/acme/tool/tar.gz/v1.0"),
            ("git://github.com/acme/tool/tree/main", "https://codeload.github.com/acme/tool/tar.gz/main"),
            ("ssh://git@bitbucket.org/acme/tool.git#abc", "https://bitbucket.org/acme/tool/get/abc.tar.gz"),
            ("git+https://git.sr.ht/~acme/tool#abc", "https://git.sr.ht/~acme/tool/archive/abc.tar.gz"),
        ] {
            assert_eq!(archive(url).unwrap(), expected);
        }
    }

    #[test]
    fn everything_else_is_refused_by_kind() {
        assert!(matches!(
            archive("git+ssh://git@gitlab.com/a/b.git#c"),
            Err(GitUrlError::UnsupportedHost(_))
        ));
        assert!(matches!(archive("git+ssh://git@github.com/a#c"), Err(GitUrlError::Malformed(_))));
        assert!(matches!(archive("git+ssh://git@github.com/a/b/blob/c"), Err(GitUrlError::Malformed(_))));
        assert!(matches!(archive("git+ssh://git@github.com/a/b.git"), Err(GitUrlError::NoCommit(_))));
        assert!(matches!(
            archive("ssh:opaque#c"),
            Err(GitUrlError::Malformed(_) | GitUrlError::UnsupportedHost(_))
        ));
    }

    #[test]
    fn only_full_commits_are_pinned() {
        let commit = "506fc771d40702d5bf158ae35b9f783a38b6b848";
        let url = Url::parse(&format!("git+ssh://git@github.com/acme/plain.git#{commit}")).unwrap();
        assert!(hosted_archive(&url).unwrap().1);
        assert!(is_full_commit(commit));
        let not_hexadecimal = "g".repeat(40);
        for other in ["main", "506fc77", "", &commit[1..], &not_hexadecimal] {
            assert!(!is_full_commit(other), "{other}: what it names can change");
        }
    }
}
