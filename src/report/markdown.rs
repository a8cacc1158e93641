//! Markdown for a job summary or a comment: what is wrong as a table, and the patch that puts it right.
//!
//! All foreign text stands in `<code>` with its punctuation as character references, which can make no structure, no
//! link and no mention; the patch stands in a fence longer than any run of backticks in it.

use std::fmt::Write as _;

use super::{FindingReport, LiteralReport, Message, Report, SiteReport, SiteStatus, UseReport, human};

/// Rows, and messages of each kind, that are shown.
const SHOWN: usize = 40;

/// A longer patch is left out: a comment holds 65536 characters.
const LONGEST_PATCH: usize = 40_000;

/// The whole text.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut text = format!("### npm-nixhash: {}\n", human::summary(report));
    table(&mut text, report);
    patch(&mut text, &report.patch);
    let problems = report.problems.iter().map(|problem| (None, problem));
    let failed = |site| move |error| (Some(site), error);
    let of_sites = report.sites.iter().flat_map(|site: &SiteReport| site.errors.iter().map(failed(site)));
    let mut errors: Vec<_> = problems.chain(of_sites).map(|(site, message)| error(site, message)).collect();
    let of_use = |used: &UseReport| {
        let lockfile = code(&report.seen_from_top(&used.lockfile));
        used.errors.iter().map(|message| format!("{lockfile}: {}", error(None, message))).collect::<Vec<_>>()
    };
    errors.extend(report.uses.iter().flat_map(of_use));
    let beside = |finding: &FindingReport| {
        let file = code(&report.seen_from_top(&finding.place.file));
        format!("{file}: {}", error(None, &finding.message()))
    };
    errors.extend(report.findings.iter().map(beside));
    list(&mut text, "Errors", &errors);
    let undecided: Vec<_> = report.sites.iter().filter_map(undecided).collect();
    list(&mut text, "Not decided, so not checked", &undecided);
    let assumed: Vec<_> = report.sites.iter().filter_map(assumed).collect();
    list(&mut text, "Assumed to be built as nixpkgs does", &assumed);
    let uncovered: Vec<_> = report.uncovered.iter().map(|file| code(&report.seen_from_top(file))).collect();
    list(&mut text, "Lockfiles that no `npmDepsHash` covers", &uncovered);
    text
}

fn table(text: &mut String, report: &Report) {
    let changed = |site: &&SiteReport| matches!(site.status, SiteStatus::Stale | SiteStatus::Updated);
    let because = report.sites.iter().filter(changed).any(|site| site.because.is_some());
    let row =
        |site, literal: &LiteralReport| Some(row(report, site, literal, literal.new.as_ref()?, because));
    let rows: Vec<String> = report
        .sites
        .iter()
        .filter(changed)
        .flat_map(|site| site.literals.iter().filter_map(move |literal| row(site, literal)))
        .collect();
    if rows.is_empty() {
        return;
    }
    let (heading, line) = if because { (" because |", "---|") } else { ("", "") };
    let _ = write!(
        text,
        "\n| service | hash at | lockfile | says | should say |{heading}\n|---|---|---|---|---|{line}\n"
    );
    text.extend(rows.iter().take(SHOWN).map(String::as_str));
    more(text, rows.len());
}

fn row(report: &Report, site: &SiteReport, literal: &LiteralReport, new: &str, because: bool) -> String {
    let place = format!("{}:{}", report.seen_from_top(&literal.place.file), literal.place.line);
    let lockfile =
        site.lockfile.as_deref().map(|lockfile| report.seen_from_top(lockfile)).unwrap_or_default();
    let old = if literal.placeholder { "a placeholder".to_owned() } else { code(&literal.old) };
    let because = match (because, &site.because) {
        (false, _) => String::new(),
        (true, None) => " |".to_owned(),
        (true, Some(because)) => format!(" {} |", code(&because.text)),
    };
    format!(
        "| {} | {} | {} | {old} | {} |{because}\n",
        code(&site.service),
        code(&place),
        code(&lockfile),
        code(new)
    )
}

fn patch(text: &mut String, patch: &str) {
    if patch.is_empty() {
        return;
    }
    if patch.len() > LONGEST_PATCH {
        text.push_str(
            "\nThe patch is too long for this page: `npm-nixhash check --format patch` prints it.\n",
        );
        return;
    }
    // Exact bytes are needed to apply it, and what a page would hide of them is no matter for a comment.
    if patch.contains(|c| !matches!(c, '\n' | '\r' | '\t') && human::is_invisible(c)) {
        text.push_str(
            "\nThe patch holds characters that do not show: `npm-nixhash check --format patch` prints it.\n",
        );
        return;
    }
    text.push_str("\nRun `npm-nixhash update`, or save this as `hashes.patch` and run `git apply hashes.patch` at the top of the repository:\n\n");
    let fence = "`".repeat(longest_run(patch).max(2) + 1);
    let end = if patch.ends_with('\n') { "" } else { "\n" };
    let _ = writeln!(text, "{fence}diff\n{patch}{end}{fence}");
}

/// Length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

fn error(site: Option<&SiteReport>, message: &Message) -> String {
    let subject = site.map(|site| format!("{}: ", code(&site.service))).unwrap_or_default();
    let parts = std::iter::once(&message.message).chain(&message.causes).chain(&message.hint);
    subject + &parts.map(|part| code(part)).collect::<Vec<_>>().join("; ")
}

fn undecided(site: &SiteReport) -> Option<String> {
    let undecided = site.undecided.as_ref()?;
    let placeholder = if site.has_placeholder() { "; its hash is a placeholder" } else { "" };
    Some(format!("{}: {}{placeholder}", code(&site.service), code(&undecided.reason)))
}

fn assumed(site: &SiteReport) -> Option<String> {
    Some(format!("{}: {}", code(&site.service), code(site.assumed.as_ref()?)))
}

fn list(text: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n**{title}**\n");
    for item in items.iter().take(SHOWN) {
        let _ = writeln!(text, "- {item}");
    }
    more(text, items.len());
}

fn more(text: &mut String, all: usize) {
    if all > SHOWN {
        let _ = writeln!(text, "\nand {} more", all - SHOWN);
    }
}

/// Foreign text.
fn code(text: &str) -> String {
    let mut escaped = String::from("<code>");
    for character in text.chars() {
        match character {
            ' ' | '.' | '/' | '-' | '+' | '=' | ',' => escaped.push(character),
            _ if character.is_alphanumeric() => escaped.push(character),
            _ if human::is_invisible(character) => escaped.push(' '),
            _ => {
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
        }
    }
    escaped + "</code>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_makes_no_structure() {
        assert_eq!(code("a|b`c\n@d_<e>\u{202e}"), "<code>a&#124;b&#96;c &#64;d&#95;&#60;e&#62; </code>");
    }

    #[test]
    fn a_patch_that_would_show_as_something_else_is_not_shown() {
        let mut text = String::new();
        patch(&mut text, "+ \u{202e}x\n");
        assert!(text.contains("characters that do not show") && !text.contains('\u{202e}'), "{text}");
    }

    #[test]
    fn a_patch_cannot_leave_its_fence() {
        let mut text = String::new();
        patch(&mut text, "+ ````\n+<script>");
        assert!(text.contains("\n`````diff\n+ ````\n+<script>\n`````\n"), "{text}");
    }
}
