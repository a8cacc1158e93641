//! What there is to say of sources that are not in the repository.

use nix_sites::{Outcome, RemoteSource, edit};
use npm_tarballs::redaction::redacted;
use serde::Serialize;

use super::build::Tokens;
use super::{EndReport, Message, Paths, PlaceReport};
use crate::drift::{Outdated, Planned, SourceState, Standing};
use crate::source::digest::SourceDigest;

/// A source that is not in the repository.
#[derive(Debug, Serialize)]
pub struct SourceReport {
    /// The fetcher, such as `fetchFromGitHub`.
    pub kind: String,
    /// Where it is fetched.
    pub place: PlaceReport,
    /// Where it comes from, without secrets, if that is known.
    pub url: Option<String>,
    /// Where its hash stands, if it is one token.
    pub hash_place: Option<PlaceReport>,
    /// Where that token ends: behind its last character.
    pub hash_end: Option<EndReport>,
    /// The hash that is recorded, as it is written.
    pub recorded: Option<String>,
    /// The hash of what was fetched, as SRI.
    pub computed: Option<String>,
    /// What `recorded` should be, if that is something else.
    pub new: Option<String>,
    /// The token to write in place of the one that holds the hash, quotes included.
    pub replacement: Option<String>,
    /// `in-sync`, `blank`, `moved`, `vouched`, `replaced`, `forged`, `failed`, `unchecked` or `not-fetched`.
    pub standing: &'static str,
    /// Whether URL or version changed since the hash was recorded; `null` where that does not matter or is not known.
    pub identity_changed: Option<bool>,
    /// Whether the registry's own statement is its hash, so that nothing was downloaded.
    pub stated: bool,
    /// Why nothing is known of it.
    pub unchecked: Option<String>,
}

/// A vendored lockfile of another version.
#[derive(Debug, Serialize)]
pub struct OutdatedReport {
    /// The file.
    pub lockfile: String,
    /// The version it was made for.
    pub locked: String,
    /// The version of the source.
    pub source: String,
    /// Whether it was regenerated.
    pub renewed: bool,
}

impl SourceReport {
    pub(super) fn new(state: &SourceState, rewritten: bool, tokens: &Tokens<'_>) -> Self {
        let SourceState { source, resolved, standing, .. } = state;
        let literal = resolved.as_ref().ok().and_then(|resolved| resolved.literal.as_ref());
        let recorded = resolved.as_ref().ok().map(|resolved| match &resolved.literal {
            Some(literal) => literal.written.text.trim().to_owned(),
            None => resolved.recorded.known().map(SourceDigest::sri).unwrap_or_default(),
        });
        let change = state.stale_literal().filter(|_| rewritten);
        let (name, identity_changed) = describe(standing, resolved.is_err());
        Self {
            kind: source.fetcher.clone(),
            place: tokens.paths.place(&source.place),
            url: resolved.as_ref().ok().map(|resolved| redacted(resolved.origin.url())),
            hash_place: literal.map(|literal| tokens.place(literal)),
            hash_end: literal.map(|literal| tokens.end(literal)),
            recorded,
            computed: state.digest().map(ToString::to_string),
            replacement: change.as_ref().map(|(literal, sri)| edit::replacement(literal, sri).text),
            new: change.map(|(_, sri)| sri),
            standing: name,
            identity_changed,
            stated: state.stated,
            unchecked: state.unchecked().map(str::to_owned),
        }
    }

    /// Why its hash should change, for people.
    #[must_use]
    pub fn because(&self) -> &'static str {
        match self.standing {
            "blank" => "it is not written yet",
            "moved" => "the source changed its version or URL",
            "vouched" => "the npm registry vouches for what is there now",
            _ => "the file was replaced under its name",
        }
    }
}

fn describe(standing: &Standing, unresolved: bool) -> (&'static str, Option<bool>) {
    match standing {
        _ if unresolved => ("unchecked", None),
        Standing::Unchecked | Standing::Untold(_) => ("unchecked", None),
        Standing::NotFetched => ("not-fetched", None),
        Standing::InSync => ("in-sync", None),
        Standing::Blank(_) => ("blank", None),
        Standing::Moved(_) => ("moved", Some(true)),
        Standing::Vouched(_) => ("vouched", None),
        Standing::Replaced { unknown: None, .. } => ("replaced", Some(false)),
        Standing::Replaced { unknown: Some(_), .. } => ("replaced", None),
        Standing::Forged { .. } => ("forged", None),
        Standing::Failed(_) | Standing::Unvouched(_) => ("failed", None),
    }
}

impl OutdatedReport {
    pub(super) fn new(outdated: &Outdated, paths: &Paths) -> Self {
        Self {
            lockfile: paths.show(&outdated.path),
            locked: outdated.locked.clone(),
            source: outdated.fetched.clone(),
            renewed: outdated.new.is_some(),
        }
    }
}

/// How a lockfile inside a source is called: `owner/repo@v1/ui/package-lock.json`; a tarball by its file's name.
pub(super) fn inside(planned: &Planned) -> Option<String> {
    if let Outcome::Tarball(source) = &planned.site.outcome {
        return Some(label(source));
    }
    let Outcome::Remote { source, inside } = &planned.site.outcome else { return None };
    let folder = if inside.folder.is_empty() { String::new() } else { format!("{}/", inside.folder) };
    Some(format!("{}/{folder}package-lock.json", label(source)))
}

/// A short name of a source.
fn label(source: &RemoteSource) -> String {
    if let Some((name, _)) = &source.input {
        return format!("inputs.{name}");
    }
    let revision = source.text("tag").or_else(|| source.text("rev")).unwrap_or("?");
    match (source.text("owner"), source.text("repo"), source.url()) {
        (Some(owner), Some(repo), _) => format!("{owner}/{repo}@{revision}"),
        (_, _, Some(url)) => {
            // Queries and user names may be secrets, and this name stands in every report.
            let shown = redacted(url);
            let path = shown.split('?').next().unwrap_or_default();
            path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path).to_owned()
        }
        _ => source.fetcher.clone(),
    }
}

/// What the user should know of the sources of a site that was decided nevertheless.
pub(super) fn warnings(planned: &Planned) -> Vec<Message> {
    let unchecked = planned.sources.iter().filter_map(SourceState::unchecked);
    let unchecked =
        unchecked.map(|why| Message::plain(format!("the hash of its source was not checked: {why}")));
    let shadowed = planned.sources.iter().any(|state| {
        let shipped = matches!(&state.excerpt, Some(Ok(excerpt)) if excerpt.shrinkwrap.is_some());
        state.source.vendored_in.is_some() && shipped
    });
    let copy =
        "its source has an npm-shrinkwrap.json, which is hashed instead of the lockfile that is copied in";
    unchecked.chain(shadowed.then(|| Message::plain(copy))).collect()
}
