//! Real Nix as the judge: evaluates a case with the stub nixpkgs, builds its npm dependencies' derivations (which print
//! the lockfile that would be hashed) and says what every hash belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use std::{fs, io, thread};

use super::super::program::with_store_in;
use super::fixtures::{Case, Options, files_below};

/// What real Nix says of one hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// The hashed bytes are those of these files of the repository.
    Local(Vec<String>),
    /// They come from a source that is not in the repository.
    Remote,
    /// There is no lockfile.
    Missing,
    /// The build fails before it comes to the lockfile.
    Failed,
    /// The hashed bytes are in no file: they were changed on the way.
    /// The bytes.
    Edited(Vec<u8>),
}

/// A derivation of npm dependencies, as real Nix instantiates it.
#[derive(Debug, Clone)]
pub struct Dependencies {
    pub hash: String,
    pub options: Options,
    pub truth: Truth,
    /// The attributes whose derivations need this one.
    pub attrs: BTreeSet<String>,
}

/// A download, as real Nix would be asked for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Download {
    /// The first of its URLs.
    pub url: String,
    /// Its hash, as it is written.
    pub hash: String,
}

/// A private store, so that neither the machine's store nor its configuration matters.
pub struct Oracle {
    home: PathBuf,
    stub: PathBuf,
}

/// The files of a case.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What the evaluation of a case gives: attributes and their derivations.
pub type Instantiated = Vec<(String, PathBuf)>;

impl Oracle {
    /// None where Nix is not installed.
    pub fn new(home: &Path, stub: &Path) -> Option<Self> {
        Command::new("nix-instantiate").arg("--version").output().ok()?;
        fs::create_dir_all(home.join("conf")).expect("a folder for the store");
        let settings = "sandbox = false\nbuild-users-group =\nsubstitute = false\nfsync-metadata = false\n";
        fs::write(home.join("conf/nix.conf"), settings).expect("a configuration of our own");
        Some(Self { home: home.to_owned(), stub: stub.to_owned() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        with_store_in(&mut command, &self.home).env_remove("NIX_PATH").env("HOME", &self.home);
        command
    }

    /// Evaluates a case; the message of Nix where it fails.
    pub fn instantiate(&self, case: &Case, entry: &str) -> Result<Instantiated, String> {
        let entry = match entry {
            "flake" => "\"flake\"".to_owned(),
            text => {
                format!("({{ pkgs, lib, pkgsFor, callFlake, import, builtins, fetchTarball, ... }}: {text})")
            }
        };
        let stub = self.stub.display();
        let mut command = self.command("nix-instantiate");
        command
            .args(["--eval", "--strict", "--json", "--read-write-mode", "-I"])
            .arg(format!("nixpkgs={stub}"))
            .arg("--expr")
            .arg(format!("import {stub}/oracle.nix {{ root = ./.; entry = {entry}; }}"))
            .current_dir(case.input());
        let output = unhurried(&mut command).map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let rows: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let rows = rows.as_array().ok_or("not a list")?;
        Ok(rows.iter().map(|row| (text(row, "attr"), PathBuf::from(text(row, "drv")))).collect())
    }

    /// Builds derivations; those of npm dependencies never fail, they say what is missing.
    pub fn build(&self, derivations: &BTreeSet<PathBuf>) {
        for batch in derivations.iter().collect::<Vec<_>>().chunks(500) {
            let mut command = self.command("nix-store");
            command.args(["--realise", "--quiet", "-j", "4"]).args(batch);
            let output = unhurried(&mut command).expect("nix-store starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// Runs a program of Nix, again where others kept the store's database busy for too long: that says nothing of the case.
fn unhurried(command: &mut Command) -> io::Result<Output> {
    const ATTEMPTS: usize = 10;
    for _ in 1..ATTEMPTS {
        let output = command.output()?;
        let busy = String::from_utf8_lossy(&output.stderr).contains("db.sqlite' is busy");
        if output.status.success() || !busy {
            return Ok(output);
        }
        thread::sleep(Duration::from_secs(1));
    }
    command.output()
}

/// Instantiates an evaluated case's derivations and says what each of their hashes belongs to.
pub fn judge(oracle: &Oracle, case: &Case, rows: &Instantiated) -> Vec<Dependencies> {
    let mut reader = Reader::default();
    let mut found: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for (attr, top) in rows {
        for path in reader.npm_dependencies(top) {
            found.entry(path).or_default().insert(attr.clone());
        }
    }
    oracle.build(&found.keys().cloned().collect());
    let files = files_below(&case.input());
    found.into_iter().map(|(path, attrs)| reader.dependencies(&files, &path, attrs)).collect()
}

/// The part of a `.drv` file that matters here.
struct Derivation {
    output: PathBuf,
    inputs: Vec<PathBuf>,
    environment: BTreeMap<String, String>,
}

/// Reads derivations, each once.
#[derive(Default)]
pub struct Reader {
    known: BTreeMap<PathBuf, Derivation>,
}

impl Reader {
    fn get(&mut self, path: &Path) -> &Derivation {
        self.known.entry(path.to_owned()).or_insert_with(|| {
            let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            parse_derivation(&text)
        })
    }

    /// All that a derivation needs, itself included.
    fn closure(&mut self, top: &Path) -> BTreeSet<PathBuf> {
        let (mut seen, mut queue) = (BTreeSet::new(), vec![top.to_owned()]);
        while let Some(path) = queue.pop() {
            if seen.insert(path.clone()) {
                queue.extend(self.get(&path).inputs.iter().cloned());
            }
        }
        seen
    }

    /// The derivations of npm dependencies that a derivation needs, itself included.
    pub fn npm_dependencies(&mut self, top: &Path) -> BTreeSet<PathBuf> {
        let mut found = self.closure(top);
        found.retain(|path| self.get(path).environment.contains_key("npmDepsOf"));
        found
    }

    /// The downloads that a derivation needs.
    pub fn downloads(&mut self, top: &Path) -> BTreeSet<Download> {
        let all = self.closure(top).into_iter();
        all.filter_map(|path| {
            let derivation = self.get(&path);
            let value = |key: &str| derivation.environment.get(key).filter(|text| !text.is_empty()).cloned();
            Some(Download { url: value("fetchedUrl")?, hash: value("fetchedHash")? })
        })
        .collect()
    }

    /// What real Nix says of a built derivation of npm dependencies.
    pub fn dependencies(&mut self, files: &Files, path: &Path, attrs: BTreeSet<String>) -> Dependencies {
        let derivation = self.get(path);
        let value = |key: &str| derivation.environment.get(key).cloned().unwrap_or_default();
        let bytes =
            fs::read(&derivation.output).unwrap_or_else(|e| panic!("{}: {e}", derivation.output.display()));
        Dependencies {
            hash: value("depsHash"),
            options: Options {
                fetcher_version: value("depsFetcherVersion").parse().expect("a number"),
                force_git_deps: value("depsForceGitDeps") == "1",
                force_empty_cache: value("depsForceEmptyCache") == "1",
            },
            truth: truth(files, &bytes),
            attrs,
        }
    }
}

fn truth(files: &Files, bytes: &[u8]) -> Truth {
    if bytes.starts_with(b"MISSING") {
        return Truth::Missing;
    }
    if bytes.starts_with(b"FAILED") {
        return Truth::Failed;
    }
    if bytes == b"REMOTE\n" {
        return Truth::Remote;
    }
    let same: Vec<String> =
        files.iter().filter(|(_, other)| *other == bytes).map(|(file, _)| file.clone()).collect();
    if same.is_empty() { Truth::Edited(bytes.to_vec()) } else { Truth::Local(same) }
}

/// `Derive([outputs],[inputs],[sources],system,builder,[arguments],[environment])`, each string quoted.
fn parse_derivation(text: &str) -> Derivation {
    let mut derivation =
        Derivation { output: PathBuf::new(), inputs: Vec::new(), environment: BTreeMap::new() };
    let mut field = 0;
    let mut depth = 0;
    let mut tuple: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            '"' => {
                let (value, after) = parse_string(&rest[1..]);
                tuple.push(value);
                rest = after;
                continue;
            }
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 1 => {
                field += 1;
                tuple.clear();
            }
            _ => {}
        }
        // A tuple of a list has ended: Derive( [ ( .. ) ] )
        if c == ')' && depth == 2 {
            keep(&mut derivation, field, &tuple);
            tuple.clear();
        }
        rest = &rest[c.len_utf8()..];
    }
    derivation
}

fn keep(derivation: &mut Derivation, field: usize, tuple: &[String]) {
    match (field, tuple) {
        (0, [_, path, ..]) => derivation.output = path.into(),
        (1, [path, ..]) => derivation.inputs.push(path.into()),
        (6, [key, value]) => {
            derivation.environment.insert(key.clone(), value.clone());
        }
        _ => {}
    }
}

fn parse_string(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, 't')) => value.push('\t'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    panic!("a string that does not end");
}
