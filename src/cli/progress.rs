//! The progress bar: tarballs and bytes, on a terminal only; and a word about pauses that somebody would wonder about.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use npm_nixhash::{
    npm_deps::supply::Progress,
    registry::{Retry, Watch},
};

/// A bar that appears with the first order.
pub(super) struct Bar {
    shown: ProgressBar,
    bytes: std::sync::atomic::AtomicU64,
    /// Whether a long pause is told.
    tells: bool,
}

/// A shorter pause goes unnoticed.
const NOTICEABLE: Duration = Duration::from_secs(3);

impl Bar {
    pub(super) fn new(visible: bool, tells: bool) -> Self {
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{spinner} {pos}/{len} tarballs  {msg}  {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { shown: bar, bytes: std::sync::atomic::AtomicU64::new(0), tells }
    }

    pub(super) fn finish(&self) {
        self.shown.finish_and_clear();
    }
}

impl Watch for Bar {
    fn received(&self, bytes: u64) {
        use std::sync::atomic::Ordering::Relaxed;
        let total = self.bytes.fetch_add(bytes, Relaxed) + bytes;
        if !self.shown.is_hidden() {
            self.shown.set_message(indicatif::HumanBytes(total).to_string());
        }
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
        self.bytes.fetch_sub(bytes, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Progress for Bar {
    fn ordered(&self) {
        self.shown.inc_length(1);
        if !self.shown.is_hidden() {
            self.shown.enable_steady_tick(Duration::from_millis(100));
        }
    }

    fn delivered(&self) {
        self.shown.inc(1);
    }
}
