//! What a recorded hash is, in words and as JSON.

use std::fmt::Write as _;

use anstyle::Style;
use nix_sites::Literal;
use npm_deps::{Manner, Modes};
use npm_lockfile::options::HashOptions;
use repository_files::git::MergedBy;
use serde_json::{Value, json};

use super::because::{PackagesReport, short, summary};
use super::human::at;
use super::layout::{self, BAD, Cell, DOUBTFUL, GOOD, LayoutOptions, NAME, Note, TableLine};
use super::{Paths, PlaceReport};
use crate::explain::{Explanation, Group, HashIdentity, HashVerdict, HashedText, Subject, Tried};

/// A recorded hash, and what was found out about it.
pub struct Explained {
    /// What people call its derivation.
    pub service: String,
    /// Where it stands.
    pub literal: Literal,
    /// What is known of it.
    pub subject: Subject,
    /// What it is.
    pub explanation: Explanation,
    /// What merges its lockfile, if not git line by line.
    pub merged_by: Option<MergedBy>,
}

/// The text for people: a line for each hash, and what it is.
#[must_use]
pub fn human(all: &[Explained], paths: &Paths, look: LayoutOptions) -> String {
    let entries: Vec<TableLine> = all.iter().map(|one| entry(one, paths)).collect();
    layout::table(&entries, look.width)
}

fn entry(one: &Explained, paths: &Paths) -> TableLine {
    let recorded = one.subject.recorded.text.trim();
    let recorded = if recorded.is_empty() { "(empty)" } else { recorded };
    let mut notes = vec![Note::new("recorded", recorded), Note::new("it is", sentence(one, paths))];
    if let HashVerdict::Is(HashIdentity { changes: Some(changes), .. }) = &one.explanation.verdict {
        notes.push(Note::new("since", summary(changes)));
    }
    if let Some(MergedBy { driver, file, line }) = &one.merged_by {
        let text =
            format!("the lockfile by `{driver}` ({}:{line}), not by git line by line", paths.show(file));
        notes.push(Note::new("merged", text));
    }
    if let HashVerdict::Unknown = one.explanation.verdict {
        let tried = one.explanation.tried.iter();
        notes.extend(tried.map(|tried| Note::new("tried", attempt(tried, &one.explanation))));
    }
    let (style, word) = match one.explanation.verdict {
        HashVerdict::Right => (GOOD, "right"),
        HashVerdict::Placeholder => (BAD, "placeholder"),
        HashVerdict::NoHash => (BAD, "no hash"),
        HashVerdict::Is(_) => (BAD, "other"),
        HashVerdict::Unknown => (DOUBTFUL, "unknown"),
    };
    let place = at(&place(one, paths));
    let cells = vec![Cell::new(style, word), Cell::new(NAME, &one.service), Cell::new(Style::new(), &place)];
    TableLine { cells, notes }
}

fn place(one: &Explained, paths: &Paths) -> PlaceReport {
    let Literal { file, line, column, .. } = &one.literal;
    PlaceReport { file: paths.show(file), line: *line, column: *column }
}

/// What the hash is.
fn sentence(one: &Explained, paths: &Paths) -> String {
    let own =
        one.subject.lockfile.as_ref().map_or_else(|| "a lockfile".to_owned(), |own| paths.show(&own.path));
    match &one.explanation.verdict {
        HashVerdict::Right => format!("right: the hash of {own}"),
        HashVerdict::Placeholder => "a placeholder, which `npm-nixhash update` fills in".to_owned(),
        HashVerdict::NoHash => "no sha256, so the hash of no lockfile".to_owned(),
        HashVerdict::Unknown => "not known: nothing that was tried has this hash".to_owned(),
        HashVerdict::Is(identity) => format!("the hash of {}", identity_text(identity, &own, paths)),
    }
}

fn identity_text(identity: &HashIdentity, own: &str, paths: &Paths) -> String {
    let HashIdentity { text, options, manner, .. } = identity;
    let text = match text {
        HashedText::Itself => own.to_owned(),
        HashedText::Crlf => format!("{own} with CRLF line endings"),
        HashedText::LineFeeds => format!("{own} with LF line endings"),
        HashedText::WithoutLastLineFeed => format!("{own} without its last line feed"),
        HashedText::WithLineFeed => format!("{own} with a line feed at its end"),
        HashedText::Unedited => format!("{own} before a phase edits it"),
        HashedText::Other(path) => paths.show(path),
        HashedText::Earlier(commit) => format!("{own} as it was in {}", short(commit)),
    };
    let options = options.map(options_text).unwrap_or_default();
    format!("{text}{options}{}", manner_text(*manner))
}

fn options_text(options: HashOptions) -> String {
    let mut text = format!(", with fetcherVersion {}", options.fetcher_version);
    for (is, name) in
        [(options.force_git_deps, "forceGitDeps"), (options.force_empty_cache, "forceEmptyCache")]
    {
        if is {
            let _ = write!(text, " and {name}");
        }
    }
    text
}

fn manner_text(manner: Manner) -> String {
    let dist = if manner.whole_dist { ", as nixpkgs made it before 2026-02-15" } else { "" };
    let who = match user(manner.modes) {
        None => String::new(),
        Some(user) => format!(
            ", its git dependencies unpacked {user}, as nixpkgs' tool does it outside of the sandbox: a build has another hash"
        ),
    };
    format!("{dist}{who}")
}

/// Who unpacks, if not an ordinary user with umask 022.
fn user(modes: Modes) -> Option<&'static str> {
    if modes == Modes::ROOT {
        return Some("by root");
    }
    [(0o002, "under umask 002"), (0o077, "under umask 077"), (0o027, "under umask 027")]
        .into_iter()
        .find_map(|(mask, text)| (modes == Modes::umask(mask)).then_some(text))
}

/// What was tried, and what came of it.
fn attempt(tried: &Tried, explanation: &Explanation) -> String {
    let what = match tried.group {
        Group::Spellings => {
            "its lockfile with either fetcher version, as it is, with other line endings, with or without its last line feed"
        }
        Group::OlderFetcher => "fetcherVersion 2 as nixpkgs made it before 2026-02-15",
        Group::OtherUsers => "git dependencies unpacked by root, under umask 002, 027 and 077",
        Group::OtherLockfiles => "the other lockfiles of the repository",
        Group::Earlier => "its lockfile at earlier commits",
    };
    let mut text = format!("{what}: {} computed", tried.computed);
    if tried.failed > 0 {
        let why = tried.why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        let _ = write!(text, ", {} not{why}", tried.failed);
    }
    if tried.group == Group::Earlier && !explanation.whole_past {
        text += ", older ones not looked at";
    }
    text
}

/// The same for programs.
#[must_use]
pub fn json(all: &[Explained], paths: &Paths) -> String {
    let hashes: Vec<Value> = all.iter().map(|one| one_json(one, paths)).collect();
    super::json(&json!({ "schema_version": 1, "command": "explain", "hashes": hashes }))
}

fn one_json(one: &Explained, paths: &Paths) -> Value {
    let Explanation { verdict, tried, whole_past } = &one.explanation;
    let (word, identity) = match verdict {
        HashVerdict::Right => ("right", None),
        HashVerdict::Placeholder => ("placeholder", None),
        HashVerdict::NoHash => ("no-hash", None),
        HashVerdict::Is(identity) => ("other", Some(identity)),
        HashVerdict::Unknown => ("unknown", None),
    };
    let tried: Vec<Value> = tried
        .iter()
        .map(|Tried { group, computed, failed, why }| {
            json!({ "group": group_word(*group), "computed": computed, "failed": failed, "why": why })
        })
        .collect();
    json!({
        "service": one.service,
        "place": place(one, paths),
        "recorded": one.subject.recorded.text.trim(),
        "lockfile": one.subject.lockfile.as_ref().map(|own| paths.show(&own.path)),
        "verdict": word,
        "text": sentence(one, paths),
        "is": identity.map(|identity| identity_json(identity, one, paths)),
        "merged_by": one.merged_by.as_ref().map(|merged| &merged.driver),
        "tried": tried,
        "whole_past": whole_past,
    })
}

fn identity_json(identity: &HashIdentity, one: &Explained, paths: &Paths) -> Value {
    let HashIdentity { text, options, manner, changes } = identity;
    let own = one.subject.lockfile.as_ref().map(|own| paths.show(&own.path));
    let (spelling, lockfile, commit) = match text {
        HashedText::Itself => ("as-it-is", own, None),
        HashedText::Crlf => ("crlf", own, None),
        HashedText::LineFeeds => ("lf", own, None),
        HashedText::WithoutLastLineFeed => ("without-last-line-feed", own, None),
        HashedText::WithLineFeed => ("with-line-feed", own, None),
        HashedText::Unedited => ("unedited", own, None),
        HashedText::Other(path) => ("as-it-is", Some(paths.show(path)), None),
        HashedText::Earlier(commit) => ("earlier", own, Some(commit)),
    };
    let HashOptions { fetcher_version, force_git_deps, force_empty_cache } =
        options.unwrap_or(one.subject.options);
    json!({
        "lockfile": lockfile,
        "spelling": spelling,
        "commit": commit,
        "options": {
            "fetcherVersion": fetcher_version,
            "forceGitDeps": force_git_deps,
            "forceEmptyCache": force_empty_cache,
        },
        "before_2026_02_15": manner.whole_dist,
        "unpacked": user(manner.modes),
        "packages": changes.as_ref().map(PackagesReport::of),
    })
}

fn group_word(group: Group) -> &'static str {
    match group {
        Group::Spellings => "spellings",
        Group::OlderFetcher => "older-fetcher",
        Group::OtherUsers => "other-users",
        Group::OtherLockfiles => "other-lockfiles",
        Group::Earlier => "earlier",
    }
}
