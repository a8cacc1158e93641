//! What has to be done, one finding for each place: the common ground of the CI services' formats.

use npm_tarballs::integrity::hex;
use sha2::{Digest as _, Sha256};

use super::human::at;
use super::{
    EndReport, LiteralReport, Message, OutdatedReport, PlaceReport, Report, Rule, SiteKind, SiteReport,
    SiteStatus, SourceReport, UseReport,
};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warning,
}

/// Something at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlacedFinding {
    pub(super) level: Level,
    pub(super) rule: Rule,
    /// Its file as seen from the top of the repository.
    pub(super) place: Option<PlaceReport>,
    /// Where the token at the place ends, and what to write instead of it.
    pub(super) token: Option<MarkedToken>,
    /// Another place that it is about, likewise.
    pub(super) related: Option<PlaceReport>,
    pub(super) title: String,
    pub(super) message: String,
    /// Why it is so, where that is known. It is not part of what makes two findings the same.
    pub(super) because: Option<String>,
}

/// A token of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MarkedToken {
    pub(super) end: EndReport,
    /// What should stand there.
    pub(super) replacement: Option<String>,
}

impl PlacedFinding {
    /// The whole message.
    pub(super) fn text(&self) -> String {
        let because = self.because.as_ref().map(|text| format!("; because {text}")).unwrap_or_default();
        format!("{}{because}", self.message)
    }

    /// What tells it from others, and stays while it does. Not the line: a finding that moves is the same one.
    pub(super) fn fingerprint(&self) -> String {
        let file = self.place.as_ref().map(|place| place.file.as_str()).unwrap_or_default();
        let text = format!("{}\0{file}\0{}\0{}", self.rule.word(), self.title, self.message);
        hex(&Sha256::digest(text))
    }
}

/// Everything that a report finds, errors first, each kind in the order of the report.
pub(super) fn findings(report: &Report) -> Vec<PlacedFinding> {
    let mut findings: Vec<PlacedFinding> = report.problems.iter().map(unreadable).collect();
    findings.extend(report.sites.iter().flat_map(of_site));
    findings.extend(report.uses.iter().flat_map(of_use));
    // `update` cannot mend these, so it does not fail over them.
    let level = if report.command == "update" { Level::Warning } else { Level::Error };
    findings.extend(report.findings.iter().map(|one| of_message(level, one.code, &one.message(), None)));
    findings.extend(
        report.warnings.iter().map(|warning| of_message(Level::Warning, Rule::Notice, warning, None)),
    );
    findings.extend(report.uncovered.iter().map(|lockfile| uncovered(lockfile)));
    findings.sort_by_key(|finding| finding.level == Level::Warning);
    for finding in &mut findings {
        for place in finding.place.iter_mut().chain(&mut finding.related) {
            place.file = report.seen_from_top(&place.file);
        }
    }
    findings
}

fn of_site(site: &SiteReport) -> Vec<PlacedFinding> {
    let mut findings = Vec::new();
    if site.status == SiteStatus::Stale {
        findings.extend(site.literals.iter().filter_map(|literal| stale(site, literal)));
        // The source of a pinned tarball is the site itself.
        let sources = site.sources.iter().filter(|_| site.kind == SiteKind::NpmDeps);
        findings.extend(sources.filter_map(|source| stale_source(site, source)));
        findings.extend(site.outdated_lockfile.iter().map(|outdated| outdated_lockfile(site, outdated)));
    }
    let rule = if site.status == SiteStatus::Incomplete { Rule::Incomplete } else { Rule::NoHash };
    findings.extend(site.errors.iter().map(|error| of_message(Level::Error, rule, error, Some(site))));
    let warnings = site.warnings.iter();
    findings.extend(warnings.map(|warning| of_message(Level::Warning, Rule::Notice, warning, Some(site))));
    findings.extend(site.untracked.iter().map(|file| untracked(site, file)));
    findings.extend(undecided(site));
    findings
}

/// What is in the way of a site can stand in a wrapper that makes many services, or in a library: then the finding is at
/// what belongs to the one service, and says where the other place is.
fn undecided(site: &SiteReport) -> Option<PlacedFinding> {
    let undecided = site.undecided.as_ref()?;
    let own = own_place(site);
    let is_shared = site.asked_at.is_some() || undecided.place.file != own.file;
    let beside = (undecided.place.file == own.file && undecided.place.line == own.line) || !is_shared;
    let place = if beside { undecided.place.clone() } else { own };
    let related = (!beside).then(|| undecided.place.clone());
    let at = related.as_ref().map(|place| format!(" ({})", at(place))).unwrap_or_default();
    Some(PlacedFinding {
        level: Level::Warning,
        rule: Rule::Undecided,
        place: Some(place),
        token: None,
        related,
        title: format!("the {} of {} cannot be checked", site.kind.hash(), site.service),
        message: format!("{}{at}; to settle it: {}", undecided.reason, undecided.settle),
        because: None,
    })
}

/// Where a site is its own: at its hash, else where the repository asks for it.
fn own_place(site: &SiteReport) -> PlaceReport {
    let literal = site.literals.first().map(|literal| &literal.place);
    literal.or(site.asked_at.as_ref()).unwrap_or(&site.place).clone()
}

fn of_use(used: &UseReport) -> impl Iterator<Item = PlacedFinding> {
    used.errors.iter().map(|error| {
        let message = Message { message: format!("{}: {}", used.lockfile, error.message), ..error.clone() };
        let message = Message { place: Some(used.place.clone()), ..message };
        let title = "a lockfile for importNpmLock is incomplete".to_owned();
        PlacedFinding { title, ..of_message(Level::Error, Rule::Incomplete, &message, None) }
    })
}

fn stale(site: &SiteReport, literal: &LiteralReport) -> Option<PlacedFinding> {
    let new = literal.new.as_ref()?;
    let lockfile = site.lockfile.as_deref().unwrap_or("what it hashes");
    let (rule, title, what) = if literal.placeholder {
        (Rule::Placeholder, "is a placeholder", "is a placeholder".to_owned())
    } else {
        (Rule::Stale, "is stale", format!("is stale: it says {}", literal.old))
    };
    Some(PlacedFinding {
        level: Level::Error,
        rule,
        place: Some(literal.place.clone()),
        token: Some(MarkedToken { end: literal.end, replacement: literal.replacement.clone() }),
        related: None,
        title: format!("the {} of {} {title}", site.kind.hash(), site.service),
        message: format!("the hash of {} {what}; {lockfile} needs {new}", site.service),
        because: site.because.as_ref().map(|because| because.text.clone()),
    })
}

fn stale_source(site: &SiteReport, source: &SourceReport) -> Option<PlacedFinding> {
    let (place, end, new) = (source.hash_place.as_ref()?, source.hash_end?, source.new.as_ref()?);
    let url = source.url.as_deref().unwrap_or("its source");
    Some(PlacedFinding {
        level: Level::Error,
        rule: Rule::StaleSource,
        place: Some(place.clone()),
        token: Some(MarkedToken { end, replacement: source.replacement.clone() }),
        related: None,
        title: format!("the hash of the source of {} is stale", site.service),
        message: format!(
            "the hash of the source of {} is stale: {}; {url} needs {new}",
            site.service,
            source.because()
        ),
        because: None,
    })
}

fn outdated_lockfile(site: &SiteReport, outdated: &OutdatedReport) -> PlacedFinding {
    let OutdatedReport { lockfile, locked, source, .. } = outdated;
    PlacedFinding {
        level: Level::Error,
        rule: Rule::OutdatedLockfile,
        place: Some(PlaceReport { file: lockfile.clone(), line: 1, column: 1 }),
        token: None,
        related: Some(own_place(site)),
        title: format!("the lockfile of {} is stale", site.service),
        message: format!(
            "this lockfile was made for {locked}, and the source of {} is {source}",
            site.service
        ),
        because: None,
    }
}

fn unreadable(problem: &Message) -> PlacedFinding {
    of_message(Level::Error, Rule::Unreadable, problem, None)
}

fn of_message(level: Level, rule: Rule, message: &Message, site: Option<&SiteReport>) -> PlacedFinding {
    let title = match (site, rule) {
        (Some(site), Rule::NoHash) => {
            format!("the {} of {} cannot be computed", site.kind.hash(), site.service)
        }
        (Some(site), Rule::Incomplete) => format!("the lockfile of {} is incomplete", site.service),
        (Some(site), _) => site.service.clone(),
        (None, _) => "npm-nixhash".to_owned(),
    };
    let parts = std::iter::once(message.message.as_str()).chain(message.causes.iter().map(String::as_str));
    let mut text = parts.collect::<Vec<_>>().join(": ");
    if let Some(hint) = &message.hint {
        text.push_str("; ");
        text.push_str(hint);
    }
    let place = message.place.clone().or_else(|| site.map(own_place));
    PlacedFinding { level, rule, place, token: None, related: None, title, message: text, because: None }
}

fn untracked(site: &SiteReport, file: &str) -> PlacedFinding {
    PlacedFinding {
        level: Level::Warning,
        rule: Rule::Untracked,
        place: Some(PlaceReport { file: file.to_owned(), line: 1, column: 1 }),
        token: None,
        related: None,
        title: format!("git does not track a file of {}", site.service),
        message: "git does not track this file, so Nix does not see it in a flake".to_owned(),
        because: None,
    }
}

fn uncovered(lockfile: &str) -> PlacedFinding {
    PlacedFinding {
        level: Level::Warning,
        rule: Rule::Uncovered,
        place: Some(PlaceReport { file: lockfile.to_owned(), line: 1, column: 1 }),
        token: None,
        related: None,
        title: "a lockfile without an npmDepsHash".to_owned(),
        message: "no npmDepsHash covers this lockfile".to_owned(),
        because: None,
    }
}
