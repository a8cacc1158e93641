//! The cases of `fixtures/nix` are sound in themselves. `BLESS=1` writes `out/` from `expect.json` (never from a survey).

#![allow(clippy::disallowed_methods, reason = "a test is its own shell")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "our own files, named in lower case")]

use std::collections::BTreeMap;
use std::fs;

use crate::fixtures::{Case, Outcome, apply, files_below, stand_in, token_at};

/// `out/` follows from `expect.json`, byte for byte. With `BLESS=1` it is written.
#[test]
fn out_follows_from_what_is_expected() {
    let bless = std::env::var_os("BLESS").is_some();
    for case in crate::all() {
        let folder = case.dir.join("out");
        let wanted = expected_output(&case);
        if bless {
            let _ = fs::remove_dir_all(&folder);
            for (file, bytes) in &wanted {
                let path = folder.join(file);
                fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
                fs::write(path, bytes).expect("the file is written");
            }
        }
        assert_eq!(
            wanted.keys().collect::<Vec<_>>(),
            files_below(&folder).keys().collect::<Vec<_>>(),
            "{}: the files of out/",
            case.name
        );
        for (file, bytes) in files_below(&folder) {
            assert!(wanted[&file] == bytes, "{}: out/{file} does not follow from expect.json", case.name);
        }
    }
}

fn expected_output(case: &Case) -> BTreeMap<String, Vec<u8>> {
    let root = case.input();
    let mut all: BTreeMap<String, BTreeMap<(usize, usize), String>> = BTreeMap::new();
    for site in case.sites.iter().filter(|site| site.outcome == Outcome::Local) {
        let hash = stand_in(site.lockfile.as_deref().expect("a local site has a lockfile"), site.options);
        for position in &site.hashes {
            let token = token_at(&root, position);
            let quoted =
                [".nix", ".json", ".toml"].iter().any(|extension| position.file.ends_with(extension));
            let text = if quoted { format!("\"{hash}\"") } else { hash.clone() };
            all.entry(position.file.clone()).or_default().insert((token.range.start, token.range.end), text);
        }
    }
    all.into_iter()
        .map(|(file, edits)| {
            let before = fs::read(root.join(&file)).expect("a literal's file exists");
            (file, apply(&before, &edits))
        })
        .collect()
}

/// Positions in `expect.json` point at tokens that look like hashes, in files that exist.
#[test]
fn expectations_point_at_literals() {
    for case in crate::all() {
        for site in &case.sites {
            for position in &site.hashes {
                let token = token_at(&case.input(), position);
                let placeholder = token.value.is_empty()
                    || token.value.chars().all(|c| c.is_ascii_alphanumeric() || "+/=:-".contains(c));
                assert!(
                    placeholder || case.name == "hostile-not-a-hash",
                    "{}: {position}: {}",
                    case.name,
                    token.text
                );
            }
            if let Some(lockfile) = &site.lockfile {
                assert!(case.input().join(lockfile).exists(), "{}: {lockfile}", case.name);
            }
        }
    }
}
