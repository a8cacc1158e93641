//! When something was written, and what another file was then.
//!
//! A walk goes from the last commit to the past as `git log FILE` does: at a merge it follows a parent in which the file is
//! the same. It is bounded in commits and time, and where a commit or a file is not there, as in a shallow or a partial
//! clone, the answer is that nothing is known: nothing is ever fetched.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use gix::objs::{CommitRefIter, Kind, TreeRefIter};

use super::reader::{LARGEST_NOTE, LARGEST_TREE, Reader, unreadable};
use super::{Git, GitError, in_time};

/// Commits that one walk looks at. In a repository of 20,000 commits a walk to the end takes a second.
const MOST_COMMITS: usize = 20_000;

/// What all walks of a run may take together.
const WALKING: Duration = Duration::from_secs(3);

/// A larger lockfile is not compared. The largest one known to us has 4 MiB.
const LARGEST_LOCKFILE: u64 = 64 << 20;

/// A question: what was a lockfile when this text was written?
#[derive(Debug, Clone)]
pub struct HistoryQuestion {
    /// The file that holds the text.
    pub file: PathBuf,
    /// The text.
    pub text: String,
    /// The lockfile.
    pub lockfile: PathBuf,
}

/// What git knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryAnswer {
    /// The state that the lockfile is compared with.
    pub since: ComparedState,
    /// The lockfile's bytes in that state.
    pub then: Vec<u8>,
    /// The commit that last changed the lockfile.
    pub last: Last,
}

/// A state of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComparedState {
    /// The commit that wrote the text, in hexadecimal.
    Written(String),
    /// What the last commit and the branch it is meant for have in common.
    MergeBase(String),
    /// The last commit, in which the text stood, or stands, for an unknown time.
    LastCommit(String),
}

impl ComparedState {
    /// The commit, in hexadecimal.
    #[must_use]
    pub fn commit(&self) -> &str {
        match self {
            Self::Written(commit) | Self::MergeBase(commit) | Self::LastCommit(commit) => commit,
        }
    }
}

/// When a file changed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// In this commit, in hexadecimal.
    Commit(String),
    /// After the last commit.
    Uncommitted,
    /// It is not known, or not looked for.
    Unknown,
}

/// A lockfile as it was once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The newest commit that has it so, in hexadecimal.
    pub commit: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Earlier states of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// The newest first.
    pub states: Vec<Earlier>,
    /// Whether these are all that there ever were on the way to the last commit.
    pub is_whole: bool,
}

impl Git {
    /// Answers questions in their order; `None` where nothing is known. `now` has the bytes of each lockfile as it is.
    #[must_use]
    pub fn since(
        &self,
        questions: Vec<(HistoryQuestion, Vec<u8>)>,
        base: Option<&str>,
    ) -> Vec<Option<HistoryAnswer>> {
        let (root, base, count) = (self.root.clone(), base.map(str::to_owned), questions.len());
        let asked = in_time("since when files are as they are", move || {
            let reader = Reader::open(&root)?;
            let mut walker = Walker::new(&reader, &root)?;
            let base = base.and_then(|revision| reader.merge_base(&revision).ok());
            Ok(questions.iter().map(|(question, now)| walker.answer(question, now, base)).collect())
        });
        asked.unwrap_or_else(|_| vec![None; count])
    }

    /// The states that a file had in earlier commits, at most `most` of them, the newest first. Its state in `now` is none.
    ///
    /// # Errors
    /// When there is no commit, or git's files cannot be read.
    pub fn past(&self, file: &Path, now: &[u8], most: usize) -> Result<Past, GitError> {
        let (root, file, now) = (self.root.clone(), file.to_owned(), now.to_owned());
        in_time("earlier states of a file", move || {
            let reader = Reader::open(&root)?;
            let mut walker = Walker::new(&reader, &root)?;
            let path = walker.relative(&file).ok_or(GitError::NotTheTop)?;
            walker.past(&path, &now, most)
        })
    }
}

struct Walker<'a> {
    reader: &'a Reader,
    root: PathBuf,
    head: ObjectId,
    until: Instant,
    /// What trees hold: most commits share most of them.
    entries: HashMap<(ObjectId, Vec<u8>), Option<TreeEntry>>,
}

/// What a tree has under a name: an object, and whether that is a tree.
type TreeEntry = (ObjectId, bool);

impl<'a> Walker<'a> {
    fn new(reader: &'a Reader, root: &Path) -> Result<Self, GitError> {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let until = Instant::now() + WALKING;
        Ok(Self { reader, root, head: reader.head()?, until, entries: HashMap::new() })
    }

    /// A file as git names it, part by part; `None` for one that is elsewhere.
    fn relative(&self, file: &Path) -> Option<Vec<Vec<u8>>> {
        // The root is canonical here; the path that somebody gave may lead through a link.
        let file = file.strip_prefix(&self.root).map(Path::to_owned).ok().or_else(|| {
            let folder = file.parent()?.canonicalize().ok()?;
            folder.join(file.file_name()?).strip_prefix(&self.root).map(Path::to_owned).ok()
        })?;
        Some(file.components().map(|part| part.as_os_str().as_encoded_bytes().to_vec()).collect())
    }

    fn answer(
        &mut self,
        question: &HistoryQuestion,
        now: &[u8],
        base: Option<ObjectId>,
    ) -> Option<HistoryAnswer> {
        let (file, lockfile) = (self.relative(&question.file)?, self.relative(&question.lockfile)?);
        let hex = |commit: ObjectId| commit.to_hex().to_string();
        let written = self.first_with(&file, question.text.as_bytes());
        let known = written
            .and_then(|commit| Some((ComparedState::Written(hex(commit)), self.bytes(commit, &lockfile)?)));
        // Where that state is not known, only a difference from another one tells something.
        let differs = |(_, then): &(ComparedState, Vec<u8>)| then != now;
        let of_base =
            |walker: &mut Self| Some((ComparedState::MergeBase(hex(base?)), walker.bytes(base?, &lockfile)?));
        let of_head = |walker: &mut Self| {
            Some((ComparedState::LastCommit(hex(walker.head)), walker.bytes(walker.head, &lockfile)?))
        };
        let (since, then) = match known {
            Some(known) => known,
            None => of_base(self).filter(differs).or_else(|| of_head(self).filter(differs))?,
        };
        let last = self.last_change(&lockfile, now);
        Some(HistoryAnswer { since, then, last })
    }

    /// The commit that first had this text in a file, among those that have it up to the last one.
    fn first_with(&mut self, file: &[Vec<u8>], text: &[u8]) -> Option<ObjectId> {
        let mut known: HashMap<ObjectId, bool> = HashMap::new();
        let finder = memchr::memmem::Finder::new(text);
        let reader = self.reader;
        let mut has = |walker: &mut Self, commit: ObjectId| -> Option<bool> {
            let Some(blob) = walker.blob_at(commit, file).ok()? else { return Some(false) };
            if let Some(has) = known.get(&blob) {
                return Some(*has);
            }
            let has = finder.find(&reader.blob(blob).ok()?).is_some();
            known.insert(blob, has);
            Some(has)
        };
        let head = self.head;
        if !has(self, head)? {
            return None;
        }
        self.first_of(has)
    }

    /// The oldest commit on a way from the last one on which all commits are such; `None` where one is not there.
    fn first_of(&mut self, mut is_such: impl FnMut(&mut Self, ObjectId) -> Option<bool>) -> Option<ObjectId> {
        let mut commit = self.head;
        'walk: for _ in 0..MOST_COMMITS {
            if Instant::now() > self.until {
                return None;
            }
            for parent in self.reader.parents(commit).ok()? {
                if is_such(self, parent)? {
                    commit = parent;
                    continue 'walk;
                }
            }
            return Some(commit);
        }
        None
    }

    fn last_change(&mut self, lockfile: &[Vec<u8>], now: &[u8]) -> Last {
        let Ok(Some(at_head)) = self.blob_at(self.head, lockfile) else { return Last::Unknown };
        if gix::objs::compute_hash(at_head.kind(), Kind::Blob, now).ok() != Some(at_head) {
            return Last::Uncommitted;
        }
        let same = |walker: &mut Self, commit| Some(walker.blob_at(commit, lockfile).ok()? == Some(at_head));
        self.first_of(same).map_or(Last::Unknown, |commit| Last::Commit(commit.to_hex().to_string()))
    }

    fn past(&mut self, file: &[Vec<u8>], now: &[u8], most: usize) -> Result<Past, GitError> {
        let mut past = Past::default();
        let mut blobs: HashSet<ObjectId> = HashSet::new();
        blobs.extend(gix::objs::compute_hash(self.head.kind(), Kind::Blob, now));
        let mut seen = HashSet::from([self.head]);
        let mut due = BinaryHeap::from([(self.time(self.head)?, self.head)]);
        while let Some((_, commit)) = due.pop() {
            if seen.len() > MOST_COMMITS || Instant::now() > self.until || past.states.len() >= most {
                return Ok(past);
            }
            if let Some(blob) = self.blob_at(commit, file)?.filter(|blob| blobs.insert(*blob)) {
                // Of a partial clone the others may be there.
                let Ok(bytes) = self.reader.large_blob(blob, LARGEST_LOCKFILE) else { continue };
                past.states.push(Earlier { commit: commit.to_hex().to_string(), bytes });
            }
            for parent in self.reader.parents(commit)? {
                if seen.insert(parent) {
                    // A shallow clone ends here.
                    let Ok(time) = self.time(parent) else { return Ok(past) };
                    due.push((time, parent));
                }
            }
        }
        past.is_whole = true;
        Ok(past)
    }

    fn bytes(&mut self, commit: ObjectId, path: &[Vec<u8>]) -> Option<Vec<u8>> {
        let blob = self.blob_at(commit, path).ok()??;
        self.reader.large_blob(blob, LARGEST_LOCKFILE).ok()
    }

    /// Seconds since 1970, as who made the commit has it.
    fn time(&self, commit: ObjectId) -> Result<i64, GitError> {
        let bytes = self.reader.read(commit, Kind::Commit, LARGEST_NOTE)?;
        let committer = CommitRefIter::from_bytes(&bytes, commit.kind()).committer().map_err(unreadable)?;
        Ok(committer.seconds())
    }

    /// The object of a regular file in a commit.
    fn blob_at(&mut self, commit: ObjectId, path: &[Vec<u8>]) -> Result<Option<ObjectId>, GitError> {
        let bytes = self.reader.read(commit, Kind::Commit, LARGEST_NOTE)?;
        let mut object = CommitRefIter::from_bytes(&bytes, commit.kind()).tree_id().map_err(unreadable)?;
        for (index, part) in path.iter().enumerate() {
            let Some((next, is_tree)) = self.entry(object, part)? else { return Ok(None) };
            if is_tree == (index + 1 == path.len()) {
                return Ok(None);
            }
            object = next;
        }
        Ok(Some(object))
    }

    /// What a tree has under a name, and whether that is a tree; neither links nor submodules.
    fn entry(&mut self, tree: ObjectId, name: &[u8]) -> Result<Option<TreeEntry>, GitError> {
        let key = (tree, name.to_vec());
        if let Some(known) = self.entries.get(&key) {
            return Ok(*known);
        }
        let bytes = self.reader.read(tree, Kind::Tree, LARGEST_TREE)?;
        let mut found = None;
        for entry in TreeRefIter::from_bytes(&bytes, tree.kind()) {
            let entry = entry.map_err(unreadable)?;
            if entry.filename == name {
                found = match entry.mode.kind() {
                    EntryKind::Tree => Some((entry.oid.to_owned(), true)),
                    EntryKind::Blob | EntryKind::BlobExecutable => Some((entry.oid.to_owned(), false)),
                    EntryKind::Link | EntryKind::Commit => None,
                };
                break;
            }
        }
        self.entries.insert(key, found);
        Ok(found)
    }
}
