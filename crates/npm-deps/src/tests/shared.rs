//! Tarballs of other machines, and the network where those do not help.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use npm_lockfile::options::HashOptions;
use npm_tarballs::Tarball;
use npm_tarballs::integrity::ContentId;
use npm_tarballs::store::shared::{Pace, SharedAnswer, SharedTarballs, WaitingTime};
use npm_tarballs::verified::Receiver;
use tempfile::tempdir;

use super::{Run, lockfile, one};
use crate::supply::Supply;
use crate::{Computed, HashRequest};

const BYTES: &[u8] = b"bytes of a";

/// What other machines do when they are asked.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Have,
    Lack,
    Fail,
    /// They have it after a while, of which they told how much came.
    HaveLater {
        received: usize,
    },
    /// They never answer.
    Hang,
}

#[derive(Debug)]
struct Others {
    word: Option<&'static str>,
    manner: Manner,
    patience: Option<WaitingTime>,
    lost: Mutex<usize>,
    put: Mutex<Vec<(String, ContentId, bool)>>,
}

impl Others {
    fn new(manner: Manner) -> Self {
        let patience =
            Some(WaitingTime { usual: Duration::from_millis(20), longest: Duration::from_mins(1) });
        Self { word: Some("cache.example"), manner, patience, lost: Mutex::default(), put: Mutex::default() }
    }

    fn lost(&self) -> usize {
        *self.lost.lock().unwrap()
    }

    /// What they were told, and whether it replaces what they had.
    fn told(&self) -> Vec<bool> {
        let put = self.put.lock().unwrap();
        put.iter()
            .map(|(url, id, replace)| {
                assert_eq!(
                    (url.as_str(), *id),
                    ("https://registry.npmjs.org/a.tgz", ContentId::sha512_of(BYTES))
                );
                *replace
            })
            .collect()
    }
}

impl SharedTarballs for Others {
    fn word(&self) -> Option<String> {
        self.word.map(str::to_owned)
    }

    fn patience(&self) -> Option<WaitingTime> {
        self.patience
    }

    fn get<'a>(
        &'a self,
        _url: &'a str,
        mut receiver: Receiver,
        pace: &'a Pace,
    ) -> BoxFuture<'a, SharedAnswer> {
        Box::pin(async move {
            match self.manner {
                Manner::Lack => return SharedAnswer::Absent,
                Manner::Fail => return SharedAnswer::Unknown,
                Manner::Hang => futures::future::pending().await,
                Manner::HaveLater { received } => {
                    pace.announce(BYTES.len() as u64);
                    pace.add(received);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Manner::Have => {}
            }
            receiver.write(BYTES).unwrap();
            SharedAnswer::Here(receiver.finish().unwrap())
        })
    }

    fn lost(&self, _since: Instant, _until: Instant) {
        *self.lost.lock().unwrap() += 1;
    }

    fn put(&self, url: &str, tarball: Tarball, replace: bool) {
        self.put.lock().unwrap().push((url.to_owned(), tarball.id(), replace));
    }
}

fn serving() -> Run {
    let run = Run::new();
    run.host.serve("/a.tgz", BYTES);
    run
}

fn hash(supply: Supply) -> Computed {
    let text =
        lockfile(&[("a", "https://registry.npmjs.org/a.tgz", Some(&ContentId::sha512_of(BYTES).sri()))]);
    one(&HashRequest::new(text.as_bytes().into(), HashOptions::default()), supply).unwrap()
}

fn with(supply: Supply, others: &Arc<Others>) -> Supply {
    supply.sharing(Some(Arc::clone(others) as Arc<dyn SharedTarballs>))
}

#[test]
fn what_another_machine_has_is_not_downloaded_and_leads_to_the_same_hash() {
    let run = serving();
    let others = Arc::new(Others::new(Manner::Have));
    let shared = hash(with(run.supply(), &others));
    assert_eq!((run.host.asked().len(), others.lost(), others.told()), (0, 0, vec![]));
    assert_eq!(shared.hash, hash(run.supply()).hash);
}

#[test]
fn what_another_machine_lacks_is_downloaded_and_told() {
    let run = serving();
    for (manner, replace) in [(Manner::Lack, true), (Manner::Fail, false)] {
        let others = Arc::new(Others::new(manner));
        hash(with(run.supply(), &others));
        assert_eq!((others.lost(), others.told()), (1, vec![replace]));
    }
    assert_eq!(run.host.asked().len(), 2);
    // Nobody is asked for whom there is no patience left, and told all the same.
    let others = Arc::new(Others { patience: None, ..Others::new(Manner::Have) });
    hash(with(run.supply(), &others));
    assert_eq!((run.host.asked().len(), others.lost(), others.told()), (3, 0, vec![false]));
}

#[test]
fn what_comes_slowly_is_waited_for_where_its_pace_promises_its_end() {
    let run = serving();
    let others = Arc::new(Others::new(Manner::HaveLater { received: BYTES.len() - 1 }));
    hash(with(run.supply(), &others));
    assert_eq!((run.host.asked().len(), others.lost()), (0, 0));
    for manner in [Manner::HaveLater { received: 0 }, Manner::Hang] {
        let others = Arc::new(Others::new(manner));
        hash(with(run.supply(), &others));
        assert_eq!((others.lost(), others.told()), (1, vec![false]));
    }
    assert_eq!(run.host.asked().len(), 2);
}

#[test]
fn what_is_kept_by_the_word_of_others_counts_while_they_are_asked() {
    let run = serving();
    let folder = tempdir().unwrap();
    let have = Arc::new(Others::new(Manner::Have));
    hash(with(run.keeping(&folder), &have));
    let same = Arc::new(Others::new(Manner::Lack));
    hash(with(run.keeping(&folder), &same));
    assert_eq!((run.host.asked().len(), same.lost()), (0, 0), "it is on disk");
    let strangers = Arc::new(Others { word: Some("other.example"), ..Others::new(Manner::Lack) });
    hash(with(run.keeping(&folder), &strangers));
    assert_eq!((run.host.asked().len(), strangers.lost()), (1, 1));
    // From then on it is known from the URL itself.
    hash(run.keeping(&folder));
    assert_eq!(run.host.asked().len(), 1);
}

#[test]
fn hearsay_counts_for_nobody_who_asks_no_other_machine() {
    let run = serving();
    let folder = tempdir().unwrap();
    hash(with(run.keeping(&folder), &Arc::new(Others::new(Manner::Have))));
    hash(run.keeping(&folder));
    assert_eq!(run.host.asked().len(), 1);
    // Nor is anything kept of those who are not read from.
    let other = tempdir().unwrap();
    let silent = Arc::new(Others { word: None, ..Others::new(Manner::Have) });
    hash(with(run.keeping(&other), &silent));
    hash(with(run.keeping(&other), &Arc::new(Others { word: None, ..Others::new(Manner::Lack) })));
    assert_eq!(run.host.asked().len(), 2);
}
