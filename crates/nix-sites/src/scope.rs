//! Which files a survey looks at.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use memchr::memmem;
use nix_lang::files::{MAX_BYTES, is_in, normalize};
use npm_lockfile::FILE_NAMES;
use repository_files::git::{Git, GitError, Tracked};
use repository_files::{Border, Listing};
use tracing::debug;

use super::areas::Areas;

/// What to survey: always a repository as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyScope {
    /// The folder that bounds imports and lockfiles, see [`repository_files::around`].
    pub root: PathBuf,
    /// Nix files that count although git ignores them, because somebody named them.
    pub also: Vec<PathBuf>,
    /// Texts to take instead of what these files hold on disk, by absolute path.
    pub instead: BTreeMap<PathBuf, Vec<u8>>,
    /// Files and folders that count as not being there.
    pub absent: BTreeSet<PathBuf>,
    /// Lockfiles that somebody states for derivations whose source cannot be known: attribute path and absolute path.
    pub stated: BTreeMap<String, PathBuf>,
}

impl SurveyScope {
    /// The repository at this folder.
    #[must_use]
    pub fn of(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            also: Vec::new(),
            instead: BTreeMap::new(),
            absent: BTreeSet::new(),
            stated: BTreeMap::new(),
        }
    }
}

/// The files of a repository that can matter.
pub(super) struct RelevantFiles {
    /// The folder that bounds everything, canonical.
    pub root: PathBuf,
    /// Files that spell `npmDeps` or `fetchNpmDeps`, or that may download a registry's tarball.
    pub candidates: Vec<PathBuf>,
    /// Folders with a `flake.nix`.
    pub flakes: Vec<PathBuf>,
    /// Files from which imports lead to candidates: first those that nothing imports, then all that are not candidates
    /// themselves.
    pub roots: Vec<PathBuf>,
    /// Lockfiles that git tracks or would track, but not those of installed packages.
    pub lockfiles: Vec<PathBuf>,
    /// All Nix files.
    pub nix: BTreeSet<PathBuf>,
    /// Files that could not be read: path and reason.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Folders that belong to somebody else.
    pub borders: Vec<Border>,
    /// Parts of the tree that have nothing to do with each other.
    pub areas: Areas,
    /// What git tracks, where it has the repository and tells.
    pub tracked: Result<Arc<Tracked>, GitError>,
}

/// Walks the repository.
///
/// # Errors
/// When its folder cannot be resolved.
pub(super) fn discover(scope: &SurveyScope) -> Result<RelevantFiles, String> {
    let began = Instant::now();
    let root = scope.root.canonicalize().map_err(|error| error.kind().to_string())?;
    let tracked = Git::of(&root).tracked().cloned();
    let Listing { mut nix, mut lockfiles, borders } =
        repository_files::list(&root, tracked.as_ref().ok(), &FILE_NAMES);
    nix.extend(scope.also.iter().cloned());
    for files in [&mut nix, &mut lockfiles] {
        files.retain(|path| !is_in(path, &scope.absent));
    }
    let mut reading = Reading::new(&nix);
    let mut unreadable = Vec::new();
    for path in &nix {
        let instead = scope.instead.get(path);
        match instead.map_or_else(|| beginning(path).map(Cow::Owned), |text| Ok(Cow::Borrowed(text))) {
            Ok(bytes) => reading.read(path, &bytes),
            Err(error) => unreadable.push((path.clone(), error.kind().to_string())),
        }
    }
    let mut flakes: Vec<PathBuf> = nix
        .iter()
        .filter(|path| path.ends_with("flake.nix"))
        .filter_map(|path| path.parent().map(Path::to_path_buf))
        .collect();
    flakes.sort_by_key(|folder| (folder.components().count(), folder.clone()));
    let roots = reading.roots();
    let areas = reading.areas(&root);
    let lockfiles: Vec<PathBuf> = lockfiles.into_iter().collect();
    let callers = reading.callers();
    let candidates: Vec<PathBuf> = reading.candidates.into_iter().chain(callers).collect();
    debug!(
        nix = nix.len(),
        candidates = candidates.len(),
        lockfiles = lockfiles.len(),
        borders = borders.len(),
        took = ?began.elapsed(),
        "files that can matter"
    );
    Ok(RelevantFiles { root, candidates, flakes, roots, lockfiles, nix, unreadable, borders, areas, tracked })
}

/// As much of a file as is ever parsed.
fn beginning(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a text can hold a hash: anything else about npm (hooks, `npm ci` in a script, a package of nixpkgs) is of no
/// interest, and such files are not even parsed unless a candidate is reached through them.
fn mentions(bytes: &[u8]) -> bool {
    // Of `npmDeps` and `NpmDeps` the rest is the rarer text to look for.
    memmem::find_iter(bytes, b"pmDeps").any(|at| at > 0 && matches!(bytes[at - 1], b'n' | b'N'))
        // Its arguments may come from another file, and the word `npmDepsHash` with them.
        || memmem::find(bytes, b"buildNpmPackage").is_some()
        || memmem::find(bytes, b"importNpmLock").is_some()
        || memmem::find(bytes, b"/-/").is_some()
        || fetches_what_data_say(bytes)
        || installs(bytes)
}

/// Whether a text names a tarball of a registry: a wrapper around one is given its hash by the files that import it.
fn names_tarball(bytes: &[u8]) -> bool {
    memmem::find(bytes, b"/-/").is_some() && memmem::find(bytes, b".tgz").is_some()
}

/// Whether a text may give a version and a hash to such a wrapper.
fn gives_hashes(bytes: &[u8]) -> bool {
    let says = |what: &[u8]| memmem::find(bytes, what).is_some();
    says(b"version") && (says(b"sha256") || says(b"sha512") || says(b"hash"))
}

/// Whether a text makes something of fixed output and names a package manager of npm's registry.
fn installs(bytes: &[u8]) -> bool {
    let says = |what: &[u8]| memmem::find(bytes, what).is_some();
    // `pnpm` holds `npm`, and `bunx` holds `bun`.
    says(b"outputHash") && (says(b"npm") || says(b"yarn") || says(b"bun"))
}

/// Whether a text downloads something, and reads data files, which may hold the URL of a registry's tarball.
fn fetches_what_data_say(bytes: &[u8]) -> bool {
    let says = |what: &[u8]| memmem::find(bytes, what).is_some();
    (says(b"fetchurl") || says(b"fetchzip") || says(b"fetchTarball"))
        && (says(b"importJSON") || says(b"fromJSON") || says(b"importTOML") || says(b"fromTOML"))
}

/// What the texts say, one after the other: which of them can matter, and which file names which. No text is kept, so
/// that a tree of any size takes a few hundred bytes for each of its files.
struct Reading<'a> {
    nix: &'a BTreeSet<PathBuf>,
    /// Folders that hold Nix files, at any depth.
    folders: HashSet<&'a Path>,
    candidates: Vec<PathBuf>,
    /// Files that name tarballs of a registry, and those that may give hashes to a wrapper around one.
    tarballs: Vec<PathBuf>,
    givers: BTreeSet<PathBuf>,
    /// Which files name a file by a relative path.
    importers: HashMap<PathBuf, BTreeSet<PathBuf>>,
    /// Which files outside of a folder name it; it may be read as a whole.
    readers: HashMap<PathBuf, BTreeSet<PathBuf>>,
}

impl<'a> Reading<'a> {
    fn new(nix: &'a BTreeSet<PathBuf>) -> Self {
        let mut folders = HashSet::new();
        for path in nix {
            // An ancestor that is known has its own ancestors known.
            let new = path.ancestors().skip(1).take_while(|folder| folders.insert(*folder));
            let _ = new.count();
        }
        Self {
            nix,
            folders,
            candidates: Vec::new(),
            tarballs: Vec::new(),
            givers: BTreeSet::new(),
            importers: HashMap::new(),
            readers: HashMap::new(),
        }
    }

    /// Notes what a file says; files come in their order.
    fn read(&mut self, path: &Path, bytes: &[u8]) {
        if mentions(bytes) {
            self.candidates.push(path.to_path_buf());
        } else if gives_hashes(bytes) {
            self.givers.insert(path.to_path_buf());
        }
        if names_tarball(bytes) {
            self.tarballs.push(path.to_path_buf());
        }
        let folder = path.parent().unwrap_or(path);
        for target in relative_paths(bytes) {
            let resolved = normalize(&folder.join(target));
            if self.folders.contains(resolved.as_path()) {
                self.note_import(&resolved.join("default.nix"), path);
                if resolved.extension().is_none() && !path.starts_with(&resolved) {
                    self.readers.entry(resolved).or_default().insert(path.to_path_buf());
                }
            } else {
                self.note_import(&resolved, path);
            }
        }
    }

    fn note_import(&mut self, file: &Path, from: &Path) {
        if file != from && self.nix.contains(file) {
            self.importers.entry(file.to_path_buf()).or_default().insert(from.to_path_buf());
        }
    }

    /// Files that lead to tarballs by relative paths, and may give hashes to wrappers around them.
    fn callers(&self) -> Vec<PathBuf> {
        let mut seen: BTreeSet<&Path> = BTreeSet::new();
        let mut queue: Vec<&Path> = self.tarballs.iter().map(PathBuf::as_path).collect();
        while let Some(path) = queue.pop() {
            if seen.insert(path) {
                queue.extend(self.importers.get(path).into_iter().flatten().map(PathBuf::as_path));
            }
        }
        self.givers.iter().filter(|path| seen.contains(path.as_path())).cloned().collect()
    }

    /// Parts of the tree of which no file names one of another part.
    fn areas(&self, root: &Path) -> Areas {
        let mut areas = Areas::of_files(root, self.nix);
        for (named, from) in self.importers.iter().chain(&self.readers) {
            for from in from {
                areas.join(named, from);
            }
        }
        areas
    }

    /// Files that lead to candidates by relative paths, first those that no other one names. The others come after them:
    /// a path may be handed to something that is not known, or files may name each other.
    fn roots(&self) -> Vec<PathBuf> {
        let wanted: BTreeSet<&Path> = self.candidates.iter().map(PathBuf::as_path).collect();
        let mut seen: BTreeSet<&Path> = BTreeSet::new();
        let mut entered: HashSet<&Path> = HashSet::new();
        let mut queue: Vec<&Path> = wanted.iter().copied().collect();
        let mut roots = BTreeSet::new();
        while let Some(path) = queue.pop() {
            if !seen.insert(path) {
                continue;
            }
            let mut named = false;
            if let Some(from) = self.importers.get(path) {
                named = true;
                queue.extend(from.iter().map(PathBuf::as_path));
            }
            // Each folder's readers are queued once, however many candidates are in it.
            for folder in path.ancestors().skip(1).filter(|_| wanted.contains(path)) {
                let Some(from) = self.readers.get(folder) else { continue };
                named = true;
                if entered.insert(folder) {
                    queue.extend(from.iter().map(PathBuf::as_path));
                }
            }
            if !named {
                roots.insert(path);
            }
        }
        seen.retain(|path| !roots.contains(path) && !wanted.contains(path));
        roots
            .into_iter()
            .chain(seen)
            .filter(|path| !path.ends_with("flake.nix"))
            .map(Path::to_path_buf)
            .collect()
    }
}

/// Texts that look like relative paths; comments and strings are included, which does no harm.
fn relative_paths(bytes: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(hit) = memchr::memchr(b'.', &bytes[at..]) {
        let start = at + hit;
        let rest = &bytes[start..];
        let fresh = start == 0 || !is_path_byte(bytes[start - 1]);
        if fresh && (rest.starts_with(b"./") || rest.starts_with(b"../")) {
            let length = rest.iter().take_while(|byte| is_path_byte(**byte)).count();
            paths.push(String::from_utf8_lossy(&rest[..length]).into_owned());
            at = start + length.max(1);
        } else {
            at = start + 1;
        }
    }
    paths
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'_' | b'-' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_matters_where_it_can_hold_a_hash_of_npm() {
        let texts = [
            ("npmDepsHash = x", true),
            ("buildNpmDeps", true),
            ("pmDeps", false),
            ("xpmDeps", false),
            ("pmDeps xpmDeps fetchNpmDeps", true),
            ("pkgs.buildNpmPackage", true),
            ("importNpmLock", true),
            ("https://registry.npmjs.org/a/-/a-1.0.0.tgz", true),
            ("npmHooks.npmConfigHook", false),
            ("npm ci", false),
        ];
        for (text, matters) in texts {
            assert_eq!(mentions(text.as_bytes()), matters, "{text}");
        }
    }

    #[test]
    fn a_text_that_downloads_what_data_say_needs_both() {
        for fetcher in ["fetchurl", "fetchzip", "fetchTarball"] {
            assert!(!mentions(fetcher.as_bytes()), "{fetcher}");
            for reader in ["importJSON", "fromJSON", "importTOML", "fromTOML"] {
                assert!(mentions(format!("{fetcher} ({reader} x)").as_bytes()), "{fetcher} {reader}");
                assert!(!mentions(reader.as_bytes()), "{reader}");
            }
        }
    }

    #[test]
    fn a_text_of_fixed_output_matters_where_it_names_a_package_manager() {
        assert!(!mentions(b"outputHash = x") && !mentions(b"npm yarn bun"));
        for manager in ["npm", "yarn", "bun"] {
            assert!(mentions(format!("outputHash {manager}").as_bytes()), "{manager}");
        }
    }

    #[test]
    fn a_wrapper_names_a_tarball_and_its_callers_give_versions_and_hashes() {
        assert!(names_tarball(b"${name}/-/${name}-${version}.tgz"));
        assert!(!names_tarball(b"a/-/a") && !names_tarball(b"a.tgz"));
        for hash in ["sha256", "sha512", "hash"] {
            assert!(gives_hashes(format!("version {hash}").as_bytes()), "{hash}");
            assert!(!gives_hashes(hash.as_bytes()), "{hash}");
        }
        assert!(!gives_hashes(b"version"));
    }

    #[test]
    fn paths_of_a_text_begin_with_a_dot_of_their_own() {
        let paths = |text: &str| relative_paths(text.as_bytes());
        assert_eq!(paths("import ./a.nix ../b/c.nix [./d]"), ["./a.nix", "../b/c.nix", "./d"]);
        assert_eq!(paths("./first and ..a x./y a../b .hidden"), ["./first"]);
        assert_eq!(paths("./a+b_c-1/d.json;"), ["./a+b_c-1/d.json"]);
        assert_eq!(paths("no path"), Vec::<String>::new());
    }

    #[test]
    fn folders_are_one_part_where_a_file_of_one_names_one_of_the_other() {
        let nix: BTreeSet<PathBuf> =
            ["/t/a/flake.nix", "/t/b/x.nix", "/t/c/y.nix"].iter().map(PathBuf::from).collect();
        let mut reading = Reading::new(&nix);
        reading.read(Path::new("/t/a/flake.nix"), b"import ../b/x.nix");
        let areas = reading.areas(Path::new("/t"));
        let of = |path: &str| areas.of(Path::new(path));
        assert!(of("/t/a/flake.nix").is_some());
        assert_eq!(of("/t/a/flake.nix"), of("/t/b/x.nix"));
        assert_ne!(of("/t/a/flake.nix"), of("/t/c/y.nix"));
    }
}
