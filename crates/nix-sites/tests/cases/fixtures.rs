//! The cases of `fixtures/nix`: what is in them, and what is expected of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What moves the hash besides the lockfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Options {
    pub fetcher_version: u64,
    pub force_git_deps: bool,
    pub force_empty_cache: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { fetcher_version: 1, force_git_deps: false, force_empty_cache: false }
    }
}

/// The position of a token, as people count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Local,
    Remote,
    MissingLockfile,
    /// One tarball of a registry is pinned, without a lockfile.
    Tarball,
    Undecided,
}

#[derive(Debug, Clone)]
pub struct ExpectedSite {
    pub attr: Option<String>,
    pub outcome: Outcome,
    pub hashes: Vec<Position>,
    pub lockfile: Option<String>,
    /// The URL of the tarball.
    pub tarball: Option<String>,
    /// The hashes of its sources, where the case tells them.
    pub sources: Option<Vec<Position>>,
    pub options: Options,
    pub reason: Option<String>,
    /// Whether its hash is that of npm dependencies, which an oracle of those can confirm.
    pub npm_deps: bool,
    /// What the phases replace in the lockfile: old and new text.
    pub edits: Vec<(String, String)>,
    /// The tokens that would have to say something else for the derivation to be used.
    pub only_when: Vec<Position>,
    /// The same in words, where the case tells them.
    pub when: Option<Vec<String>>,
    /// What some step of the proof says, in order, where the case tells it.
    pub because: Vec<String>,
}

/// A text of a file that a configuration has instead of another.
#[derive(Debug, Clone)]
pub struct Edit {
    pub file: String,
    pub old: String,
    pub new: String,
}

#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub dir: PathBuf,
    /// How real Nix evaluates it; absent where it cannot.
    pub entry: Option<String>,
    /// Configurations that are not today's, as edits of the input.
    pub configurations: Vec<Vec<Edit>>,
    pub sites: Vec<ExpectedSite>,
    /// Where something is to be said besides, and what, where the case tells it.
    pub warnings: Option<Vec<(Position, String)>>,
    /// The lockfiles that nothing is tied to, where the case tells them.
    pub uncovered: Option<Vec<String>>,
}

impl Case {
    pub fn input(&self) -> PathBuf {
        self.dir.join("in")
    }
}

/// All cases of a folder, by name. A case that cannot be read is a mistake of ours and stops the test.
pub fn load_all(fixtures: &Path) -> Vec<Case> {
    let mut cases: Vec<Case> = fs::read_dir(fixtures)
        .unwrap_or_else(|e| panic!("{}: {e}", fixtures.display()))
        .map(|entry| load(&entry.expect("a folder entry").path()))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn load(dir: &Path) -> Case {
    let file = dir.join("expect.json");
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let entry = json["oracle"].as_bool().expect("oracle: true or false").then(|| string(&json["entry"]));
    let sites = json["sites"].as_array().expect("sites: a list");
    Case {
        name: dir.file_name().expect("a case has a name").to_string_lossy().into_owned(),
        dir: dir.to_owned(),
        entry,
        configurations: configurations(&json["configurations"]),
        sites: sites.iter().map(site).collect(),
        warnings: json["warnings"].as_array().map(|all| all.iter().map(warning).collect()),
        uncovered: json["uncovered"].as_array().map(|all| all.iter().map(string).collect()),
    }
}

fn warning(value: &Value) -> (Position, String) {
    (position(&string(&value[0])), string(&value[1]))
}

fn configurations(value: &Value) -> Vec<Vec<Edit>> {
    let edit = |edit: &Value| Edit {
        file: string(&edit["file"]),
        old: string(&edit["old"]),
        new: string(&edit["new"]),
    };
    let edits = |edits: &Value| edits.as_array().expect("a list of edits").iter().map(edit).collect();
    value.as_array().into_iter().flatten().map(edits).collect()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}")).to_owned()
}

fn site(value: &Value) -> ExpectedSite {
    ExpectedSite {
        attr: value["attr"].as_str().map(str::to_owned),
        outcome: match value["outcome"].as_str() {
            Some("local") => Outcome::Local,
            Some("remote") => Outcome::Remote,
            Some("missing-lockfile") => Outcome::MissingLockfile,
            Some("tarball") => Outcome::Tarball,
            Some("undecided") => Outcome::Undecided,
            other => panic!("no outcome: {other:?}"),
        },
        hashes: positions(&value["hashes"]).expect("hashes: a list"),
        lockfile: value["lockfile"].as_str().map(str::to_owned),
        tarball: value["tarball"].as_str().map(str::to_owned),
        sources: positions(&value["sources"]),
        options: options(&value["options"]),
        reason: value["reason"].as_str().map(str::to_owned),
        npm_deps: value["npm_deps"].as_bool().unwrap_or(value["outcome"] != "tarball"),
        edits: value["edits"].as_array().map_or_else(Vec::new, |edits| {
            edits.iter().map(|edit| (string(&edit[0]), string(&edit[1]))).collect()
        }),
        only_when: positions(&value["only_when"]).unwrap_or_default(),
        when: value["when"].as_array().map(|all| all.iter().map(string).collect()),
        because: value["because"].as_array().map_or_else(Vec::new, |all| all.iter().map(string).collect()),
    }
}

/// A list of positions, if there is one.
fn positions(value: &Value) -> Option<Vec<Position>> {
    Some(value.as_array()?.iter().map(|p| position(&string(p))).collect())
}

fn position(text: &str) -> Position {
    let mut parts = text.rsplitn(3, ':');
    let mut number =
        || parts.next().and_then(|p| p.parse().ok()).unwrap_or_else(|| panic!("no position: {text}"));
    let (column, line) = (number(), number());
    Position { file: parts.next().unwrap_or_default().to_owned(), line, column }
}

fn options(value: &Value) -> Options {
    let default = Options::default();
    Options {
        fetcher_version: value["fetcherVersion"].as_u64().unwrap_or(default.fetcher_version),
        force_git_deps: value["forceGitDeps"].as_bool().unwrap_or(false),
        force_empty_cache: value["forceEmptyCache"].as_bool().unwrap_or(false),
    }
}

/// All systems are one: `packages.aarch64-darwin.web` is `packages.<system>.web`.
pub fn without_system(attr: &str) -> String {
    attr.split('.')
        .map(|part| match part {
            "x86_64-linux" | "aarch64-linux" | "x86_64-darwin" | "aarch64-darwin" => "<system>",
            other => other,
        })
        .collect::<Vec<_>>()
        .join(".")
}

/// The hash that a lockfile and options get in tests: it says what a literal was tied to.
pub fn stand_in(lockfile: &str, options: Options) -> String {
    let text = format!(
        "{lockfile}\n{} {} {}\n",
        options.fetcher_version,
        u8::from(options.force_git_deps),
        u8::from(options.force_empty_cache)
    );
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// A literal's token in its file: its bytes, and the hash that it means.
#[derive(Debug, Clone)]
pub struct Token {
    pub range: std::ops::Range<usize>,
    pub text: String,
    pub value: String,
}

/// The token at a position, found without the evaluator's help.
pub fn token_at(root: &Path, position: &Position) -> Token {
    let file = root.join(&position.file);
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let start = offset(&text, position).unwrap_or_else(|| panic!("{position} is not in the file"));
    let rest = &text[start..];
    let length = token_length(rest, is_source(&position.file));
    let token = rest[..length].to_owned();
    Token { range: start..start + length, value: token_value(&token), text: token }
}

fn is_source(file: &str) -> bool {
    [".nix", ".json", ".toml"].iter().any(|extension| file.ends_with(extension))
}

fn offset(text: &str, position: &Position) -> Option<usize> {
    let mut start = 0;
    for _ in 1..position.line {
        start += text[start..].find('\n')? + 1;
    }
    text[start..].char_indices().nth(position.column - 1).map(|(at, _)| start + at)
}

fn token_length(rest: &str, source: bool) -> usize {
    if source && rest.starts_with('"') {
        2 + rest[1..].find('"').expect("a string that ends")
    } else if source && rest.starts_with("''") {
        4 + rest[2..].find("''").expect("a string that ends")
    } else {
        rest.find(|c: char| c.is_whitespace() || ";)".contains(c)).unwrap_or(rest.len())
    }
}

fn token_value(token: &str) -> String {
    let bare = token.trim_matches(|c| c == '"' || c == '\'');
    match bare {
        _ if bare.ends_with("fakeHash") => format!("sha256-{}", STANDARD.encode([0; 32])),
        _ if bare.ends_with("fakeSha256") => "0".repeat(64),
        _ => bare.replace("\\/", "/"),
    }
}

/// Every regular file below a folder, relative, with its bytes. Symbolic links count as what they point at.
pub fn files_below(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a folder entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                let relative = path.strip_prefix(root).expect("below the root");
                files.insert(relative.to_string_lossy().into_owned(), bytes);
            }
        }
    }
    files
}

/// The text with its edits; they are disjoint by now.
pub fn apply(text: &[u8], edits: &BTreeMap<(usize, usize), String>) -> Vec<u8> {
    let mut result = Vec::new();
    let mut last = 0;
    for ((start, end), new) in edits {
        assert!(last <= *start, "edits overlap");
        result.extend_from_slice(&text[last..*start]);
        result.extend_from_slice(new.as_bytes());
        last = *end;
    }
    result.extend_from_slice(&text[last..]);
    result
}
