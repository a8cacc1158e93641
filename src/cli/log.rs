//! The log: what the crates tell of their work through `tracing`, a line of standard error for each event.
//!
//! Without a wish nothing is set up, and an event costs one load of an atomic. The subscriber is our own: spans are not used,
//! and what `tracing-subscriber` has besides them is a table of targets that takes a misspelt level for a target, and lines
//! that neither escape what a repository calls its files nor make way for the progress bar.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::time::Instant;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use npm_nixhash::report::human::plain;
use npm_nixhash::report::{Message, github};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::env::Environment;
use super::output::Fatal;
use super::progress::above_the_bar;

/// The variable that says what is wanted.
const VARIABLE: &str = "NPM_NIXHASH_LOG";

/// Those who tell something. Nobody else is heard: the libraries of the network tell of headers, which hold secrets.
const TARGETS: [&str; 7] =
    ["nix_lang", "nix_sites", "npm_deps", "npm_nixhash", "npm_registry", "npm_tarballs", "repository_files"];

/// From here on what is wanted is logged. `--quiet` wants nothing, the variable wins over `-v`.
///
/// # Errors
/// The variable says something other than levels.
pub(super) fn begin(environment: &Environment, quiet: bool, verbose: u8) -> Result<(), Fatal> {
    let filter = match environment.text(VARIABLE) {
        Some(text) => Filter::parse(text).map_err(|wrong| Fatal(refused(&wrong)))?,
        None => Filter::of(match verbose {
            0 => LevelFilter::OFF,
            1 => LevelFilter::INFO,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }),
    };
    if !quiet && filter.highest() != LevelFilter::OFF {
        let log = Log { filter, started: Instant::now(), inert: environment.in_github_actions() };
        // There is one already only where the program runs twice in one process, as nothing does.
        let _ = set_global_default(log);
    }
    Ok(())
}

/// A part of the variable that cannot be understood.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Level(String),
    Target(String),
}

fn refused(wrong: &Wrong) -> Message {
    let (message, hint) = match wrong {
        Wrong::Level(text) => (
            format!("{VARIABLE}: `{text}` is not a level"),
            "one of off, error, warn, info, debug and trace; of one part alone: `info,npm_registry=debug`"
                .to_owned(),
        ),
        Wrong::Target(text) => {
            (format!("{VARIABLE}: nothing is called `{text}`"), format!("one of {}", TARGETS.join(", ")))
        }
    };
    Message::plain(message).hinting(Some(hint))
}

/// What is wanted of each of [`TARGETS`].
#[derive(Debug, PartialEq, Eq)]
struct Filter([LevelFilter; TARGETS.len()]);

impl Filter {
    fn of(all: LevelFilter) -> Self {
        Self([all; TARGETS.len()])
    }

    /// `debug`, or `info,npm_registry=debug`: what is said of one counts, wherever it stands. Of those of which nothing is
    /// said nothing is wanted.
    fn parse(text: &str) -> Result<Self, Wrong> {
        let (mut all, mut own) = (LevelFilter::OFF, [None; TARGETS.len()]);
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                None => all = level(part)?,
                Some((name, wanted)) => {
                    // People know the crates by their names.
                    let target = name.trim().replace('-', "_");
                    let index = TARGETS.iter().position(|known| *known == target);
                    own[index.ok_or_else(|| Wrong::Target(name.trim().to_owned()))?] = Some(level(wanted)?);
                }
            }
        }
        Ok(Self(own.map(|own| own.unwrap_or(all))))
    }

    fn highest(&self) -> LevelFilter {
        self.0.into_iter().max().unwrap_or(LevelFilter::OFF)
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        target(metadata).is_some_and(|index| *metadata.level() <= self.0[index])
    }
}

fn level(text: &str) -> Result<LevelFilter, Wrong> {
    let levels = [
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    let text = text.trim();
    let found = levels.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, level)| level).ok_or_else(|| Wrong::Level(text.to_owned()))
}

/// Which of [`TARGETS`] tells, out of the path of its module.
fn target(metadata: &Metadata<'_>) -> Option<usize> {
    let name = metadata.target().split("::").next();
    TARGETS.iter().position(|known| name == Some(*known))
}

struct Log {
    filter: Filter,
    started: Instant,
    /// Whether GitHub's runner reads along, which searches every line for commands.
    inert: bool,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.filter.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter.highest())
    }

    fn event(&self, event: &Event<'_>) {
        let mut told = EventText::default();
        event.record(&mut told);
        let metadata = event.metadata();
        let line = line(self.started.elapsed().as_secs_f64(), metadata, &told);
        let line = if self.inert { github::inert(&line) } else { line };
        // That nobody can read it keeps nobody from working.
        above_the_bar(|| drop(AutoStream::auto(io::stderr().lock()).write_all(line.as_bytes())));
    }

    // Nobody of ours makes spans, and those of others are not enabled.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// `   0.124s debug npm_registry: GET url=https://host/a.tgz status=200`
fn line(seconds: f64, metadata: &Metadata<'_>, told: &EventText) -> String {
    let (word, style) = match *metadata.level() {
        Level::ERROR => ("error", AnsiColor::Red.on_default().bold()),
        Level::WARN => ("warn", AnsiColor::Yellow.on_default()),
        Level::INFO => ("info", AnsiColor::Green.on_default()),
        Level::DEBUG => ("debug", AnsiColor::Cyan.on_default()),
        Level::TRACE => ("trace", Style::new().dimmed()),
    };
    let EventText { message, fields } = told;
    let name = target(metadata).map_or("", |index| TARGETS[index]);
    format!("{seconds:>8.3}s {style}{word}{style:#} {name}: {message}{fields}\n")
}

/// An event as text, in which nothing moves what a terminal shows: names come from the authors of the repository.
#[derive(Default)]
struct EventText {
    message: String,
    fields: String,
}

impl EventText {
    fn add(&mut self, field: &Field, value: &str) {
        let value = plain(value);
        if field.name() == "message" {
            self.message = value;
            return;
        }
        let quoted = value.is_empty() || value.contains([' ', '"']);
        let value = if quoted { format!("\"{}\"", value.replace('"', "\\\"")) } else { value };
        let _ = write!(self.fields, " {}={value}", field.name());
    }
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Of a time more than a digit behind the point is noise.
        let is_time = matches!(field.name(), "took" | "pause");
        self.add(field, &if is_time { format!("{value:.1?}") } else { format!("{value:?}") });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_all_and_another_may_be_for_one() {
        assert_eq!(Filter::parse("debug"), Ok(Filter::of(LevelFilter::DEBUG)));
        assert_eq!(Filter::parse(" OFF "), Ok(Filter::of(LevelFilter::OFF)));
        let filter = Filter::parse("npm-registry=trace, info,nix_lang=off").unwrap();
        let mut expected = [LevelFilter::INFO; TARGETS.len()];
        (expected[0], expected[4]) = (LevelFilter::OFF, LevelFilter::TRACE);
        assert_eq!(filter, Filter(expected));
        assert_eq!(filter.highest(), LevelFilter::TRACE);
        assert_eq!(Filter::parse("nix_sites=warn").unwrap().highest(), LevelFilter::WARN);
    }

    #[test]
    fn what_is_no_level_and_no_target_is_told() {
        assert_eq!(Filter::parse("loud"), Err(Wrong::Level("loud".to_owned())));
        assert_eq!(Filter::parse("info,npm_registry=5"), Err(Wrong::Level("5".to_owned())));
        // h2 tells of every header, those with tokens too.
        assert_eq!(Filter::parse("h2=trace"), Err(Wrong::Target("h2".to_owned())));
    }
}
