//! `<hash>.narinfo`: what a cache says of one store path; and `nix-cache-info`, what it says of itself.
//!
//! ```text
//! line       = key ": " value "\n"
//! StorePath, URL, Compression, FileHash, FileSize, NarHash, NarSize, References (base names, blank between), Sig*, CA
//! hash       = "sha256:" <52 digits of Nix's base 32>
//! ```

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;

use crate::signing::SecretKey;
use crate::store_path::{FixedOutput, from_nix_base32, nix_base32};

/// A narinfo of a path without references, with sha256 hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// The store path.
    pub store_path: String,
    /// Where the compressed NAR lies, from the cache's top.
    pub url: String,
    /// How it is compressed.
    pub compression: String,
    /// Hash and size of the compressed NAR.
    pub file: Option<SizedDigest>,
    /// Hash and size of the NAR.
    pub nar: SizedDigest,
    /// Base names of other paths that it refers to.
    pub references: Vec<String>,
    /// `name:base64`, each by one key.
    pub signatures: Vec<String>,
    /// What the path is computed from, if from its content.
    pub content_address: Option<String>,
}

/// What some bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizedDigest {
    /// Their sha256.
    pub sha256: [u8; 32],
    /// How many they are.
    pub size: u64,
}

/// Why a text is not a narinfo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NarInfoError {
    /// A line without a colon.
    #[error("line {0} of the narinfo is not `Key: value`")]
    Line(usize),
    /// A key that has to be there is not, or is there twice.
    #[error("the narinfo does not have exactly one `{0}`")]
    Missing(&'static str),
    /// A value that cannot be read.
    #[error("the narinfo's `{0}` cannot be read")]
    Value(&'static str),
}

/// Why a narinfo is not that of an output, or could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It speaks of another path.
    #[error("the narinfo is that of {0}")]
    Path(String),
    /// The NAR is not the output's.
    #[error("the narinfo has another NAR hash")]
    Hash,
    /// Clients with `require-sigs` would want a signature.
    #[error("the narinfo does not say that the path is content-addressed")]
    NoContentAddress,
    /// It needs other paths, which a fixed output never does.
    #[error("the narinfo has references")]
    References,
}

impl NarInfo {
    /// The narinfo of an output whose compressed NAR lies at `url`.
    #[must_use]
    pub fn of(output: &FixedOutput, url: String, file: SizedDigest, nar_size: u64) -> Self {
        Self {
            store_path: output.path().to_owned(),
            url,
            compression: "zstd".to_owned(),
            file: Some(file),
            nar: SizedDigest { sha256: *output.nar_hash(), size: nar_size },
            references: Vec::new(),
            signatures: Vec::new(),
            content_address: Some(output.content_address()),
        }
    }

    /// What signatures are of.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let store = self.store_path.rsplit_once('/').map_or("", |(store, _)| store);
        let references: Vec<String> =
            self.references.iter().map(|reference| format!("{store}/{reference}")).collect();
        format!("1;{};{};{};{}", self.store_path, hash(&self.nar.sha256), self.nar.size, references.join(","))
    }

    /// Adds a signature.
    pub fn sign(&mut self, key: &SecretKey) {
        self.signatures.push(key.sign(&self.fingerprint()));
    }

    /// Whether a client that wants `output` would take what this describes.
    ///
    /// # Errors
    /// Why not.
    pub fn serves(&self, output: &FixedOutput) -> Result<(), Unfit> {
        if self.store_path != output.path() {
            return Err(Unfit::Path(self.store_path.chars().take(300).collect()));
        }
        if self.nar.sha256 != *output.nar_hash() {
            return Err(Unfit::Hash);
        }
        if !self.references.is_empty() {
            return Err(Unfit::References);
        }
        let addressed = self.content_address.as_deref() == Some(&output.content_address());
        if addressed { Ok(()) } else { Err(Unfit::NoContentAddress) }
    }

    /// Reads a narinfo. Keys that mean nothing here are passed over, as Nix does.
    ///
    /// # Errors
    /// Another text.
    pub fn parse(text: &str) -> Result<Self, NarInfoError> {
        let lines = Lines::of(text)?;
        let size = |key| lines.one(key)?.parse().map_err(|_| NarInfoError::Value(key));
        let digest = |hash_key, size_key| {
            Ok(SizedDigest { sha256: read_hash(lines.one(hash_key)?, hash_key)?, size: size(size_key)? })
        };
        Ok(Self {
            store_path: lines.one("StorePath")?.to_owned(),
            url: lines.one("URL")?.to_owned(),
            // Nix takes bzip2 where nothing is said.
            compression: lines.optional("Compression")?.unwrap_or("bzip2").to_owned(),
            file: lines.optional("FileHash")?.map(|_| digest("FileHash", "FileSize")).transpose()?,
            nar: digest("NarHash", "NarSize")?,
            references: lines
                .optional("References")?
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            signatures: lines.all("Sig").map(str::to_owned).collect(),
            content_address: lines.optional("CA")?.filter(|text| !text.is_empty()).map(str::to_owned),
        })
    }
}

impl fmt::Display for NarInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "StorePath: {}", self.store_path)?;
        writeln!(f, "URL: {}", self.url)?;
        writeln!(f, "Compression: {}", self.compression)?;
        if let Some(file) = &self.file {
            writeln!(f, "FileHash: {}\nFileSize: {}", hash(&file.sha256), file.size)?;
        }
        writeln!(f, "NarHash: {}\nNarSize: {}", hash(&self.nar.sha256), self.nar.size)?;
        // With the blank, even if there is none: Nix looks for it.
        writeln!(f, "References: {}", self.references.join(" "))?;
        for signature in &self.signatures {
            writeln!(f, "Sig: {signature}")?;
        }
        self.content_address.as_ref().map_or(Ok(()), |address| writeln!(f, "CA: {address}"))
    }
}

fn hash(sha256: &[u8; 32]) -> String {
    format!("sha256:{}", nix_base32(sha256))
}

fn read_hash(text: &str, key: &'static str) -> Result<[u8; 32], NarInfoError> {
    let digits = text.strip_prefix("sha256:").ok_or(NarInfoError::Value(key))?;
    let hex = || HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok();
    // Old caches wrote hexadecimal digits.
    let bytes = from_nix_base32(digits, 32).or_else(hex);
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(NarInfoError::Value(key))
}

/// `Key: value` lines.
struct Lines<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Result<Self, NarInfoError> {
        let split = |(index, line): (usize, &'a str)| {
            let (key, value) = line.split_once(':').ok_or(NarInfoError::Line(index + 1))?;
            Ok((key, value.strip_prefix(' ').unwrap_or(value)))
        };
        text.lines().enumerate().map(split).collect::<Result<_, _>>().map(Self)
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| *known == key).map(|(_, value)| *value)
    }

    fn optional(&self, key: &'static str) -> Result<Option<&'a str>, NarInfoError> {
        let mut values = self.all(key);
        let first = values.next();
        if values.next().is_some() { Err(NarInfoError::Missing(key)) } else { Ok(first) }
    }

    fn one(&self, key: &'static str) -> Result<&'a str, NarInfoError> {
        self.optional(key)?.ok_or(NarInfoError::Missing(key))
    }
}

/// What a cache says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    /// The store that its paths lie in.
    pub store_dir: String,
}

impl CacheInfo {
    /// Reads `nix-cache-info`; without a `StoreDir` it is the usual one.
    ///
    /// # Errors
    /// A line without a colon, or two `StoreDir`.
    pub fn parse(text: &str) -> Result<Self, NarInfoError> {
        let store_dir = Lines::of(text)?.optional("StoreDir")?.unwrap_or(crate::store_path::STORE).to_owned();
        Ok(Self { store_dir })
    }
}

impl fmt::Display for CacheInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "StoreDir: {}", self.store_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::DerivationName;

    fn info() -> (FixedOutput, NarInfo) {
        let output = FixedOutput::new(DerivationName::parse("web-1.0.0-npm-deps").unwrap(), [7; 32]);
        let file = SizedDigest { sha256: [9; 32], size: 12 };
        (output.clone(), NarInfo::of(&output, "nar/x.nar.zst".to_owned(), file, 34))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (output, mut info) = info();
        assert_eq!(NarInfo::parse(&info.to_string()), Ok(info.clone()));
        assert!(info.to_string().contains("\nReferences: \nCA: fixed:r:sha256:"));
        assert_eq!(info.serves(&output), Ok(()));
        info.signatures = vec!["a:AA==".to_owned(), "b:BB==".to_owned()];
        info.references = vec!["x-y".to_owned()];
        info.file = None;
        assert_eq!(NarInfo::parse(&info.to_string()), Ok(info.clone()));
        assert_eq!(info.serves(&output), Err(Unfit::References));
    }

    #[test]
    fn what_would_not_serve_is_told() {
        let (output, info) = info();
        let other = FixedOutput::new(DerivationName::parse("other").unwrap(), [7; 32]);
        assert_eq!(info.serves(&other), Err(Unfit::Path(info.store_path.clone())));
        let wrong = NarInfo { nar: SizedDigest { sha256: [1; 32], size: 1 }, ..info.clone() };
        assert_eq!(wrong.serves(&output), Err(Unfit::Hash));
        let signed_only = NarInfo { content_address: None, ..info };
        assert_eq!(signed_only.serves(&output), Err(Unfit::NoContentAddress));
    }

    #[test]
    fn a_text_that_is_none_is_refused_with_its_place() {
        let (_, info) = info();
        let text = info.to_string();
        assert_eq!(NarInfo::parse("<html>"), Err(NarInfoError::Line(1)));
        assert_eq!(NarInfo::parse(""), Err(NarInfoError::Missing("StorePath")));
        let twice = format!("{text}StorePath: /nix/store/x\n");
        assert_eq!(NarInfo::parse(&twice), Err(NarInfoError::Missing("StorePath")));
        let size = text.replace("NarSize: 34", "NarSize: -1");
        assert_eq!(NarInfo::parse(&size), Err(NarInfoError::Value("NarSize")));
        let hash = text.replace("NarHash: sha256:", "NarHash: md5:");
        assert_eq!(NarInfo::parse(&hash), Err(NarInfoError::Value("NarHash")));
    }

    #[test]
    fn a_cache_says_which_store_it_is_for() {
        let parsed = CacheInfo::parse("StoreDir: /gnu/store\nWantMassQuery: 1\n").unwrap();
        assert_eq!(parsed.store_dir, "/gnu/store");
        assert_eq!(
            CacheInfo::parse(&CacheInfo { store_dir: "/nix/store".to_owned() }.to_string())
                .unwrap()
                .store_dir,
            "/nix/store"
        );
        assert!(CacheInfo::parse("<html>").is_err());
    }
}
