//! What is read from a source: the files of a package in one of its folders.

use std::sync::Arc;

use gnu_archive::tree::Entry;
use nix_sites::Shrinkwrap;
use npm_lockfile::FILE_NAMES;

use super::archive::{ArchiveError, Unpacked};
use super::origin::Hashed;

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePlace {
    /// `sourceRoot` as it is written, whose first part names the folder that an archive unpacks to.
    pub source_root: Option<String>,
    /// The folder of the package, relative to the source, `/`-separated.
    pub folder: String,
    /// Which `npm-shrinkwrap.json` counts.
    pub shrinkwrap: Shrinkwrap,
}

/// The files of a package, where they are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The `npm-shrinkwrap.json` that counts.
    pub shrinkwrap: Option<Arc<[u8]>>,
    /// That of the package, by which npm goes when it makes a lockfile, whether the build hashes it or removes it before.
    pub own_shrinkwrap: Option<Arc<[u8]>>,
    /// Where one is that may count or not.
    pub stray_shrinkwrap: Option<String>,
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
        if self.shrinkwrap == Shrinkwrap::Anywhere {
            // What is at its top is of no account: a script unpacks it.
            return Ok(Excerpt { stray_shrinkwrap: any_shrinkwrap(source), ..Excerpt::default() });
        }
        let top = match hashed {
            Hashed::File | Hashed::StoreFile => Some(self.top_folder(source)?),
            Hashed::Tree(_) => None,
        };
        let path = |folder, name| -> Vec<&[u8]> {
            top.iter().map(String::as_bytes).chain(parts(folder).chain(name).map(str::as_bytes)).collect()
        };
        let read = |folder, name| source.read(&path(folder, Some(name))).map(Arc::from);
        if !matches!(source.look(&path(&self.folder, None)), Some(Entry::Directory(_))) {
            return Err(LookError::Missing(self.folder.clone()));
        }
        Ok(Excerpt {
            shrinkwrap: match &self.shrinkwrap {
                Shrinkwrap::In(folder) => read(folder, FILE_NAMES[0]),
                Shrinkwrap::Ignored | Shrinkwrap::Anywhere => None,
            },
            own_shrinkwrap: read(&self.folder, FILE_NAMES[0]),
            stray_shrinkwrap: None,
            package_lock: read(&self.folder, FILE_NAMES[1]),
            package_json: read(&self.folder, "package.json"),
        })
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

/// The first `npm-shrinkwrap.json` in any folder of an archive.
fn any_shrinkwrap(source: &Unpacked) -> Option<String> {
    let mut folders: Vec<Vec<&[u8]>> = vec![Vec::new()];
    while let Some(folder) = folders.pop() {
        let Some(Entry::Directory(names)) = source.look(&folder) else { continue };
        for name in names {
            let path: Vec<&[u8]> = folder.iter().copied().chain([name]).collect();
            match source.look(&path) {
                Some(Entry::Directory(_)) => folders.push(path),
                Some(_) if name == FILE_NAMES[0].as_bytes() => {
                    return Some(String::from_utf8_lossy(&path.join(&b'/')).into_owned());
                }
                _ => {}
            }
        }
    }
    None
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::origin::Top;
    use super::*;

    #[test]
    fn which_shrinkwrap_counts_is_one_question_and_which_the_package_has_another() {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for path in ["p/npm-shrinkwrap.json", "p/web/npm-shrinkwrap.json", "p/web/package-lock.json"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(path.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            archive.append_data(&mut header, path, path.as_bytes()).unwrap();
        }
        let bytes = archive.into_inner().unwrap().finish().unwrap();
        let source = Unpacked::new(&bytes, Top::Kept, 1 << 20).unwrap();
        let look = |shrinkwrap| {
            let place = SourcePlace { source_root: None, folder: "web".to_owned(), shrinkwrap };
            place.at(&source, Hashed::File).unwrap()
        };
        let text =
            |file: &Option<Arc<[u8]>>| file.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let own = Some("p/web/npm-shrinkwrap.json".to_owned());
        for (asked, counts) in [
            (Shrinkwrap::Ignored, None),
            (Shrinkwrap::In("web".to_owned()), own.clone()),
            (Shrinkwrap::In(String::new()), Some("p/npm-shrinkwrap.json".to_owned())),
        ] {
            let excerpt = look(asked);
            assert_eq!(text(&excerpt.shrinkwrap), counts);
            assert_eq!(text(&excerpt.own_shrinkwrap), own);
            assert_eq!(excerpt.stray_shrinkwrap, None);
        }
        let anywhere = look(Shrinkwrap::Anywhere);
        assert!(anywhere.stray_shrinkwrap.is_some_and(|path| path.ends_with("npm-shrinkwrap.json")));
        assert_eq!((anywhere.shrinkwrap, anywhere.package_lock), (None, None));
    }
}
