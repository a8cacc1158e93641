//! GitLab's code quality report: an array of issues, each with a fingerprint that stays while the issue does.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Report,
    finding::{Finding, Level, findings},
    human::plain,
};
use crate::integrity::hex;

/// The report as JSON, with a final newline. What is at no place is left out: GitLab has no room for it.
#[must_use]
pub fn report(report: &Report) -> String {
    let issues: Value = findings(report).iter().filter_map(issue).collect();
    format!("{issues:#}\n")
}

fn issue(finding: &Finding) -> Option<Value> {
    let Finding { level, code, place, title, message } = finding;
    let place = place.as_ref()?;
    let severity = match level {
        Level::Error => "major",
        Level::Warning => "minor",
    };
    // Not the line: an issue that moves is the same one.
    let fingerprint = Sha256::digest(format!("{code}\0{}\0{title}\0{message}", place.file));
    Some(json!({
        "description": plain(message),
        "check_name": format!("npm-nixhash/{code}"),
        "fingerprint": hex(&fingerprint),
        "severity": severity,
        "location": { "path": place.file, "lines": { "begin": place.line } },
    }))
}
