//! What a manifest writes behind a dependency's name, as npm reads it.

use nodejs_semver::Range;

/// What is asked for.
pub(super) enum Spec {
    /// Whatever there is.
    Any,
    /// A version, or versions.
    Range(Range),
    /// A tag of the registry, which moves: anything that was locked once was right.
    Tag,
    /// A folder or a tarball of the project, as it is written.
    Path(String),
    /// A tarball somewhere.
    Url(String),
    /// A repository of a code host, and the commit if one is named in full.
    Git { repository: String, commit: Option<String> },
    /// Something that is not judged here.
    Unknown,
}

impl Spec {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        if let Some(alias) = text.strip_prefix("npm:") {
            let version =
                alias.char_indices().skip(1).find(|(_, c)| *c == '@').map_or("", |(at, _)| &alias[at + 1..]);
            return Self::registry(version);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return Self::Path(path.to_owned());
        }
        if text.starts_with(['.', '/', '~']) && !text.starts_with("~1") && is_path(text) {
            return Self::Path(text.to_owned());
        }
        if let Some((repository, commit)) = git_repository(text) {
            return Self::Git { repository, commit };
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            let path = text.split(['?', '#']).next().unwrap_or_default();
            let is_tarball = [".tgz", ".tar.gz", ".tar"].iter().any(|end| path.ends_with(end));
            return if is_tarball { Self::Url(text.to_owned()) } else { Self::Unknown };
        }
        if text.contains([':', '/']) { Self::Unknown } else { Self::registry(text) }
    }

    fn registry(text: &str) -> Self {
        match text.trim() {
            "" | "*" => Self::Any,
            text => Range::parse(text).map_or(Self::Tag, Self::Range),
        }
    }
}

fn is_path(text: &str) -> bool {
    ["./", "../", "/", "~/"].iter().any(|start| text.starts_with(start)) || matches!(text, "." | "..")
}

/// Code hosts, each with its shorthand.
const HOSTS: [(&str, &str); 3] =
    [("github:", "github.com"), ("gitlab:", "gitlab.com"), ("bitbucket:", "bitbucket.org")];

/// `host/user/project` of a repository on a known code host, and the commit if it is named in full.
pub(super) fn git_repository(text: &str) -> Option<(String, Option<String>)> {
    let (place, fragment) = text.split_once('#').unwrap_or((text, ""));
    let is_commit =
        matches!(fragment.len(), 40 | 64) && fragment.bytes().all(|byte| byte.is_ascii_hexdigit());
    let commit = is_commit.then(|| fragment.to_ascii_lowercase());
    let shorthand = HOSTS.iter().find_map(|(prefix, host)| Some((*host, place.strip_prefix(prefix)?)));
    let (host, path) = shorthand.or_else(|| of_url(place)).or_else(|| of_pair(place))?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let [user, project] = path.split('/').collect::<Vec<_>>()[..] else { return None };
    Some((format!("{host}/{user}/{project}").to_ascii_lowercase(), commit))
}

/// `git+ssh://git@github.com/user/project.git` and its relatives.
fn of_url(text: &str) -> Option<(&'static str, &str)> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if matches!(scheme, "git" | "ssh" | "https") || scheme.starts_with("git+") => {
            rest
        }
        Some(_) => return None,
        None => text.strip_prefix("git@").map(|_| text)?,
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    HOSTS.iter().find_map(|(_, host)| {
        let path = rest.strip_prefix(host)?.strip_prefix(['/', ':'])?;
        // `https://github.com/user/project/...` is a file of the host, not the repository.
        (path.matches('/').count() == 1).then_some((*host, path))
    })
}

/// `user/project`, which means GitHub.
fn of_pair(text: &str) -> Option<(&'static str, &str)> {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let (user, project) = text.split_once('/')?;
    (plain(user) && plain(project) && !text.starts_with('.')).then_some(("github.com", text))
}

/// Whether a path of a manifest is the one that is locked; both may be written in many ways.
pub(super) fn same_path(folder: &str, wanted: &str, locked: &str, is_link: bool) -> bool {
    let is_tarball = |path: &str| [".tgz", ".tar.gz", ".tar"].iter().any(|end| path.ends_with(end));
    if wanted.starts_with(['/', '~']) {
        return true;
    }
    let plain = locked.strip_prefix("file:").unwrap_or(locked);
    let same = normalised(&format!("{folder}/{wanted}")) == normalised(plain);
    // A folder may also have been packed (`install-links`).
    same && (is_link || is_tarball(plain) || locked.starts_with("file:"))
}

/// A path without `.`, `..` and empty parts.
fn normalised(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts
}
