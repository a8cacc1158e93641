//! `.npmrc`, netrc and nix.conf: no value that refers to an unset variable is sent, and nothing is sent in clear to a server
//! that the text does not name with `http`.
#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use npm_nixhash::relock::npmrc::Passed;
use npm_nixhash::source::tokens::NixConf;
use npm_registry::npmrc::Npmrc;
use npm_registry::{Options, Purpose, netrc};

fuzz_target!(|text: &str| {
    // What the only variable holds. A constant would soon stand in the text: libFuzzer tries what it sees compared.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let value = format!("value-{:016x}", hasher.finish());
    let lookup = |name: &str| (name == "SET").then(|| value.clone());
    let (mut npmrc, mut options) = (Npmrc::default(), Options::default());
    npmrc.layer(text, &lookup);
    let _ = npmrc.apply(&mut options, Some(Path::new("/home/me")), Path::new("/srv"));
    netrc::apply(text, "netrc", &mut options.access);
    let mut conf = NixConf::default();
    conf.layer(text);
    conf.apply(&mut options.access);
    let passed = Passed::of(text, Some(Path::new("/home/me")), &lookup);
    assert!(!format!("{npmrc:?}{passed:?}").contains(&value), "a value is shown");

    // As the URL standard reads a setting, and as the settings' dialect lets one write it.
    let plain: String = text.to_ascii_lowercase().chars().filter(|c| !matches!(c, '\t' | '\r')).collect();
    let names_http = plain.contains("http:") || plain.contains(['\\', '$']);
    for host in ["host", "host:8080", "a.example", "github.com"] {
        for path in ["/", "/npm/", "/npm/ms/-/ms-1.0.0.tgz", "/%2fa/../b"] {
            for scope in [None, Some("@acme")] {
                let sent = |scheme: &str| {
                    let url = format!("{scheme}://{host}{path}").parse().expect("a URL");
                    options.access.sent_to(&url, scope, Purpose::Source)
                };
                assert!(names_http || sent("http").is_none(), "{host}{path} in clear");
                let unset = sent("https").is_some_and(|header| header.contains("${UNSET}"));
                assert!(!unset || text.contains('\\'), "a variable's name is sent");
            }
        }
    }
});
