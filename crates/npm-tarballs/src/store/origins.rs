//! Which URLs are known to have served which tarballs.
//!
//! A tarball's bytes are kept once, by what they are; but they answer only for a URL that they came from. Otherwise a
//! lockfile whose URL does not exist, or leads to other bytes, would have a hash on the machine that happens to have
//! tarballs of these digests, and none elsewhere.
//!
//! ```text
//! <dir>/origins-v1     records of 64 bytes: sha256 of (URL, NUL, SRI) | start of the digest, 16 bytes | xxh3-128 of both
//! ```
//!
//! The URL is that of the lockfile, whichever mirror or registry was asked in its place: it is the name by which the
//! folder that is hashed has the tarball. Its digest stands here, not itself, because it may hold secrets.
//!
//! Processes append whole blocks of records; one that is killed while it does may leave a torn record, which its own
//! checksum tells, and the next ones are found behind it, at whatever offset. What is not found costs a download, and
//! nothing else.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use sha2::{Digest as _, Sha256};
use twox_hash::XxHash3_128;

use super::Store;
use crate::integrity::ContentId;

/// The version of the layout.
const FILE: &str = "origins-v1";
const KEY: usize = 32;
const CONTENT: usize = 16;
const RECORD: usize = KEY + CONTENT + 16;
/// So many bytes are gathered before they are appended: a run of a thousand tarballs writes a few times, not a thousand.
const BLOCK: usize = 256 * RECORD;

type Key = [u8; KEY];

/// The start of a digest: enough to tell whether the store still has the content.
pub(super) type ContentKey = [u8; CONTENT];

/// What a store knows of origins: what stood in its file when this process first looked, and what it saw itself.
pub(super) struct Origins {
    path: PathBuf,
    state: OnceLock<Mutex<KnownOrigins>>,
}

#[derive(Default)]
struct KnownOrigins {
    known: HashSet<Key>,
    unwritten: Vec<u8>,
}

fn key(url: &str, id: &ContentId) -> Key {
    let mut hasher = Sha256::new();
    hasher.update(url);
    // No URL holds a NUL, so that no two pairs make one text.
    hasher.update([0]);
    hasher.update(id.algorithm().name());
    hasher.update(id.digest());
    hasher.finalize().into()
}

pub(super) fn content(id: &ContentId) -> ContentKey {
    let mut content = [0; CONTENT];
    let digest = id.digest();
    let len = digest.len().min(CONTENT);
    content[..len].copy_from_slice(&digest[..len]);
    content
}

/// The records in the bytes of a file.
fn records(bytes: &[u8]) -> impl Iterator<Item = &[u8; RECORD]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        while let Some(record) = rest.first_chunk::<RECORD>() {
            let (fields, sum) = record.split_at(KEY + CONTENT);
            if XxHash3_128::oneshot(fields).to_le_bytes() == sum {
                rest = &rest[RECORD..];
                return Some(record);
            }
            // Behind a torn record the others stand anywhere.
            rest = &rest[1..];
        }
        None
    })
}

impl Origins {
    /// The origins of the store in `dir`. Touches nothing.
    pub(super) fn at(dir: &Path) -> Self {
        Self { path: dir.join(FILE), state: OnceLock::new() }
    }

    fn state(&self) -> MutexGuard<'_, KnownOrigins> {
        let read = || {
            let bytes = fs::read(&self.path).unwrap_or_default();
            let known = records(&bytes).filter_map(|record| record.first_chunk().copied()).collect();
            Mutex::new(KnownOrigins { known, unwritten: Vec::new() })
        };
        // A panic elsewhere leaves both fields whole.
        self.state.get_or_init(read).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, url: &str, id: &ContentId) -> bool {
        self.state().known.contains(&key(url, id))
    }

    fn learn(&self, url: &str, id: &ContentId) -> io::Result<()> {
        let key = key(url, id);
        let mut state = self.state();
        if !state.known.insert(key) {
            return Ok(());
        }
        let start = state.unwritten.len();
        state.unwritten.extend(key);
        state.unwritten.extend(content(id));
        let sum = XxHash3_128::oneshot(&state.unwritten[start..]);
        state.unwritten.extend(sum.to_le_bytes());
        if state.unwritten.len() >= BLOCK { self.append(&mut state) } else { Ok(()) }
    }

    /// Appends what was learned and not written yet.
    pub(super) fn settle(&self) -> io::Result<()> {
        // Nobody who learned nothing needs to read the file for this.
        self.state.get().map_or(Ok(()), |_| self.append(&mut self.state()))
    }

    fn append(&self, state: &mut KnownOrigins) -> io::Result<()> {
        let records = std::mem::take(&mut state.unwritten);
        if records.is_empty() {
            return Ok(());
        }
        let open = || File::options().append(true).create(true).open(&self.path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.path.parent().map_or(Ok(()), fs::create_dir_all)?;
                open()
            }
            file => file,
        };
        // In one call, so that what other processes append does not come between.
        file?.write_all(&records)
    }

    /// Drops the records of contents that are gone. What another process appends meanwhile may be lost, and is fetched again.
    pub(super) fn retain(&self, is_kept: impl Fn(&ContentKey) -> bool) -> io::Result<()> {
        let bytes = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            bytes => bytes?,
        };
        let kept = |record: &&[u8; RECORD]| record[KEY..].first_chunk().is_some_and(&is_kept);
        let left: Vec<u8> = records(&bytes).filter(kept).flatten().copied().collect();
        if left.len() == bytes.len() {
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(&self.path);
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&left)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

impl Store {
    /// Whether this URL is known to have served this content, by this process or an earlier one. The bytes may be gone.
    #[must_use]
    pub fn knows(&self, url: &str, id: &ContentId) -> bool {
        self.inner.origins.knows(url, id)
    }

    /// Remembers that a URL served this content, whose bytes were checked.
    pub fn learn(&self, url: &str, id: &ContentId) {
        if self.writable().is_ok()
            && let Err(error) = self.inner.origins.learn(url, id)
        {
            self.note(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://host/a.tgz";

    fn id(n: u8) -> ContentId {
        ContentId::sha512_of(&[n])
    }

    fn learned(dir: &Path, contents: impl IntoIterator<Item = u8>) {
        let origins = Origins::at(dir);
        contents.into_iter().for_each(|n| origins.learn(URL, &id(n)).unwrap());
        origins.settle().unwrap();
    }

    fn known(dir: &Path) -> Vec<u8> {
        let origins = Origins::at(dir);
        (0..=255).filter(|n| origins.knows(URL, &id(*n))).collect()
    }

    #[test]
    fn what_is_learned_is_known_later_and_of_no_other_url() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new");
        assert!(known(&folder).is_empty() && !folder.exists());
        learned(&folder, [1, 2]);
        learned(&folder, [2, 3]);
        assert_eq!(known(&folder), [1, 2, 3]);
        let len = fs::metadata(folder.join(FILE)).unwrap().len();
        assert_eq!(len, 3 * RECORD as u64, "what is known is not written again");
        let origins = Origins::at(&folder);
        assert!(!origins.knows("https://host/b.tgz", &id(1)));
        assert!(!origins.knows(URL, &ContentId::sha512_of(b"other")));
    }

    #[test]
    fn torn_and_changed_records_are_passed_over_and_hide_no_others() {
        let dir = tempfile::tempdir().unwrap();
        learned(dir.path(), [1, 2]);
        let path = dir.path().join(FILE);
        let bytes = fs::read(&path).unwrap();
        for torn in [1, RECORD - 1, RECORD + 7] {
            fs::write(&path, &bytes[..torn]).unwrap();
            learned(dir.path(), [9]);
            let whole: &[u8] = if torn > RECORD { &[1, 9] } else { &[9] };
            assert_eq!(known(dir.path()), whole, "{torn}");
        }
        for at in [0, KEY, RECORD - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert_eq!(known(dir.path()), [2], "{at}");
        }
    }

    #[test]
    fn records_go_with_their_contents() {
        let dir = tempfile::tempdir().unwrap();
        Origins::at(dir.path()).retain(|_| false).unwrap();
        learned(dir.path(), 1..=200);
        learned(dir.path(), 201..=255);
        Origins::at(dir.path())
            .retain(|kept| *kept == content(&id(7)) || *kept == content(&id(250)))
            .unwrap();
        assert_eq!(known(dir.path()), [7, 250]);
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().len(), 2 * RECORD as u64);
    }

    #[test]
    fn many_records_are_written_before_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let origins = Origins::at(dir.path());
        (0..300_u32).for_each(|n| origins.learn(URL, &ContentId::sha512_of(&n.to_le_bytes())).unwrap());
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().len(), BLOCK as u64);
    }
}
