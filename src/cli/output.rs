//! Standard output for data, standard error for everything else, and the exit codes.

use std::{
    cell::{Cell, RefCell},
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use npm_nixhash::report::{Message, diff, github, messages};

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

/// Prints what clap has to say: help and version are data like any other.
pub(super) fn help_or_usage(said: &clap::Error) -> ExitCode {
    let printed = said.print().and_then(|()| io::stdout().flush());
    let lost = printed.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
    let wrong = said.use_stderr() || lost.is_some();
    if let Some(error) = lost.filter(|_| !said.use_stderr()) {
        let _ = writeln!(io::stderr(), "error: cannot write to standard output\n  caused by: {error}");
    }
    if wrong { Exit::Failed } else { Exit::Fine }.into()
}

/// Who reads what is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// People who see colours.
    Colourful,
    /// People, or a bot that shows it to them.
    Plain,
    /// Also GitHub's runner, which searches it for commands.
    Github,
}

/// Where the program speaks.
pub(super) struct Terminal {
    quiet: bool,
    /// Whether somebody is watching who wants to see progress.
    pub(super) watched: bool,
    readers: Readers,
    lines: Cell<usize>,
    /// The first failure to write to standard output.
    lost: RefCell<Option<io::Error>>,
}

impl Terminal {
    pub(super) fn new(quiet: bool, environment: &Environment) -> Self {
        let stderr = io::stderr().is_terminal();
        let plain = environment.text("NO_COLOR").is_some();
        let readers = match environment.in_github_actions() {
            true => Readers::Github,
            false if stderr && !plain => Readers::Colourful,
            false => Readers::Plain,
        };
        Self {
            quiet,
            // Nix gives builders a terminal, of which it keeps every line that was ever drawn.
            watched: stderr && !quiet && !plain && !environment.in_nix_build(),
            readers,
            lines: Cell::new(0),
            lost: RefCell::default(),
        }
    }

    /// Lines that standard error has room for.
    pub(super) fn room(&self) -> usize {
        messages::MOST_LINES.saturating_sub(self.lines.get())
    }

    /// Whether somebody wants to know more than errors.
    pub(super) fn tells(&self) -> bool {
        !self.quiet
    }

    /// Text for people on standard output.
    pub(super) fn text(&self, text: &str) {
        if self.readers == Readers::Github { self.data(&github::inert(text)) } else { self.data(text) }
    }

    /// A patch: exact for files and for `git apply`, harmless for a terminal.
    pub(super) fn patch(&self, patch: &str) {
        if io::stdout().is_terminal() { self.data(&diff::visible(patch)) } else { self.data(patch) }
    }

    /// Annotations on standard error, besides everything else.
    #[expect(clippy::unused_self, reason = "printing is the terminal's business")]
    pub(super) fn annotations(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Data. What cannot be written is remembered for [`Terminal::end`].
    pub(super) fn data(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        // Flushed here, because what is left for the end of the process is lost without a word.
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            self.lost.borrow_mut().get_or_insert(error);
        }
    }

    /// How the program ends, which is not well if data was lost. A reader that went away (`| head`) has what it wanted.
    pub(super) fn end(&self, exit: Exit) -> Exit {
        match self.lost.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let message = Message::plain("cannot write to standard output");
                self.message("error", &Message { causes: vec![error.to_string()], ..message });
                Exit::Failed
            }
            _ => exit,
        }
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
        self.messages(&messages::render(kind, message));
    }

    fn line(&self, line: &str) {
        self.lines.set(self.lines.get() + 1);
        let text = match (self.readers, line.split_once(':')) {
            (Readers::Github, _) => github::inert(line),
            (Readers::Colourful, Some(("error", rest))) => format!("\x1b[1;31merror\x1b[0m:{rest}"),
            (Readers::Colourful, Some(("warning", rest))) => format!("\x1b[1;33mwarning\x1b[0m:{rest}"),
            _ => line.to_owned(),
        };
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
