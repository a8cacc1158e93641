//! A lockfile is read or refused, twice the same way, and every URL of it is the one that the standard's parser makes: the
//! reader has a way round that parser for nearly all of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use npm_lockfile::fixup::fixup;
use npm_lockfile::{LockedTree, Lockfile, in_step};
use npm_nixhash::repair::{RepairError, Thoroughness, repair};

fuzz_target!(|bytes: &[u8]| {
    let read = || Lockfile::parse(bytes);
    assert_eq!(format!("{:?}", read()), format!("{:?}", read()));
    if let Ok(lockfile) = read() {
        for dependency in &lockfile.dependencies {
            let url = dependency.url.as_str();
            assert_eq!(url::Url::parse(url).expect("a URL").as_str(), url);
        }
        // By what it is found again in npm's cache, each once.
        let mut urls: Vec<_> = lockfile.dependencies.iter().map(|dependency| &dependency.url).collect();
        urls.sort();
        urls.dedup();
        assert_eq!(urls.len(), lockfile.dependencies.len());
    }
    if let Ok(tree) = LockedTree::read(bytes) {
        let _ = tree.completeness(Some(bytes));
        let manifests = tree.manifests([], |folder| folder.is_empty().then(|| bytes.to_vec()));
        let _ = tree.disagreements(&manifests);
    }
    let _ = in_step::workspace_globs(bytes);
    // What a build would do to it is done after once.
    if let Ok(Some(fixed)) = fixup(bytes, None) {
        assert_eq!(fixup(&fixed, None).expect("the same document"), None);
    }
    // Without anybody to ask, a lockfile that lacks something is refused, and any other comes back as it is.
    for strengthen in [false, true] {
        for repaired in repair(&[bytes], None, Thoroughness { strengthen }) {
            match repaired {
                Ok(repaired) => assert!(repaired.bytes == bytes && repaired.filled.is_empty()),
                Err(RepairError::Offline | RepairError::Lockfile(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
});
