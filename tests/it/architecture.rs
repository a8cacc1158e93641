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
    ("listing", &[]),
    ("markers", &[]),
    ("positioned", &[]),
    ("tarball_url", &[]),
    ("redaction", &[]),
    ("tarball", &["integrity", "positioned"]),
    ("cacache", &["integrity"]),
    ("lockfile", &["integrity", "listing", "markers", "redaction"]),
    ("store", &["cacache", "integrity", "positioned", "tarball"]),
    ("registry", &["integrity", "redaction", "tarball"]),
    ("repository", &[]),
    ("nix", &["markers", "options", "repository", "tarball_url"]),
    (
        "npm_deps",
        &[
            "cacache",
            "integrity",
            "listing",
            "lockfile",
            "options",
            "redaction",
            "registry",
            "store",
            "tarball",
        ],
    ),
    ("npm_package", &["integrity", "registry", "tarball_url"]),
    ("repair", &["integrity", "lockfile", "npm_package", "redaction", "registry"]),
    ("relock", &["integrity", "listing", "lockfile", "npm_package", "registry"]),
    (
        "packaging",
        &[
            "integrity",
            "listing",
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
    ("conflicts", &["lockfile", "markers", "nix", "npm_deps", "options"]),
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
            "listing",
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
    let own = paths(&without_comments(text), &[]).into_iter().filter(|path| path[0] == "crate");
    own.filter_map(|path| path.get(1).cloned()).collect()
}

#[test]
fn the_test_sees_what_it_should() {
    let found = crate_modules("use crate::{a::B, c::{d, e}, f};\nlet x = crate::g::h(); // crate::i\n");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "c", "f", "g"]);
}

/// Rooms of the evaluator -> rooms that they may use. The first seven are the language: they import nothing of the rest.
const ROOMS: &[(&str, &[&str])] = &[
    ("syntax", &[]),
    ("place", &[]),
    ("files", &["syntax"]),
    ("value", &["files", "syntax"]),
    ("budget", &["syntax", "value"]),
    ("eval", &["budget", "files", "place", "syntax", "value"]),
    ("builtins", &["budget", "eval", "files", "syntax", "value"]),
    ("hash_text", &[]),
    ("reason", &[]),
    ("areas", &[]),
    ("literal", &["hash_text", "value"]),
    ("remote", &["hash_text", "literal", "place", "value"]),
    ("shell", &["budget", "files", "reason", "syntax", "value"]),
    ("site", &["literal", "place", "reason", "remote", "shell", "value"]),
    ("occurrences", &["hash_text", "syntax"]),
    ("nixpkgs", &["budget", "builtins", "eval", "hash_text", "shell", "syntax", "value"]),
    ("library", &["builtins", "eval", "nixpkgs", "syntax", "value"]),
    ("modules", &["builtins", "eval", "hash_text", "nixpkgs", "syntax", "value"]),
    ("flake", &["builtins", "eval", "files", "library", "modules", "nixpkgs", "syntax", "value"]),
    (
        "world",
        &["builtins", "eval", "flake", "hash_text", "library", "modules", "nixpkgs", "syntax", "value"],
    ),
    (
        "sites",
        &[
            "areas",
            "budget",
            "eval",
            "files",
            "flake",
            "hash_text",
            "literal",
            "modules",
            "nixpkgs",
            "occurrences",
            "place",
            "reason",
            "remote",
            "shell",
            "site",
            "syntax",
            "value",
        ],
    ),
    ("directive", &["eval", "files", "literal", "place", "reason", "site"]),
    ("edit", &["literal", "syntax", "value"]),
    ("elsewhere", &["files", "place", "syntax"]),
    ("insert", &["syntax"]),
    ("scope", &["areas", "files", "shell"]),
    ("stated", &["site"]),
    ("tracking", &["place", "scope", "site"]),
];

#[test]
fn rooms_of_the_evaluator_import_only_what_is_below_them() {
    let rooms: BTreeMap<_, BTreeSet<_>> =
        ROOMS.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for (file, imports) in evaluator().imports() {
        // The facade of all rooms puts them together.
        let Some(room) = file.get(1) else { continue };
        let may = rooms.get(room.as_str()).unwrap_or_else(|| panic!("{room} is in no row"));
        for other in imports.iter().filter_map(|import| import.get(1)).filter(|other| *other != room) {
            if !may.contains(other.as_str()) {
                wrong.push(format!("{} imports {other}", file.join("/")));
            }
        }
        seen.insert(room.clone());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, rooms.keys().map(|name| (*name).to_owned()).collect(), "the rows name rooms that exist");
}

/// Files of one folder may know each other through its facade; folders may not.
#[test]
fn no_circle_of_imports_leaves_its_folder() {
    let wrong = evaluator().circles_across_folders();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

type Module = Vec<String>;

/// Source files by their modules.
struct Sources(BTreeMap<Module, String>);

fn evaluator() -> Sources {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&source.join("nix")).into_iter();
    let tests = |file: &PathBuf| file.file_name().is_some_and(|name| name == "tests.rs");
    let module = |file: &Path| -> Module {
        let below = file.strip_prefix(&source).unwrap().with_extension("");
        let parts = below.components().map(|part| part.as_os_str().to_str().unwrap().to_owned());
        parts.filter(|part| part != "mod").collect()
    };
    let files = files.filter(|file| !tests(file));
    Sources(files.map(|file| (module(&file), fs::read_to_string(&file).unwrap())).collect())
}

impl Sources {
    fn imports(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        self.0.iter().map(|(module, text)| (module.clone(), self.imports_of(module, text))).collect()
    }

    fn imports_of(&self, module: &Module, text: &str) -> BTreeSet<Module> {
        let code = without_tests(text);
        let children =
            self.0.keys().filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
        let children: Vec<String> = children.filter_map(|child| child.last().cloned()).collect();
        let mut found = BTreeSet::new();
        for path in paths(&code, &children) {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let mut full = match path[0].as_str() {
                "crate" => Vec::new(),
                "super" => module[..module.len().saturating_sub(ups)].to_vec(),
                _ => module.clone(),
            };
            full.extend(path.into_iter().filter(|part| !matches!(part.as_str(), "crate" | "super" | "self")));
            while !full.is_empty() && !self.0.contains_key(&full) {
                full.pop();
            }
            if !full.is_empty() && full != *module {
                found.insert(full);
            }
        }
        found
    }

    /// The facade of a folder belongs to it.
    fn folder(&self, module: &Module) -> Module {
        let is_facade = self.0.keys().any(|other| other.len() > module.len() && other.starts_with(module));
        if is_facade { module.clone() } else { module[..module.len() - 1].to_vec() }
    }

    fn circles_across_folders(&self) -> Vec<String> {
        let imports = self.imports();
        let reach: BTreeMap<&Module, BTreeSet<&Module>> =
            imports.keys().map(|from| (from, reachable(&imports, from))).collect();
        let mut wrong = Vec::new();
        for (from, all) in &reach {
            for to in all.iter().filter(|to| reach[**to].contains(from)) {
                if self.folder(from) != self.folder(to) {
                    wrong.push(format!("{} and {} need each other", from.join("/"), to.join("/")));
                }
            }
        }
        wrong
    }
}

fn reachable<'a>(imports: &'a BTreeMap<Module, BTreeSet<Module>>, from: &'a Module) -> BTreeSet<&'a Module> {
    let (mut seen, mut queue) = (BTreeSet::new(), vec![from]);
    while let Some(next) = queue.pop() {
        queue.extend(imports[next].iter().filter(|import| seen.insert(*import)));
    }
    seen
}

/// The code of a file without its tests, which stand at the end, and without visibilities.
fn without_tests(text: &str) -> String {
    let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    without_comments(production).replace("pub(in crate::nix)", "pub")
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or(line).to_owned() + "\n").collect()
}

/// All paths in code that begin with `crate`, `super`, `self` or the name of a child, groups taken apart.
fn paths(code: &str, children: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in code.match_indices("::") {
        let head = code[..at].rfind(|c| !is_name(c)).map_or(0, |end| end + 1);
        let first = &code[head..at];
        let inner = code[..head].ends_with("::");
        if !inner
            && (matches!(first, "crate" | "super" | "self") || children.iter().any(|name| name == first))
        {
            tree(&code[head..], &[], &mut found);
        }
    }
    found
}

/// The paths of one tree of imports; what follows it is left alone.
fn tree(code: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let code = code.trim_start();
    let length = code.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(code.len());
    let path = [before, &[code[..length].to_owned()]].concat();
    match code[length..].strip_prefix("::") {
        Some(rest) if rest.starts_with('{') => {
            for item in items(&rest[1..]) {
                tree(item, &path, found);
            }
        }
        Some(rest) => tree(rest, &path, found),
        None => found.push(path),
    }
}

/// The items of a group whose opening brace is gone.
fn items(group: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

#[test]
fn circles_are_seen() {
    let sources = |texts: &[(&str, &str)]| {
        let module = |path: &str| path.split('/').map(str::to_owned).collect();
        Sources(texts.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect())
    };
    let facade =
        sources(&[("a", "mod b;\npub use b::{C, d};"), ("a/b", "use super::E;"), ("f", "use crate::a;")]);
    assert_eq!(facade.circles_across_folders(), Vec::<String>::new());
    let direct = sources(&[
        ("x/a", ""),
        ("x/a/b", "use crate::x::{c::{D, e}, g};"),
        ("x/c", ""),
        ("x/c/e", "fn f() { super::super::a::b::run() } // crate::x::g"),
    ]);
    assert_eq!(
        direct.circles_across_folders(),
        ["x/a/b and x/c/e need each other", "x/c/e and x/a/b need each other"]
    );
    let tests =
        sources(&[("a/b", "use crate::c::d;"), ("c/d", "#[cfg(test)]\nmod tests {\n use crate::a::b; }")]);
    assert_eq!(tests.circles_across_folders(), Vec::<String>::new());
}
