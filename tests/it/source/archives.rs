//! Archives with the same content in several formats, and the hash of that content found the slow way.

use std::io::{Cursor, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::{fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::project::{Project, hash_of_tree};

/// Something in an archive.
#[derive(Debug, Clone)]
pub enum Item {
    File { path: String, text: String, executable: bool },
    Link { path: String, target: String },
}

impl Item {
    pub fn file(path: &str, text: &str) -> Self {
        Self::File { path: path.to_owned(), text: text.to_owned(), executable: false }
    }

    pub fn program(path: &str, text: &str) -> Self {
        Self::File { path: path.to_owned(), text: text.to_owned(), executable: true }
    }

    pub fn link(path: &str, target: &str) -> Self {
        Self::Link { path: path.to_owned(), target: target.to_owned() }
    }
}

/// How names that do not fit into a header are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongNames {
    Gnu,
    Pax,
}

/// A gzipped tar archive of these items below `top`.
pub fn tar_gz(top: &str, items: &[Item]) -> Vec<u8> {
    tar_gz_with(top, items, LongNames::Gnu)
}

pub fn tar_gz_with(top: &str, items: &[Item], long: LongNames) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for item in items {
        let (path, mode, body) = match item {
            Item::File { path, text, executable } => (path, if *executable { 0o775 } else { 0o664 }, text),
            Item::Link { path, target } => (path, 0o777, target),
        };
        let path = format!("{top}{path}");
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(0);
        let short = if long == LongNames::Pax && path.len() > 90 {
            let record = |length: usize| format!("{length} path={path}\n");
            let fitting = (path.len()..10_000).find(|length| record(*length).len() == *length).unwrap();
            let mut extra = tar::Header::new_ustar();
            extra.set_entry_type(tar::EntryType::XHeader);
            extra.set_path("pax").unwrap();
            extra.set_size(record(fitting).len() as u64);
            extra.set_cksum();
            archive.append(&extra, record(fitting).as_bytes()).unwrap();
            path[..80].to_owned()
        } else {
            path
        };
        match item {
            Item::File { .. } => {
                header.set_size(body.len() as u64);
                archive.append_data(&mut header, short, body.as_bytes()).unwrap();
            }
            Item::Link { .. } => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, short, body).unwrap();
            }
        }
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// A zip archive of the same.
pub fn zip(top: &str, items: &[Item]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for item in items {
        let (path, mode, body) = match item {
            Item::File { path, text, executable } => {
                (path, if *executable { 0o100_755 } else { 0o100_644 }, text)
            }
            Item::Link { path, target } => (path, 0o120_777, target),
        };
        let builder = archive.new_file(format!("{top}{path}")).unix_permissions(mode);
        let (mut entry, config) =
            builder.compression_method(rawzip::CompressionMethod::DEFLATE).start().unwrap();
        let mut writer = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, Compression::default()));
        writer.write_all(body.as_bytes()).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes.into_inner()
}

/// Writes the items to a folder.
pub fn unpack(items: &[Item], folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for item in items {
        let (Item::File { path, .. } | Item::Link { path, .. }) = item;
        let place = folder.join(path);
        fs::create_dir_all(place.parent().unwrap())?;
        match item {
            Item::File { text, executable, .. } => {
                fs::write(&place, text)?;
                let mode = if *executable { 0o755 } else { 0o644 };
                fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
            }
            Item::Link { target, .. } => symlink(target, &place)?,
        }
    }
    Ok(())
}

/// The hash of the items as a tree, from their files on disk.
pub fn hash_of(items: &[Item]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    unpack(items, &tree).unwrap();
    hash_of_tree(&tree)
}

/// The `npmDepsHash` of a lockfile, as the `hash` command has it.
pub fn npm_hash(project: &Project, lockfile: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("package-lock.json");
    fs::write(&file, lockfile).unwrap();
    let output = project.run(&["hash", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
