//! What a merge that is under way makes of the files of a repository, by the rules of git's own line merge.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::BStr;
use gix::objs::Kind;
use gix_merge::blob::Resolution;
use gix_merge::blob::builtin_driver::text::{Conflict, ConflictStyle, Labels, Merge, Options};

use super::attributes::merged_by;
use super::reader::Reader;
use super::{Git, GitError, in_time};

/// Three versions of a file.
#[derive(Debug, Clone, Copy)]
pub struct Versions<'a> {
    /// What both sides come from.
    pub ancestor: &'a [u8],
    /// The version of the branch that is merged into.
    pub ours: &'a [u8],
    /// That of the branch that is merged.
    pub theirs: &'a [u8],
}

/// How the marks of a conflict are written.
#[derive(Debug, Clone)]
pub struct Marks {
    /// The number of characters.
    pub size: u8,
    /// The names of both sides.
    pub labels: [String; 2],
}

/// The merged text, and whether there is no conflict in it.
#[must_use]
pub fn merge(versions: Versions<'_>, marks: &Marks) -> (Vec<u8>, bool) {
    let size = marks.size.try_into().unwrap_or(std::num::NonZeroU8::MIN.saturating_add(6));
    let [ours, theirs] = marks.labels.each_ref().map(|label| Some(BStr::new(label)));
    let labels = Labels { ancestor: None, current: ours, other: theirs };
    let conflict = Conflict::Keep { style: ConflictStyle::Merge, marker_size: size };
    let mut input = gix_imara_diff::InternedInput::default();
    let Versions { ancestor, ours, theirs } = versions;
    let merge = Merge::new(&mut input, ours, ancestor, theirs, Options::default().diff_algorithm);
    let mut merged = Vec::new();
    let resolution = merge.run(&mut merged, labels, conflict);
    (merged, resolution != Resolution::Conflict)
}

impl Git {
    /// The texts that a merge of this revision into the last commit gives to files that it changes, where `wanted` says so.
    /// The ancestor is the one in which `file` has these bytes. A conflict has its marks in the text.
    ///
    /// # Errors
    /// When it is not known which commits are merged, or one of them cannot be read.
    pub fn merging(
        &self,
        theirs: &str,
        file: &Path,
        ancestor: &[u8],
        wanted: fn(&Path) -> bool,
    ) -> Result<BTreeMap<PathBuf, Vec<u8>>, GitError> {
        let (root, theirs) = (self.root.clone(), theirs.to_owned());
        let (file, ancestor) = (file.to_owned(), ancestor.to_owned());
        in_time("what both sides of a merge have", move || {
            let reader = Reader::open(&root)?;
            let (head, other) = (reader.head()?, reader.commit(&theirs)?);
            let blob = gix::objs::compute_hash(head.kind(), Kind::Blob, &ancestor)
                .map_err(|error| GitError::Unreadable(error.to_string()))?;
            let is_ancestor = |commit: &ObjectId| {
                reader
                    .files_of(&root, *commit)
                    .is_ok_and(|files| files.get(&file).is_some_and(|one| one.id == blob))
            };
            // Of a merge the common ancestor, of a rebase or a cherry-pick the parent.
            let mut candidates = reader.merge_base(&theirs).into_iter().chain(reader.parents(other)?);
            let base = candidates.find(is_ancestor).ok_or(GitError::NoMergeBase(theirs))?;
            merged_files(&reader, &root, [base, head, other], wanted)
        })
    }
}

/// Two texts as one conflict.
fn conflict_of(ours: &[u8], theirs: &[u8]) -> Vec<u8> {
    [&b"<<<<<<< ours\n"[..], ours, b"\n=======\n", theirs, b"\n>>>>>>> theirs\n"].concat()
}

fn merged_files(
    reader: &Reader,
    root: &Path,
    commits: [ObjectId; 3],
    wanted: fn(&Path) -> bool,
) -> Result<BTreeMap<PathBuf, Vec<u8>>, GitError> {
    let [base, ours, theirs] = commits.map(|commit| reader.files_of(root, commit));
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let mut merged = BTreeMap::new();
    let paths = base.keys().chain(theirs.keys()).filter(|path| wanted(path));
    for path in paths {
        let [of_base, of_ours, of_theirs] =
            [&base, &ours, &theirs].map(|files| files.get(path).map(|file| file.id));
        if of_theirs == of_base || of_theirs == of_ours {
            continue;
        }
        let bytes = |id: Option<ObjectId>| id.map_or_else(|| Ok(Vec::new()), |id| reader.blob(id));
        let text = if of_ours == of_base {
            // What is gone is empty here, which no expression and no lockfile is.
            bytes(of_theirs)?
        } else {
            let [ancestor, ours, theirs] = [bytes(of_base)?, bytes(of_ours)?, bytes(of_theirs)?];
            if merged_by(root, path).is_some() {
                // What another driver makes of them, nobody knows before it ran.
                merged.insert(path.clone(), conflict_of(&ours, &theirs));
                continue;
            }
            let versions = Versions { ancestor: &ancestor, ours: &ours, theirs: &theirs };
            let marks = Marks { size: 7, labels: ["ours".to_owned(), "theirs".to_owned()] };
            merge(versions, &marks).0
        };
        merged.insert(path.clone(), text);
    }
    Ok(merged)
}
