//! One line of a pack's table of contents.
//!
//! ```text
//! algorithm, u64 (1 = sha1, 2 = sha512) | digest, 64 bytes, zeros behind a short one | offset, u64 | length, u64
//! xxh3-128 of (bytes, digest) | xxh3-128 of all the foregoing of the record
//! ```
//!
//! Numbers are little-endian. A record whose own sum is wrong does not count.

use twox_hash::XxHash3_128;

use crate::integrity::{Algorithm, ContentId};

/// A record's length.
pub(super) const RECORD: usize = 120;
const DIGEST: usize = 64;

/// Where a tarball lies in its pack, and what its bytes must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Record {
    pub(in crate::store) id: ContentId,
    pub(super) offset: u64,
    pub(in crate::store) len: u64,
    /// xxh3-128 of the bytes and the digest, as in an entry's footer.
    pub(super) sum: u128,
}

fn number(algorithm: Algorithm) -> u64 {
    match algorithm {
        Algorithm::Sha1 => 1,
        Algorithm::Sha512 => 2,
    }
}

impl Record {
    pub(super) fn encode(&self) -> [u8; RECORD] {
        let mut digest = [0; DIGEST];
        digest[..self.id.digest().len()].copy_from_slice(self.id.digest());
        let mut record = Vec::with_capacity(RECORD);
        record.extend(number(self.id.algorithm()).to_le_bytes());
        record.extend(digest);
        record.extend(self.offset.to_le_bytes());
        record.extend(self.len.to_le_bytes());
        record.extend(self.sum.to_le_bytes());
        record.extend(XxHash3_128::oneshot(&record).to_le_bytes());
        record.try_into().expect("bug: the fields are as long as a record")
    }

    /// `None` if it was blotted out or damaged.
    pub(super) fn decode(record: &[u8; RECORD]) -> Option<Self> {
        let (fields, sum) = record.split_at(RECORD - 16);
        if XxHash3_128::oneshot(fields).to_le_bytes() != sum {
            return None;
        }
        let (algorithm, rest) = fields.split_first_chunk()?;
        let (digest, rest) = rest.split_first_chunk::<DIGEST>()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (len, sum) = rest.split_first_chunk()?;
        let algorithm = match u64::from_le_bytes(*algorithm) {
            1 => Algorithm::Sha1,
            2 => Algorithm::Sha512,
            _ => return None,
        };
        Some(Self {
            id: ContentId::new(algorithm, &digest[..algorithm.digest_len()])?,
            offset: u64::from_le_bytes(*offset),
            len: u64::from_le_bytes(*len),
            sum: u128::from_le_bytes(*sum.first_chunk()?),
        })
    }
}
