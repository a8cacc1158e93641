//! A look into a package's tarball: its manifest, its shrinkwrap, and the names of its files.

use std::{
    collections::BTreeSet,
    io::{self, Read},
};

use flate2::read::MultiGzDecoder;
use tar::Archive;

use super::members::Members;

/// What a tarball may unpack to at most.
const LIMIT: u64 = 4 << 30;

/// The largest manifest or shrinkwrap that is read.
const DOCUMENT: usize = 64 << 20;

/// What a package's tarball holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The folders (or files) at the top; npm writes one, mostly `package`.
    pub tops: BTreeSet<String>,
    /// Its files, below the top folder.
    pub files: BTreeSet<String>,
    /// `package.json`.
    pub manifest: Option<Vec<u8>>,
    /// `npm-shrinkwrap.json`.
    pub shrinkwrap: Option<Vec<u8>>,
}

/// Looks into a tarball.
///
/// Errors: it is no gzipped tar archive, is damaged, or unpacks to more than anything sensible.
pub fn look(tarball: impl Read) -> io::Result<Contents> {
    let mut archive = Archive::new(MultiGzDecoder::new(tarball).take(LIMIT));
    let mut members = Members::new(&mut archive)?;
    let mut contents = Contents::default();
    while let Some(member) = members.next()? {
        let name = String::from_utf8_lossy(&member.name).into_owned();
        let name = name.trim_start_matches("./");
        let (top, rest) = name.split_once('/').unwrap_or((name, ""));
        contents.tops.insert(top.to_owned());
        if !member.kind.is_file() {
            continue;
        }
        let place = match rest {
            "package.json" => Some(&mut contents.manifest),
            "npm-shrinkwrap.json" => Some(&mut contents.shrinkwrap),
            _ => None,
        };
        contents.files.insert(rest.to_owned());
        if let Some(place) = place {
            let document = member.content()?;
            if document.len() > DOCUMENT {
                return Err(io::Error::other("a document is larger than anything sensible"));
            }
            *place = Some(document);
        }
    }
    Ok(contents)
}
