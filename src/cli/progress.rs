//! The progress bar: tarballs and bytes, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use npm_nixhash::{npm_deps::supply::Progress, registry::Watch};

/// A bar that appears with the first order.
pub(super) struct Bar {
    bar: ProgressBar,
    bytes: std::sync::atomic::AtomicU64,
}

impl Bar {
    pub(super) fn new(visible: bool) -> Self {
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{spinner} {pos}/{len} tarballs  {msg}  {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, bytes: std::sync::atomic::AtomicU64::new(0) }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Bar {
    fn received(&self, bytes: u64) {
        use std::sync::atomic::Ordering::Relaxed;
        let total = self.bytes.fetch_add(bytes, Relaxed) + bytes;
        if !self.bar.is_hidden() {
            self.bar.set_message(indicatif::HumanBytes(total).to_string());
        }
    }

    fn discarded(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Progress for Bar {
    fn ordered(&self) {
        self.bar.inc_length(1);
        if !self.bar.is_hidden() {
            self.bar.enable_steady_tick(Duration::from_millis(100));
        }
    }

    fn delivered(&self) {
        self.bar.inc(1);
    }
}
