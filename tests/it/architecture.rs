//! The import map of `src/lib.rs` as a test: a module imports what its row says, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Module -> modules that it may use.
const MAP: &[(&str, &[&str])] = &[
    ("integrity", &[]),
    ("options", &[]),
    ("positioned", &[]),
    ("redaction", &[]),
    ("tarball", &["integrity", "positioned"]),
    ("cacache", &["integrity"]),
    ("lockfile", &["integrity", "redaction"]),
    ("store", &["cacache", "integrity", "positioned", "tarball"]),
    ("registry", &["integrity", "redaction", "tarball"]),
    ("repository", &[]),
    ("nix", &["options", "repository"]),
    (
        "npm_deps",
        &["cacache", "integrity", "lockfile", "options", "redaction", "registry", "store", "tarball"],
    ),
    ("npm_package", &["integrity", "registry"]),
    ("repair", &["integrity", "lockfile", "npm_package", "redaction", "registry"]),
    ("relock", &["integrity", "lockfile", "npm_package", "registry"]),
    (
        "packaging",
        &[
            "integrity",
            "lockfile",
            "nix",
            "npm_deps",
            "npm_package",
            "options",
            "registry",
            "relock",
            "tarball",
        ],
    ),
    ("store_path", &["integrity", "npm_deps"]),
    ("replace", &[]),
    ("source", &["integrity", "nix", "npm_deps", "redaction", "registry", "repository", "store", "tarball"]),
    ("vendoring", &["integrity", "npm_package", "registry", "relock", "repair", "source"]),
    ("choice", &["nix", "repository"]),
    (
        "drift",
        &[
            "lockfile",
            "nix",
            "npm_deps",
            "options",
            "redaction",
            "registry",
            "repair",
            "repository",
            "source",
        ],
    ),
    ("explain", &["lockfile", "nix", "npm_deps", "options", "repository"]),
    ("create", &["replace"]),
    ("rewrite", &["drift", "nix", "replace"]),
    (
        "report",
        &[
            "choice",
            "drift",
            "explain",
            "integrity",
            "lockfile",
            "nix",
            "npm_deps",
            "options",
            "redaction",
            "registry",
            "repair",
            "repository",
            "source",
        ],
    ),
];

#[test]
fn modules_import_only_what_the_map_allows() {
    let map: BTreeMap<_, BTreeSet<_>> =
        MAP.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let module = relative
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        if matches!(module.as_str(), "main" | "lib" | "cli") {
            continue;
        }
        let may = map.get(module.as_str()).unwrap_or_else(|| panic!("{module} is not in the map"));
        for used in crate_modules(&fs::read_to_string(&file).unwrap()) {
            if used != module && !may.contains(used.as_str()) {
                wrong.push(format!("{module} imports {used} ({})", relative.display()));
            }
        }
        seen.insert(module);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, map.keys().map(|name| (*name).to_owned()).collect(), "the map names modules that exist");
}

#[test]
fn only_the_shell_prints_and_reads_the_environment() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let forbidden = ["println!", "eprintln!", "print!(", "std::env::var", "env::var(", "env::vars"];
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let shell = relative.starts_with("cli");
        for (number, line) in (1..).zip(text.lines().filter(|line| !line.trim_start().starts_with("//"))) {
            let found = forbidden.iter().find(|word| line.contains(*word));
            assert!(found.is_none() || shell, "{}:{number}: {found:?}", relative.display());
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The modules named after `crate::` in code, also inside `use crate::{...}`; comments do not count.
fn crate_modules(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or(line).to_owned() + "\n").collect();
    let mut modules = BTreeSet::new();
    for (_, rest) in code.match_indices("crate::").map(|(at, word)| (at, &code[at + word.len()..])) {
        match rest.strip_prefix('{') {
            Some(group) => modules.extend(top_names(group)),
            None => modules.extend(first_name(rest)),
        }
    }
    modules
}

/// The first name of each item of a brace group whose opening brace is gone.
fn top_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.extend(first_name(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.extend(first_name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn first_name(text: &str) -> Option<String> {
    let name: String =
        text.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

#[test]
fn the_test_sees_what_it_should() {
    let found = crate_modules("use crate::{a::B, c::{d, e}, f};\nlet x = crate::g::h(); // crate::i\n");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "c", "f", "g"]);
}
