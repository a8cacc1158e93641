//! Subresource integrity (SRI) as npm lockfiles write it: `algorithm-base64`, several separated by white space.
//!
//! nixpkgs knows `sha1` and `sha512` only and prefers the latter; everything else is refused here, by name.
//! The text of the chosen entry is kept as written, because it goes into the cache index verbatim.

use std::cmp::Ordering;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha1::{Digest as _, Sha1};
use sha512_lanes::Sha512;

/// A digest algorithm that npm's cache and nixpkgs' fetcher both accept.
///
/// The order is the order of strength: `Sha1 < Sha512`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `sha1`, 20 bytes; lockfiles from before npm 5 carry it.
    Sha1,
    /// `sha512`, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// The name used in SRI strings and as a folder of npm's cache.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a digest in bytes.
    #[must_use]
    pub(crate) fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha512 => 64,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "sha1" => Some(Self::Sha1),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// Algorithm and digest: what identifies a tarball's bytes, however its SRI text was written.
///
/// Ordered as NAR orders `content-v2`: by algorithm name, then by the bytes of the lower-case hex digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId {
    algorithm: Algorithm,
    digest: [u8; 64],
}

impl ContentId {
    /// The identity of content with this digest.
    ///
    /// `None` if the digest's length is not the algorithm's.
    #[must_use]
    pub fn new(algorithm: Algorithm, digest: &[u8]) -> Option<Self> {
        // One array for both algorithms keeps the type `Copy`: it is a key of most maps of a run.
        let mut padded = [0; 64];
        (digest.len() == algorithm.digest_len()).then(|| padded[..digest.len()].copy_from_slice(digest))?;
        Some(Self { algorithm, digest: padded })
    }

    /// The sha512 identity of these bytes.
    #[must_use]
    pub fn sha512_of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digest's algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest: 20 or 64 bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.digest[..self.algorithm.digest_len()]
    }

    /// The digest in lower-case hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(self.digest())
    }

    /// The canonical SRI text: `sha512-<padded base64>`.
    #[must_use]
    pub fn sri(&self) -> String {
        format!("{}-{}", self.algorithm.name(), BASE64.encode(self.digest()))
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sri())
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

/// Lower-case hexadecimal of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The bytes of a hexadecimal text; `None` if it is none.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

/// One integrity of a lockfile entry: what the bytes must be, and the text that says so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Integrity {
    id: ContentId,
    text: String,
}

impl Integrity {
    /// The strongest entry of an SRI set, separated by ASCII white space.
    ///
    /// # Errors
    /// An empty set, an entry with another algorithm, and a strongest entry that cannot be used: broken base64, a
    /// digest of the wrong length, or two different digests.
    pub fn strongest_of(set: &str) -> Result<Self, IntegrityError> {
        Candidate::strongest_of(set)?.ok_or(IntegrityError::Empty)?.chosen()
    }

    fn read(entry: &str) -> Option<Self> {
        let (name, digest) = entry.split_once('-')?;
        let algorithm = Algorithm::from_name(name)?;
        // Room for the longest digest, rounded up as base64 does.
        let mut bytes = [0; 66];
        let length = BASE64.decode_slice(digest, &mut bytes).ok()?;
        Some(Self { id: ContentId::new(algorithm, &bytes[..length])?, text: entry.to_owned() })
    }

    /// What the bytes must be.
    #[must_use]
    pub fn id(&self) -> ContentId {
        self.id
    }

    /// The entry as written in the lockfile.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The strongest of several integrities, before it is known whether it will be needed.
///
/// nixpkgs looks at the names of all algorithms, and at the digest of none but the one that it chooses in the end: a weaker
/// one may be malformed, or contradict another, without a consequence.
#[derive(Debug, Clone)]
pub struct Candidate {
    algorithm: Algorithm,
    chosen: Result<Integrity, IntegrityError>,
}

impl Candidate {
    /// The strongest entry of an SRI set; `None` if nothing is in it.
    ///
    /// # Errors
    /// An entry without an algorithm, or with one that nixpkgs does not know.
    pub fn strongest_of(set: &str) -> Result<Option<Self>, IntegrityError> {
        // Nearly every set has one entry, and what can be read as one has no white space in it.
        if let Some(only) = Integrity::read(set) {
            return Ok(Some(Self { algorithm: only.id.algorithm, chosen: Ok(only) }));
        }
        let mut best: Option<Self> = None;
        for entry in set.split_ascii_whitespace() {
            let entry = Self::read(entry)?;
            best = Some(match best {
                None => entry,
                Some(best) => best.or_stronger(entry),
            });
        }
        Ok(best)
    }

    fn read(entry: &str) -> Result<Self, IntegrityError> {
        let malformed = || IntegrityError::Malformed(entry.to_owned());
        let (name, _) = entry.split_once('-').ok_or_else(malformed)?;
        let unknown = || IntegrityError::Algorithm { algorithm: name.to_owned() };
        let algorithm = Algorithm::from_name(name).ok_or_else(unknown)?;
        Ok(Self { algorithm, chosen: Integrity::read(entry).ok_or_else(malformed) })
    }

    /// The algorithm, which is how strong it is.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The stronger of two. Two equally strong ones that differ cannot be used: which one nixpkgs would take is left to
    /// chance there.
    #[must_use]
    pub fn or_stronger(self, other: Self) -> Self {
        let chosen = match self.algorithm.cmp(&other.algorithm) {
            Ordering::Greater => return self,
            Ordering::Less => return other,
            // An error stays one, whatever else is there: nixpkgs may come to choose it.
            Ordering::Equal => match (self.chosen, other.chosen) {
                (Ok(one), Ok(other)) if one.id != other.id => {
                    Err(IntegrityError::Conflict { one: one.text, other: other.text })
                }
                (Err(error), _) | (_, Err(error)) => Err(error),
                (chosen, _) => chosen,
            },
        };
        Self { algorithm: self.algorithm, chosen }
    }

    /// The integrity, now that it is needed.
    ///
    /// # Errors
    /// It is malformed, or contradicts another one.
    pub fn chosen(self) -> Result<Integrity, IntegrityError> {
        self.chosen
    }
}

impl From<ContentId> for Integrity {
    fn from(id: ContentId) -> Self {
        Self { id, text: id.sri() }
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why an integrity text cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// Nothing but white space.
    #[error("empty integrity")]
    Empty,
    /// Not `algorithm-base64`, or a digest of the wrong length.
    #[error("malformed integrity `{0}`")]
    Malformed(String),
    /// An algorithm that nixpkgs' fetcher does not know.
    #[error("unsupported integrity algorithm `{algorithm}`: only sha1 and sha512 exist in nixpkgs' fetcher")]
    Algorithm {
        /// The algorithm's name as written.
        algorithm: String,
    },
    /// Two digests of the same strength for one content.
    #[error("two different integrities of the same strength: {one} and {other}")]
    Conflict {
        /// The one met first.
        one: String,
        /// The one met later.
        other: String,
    },
}

/// An incremental digest of content that should have a known identity.
pub struct Hasher(pub(crate) RunningDigest);

pub(crate) enum RunningDigest {
    /// Which old lockfiles record.
    Sha1(Sha1),
    /// Half of a cold run's processor time would go into this digest if each body were hashed by itself.
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher that has seen no bytes.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha1 => RunningDigest::Sha1(Sha1::new()),
            Algorithm::Sha512 => RunningDigest::Sha512(Sha512::alone()),
        })
    }

    /// The same, for content that others arrive beside.
    pub(crate) fn among_others(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha1 => Self::new(algorithm),
            Algorithm::Sha512 => Self(RunningDigest::Sha512(Sha512::new())),
        }
    }

    /// Adds the next bytes of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            RunningDigest::Sha1(state) => state.update(bytes),
            RunningDigest::Sha512(state) => state.update(bytes),
        }
    }

    /// The identity of all the bytes seen.
    #[must_use]
    pub fn finish(self) -> ContentId {
        let (algorithm, digest) = match self.0 {
            RunningDigest::Sha1(state) => (Algorithm::Sha1, state.finalize().to_vec()),
            RunningDigest::Sha512(state) => (Algorithm::Sha512, state.finish().to_vec()),
        };
        ContentId::new(algorithm, &digest).expect("bug: a digest has its algorithm's length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: &str = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=";
    const SHA512: &str =
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";

    #[test]
    fn the_strongest_entry_wins_and_keeps_its_text() {
        let chosen = Integrity::strongest_of(&format!("{SHA1} \n\t{SHA512}")).unwrap();
        assert_eq!(chosen.text(), SHA512);
        assert_eq!(chosen.id(), ContentId::sha512_of(b""));
        assert_eq!(chosen.id().sri(), SHA512);
        let twice = Integrity::strongest_of(&format!("{SHA512} {SHA512}")).unwrap();
        assert_eq!(twice.text(), SHA512, "what is said twice does not contradict itself");
    }

    #[test]
    fn parsing_and_printing_round_trip() {
        for text in [SHA1, SHA512] {
            let integrity = Integrity::strongest_of(text).unwrap();
            assert_eq!(integrity.id().sri(), text);
            assert_eq!(
                (integrity.to_string(), integrity.id().to_string()),
                (text.to_owned(), text.to_owned())
            );
        }
        let mut hasher = Hasher::new(Algorithm::Sha1);
        hasher.update(b"");
        assert_eq!(hasher.finish().sri(), SHA1);
    }

    #[test]
    fn what_nixpkgs_refuses_is_refused_by_name() {
        let error = |text: &str| Integrity::strongest_of(text).unwrap_err().to_string();
        assert_eq!(error(" "), "empty integrity");
        assert!(error("sha256-AAAA").contains("`sha256`"));
        assert!(error("sha512-AAAA").contains("malformed"));
        assert!(error("sha1").contains("malformed"));
        assert!(
            error(&format!("{SHA1}\u{a0}{SHA512}")).contains("malformed"),
            "only ASCII white space separates"
        );
        let other = ContentId::sha512_of(b"x").sri();
        assert!(error(&format!("{SHA512} {other}")).contains("two different"));
        assert!(
            error(&format!("{SHA512} md5-x")).contains("`md5`"),
            "also where a stronger one stands beside it"
        );
    }

    #[test]
    fn a_digest_that_is_not_chosen_is_not_looked_at() {
        let other = "sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for set in [format!("sha1-broken {SHA512}"), format!("{SHA1} {other} {SHA512}")] {
            assert_eq!(Integrity::strongest_of(&set).unwrap().text(), SHA512, "{set}");
        }
        assert!(Integrity::strongest_of(&format!("{SHA1} {other}")).is_err());
        assert!(
            Integrity::strongest_of(&format!("{SHA512} sha512-broken")).is_err(),
            "one of them, by chance"
        );
    }

    #[test]
    fn hexadecimal_both_ways() {
        let all: Vec<u8> = (0..=255).collect();
        for byte in &all {
            assert_eq!(hex(&[*byte]), format!("{byte:02x}"));
        }
        assert_eq!(unhex(&hex(&all)), Some(all));
        assert_eq!((unhex(""), unhex("aBcD")), (Some(vec![]), Some(vec![0xab, 0xcd])));
        for wrong in ["a", "abc", "0g", "+1", "-1", " 1", "ää"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn identities_order_as_their_paths_do() {
        let mut ids: Vec<_> = (0..50_u8).map(|n| ContentId::sha512_of(&[n])).collect();
        ids.push(Integrity::strongest_of(SHA1).unwrap().id());
        let mut paths: Vec<_> = ids.iter().map(|id| (id.algorithm().name(), id.hex())).collect();
        ids.sort_unstable();
        paths.sort_unstable();
        assert_eq!(
            ids.iter().map(ContentId::hex).collect::<Vec<_>>(),
            paths.into_iter().map(|p| p.1).collect::<Vec<_>>()
        );
    }
}
