//! What has to be done, one finding for each place: the common ground of the CI services' formats.

use super::{LiteralReport, Message, PlaceReport, Report, SiteReport, SiteStatus, UseReport};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warning,
}

/// Something at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// A stable word for machines.
    pub(super) code: &'static str,
    /// Its file as seen from the top of the repository.
    pub(super) place: Option<PlaceReport>,
    pub(super) title: String,
    pub(super) message: String,
}

/// Everything that a report finds, errors first, each kind in the order of the report.
pub(super) fn findings(report: &Report) -> Vec<Finding> {
    let mut findings: Vec<Finding> = report.problems.iter().map(unreadable).collect();
    findings.extend(report.sites.iter().flat_map(of_site));
    findings.extend(report.uses.iter().flat_map(of_use));
    let level = if report.command == "update" { Level::Warning } else { Level::Error };
    findings.extend(report.findings.iter().map(|one| of_message(level, one.code, &one.message(), None)));
    findings
        .extend(report.warnings.iter().map(|warning| of_message(Level::Warning, "notice", warning, None)));
    findings.extend(report.uncovered.iter().map(|lockfile| uncovered(lockfile)));
    findings.sort_by_key(|finding| finding.level == Level::Warning);
    for place in findings.iter_mut().filter_map(|finding| finding.place.as_mut()) {
        place.file = report.seen_from_top(&place.file);
    }
    findings
}

fn of_site(site: &SiteReport) -> Vec<Finding> {
    let mut findings = Vec::new();
    if site.status == SiteStatus::Stale {
        findings.extend(site.literals.iter().filter_map(|literal| stale(site, literal)));
    }
    let code = if site.status == SiteStatus::Incomplete { "incomplete" } else { "no-hash" };
    findings.extend(site.errors.iter().map(|error| of_message(Level::Error, code, error, Some(site))));
    let warnings = site.warnings.iter();
    findings.extend(warnings.map(|warning| of_message(Level::Warning, "notice", warning, Some(site))));
    findings.extend(site.untracked.iter().map(|file| untracked(site, file)));
    if let Some(undecided) = &site.undecided {
        findings.push(Finding {
            level: Level::Warning,
            code: "undecided",
            place: Some(undecided.place.clone()),
            title: format!("the npmDepsHash of {} cannot be checked", site.service),
            message: format!("{}; to settle it: {}", undecided.reason, undecided.settle),
        });
    }
    findings
}

fn of_use(used: &UseReport) -> impl Iterator<Item = Finding> {
    used.errors.iter().map(|error| {
        let message = Message { message: format!("{}: {}", used.lockfile, error.message), ..error.clone() };
        let message = Message { place: Some(used.place.clone()), ..message };
        let title = "a lockfile for importNpmLock is incomplete".to_owned();
        Finding { title, ..of_message(Level::Error, "incomplete", &message, None) }
    })
}

fn stale(site: &SiteReport, literal: &LiteralReport) -> Option<Finding> {
    let new = literal.new.as_ref()?;
    let lockfile = site.lockfile.as_deref().unwrap_or("its lockfile");
    let (code, what) = if literal.placeholder {
        ("placeholder", "is a placeholder".to_owned())
    } else {
        ("stale", format!("is stale: it says {}", literal.old))
    };
    Some(Finding {
        level: Level::Error,
        code,
        place: Some(literal.place.clone()),
        title: format!(
            "the npmDepsHash of {} {}",
            site.service,
            if code == "stale" { "is stale" } else { &what }
        ),
        message: format!("the hash of {} {what}; {lockfile} needs {new}", site.service),
    })
}

fn unreadable(problem: &Message) -> Finding {
    of_message(Level::Error, "unreadable", problem, None)
}

fn of_message(level: Level, code: &'static str, message: &Message, site: Option<&SiteReport>) -> Finding {
    let title = match (site, code) {
        (Some(site), "no-hash") => format!("the npmDepsHash of {} cannot be computed", site.service),
        (Some(site), "incomplete") => format!("the lockfile of {} is incomplete", site.service),
        (Some(site), _) => site.service.clone(),
        (None, _) => "npm-nixhash".to_owned(),
    };
    let parts = std::iter::once(message.message.as_str()).chain(message.causes.iter().map(String::as_str));
    let mut text = parts.collect::<Vec<_>>().join(": ");
    if let Some(hint) = &message.hint {
        text.push_str("; ");
        text.push_str(hint);
    }
    let own = |site: &SiteReport| site.asked_at.clone().unwrap_or_else(|| site.place.clone());
    let place = message.place.clone().or_else(|| site.map(own));
    Finding { level, code, place, title, message: text }
}

fn untracked(site: &SiteReport, file: &str) -> Finding {
    Finding {
        level: Level::Warning,
        code: "untracked",
        place: Some(PlaceReport { file: file.to_owned(), line: 1, column: 1 }),
        title: format!("git does not track a file of {}", site.service),
        message: "git does not track this file, so Nix does not see it in a flake".to_owned(),
    }
}

fn uncovered(lockfile: &str) -> Finding {
    Finding {
        level: Level::Warning,
        code: "uncovered",
        place: Some(PlaceReport { file: lockfile.to_owned(), line: 1, column: 1 }),
        title: "a lockfile without an npmDepsHash".to_owned(),
        message: "no npmDepsHash covers this lockfile".to_owned(),
    }
}
