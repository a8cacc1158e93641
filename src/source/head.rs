//! What the last commit recorded, to tell a source that moved on from one that was replaced under its name.
//!
//! A hash that the commit has for the very same origin was true of that origin. A hash that it has for another one, or
//! not at all, says nothing about this one.
//!
//! Only `git ls-tree` and `git cat-file` are run: they read objects, and run neither filters nor hooks. Nothing is fetched.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::digest::{Digest, Recorded};
use super::origin::Origin;
use super::resolve;
use crate::integrity::hex;
use crate::nix::{self, Scope};

/// Files that Nix expressions are made of, or read.
const READ: [&str; 5] = ["nix", "json", "toml", "lock", "txt"];

/// Larger files are read by no Nix expression that is looked at here.
const LARGEST: u64 = 8 << 20;

/// How git is run.
#[derive(Debug, Clone)]
pub struct Git {
    /// The program.
    pub program: PathBuf,
    /// The user's folder, for git's own configuration.
    pub home: Option<PathBuf>,
}

/// What the last commit of a repository records.
pub struct Head {
    root: PathBuf,
    git: Option<Git>,
    committed: OnceLock<Result<Vec<Committed>, &'static str>>,
}

/// A source of the last commit.
struct Committed {
    /// `None` if its origin is not known.
    identity: Option<String>,
    recorded: Option<Digest>,
}

impl Head {
    /// The last commit of the repository at `root`. Nothing is run before it is asked for.
    #[must_use]
    pub fn new(root: PathBuf, git: Option<Git>) -> Self {
        Self { root, git, committed: OnceLock::new() }
    }

    /// Whether the last commit records this hash for this origin.
    ///
    /// # Errors
    /// When that is not known: why.
    pub fn records(&self, origin: &Origin, recorded: &Digest) -> Result<bool, &'static str> {
        let committed = self.committed.get_or_init(|| self.read()).as_ref().map_err(|why| *why)?;
        let identity = origin.identity();
        let same_hash: Vec<_> =
            committed.iter().filter(|source| source.recorded.as_ref() == Some(recorded)).collect();
        if same_hash.iter().any(|source| source.identity.as_ref() == Some(&identity)) {
            return Ok(true);
        }
        if same_hash.iter().any(|source| source.identity.is_none()) {
            return Err("the last commit has this hash for a source that is not known");
        }
        Ok(false)
    }

    fn read(&self) -> Result<Vec<Committed>, &'static str> {
        let git = self.git.as_ref().ok_or("git is not installed")?;
        let tree = git.run(&self.root, &["ls-tree", "-r", "-z", "--full-tree", "HEAD"], b"");
        let tree = tree.ok_or("git knows no last commit of this repository")?;
        let top = git
            .run(&self.root, &["rev-parse", "--show-cdup"], b"")
            .ok_or("git does not tell its top folder")?;
        if !top.trim_ascii().is_empty() {
            return Err("the repository's folder is not the top of git's");
        }
        let changed = changed(&self.root, &tree);
        let instead = git.blobs(&self.root, changed).ok_or("git cannot read the last commit")?;
        let scope = Scope { instead, ..Scope::new(&self.root) };
        let survey = nix::survey(&scope);
        let sources = survey.sites.iter().flat_map(nix::Site::sources);
        let committed = sources.map(|source| match resolve(source) {
            Ok(resolved) => Committed {
                identity: Some(resolved.origin.identity()),
                recorded: match resolved.recorded {
                    Recorded::Known(digest) => Some(digest),
                    Recorded::Placeholder(_) => None,
                },
            },
            Err(_) => Committed { identity: None, recorded: super::recorded(source) },
        });
        Ok(committed.collect())
    }
}

/// Path and object of every file whose committed bytes are others than those on disk.
fn changed(root: &Path, tree: &[u8]) -> Vec<(PathBuf, String)> {
    let entry = |line: &[u8]| {
        let line = String::from_utf8(line.to_vec()).ok()?;
        let (head, path) = line.split_once('\t')?;
        let [mode, "blob", object] = head.split(' ').collect::<Vec<_>>()[..] else { return None };
        let path = root.join(path);
        let read = path.extension().is_some_and(|own| READ.iter().any(|known| *own == **known));
        (read && mode != "120000" && !is_committed(&path, object)).then(|| (path, object.to_owned()))
    };
    tree.split(|byte| *byte == 0).filter_map(entry).collect()
}

/// Whether a file's bytes are those of a git object.
fn is_committed(path: &Path, object: &str) -> bool {
    let small = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() <= LARGEST);
    let Some(bytes) = small.then(|| std::fs::read(path).ok()).flatten() else { return false };
    let head = format!("blob {}\0", bytes.len());
    let id = if object.len() == 40 {
        hex(&Sha1::new().chain_update(head).chain_update(&bytes).finalize())
    } else {
        hex(&Sha256::new().chain_update(head).chain_update(&bytes).finalize())
    };
    id == object
}

impl Git {
    /// Runs git in a folder with this on its standard input; `None` if it fails.
    fn run(&self, folder: &Path, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let mut command = Command::new(&self.program);
        // The folder may be another user's, as in a bot's container; only objects are read.
        command.arg("-c").arg(format!("safe.directory={}", folder.display())).arg("-C").arg(folder);
        command.args(arguments).env_clear();
        command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
        if let Some(home) = &self.home {
            command.env("HOME", home);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut pipe = child.stdin.take()?;
        std::thread::scope(|scope| {
            // Written beside reading, so that neither side waits for ever.
            scope.spawn(move || pipe.write_all(input));
            let output = child.wait_with_output().ok()?;
            output.status.success().then_some(output.stdout)
        })
    }

    /// The bytes of these objects.
    fn blobs(&self, folder: &Path, wanted: Vec<(PathBuf, String)>) -> Option<BTreeMap<PathBuf, Vec<u8>>> {
        if wanted.is_empty() {
            return Some(BTreeMap::new());
        }
        let names: Vec<&str> = wanted.iter().flat_map(|(_, object)| [object.as_str(), "\n"]).collect();
        let output = self.run(folder, &["cat-file", "--batch"], names.concat().as_bytes())?;
        let mut rest = output.as_slice();
        let mut blobs = BTreeMap::new();
        for (path, _) in wanted {
            // `<object> blob <size>\n<bytes>\n`
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let head = std::str::from_utf8(&rest[..end]).ok()?;
            let size: usize = head.split(' ').nth(2)?.parse().ok()?;
            let (bytes, after) = rest[end + 1..].split_at_checked(size)?;
            blobs.insert(path, bytes.to_vec());
            rest = after.strip_prefix(b"\n")?;
        }
        Some(blobs)
    }
}
