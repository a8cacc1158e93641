//! What is new since the last look, for `check --watch`.

use std::collections::{BTreeMap, BTreeSet};

use super::human::{self, at};
use super::layout::LayoutOptions;
use super::messages::{self, MessageKind, ShownMessage};
use super::{Message, Report, SiteReport, SiteStatus};

/// How services stood when they were looked at last.
#[derive(Debug, Default)]
pub struct Seen {
    /// What is known of each; the number is for those of one name.
    sites: BTreeMap<(String, usize), String>,
    findings: BTreeSet<String>,
    problems: BTreeSet<String>,
}

/// What there is to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// A line for each service that stands otherwise now.
    pub lines: String,
    /// Errors that were not there before.
    pub messages: Vec<ShownMessage>,
}

impl Seen {
    /// How they stand in a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let mut seen = Self::default();
        drop(seen.news(report, LayoutOptions::default()));
        seen
    }

    /// What is new in a report, which is what was looked at last from now on.
    #[must_use]
    pub fn news(&mut self, report: &Report, look: LayoutOptions) -> News {
        let mut now = BTreeMap::new();
        let mut changed = Vec::new();
        let mut number: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, site) in report.sites.iter().enumerate() {
            let number = number.entry(&site.service).or_default();
            *number += 1;
            let key = (site.service.clone(), *number);
            let state = state(site);
            if self.sites.get(&key) != Some(&state) {
                changed.push(index);
            }
            now.insert(key, state);
        }
        let mut gone: Vec<&str> = Vec::new();
        for (key, state) in &self.sites {
            if now.contains_key(key) {
                continue;
            }
            // What is in a file that cannot be read is not gone.
            if report.problems.is_empty() {
                gone.push(&key.0);
            } else {
                now.insert(key.clone(), state.clone());
            }
        }
        let lines = human::changed(report, &changed, &gone, look);
        self.sites = now;
        let findings =
            report.findings.iter().map(|one| (one.message(), format!("{}: {}", at(&one.place), one.message)));
        let findings = unseen(&mut self.findings, findings);
        let problems = report.problems.iter().map(|one| (one.clone(), format!("{one:?}")));
        let problems = unseen(&mut self.problems, problems);
        let failed = changed.iter().map(|index| &report.sites[*index]);
        let failed = failed.flat_map(|site| &site.errors).cloned();
        let all = problems.into_iter().chain(findings).chain(failed);
        News { lines, messages: messages::all(MessageKind::Error, all, messages::MOST_LINES) }
    }
}

/// The messages whose text was not there before; their texts are from now on.
fn unseen(before: &mut BTreeSet<String>, all: impl Iterator<Item = (Message, String)>) -> Vec<Message> {
    let all: Vec<_> = all.collect();
    let now = all.iter().map(|(_, text)| text.clone()).collect();
    let before = std::mem::replace(before, now);
    all.into_iter().filter(|(_, text)| !before.contains(text)).map(|(message, _)| message).collect()
}

/// What of a site makes a difference; not its place, which moves with every line above it.
fn state(site: &SiteReport) -> String {
    let literals = site.literals.iter().map(|literal| (&literal.old, &literal.new));
    let sources = site.sources.iter().map(|source| (&source.recorded, &source.new));
    let undecided = site.undecided.as_ref().map(|undecided| &undecided.reason);
    let word = match site.status {
        // The hash that it has is that of its lockfile, whatever it is.
        SiteStatus::InSync => return "in sync".to_owned(),
        status => status,
    };
    format!(
        "{word:?} {:?} {:?} {undecided:?} {:?} {:?}",
        literals.collect::<Vec<_>>(),
        sources.collect::<Vec<_>>(),
        site.outdated_lockfile,
        site.errors
    )
}
