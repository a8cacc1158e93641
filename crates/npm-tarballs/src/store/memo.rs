//! Results of earlier runs, keyed by a digest of everything they depend on.
//!
//! ```text
//! <dir>/memo-v1/<k[0:2]>/<k[2:]>     16 bytes: xxh3-128 of the rest; then the value
//! ```
//!
//! Written by a temporary file and a rename, never synced: a torn file fails its checksum and counts as missing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fmt, fs, io};

use twox_hash::XxHash3_128;

use super::prune::{list, remove};
use crate::integrity::hex;

/// The version of the layout.
const FOLDER: &str = "memo-v1";

/// Results that other machines computed. Who implements it bounds how long it may take, and fails silently: what is not
/// known is computed.
pub trait SharedMemo: fmt::Debug + Send + Sync {
    /// Whose word it is, if it is listened to: what is kept here of what it said counts only while it is.
    fn word(&self) -> Option<String>;
    /// What is known under each of these keys.
    fn get(&self, keys: &[[u8; 32]]) -> Vec<Option<Vec<u8>>>;
    /// Tells the others what was computed here, now or earlier; may return before they know.
    fn put(&self, key: &[u8; 32], value: &[u8]);
}

/// A folder of small results.
#[derive(Debug, Clone)]
pub struct Memo {
    folder: PathBuf,
}

impl Memo {
    /// The memo in a store's folder. Touches nothing.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { folder: dir.join(FOLDER) }
    }

    fn path(&self, key: &[u8; 32]) -> PathBuf {
        let key = hex(key);
        self.folder.join(&key[..2]).join(&key[2..])
    }

    /// The value kept under a key, if it is there and whole.
    #[must_use]
    pub fn get(&self, key: &[u8; 32]) -> Option<Vec<u8>> {
        let bytes = fs::read(self.path(key)).ok()?;
        let (checksum, value) = bytes.split_first_chunk::<16>()?;
        (*checksum == XxHash3_128::oneshot(value).to_le_bytes()).then(|| value.to_vec())
    }

    /// Keeps a value.
    ///
    /// # Errors
    /// The folder cannot be written; nothing relies on it being so.
    pub fn put(&self, key: &[u8; 32], value: &[u8]) -> io::Result<()> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&XxHash3_128::oneshot(value).to_le_bytes())?;
        file.write_all(value)?;
        file.persist(path)?;
        Ok(())
    }

    /// Removes values written longer ago than this.
    ///
    /// # Errors
    /// The folder cannot be listed, or a value not removed.
    pub fn prune(&self, older_than: Duration) -> io::Result<()> {
        let now = SystemTime::now();
        for group in list(&self.folder)? {
            for path in list(&group)? {
                // Gone since it was listed: another process prunes too.
                let Ok(written) = fs::metadata(&path).and_then(|metadata| metadata.modified()) else {
                    continue;
                };
                if now.duration_since(written).unwrap_or_default() >= older_than {
                    remove(&path)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_value_counts_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        let memo = Memo::at(folder.path());
        let key = [7; 32];
        assert_eq!(memo.get(&key), None);
        memo.put(&key, b"value").unwrap();
        assert_eq!(memo.get(&key).unwrap(), b"value");
        let path = memo.path(&key);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(memo.get(&key), None);
        fs::write(&path, b"short").unwrap();
        assert_eq!(memo.get(&key), None);
        memo.put(&key, b"value").unwrap();
        memo.prune(Duration::from_mins(1)).unwrap();
        assert!(memo.get(&key).is_some());
        memo.prune(Duration::ZERO).unwrap();
        assert_eq!(memo.get(&key), None);
    }
}
