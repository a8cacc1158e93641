//! Where code hosts have the archives of their repositories.

/// What a code host runs, as far as its archives go.
pub(super) enum CodeHost {
    GitHub,
    GitLab,
    /// Gitea, Forgejo, and Codeberg, which is one.
    Forgejo,
    Sourcehut,
    Bitbucket,
}

impl CodeHost {
    /// What runs at a host: the public ones by name, others by what people call the host of such software.
    pub(super) fn of(host: &str) -> Option<Self> {
        Some(match (host, host.split('.').next()?) {
            ("github.com", _) | (_, "github") => Self::GitHub,
            ("gitlab.com", _) | (_, "gitlab") => Self::GitLab,
            ("codeberg.org", _) | (_, "gitea" | "forgejo") => Self::Forgejo,
            ("git.sr.ht", _) => Self::Sourcehut,
            ("bitbucket.org", _) => Self::Bitbucket,
            _ => return None,
        })
    }

    /// Where the archive of a revision is, as nixpkgs asks for it. `server` is `https://host`, `repository` is `owner/name`.
    pub(super) fn archive(&self, server: &str, repository: &str, revision: &str) -> String {
        match self {
            Self::GitHub | Self::Forgejo | Self::Sourcehut => {
                format!("{server}/{repository}/archive/{revision}.tar.gz")
            }
            Self::GitLab => {
                let project = repository.replace('.', "%2E").replace('/', "%2F");
                let revision = revision.replace('%', "%25").replace('+', "%2B").replace('/', "%2F");
                format!("{server}/api/v4/projects/{project}/repository/archive.tar.gz?sha={revision}")
            }
            Self::Bitbucket => format!("{server}/{repository}/get/{revision}.tar.gz"),
        }
    }
}
