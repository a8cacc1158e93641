//! The report for people: the data that goes to standard output.

use std::fmt::Write as _;

use super::{
    LiteralReport, OutdatedReport, PlaceReport, RepairedReport, Report, SiteKind, SiteReport, SiteStatus,
    SourceReport,
};

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
        let _ = writeln!(text, "{}", plain(&format!("{service}  {place}  {lockfile}  {outcome}")));
        for condition in &site.only_when {
            let _ =
                writeln!(text, "  only when {} ({})", plain(&condition.text), plain(&at(&condition.place)));
        }
        for (number, step) in (1..).zip(&site.explain) {
            let _ = writeln!(text, "  {number}. {}", plain(&format!("{}: {}", at(&step.place), step.text)));
        }
        if let Some(undecided) = &site.undecided {
            let stopped = format!("{}: {}", at(&undecided.place), undecided.reason);
            let _ = writeln!(text, "  stopped at {}", plain(&stopped));
            let _ = writeln!(text, "  to settle it: {}", plain(&undecided.settle));
        }
        text.push('\n');
    }
    text
}

fn list_row(site: &SiteReport) -> [String; 4] {
    let places: Vec<_> = site.literals.iter().map(|literal| at(&literal.place)).collect();
    let places = if places.is_empty() { at(&site.place) } else { places.join(", ") };
    let lockfile = site.lockfile.clone().unwrap_or_else(|| "-".to_owned());
    [services(site), places, lockfile, outcome(site)]
}

/// All that share the hash; the same attribute for further systems is counted.
fn services(site: &SiteReport) -> String {
    let system = |part: &&str| part.contains("-linux") || part.contains("-darwin");
    let plain = |path: &str| path.split('.').filter(|part| !system(part)).collect::<Vec<_>>().join(".");
    let (mut names, mut seen, mut systems) = (vec![site.service.as_str()], vec![plain(&site.service)], 0);
    for path in &site.other_attr_paths {
        if seen.contains(&plain(path)) {
            systems += 1;
        } else {
            seen.push(plain(path));
            names.push(path);
        }
    }
    let more = if systems == 0 { String::new() } else { format!(" (+{systems})") };
    names.join(", ") + &more
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
    if site.has_placeholder() {
        options.push("placeholder".to_owned());
    }
    if let Some(function) = &site.assumed {
        options.push(format!("assumed: {function}"));
    }
    let word = match (&site.undecided, site.status) {
        (Some(undecided), SiteStatus::Undecided) => format!("undecided: {}", undecided.reason),
        (_, SiteStatus::Failed | SiteStatus::Incomplete) if !site.errors.is_empty() => {
            format!("{}: {}", word(site.status), site.errors[0].message)
        }
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
        SiteStatus::Incomplete => "incomplete",
        SiteStatus::Failed => "failed",
    }
}

/// What `check` prints: everything stale with what it should say, and the count.
#[must_use]
pub fn check(report: &Report) -> String {
    let mut lines = Vec::new();
    for site in &report.sites {
        check_lockfile(&mut lines, site);
        site.literals.iter().for_each(|literal| check_literal(&mut lines, site, literal));
        if site.kind == SiteKind::NpmDeps {
            site.sources.iter().for_each(|source| check_source(&mut lines, site, source));
        }
        if let Some(OutdatedReport { lockfile, locked, source, .. }) = &site.outdated_lockfile {
            lines.push(format!("{lockfile}: the lockfile of {} is stale", site.service));
            lines.extend(have_and_want(locked, source));
        }
    }
    for used in report.uses.iter().filter(|used| !used.errors.is_empty()) {
        lines.push(format!("{}: a lockfile for importNpmLock is incomplete", at(&used.place)));
        lines.push(format!("  lockfile  {}", used.lockfile));
        lines.extend(used.errors.iter().map(|error| format!("  lacks     {}", error.message)));
    }
    lines.extend(report.findings.iter().map(|one| format!("{}: {}", at(&one.place), one.message)));
    lines.push(summary(report) + &unproven(report));
    lines.iter().map(|line| plain(line) + "\n").collect()
}

/// What an incomplete lockfile lacks, at its hash.
fn check_lockfile(lines: &mut Vec<String>, site: &SiteReport) {
    if site.status != SiteStatus::Incomplete {
        return;
    }
    let place = site.literals.first().map_or(&site.place, |literal| &literal.place);
    lines.push(format!("{}: the lockfile of {} is incomplete", at(place), site.service));
    lines.push(format!("  lockfile  {}", site.lockfile.as_deref().unwrap_or("-")));
    lines.extend(site.errors.iter().map(|error| format!("  lacks     {}", error.message)));
}

fn check_literal(lines: &mut Vec<String>, site: &SiteReport, literal: &LiteralReport) {
    let LiteralReport { place, old, new: Some(new), placeholder, .. } = literal else { return };
    let what = if *placeholder { "has a placeholder for its hash" } else { "is stale" };
    lines.push(format!("{}: {} {what}", at(place), site.service));
    let what = if site.kind == SiteKind::Tarball { "tarball " } else { "lockfile" };
    let stated = site.sources.iter().any(|source| source.stated);
    let how = if stated { ", as the registry states its hash" } else { "" };
    lines.push(format!("  {what}  {}{how}", site.lockfile.as_deref().unwrap_or("-")));
    lines.extend(have_and_want(old, new));
    lines.extend(site.because.iter().map(|because| format!("  because   {}", because.text)));
}

fn check_source(lines: &mut Vec<String>, site: &SiteReport, source: &SourceReport) {
    let (Some(place), Some(old), Some(new)) = (&source.hash_place, &source.recorded, &source.new) else {
        return;
    };
    lines.push(format!("{}: the source of {} is stale: {}", at(place), site.service, source.because()));
    lines.push(format!("  source    {}", source.url.as_deref().unwrap_or("-")));
    lines.extend(have_and_want(old, new));
}

fn have_and_want(old: &str, new: &str) -> [String; 2] {
    let old = if old.is_empty() { "(empty)" } else { old };
    [format!("  have      {old}"), format!("  want      {new}")]
}

/// What `update` prints: a row for each site that changes, with `all` also for the others, and the count. `seconds` is how
/// long the run took.
#[must_use]
pub fn update(report: &Report, seconds: f64, all: bool) -> String {
    let changes = |site: &&SiteReport| all || matches!(site.status, SiteStatus::Stale | SiteStatus::Updated);
    let rows = report.sites.iter().filter(changes).flat_map(update_rows).collect();
    let mut text = table(["service", "lockfile", "hash", "packages"], rows);
    for site in report.sites.iter().filter(changes) {
        if let Some(because) = &site.because {
            let _ = writeln!(text, "{}", plain(&format!("{}: because {}", site.service, because.text)));
        }
    }
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
    let beside = site.sources.iter().filter(|_| site.kind == SiteKind::NpmDeps);
    for source in beside {
        if let (Some(old), Some(new)) = (&source.recorded, &source.new) {
            rows.push(row("source".to_owned(), format!("{} -> {}", short(old), short(new))));
        }
    }
    if let Some(RepairedReport { packages, .. }) = &site.repaired_lockfile {
        let noun = if *packages == 1 { "entry" } else { "entries" };
        rows.push(row("lockfile".to_owned(), format!("{packages} {noun} completed")));
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

/// How many sites have which status.
pub(super) fn summary(report: &Report) -> String {
    let summary = &report.summary;
    // They are warnings of `update`.
    let findings = if report.command == "check" { report.findings.len() } else { 0 };
    let counts = [
        (summary.updated, "updated"),
        (summary.stale, "stale"),
        (summary.in_sync, "in sync"),
        (summary.resolved, "resolved"),
        (summary.remote, "remote"),
        (summary.undecided, "undecided"),
        (summary.incomplete, "incomplete"),
        (summary.failed, "failed"),
        (findings, if findings == 1 { "finding" } else { "findings" }),
    ];
    let counts = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
    let mut counts: Vec<String> = counts.collect();
    let left_out = [
        (report.left_out.unchanged, "not changed"),
        (report.left_out.excluded, "excluded"),
        (report.left_out.not_chosen, "not chosen"),
    ];
    if counts.is_empty() {
        counts.push(
            if left_out.iter().all(|(n, _)| *n == 0) { "no npm derivation found" } else { "nothing to do" }
                .to_owned(),
        );
    }
    if summary.assumed > 0 {
        counts.push(format!("{} of them assumed", summary.assumed));
    }
    counts.extend(left_out.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")));
    counts.join(", ")
}

/// What a green check says nothing about, besides sites: lockfiles without a derivation whose hash it could be. Those of
/// `importNpmLock` have none by design.
fn unproven(report: &Report) -> String {
    let (all, imported) = (report.summary.without_derivation, report.summary.import_npm_lock);
    let noun = if all == 1 { "lockfile" } else { "lockfiles" };
    match (all, imported) {
        (0, _) => String::new(),
        (_, 0) => format!(", {all} {noun} without a derivation"),
        _ => format!(", {all} {noun} without a derivation (of them {imported} importNpmLock)"),
    }
}

/// Characters of a column of a table.
const WIDEST: usize = 120;

/// Left-aligned columns under a heading; an empty table is empty text.
fn table<const N: usize>(heading: [&str; N], rows: Vec<[String; N]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut all = vec![heading.map(str::to_owned)];
    all.extend(rows.into_iter().map(|row| row.map(|cell| plain(&cell))));
    // A longer cell sticks out: a column as wide as the longest path of a hostile repository would fill the memory.
    let width = |column: usize| {
        all.iter().map(|row| row[column].chars().count()).filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    };
    all.iter().map(line).collect()
}

/// A place as compilers write it.
pub(super) fn at(place: &PlaceReport) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

/// A text without line breaks, terminal sequences and marks that turn the direction of writing: names of files and
/// attributes come from whoever wrote the repository.
pub(super) fn plain(text: &str) -> String {
    shown(text, "")
}

/// The same with these characters left as they are.
pub(super) fn shown(text: &str, kept: &str) -> String {
    let odd = |c: char| is_invisible(c) && !kept.contains(c);
    if !text.contains(odd) {
        return text.to_owned();
    }
    text.chars().map(|c| if odd(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Whether a character moves what a terminal or a page shows instead of being shown.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}
