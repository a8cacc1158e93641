//! A look into a package's tarball: its manifest, its shrinkwrap, and the names of its files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use gnu_archive::members::Members;
use tar::Archive;

/// What a tarball may unpack to at most.
const LIMIT: u64 = 4 << 30;

/// The largest manifest or shrinkwrap that is read.
const DOCUMENT: u64 = 64 << 20;

/// The bytes at the beginning of a file that tell what runs it.
const HEAD: usize = 128;

/// What runs a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunBy {
    /// Node.js: its first line says so, or it has none for an interpreter and the ending of a script.
    Node,
    /// The machine itself: ELF, Mach-O.
    Native,
    /// Another interpreter, or nothing does.
    Other,
}

impl RunBy {
    fn of(name: &str, head: &[u8]) -> Self {
        // ELF; Mach-O for one processor or, with 0xcafebabe, for several.
        const NATIVE: [&[u8]; 4] =
            [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe"];
        if NATIVE.iter().any(|magic| head.starts_with(magic)) {
            return Self::Native;
        }
        let Some(line) = head.strip_prefix(b"#!") else {
            let is_script = [".js", ".cjs", ".mjs"].iter().any(|ending| name.ends_with(ending));
            return if is_script { Self::Node } else { Self::Other };
        };
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or(line);
        let mut words = line.split(|byte| byte.is_ascii_whitespace() || *byte == b'/');
        if words.any(|word| word == b"node") { Self::Node } else { Self::Other }
    }
}

/// What a package's tarball holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The folders (or files) at the top; npm writes one, mostly `package`.
    pub tops: BTreeSet<String>,
    /// Its files, below the top folder.
    pub files: BTreeMap<String, RunBy>,
    /// `package.json`.
    pub manifest: Option<Vec<u8>>,
    /// `npm-shrinkwrap.json`.
    pub shrinkwrap: Option<Vec<u8>>,
}

/// Looks into a tarball.
///
/// # Errors
/// It is not a gzipped tar archive, is damaged, or unpacks to more than anything sensible.
pub fn look(tarball: impl Read) -> io::Result<Contents> {
    let mut archive = Archive::new(MultiGzDecoder::new(tarball).take(LIMIT));
    let mut members = Members::new(&mut archive)?;
    let mut contents = Contents::default();
    while let Some(mut member) = members.next_member()? {
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
        let Some(place) = place else {
            let kind = RunBy::of(rest, &member.head(HEAD)?);
            contents.files.insert(rest.to_owned(), kind);
            continue;
        };
        // Asked before it is read: a few megabytes of gzip may be a manifest of gigabytes.
        if member.size() > DOCUMENT {
            return Err(io::Error::other("a document is larger than anything sensible"));
        }
        *place = Some(member.content()?);
        contents.files.insert(rest.to_owned(), RunBy::Other);
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::RunBy::{self, Native, Node, Other};
    use super::look;

    #[test]
    fn a_manifest_that_is_too_large_is_refused_by_its_header() {
        let mut header = tar::Header::new_gnu();
        header.set_path("package/package.json").unwrap();
        header.set_mode(0o644);
        header.set_size((64 << 20) + 1);
        header.set_cksum();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        // Nothing follows: who reads the data first finds the archive cut off.
        gzip.write_all(header.as_bytes()).unwrap();
        let tarball = gzip.finish().unwrap();
        let error = look(tarball.as_slice()).unwrap_err();
        assert_eq!(error.to_string(), "a document is larger than anything sensible");
    }

    #[test]
    fn the_first_bytes_tell_what_runs_a_file() {
        for (name, head, kind) in [
            ("cli", &b"#!/usr/bin/env node\nx"[..], Node),
            ("cli", b"#!/usr/bin/env -S node --no-warnings\r\n", Node),
            ("cli.mjs", b"import x from 'y'", Node),
            ("cli.js", b"#!/bin/sh\n", Other),
            ("cli", b"#!/usr/bin/env nodemon\n", Other),
            ("cli", b"echo node", Other),
            ("cli", b"\x7fELF\x02", Native),
            ("cli.js", b"\xcf\xfa\xed\xfe", Native),
            ("cli", b"", Other),
        ] {
            assert_eq!(RunBy::of(name, head), kind, "{name} {head:?}");
        }
    }
}
