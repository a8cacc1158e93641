use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;

use super::npm_cache::NpmCache;
use super::*;
use crate::cacache::IndexEntry;
use crate::integrity::hex;
use crate::verified::{IN_MEMORY, Receiver};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("cache"));
    (dir, store)
}

fn large() -> Vec<u8> {
    (0..=250).cycle().take(IN_MEMORY + 77).collect()
}

fn read(tarball: &Tarball) -> Vec<u8> {
    let mut bytes = Vec::new();
    tarball.reader().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn keep(store: &Store, bytes: &[u8]) -> ContentId {
    let id = ContentId::sha512_of(bytes);
    let mut receiver = Receiver::new(id, Arc::new(store.clone()));
    bytes.chunks(1000).for_each(|chunk| receiver.write(chunk).unwrap());
    assert!(store.put(&receiver.finish().unwrap()));
    id
}

fn drafts(store: &Store) -> usize {
    fs::read_dir(store.dir().join("v1/tmp")).unwrap().count()
}

#[test]
fn what_is_put_comes_back() {
    let (_dir, store) = store();
    for bytes in [Vec::new(), b"small".to_vec(), vec![1; IN_MEMORY], large()] {
        let id = keep(&store, &bytes);
        assert_eq!(store.probe(&id), Some(bytes.len() as u64));
        let tarball = store.get(&id).unwrap();
        assert_eq!(tarball.bytes().is_some(), bytes.len() <= IN_MEMORY);
        assert!(read(&tarball) == bytes);
    }
    assert!(store.get(&ContentId::sha512_of(b"other")).is_none());
    assert_eq!(store.stats().unwrap().entries, 4);
    assert_eq!(drafts(&store), 0);
    assert!(store.trouble().is_none());
}

#[test]
fn damage_anywhere_is_seen_and_the_entry_is_dropped() {
    let (_dir, store) = store();
    for bytes in [b"small".to_vec(), large()] {
        let id = ContentId::sha512_of(&bytes);
        let path = store.path(&id);
        let spoil = |change: &dyn Fn(&mut Vec<u8>)| {
            keep(&store, &bytes);
            let mut file = fs::read(&path).unwrap();
            change(&mut file);
            fs::write(&path, file).unwrap();
            assert!(store.get(&id).is_none_or(|tarball| tarball.prove().is_err()));
            assert!(!path.exists() && store.get(&id).is_none());
        };
        spoil(&|file| file[2] ^= 1);
        spoil(&|file| *file.last_mut().unwrap() ^= 1);
        spoil(&|file| file.truncate(file.len() - 1));
        spoil(&|file| file.push(0));
        spoil(&|file| file.truncate(3));
        spoil(&|file| file.clear());
    }
}

#[test]
fn an_entry_under_another_name_is_damage() {
    let (_dir, store) = store();
    let (a, b) = (keep(&store, b"aaaa"), keep(&store, b"bbbb"));
    fs::copy(store.path(&a), store.path(&b)).unwrap();
    assert!(store.get(&b).is_none());
    assert!(store.get(&a).is_some());
}

#[test]
fn damage_after_the_handle_was_given_is_an_error_before_the_last_byte() {
    let (_dir, store) = store();
    let bytes = large();
    let id = keep(&store, &bytes);
    let tarball = store.get(&id).unwrap();
    let mut file = fs::read(store.path(&id)).unwrap();
    file[9] ^= 1;
    fs::write(store.path(&id), file).unwrap();
    let (mut read, mut reader) = (Vec::new(), tarball.reader().unwrap());
    for _ in 0..2 {
        let error = reader.read_to_end(&mut read).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
    assert!(read.len() < bytes.len());
    assert!(store.get(&id).is_none() && store.probe(&id).is_none());
}

#[test]
fn damage_that_cannot_be_removed_is_not_met_twice() {
    let (_dir, store) = store();
    let bytes = large();
    let id = keep(&store, &bytes);
    let mut file = fs::read(store.path(&id)).unwrap();
    file[9] ^= 1;
    fs::write(store.path(&id), &file).unwrap();
    assert!(store.get(&id).unwrap().prove().is_err());
    // As if the removal had failed.
    fs::write(store.path(&id), &file).unwrap();
    assert!(store.get(&id).is_none() && store.probe(&id).is_none());
    keep(&store, &bytes);
    store.get(&id).unwrap().prove().unwrap();
}

#[test]
fn wrong_bytes_leave_nothing_behind() {
    let (_dir, store) = store();
    let id = ContentId::sha512_of(b"right");
    let mut receiver = Receiver::new(id, Arc::new(store.clone()));
    receiver.write(&large()).unwrap();
    assert_eq!(drafts(&store), 1);
    assert!(receiver.finish().is_err());
    assert_eq!(drafts(&store), 0);
    assert!(store.get(&id).is_none());
}

#[test]
fn a_store_that_cannot_be_written_says_so_once() {
    let (dir, _) = store();
    fs::write(dir.path().join("file"), "").unwrap();
    let store = Store::at(dir.path().join("file"));
    let tarball = Tarball::of(Bytes::from_static(b"x"));
    assert!(!store.put(&tarball) && !store.put(&tarball));
    assert!(store.trouble().unwrap().to_string().contains("cannot write"));
    assert!(store.get(&tarball.id()).is_none());
}

#[test]
fn pruning_goes_by_last_use() {
    let (_dir, store) = store();
    let ids: Vec<_> = ["aaaa", "bbbb", "cccc"].iter().map(|text| keep(&store, text.as_bytes())).collect();
    let age = |id, days: u64| {
        let then = std::time::SystemTime::now() - Duration::from_hours(days * 24);
        let file = fs::File::options().write(true).open(store.path(id)).unwrap();
        file.set_modified(then).unwrap();
    };
    for (id, days) in ids.iter().zip([9, 8, 7]) {
        age(id, days);
    }
    assert!(store.get(&ids[0]).is_some());
    let pruned = store.prune(Some(80), None).unwrap();
    assert_eq!(pruned.left, Stats { entries: 2, bytes: 72, ..Stats::default() });
    assert_eq!(pruned.removed.entries, 1);
    assert!(store.probe(&ids[1]).is_none());
    let pruned = store.prune(None, Some(Duration::from_hours(24))).unwrap();
    assert_eq!((pruned.removed.entries, pruned.left.entries), (1, 1));
    assert!(store.get(&ids[0]).is_some());
}

#[test]
fn drafts_of_the_dead_are_counted_and_swept_and_those_of_the_living_are_not() {
    let (_dir, store) = store();
    keep(&store, b"x");
    let abandoned = store.dir().join("v1/tmp/1-0-0");
    fs::write(&abandoned, "half").unwrap();
    let mut alive = store.begin(&ContentId::sha512_of(b"alive")).unwrap();
    alive.write(b"alive").unwrap();
    assert_eq!(store.stats().unwrap().drafts, Drafts { files: 2, bytes: 9 });
    let pruned = store.prune(Some(0), None).unwrap();
    assert_eq!(pruned.removed.drafts, Drafts { files: 1, bytes: 4 });
    assert_eq!(pruned.left, Stats { drafts: Drafts { files: 1, bytes: 5 }, ..Stats::default() });
    alive.keep().unwrap();
    fs::write(&abandoned, "half").unwrap();
    let other = Store::at(store.dir().to_owned());
    assert!(other.put(&Tarball::of(Bytes::from_static(b"y"))));
    assert_eq!(drafts(&store), 0);
}

/// A folder as npm's cache, to which a test adds.
struct Npm(tempfile::TempDir);

const URL: &str = "https://host/a.tgz";

impl Npm {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn cache(&self) -> NpmCache {
        NpmCache::at(self.0.path())
    }

    fn place(&self, kind: &str, hex: &str) -> PathBuf {
        let folder = self.0.path().join("_cacache").join(kind).join(&hex[..2]).join(&hex[2..4]);
        fs::create_dir_all(&folder).unwrap();
        folder.join(&hex[4..])
    }

    fn content(&self, bytes: &[u8]) -> PathBuf {
        let place = self.place("content-v2/sha512", &ContentId::sha512_of(bytes).hex());
        fs::write(&place, bytes).unwrap();
        place
    }

    /// Appends a line to the index file of [`URL`].
    fn line(&self, line: &str) {
        let path = self.place("index-v5", &hex(&entry(URL, b"").bucket()));
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{before}\n{line}")).unwrap();
    }
}

fn entry(url: &str, bytes: &[u8]) -> IndexEntry {
    let content = ContentId::sha512_of(bytes);
    IndexEntry { url: url.to_owned(), integrity: content.sri(), content, accept: None }
}

#[test]
fn npms_cache_is_read_and_not_believed() {
    let npm = Npm::new();
    for bytes in [b"small".to_vec(), vec![1; IN_MEMORY], large()] {
        let (id, cache) = (ContentId::sha512_of(&bytes), npm.cache());
        assert!(cache.get(URL, &id).is_none() && !cache.holds(&id));
        let place = npm.content(&bytes);
        assert!(cache.get(URL, &id).is_none() && cache.holds(&id), "it may have come from anywhere");
        npm.line(&entry(URL, &bytes).line(1));
        assert_eq!(cache.probe(URL, &id), Some(bytes.len() as u64));
        let tarball = cache.get(URL, &id).unwrap();
        assert_eq!(tarball.bytes().is_some(), bytes.len() <= IN_MEMORY);
        assert!(read(&tarball) == bytes);
        assert!(cache.get("https://host/b.tgz", &id).is_none());
        let mut wrong = bytes.clone();
        wrong[1] ^= 1;
        fs::write(&place, &wrong).unwrap();
        assert!(cache.get(URL, &id).is_none_or(|tarball| tarball.prove().is_err()));
        if bytes.len() > IN_MEMORY {
            assert!(
                cache.get(URL, &id).is_none() && cache.probe(URL, &id).is_none(),
                "it was found wrong before"
            );
            let cache = npm.cache();
            let tarball = cache.get(URL, &id).unwrap();
            fs::write(&place, &wrong[1..]).unwrap();
            assert!(tarball.reader().is_err());
        }
    }
}

#[test]
fn the_last_whole_line_of_npms_index_counts() {
    let (npm, id) = (Npm::new(), ContentId::sha512_of(b"right"));
    npm.content(b"right");
    npm.content(b"other");
    let right = entry(URL, b"right").line(5);
    let mut sha1 = crate::integrity::Hasher::new(crate::integrity::Algorithm::Sha1);
    sha1.update(b"right");
    let weak = sha1.finish();
    let deleted = {
        let json = right.split_once('\t').unwrap().1.replace(&format!("\"{}\"", id.sri()), "null");
        let sum: [u8; 20] =
            sha1::Digest::finalize(<sha1::Sha1 as sha1::Digest>::new_with_prefix(&json)).into();
        format!("{}\t{json}", hex(&sum))
    };
    for (line, there) in [
        (entry(URL, b"other").line(5), false),
        (right.clone(), true),
        // Its checksum is wrong, so that the one before counts.
        (entry(URL, b"other").line(5).replacen(|c| c != '0', "0", 1), true),
        ("torn".to_owned(), true),
        (entry("https://host/b.tgz", b"other").line(5), true),
        (deleted, false),
        (right, true),
        (entry(URL, b"other").line(5), false),
    ] {
        npm.line(&line);
        assert_eq!(npm.cache().get(URL, &id).is_some(), there, "{line}");
        assert_eq!(
            npm.cache().get(URL, &weak).is_some(),
            there,
            "found by the sha512, checked by the sha1: {line}"
        );
    }
}

#[test]
fn an_index_file_of_npms_cache_is_read_up_to_four_mebibytes() {
    let (npm, id) = (Npm::new(), ContentId::sha512_of(b"right"));
    npm.content(b"right");
    let line = entry(URL, b"right").line(5);
    let path = npm.place("index-v5", &hex(&entry(URL, b"").bucket()));
    for (length, there) in [(4 << 20, true), ((4 << 20) + 1, false)] {
        fs::write(&path, "\n".repeat(length - line.len()) + &line).unwrap();
        assert_eq!(npm.cache().get(URL, &id).is_some(), there, "{length} bytes");
    }
}

#[test]
fn a_tarball_from_a_second_url_is_kept_once() {
    let (_dir, store) = store();
    let id = keep(&store, b"bytes");
    let before = fs::metadata(store.path(&id)).unwrap().modified().unwrap();
    assert!(!store.knows(URL, &id));
    store.learn(URL, &id);
    assert!(store.knows(URL, &id) && !store.knows("https://host/b.tgz", &id));
    keep(&store, b"bytes");
    store.learn("https://host/b.tgz", &id);
    store.settle();
    assert_eq!(store.stats().unwrap().entries, 1);
    assert_eq!(fs::metadata(store.path(&id)).unwrap().modified().unwrap(), before);
    let later = Store::at(store.dir().to_owned());
    assert!(later.knows(URL, &id) && later.knows("https://host/b.tgz", &id));
    store.prune(Some(0), None).unwrap();
    let later = Store::at(store.dir().to_owned());
    assert!(!later.knows(URL, &id) && !later.knows("https://host/b.tgz", &id));
}
