//! Standard output for data, standard error for everything else, and the exit codes.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use npm_nixhash::report::{Message, human};

use super::env::Environment;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// In sync, or updated.
    Fine,
    /// `check` found drift.
    Drift,
    /// Something that should work did not.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Drift => 1,
            Exit::Failed => 2,
        })
    }
}

/// A failure of the run as a whole.
#[derive(Debug)]
pub(super) struct Fatal(pub(super) Message);

impl Fatal {
    pub(super) fn new(error: &(dyn std::error::Error + 'static)) -> Self {
        Self(Message::from_error(error))
    }
}

/// What a command ends with.
pub(super) type Outcome = Result<Exit, Fatal>;

/// Where the program speaks.
pub(super) struct Terminal {
    quiet: bool,
    /// Whether somebody is watching who wants to see progress.
    pub(super) watched: bool,
    colour: bool,
}

impl Terminal {
    pub(super) fn new(quiet: bool, environment: &Environment) -> Self {
        let stderr = io::stderr().is_terminal();
        let plain = environment.text("NO_COLOR").is_some();
        Self { quiet, watched: stderr && !quiet && !plain, colour: stderr && !plain }
    }

    /// Data. A reader that went away is no error of ours.
    #[expect(clippy::unused_self, reason = "printing is the terminal's business")]
    pub(super) fn data(&self, text: &str) {
        let _ = io::stdout().lock().write_all(text.as_bytes());
    }

    /// Messages that were rendered already; `--quiet` keeps the errors.
    pub(super) fn messages(&self, text: &str) {
        let mut wanted = true;
        for line in text.lines() {
            if !line.starts_with("  ") {
                wanted = !self.quiet || line.starts_with("error:");
            }
            if wanted {
                self.line(line);
            }
        }
    }

    /// One message.
    pub(super) fn message(&self, kind: &str, message: &Message) {
        self.messages(&human::render(kind, message));
    }

    fn line(&self, line: &str) {
        let coloured = match line.split_once(':') {
            Some(("error", rest)) if self.colour => format!("\x1b[1;31merror\x1b[0m:{rest}"),
            Some(("warning", rest)) if self.colour => format!("\x1b[1;33mwarning\x1b[0m:{rest}"),
            _ => line.to_owned(),
        };
        let _ = writeln!(io::stderr().lock(), "{coloured}");
    }
}
