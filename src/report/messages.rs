//! The messages of a run for standard error, the gravest last.
//!
//! A bot pastes standard error into a pull-request comment, so it is short whatever went wrong: equal causes are told
//! once, lists are cut, and JSON has the whole.

use std::collections::BTreeSet;

use indexmap::map::Entry;
use indexmap::{IndexMap, IndexSet};
use npm_lockfile::listing::some;

use super::human::{at, plain};
use super::{FindingReport, LeftOutReport, Message, PlaceReport, Report, SiteReport, UseReport};

/// The most lines that a run may fill.
pub const MOST_LINES: usize = 20;

/// Lines that errors leave to warnings.
const WARNING_LINES: usize = 3;

/// What a group names besides its first message.
const SHOWN_OTHERS: usize = 3;

/// A longer line is cut.
const LONGEST_LINE: usize = 500;

/// What kind of message is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageKind {
    /// Something failed, or will.
    Error,
    /// Something that should be known nevertheless.
    Warning,
    /// Something that is as it should be, and worth a word.
    Note,
}

/// What a line of a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinePart {
    /// The message itself.
    Message,
    /// What led to it.
    Cause,
    /// What to do about it.
    Hint,
    /// For what else the same holds.
    Others,
}

/// A message as it is shown, in lines that are short enough, until it is printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShownMessage {
    /// Its kind.
    pub kind: MessageKind,
    /// Its lines; the first is the message itself.
    pub lines: Vec<(LinePart, String)>,
}

impl ShownMessage {
    fn line(kind: MessageKind, text: String) -> Self {
        Self { kind, lines: vec![(LinePart::Message, text)] }
    }
}

impl LinePart {
    /// What such a line begins with: how far it is moved in, and a word.
    #[must_use]
    pub fn start(self, kind: MessageKind) -> (&'static str, &'static str) {
        match (self, kind) {
            (Self::Message, MessageKind::Error) => ("", "error:"),
            (Self::Message, MessageKind::Warning) => ("", "warning:"),
            (Self::Message, MessageKind::Note) => ("", "note:"),
            (Self::Cause, _) => ("  ", "caused by:"),
            (Self::Hint, _) => ("  ", "hint:"),
            (Self::Others, _) => ("  ", "the same:"),
        }
    }
}

/// Everything that is to be said, in at most `room` lines (or a few, if there is less room than that).
#[must_use]
pub fn messages(report: &Report, room: usize) -> Vec<ShownMessage> {
    let mut warnings = blocks(MessageKind::Warning, warnings(report));
    let elsewhere = report.elsewhere.iter().map(|message| one(MessageKind::Note, message));
    warnings.splice(0..0, elsewhere.chain(borders(report)).chain(unchanged(report)));
    let errors = blocks(MessageKind::Error, errors(report));
    let kept = length(&warnings).min(WARNING_LINES);
    let mut errors =
        fit(MessageKind::Error, errors, room.saturating_sub(kept), ", all of which --json lists");
    let room = room.saturating_sub(length(&errors));
    let mut said = fit(MessageKind::Warning, warnings, room, ", all of which --json lists");
    said.append(&mut errors);
    said
}

/// Messages of one kind in at most `room` lines, equal causes told once.
#[must_use]
pub fn all(kind: MessageKind, messages: impl IntoIterator<Item = Message>, room: usize) -> Vec<ShownMessage> {
    fit(kind, blocks(kind, messages.into_iter().map(Item::of).collect()), room, "")
}

fn length(said: &[ShownMessage]) -> usize {
    said.iter().map(|one| one.lines.len()).sum()
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
fn borders(report: &Report) -> Option<ShownMessage> {
    let what: Vec<String> =
        report.borders.iter().map(|border| format!("{} ({})", border.folder, border.what)).collect();
    let text = || format!("not searched: {}", short(&some(&what, SHOWN_OTHERS, ", ")));
    (!what.is_empty()).then(|| ShownMessage::line(MessageKind::Note, text()))
}

/// What a comparison with an older commit does not see, in one line.
fn unchanged(report: &Report) -> Option<ShownMessage> {
    let LeftOutReport { unchanged: count @ 1.., since: Some(since), .. } = &report.left_out else {
        return None;
    };
    let what =
        if *count == 1 { "1 derivation that is as it was" } else { "derivations that are as they were" };
    let what = if *count == 1 { what.to_owned() } else { format!("{count} {what}") };
    let commit = since.get(..10).unwrap_or(since);
    let unseen = "a hash that was wrong there already is not seen, nor what moved outside of the repository";
    let text = short(&format!("{what} at {commit}; {unseen}"));
    Some(ShownMessage::line(MessageKind::Note, format!("not looked at: {text}")))
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

/// Items as their messages, those with equal keys as one.
fn blocks(kind: MessageKind, items: Vec<Item>) -> Vec<ShownMessage> {
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
    let said = |(first, others): (Message, IndexSet<String>)| {
        let mut said = one(kind, &first);
        if !others.is_empty() {
            said.lines.push((LinePart::Others, short(&some(&others, SHOWN_OTHERS, "; "))));
        }
        said
    };
    groups.into_values().map(said).collect()
}

/// The first messages that have room, and how many more there are (and where: `rest`); the first one always, be it cut.
fn fit(kind: MessageKind, all: Vec<ShownMessage>, room: usize, rest: &str) -> Vec<ShownMessage> {
    let (mut fitting, mut used, count) = (Vec::new(), 0, all.len());
    for (index, mut said) in all.into_iter().enumerate() {
        let last = index + 1 == count;
        if used > 0 && used + said.lines.len() + usize::from(!last) > room {
            fitting.push(ShownMessage::line(kind, format!("and {} more{rest}", count - index)));
            break;
        }
        said.lines.truncate(room.saturating_sub(usize::from(!last)).max(1));
        used += said.lines.len();
        fitting.push(said);
    }
    fitting
}

/// One message in the form of all: itself, its causes, what to do.
#[must_use]
pub fn one(kind: MessageKind, message: &Message) -> ShownMessage {
    let place = message.place.as_ref().map(|place: &PlaceReport| at(place) + ": ").unwrap_or_default();
    let mut said = ShownMessage::line(kind, short(&format!("{place}{}", message.message)));
    said.lines.extend(message.causes.iter().map(|cause| (LinePart::Cause, short(cause))));
    said.lines.extend(message.hint.iter().map(|hint| (LinePart::Hint, short(hint))));
    said
}

/// A text for one line, in which nothing moves what a terminal shows.
fn short(text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
