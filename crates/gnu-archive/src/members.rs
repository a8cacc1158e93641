//! The members of an archive that is read: headers together with the names that did not fit into them.
//!
//! Headers and data come from the `tar` crate; long names are put together here, because its reader takes a
//! line break inside a pax value for the end of the record.
//!
//! ```text
//! pax     = record*           in a member of type x (for the next member) or g (for all, ignored)
//! record  = length " " key "=" value "\n"       length counts the whole record, in decimal
//! ```

use std::io::{self, Read};

use tar::{Archive, Entries, Entry, EntryType};

/// The most data of a member that only names another one: far above any path, and what pax keeps beside it.
const NAMED: u64 = 16 << 20;

/// A member, positioned at its data.
pub struct Member<'a, R: Read> {
    /// Its full name, whatever way it was given.
    pub name: Vec<u8>,
    /// What it links to; empty if it is not a link.
    pub target: Vec<u8>,
    /// Its type.
    pub kind: EntryType,
    /// All bits of its mode.
    pub mode: u32,
    entry: Entry<'a, R>,
}

/// The names that belong to the next member.
#[derive(Default)]
struct LongNames {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

/// The members of an archive, one after another.
pub struct Members<'a, R: Read> {
    entries: Entries<'a, R>,
}

impl<'a, R: Read> Members<'a, R> {
    /// Those of an archive that was not yet read from.
    ///
    /// # Errors
    /// The reader fails.
    pub fn new(archive: &'a mut Archive<R>) -> io::Result<Self> {
        Ok(Self { entries: archive.entries()?.raw(true) })
    }

    /// The next one, if there is one. The data of the one before is skipped if it was not read.
    ///
    /// # Errors
    /// The archive is damaged, cut off, or cannot be read.
    pub fn next_member(&mut self) -> io::Result<Option<Member<'a, R>>> {
        let mut names = LongNames::default();
        for entry in self.entries.by_ref() {
            let mut entry = entry?;
            match entry.header().entry_type() {
                EntryType::GNULongName => names.name = Some(long_text(&mut entry)?),
                EntryType::GNULongLink => names.target = Some(long_text(&mut entry)?),
                EntryType::XHeader => names.pax(&named(&mut entry)?)?,
                // `git archive` puts the commit there, as a comment; GNU tar extracts nothing of it.
                EntryType::XGlobalHeader => {}
                _ => return Member::new(entry, names).map(Some),
            }
        }
        Ok(None)
    }
}

impl<'a, R: Read> Member<'a, R> {
    fn new(entry: Entry<'a, R>, names: LongNames) -> io::Result<Self> {
        let header = entry.header();
        let name = names.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let target =
            names.target.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        let (kind, mode) = (header.entry_type(), header.mode()?);
        Ok(Self { name, target, kind, mode, entry })
    }

    /// The number of bytes that its header says it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.entry.size()
    }

    /// The beginning of its data, so many bytes at most.
    ///
    /// # Errors
    /// The archive is cut off, or cannot be read.
    pub fn head(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        (&mut self.entry).take(most as u64).read_to_end(&mut head)?;
        Ok(head)
    }

    /// All of its data.
    ///
    /// # Errors
    /// The archive is cut off, or cannot be read.
    pub fn content(mut self) -> io::Result<Vec<u8>> {
        content(&mut self.entry)
    }
}

impl LongNames {
    /// Takes the names from pax records. Records that give the data another size or shape are refused: hosts
    /// have no use for them below 8 GiB, and to ignore them would be to read data as headers.
    fn pax(&mut self, mut records: &[u8]) -> io::Result<()> {
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or_else(|| invalid("a pax record is damaged"))?;
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => return Err(invalid("a size is given by a pax record")),
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err(invalid("sparse files are not supported"));
                }
                _ => {}
            }
            records = rest;
        }
        Ok(())
    }
}

/// Key and value of the first pax record, and what follows it.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let text = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=')?;
    Some((&text[..equals], &text[equals + 1..], rest))
}

/// The text of a GNU long name: what stands before its NUL.
fn long_text<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<u8>> {
    let mut text = named(entry)?;
    if let Some(end) = text.iter().position(|byte| *byte == 0) {
        text.truncate(end);
    }
    Ok(text)
}

/// The data of a member that only names another one.
fn named<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<u8>> {
    // Of gzip a few megabytes are enough for gigabytes of it.
    if entry.size() > NAMED {
        return Err(invalid("what names a member is larger than anything sensible"));
    }
    content(entry)
}

/// The whole data of a member; its size is believed only once so many bytes have come.
fn content<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    if content.len() as u64 == entry.size() { Ok(content) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use tar::{Archive, EntryType, Header};

    use super::{LongNames, Members, NAMED, record};
    use crate::pack::{EntryKind, Packer};

    #[test]
    fn a_record_may_hold_line_breaks_and_equals_signs() {
        assert_eq!(record(b"12 path=a\n=b13 "), None, "no line break at the end");
        assert_eq!(record(b"13 path=a\n=b\nrest"), Some((&b"path"[..], &b"a\n=b"[..], &b"rest"[..])));
    }

    #[test]
    fn damaged_records() {
        for bytes in
            ["", "5", "x a=b\n", "0 a=b\n", "2 a=b\n", "99 a=b\n", "6 a=b", "6 ab=\n\n", "5 ab\n", "-6 a=b\n"]
        {
            assert_eq!(record(bytes.as_bytes()).filter(|r| r.2.is_empty()), None, "{bytes:?}");
        }
    }

    #[test]
    fn sizes_and_holes_are_refused() {
        for bytes in ["10 size=1\n", "24 GNU.sparse.name=abcd\n"] {
            assert!(LongNames::default().pax(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_name_that_is_too_large_is_refused_by_its_header() {
        for kind in [EntryType::XHeader, EntryType::GNULongName, EntryType::GNULongLink] {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(NAMED + 1);
            header.set_cksum();
            // Nothing follows: who reads the data first finds the archive cut off.
            let mut archive = Archive::new(header.as_bytes().as_slice());
            let error = Members::new(&mut archive).unwrap().next_member().map(drop).unwrap_err();
            assert_eq!(error.to_string(), "what names a member is larger than anything sensible", "{kind:?}");
        }
    }

    #[test]
    fn the_head_of_a_member_is_its_beginning_and_the_next_one_is_found_behind_it() {
        let mut packer = Packer::new(Vec::new());
        packer.append(b"a", 0o644, EntryKind::File(b"beginning")).unwrap();
        packer.append(b"b", 0o644, EntryKind::File(b"x")).unwrap();
        let bytes = packer.finish().unwrap();
        let mut archive = Archive::new(bytes.as_slice());
        let mut members = Members::new(&mut archive).unwrap();
        let mut first = members.next_member().unwrap().unwrap();
        assert_eq!(first.head(5).unwrap(), b"begin");
        let mut second = members.next_member().unwrap().unwrap();
        assert_eq!(second.head(5).unwrap(), b"x");
        assert_eq!(second.name, b"b");
        assert!(members.next_member().unwrap().is_none());
    }
}
