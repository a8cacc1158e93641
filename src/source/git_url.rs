//! Addresses of git repositories, and where their hosts have archives of commits.

use super::code_host::CodeHost;
use super::origin::Access;

/// The address of a git repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GitUrl<'a> {
    host: &'a str,
    /// Without slashes around it, and without `.git`.
    path: &'a str,
    /// How git gets at it.
    pub(super) access: Access,
}

impl<'a> GitUrl<'a> {
    /// Reads `https://host/path`, `git+ssh://git@host/path`, `git@host:path` and their like; `None` for a path, for a
    /// port, and for what is none of them.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix("git+").unwrap_or(text);
        let (access, host, path) = match text.split_once("://") {
            Some((scheme @ ("https" | "http" | "git" | "ssh"), rest)) => {
                let (host, path) = rest.split_once('/')?;
                (if scheme == "ssh" { Access::GitWithKey } else { Access::Git }, host, path)
            }
            Some(_) => return None,
            None => {
                let (host, path) = text.split_once(':')?;
                (Access::GitWithKey, host, path)
            }
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let plain = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let whole = plain(host, b".-") && plain(path, b".-_~/");
        whole.then_some(Self { host, path, access })
    }

    /// Where the host has the archive of a revision.
    pub(super) fn archive(&self, revision: &str) -> Option<String> {
        let Self { host, path, .. } = self;
        let software = CodeHost::of(host)?;
        let depth = path.split('/').filter(|part| !part.is_empty()).count();
        // Only GitLab has groups in groups.
        let is_repository = depth == 2 || depth > 2 && matches!(software, CodeHost::GitLab);
        is_repository.then(|| software.archive(&format!("https://{host}"), path, revision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_of_a_commit_is_found_from_every_way_to_write_a_repository() {
        let archive = |text| GitUrl::parse(text).and_then(|git| git.archive("abc"));
        let github = Some("https://github.com/o/r/archive/abc.tar.gz".to_owned());
        for text in [
            "https://github.com/o/r",
            "https://github.com/o/r.git",
            "https://token@github.com/o/r/",
            "git+https://github.com/o/r",
            "git://github.com/o/r.git",
            "ssh://git@github.com/o/r.git",
            "git+ssh://git@github.com/o/r",
            "git@github.com:o/r.git",
            "git@github.com:/o/r.git",
        ] {
            assert_eq!(archive(text), github, "{text}");
        }
        let others = [
            ("git@github.corp.example:o/r.git", "https://github.corp.example/o/r/archive/abc.tar.gz"),
            (
                "https://gitlab.gnome.org/a/b/c.d.git",
                "https://gitlab.gnome.org/api/v4/projects/a%2Fb%2Fc%2Ed/repository/archive.tar.gz?sha=abc",
            ),
            ("https://codeberg.org/o/r", "https://codeberg.org/o/r/archive/abc.tar.gz"),
            ("https://git.sr.ht/~o/r", "https://git.sr.ht/~o/r/archive/abc.tar.gz"),
            ("https://bitbucket.org/o/r.git", "https://bitbucket.org/o/r/get/abc.tar.gz"),
        ];
        for (text, right) in others {
            assert_eq!(archive(text).as_deref(), Some(right), "{text}");
        }
    }

    #[test]
    fn what_is_no_repository_of_a_known_host_has_no_archive() {
        for text in [
            "https://example.org/o/r.git",
            "https://github.com/o",
            "https://github.com/o/r/tree/main",
            "https://github.com:8443/o/r",
            "https://github.com/o/r?x=y",
            "file:///srv/r.git",
            "/srv/github.com/o/r",
            "../r",
            "",
        ] {
            assert_eq!(GitUrl::parse(text).and_then(|git| git.archive("abc")), None, "{text}");
        }
    }

    #[test]
    fn only_what_goes_over_ssh_needs_a_key() {
        let access = |text| GitUrl::parse(text).map(|git| git.access);
        assert_eq!(access("git@github.com:o/r.git"), Some(Access::GitWithKey));
        assert_eq!(access("ssh://git@github.com/o/r"), Some(Access::GitWithKey));
        assert_eq!(access("https://github.com/o/r"), Some(Access::Git));
    }
}
