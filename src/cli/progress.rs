//! The progress bar: tarballs and bytes of how many, the rate, the time left, and whose they are, on a terminal only; and a
//! word about pauses that somebody would wonder about.

use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use npm_deps::supply::Progress;
use npm_lockfile::listing::some;
use npm_nixhash::report::human;
use npm_registry::{Retry, Watch};
use unicode_truncate::UnicodeTruncateStr as _;

use super::output::stderr_width;
use super::signals::before_the_end;

/// A bar that appears with the first order.
pub(super) struct Bar {
    shown: ProgressBar,
    figures: Mutex<Figures>,
    /// What hashes are being computed of.
    busy_with: Mutex<Vec<String>>,
    /// Whether a long pause is told.
    tells: bool,
}

/// What is known of the downloads of a run.
#[derive(Debug, Default, Clone, Copy)]
struct Figures {
    /// When the first of them was ordered.
    since: Option<Instant>,
    ordered: u64,
    received: u64,
    /// Bodies of which the server told the length, and those lengths together.
    announced: u64,
    length: u64,
}

impl Figures {
    /// `1.2 MiB of about 3.0 MiB, 600 KiB/s, 3 s left`, after so many seconds: as much of it as is known, and has room.
    fn line(&self, seconds: f64, room: usize) -> String {
        let received = HumanBytes(self.received).to_string();
        // Small answers come before large ones, so that the first few say nothing of the rest.
        if self.announced == 0 || seconds < 0.5 || self.announced * 10 < self.ordered {
            return received;
        }
        // What was not begun yet is taken to be as large as the rest.
        let total = (self.length.saturating_mul(self.ordered) / self.announced).max(self.received);
        let about = if self.announced == self.ordered { "" } else { "about " };
        let whole = format!("{received} of {about}{}", HumanBytes(total));
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate for people"
        )]
        let rate = (self.received as f64 / seconds) as u64;
        let Some(left) = (total - self.received).checked_div(rate) else { return whole };
        let left = clock(left);
        let all =
            [format!("{whole}, {}/s, {left} left", HumanBytes(rate)), format!("{whole}, {left} left"), whole];
        all.into_iter().find(|text| text.len() <= room).unwrap_or(received)
    }
}

/// `9 s`, or `1:05` from a minute on.
fn clock(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { format!("{}:{:02}", seconds / 60, seconds % 60) }
}

/// A shorter pause goes unnoticed.
const NOTICEABLE: Duration = Duration::from_secs(3);

/// Whose tarballs they are; the figures, which are what people read; and a bar in the room that is left.
const STYLE: &str = "{spinner} {msg}\n  {pos}/{len} tarballs  {prefix} {wide_bar:.cyan/dim}";
const PLAIN_STYLE: &str = "{spinner} {msg}\n  {pos}/{len} tarballs  {prefix} {wide_bar}";

/// Columns where nobody says how many there are.
const COLUMNS: usize = 80;

/// Services that are named before the rest is counted.
const NAMED: usize = 4;

/// `web, api, worker, docs and 3 more`, in so many columns.
fn several(names: &[String], room: usize) -> String {
    // A line that is broken would be drawn again and again.
    some(names, NAMED, ", ").unicode_truncate(room).0.to_owned()
}

/// The names beside the spinner.
fn named(names: &[String]) -> String {
    several(names, stderr_width().unwrap_or(COLUMNS).saturating_sub(3))
}

/// The bar that is on the screen. There may be one after the other in a run that goes on.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Has a signal that ends the program take the bar away first.
fn take_away_at_the_end(bar: &ProgressBar) {
    static ASKED: Once = Once::new();
    *locked(&SHOWN) = Some(bar.clone());
    ASKED.call_once(|| {
        // Where signals cannot be caught, the bar stays on the screen, as without this.
        let _ = before_the_end(|| {
            if let Some(bar) = &*locked(&SHOWN) {
                bar.finish_and_clear();
            }
        });
    });
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes to standard error without the bar in between.
pub(super) fn above_the_bar(write: impl FnOnce()) {
    // Not under the lock: what takes the bar away when a signal ends the program must not wait for who reads so slowly.
    let bar = locked(&SHOWN).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

impl Bar {
    pub(super) fn new(visible: bool, tells: bool) -> Self {
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = if AutoStream::choice(&io::stderr()) == ColorChoice::Never { PLAIN_STYLE } else { STYLE };
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        if visible {
            take_away_at_the_end(&bar);
        }
        Self { shown: bar, figures: Mutex::default(), busy_with: Mutex::default(), tells }
    }

    pub(super) fn finish(&self) {
        self.shown.finish_and_clear();
    }

    /// Changes the figures, and shows them.
    fn note(&self, change: impl FnOnce(&mut Figures)) {
        let mut figures = locked(&self.figures);
        change(&mut figures);
        if !self.shown.is_hidden() {
            let seconds = figures.since.map_or(0.0, |since| since.elapsed().as_secs_f64());
            let counts = format!("  {0}/{0} tarballs   ", figures.ordered);
            let room = stderr_width().unwrap_or(COLUMNS).saturating_sub(counts.len());
            self.shown.set_prefix(figures.line(seconds, room));
        }
    }

    /// Changes what the bar is busy with, and shows it.
    fn turn_to(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut names = locked(&self.busy_with);
        change(&mut names);
        // A run that downloads nothing has no bar.
        if !self.shown.is_hidden() && locked(&self.figures).ordered > 0 {
            self.shown.set_message(named(&names));
        }
    }
}

impl Watch for Bar {
    fn begun(&self, length: Option<u64>) {
        self.note(|figures| {
            figures.announced += u64::from(length.is_some());
            figures.length = figures.length.saturating_add(length.unwrap_or(0));
        });
    }

    fn received(&self, bytes: u64) {
        self.note(|figures| figures.received += bytes);
    }

    fn retrying(&self, retry: &Retry<'_>) {
        if !self.tells || !retry.shared || retry.pause < NOTICEABLE {
            return;
        }
        let seconds = retry.pause.as_secs_f64().ceil();
        let line =
            format!("note: waiting {seconds} seconds, as the server asks ({}): {}", retry.problem, retry.url);
        // That nobody can read it keeps no download waiting.
        self.shown.suspend(|| drop(writeln!(io::stderr(), "{line}")));
    }

    fn discarded(&self, bytes: u64) {
        self.note(|figures| figures.received = figures.received.saturating_sub(bytes));
    }
}

impl Progress for Bar {
    fn ordered(&self) {
        self.shown.inc_length(1);
        self.note(|figures| {
            figures.since.get_or_insert_with(Instant::now);
            figures.ordered += 1;
        });
        if !self.shown.is_hidden() {
            self.shown.set_message(named(&locked(&self.busy_with)));
            self.shown.enable_steady_tick(Duration::from_millis(100));
        }
    }

    fn delivered(&self) {
        self.shown.inc(1);
    }

    fn begun_hash(&self, label: &str) {
        self.turn_to(|names| names.push(human::plain(label)));
    }

    fn ended_hash(&self, label: &str) {
        let label = human::plain(label);
        self.turn_to(|names| {
            if let Some(index) = names.iter().position(|name| *name == label) {
                names.remove(index);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_services_are_named_and_the_rest_is_counted() {
        let names: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
        assert_eq!(several(&names, 80), "a, b, c, d and 2 more");
        assert_eq!(several(&names[..2], 80), "a, b");
        assert_eq!(several(&names, 6), "a, b, ");
        assert_eq!(several(&[], 80), "");
    }

    #[test]
    fn the_figures_tell_what_is_known_and_no_more() {
        let figures = Figures { ordered: 40, received: 1 << 20, ..Figures::default() };
        assert_eq!(figures.line(2.0, 80), "1.00 MiB");
        let announced = Figures { announced: 20, length: 2 << 20, ..figures };
        assert_eq!(announced.line(0.1, 80), "1.00 MiB", "a rate of so short a time is none");
        assert_eq!(announced.line(2.0, 80), "1.00 MiB of about 4.00 MiB, 512.00 KiB/s, 6 s left");
        assert_eq!(announced.line(2.0, 40), "1.00 MiB of about 4.00 MiB, 6 s left");
        assert_eq!(announced.line(2.0, 30), "1.00 MiB of about 4.00 MiB");
        assert_eq!(announced.line(2.0, 10), "1.00 MiB");
        let all = Figures { announced: 40, length: 100 << 20, ..figures };
        assert_eq!(all.line(1.0, 80), "1.00 MiB of 100.00 MiB, 1.00 MiB/s, 1:39 left");
        let few = Figures { announced: 3, length: 3, ..figures };
        assert_eq!(few.line(2.0, 80), "1.00 MiB", "three of forty say nothing of the rest");
        let none = Figures { received: 0, ..announced };
        assert_eq!(none.line(2.0, 80), "0 B of about 4.00 MiB");
    }
}
