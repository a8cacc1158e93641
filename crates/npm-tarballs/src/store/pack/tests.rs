use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::super::{Pruned, Stats, Store};
use super::record::{RECORD, Record};
use super::writer::FULL;
use crate::integrity::{Algorithm, ContentId};
use crate::verified::{IN_MEMORY, Tarball};

/// More than get files of their own.
const MANY: usize = 90;
const SINGLE: usize = 32;

fn body(n: usize) -> Vec<u8> {
    format!("tarball {n} ").repeat(n % 7).into_bytes()
}

fn id(n: usize) -> ContentId {
    ContentId::sha512_of(&body(n))
}

/// Bodies that differ; those of the same remainder by 7 = 0 are empty, and one is enough.
fn numbers() -> impl Iterator<Item = usize> {
    (0..MANY).filter(|n| n % 7 != 0)
}

fn put(store: &Store, bytes: Vec<u8>) {
    assert!(store.put(&Tarball::of(bytes.into())));
}

fn filled() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().to_owned());
    numbers().for_each(|n| put(&store, body(n)));
    store.settle();
    assert!(store.trouble().is_none());
    (dir, store)
}

fn packs(store: &Store) -> Vec<PathBuf> {
    super::files(store.inner.packs.dir()).collect()
}

/// As another process sees it.
fn reopened(store: &Store) -> Store {
    Store::at(store.dir().to_owned())
}

fn bytes(store: &Store, n: usize) -> Option<Bytes> {
    store.get(&id(n)).map(|tarball| tarball.bytes().unwrap().clone())
}

/// Which tarballs can be had; that they are right is asserted.
fn there(store: &Store) -> Vec<usize> {
    let found = |n: &usize| {
        let found = bytes(store, *n);
        assert!(found.as_ref().is_none_or(|bytes| *bytes == body(*n)), "{n}");
        found.is_some()
    };
    numbers().filter(found).collect()
}

#[test]
fn many_small_tarballs_lie_in_one_file() {
    let (_dir, store) = filled();
    let all: Vec<_> = numbers().collect();
    assert_eq!(packs(&store).len(), 1);
    assert_eq!(there(&store), all);
    let other = reopened(&store);
    assert_eq!(there(&other), all);
    for n in all {
        assert_eq!(other.probe(&id(n)), Some(body(n).len() as u64));
    }
    assert_eq!(other.stats().unwrap().entries, numbers().count() as u64);
    assert_eq!(fs::read_dir(store.dir().join("v1/tmp")).unwrap().count(), 0);
    assert_eq!(super::contents(&packs(&store)[0]).len(), numbers().count() - SINGLE);
}

#[test]
fn what_is_not_settled_is_seen_by_its_own_process_only() {
    let (_dir, store) = filled();
    store.settle();
    put(&store, b"late".to_vec());
    let late = ContentId::sha512_of(b"late");
    assert!(store.get(&late).is_some() && store.handle(&Tarball::of(b"late".as_slice().into())).is_some());
    assert!(reopened(&store).get(&late).is_none());
    let dir = store.dir().to_owned();
    drop(store);
    assert!(Store::at(dir).get(&late).is_some());
}

#[test]
fn a_full_pack_is_closed() {
    let (_dir, store) = filled();
    for n in 0..=FULL / IN_MEMORY as u64 {
        let mut large = vec![0; IN_MEMORY];
        large[..8].copy_from_slice(&n.to_le_bytes());
        put(&store, large);
    }
    assert_eq!(packs(&store).len(), 2, "the second one without being told");
    store.settle();
    assert_eq!(packs(&store).len(), 3);
    assert_eq!(there(&reopened(&store)).len(), numbers().count());
}

#[test]
fn more_packs_than_are_kept_open_can_be_read() {
    let (_dir, store) = filled();
    let path = packs(&store).remove(0);
    for n in 0..super::OPEN {
        fs::copy(&path, path.with_file_name(format!("copy-{n}"))).unwrap();
    }
    let all = there(&reopened(&store));
    assert_eq!(all.len(), numbers().count());
    let closed = super::Pack::open(&path, false).unwrap();
    for record in &closed.1 {
        assert_eq!(ContentId::sha512_of(&closed.0.read(record).unwrap()), record.id);
    }
}

#[test]
fn a_damaged_tarball_is_dropped_for_good_and_the_others_stay() {
    let (_dir, store) = filled();
    let path = packs(&store).remove(0);
    let mut file = fs::read(&path).unwrap();
    file[3] ^= 1;
    fs::write(&path, &file).unwrap();
    let before = numbers().count();
    let left = there(&reopened(&store));
    assert_eq!(left.len(), before - 1);
    let lost = numbers().find(|n| !left.contains(n)).unwrap();
    // Blotted out, so that it is not found damaged again.
    let other = reopened(&store);
    assert_eq!(other.probe(&id(lost)), None);
    assert_eq!(other.stats().unwrap().entries, before as u64 - 1);
    put(&other, body(lost));
    assert_eq!(there(&other).len(), before);
    assert_eq!(there(&reopened(&store)).len(), before);
}

#[test]
fn whatever_happens_to_a_pack_no_tarball_comes_out_wrong() {
    let (_dir, store) = filled();
    let path = packs(&store).remove(0);
    let whole = fs::read(&path).unwrap();
    let everything = numbers().count();
    for at in (0..whole.len()).step_by(7).chain(whole.len() - 16..whole.len()) {
        let mut file = whole.clone();
        file[at] ^= 0x10;
        fs::write(&path, file).unwrap();
        let left = there(&reopened(&store)).len();
        let table_end = whole.len() - 16;
        assert!(left == everything - 1 || at >= table_end, "at {at}: {left}");
    }
    for len in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..len]).unwrap();
        assert!(there(&reopened(&store)).len() >= SINGLE);
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert_eq!(there(&reopened(&store)).len(), SINGLE);
    fs::write(&path, &whole).unwrap();
    assert_eq!(there(&reopened(&store)).len(), everything);
}

#[test]
fn a_pack_is_pruned_as_one_and_by_its_last_use() {
    let (_dir, store) = filled();
    let path = packs(&store).remove(0);
    let age = || {
        let then = SystemTime::now() - Duration::from_hours(9 * 24);
        File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
    };
    let week = Some(Duration::from_hours(7 * 24));
    age();
    assert_eq!(there(&reopened(&store)).len(), numbers().count());
    assert_eq!(store.prune(None, week).unwrap().removed, Stats::default(), "it was used just now");
    age();
    let Pruned { removed, left, .. } = store.prune(None, week).unwrap();
    assert_eq!((removed.entries, left.entries), ((numbers().count() - SINGLE) as u64, SINGLE as u64));
    assert_eq!(there(&reopened(&store)).len(), SINGLE);
    assert_eq!(store.prune(Some(0), None).unwrap().left, Stats::default());
}

#[test]
fn a_record_says_again_what_it_was_told() {
    for algorithm in [Algorithm::Sha1, Algorithm::Sha512] {
        let id = ContentId::new(algorithm, &vec![7; algorithm.digest_len()]).unwrap();
        let record = Record { id, offset: 1, len: u64::MAX, sum: 3 };
        let encoded = record.encode();
        assert_eq!(Record::decode(&encoded), Some(record));
        for at in 0..RECORD {
            let mut other = encoded;
            other[at] ^= 0x80;
            assert_eq!(Record::decode(&other), None);
        }
    }
    assert_eq!(Record::decode(&[0; RECORD]), None);
}
