//! What is read from a source: the files of a package in one of its folders.

use std::sync::Arc;

use gnu_archive::tree::Entry;

use super::archive::{ArchiveError, Unpacked};
use super::origin::Hashed;

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePlace {
    /// `sourceRoot` as it is written, whose first part names the folder that an archive unpacks to.
    pub source_root: Option<String>,
    /// The folder of the package, relative to the source, `/`-separated.
    pub folder: String,
}

/// The files of a package, where they are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// `npm-shrinkwrap.json`.
    pub shrinkwrap: Option<Arc<[u8]>>,
    /// `package-lock.json`.
    pub package_lock: Option<Arc<[u8]>>,
    /// `package.json`.
    pub package_json: Option<Arc<[u8]>>,
}

/// Why a place cannot be looked at.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LookError {
    /// The file is not an archive, or one that is refused.
    #[error("what was fetched cannot be unpacked")]
    Archive(#[source] Arc<ArchiveError>),
    /// The archive has several folders at its top, or none, and nothing chooses one.
    #[error("the archive has {0} folders at its top, and no `sourceRoot` chooses one")]
    Folders(usize),
    /// A folder that is not there.
    #[error("the source has no folder `{0}`")]
    Missing(String),
}

impl SourcePlace {
    /// Reads the files.
    pub(super) fn at(&self, source: &Unpacked, hashed: Hashed) -> Result<Excerpt, LookError> {
        let place = self.place(source, hashed)?;
        let read = |name: &str| {
            let path: Vec<&[u8]> = place.iter().map(String::as_bytes).chain([name.as_bytes()]).collect();
            source.read(&path).map(Arc::from)
        };
        Ok(Excerpt {
            shrinkwrap: read("npm-shrinkwrap.json"),
            package_lock: read("package-lock.json"),
            package_json: read("package.json"),
        })
    }

    fn place(&self, source: &Unpacked, hashed: Hashed) -> Result<Vec<String>, LookError> {
        let mut place = match hashed {
            Hashed::File | Hashed::StoreFile => vec![self.top_folder(source)?],
            Hashed::Tree(_) => Vec::new(),
        };
        place.extend(parts(&self.folder).map(str::to_owned));
        let names: Vec<&[u8]> = place.iter().map(String::as_bytes).collect();
        match source.look(&names) {
            Some(Entry::Directory(_)) => Ok(place),
            _ => Err(LookError::Missing(self.folder.clone())),
        }
    }

    /// The folder in which the build begins: `sourceRoot`'s first part, else the only one that was unpacked.
    fn top_folder(&self, source: &Unpacked) -> Result<String, LookError> {
        if let Some(first) = self.source_root.as_deref().and_then(|root| parts(root).next()) {
            return Ok(first.to_owned());
        }
        let Some(Entry::Directory(names)) = source.look(&[]) else { return Err(LookError::Folders(0)) };
        let folders =
            names.into_iter().filter(|name| matches!(source.look(&[name]), Some(Entry::Directory(_))));
        match folders.collect::<Vec<_>>().as_slice() {
            [only] => Ok(String::from_utf8_lossy(only).into_owned()),
            several => Err(LookError::Folders(several.len())),
        }
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}
