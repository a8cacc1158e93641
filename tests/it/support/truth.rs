//! The cases of `fixtures/lockfiles`, and the hosts that serve what they need.

use std::fs;
use std::path::{Path, PathBuf};

use super::registry::Registry;

/// The hosts that `fixtures/archives` stands in for.
pub const HOSTS: [&str; 4] = ["codeload.github.com", "bitbucket.org", "git.sr.ht", "registry.npmjs.org"];

/// A line of `truth.tsv`.
#[derive(Debug, Clone)]
pub struct Row {
    pub case: String,
    pub fetcher_version: String,
    /// Options of `fetchNpmDeps` that are set.
    pub flags: Vec<String>,
    /// The hash, or nothing where nixpkgs refuses.
    pub hash: Option<String>,
}

impl Row {
    pub fn lockfile(&self) -> PathBuf {
        fixtures().join("lockfiles").join(&self.case).join("package-lock.json")
    }

    /// The row's options as flags of `npm-nixhash hash`.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--fetcher-version".to_owned(), self.fetcher_version.clone()];
        arguments.extend(self.flags.iter().map(|flag| match flag.as_str() {
            "forceGitDeps" => "--force-git-deps".to_owned(),
            "forceEmptyCache" => "--force-empty-cache".to_owned(),
            other => panic!("unknown flag {other}"),
        }));
        arguments
    }

    /// The row's options as variables of nixpkgs' tool.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("NPM_FETCHER_VERSION", self.fetcher_version.clone())];
        variables.extend(self.flags.iter().map(|flag| match flag.as_str() {
            "forceGitDeps" => ("FORCE_GIT_DEPS", "1".to_owned()),
            "forceEmptyCache" => ("FORCE_EMPTY_CACHE", "1".to_owned()),
            other => panic!("unknown flag {other}"),
        }));
        variables
    }
}

/// A line of `judged.tsv`: a lockfile that nixpkgs' fetcher refuses, or over which we know better.
#[derive(Debug, Clone)]
pub struct Judged {
    pub case: String,
    /// Whether there is no hash.
    pub refused: bool,
    pub arguments: Vec<String>,
    /// Where in the lockfile the fault stands, if it stands somewhere.
    pub place: Option<String>,
    /// A part of what is said of it, which the page about the hash has too.
    pub message: String,
    pub lockfile: String,
}

/// All lines of `judged.tsv`.
pub fn judged() -> Vec<Judged> {
    let table = fs::read_to_string(fixtures().join("lockfiles/judged.tsv")).unwrap();
    let row = |line: &str| {
        let columns: Vec<_> = line.split('\t').map(str::to_owned).collect();
        let [case, verdict, arguments, place, message, lockfile] =
            columns.try_into().unwrap_or_else(|_| panic!("not six columns: {line}"));
        assert!(verdict == "refused" || verdict == "warned", "{line}");
        Judged {
            case,
            refused: verdict == "refused",
            arguments: arguments.split(' ').filter(|word| *word != "-").map(str::to_owned).collect(),
            place: Some(place).filter(|place| place != "-"),
            message,
            lockfile,
        }
    };
    table.lines().skip(1).map(row).collect()
}

pub fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"))
}

/// All rows.
pub fn rows() -> Vec<Row> {
    let table = fs::read_to_string(fixtures().join("lockfiles/truth.tsv")).unwrap();
    table.lines().skip(1).map(row).collect()
}

/// The rows of one case.
pub fn rows_of(case: &str) -> Vec<Row> {
    rows().into_iter().filter(|row| row.case == case).collect()
}

fn row(line: &str) -> Row {
    let columns: Vec<_> = line.split('\t').collect();
    let [case, fetcher_version, flags, hash] = columns[..] else { panic!("not four columns: {line}") };
    Row {
        case: case.to_owned(),
        fetcher_version: fetcher_version.to_owned(),
        flags: flags.split(',').filter(|flag| *flag != "-").map(str::to_owned).collect(),
        hash: hash.starts_with("sha256-").then(|| hash.to_owned()),
    }
}

/// Serves what `fixtures/archives` holds for one host.
pub fn serve_host(registry: &Registry, host: &str) {
    let root = fixtures().join("archives").join(host);
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            let name = name.strip_suffix("/packument.json").unwrap_or(name);
            registry.serve(&format!("/{name}"), fs::read(&path).unwrap());
        }
    }
}

/// A server that answers as all hosts of `fixtures/archives` do.
pub fn serve_all() -> Registry {
    let registry = Registry::start();
    serve_host(&registry, "codeload.github.com");
    serve_host(&registry, "registry.npmjs.org");
    registry
}
