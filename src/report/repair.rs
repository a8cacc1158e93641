//! What `repair` has to say: every lockfile that it looked at, and what became of it.

use std::collections::BTreeSet;

use npm_lockfile::listing::some;
use serde::Serialize;

use super::human::plain;
use super::layout::{self, LayoutOptions};
use super::{Message, SCHEMA_VERSION};
use crate::repair::Filled;

/// Packages that are named before the rest is only counted.
const NAMED: usize = 8;

/// The outcome of `repair`.
#[derive(Debug, Serialize)]
pub struct RepairReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `repair`.
    pub command: &'static str,
    /// All lockfiles, in the order in which they were named, else of their paths.
    pub lockfiles: Vec<LockfileReport>,
    /// How many of them have which status.
    pub summary: RepairSummary,
}

/// A lockfile.
#[derive(Debug, Serialize)]
pub struct LockfileReport {
    /// The file.
    pub lockfile: String,
    /// What became of it.
    pub status: RepairStatus,
    /// The entries that got something, or with `--check` would have, in file order.
    pub entries: Vec<FilledReport>,
    /// Why it stays as it is: every reason.
    pub errors: Vec<Message>,
}

/// What became of a lockfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepairStatus {
    /// It lacked nothing.
    Complete,
    /// It lacks something that the registry knows (`--check`).
    Incomplete,
    /// It lacked something that it has now.
    Completed,
    /// It lacks something and stays as it is.
    Failed,
}

/// What an entry got.
#[derive(Debug, Serialize)]
pub struct FilledReport {
    /// Where it stands: an install path, or of version 1 the chain of names.
    pub place: String,
    /// `name@version`.
    pub package: String,
    /// It got its `resolved`.
    pub resolved: bool,
    /// It got its `integrity`, or a stronger one.
    pub integrity: bool,
}

/// How many lockfiles have which status.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct RepairSummary {
    /// Completed.
    pub completed: usize,
    /// Incomplete.
    pub incomplete: usize,
    /// Complete from the start.
    pub complete: usize,
    /// Failed.
    pub failed: usize,
}

impl Default for RepairReport {
    fn default() -> Self {
        let summary = RepairSummary::default();
        Self { schema_version: SCHEMA_VERSION, command: "repair", lockfiles: Vec::new(), summary }
    }
}

impl RepairReport {
    /// Adds a lockfile and what became of it.
    pub fn add(&mut self, lockfile: String, status: RepairStatus, filled: &[Filled], errors: Vec<Message>) {
        let RepairSummary { completed, incomplete, complete, failed } = &mut self.summary;
        *match status {
            RepairStatus::Completed => completed,
            RepairStatus::Incomplete => incomplete,
            RepairStatus::Complete => complete,
            RepairStatus::Failed => failed,
        } += 1;
        let entry = |filled: &Filled| FilledReport {
            place: filled.place.clone(),
            package: filled.package.clone(),
            resolved: filled.resolved,
            integrity: filled.integrity,
        };
        let entries = filled.iter().map(entry).collect();
        self.lockfiles.push(LockfileReport { lockfile, status, entries, errors });
    }

    /// The report for people: a line for each lockfile that got something, and the count.
    #[must_use]
    pub fn human(&self, look: LayoutOptions) -> String {
        let mut text = String::new();
        for LockfileReport { lockfile, status, entries, .. } in &self.lockfiles {
            match status {
                RepairStatus::Completed => text += &row(lockfile, entries, "completed", look),
                RepairStatus::Incomplete => text += &row(lockfile, entries, "to complete", look),
                RepairStatus::Complete | RepairStatus::Failed => {}
            }
        }
        let RepairSummary { completed, incomplete, complete, failed } = self.summary;
        let counts = [
            (completed, "completed"),
            (incomplete, "incomplete"),
            (complete, "complete"),
            (failed, "failed"),
        ];
        let counts =
            counts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}"));
        text + &layout::wrapped(&counts.collect::<Vec<_>>().join(", "), look.width)
    }

    /// The JSON form, indented, with a final newline.
    #[must_use]
    pub fn json(&self) -> String {
        super::json::json(self)
    }
}

/// `web/package-lock.json: 72 packages completed: a@1.0.0, ...`
fn row(path: &str, entries: &[FilledReport], what: &str, look: LayoutOptions) -> String {
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.package.as_str()).collect();
    let noun = if names.len() == 1 { "package" } else { "packages" };
    let line = format!("{path}: {} {noun} {what}: {}", names.len(), some(&names, NAMED, ", "));
    layout::wrapped(&plain(&line), look.width)
}
