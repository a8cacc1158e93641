//! The messages of a run for standard error, the gravest last.
//!
//! A bot pastes standard error into a pull-request comment, so it is short whatever went wrong: equal causes are told
//! once, lists are cut, and JSON has the whole.

use std::collections::BTreeSet;

use indexmap::{IndexMap, IndexSet, map::Entry};

use super::{
    FindingReport, LeftOutReport, Message, PlaceReport, Report, SiteReport, UseReport,
    human::{at, plain},
};
use npm_lockfile::listing::some;

/// The most lines that a run may fill.
pub const MOST_LINES: usize = 20;

/// Lines that errors leave to warnings.
const WARNING_LINES: usize = 3;

/// What a group names besides its first message.
const SHOWN_OTHERS: usize = 3;

/// A longer line is cut.
const LONGEST_LINE: usize = 500;

/// Everything that is to be said, in at most `room` lines (or a few, if there is less room than that).
#[must_use]
pub fn messages(report: &Report, room: usize) -> String {
    let mut warnings = blocks("warning", warnings(report));
    let elsewhere = report.elsewhere.iter().map(|message| block("note", message));
    warnings.splice(0..0, elsewhere.chain(borders(report)).chain(unchanged(report)));
    let errors = blocks("error", errors(report));
    let kept = warnings.iter().map(Vec::len).sum::<usize>().min(WARNING_LINES);
    let errors = fit("error", &errors, room.saturating_sub(kept), ", all of which --json lists");
    let room = room.saturating_sub(errors.len());
    let warnings = fit("warning", &warnings, room, ", all of which --json lists");
    warnings.into_iter().chain(errors).fold(String::new(), |text, line| text + &line + "\n")
}

/// Messages of one kind in at most `room` lines, equal causes told once.
#[must_use]
pub fn all(kind: &str, messages: impl IntoIterator<Item = Message>, room: usize) -> String {
    let blocks = blocks(kind, messages.into_iter().map(Item::of).collect());
    fit(kind, &blocks, room, "").into_iter().fold(String::new(), |text, line| text + &line + "\n")
}

/// One message in the form of all: `error:`, `caused by:`, `hint:`.
#[must_use]
pub fn render(kind: &str, message: &Message) -> String {
    block(kind, message).into_iter().fold(String::new(), |text, line| text + &line + "\n")
}

/// A message, and what makes others equal to it.
struct Item {
    message: Message,
    key: String,
}

fn errors(report: &Report) -> Vec<Item> {
    let of_sites =
        report.sites.iter().flat_map(|site| site.errors.iter().map(move |error| about(site, error)));
    let of_uses =
        report.uses.iter().flat_map(|used| used.errors.iter().map(move |error| about_use(used, error)));
    let of_builds = findings(report, report.command != "update");
    report.problems.iter().cloned().chain(of_sites).chain(of_uses).chain(of_builds).map(Item::of).collect()
}

/// What stops a build besides, if `wanted`.
fn findings(report: &Report, wanted: bool) -> impl Iterator<Item = Message> {
    report.findings.iter().filter(move |_| wanted).map(FindingReport::message)
}

impl Item {
    /// The innermost cause and what to do about it make messages equal.
    fn of(message: Message) -> Self {
        let hint = message.hint.as_deref().unwrap_or_default();
        let key = match message.causes.last() {
            Some(cause) => format!("{cause}\n{hint}"),
            None if hint.is_empty() => message.message.clone(),
            None => hint.to_owned(),
        };
        Self { message, key }
    }
}

/// `list` shows undecided sites in its table; uncovered lockfiles are no business of `update`.
fn warnings(report: &Report) -> Vec<Item> {
    let mut items: Vec<Item> = report
        .warnings
        .iter()
        .map(|warning| Item { message: warning.clone(), key: warning.message.clone() })
        .collect();
    if report.command != "update" {
        items.extend(uncovered(&report.uncovered));
    }
    if report.command != "list" {
        items.extend(report.sites.iter().filter_map(undecided));
    }
    items.extend(untracked(report));
    let own = |message: Message| Item { key: message.message.clone(), message };
    items.extend(findings(report, report.command == "update").map(own));
    for site in &report.sites {
        let item = |warning: &Message| Item { message: about(site, warning), key: warning.message.clone() };
        items.extend(site.warnings.iter().map(item));
    }
    items
}

fn undecided(site: &SiteReport) -> Option<Item> {
    let undecided = site.undecided.as_ref()?;
    let placeholder = if site.has_placeholder() { "; its hash is a placeholder" } else { "" };
    let of = match &site.asked_at {
        Some(place) if (&place.file, place.line) != (&undecided.place.file, undecided.place.line) => {
            format!("{} ({})", site.service, at(place))
        }
        _ => site.service.clone(),
    };
    let message = Message {
        place: Some(undecided.place.clone()),
        hint: Some(undecided.settle.clone()),
        ..Message::plain(format!("{of} is undecided: {}{placeholder}", undecided.reason))
    };
    Some(Item { message, key: format!("{}{placeholder}", undecided.reason) })
}

/// Folders that were not searched, in one line.
fn borders(report: &Report) -> Option<Vec<String>> {
    let what: Vec<String> =
        report.borders.iter().map(|border| format!("{} ({})", border.folder, border.what)).collect();
    (!what.is_empty()).then(|| vec![line("note: not searched: ", &some(&what, SHOWN_OTHERS, ", "))])
}

/// What a comparison with an older commit does not see, in one line.
fn unchanged(report: &Report) -> Option<Vec<String>> {
    let LeftOutReport { unchanged: count @ 1.., since: Some(since), .. } = &report.left_out else {
        return None;
    };
    let what =
        if *count == 1 { "1 derivation that is as it was" } else { "derivations that are as they were" };
    let what = if *count == 1 { what.to_owned() } else { format!("{count} {what}") };
    let commit = since.get(..10).unwrap_or(since);
    let unseen = "a hash that was wrong there already is not seen, nor what moved outside of the repository";
    Some(vec![line("note: not looked at: ", &format!("{what} at {commit}; {unseen}"))])
}

fn untracked(report: &Report) -> Option<Item> {
    let files: BTreeSet<&String> = report.sites.iter().flat_map(|site| &site.untracked).collect();
    let first = files.first()?;
    let message =
        format!("git does not track {}: Nix sees nothing else in a flake", some(&files, SHOWN_OTHERS, ", "));
    let hint = format!("`git add {first}`, with --force where .gitignore names it");
    Some(Item { key: message.clone(), message: Message::plain(message).hinting(Some(hint)) })
}

fn uncovered(lockfiles: &[String]) -> Option<Item> {
    let first = lockfiles.first()?;
    let message = if lockfiles.len() == 1 {
        format!("no npmDepsHash covers the lockfile {first}")
    } else {
        format!(
            "no npmDepsHash covers {} lockfiles: {}",
            lockfiles.len(),
            some(lockfiles, SHOWN_OTHERS, ", ")
        )
    };
    Some(Item { key: message.clone(), message: Message::plain(message) })
}

fn about_use(used: &UseReport, message: &Message) -> Message {
    let text = format!("{}: {}", used.lockfile, message.message);
    Message { place: Some(used.place.clone()), message: text, ..message.clone() }
}

/// A message with its place and its subject. Where a wrapper makes many services, both are those of the one service.
fn about(site: &SiteReport, message: &Message) -> Message {
    let own = site.asked_at.as_ref().unwrap_or(&site.place);
    let place = message.place.clone().or_else(|| Some(own.clone()));
    Message { place, message: format!("{}: {}", subject(site, message), message.message), ..message.clone() }
}

/// The lockfile; the service where the message names the lockfile by itself or is about the service; both where the place
/// alone does not tell the service.
fn subject(site: &SiteReport, message: &Message) -> String {
    let of_service = |lockfile: &&str| {
        message.message.contains(*lockfile)
            || site.assumed.as_ref().is_some_and(|function| message.message.contains(function.as_str()))
    };
    match site.lockfile.as_deref().filter(|lockfile| !of_service(lockfile)) {
        None => site.service.clone(),
        Some(lockfile) if site.asked_at.is_none() => lockfile.to_owned(),
        Some(lockfile) => format!("{} ({lockfile})", site.service),
    }
}

/// Items as the lines of their messages, those with equal keys as one block.
fn blocks(kind: &str, items: Vec<Item>) -> Vec<Vec<String>> {
    let mut groups: IndexMap<String, (Message, IndexSet<String>)> = IndexMap::new();
    for Item { message, key } in items {
        match groups.entry(key) {
            Entry::Vacant(vacant) => drop(vacant.insert((message, IndexSet::new()))),
            Entry::Occupied(mut group) if group.get().0.message != message.message => {
                group.get_mut().1.insert(message.message);
            }
            Entry::Occupied(_) => {}
        }
    }
    let lines = |(first, others): (Message, IndexSet<String>)| {
        let mut lines = block(kind, &first);
        if !others.is_empty() {
            lines.push(line("  the same: ", &some(&others, SHOWN_OTHERS, "; ")));
        }
        lines
    };
    groups.into_values().map(lines).collect()
}

/// The first blocks that have room, and how many more there are (and where: `rest`); the first one always, be it cut.
fn fit(kind: &str, blocks: &[Vec<String>], room: usize, rest: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let last = index + 1 == blocks.len();
        if !lines.is_empty() && lines.len() + block.len() + usize::from(!last) > room {
            lines.push(format!("{kind}: and {} more{rest}", blocks.len() - index));
            break;
        }
        lines.extend(block.iter().take(room.saturating_sub(usize::from(!last)).max(1)).cloned());
    }
    lines
}

fn block(kind: &str, message: &Message) -> Vec<String> {
    let place = message.place.as_ref().map(|place: &PlaceReport| at(place) + ": ").unwrap_or_default();
    let mut lines = vec![line(&format!("{kind}: "), &format!("{place}{}", message.message))];
    lines.extend(message.causes.iter().map(|cause| line("  caused by: ", cause)));
    lines.extend(message.hint.iter().map(|hint| line("  hint: ", hint)));
    lines
}

fn line(start: &str, text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{start}{}...", &text[..end]),
        None => format!("{start}{text}"),
    }
}
