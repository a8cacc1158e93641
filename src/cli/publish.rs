//! Where a report goes: standard output in the format that was asked for, files, and GitHub's own places.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anstream::adapter::strip_str;
use npm_nixhash::replace::FileReplacement;
use npm_nixhash::report::layout::LayoutOptions;
use npm_nixhash::report::{Report, codequality, diff, github, markdown, sarif};

use super::args::{Format, ReportArgs};
use super::env::Environment;
use super::output::{Fatal, Terminal};

/// The command's text for people.
type Human<'a> = &'a dyn Fn(LayoutOptions) -> String;

/// What goes to standard output.
#[derive(Clone, Copy)]
pub(super) struct StandardOutput<'a> {
    /// The format, unless another one is asked for.
    pub(super) format: Format,
    pub(super) human: Human<'a>,
}

/// Writes a report to all places that were asked for.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn publish(
    args: &ReportArgs,
    report: &Report,
    standard: StandardOutput<'_>,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<(), Fatal> {
    let human = standard.human;
    match args.format().unwrap_or(standard.format) {
        Format::Human => terminal.text(&human(terminal.look())),
        Format::Patch => terminal.patch(&report.patch),
        format => terminal.data(&render(format, report, human, terminal)),
    }
    for (format, file) in &args.output {
        let path = environment.absolute(file);
        fs::write(&path, render(*format, report, human, terminal))
            .map_err(|error| Fatal::writing(&path, &error))?;
    }
    if args.format().is_none() && report.command == "check" && environment.in_github_actions() {
        tell_github(report, environment, terminal)?;
    }
    Ok(())
}

/// Replacements as a patch of the repository at `root`. Files are named as git has them: without links on the way, which git
/// follows no more than it leaves the repository.
pub(super) fn patch(root: &Path, replacements: &[FileReplacement]) -> String {
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    // A file and a link to it are rewritten alike, and are one file to git.
    let mut diffs: Vec<String> = Vec::new();
    for FileReplacement { path, old, new } in replacements {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let diff = diff::unified(path.strip_prefix(&root).unwrap_or(&path), old, new);
        if !diffs.contains(&diff) {
            diffs.push(diff);
        }
    }
    diffs.concat()
}

fn render(format: Format, report: &Report, human: Human<'_>, terminal: &Terminal) -> String {
    match format {
        // A file has no width, and shows no colours.
        Format::Human => strip_str(&human(LayoutOptions { width: None, ..terminal.look() })).to_string(),
        Format::Json => report.json(),
        Format::Github => github::annotations(report),
        Format::Markdown => markdown::report(report),
        Format::Patch => report.patch.clone(),
        Format::Codequality => codequality::report(report),
        Format::Sarif => sarif::report(report),
    }
}

/// Annotations go to standard error, which the runner reads as well: standard output stays data. Only a run that
/// found something adds to the job's summary.
fn tell_github(report: &Report, environment: &Environment, terminal: &Terminal) -> Result<(), Fatal> {
    let annotations = github::annotations(report);
    terminal.annotations(&annotations);
    match environment.path("GITHUB_STEP_SUMMARY") {
        Some(file) if !annotations.is_empty() => {
            append(&file, &markdown::report(report)).map_err(|error| Fatal::writing(&file, &error))
        }
        _ => Ok(()),
    }
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(file)?.write_all(text.as_bytes())
}

/// Reads `FORMAT=FILE`.
pub(super) fn output(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, file) = text.split_once('=').ok_or("expected FORMAT=FILE")?;
    let format = <Format as clap::ValueEnum>::from_str(format, false)?;
    if file.is_empty() { Err("expected FORMAT=FILE".to_owned()) } else { Ok((format, file.into())) }
}
