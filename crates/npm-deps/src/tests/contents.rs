//! What becomes of contents between the disk, the network and the trees that want them.

use std::sync::{Arc, Mutex};
use std::{fs, io};

use bytes::Bytes;
use gnu_archive::repack;
use npm_lockfile::CanonicalUrl;
use npm_lockfile::options::HashOptions;
use npm_tarballs::Tarball;
use npm_tarballs::integrity::{Algorithm, ContentId, Hasher};
use npm_tarballs::store::Store;
use npm_tarballs::store::npm_cache::NpmCache;
use tempfile::{TempDir, tempdir};
use tokio::runtime::{Builder, Runtime};

use super::{Run, lockfile, obstacles, one};
use crate::downloads::may_start;
use crate::scheduler::{Scheduler, Served, SlotId};
use crate::supply::{Supply, SupplyError, Want};
use crate::unpacking::TooLarge as _;
use crate::{HashRequest, Outputs};

fn url(name: &str) -> CanonicalUrl {
    format!("https://host.example/{name}.tgz").parse().unwrap()
}

fn tarball(text: &str) -> Tarball {
    Tarball::of(Bytes::copy_from_slice(text.as_bytes()))
}

fn want(name: &str, id: ContentId) -> Want {
    Want { package: name.to_owned(), scope: None, url: url(name), id, early: false }
}

fn sha1(bytes: &[u8]) -> ContentId {
    let mut hasher = Hasher::new(Algorithm::Sha1);
    hasher.update(bytes);
    hasher.finish()
}

fn lost(want: &Want) -> SupplyError {
    SupplyError::Offline { package: want.package.clone(), url: want.url.as_str().to_owned() }
}

/// A download that was asked for: what, and what its URL is known to serve by the word of another want.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    slot: SlotId,
    want: String,
    served: Option<(ContentId, Option<Bytes>)>,
}

/// A supply from a folder, without a network.
struct Disk {
    supply: Supply,
    store: Store,
    folder: TempDir,
    _runtime: Runtime,
}

impl Disk {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let folder = tempdir().unwrap();
        let store = Store::at(folder.path().to_owned());
        let supply = Supply::new(Some(store.clone()), None, None, runtime.handle().clone());
        Self { supply, store, folder, _runtime: runtime }
    }

    fn keep(&self, name: &str, tarball: &Tarball) {
        assert!(self.store.put(tarball));
        self.store.learn(url(name).as_str(), &tarball.id());
    }

    fn scheduler(&self, careful: bool) -> (Scheduler<'_>, impl Fn() -> Vec<Asked>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let start = move |slot, want: Want, served: Option<Served>| {
            let served = served
                .map(|served| (served.want.id, served.bytes.and_then(|tarball| tarball.bytes().cloned())));
            log.lock().unwrap().push(Asked { slot, want: want.package, served });
        };
        let scheduler = Scheduler::new(&self.supply, Box::new(start), careful, [].into());
        (scheduler, move || asked.lock().unwrap().clone())
    }
}

fn asked(slot: SlotId, want: &str) -> Asked {
    Asked { slot, want: want.to_owned(), served: None }
}

#[test]
fn what_two_trees_want_is_fetched_once_and_let_go_when_both_had_it() {
    let disk = Disk::new();
    let (scheduler, log) = disk.scheduler(false);
    let (a, b) = (tarball("a"), tarball("bb"));
    for tree in [0, 1] {
        scheduler.announce(tree, want("a", a.id()));
        scheduler.announce(tree, want("b", b.id()));
    }
    assert_eq!(log(), [asked(0, "a"), asked(1, "b")]);
    assert!(scheduler.take(0, a.id()).is_none(), "it is on its way");
    scheduler.deliver(0, Ok(a.clone()));
    scheduler.deliver(1, Ok(b.clone()));
    assert_eq!(scheduler.held(), 3);
    assert_eq!(scheduler.take(0, a.id()).unwrap().bytes(), a.bytes());
    assert_eq!(scheduler.held(), 3, "the other tree has not had it");
    assert_eq!(scheduler.take(1, a.id()).unwrap().bytes(), a.bytes());
    assert_eq!(scheduler.held(), 2);
    scheduler.take(1, b.id()).unwrap();
    let ended = scheduler.finish();
    assert_eq!((ended[&0].bytes, ended[&1].bytes), (1, 3));
}

#[test]
fn a_tree_that_was_given_up_keeps_nothing_in_memory() {
    let disk = Disk::new();
    let (scheduler, _) = disk.scheduler(false);
    let (before, after) = (tarball("before"), tarball("after"));
    scheduler.announce(0, want("before", before.id()));
    scheduler.announce(0, want("after", after.id()));
    scheduler.put(0, want("made", tarball("made").id()), tarball("made"));
    scheduler.deliver(0, Ok(before));
    assert_eq!(scheduler.held(), 10);
    scheduler.give_up(0);
    assert_eq!(scheduler.held(), 0);
    scheduler.deliver(1, Ok(after));
    assert_eq!(scheduler.held(), 0, "nobody waits for it any longer");
}

#[test]
fn why_a_content_did_not_come_is_told_of_each_tree_that_wanted_it_even_if_it_was_given_up() {
    let disk = Disk::new();
    let (scheduler, _) = disk.scheduler(false);
    let (gone, here) = (want("gone", tarball("gone").id()), tarball("here"));
    for tree in [0, 1] {
        scheduler.announce(tree, gone.clone());
        scheduler.announce(tree, want("here", here.id()));
    }
    scheduler.give_up(0);
    scheduler.deliver(0, Err(lost(&gone)));
    scheduler.deliver(1, Ok(here));
    let ended = scheduler.finish();
    for tree in [0, 1] {
        let failures: Vec<_> = ended[&tree].failures.iter().map(ToString::to_string).collect();
        assert_eq!(failures, ["gone is not on disk (https://host.example/gone.tgz)"]);
    }
}

#[test]
fn more_than_four_mebibytes_do_not_wait_in_memory() {
    let disk = Disk::new();
    let (scheduler, _) = disk.scheduler(false);
    let half = Tarball::of(vec![1; 2 << 20].into());
    let rest = Tarball::of(vec![2; 2 << 20].into());
    let more = tarball("!");
    for (name, tarball) in [("half", &half), ("rest", &rest), ("more", &more)] {
        scheduler.announce(0, want(name, tarball.id()));
    }
    scheduler.deliver(0, Ok(half));
    scheduler.deliver(1, Ok(rest.clone()));
    scheduler.deliver(2, Ok(more.clone()));
    assert_eq!(scheduler.held(), 4 << 20);
    assert!(scheduler.take(0, rest.id()).unwrap().bytes().is_some(), "so much may");
    let parked = scheduler.take(0, more.id()).unwrap();
    assert!(parked.bytes().is_none());
    parked.prove().unwrap();
}

#[test]
fn what_is_on_disk_is_read_when_its_turn_comes_and_found_in_memory_by_the_next_tree() {
    let disk = Disk::new();
    let stored = tarball("stored");
    disk.keep("stored", &stored);
    let (scheduler, log) = disk.scheduler(false);
    for tree in [0, 1] {
        scheduler.announce(tree, want("stored", stored.id()));
    }
    assert_eq!((log(), scheduler.held()), (Vec::new(), 0));
    assert_eq!(scheduler.take(0, stored.id()).unwrap().bytes(), stored.bytes());
    assert_eq!(scheduler.held(), 6);
    scheduler.take(1, stored.id()).unwrap();
    assert_eq!((log(), scheduler.held()), (Vec::new(), 0));
}

#[test]
fn what_is_on_disk_fills_no_more_memory_than_what_is_downloaded() {
    let disk = Disk::new();
    let stored = tarball("stored");
    disk.keep("stored", &stored);
    let (scheduler, _) = disk.scheduler(false);
    let full = Tarball::of(vec![0; (4 << 20) - 5].into());
    scheduler.announce(0, want("full", full.id()));
    scheduler.deliver(0, Ok(full));
    for tree in [0, 1] {
        scheduler.announce(tree, want("stored", stored.id()));
        assert_eq!(scheduler.take(tree, stored.id()).unwrap().bytes(), stored.bytes());
        assert_eq!(scheduler.held(), (4 << 20) - 5, "it is read again for the next tree");
    }
}

/// A store with an entry of more than fits into memory, of which a byte changed since.
fn with_damage(disk: &Disk) -> Tarball {
    let large = Tarball::of(vec![3; (1 << 20) + 1].into());
    disk.keep("large", &large);
    let path = disk.store.path(&large.id());
    let mut bytes = fs::read(&path).unwrap();
    bytes[5] ^= 1;
    fs::write(path, bytes).unwrap();
    large
}

#[test]
fn a_large_content_on_disk_is_read_once_to_be_hashed_and_checked_meanwhile() {
    let disk = Disk::new();
    let large = with_damage(&disk);
    let (scheduler, log) = disk.scheduler(false);
    scheduler.announce(0, want("large", large.id()));
    let found = scheduler.take(0, large.id()).unwrap();
    assert!(found.bytes().is_none() && log().is_empty());
    assert!(found.prove().is_err(), "whoever hashes it finds out");
}

#[test]
fn after_a_loss_a_large_content_is_read_before_it_is_hashed_and_fetched_where_it_is_damaged() {
    let disk = Disk::new();
    let (large, whole) = (with_damage(&disk), Tarball::of(vec![4; (1 << 20) + 1].into()));
    disk.keep("whole", &whole);
    let (scheduler, log) = disk.scheduler(true);
    scheduler.announce(0, want("large", large.id()));
    scheduler.announce(0, want("whole", whole.id()));
    assert!(scheduler.take(0, large.id()).is_none());
    assert_eq!(log(), [asked(0, "large")]);
    assert_eq!(scheduler.take(0, whole.id()).unwrap().id(), whole.id());
    assert_eq!(log().len(), 1);
    assert!(disk.folder.path().exists());
}

#[test]
fn the_same_bytes_at_a_second_url_are_fetched_from_there_too() {
    let disk = Disk::new();
    let (scheduler, log) = disk.scheduler(false);
    let same = tarball("same");
    scheduler.announce(0, want("first", same.id()));
    scheduler.announce(0, want("second", same.id()));
    scheduler.deliver(0, Ok(same.clone()));
    let second = want("second", same.id());
    scheduler.deliver(1, Err(lost(&second)));
    assert_eq!(log(), [asked(0, "first"), asked(1, "second")]);
    let failures: Vec<_> = scheduler.finish()[&0].failures.iter().map(ToString::to_string).collect();
    assert_eq!(failures, ["second is not on disk (https://host.example/second.tgz)"]);
}

#[test]
fn a_second_url_that_served_the_same_bytes_before_is_not_asked_again() {
    let disk = Disk::new();
    let same = tarball("same");
    disk.keep("first", &same);
    disk.keep("second", &same);
    let (scheduler, log) = disk.scheduler(false);
    scheduler.announce(0, want("first", same.id()));
    scheduler.announce(0, want("second", same.id()));
    scheduler.announce(0, want("third", same.id()));
    assert_eq!(log(), [asked(2, "third")]);
}

#[test]
fn a_second_url_that_just_served_the_same_bytes_to_another_tree_is_not_asked_again() {
    let disk = Disk::new();
    let (scheduler, log) = disk.scheduler(false);
    let same = tarball("same");
    scheduler.announce(1, want("second", same.id()));
    scheduler.deliver(0, Ok(same.clone()));
    scheduler.announce(0, want("first", same.id()));
    scheduler.announce(0, want("second", same.id()));
    assert_eq!(log(), [asked(0, "second"), asked(1, "first")]);
}

#[test]
fn what_one_lockfile_has_with_sha1_and_another_one_with_sha512_comes_once() {
    let disk = Disk::new();
    let bytes = Bytes::from_static(b"bytes of two integrities");
    let (old, new) = (sha1(&bytes), ContentId::sha512_of(&bytes));
    let served = |bytes: Option<Bytes>| Asked { slot: 1, want: "one".to_owned(), served: Some((old, bytes)) };
    // While the first is on its way, the second waits for it.
    let (scheduler, log) = disk.scheduler(false);
    scheduler.announce(0, want("one", old));
    scheduler.announce(1, want("one", new));
    assert_eq!(log(), [asked(0, "one")]);
    scheduler.deliver(0, Ok(Tarball::verify(old, bytes.clone()).unwrap()));
    assert_eq!(log()[1..], [served(Some(bytes.clone()))]);
    // Where it is here already, its bytes go along.
    let (scheduler, log) = disk.scheduler(false);
    scheduler.announce(0, want("one", old));
    scheduler.deliver(0, Ok(Tarball::verify(old, bytes.clone()).unwrap()));
    scheduler.announce(1, want("one", new));
    assert_eq!(log()[1..], [served(Some(bytes.clone()))]);
    // Where it was let go, it may be on disk.
    let (scheduler, log) = disk.scheduler(false);
    scheduler.announce(0, want("one", old));
    scheduler.deliver(0, Ok(Tarball::verify(old, bytes).unwrap()));
    scheduler.take(0, old).unwrap();
    scheduler.announce(1, want("one", new));
    assert_eq!(log()[1..], [served(None)]);
    // What the URL did not serve under one integrity, it may serve under the other.
    let (scheduler, log) = disk.scheduler(false);
    scheduler.announce(0, want("one", old));
    scheduler.deliver(0, Err(lost(&want("one", old))));
    scheduler.announce(1, want("one", new));
    assert_eq!(log()[1..], [asked(1, "one")]);
}

#[test]
fn the_tree_with_the_most_bytes_on_disk_is_taken_up_first() {
    let disk = Disk::new();
    let (long, short) = (tarball("twenty bytes or more of it"), tarball("few"));
    disk.keep("long", &long);
    disk.keep("short", &short);
    let (scheduler, _) = disk.scheduler(false);
    scheduler.announce(0, want("short", short.id()));
    scheduler.announce(1, want("short", short.id()));
    scheduler.announce(1, want("long", long.id()));
    assert_eq!((scheduler.on_disk(0), scheduler.on_disk(1)), (3, 29));
}

#[test]
fn so_many_downloads_run_at_once_as_there_are_places_and_past_some_as_the_line_has_room() {
    let places = 136;
    assert!(may_start(0, places, 16, false) && may_start(15, places, 16, false));
    assert!(!may_start(16, places, 16, false), "a few that stall hold up nobody");
    assert!(may_start(5, places, 6, false) && !may_start(6, places, 6, false), "a near server");
    assert!(may_start(16, places, 16, true) && may_start(135, places, 6, true));
    assert!(!may_start(136, places, 16, true));
    assert!(!may_start(9, 9, 16, true) && !may_start(9, 9, 16, false), "where only one request is allowed");
}

#[test]
fn both_urls_of_one_content_have_to_serve_it_as_nixpkgs_fetches_both() {
    let run = Run::new();
    let same = tarball("the same at two places");
    let sri = same.id().sri();
    let text = lockfile(&[
        ("a", "https://registry.npmjs.org/a.tgz", Some(&sri)),
        ("b", "https://registry.npmjs.org/b.tgz", Some(&sri)),
    ]);
    run.host.serve("/a.tgz", same.bytes().unwrap().to_vec());
    let said = obstacles(run.hash(&text));
    assert_eq!(said, ["b is not available"]);
    run.host.serve("/b.tgz", same.bytes().unwrap().to_vec());
    let computed = run.hash(&text).unwrap();
    assert_eq!((computed.packages, computed.bytes), (1, 22));
    assert_eq!(run.host.asked(), ["/a.tgz", "/a.tgz", "/b.tgz", "/b.tgz"]);
}

#[test]
fn a_damaged_entry_of_the_store_is_replaced_and_the_hash_is_the_same() {
    let run = Run::new();
    let large = Tarball::of(vec![3; (1 << 20) + 1].into());
    run.host.serve("/large.tgz", large.bytes().unwrap().to_vec());
    let text = lockfile(&[("large", "https://registry.npmjs.org/large.tgz", Some(&large.id().sri()))]);
    let request = HashRequest::new(text.as_bytes().into(), HashOptions::default());
    let folder = tempdir().unwrap();
    let fresh = one(&request, run.keeping(&folder)).unwrap();
    let path = Store::at(folder.path().to_owned()).path(&large.id());
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(one(&request, run.keeping(&folder)).unwrap().hash, fresh.hash);
    assert_eq!(run.host.asked().len(), 2);
    assert_eq!(one(&request, run.keeping(&folder)).unwrap().hash, fresh.hash);
    assert_eq!(run.host.asked().len(), 2, "it is whole again");
}

#[test]
fn only_what_is_too_large_is_worth_more_room() {
    let run = Run::new();
    run.host.serve("/more", vec![7; 501]);
    let source = |path: &str| {
        let url = format!("https://mirror.example/{path}").parse().unwrap();
        run.runtime.block_on(run.supply().source(&url, 500)).unwrap_err().is_too_large()
    };
    assert!(source("more") && !source("missing"));
    let archive = |source| SupplyError::archive("a", &"https://host.example/".parse().unwrap(), source);
    assert!(archive(repack::Error::TooLarge { limit: 500 }).is_too_large());
    assert!(!archive(repack::Error::Damaged(io::Error::other("cut off"))).is_too_large());
    assert!(!lost(&want("a", tarball("a").id())).is_too_large());
}

#[test]
fn a_small_content_of_npms_cache_is_believed_for_its_url_and_a_large_one_when_it_was_read() {
    let run = Run::new();
    let folder = tempdir().unwrap();
    let (small, large) = (tarball("small"), Tarball::of(vec![5; (1 << 20) + 1].into()));
    run.host.serve("/small.tgz", small.bytes().unwrap().to_vec());
    run.host.serve("/large.tgz", large.bytes().unwrap().to_vec());
    let url = |name: &str| format!("https://mirror.example/{name}.tgz");
    let sri = [small.id().sri(), large.id().sri()];
    let text = lockfile(&[("a", &url("small"), Some(&sri[0])), ("b", &url("large"), Some(&sri[1]))]);
    let outputs = Outputs { tree: Some(folder.path().join("tree")), ..Outputs::default() };
    one(
        &HashRequest { outputs, ..HashRequest::new(text.as_bytes().into(), HashOptions::default()) },
        run.supply(),
    )
    .unwrap();
    let cache = NpmCache::at(&folder.path().join("tree"));
    let supply = Supply::new(None, Some(cache), None, run.runtime.handle().clone());
    let started = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&started);
    let start = move |_, want: Want, _| log.lock().unwrap().push(want.package);
    let scheduler = Scheduler::new(&supply, Box::new(start), false, [].into());
    for (tree, name, content) in [(0, "small", &small), (1, "large", &large)] {
        let cached = Want { url: url(name).parse().unwrap(), ..want(name, content.id()) };
        scheduler.announce(tree, cached.clone());
        assert_eq!(scheduler.take(tree, content.id()).unwrap().id(), content.id());
        // Another tree has the bytes from elsewhere, and this URL beside it.
        scheduler.announce(tree + 2, want(&format!("{name} elsewhere"), content.id()));
        scheduler.announce(tree + 2, cached);
    }
    assert_eq!(*started.lock().unwrap(), ["small elsewhere", "large elsewhere", "large"]);
}

#[test]
fn what_was_kept_is_found_by_another_run_while_this_one_goes_on() {
    let run = Run::new();
    let folder = tempdir().unwrap();
    let kept = tarball("kept");
    run.host.serve("/kept.tgz", kept.bytes().unwrap().to_vec());
    let text = lockfile(&[("kept", "https://registry.npmjs.org/kept.tgz", Some(&kept.id().sri()))]);
    let supply = run.keeping(&folder);
    one(&HashRequest::new(text.as_bytes().into(), HashOptions::default()), supply.clone()).unwrap();
    assert_eq!(supply.kept(&kept.id()).unwrap().bytes(), kept.bytes());
    let other = run.keeping(&folder);
    assert_eq!(other.kept(&kept.id()).unwrap().bytes(), kept.bytes());
    assert!(other.kept(&tarball("other").id()).is_none());
    assert!(other.store().unwrap().knows("https://registry.npmjs.org/kept.tgz", &kept.id()));
}

#[test]
fn all_who_work_with_one_supply_draw_on_the_same_memory_and_client() {
    let run = Run::new();
    let supply = run.supply();
    let (clone, offline) = (supply.clone(), supply.without_network());
    assert!(std::ptr::eq(supply.unpacking(), clone.unpacking()));
    assert!(std::ptr::eq(supply.unpacking(), offline.unpacking()));
    assert!(supply.registry().is_some() && offline.registry().is_none());
    assert!(supply.store().is_none());
}
