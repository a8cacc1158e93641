//! The hash of a source, in all the forms in which a fetcher takes it.
//!
//! ```text
//! hash       = sri | alg ":" digits | ""         `hash`, `outputHash`, `narHash`
//! sha256 ... = sri | alg ":" digits | digits     `sha1`, `sha256`, `sha512`: the attribute names the algorithm
//! digits     = hexadecimal | base 64 | Nix's base 32
//! ```

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nix_binary_cache::store_path::nix_base32;
use nix_sites::{HashForm, HashText, decode_digest};
use npm_tarballs::integrity::{Algorithm, ContentId};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

/// An algorithm that Nix takes for a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestKind {
    /// `sha1`
    Sha1,
    /// `sha256`
    Sha256,
    /// `sha512`
    Sha512,
}

impl DigestKind {
    /// Its name in SRI texts and in attributes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha512].into_iter().find(|kind| kind.name() == name)
    }
}

/// The hash of a file or tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceDigest {
    kind: DigestKind,
    bytes: Vec<u8>,
}

impl SourceDigest {
    /// Its algorithm.
    #[must_use]
    pub fn kind(&self) -> DigestKind {
        self.kind
    }

    /// The hash of some bytes.
    #[must_use]
    pub fn of(kind: DigestKind, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(kind);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The SRI text: `sha256-<padded base64>`.
    #[must_use]
    pub fn sri(&self) -> String {
        format!("{}-{}", self.kind.name(), BASE64.encode(&self.bytes))
    }

    /// The hash as a repository writes another one: in SRI, in hexadecimal, in base 64 or in Nix's base 32, with or without
    /// its algorithm. A placeholder gives way to SRI.
    #[must_use]
    pub(crate) fn spelt_like(&self, written: &HashText) -> String {
        let text = written.text.trim();
        if written.is_placeholder() || text.contains('-') {
            return self.sri();
        }
        let (prefix, digits) = match text.split_once(':') {
            Some((_, digits)) => (format!("{}:", self.kind.name()), digits),
            None => (String::new(), text),
        };
        let length = self.kind.length();
        let digits = if digits.len() == 2 * length {
            npm_tarballs::integrity::hex(&self.bytes)
        } else if digits.len() == (8 * length).div_ceil(5) {
            nix_base32(&self.bytes)
        } else {
            BASE64.encode(&self.bytes)
        };
        prefix + &digits
    }

    /// The hash that a text states; `kind` is what its attribute's name says of the algorithm.
    fn parse(kind: Option<DigestKind>, text: &str) -> Option<Self> {
        let (kind, digits) = match text.split_once(['-', ':']) {
            Some((name, digits)) => {
                (DigestKind::of(name).filter(|own| kind.is_none_or(|kind| kind == *own))?, digits)
            }
            None => (kind?, text),
        };
        Some(Self { kind, bytes: decode_digest(digits, kind.length())? })
    }
}

impl From<&ContentId> for SourceDigest {
    fn from(content: &ContentId) -> Self {
        let kind = match content.algorithm() {
            Algorithm::Sha1 => DigestKind::Sha1,
            Algorithm::Sha512 => DigestKind::Sha512,
        };
        Self { kind, bytes: content.digest().to_vec() }
    }
}

impl fmt::Display for SourceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sri())
    }
}

/// A hash of bytes that come one after another.
pub(super) enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub(super) fn new(kind: DigestKind) -> Self {
        match kind {
            DigestKind::Sha1 => Self::Sha1(Sha1::new()),
            DigestKind::Sha256 => Self::Sha256(Sha256::new()),
            DigestKind::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(state) => state.update(bytes),
            Self::Sha256(state) => state.update(bytes),
            Self::Sha512(state) => state.update(bytes),
        }
    }

    pub(super) fn finish(self) -> SourceDigest {
        match self {
            Self::Sha1(state) => SourceDigest { kind: DigestKind::Sha1, bytes: state.finalize().to_vec() },
            Self::Sha256(state) => {
                SourceDigest { kind: DigestKind::Sha256, bytes: state.finalize().to_vec() }
            }
            Self::Sha512(state) => {
                SourceDigest { kind: DigestKind::Sha512, bytes: state.finalize().to_vec() }
            }
        }
    }
}

/// What a repository says of a source's hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Recorded {
    /// Nothing yet: `""`, `lib.fakeHash` and their like, to be replaced by a hash of this kind.
    Placeholder(DigestKind),
    /// This.
    Known(SourceDigest),
    /// None, and none is needed: the source is a commit.
    Commit,
}

impl Recorded {
    /// The algorithm.
    #[must_use]
    pub fn kind(&self) -> DigestKind {
        match self {
            Self::Placeholder(kind) => *kind,
            Self::Known(digest) => digest.kind,
            Self::Commit => DigestKind::Sha256,
        }
    }

    /// The hash, where there is one.
    #[must_use]
    pub fn known(&self) -> Option<&SourceDigest> {
        match self {
            Self::Known(digest) => Some(digest),
            Self::Placeholder(_) | Self::Commit => None,
        }
    }

    /// Reads the text of an attribute of this name; `None` if it is not a hash that Nix would take there.
    #[must_use]
    pub fn read(attribute: &str, written: &HashText) -> Option<Self> {
        let kind = DigestKind::of(attribute);
        if matches!(written.form, HashForm::Fake | HashForm::Empty) {
            return Some(Self::Placeholder(kind.unwrap_or(DigestKind::Sha256)));
        }
        let digest = SourceDigest::parse(kind, written.text.trim())?;
        let zero = digest.bytes.iter().all(|byte| *byte == 0);
        Some(if zero { Self::Placeholder(digest.kind) } else { Self::Known(digest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(attribute: &str, text: &str) -> Option<Recorded> {
        Recorded::read(attribute, &HashText::parse(text))
    }

    #[test]
    fn every_form_is_one_hash() {
        let empty = Some(Recorded::Known(SourceDigest::of(DigestKind::Sha256, b"")));
        for text in [
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert_eq!(read("hash", text), empty, "{text}");
            assert_eq!(read("sha256", text), empty, "{text}");
            assert_eq!(read("sha512", text), None, "{text}");
        }
        for text in [
            "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ] {
            assert_eq!(read("sha256", text), empty, "{text}");
            assert_eq!(read("hash", text), None, "{text}: no algorithm");
        }
    }

    #[test]
    fn other_algorithms_keep_their_own() {
        let sha1 = SourceDigest::of(DigestKind::Sha1, b"");
        assert_eq!(read("sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), Some(Recorded::Known(sha1)));
        let sha512 = SourceDigest::of(DigestKind::Sha512, b"");
        assert_eq!(read("hash", &sha512.sri()), Some(Recorded::Known(sha512.clone())));
        let hex = npm_tarballs::integrity::hex(&sha512.bytes);
        assert_eq!(read("sha512", &hex), Some(Recorded::Known(sha512)));
    }

    #[test]
    fn a_hash_is_spelt_as_the_one_before() {
        let other = SourceDigest::of(DigestKind::Sha256, b"x");
        let sri = "sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=";
        for (before, after) in [
            ("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", sri),
            ("", sri),
            ("0000000000000000000000000000000000000000000000000000", sri),
            ("0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73", &nix_base32(&other.bytes)),
            (
                "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
            ),
            ("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", &BASE64.encode(&other.bytes)),
        ] {
            assert_eq!(other.spelt_like(&HashText::parse(before)), after, "{before}");
            assert_eq!(SourceDigest::parse(Some(DigestKind::Sha256), after), Some(other.clone()), "{after}");
        }
    }

    #[test]
    fn placeholders() {
        assert_eq!(read("hash", ""), Some(Recorded::Placeholder(DigestKind::Sha256)));
        assert_eq!(read("sha512", ""), Some(Recorded::Placeholder(DigestKind::Sha512)));
        assert_eq!(read("sha1", &"0".repeat(40)), Some(Recorded::Placeholder(DigestKind::Sha1)));
        assert_eq!(read("hash", "nonsense"), None);
    }
}
