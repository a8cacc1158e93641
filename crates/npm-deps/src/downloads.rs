//! The queue between the scheduler and the network: what is wanted first is fetched first.

use std::collections::BTreeMap;
use std::sync::{Arc, Once};
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use npm_tarballs::Tarball;
use npm_tarballs::integrity::{Algorithm, ContentId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tracing::info;

use super::scheduler::{Scheduler, Served, SlotId, StartDownload};
use super::supply::{Supply, SupplyError, Want};
use super::underway::Underway;

/// Downloads that wait for a free place, and the means to carry them out.
pub(super) struct Downloads {
    supply: Arc<Supply>,
    underway: Arc<Underway>,
    incoming: UnboundedReceiver<Message>,
    sender: UnboundedSender<Message>,
    waiting: BTreeMap<(Rank, SlotId), Pending>,
    open: bool,
}

enum Message {
    Download(Box<Pending>),
    Stop,
}

/// A content that has to be fetched.
struct Pending {
    slot: SlotId,
    want: Want,
    served: Option<Served>,
}

/// Contents come in the order in which the trees are hashed, so that hashing keeps up with the downloads. What is
/// probably large is asked for [`LEAD`] before its turn: a large download that starts late is the tail of the run, and
/// one that starts long before the rest holds up every tree, because none can be hashed past what is missing.
type Rank = (Algorithm, u64, ContentId);

/// How far large contents go ahead. Digests are spread evenly, so that this is a part of the whole run.
const LEAD: u64 = u64::MAX / 4;

fn rank(want: &Want) -> Rank {
    let start = want.id.digest().first_chunk().map_or(0, |start| u64::from_be_bytes(*start));
    (want.id.algorithm(), if want.early { start.saturating_sub(LEAD) } else { start }, want.id)
}

/// Whether one more download may start beside so many; `surely` so many run whether the line has room or not.
pub(super) fn may_start(running: usize, places: usize, surely: usize, has_room: bool) -> bool {
    running < places && (running < surely || has_room)
}

type Fetched = (SlotId, Result<Tarball, SupplyError>);

/// Ends [`Downloads::serve`] once there is nothing left to download.
pub(super) struct Stopper(UnboundedSender<Message>);

impl Stopper {
    pub(super) fn stop(self) {
        // The receiver is gone only if serving has ended already.
        let _ = self.0.send(Message::Stop);
    }
}

impl Downloads {
    pub(super) fn new(supply: Arc<Supply>) -> (Self, StartDownload) {
        let (sender, incoming) = unbounded_channel();
        let (underway, waiting) = (Arc::default(), BTreeMap::new());
        let downloads = Self { supply, underway, incoming, sender: sender.clone(), waiting, open: true };
        let (prepared, of) = (Once::new(), Arc::clone(&downloads.supply));
        let start = move |slot, want, served| {
            prepared.call_once(|| of.prepare());
            let _ = sender.send(Message::Download(Box::new(Pending { slot, want, served })));
        };
        (downloads, Box::new(start))
    }

    pub(super) fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// Fetches what is asked for and delivers it, until told to stop.
    pub(super) async fn serve(mut self, scheduler: &Scheduler<'_>) {
        let (mut running, began, mut fetched) = (FuturesUnordered::new(), Instant::now(), 0_usize);
        while self.open || !running.is_empty() {
            while may_start(
                running.len(),
                self.supply.concurrency(),
                self.underway.surely(),
                self.underway.has_room(),
            ) && let Some((_, order)) = self.waiting.pop_first()
            {
                running.push(self.fetch(order));
            }
            tokio::select! {
                message = self.incoming.recv(), if self.open => self.take_in(message),
                () = self.underway.eased(), if !self.waiting.is_empty() => {}
                Some(ended) = running.next(), if !running.is_empty() => {
                    // A task that panicked has said so on its own; the run cannot go on without its content.
                    let (slot, result): Fetched = ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                    self.supply.progress().delivered();
                    fetched += 1;
                    scheduler.deliver(slot, result);
                }
            }
        }
        if fetched > 0 {
            info!(tarballs = fetched, took = ?began.elapsed(), "what was not on disk is here");
        }
    }

    fn take_in(&mut self, first: Option<Message>) {
        let mut next = first;
        loop {
            match next {
                Some(Message::Download(order)) => {
                    self.supply.progress().ordered();
                    self.waiting.insert((rank(&order.want), order.slot), *order);
                }
                Some(Message::Stop) | None => {
                    self.open = false;
                    return;
                }
            }
            match self.incoming.try_recv() {
                Ok(message) => next = Some(message),
                Err(_) => return,
            }
        }
    }

    /// In a task of its own: checking what arrives takes a core's time.
    fn fetch(&self, pending: Pending) -> JoinHandle<Fetched> {
        let Pending { slot, want, served } = pending;
        let supply = Arc::clone(&self.supply);
        let awaited = self.underway.await_body(Arc::clone(supply.progress()));
        tokio::spawn(async move {
            let served = served.and_then(|served| served.bytes.or_else(|| supply.on_disk(&served.want)));
            // A lockfile with sha1 and one with sha512 name the same bytes: they are hashed again, and not fetched
            // again.
            let same = served.and_then(|served| supply.recognise(&served, &want));
            (
                slot,
                if let Some(tarball) = same {
                    Ok(tarball)
                } else {
                    supply.obtain_watched(&want, &awaited).await
                },
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_contents_are_asked_for_a_quarter_of_the_run_ahead() {
        let want = |start: u8, early| {
            let id = ContentId::new(Algorithm::Sha512, &[start; 64]).unwrap();
            Want { package: start.to_string(), scope: None, url: "https://host/".parse().unwrap(), id, early }
        };
        let mut wants = [
            want(10, true),
            want(100, true),
            want(255, true),
            want(1, false),
            want(40, false),
            want(200, false),
        ];
        wants.sort_by_key(rank);
        let order: Vec<_> = wants.iter().map(|want| want.package.as_str()).collect();
        assert_eq!(order, ["10", "1", "100", "40", "255", "200"]);
    }
}
