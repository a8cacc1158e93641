//! A Nix file is understood, or it is said why not; never a panic, and never without end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use npm_nixhash::nix::{Scope, survey};

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
    std::fs::write(folder.path().join("default.nix"), bytes).expect("a file");
    let survey = survey(&Scope::new(folder.path()));
    assert!(survey.sites.len() <= bytes.len());
});
