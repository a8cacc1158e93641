//! `index-v5`: from the key of a request to the integrity of its answer.

use serde::Serialize;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::integrity::{ContentId, hex};

/// The two `accept` headers that npm asks for a packument with, in the order of nixpkgs' index lines.
pub const PACKUMENT_ACCEPTS: [&str; 2] =
    ["application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", "application/json"];

/// The key under which npm caches a request for this URL (as the WHATWG URL standard serialises it).
#[must_use]
pub(crate) fn cache_key(url: &str) -> String {
    format!("make-fetch-happen:request-cache:{url}")
}

/// One line of the index, but for the size of its content, which is known when the content is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The request's URL.
    pub url: String,
    /// The SRI text that the line carries; of a lockfile's tarball exactly as the lockfile writes it.
    pub integrity: String,
    /// The content that the line points to.
    pub content: ContentId,
    /// The `accept` header of the request, which only packuments record.
    pub accept: Option<&'static str>,
}

// The fields stand in the order in which nixpkgs' fetcher writes them: the text goes into the hash as it is.
#[derive(Serialize)]
struct IndexLine<'a> {
    key: String,
    integrity: &'a str,
    time: u8,
    size: u64,
    metadata: LineMetadata<'a>,
}

#[derive(Serialize)]
struct LineMetadata<'a> {
    url: &'a str,
    #[serde(rename = "reqHeaders", skip_serializing_if = "Option::is_none")]
    request_headers: Option<RequestHeaders<'a>>,
    options: Options,
}

#[derive(Serialize)]
struct RequestHeaders<'a> {
    accept: &'a str,
}

#[derive(Serialize)]
struct Options {
    compress: bool,
}

impl IndexEntry {
    /// Where the entry's file stands: the sha256 of its key.
    #[must_use]
    pub fn bucket(&self) -> [u8; 32] {
        Sha256::digest(cache_key(&self.url)).into()
    }

    /// The line, without a newline: the sha1 of the JSON in hex, a tab, the JSON. `size` is the content's, in bytes.
    #[must_use]
    pub fn line(&self, size: u64) -> String {
        let line = IndexLine {
            key: cache_key(&self.url),
            integrity: &self.integrity,
            time: 0,
            size,
            metadata: LineMetadata {
                url: &self.url,
                request_headers: self.accept.map(|accept| RequestHeaders { accept }),
                options: Options { compress: true },
            },
        };
        let json = serde_json::to_string(&line).expect("bug: strings and numbers always serialise");
        format!("{}\t{json}", hex(&Sha1::digest(&json)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(accept: Option<&'static str>) -> IndexEntry {
        let content = ContentId::sha512_of(b"x");
        IndexEntry { url: "https://host/a".to_owned(), integrity: "sha1-x".to_owned(), content, accept }
    }

    #[test]
    fn a_line_is_the_checksum_a_tab_and_compact_json() {
        let line = entry(None).line(7);
        let (checksum, json) = line.split_once('\t').unwrap();
        assert_eq!(checksum, hex(&Sha1::digest(json)));
        assert_eq!(
            json,
            r#"{"key":"make-fetch-happen:request-cache:https://host/a","integrity":"sha1-x","time":0,"size":7,"metadata":{"url":"https://host/a","options":{"compress":true}}}"#
        );
    }

    #[test]
    fn a_packument_records_its_accept_header() {
        let line = entry(Some("application/json")).line(7);
        assert!(line.ends_with(
            r#""metadata":{"url":"https://host/a","reqHeaders":{"accept":"application/json"},"options":{"compress":true}}}"#
        ));
    }
}
