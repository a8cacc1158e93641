//! Version 1: nested `dependencies`.

use serde::Deserialize;
use url::Url;

use super::{
    CanonicalUrl,
    canonical_url::UrlReader,
    dependency::{Found, ProblemKind, Raw},
    text::{Entries, Flag, Text},
};

#[derive(Deserialize)]
pub(super) struct Entry<'a> {
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(borrow, default)]
    resolved: Text<'a>,
    #[serde(borrow, default)]
    integrity: Text<'a>,
    #[serde(default)]
    bundled: Flag,
    #[serde(borrow, default)]
    dependencies: Option<Entries<'a, Entry<'a>>>,
}

/// Gathers what is fetched. A lockfile without dependencies has nothing to fetch.
pub(super) fn collect(dependencies: Option<Entries<'_, Entry<'_>>>) -> Found {
    let mut found = Found::default();
    if let Some(entries) = dependencies {
        collect_all(entries, "", &mut found);
    }
    found
}

/// `serde_json` bounds the nesting, and so this recursion.
fn collect_all(entries: Entries<'_, Entry<'_>>, parents: &str, found: &mut Found) {
    for (name, entry) in entries.0 {
        // What is bundled travels inside its parent's tarball, with everything below it.
        if entry.bundled.0 {
            continue;
        }
        let place = join(parents, &name);
        if let Some(nested) = entry.dependencies {
            collect_all(nested, &place, found);
        }
        match url_of(&mut found.urls, entry.version.as_deref(), entry.resolved.as_deref()) {
            Ok(Some(url)) => found.add(Raw {
                name: name.into_owned(),
                place,
                version: None,
                url,
                integrity: entry.integrity.as_deref(),
                platform_specific: false,
            }),
            Ok(None) => found.skip(place, entry.version.into_owned()),
            Err(kind) => found.problem(&place, kind),
        }
    }
}

/// The URL of an entry: `version` if it is one, else `resolved`.
fn url_of(
    urls: &mut UrlReader,
    version: Option<&str>,
    resolved: Option<&str>,
) -> Result<Option<CanonicalUrl>, ProblemKind> {
    let version = version.ok_or(ProblemKind::NoVersion { legacy: false })?;
    let resolved_url = resolved.and_then(|text| urls.read(text).ok());
    match Url::parse(version) {
        Ok(alias) if alias.scheme() == "npm" => {
            resolved_url.map(Some).ok_or_else(|| ProblemKind::AliasWithoutUrl(version.to_owned()))
        }
        Ok(url) => Ok(Some(CanonicalUrl::from(&expand_shorthand(url)))),
        Err(_) => match (resolved_url, resolved) {
            (None, Some(text)) => Err(ProblemKind::NotAUrl(text.to_owned())),
            (url, _) => Ok(url),
        },
    }
}

/// `github:user/project#commit` as the URL that npm clones: `git+ssh://git@github.com/user/project.git#commit`.
fn expand_shorthand(url: Url) -> Url {
    let host = match url.scheme() {
        "github" => "github.com",
        "gitlab" => "gitlab.com",
        "bitbucket" => "bitbucket.org",
        _ => return url,
    };
    let path = url.path().trim_start_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let fragment = url.fragment().map(|text| format!("#{text}")).unwrap_or_default();
    Url::parse(&format!("git+ssh://git@{host}/{path}.git{fragment}")).unwrap_or(url)
}

/// Notes the entries without `version`, which nixpkgs refuses in the legacy map of version 2 lockfiles.
pub(super) fn note_missing_versions(entries: &Entries<'_, Entry<'_>>, parents: &str, found: &mut Found) {
    for (name, entry) in &entries.0 {
        let place = join(parents, name);
        if entry.version.0.is_none() {
            found.problem(&place, ProblemKind::NoVersion { legacy: true });
        }
        if let Some(nested) = &entry.dependencies {
            note_missing_versions(nested, &place, found);
        }
    }
}

fn join(parents: &str, name: &str) -> String {
    if parents.is_empty() { name.to_owned() } else { format!("{parents} > {name}") }
}
