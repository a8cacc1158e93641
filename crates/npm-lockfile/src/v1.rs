//! Version 1: nested `dependencies`.

use npm_tarballs::integrity::Candidate;
use serde::Deserialize;
use url::Url;

use super::CanonicalUrl;
use super::canonical_url::UrlReader;
use super::dependency::{DependencyCollector, ProblemKind, Raw, verdict, wrong_types};
use super::text::{Boolean, Entries, Text};

#[derive(Deserialize)]
pub(super) struct DependencyEntry<'a> {
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(borrow, default)]
    resolved: Text<'a>,
    #[serde(borrow, default)]
    integrity: Text<'a>,
    #[serde(default)]
    bundled: Boolean,
    #[serde(borrow, default)]
    dependencies: Option<Entries<'a, DependencyEntry<'a>>>,
}

/// Gathers what is fetched. A lockfile without dependencies has nothing to fetch.
pub(super) fn collect(dependencies: Option<Entries<'_, DependencyEntry<'_>>>) -> DependencyCollector {
    let mut found = DependencyCollector::default();
    if let Some(entries) = dependencies {
        collect_all(entries, "", &mut found);
    }
    found
}

/// Looks at what nixpkgs reads of every entry, wherever it stands; gives the strongest integrity.
///
/// # Errors
/// What nixpkgs refuses the whole lockfile for.
fn examine(entry: &DependencyEntry<'_>) -> Result<Option<Candidate>, Vec<ProblemKind>> {
    let DependencyEntry { version, resolved, integrity, bundled, .. } = entry;
    let fields = [("version", version), ("resolved", resolved), ("integrity", integrity)];
    let bundled =
        bundled.other.map(|found| ProblemKind::WrongType { field: "bundled", expected: "a boolean", found });
    let no_version = matches!(version, Text::Absent).then_some(ProblemKind::NoVersion);
    verdict(wrong_types(&fields).chain(bundled).chain(no_version), integrity)
}

/// What nixpkgs would refuse a map for that it only reads, or that travels inside a tarball.
///
/// `serde_json` bounds the nesting, and so this recursion.
pub(super) fn all_faults(
    entries: &Entries<'_, DependencyEntry<'_>>,
    parents: &str,
) -> Vec<(String, ProblemKind)> {
    let mut all = Vec::new();
    for (name, entry) in entries.all() {
        let place = join(parents, name);
        let faults = examine(entry).err().unwrap_or_default();
        all.extend(faults.into_iter().map(|kind| (place.clone(), kind)));
        if let Some(nested) = &entry.dependencies {
            all.extend(all_faults(nested, &place));
        }
    }
    all
}

fn collect_all(entries: Entries<'_, DependencyEntry<'_>>, parents: &str, found: &mut DependencyCollector) {
    let Entries { list, replaced } = entries;
    note_all(&Entries { list: replaced, replaced: Vec::new() }, parents, found);
    for (name, entry) in list {
        let place = join(parents, &name);
        collect_one(name.into_owned(), place, entry, found);
    }
}

fn note_all(entries: &Entries<'_, DependencyEntry<'_>>, parents: &str, found: &mut DependencyCollector) {
    for (place, kind) in all_faults(entries, parents) {
        found.problem(&place, kind);
    }
}

fn collect_one(name: String, place: String, mut entry: DependencyEntry<'_>, found: &mut DependencyCollector) {
    let examined = examine(&entry);
    let nested = entry.dependencies.take();
    // What is bundled travels inside its parent's tarball, with everything below it.
    if entry.bundled.value {
        found.problems(&place, examined.err().unwrap_or_default());
        if let Some(nested) = &nested {
            note_all(nested, &place, found);
        }
        return;
    }
    if let Some(nested) = nested {
        collect_all(nested, &place, found);
    }
    let integrity = match examined {
        Ok(integrity) => integrity,
        Err(kinds) => return found.problems(&place, kinds),
    };
    match url_of(&mut found.urls, entry.version.as_deref(), entry.resolved.as_deref()) {
        Ok(Some(url)) if url.scheme() == "file" => {}
        Ok(Some(url)) => {
            found.add(Raw { name, place, version: None, url, integrity, platform_specific: false });
        }
        Ok(None) => found.skip(place, entry.version.into_owned()),
        Err(kind) => found.problem(&place, kind),
    }
}

/// The URL of an entry: `version` if it is one, else `resolved`.
fn url_of(
    urls: &mut UrlReader,
    version: Option<&str>,
    resolved: Option<&str>,
) -> Result<Option<CanonicalUrl>, ProblemKind> {
    let version = version.ok_or(ProblemKind::NoVersion)?;
    let resolved_url = resolved.and_then(|text| urls.read(text).ok());
    match Url::parse(version) {
        // `npm:real@1.0.0` passes for a URL as well.
        Ok(alias) if alias.scheme() == "npm" => {
            resolved_url.map(Some).ok_or_else(|| ProblemKind::AliasWithoutUrl(version.to_owned()))
        }
        // Version 1 writes the address of what no registry has in the place of the version, mostly without a
        // `resolved`.
        Ok(url) => Ok(Some(CanonicalUrl::from(&expand_shorthand(url)))),
        Err(_) => match (resolved_url, resolved) {
            (None, Some(text)) => Err(ProblemKind::NotAUrlInVersion1(text.to_owned())),
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

pub(super) fn join(parents: &str, name: &str) -> String {
    if parents.is_empty() { name.to_owned() } else { format!("{parents} > {name}") }
}
