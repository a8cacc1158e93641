//! GitLab's code quality report: an array of issues, each with a fingerprint that stays while the issue does.

use serde_json::{Value, json};

use super::Report;
use super::finding::{Level, PlacedFinding, findings};
use super::human::plain;

/// The report as JSON, with a final newline. What is at no place is left out: GitLab has no room for it.
#[must_use]
pub fn report(report: &Report) -> String {
    let issues: Value = findings(report).iter().filter_map(issue).collect();
    super::json::json(&issues)
}

fn issue(finding: &PlacedFinding) -> Option<Value> {
    let PlacedFinding { level, rule, place, .. } = finding;
    let place = place.as_ref()?;
    let severity = match level {
        Level::Error => "major",
        Level::Warning => "minor",
    };
    Some(json!({
        "description": plain(&finding.text()),
        "check_name": format!("npm-nixhash/{}", rule.word()),
        "fingerprint": finding.fingerprint(),
        "severity": severity,
        "location": { "path": place.file, "lines": { "begin": place.line } },
    }))
}
