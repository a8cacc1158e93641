//! The report for people: the data that goes to standard output.

use std::collections::HashMap;

use anstyle::Style;

use super::layout::{self, BAD, Cell, DIM, DOUBTFUL, GOOD, LayoutOptions, NAME, Note, TableLine};
use super::published::{PublishedReport, published_lines, published_notes};
use super::{
    LiteralReport, OutdatedReport, PlaceReport, RepairedReport, Report, SiteKind, SiteReport, SiteStatus,
    UseReport,
};

/// What `list` prints: a line for each site, and of undecided ones why; with `explain` also how each answer was found.
#[must_use]
pub fn list(report: &Report, explain: bool, look: LayoutOptions) -> String {
    let rows = report.sites.iter().zip(names(&report.sites));
    let entry = |(site, name): (&SiteReport, String)| {
        let lockfile = site.lockfile.as_deref().unwrap_or("-");
        let options = options(site);
        let options = if options.is_empty() { String::new() } else { format!("({options})") };
        let mut cells = row(site, &(name + &more_systems(site)));
        cells.extend([
            Cell::new(Style::new(), &places(site)),
            Cell::new(Style::new(), lockfile),
            Cell::new(DIM, &options),
        ]);
        let mut notes = list_notes(site, look);
        if explain {
            notes.extend(proof(site));
        }
        TableLine { cells, notes }
    };
    layout::table(&rows.map(entry).collect::<Vec<_>>(), look.width)
}

fn list_notes(site: &SiteReport, look: LayoutOptions) -> Vec<Note> {
    let mut notes: Vec<Note> = whole_path(site).filter(|_| look.details).into_iter().collect();
    notes.extend(other_paths(site).into_iter().map(|path| Note::new("also", path)));
    notes.extend(why(site).map(|why| Note::new("because", why)));
    notes
}

/// The chain of places that led to an answer.
fn proof(site: &SiteReport) -> impl Iterator<Item = Note> {
    let conditions =
        site.only_when.iter().map(|one| Note::new("only if", format!("{} ({})", one.text, at(&one.place))));
    let steps = (1..).zip(&site.explain);
    let steps = steps.map(|(number, step)| {
        let label = if number == 1 { "steps" } else { "" };
        Note::new(label, format!("{number}. {}: {}", at(&step.place), step.text))
    });
    let undecided = site.undecided.iter().flat_map(|undecided| {
        let stopped = format!("{}: {}", at(&undecided.place), undecided.reason);
        [Note::new("stops at", stopped), Note::new("settle", undecided.settle.clone())]
    });
    conditions.chain(steps).chain(undecided)
}

/// Where the hash of a site stands.
fn places(site: &SiteReport) -> String {
    let places: Vec<_> = site.literals.iter().map(|literal| at(&literal.place)).collect();
    if places.is_empty() { at(&site.place) } else { places.join(", ") }
}

/// Parts of attribute paths that an end is looked for among: more are not a name that anybody would write.
const MOST_PARTS: usize = 8;

/// The ends of an attribute path that `NAME` takes for it, the shortest first, and all of it.
fn ends(path: &str) -> impl Iterator<Item = &str> {
    let starts = path.rmatch_indices('.').take(MOST_PARTS).map(|(at, _)| at + 1);
    // A dot inside of quotes parts nothing.
    let is_whole = |end: &&str| end.matches('"').count().is_multiple_of(2);
    starts.map(|at| &path[at..]).filter(is_whole).chain([path])
}

/// What people call each site: the shortest end of its attribute path that is the end of no other.
fn names(sites: &[SiteReport]) -> Vec<String> {
    let path = |site: &SiteReport| site.attr_path.as_deref() == Some(site.service.as_str());
    let all_ends =
        |site| -> Vec<&str> { if path(site) { ends(&site.service).collect() } else { vec![&*site.service] } };
    let mut number: HashMap<&str, usize> = HashMap::new();
    for end in sites.iter().flat_map(all_ends) {
        *number.entry(end).or_default() += 1;
    }
    let shortest = |site| {
        let ends: Vec<&str> = all_ends(site);
        ends.into_iter().find(|end| number[end] == 1).unwrap_or(&site.service).to_owned()
    };
    sites.iter().map(shortest).collect()
}

/// The attribute paths of a site besides the first; the same attribute for further systems is counted by [`more_systems`].
fn other_paths(site: &SiteReport) -> Vec<&str> {
    let (mut seen, mut others) = (vec![without_system(&site.service)], Vec::new());
    for path in &site.other_attr_paths {
        if !seen.contains(&without_system(path)) {
            seen.push(without_system(path));
            others.push(path.as_str());
        }
    }
    others
}

fn more_systems(site: &SiteReport) -> String {
    match site.other_attr_paths.len() - other_paths(site).len() {
        0 => String::new(),
        systems => format!(" (+{systems})"),
    }
}

fn without_system(path: &str) -> String {
    let is_system = |part: &&str| part.contains("-linux") || part.contains("-darwin");
    path.split('.').filter(|part| !is_system(part)).collect::<Vec<_>>().join(".")
}

/// The attribute path, where the line has only the end of it.
fn whole_path(site: &SiteReport) -> Option<Note> {
    site.attr_path.as_ref().map(|path| Note::new("path", path))
}

fn options(site: &SiteReport) -> String {
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
    options.join(", ")
}

/// Why nothing is known of a site.
fn why(site: &SiteReport) -> Option<&str> {
    match (&site.undecided, site.status) {
        (Some(undecided), SiteStatus::Undecided) => Some(&undecided.reason),
        (_, SiteStatus::Failed | SiteStatus::Incomplete) => {
            site.errors.first().map(|error| error.message.as_str())
        }
        _ => None,
    }
}

/// The columns that every line about a site begins with.
fn row(site: &SiteReport, name: &str) -> Vec<Cell> {
    let (style, word) = state(site.status);
    vec![Cell::new(style, word), Cell::new(NAME, name)]
}

fn state(status: SiteStatus) -> (Style, &'static str) {
    match status {
        SiteStatus::InSync => (GOOD, "in sync"),
        SiteStatus::Stale => (BAD, "stale"),
        SiteStatus::Updated => (GOOD, "updated"),
        SiteStatus::Resolved => (Style::new(), "resolved"),
        SiteStatus::Remote => (Style::new(), "remote"),
        SiteStatus::Undecided => (DOUBTFUL, "undecided"),
        SiteStatus::Incomplete => (BAD, "incomplete"),
        SiteStatus::Failed => (BAD.bold(), "failed"),
    }
}

/// How much of a hash is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// All of it.
    Whole,
    /// Its algorithm, and enough to recognise it.
    Start,
    /// No more than that.
    Few,
}

impl Shown {
    fn of(self, hash: &str) -> String {
        let cut = |text: &str, kept: usize, mark: &str| match text.char_indices().nth(kept) {
            Some((end, _)) => format!("{}{mark}", &text[..end]),
            None => text.to_owned(),
        };
        match self {
            _ if hash.is_empty() => "(empty)".to_owned(),
            Self::Whole => hash.to_owned(),
            Self::Start => cut(hash, 15, "..."),
            Self::Few => cut(hash.trim_start_matches("sha256").trim_start_matches(['-', ':']), 8, ""),
        }
    }
}

/// Lines that show as much of hashes as has room beside the names.
fn lines(look: LayoutOptions, entries: impl Fn(Shown) -> Vec<TableLine>) -> String {
    // State, name, change and place; the place is the first to go below.
    const COLUMNS: [usize; 2] = [4, 3];
    let all = [Shown::Whole, Shown::Start, Shown::Few].map(entries);
    let fitting = |columns| all.iter().skip(4 - columns).find(|all| layout::fits(all, columns, look.width));
    let [_, _, few] = &all;
    layout::table(COLUMNS.into_iter().find_map(fitting).unwrap_or(few), look.width)
}

/// What `check` prints: a line for everything that is not as it should be, why, and the count; with details also what is
/// right, and all that is known.
#[must_use]
pub fn check(report: &Report, look: LayoutOptions) -> String {
    let wanted = |site: &SiteReport| look.details || is_wrong(site);
    let mut text = lines(look, |shown| {
        let sites = report.sites.iter().zip(names(&report.sites)).filter(|(site, _)| wanted(site));
        let sites = sites.map(|(site, name)| check_entry(site, &name, shown, look));
        sites.chain(report.uses.iter().filter_map(incomplete_use)).collect()
    });
    for one in &report.findings {
        text += &layout::wrapped(&plain(&format!("{}: {}", at(&one.place), one.message)), look.width);
    }
    text + &layout::wrapped(&(summary(report) + &unproven(report)), look.width)
        + &published_lines(report, look.width)
}

fn is_wrong(site: &SiteReport) -> bool {
    matches!(
        site.status,
        SiteStatus::Stale | SiteStatus::Updated | SiteStatus::Incomplete | SiteStatus::Failed
    ) || site.published.iter().any(PublishedReport::lacks)
}

/// One line about a service, as `check` and `update` have it.
fn check_entry(site: &SiteReport, name: &str, shown: Shown, look: LayoutOptions) -> TableLine {
    let mut cells = row(site, name);
    cells.push(change(site, shown).unwrap_or_default());
    cells.push(Cell::new(DIM, &changed_places(site)));
    let mut notes = source_notes(site, shown);
    if site.status == SiteStatus::Incomplete {
        notes.push(Note::new("lockfile", site.lockfile.as_deref().unwrap_or("-")));
        notes.extend(site.errors.iter().map(|error| Note::new("lacks", &error.message)));
    }
    notes.extend(site.because.iter().map(|because| Note::new("because", &because.text)));
    notes.extend(published_notes(site));
    if look.details {
        notes.extend(details(site));
    }
    TableLine { cells, notes }
}

/// `old -> new` of the first literal that changes; of a site that is right its hash.
fn change(site: &SiteReport, shown: Shown) -> Option<Cell> {
    let changes = site.literals.iter().find_map(|literal| Some((literal, literal.new.as_ref()?)));
    if let Some((LiteralReport { old, placeholder, .. }, new)) = changes {
        let old = if *placeholder { "placeholder".to_owned() } else { shown.of(old) };
        return Some(arrow(&old, &shown.of(new)));
    }
    let hash = site.hash.as_deref().filter(|_| site.status == SiteStatus::InSync)?;
    Some(Cell::new(Style::new(), &shown.of(hash)))
}

fn arrow(old: &str, new: &str) -> Cell {
    Cell::new(BAD, old).and(Style::new(), " -> ").and(GOOD, new)
}

/// Where the literals stand that change; if none does, where the site's hash stands.
fn changed_places(site: &SiteReport) -> String {
    let changed = site.literals.iter().filter(|literal| literal.new.is_some());
    let changed: Vec<_> = changed.map(|literal| at(&literal.place)).collect();
    if changed.is_empty() { places(site) } else { changed.join(", ") }
}

/// What else of a site is not as it should be: its sources, its lockfile.
fn source_notes(site: &SiteReport, shown: Shown) -> Vec<Note> {
    let mut notes = Vec::new();
    let change = |old: &str, new: &str| format!("{} -> {}", shown.of(old), shown.of(new));
    // The source of a tarball is the site itself.
    for source in site.sources.iter().filter(|_| site.kind == SiteKind::NpmDeps) {
        let (Some(place), Some(old), Some(new)) = (&source.hash_place, &source.recorded, &source.new) else {
            continue;
        };
        let text = format!("{} ({}): {}", change(old, new), at(place), source.because());
        notes.push(Note::new("source", text));
        notes.extend(source.url.iter().map(|url| Note::new("", url)));
    }
    if let Some(RepairedReport { packages, .. }) = &site.repaired_lockfile {
        let noun = if *packages == 1 { "entry" } else { "entries" };
        notes.push(Note::new("lockfile", format!("{packages} {noun} completed")));
    }
    if let Some(OutdatedReport { lockfile, locked, source, renewed }) = &site.outdated_lockfile {
        let made = match site.status {
            SiteStatus::Updated if *renewed => "",
            SiteStatus::Updated => " (not made again)",
            _ => " is wanted",
        };
        notes.push(Note::new("lockfile", format!("{lockfile}: {locked} -> {source}{made}")));
    }
    notes
}

/// All that is known of a site.
fn details(site: &SiteReport) -> Vec<Note> {
    let mut notes: Vec<Note> = whole_path(site).into_iter().collect();
    notes.extend(other_paths(site).into_iter().map(|path| Note::new("also", path)));
    if let Some(lockfile) = &site.lockfile {
        let stated = site.sources.iter().any(|source| source.stated);
        let how = if stated { ", as the registry states its hash" } else { "" };
        let label = if site.kind == SiteKind::Tarball { "tarball" } else { "lockfile" };
        notes.push(Note::new(label, format!("{lockfile}{how}")));
    }
    let options = options(site);
    if !options.is_empty() {
        notes.push(Note::new("options", options));
    }
    for LiteralReport { place, old, new, .. } in &site.literals {
        // Where it stands is told in the line above, if there is no other.
        let place = if site.literals.len() == 1 { String::new() } else { format!(" ({})", at(place)) };
        let old = Shown::Whole.of(old) + &place;
        notes.push(Note::new(if new.is_some() { "have" } else { "hash" }, old));
        notes.extend(new.iter().map(|new| Note::new("want", new)));
    }
    notes.extend(site.packages.map(|packages| Note::new("packages", packages.to_string())));
    notes.extend(why(site).map(|why| Note::new("because", why)));
    notes
}

/// A lockfile that is used without a hash, and cannot be.
fn incomplete_use(used: &UseReport) -> Option<TableLine> {
    if used.errors.is_empty() {
        return None;
    }
    let (style, word) = state(SiteStatus::Incomplete);
    let cells = vec![
        Cell::new(style, word),
        Cell::new(NAME, &used.lockfile),
        Cell::default(),
        Cell::new(DIM, &at(&used.place)),
    ];
    let mut notes = vec![Note::new("used by", "importNpmLock")];
    notes.extend(used.errors.iter().map(|error| Note::new("lacks", &error.message)));
    Some(TableLine { cells, notes })
}

/// What `check --watch` prints: a line for each of these sites, and for each service that is there no more.
pub(super) fn changed(report: &Report, sites: &[usize], gone: &[&str], look: LayoutOptions) -> String {
    let names = names(&report.sites);
    lines(look, |shown| {
        let one = |index: &usize| {
            let entry = check_entry(&report.sites[*index], &names[*index], shown, look);
            if look.details { entry } else { TableLine { notes: Vec::new(), ..entry } }
        };
        let gone = gone.iter().map(|name| TableLine {
            cells: vec![Cell::new(DIM, "gone"), Cell::new(NAME, name)],
            notes: Vec::new(),
        });
        sites.iter().map(one).chain(gone).collect()
    })
}

/// What `update` prints: a line for each site that changes or could not be made right, why, and the count; with details
/// also the others. `seconds` is how long the run took.
#[must_use]
pub fn update(report: &Report, seconds: f64, look: LayoutOptions) -> String {
    let wanted = |site: &SiteReport| look.details || is_wrong(site);
    let text = lines(look, |shown| {
        let sites = report.sites.iter().zip(names(&report.sites)).filter(|(site, _)| wanted(site));
        sites.map(|(site, name)| check_entry(site, &name, shown, look)).collect()
    });
    let files = match report.changed_files.len() {
        0 => String::new(),
        1 => " in 1 file".to_owned(),
        n => format!(" in {n} files"),
    };
    text + &layout::wrapped(&format!("{}{files}, {seconds:.1} s", summary(report)), look.width)
        + &published_lines(report, look.width)
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

/// A place as compilers write it.
pub(super) fn at(place: &PlaceReport) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

/// A text without line breaks, terminal sequences and marks that turn the direction of writing: names of files and
/// attributes come from the authors of the repository.
#[must_use]
pub fn plain(text: &str) -> String {
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
