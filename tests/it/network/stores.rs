//! The store under damage, many processes, and sudden death.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use error_advice::advice_on;
use npm_tarballs::integrity::ContentId;
use npm_tarballs::store::Store;
use npm_tarballs::store::npm_cache::NpmCache;

use super::*;
use crate::support::registry::npm_cache;

const CHILD: &str = "NPM_NIXHASH_TEST_STORE";

#[test]
fn what_is_on_disk_is_not_downloaded_and_damage_is_fetched_again() {
    let registry = Registry::start();
    let large: Vec<u8> = (0..=250).cycle().take(3 << 20).collect();
    let all = [registry.publish("small", "1.0.0", &[]), registry.publish_bytes("large", "1.0.0", large)];
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().to_owned());
    let supply = Supply::new(Some(store.clone()), None, Some(Client::new(options(&registry))), runtime());
    for published in &all {
        let want = want(published);
        for _ in 0..2 {
            assert_eq!(run(supply.obtain(&want)).unwrap().len(), published.bytes.len() as u64);
        }
        assert_eq!(registry.count(&published.path), 1);
        assert_eq!(supply.probe(&want), Some(published.bytes.len() as u64));
        let path = store.path(&want.id);
        let mut file = std::fs::read(&path).unwrap();
        file[7] ^= 1;
        std::fs::write(&path, file).unwrap();
        let mut read = Vec::new();
        run(supply.obtain(&want)).unwrap().reader().unwrap().read_to_end(&mut read).unwrap();
        assert!(read == published.bytes);
        assert_eq!(registry.count(&published.path), 2);
        assert!(store.get(&want.id).is_some());
    }
}

#[test]
fn offline_uses_the_store_and_npms_cache_and_says_what_is_missing() {
    let registry = Registry::start();
    let (a, b) = (registry.publish("a", "1.0.0", &[]), registry.publish("b", "1.0.0", &[]));
    let dir = tempfile::tempdir().unwrap();
    npm_cache(dir.path(), &a);
    let supply = Supply::new(None, Some(NpmCache::at(dir.path())), None, runtime());
    assert_eq!(run(supply.obtain(&want(&a))).unwrap().bytes().unwrap(), &a.bytes);
    let error = run(supply.obtain(&want(&b))).unwrap_err();
    assert_eq!(error.to_string(), format!("b@1.0.0 is not on disk ({})", b.url));
    assert!(advice_on(&error).is_some());
    assert!(registry.requests().is_empty());
}

#[test]
fn an_unwritable_store_is_done_without() {
    let registry = Registry::start();
    let large = registry.publish_bytes("large", "1.0.0", vec![7; 2 << 20]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let supply = Supply::new(Some(Store::at(file)), None, Some(Client::new(options(&registry))), runtime());
    for published in [large, registry.publish("a", "1.0.0", &[])] {
        let tarball = run(supply.obtain(&want(&published))).unwrap();
        assert_eq!(tarball.len(), published.bytes.len() as u64);
        let parked = supply.park(tarball).unwrap();
        let mut read = Vec::new();
        parked.reader().unwrap().read_to_end(&mut read).unwrap();
        assert!(read == published.bytes);
    }
    assert!(supply.store().unwrap().trouble().is_some());
}

/// The content that children write: a few too large for memory, and enough small ones for packs.
fn contents() -> Vec<Bytes> {
    let size = |n: u8| if n.is_multiple_of(50) { 2 << 20 } else { 40_000 };
    (0..100).map(|n| vec![n; size(n)].into()).collect()
}

/// Runs in a process of its own: writes all contents, over and over, until it is killed or has done it `rounds` times.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
#[expect(clippy::disallowed_methods, reason = "how the parent speaks with this process")]
fn child_fills_a_store() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let (dir, rounds) = dir.split_once('|').unwrap();
    for round in 0..rounds.parse::<u32>().unwrap() {
        let store = Store::at(dir.into());
        for bytes in contents() {
            let mut receiver =
                npm_tarballs::verified::Receiver::new(ContentId::sha512_of(&bytes), Arc::new(store.clone()));
            bytes.chunks(16_384).for_each(|chunk| receiver.write(chunk).unwrap());
            assert!(store.put(&receiver.finish().unwrap()));
            assert!(store.get(&ContentId::sha512_of(&bytes)).is_some());
        }
        store.settle();
        println!("round {round}");
    }
}

fn child(dir: &std::path::Path, rounds: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "network::stores::child_fills_a_store", "--ignored", "--nocapture"])
        .env(CHILD, format!("{}|{rounds}", dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Every entry that can be seen is whole. Returns how many contents there are.
fn assert_whole(dir: &std::path::Path) -> usize {
    let store = Store::at(dir.to_owned());
    let ids: Vec<_> = contents().iter().map(|bytes| ContentId::sha512_of(bytes)).collect();
    let seen = ids.iter().filter(|id| store.probe(id).is_some()).count();
    let whole = |id: &&ContentId| store.get(id).is_some_and(|tarball| tarball.prove().is_ok());
    assert_eq!(seen, ids.iter().filter(whole).count());
    seen
}

#[test]
fn processes_share_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..3).map(|_| child(dir.path(), 1)).collect();
    for mut child in children {
        child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(assert_whole(dir.path()), contents().len());
    assert_eq!(std::fs::read_dir(dir.path().join("v1/tmp")).unwrap().count(), 0);
}

#[test]
fn a_killed_process_leaves_whole_entries_only() {
    let dir = tempfile::tempdir().unwrap();
    for millis in [10, 30, 50, 130] {
        let mut child = child(dir.path(), 1_000_000);
        if millis > 40 {
            let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
            assert!(lines.map(Result::unwrap).any(|line| line.starts_with("round")));
        }
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_whole(dir.path());
    }
    assert_eq!(assert_whole(dir.path()), contents().len());
}
