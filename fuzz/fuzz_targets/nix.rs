//! A Nix file is understood, or it is said why not; never without end. Every literal that is found can be rewritten, and the
//! program then finds there what was written.
#![no_main]

mod literals;

use libfuzzer_sys::fuzz_target;
use nix_sites::{SurveyScope, survey};

fuzz_target!(|bytes: &[u8]| {
    let folder = literals::folder(&[("default.nix", bytes)]);
    let scope = SurveyScope::of(folder.path());
    let survey = survey(&scope);
    assert!(survey.sites.len() <= bytes.len());
    literals::rewritten(&survey, &scope);
});
