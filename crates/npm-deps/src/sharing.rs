//! Tarballs from other machines first, from the network where that does not help or takes too long.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures::future::{Either, select};
use npm_registry::Watch;
use npm_tarballs::Tarball;
use npm_tarballs::store::shared::{Pace, SharedAnswer, SharedTarballs};
use tokio::time::timeout;
use tracing::debug;

use super::supply::{Supply, SupplyError, Want};

impl Supply {
    /// The tarball of another machine, or else from the network; the others are told then.
    pub(super) async fn shared_or_downloaded(
        &self,
        shared: &Arc<dyn SharedTarballs>,
        want: &Want,
        watch: &dyn Watch,
    ) -> Result<Tarball, SupplyError> {
        let Some(patience) = shared.patience() else {
            return self.download_for(shared, want, watch, false).await;
        };
        let (began, pace) = (Instant::now(), Pace::begun());
        let mut asked = pin!(shared.get(want.url.as_str(), self.receiver(want), &pace));
        let mut answer = timeout(patience.usual, &mut asked).await;
        if answer.is_err() && pace.promises(patience.longest) {
            answer = timeout(patience.longest.saturating_sub(patience.usual), &mut asked).await;
        }
        if let Ok(answer) = answer {
            return self.answered(shared, want, answer, watch, began).await;
        }
        let late = Instant::now();
        // Who comes first has it: that the others are slow must not cost more than was waited until here.
        let download = pin!(self.download_for(shared, want, watch, false));
        match select(asked, download).await {
            Either::Left((SharedAnswer::Here(tarball), _)) => Ok(self.taken_in(&**shared, want, tarball)),
            Either::Left((_, download)) => {
                shared.lost(began, late);
                download.await
            }
            Either::Right((Ok(tarball), _)) => {
                shared.lost(began, late);
                Ok(tarball)
            }
            // Without credentials, for instance, it is worth the while.
            Either::Right((Err(error), asked)) => match asked.await {
                SharedAnswer::Here(tarball) => Ok(self.taken_in(&**shared, want, tarball)),
                SharedAnswer::Absent | SharedAnswer::Unknown => Err(error),
            },
        }
    }

    async fn answered(
        &self,
        shared: &Arc<dyn SharedTarballs>,
        want: &Want,
        answer: SharedAnswer,
        watch: &dyn Watch,
        began: Instant,
    ) -> Result<Tarball, SupplyError> {
        if let SharedAnswer::Here(tarball) = answer {
            return Ok(self.taken_in(&**shared, want, tarball));
        }
        shared.lost(began, Instant::now());
        // That it is absent is known already, so it is written without another look; and over a damaged one, which
        // counts as absent.
        self.download_for(shared, want, watch, matches!(answer, SharedAnswer::Absent)).await
    }

    /// Keeps what another machine had, for as long as its word counts.
    fn taken_in(&self, shared: &dyn SharedTarballs, want: &Want, tarball: Tarball) -> Tarball {
        debug!(package = want.package, from = "another machine", bytes = tarball.len(), "a tarball");
        match by_word_of(shared, want) {
            Some(name) => self.keep_from(&name, &tarball),
            None => self.keep(&tarball),
        }
        tarball
    }

    async fn download_for(
        &self,
        shared: &Arc<dyn SharedTarballs>,
        want: &Want,
        watch: &dyn Watch,
        replace: bool,
    ) -> Result<Tarball, SupplyError> {
        let tarball = self.download_watched(want, watch).await?;
        // What waits to be written takes no memory. Only a full disk keeps it from being parked; then it is not told.
        if let Ok(parked) = self.park(tarball.clone()) {
            shared.put(want.url.as_str(), parked, replace);
        }
        Ok(tarball)
    }
}

/// The name under which a store remembers what others say of a URL: it is believed only while they are asked at all, so
/// that a run which believes nobody downloads what it knows by hearsay.
pub(super) fn by_word_of(shared: &dyn SharedTarballs, want: &Want) -> Option<String> {
    Some(format!("{} by the word of {}", want.url.as_str(), shared.word()?))
}
