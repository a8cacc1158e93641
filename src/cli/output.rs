//! Standard output for data, standard error for everything else, and the exit codes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use npm_nixhash::report::layout::{self, LayoutOptions};
use npm_nixhash::report::messages::{self, LinePart, MessageKind, ShownMessage};
use npm_nixhash::report::{Message, diff, github};
use terminal_size::{Height, Width, terminal_size_of};

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

    /// A file cannot be read.
    pub(super) fn reading(path: &Path, error: &io::Error) -> Self {
        Self(Message::plain(format!("cannot read {}", path.display())).caused_by(error))
    }

    /// A file cannot be written.
    pub(super) fn writing(path: &Path, error: &io::Error) -> Self {
        Self(Message::plain(format!("cannot write {}", path.display())).caused_by(error))
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

/// Where the program speaks. Whether a stream shows colours is anstream's decision, by the stream, `--color`, `NO_COLOR`,
/// `CLICOLOR`, `CLICOLOR_FORCE` and `TERM`.
pub(super) struct Terminal {
    quiet: bool,
    verbose: u8,
    /// Whether somebody is watching who wants to see progress.
    pub(super) watched: bool,
    /// Whether GitHub's runner reads along, which searches both streams for commands.
    in_github_actions: bool,
    /// Columns, where somebody says how many there are.
    columns: Option<usize>,
    lines: Cell<usize>,
    /// What was said and is not to be said again.
    said: RefCell<BTreeSet<ShownMessage>>,
    /// The first failure to write to standard output.
    lost: RefCell<Option<io::Error>>,
}

/// On fewer columns nothing can be laid out.
const FEWEST_COLUMNS: usize = 20;

impl Terminal {
    pub(super) fn new(quiet: bool, verbose: u8, environment: &Environment) -> Self {
        let is_dumb = environment.text("TERM") == Some("dumb");
        let columns = environment.text("COLUMNS").and_then(|columns| columns.parse().ok());
        Self {
            quiet,
            verbose,
            // Nix gives builders a terminal, of which it keeps every line that was ever drawn.
            watched: io::stderr().is_terminal() && !quiet && !is_dumb && !environment.in_nix_build(),
            in_github_actions: environment.in_github_actions(),
            columns,
            lines: Cell::new(0),
            said: RefCell::default(),
            lost: RefCell::default(),
        }
    }

    /// How texts for people on standard output are laid out. What is not a terminal has all the room there is, unless
    /// `COLUMNS` says otherwise.
    pub(super) fn look(&self) -> LayoutOptions {
        let width = self.columns.or_else(|| width(terminal_size_of(io::stdout())));
        LayoutOptions { width: width.map(|width| width.max(FEWEST_COLUMNS)), details: self.verbose > 0 }
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
        let text = if self.in_github_actions { &github::inert(text) } else { text };
        self.write(AutoStream::auto(io::stdout().lock()), text);
    }

    /// A patch: exact for files and for `git apply`, harmless and in colours for a terminal.
    pub(super) fn patch(&self, patch: &str) {
        let stdout = io::stdout();
        let visible = if stdout.is_terminal() { &diff::visible(patch) } else { patch };
        match AutoStream::choice(&stdout) {
            ColorChoice::Never => self.data(visible),
            _ => self.write(AutoStream::auto(stdout.lock()), &diff::coloured(visible)),
        }
    }

    /// Annotations on standard error, besides everything else.
    #[expect(clippy::unused_self, reason = "printing is the terminal's business")]
    pub(super) fn annotations(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Data. What cannot be written is remembered for [`Terminal::end`].
    pub(super) fn data(&self, text: &str) {
        self.write(io::stdout().lock(), text);
    }

    fn write(&self, mut stdout: impl io::Write, text: &str) {
        // Flushed here, because what is left for the end of the process is lost without a word.
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            self.lost.borrow_mut().get_or_insert(error);
        }
    }

    /// Whether nobody reads standard output any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lost.borrow().is_some()
    }

    /// How the program ends, which is not well if data was lost. A reader that went away (`| head`) has what it wanted.
    pub(super) fn end(&self, exit: Exit) -> Exit {
        match self.lost.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let message = Message::plain("cannot write to standard output");
                self.message(MessageKind::Error, &message.caused_by(&error));
                Exit::Failed
            }
            _ => exit,
        }
    }

    /// Messages; `--quiet` keeps the errors.
    pub(super) fn messages(&self, all: &[ShownMessage]) {
        for ShownMessage { kind, lines } in
            all.iter().filter(|said| !self.quiet || said.kind == MessageKind::Error)
        {
            for (part, text) in lines {
                self.line(*kind, *part, text);
            }
        }
    }

    /// One message.
    pub(super) fn message(&self, kind: MessageKind, message: &Message) {
        self.messages(&[messages::one(kind, message)]);
    }

    /// A warning about the surroundings, which a run that goes on finds again and again.
    pub(super) fn warn_once(&self, message: &Message) {
        let said = messages::one(MessageKind::Warning, message);
        if self.said.borrow_mut().insert(said.clone()) {
            self.messages(&[said]);
        }
    }

    fn line(&self, kind: MessageKind, part: LinePart, text: &str) {
        self.lines.set(self.lines.get() + 1);
        let (indent, word) = part.start(kind);
        // Nothing is broken for what is not a terminal: a line of a log is searched for as a whole.
        let width = stderr_width().map(|width| width.max(FEWEST_COLUMNS));
        let text = layout::wrapped(&format!("{indent}{word} {text}"), width);
        let text = if self.in_github_actions { github::inert(&text) } else { text };
        let style = style(kind, part);
        // On a narrow terminal the word may be broken itself.
        let text = match text.strip_prefix(indent).and_then(|text| text.strip_prefix(word)) {
            Some(rest) => format!("{indent}{style}{word}{style:#}{rest}"),
            None => text,
        };
        let _ = AutoStream::auto(io::stderr().lock()).write_all(text.as_bytes());
    }
}

/// How the word is shown that a line begins with.
fn style(kind: MessageKind, part: LinePart) -> Style {
    match (part, kind) {
        (LinePart::Message, MessageKind::Error) => AnsiColor::Red.on_default().bold(),
        (LinePart::Message, MessageKind::Warning) => AnsiColor::Yellow.on_default().bold(),
        (LinePart::Message, MessageKind::Note) => AnsiColor::Cyan.on_default().bold(),
        (LinePart::Cause, _) => Style::new().bold(),
        (LinePart::Hint, _) => AnsiColor::Cyan.on_default(),
        (LinePart::Others, _) => Style::new(),
    }
}

/// Columns of the terminal that standard error is.
pub(super) fn stderr_width() -> Option<usize> {
    width(terminal_size_of(io::stderr()))
}

fn width(size: Option<(Width, Height)>) -> Option<usize> {
    // Some terminals that are none, such as those of `script` without a window, say zero.
    size.map(|(Width(width), _)| usize::from(width)).filter(|width| *width > 0)
}
