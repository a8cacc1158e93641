//! The report for people: data for standard output, messages for standard error.

use std::fmt::Write as _;

use super::{
    LiteralReport, Message, OutdatedReport, PlaceReport, Report, SiteReport, SiteStatus, SourceReport,
};

/// Distinct errors that are shown in full. A bot pastes standard error into a pull-request comment, and JSON has all.
const SHOWN_ERRORS: usize = 4;

/// Undecided sites that are shown one by one.
const SHOWN_UNDECIDED: usize = 6;

/// What `list` prints: a line for each site; with `explain` also how each answer was found.
#[must_use]
pub fn list(report: &Report, explain: bool) -> String {
    let rows = report.sites.iter().map(list_row).collect();
    if !explain {
        return table(["service", "hash at", "lockfile", "outcome"], rows);
    }
    let mut text = String::new();
    for site in &report.sites {
        let [service, place, lockfile, outcome] = list_row(site);
        let _ = writeln!(text, "{service}  {place}  {lockfile}  {outcome}");
        for (number, step) in (1..).zip(&site.explain) {
            let _ = writeln!(text, "  {number}. {}: {}", at(&step.place), step.text);
        }
        if let Some(undecided) = &site.undecided {
            let _ = writeln!(text, "  stopped at {}: {}", at(&undecided.place), undecided.reason);
            let _ = writeln!(text, "  to settle it: {}", undecided.settle);
        }
        text.push('\n');
    }
    text
}

fn list_row(site: &SiteReport) -> [String; 4] {
    let more = match site.other_attr_paths.len() {
        0 => String::new(),
        n => format!(" (+{n})"),
    };
    let places: Vec<_> = site.literals.iter().map(|literal| at(&literal.place)).collect();
    let places = if places.is_empty() { at(&site.place) } else { places.join(", ") };
    let lockfile = site.lockfile.clone().unwrap_or_else(|| "-".to_owned());
    [format!("{}{more}", site.service), places, lockfile, outcome(site)]
}

fn outcome(site: &SiteReport) -> String {
    let mut options = Vec::new();
    if site.options.fetcher_version != 1 {
        options.push(format!("fetcherVersion {}", site.options.fetcher_version));
    }
    if site.options.force_git_deps {
        options.push("forceGitDeps".to_owned());
    }
    if site.options.force_empty_cache {
        options.push("forceEmptyCache".to_owned());
    }
    let word = match (&site.undecided, site.status) {
        (Some(undecided), SiteStatus::Undecided) => format!("undecided: {}", undecided.reason),
        (_, status) => word(status).to_owned(),
    };
    if options.is_empty() { word } else { format!("{word} ({})", options.join(", ")) }
}

fn word(status: SiteStatus) -> &'static str {
    match status {
        SiteStatus::InSync => "in sync",
        SiteStatus::Stale => "stale",
        SiteStatus::Updated => "updated",
        SiteStatus::Resolved => "resolved",
        SiteStatus::Remote => "remote source",
        SiteStatus::Undecided => "undecided",
        SiteStatus::Failed => "failed",
    }
}

/// What `check` prints: every stale literal with the hash it should say, and the count.
#[must_use]
pub fn check(report: &Report) -> String {
    let mut text = String::new();
    for site in &report.sites {
        for LiteralReport { place, old, new } in &site.literals {
            let Some(new) = new else { continue };
            let _ = writeln!(text, "{}: {} is stale", at(place), site.service);
            let _ = writeln!(text, "  lockfile  {}", site.lockfile.as_deref().unwrap_or("-"));
            let _ = writeln!(text, "  have      {}", if old.is_empty() { "(empty)" } else { old });
            let _ = writeln!(text, "  want      {new}");
        }
        site.sources.iter().for_each(|source| check_source(&mut text, site, source));
        if let Some(OutdatedReport { lockfile, locked, source, .. }) = &site.outdated_lockfile {
            let _ = writeln!(text, "{lockfile}: the lockfile of {} is stale", site.service);
            let _ = writeln!(text, "  have      {locked}");
            let _ = writeln!(text, "  want      {source}");
        }
    }
    let _ = writeln!(text, "{}", summary(report));
    text
}

fn check_source(text: &mut String, site: &SiteReport, source: &SourceReport) {
    let (Some(place), Some(old), Some(new)) = (&source.hash_place, &source.recorded, &source.new) else {
        return;
    };
    let _ = writeln!(text, "{}: the source of {} is stale: {}", at(place), site.service, source.because());
    let _ = writeln!(text, "  source    {}", source.url.as_deref().unwrap_or("-"));
    let _ = writeln!(text, "  have      {}", if old.is_empty() { "(empty)" } else { old });
    let _ = writeln!(text, "  want      {new}");
}

/// What `update` prints: a row for each site, and the count. `seconds` is how long the run took.
#[must_use]
pub fn update(report: &Report, seconds: f64) -> String {
    let rows = report.sites.iter().flat_map(update_rows).collect();
    let mut text = table(["service", "lockfile", "hash", "packages"], rows);
    let files = match report.changed_files.len() {
        0 => String::new(),
        1 => " in 1 file".to_owned(),
        n => format!(" in {n} files"),
    };
    let _ = writeln!(text, "{}{files}, {seconds:.1} s", summary(report));
    text
}

fn update_row(site: &SiteReport) -> [String; 4] {
    let change = site.literals.iter().find_map(|literal| Some((&literal.old, literal.new.as_ref()?)));
    let hash = match (change, site.status) {
        (Some((old, new)), _) => format!("{} -> {}", short(old), short(new)),
        (None, SiteStatus::InSync | SiteStatus::Stale | SiteStatus::Updated) => {
            format!("{} (unchanged)", short(site.hash.as_deref().unwrap_or_default()))
        }
        (None, _) => outcome(site),
    };
    let packages = site.packages.map_or_else(|| "-".to_owned(), |packages| packages.to_string());
    [site.service.clone(), site.lockfile.clone().unwrap_or_else(|| "-".to_owned()), hash, packages]
}

/// The row of a site, and one for each other thing that was made right with it.
fn update_rows(site: &SiteReport) -> Vec<[String; 4]> {
    let mut rows = vec![update_row(site)];
    let row = |what: String, change: String| [format!("  {what}"), String::new(), change, String::new()];
    for source in &site.sources {
        if let (Some(old), Some(new)) = (&source.recorded, &source.new) {
            rows.push(row("source".to_owned(), format!("{} -> {}", short(old), short(new))));
        }
    }
    if let Some(OutdatedReport { locked, source, renewed, .. }) = &site.outdated_lockfile {
        let made = if *renewed { "" } else { " (not made anew)" };
        rows.push(row("lockfile".to_owned(), format!("{locked} -> {source}{made}")));
    }
    rows
}

/// Enough of a hash to recognise it.
fn short(hash: &str) -> String {
    const KEPT: usize = 15;
    match hash.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}...", &hash[..end]),
        None if hash.is_empty() => "(empty)".to_owned(),
        None => hash.to_owned(),
    }
}

fn summary(report: &Report) -> String {
    let summary = &report.summary;
    let counts = [
        (summary.updated, "updated"),
        (summary.stale, "stale"),
        (summary.in_sync, "in sync"),
        (summary.resolved, "resolved"),
        (summary.remote, "remote"),
        (summary.undecided, "undecided"),
        (summary.failed, "failed"),
    ];
    let counts: Vec<_> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if counts.is_empty() { "no npm derivation found".to_owned() } else { counts.join(", ") }
}

/// Left-aligned columns under a heading; an empty table is empty text.
fn table<const N: usize>(heading: [&str; N], rows: Vec<[String; N]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut all = vec![heading.map(str::to_owned)];
    all.extend(rows);
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    all.iter().map(line).collect()
}

fn at(place: &PlaceReport) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

/// What `list` has to say besides its table: what was noticed, and files that could not be read.
#[must_use]
pub fn problems(report: &Report) -> String {
    let mut text: String = report.warnings.iter().map(|warning| render("warning", warning)).collect();
    text.push_str(&errors(report));
    text
}

/// The messages of a run for standard error: undecided sites, warnings, errors, the gravest last.
#[must_use]
pub fn messages(report: &Report) -> String {
    let mut text: String = report.warnings.iter().map(|warning| render("warning", warning)).collect();
    text.push_str(&undecided(report));
    for site in &report.sites {
        for warning in &site.warnings {
            text.push_str(&render("warning", &about(site, warning)));
        }
    }
    text.push_str(&errors(report));
    text
}

fn undecided(report: &Report) -> String {
    let mut text = String::new();
    let sites: Vec<_> =
        report.sites.iter().filter_map(|site| Some((site, site.undecided.as_ref()?))).collect();
    for (site, undecided) in sites.iter().take(SHOWN_UNDECIDED) {
        let message = Message {
            place: Some(undecided.place.clone()),
            hint: Some(undecided.settle.clone()),
            ..Message::plain(format!("{} is undecided: {}", site.service, undecided.reason))
        };
        text.push_str(&render("warning", &message));
    }
    let more = sites.len().saturating_sub(SHOWN_UNDECIDED);
    if more > 0 {
        let _ = writeln!(text, "warning: {more} more sites are undecided; `npm-nixhash list` shows them all");
    }
    text
}

/// All errors, equal ones once: a package that cannot be had may fail several services.
fn errors(report: &Report) -> String {
    let mut distinct: Vec<(Message, usize)> = Vec::new();
    let all =
        report.problems.iter().cloned().chain(
            report.sites.iter().flat_map(|site| site.errors.iter().map(move |error| about(site, error))),
        );
    for message in all {
        match distinct.iter_mut().find(|(known, _)| known.same_error(&message)) {
            Some((_, times)) => *times += 1,
            None => distinct.push((message, 0)),
        }
    }
    let mut text = String::new();
    for (message, others) in distinct.iter().take(SHOWN_ERRORS) {
        text.push_str(&render("error", message));
        if *others > 0 {
            let _ = writeln!(text, "  (and {others} more services for the same reason)");
        }
    }
    let more = distinct.len().saturating_sub(SHOWN_ERRORS);
    if more > 0 {
        let _ = writeln!(text, "error: and {more} more, all of which --json lists");
    }
    text
}

fn about(site: &SiteReport, message: &Message) -> Message {
    let place = message.place.clone().or_else(|| Some(site.place.clone()));
    let subject = site.lockfile.as_deref().unwrap_or(&site.service);
    Message { place, message: format!("{subject}: {}", message.message), ..message.clone() }
}

impl Message {
    /// Whether this tells nothing new: the same causes, or without causes the same words.
    fn same_error(&self, other: &Self) -> bool {
        if self.causes.is_empty() { self.message == other.message } else { self.causes == other.causes }
    }
}

/// One message in the form of all: `error:`, `caused by:`, `hint:`.
#[must_use]
pub fn render(kind: &str, message: &Message) -> String {
    let place = message.place.as_ref().map(|place| format!("{}: ", at(place))).unwrap_or_default();
    let mut text = format!("{kind}: {place}{}\n", message.message);
    for cause in &message.causes {
        let _ = writeln!(text, "  caused by: {cause}");
    }
    if let Some(hint) = &message.hint {
        let _ = writeln!(text, "  hint: {hint}");
    }
    text
}
