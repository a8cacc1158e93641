//! GitHub's workflow commands: `::error file=F,line=L,col=C,title=T::MESSAGE`, which the runner turns into annotations.
//!
//! In a message `%`, CR and LF are escaped, in a property `:` and `,` as well, so that no name of a file or an attribute
//! can end a command and begin another. Other control characters show as what they are, because the log that holds the
//! commands is shown in terminals too.

use std::fmt::Write as _;

use super::finding::{Level, PlacedFinding, findings};
use super::human::shown;
use super::{PlaceReport, Report};

/// What GitHub shows of each level and step; it drops the rest without a word.
const SHOWN: usize = 10;

/// The annotations of a report, one a line.
#[must_use]
pub fn annotations(report: &Report) -> String {
    let findings = findings(report);
    let of = |level| findings.iter().filter(|finding| finding.level == level).collect::<Vec<_>>();
    commands("error", &of(Level::Error)) + &commands("warning", &of(Level::Warning))
}

/// As many as GitHub shows; if there are more, the last one says how many.
fn commands(kind: &str, findings: &[&PlacedFinding]) -> String {
    let shown = if findings.len() > SHOWN { SHOWN - 1 } else { findings.len() };
    let mut text = String::new();
    for finding in findings.iter().take(shown) {
        let PlacedFinding { place, title, .. } = finding;
        let place = place.as_ref().map(properties).unwrap_or_default();
        let _ = writeln!(text, "::{kind} {place}title={}::{}", property(title), data(&finding.text()));
    }
    let more = findings.len() - shown;
    if more > 0 {
        let _ = writeln!(text, "::{kind} title=npm-nixhash::and {more} more, which the log lists");
    }
    text
}

fn properties(place: &PlaceReport) -> String {
    format!("file={},line={},col={},", property(&place.file), place.line, place.column)
}

fn data(text: &str) -> String {
    shown(text, "\r\n").replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A text for people that the runner, which reads every line of a step, takes for no command.
#[must_use]
pub fn inert(text: &str) -> String {
    let line = |line: &str| {
        // The runner finds this older form of a command anywhere in a line, `::` only at its beginning.
        let line = line.replace("##[", "## [");
        if line.trim_start().starts_with("::") { line.replacen("::", ": :", 1) } else { line }
    };
    text.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Rule;

    #[test]
    fn no_text_ends_a_command_or_begins_one() {
        assert_eq!(data("100%\r\n::error::x"), "100%25%0D%0A::error::x");
        assert_eq!(property("a,line=9::b%\n"), "a%2Cline=9%3A%3Ab%25%0A");
        assert_eq!(data("\u{1b}[2J\u{7}\u{1b}]0;x\u{202e}\tä"), "\\u{1b}[2J\\u{7}\\u{1b}]0;x\\u{202e}\\tä");
        assert_eq!(inert("a ::b\n  ::error::c\n##[add-mask]d"), "a ::b\n  : :error::c\n## [add-mask]d");
    }

    #[test]
    fn what_github_would_drop_is_counted() {
        let finding = PlacedFinding {
            level: Level::Error,
            rule: Rule::Stale,
            place: None,
            token: None,
            related: None,
            title: "t".to_owned(),
            message: "m".to_owned(),
            because: None,
        };
        let all = vec![&finding; 25];
        let text = commands("error", &all);
        assert_eq!(text.lines().count(), SHOWN);
        assert!(text.ends_with("::and 16 more, which the log lists\n"), "{text}");
        assert_eq!(commands("error", &all[..10]).matches("::m\n").count(), 10);
    }
}
