//! The progress bar: tarballs and bytes of how many, the rate and the time left, on a terminal only; and a word about pauses
//! that somebody would wonder about.

use std::{
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use npm_nixhash::{
    npm_deps::supply::Progress,
    registry::{Retry, Watch},
};

use super::signals::before_the_end;

/// A bar that appears with the first order.
pub(super) struct Bar {
    shown: ProgressBar,
    figures: Mutex<Figures>,
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
    /// `1.2 MiB of about 3.0 MiB, 600 KiB/s, 3 s left`, after so many seconds: as much of it as is known.
    fn line(&self, seconds: f64) -> String {
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
        match (total - self.received).checked_div(rate) {
            None => whole,
            Some(left) => format!("{whole}, {}/s, {} left", HumanBytes(rate), clock(left)),
        }
    }
}

/// `9 s`, or `1:05` from a minute on.
fn clock(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { format!("{}:{:02}", seconds / 60, seconds % 60) }
}

/// A shorter pause goes unnoticed.
const NOTICEABLE: Duration = Duration::from_secs(3);

/// The bar takes what room there is and none where there is none; the figures are what people read.
const STYLE: &str = "{spinner} {pos}/{len} tarballs  {msg} {wide_bar:.cyan/dim}";

impl Bar {
    pub(super) fn new(visible: bool, tells: bool) -> Self {
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        bar.set_style(ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar()));
        if visible {
            // Where signals cannot be caught, the bar stays on the screen, as without this.
            let shown = bar.clone();
            let _ = before_the_end(move || shown.finish_and_clear());
        }
        Self { shown: bar, figures: Mutex::default(), tells }
    }

    pub(super) fn finish(&self) {
        self.shown.finish_and_clear();
    }

    /// Changes the figures, and shows them.
    fn note(&self, change: impl FnOnce(&mut Figures)) {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut figures);
        if !self.shown.is_hidden() {
            let seconds = figures.since.map_or(0.0, |since| since.elapsed().as_secs_f64());
            self.shown.set_message(figures.line(seconds));
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
            self.shown.enable_steady_tick(Duration::from_millis(100));
        }
    }

    fn delivered(&self) {
        self.shown.inc(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_tell_what_is_known_and_no_more() {
        let figures = Figures { ordered: 40, received: 1 << 20, ..Figures::default() };
        assert_eq!(figures.line(2.0), "1.00 MiB");
        let announced = Figures { announced: 20, length: 2 << 20, ..figures };
        assert_eq!(announced.line(0.1), "1.00 MiB", "a rate of so short a time is none");
        assert_eq!(announced.line(2.0), "1.00 MiB of about 4.00 MiB, 512.00 KiB/s, 6 s left");
        let all = Figures { announced: 40, length: 100 << 20, ..figures };
        assert_eq!(all.line(1.0), "1.00 MiB of 100.00 MiB, 1.00 MiB/s, 1:39 left");
        let few = Figures { announced: 3, length: 3, ..figures };
        assert_eq!(few.line(2.0), "1.00 MiB", "three of forty say nothing of the rest");
        let none = Figures { received: 0, ..announced };
        assert_eq!(none.line(2.0), "0 B of about 4.00 MiB");
    }
}
