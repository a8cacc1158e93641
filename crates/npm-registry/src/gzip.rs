//! Undoing `content-encoding: gzip`, for documents that were asked for with it.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;

use super::error::Problem;

/// The decoded bytes, if there are not more than `limit`.
pub(super) fn decode(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let mut decoded = Vec::with_capacity(bytes.len().saturating_mul(4).min(limit));
    // A reader of one member would drop the others unseen. One byte more than allowed tells too large from just
    // fitting.
    let read = MultiGzDecoder::new(bytes).take(limit as u64 + 1).read_to_end(&mut decoded);
    match read {
        Ok(len) if len > limit => Err(Problem::TooLarge { limit: limit as u64 }),
        Ok(_) => Ok(decoded),
        Err(error) => Err(Problem::Encoding { reason: error.to_string() }),
    }
}
