//! `.npmrc`, netrc and nix.conf: no text makes a panic, and no value that refers to an unset variable is taken.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use npm_nixhash::{
    registry::{Options, netrc, npmrc::Npmrc},
    source::tokens::NixConf,
};

fuzz_target!(|text: &str| {
    let (mut npmrc, mut options) = (Npmrc::default(), Options::default());
    npmrc.layer(text, &|name| (name == "SET").then(|| "value".to_owned()));
    let _ = npmrc.apply(&mut options, Some(Path::new("/home/me")), Path::new("/srv"));
    netrc::apply(text, "netrc", &mut options.access);
    let mut conf = NixConf::default();
    conf.layer(text);
    conf.apply(&mut options.access);
});
