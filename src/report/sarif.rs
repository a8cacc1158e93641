//! SARIF 2.1.0, the OASIS standard that GitHub's code scanning and editors read.
//!
//! Files are named from the top of the repository (`%SRCROOT%`). Regions count characters, not UTF-16 code units, and have
//! their end behind the last one. A finding whose token has to change brings the fix; one at no place is a notification of
//! the run, because GitHub refuses results without a location.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::finding::{Level, PlacedFinding, findings};
use super::human::plain;
use super::{PlaceReport, Report, Rule};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Where files are named from.
const TOP: &str = "%SRCROOT%";

/// What a path may hold as it is. All else is percent-encoded: in a URI a colon would begin a scheme, `%` an escape.
const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// The report as JSON, with a final newline.
#[must_use]
pub fn report(report: &Report) -> String {
    let findings = findings(report);
    let (placed, unplaced): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.place.is_some());
    let results: Vec<Value> = placed.iter().filter_map(|finding| result(finding)).collect();
    let notifications: Vec<Value> = unplaced.into_iter().map(notification).collect();
    let failed = report.summary.failed > 0 || !report.problems.is_empty();
    let rules: Vec<Value> = Rule::ALL.into_iter().map(rule).collect();
    let driver = json!({
        "name": "npm-nixhash",
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "automationDetails": { "id": format!("npm-nixhash/{}/", report.command) },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { TOP: { "description": { "text": "The top of the repository." } } },
            "invocations": [{
                "executionSuccessful": !failed,
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    });
    super::json(&log)
}

fn rule(rule: Rule) -> Value {
    json!({
        "id": rule.word(),
        "name": rule.name(),
        "shortDescription": { "text": rule.about() },
        "fullDescription": { "text": rule.about() },
        "help": { "text": rule.help().replace('`', ""), "markdown": rule.help() },
        "defaultConfiguration": { "level": if rule.is_error() { "error" } else { "warning" } },
    })
}

fn level(finding: &PlacedFinding) -> &'static str {
    match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

/// The message with its subject: a viewer shows nothing else of a finding.
fn text(finding: &PlacedFinding) -> String {
    plain(&format!("{}: {}", finding.title, finding.text()))
}

fn result(finding: &PlacedFinding) -> Option<Value> {
    let place = finding.place.as_ref()?;
    let end = finding.token.as_ref().map(|token| token.end);
    let region = match end {
        None => json!({ "startLine": place.line, "startColumn": place.column }),
        Some(end) => json!({
            "startLine": place.line,
            "startColumn": place.column,
            "endLine": end.line,
            "endColumn": end.column,
        }),
    };
    let index = Rule::ALL.iter().position(|rule| *rule == finding.rule);
    let mut result = json!({
        "ruleId": finding.rule.word(),
        "ruleIndex": index,
        "level": level(finding),
        "message": { "text": text(finding) },
        "locations": [{ "physicalLocation": { "artifactLocation": artifact(place), "region": region } }],
        "partialFingerprints": { "npmNixhash/v1": finding.fingerprint() },
    });
    let replacement = finding.token.as_ref().and_then(|token| token.replacement.as_ref());
    if let Some(replacement) = replacement {
        result["fixes"] = json!([{
            "description": { "text": "Write the right hash." },
            "artifactChanges": [{
                "artifactLocation": artifact(place),
                "replacements": [{ "deletedRegion": region, "insertedContent": { "text": replacement } }],
            }],
        }]);
    }
    if let Some(related) = &finding.related {
        let region = json!({ "startLine": related.line, "startColumn": related.column });
        let location =
            json!({ "physicalLocation": { "artifactLocation": artifact(related), "region": region } });
        result["relatedLocations"] = json!([location]);
    }
    Some(result)
}

fn notification(finding: &PlacedFinding) -> Value {
    let id = json!({ "id": finding.rule.word() });
    json!({ "level": level(finding), "message": { "text": text(finding) }, "associatedRule": id })
}

/// A file. What is not in the repository has an absolute path, and no base.
fn artifact(place: &PlaceReport) -> Value {
    let path = utf8_percent_encode(&place.file, &KEPT).to_string();
    if path.starts_with('/') {
        return json!({ "uri": format!("file://{path}") });
    }
    json!({ "uri": path, "uriBaseId": TOP })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_uris() {
        let uri = |file: &str| artifact(&PlaceReport { file: file.to_owned(), line: 1, column: 1 });
        let in_repository = |uri: &str| json!({ "uri": uri, "uriBaseId": TOP });
        assert_eq!(uri("a b/100%:c.nix"), in_repository("a%20b/100%25%3Ac.nix"));
        assert_eq!(uri("ä/x.nix"), in_repository("%C3%A4/x.nix"));
        assert_eq!(uri("/other/x.nix"), json!({ "uri": "file:///other/x.nix" }));
    }
}
