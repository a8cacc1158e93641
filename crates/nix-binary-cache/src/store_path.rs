//! The store path of a fixed output: known from its name and its hash alone.
//!
//! Nix's scheme: the sha256 of `source:sha256:<hex of the NAR hash>:/nix/store:<name>`, folded to 20 bytes, in Nix's
//! base 32, before the name. It is the path of every recursively hashed sha256 output, no matter who builds it.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Where Nix keeps its store unless it was built otherwise.
pub const STORE: &str = "/nix/store";

/// Longest name that Nix accepts, in bytes.
const MAX_NAME: usize = 211;

/// Digits of the hash in a store path.
const HASH_DIGITS: usize = 32;

/// A derivation's name that Nix accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DerivationName(String);

/// Why a text is not a derivation name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a name that Nix accepts: `{0}` (1 to {MAX_NAME} letters, digits and any of + - . _ ? =, no dot first)"
)]
pub struct DerivationNameError(String);

impl DerivationName {
    /// Reads a name.
    ///
    /// # Errors
    /// A name that Nix would not take.
    pub fn parse(name: &str) -> Result<Self, DerivationNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
        let fine =
            (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed);
        if fine { Ok(Self(name.to_owned())) } else { Err(DerivationNameError(name.to_owned())) }
    }

    /// The path of the output with this NAR hash under this name.
    #[must_use]
    pub fn fixed_output_path(&self, nar_hash: &[u8; 32]) -> String {
        self.fixed_output_path_in(STORE, nar_hash)
    }

    /// The same in a store that calls itself something else.
    #[must_use]
    pub fn fixed_output_path_in(&self, store: &str, nar_hash: &[u8; 32]) -> String {
        let fingerprint = format!("source:sha256:{}:{store}:{}", HEXLOWER.encode(nar_hash), self.0);
        let digest = fold(&Sha256::digest(fingerprint));
        format!("{store}/{}-{}", nix_base32(&digest), self.0)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A recursively hashed sha256 output in the usual store: all that a cache has to know to have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FixedOutput {
    name: DerivationName,
    nar_hash: [u8; 32],
    path: String,
}

impl FixedOutput {
    /// The output with this name and NAR hash.
    #[must_use]
    pub fn new(name: DerivationName, nar_hash: [u8; 32]) -> Self {
        let path = name.fixed_output_path(&nar_hash);
        Self { name, nar_hash, path }
    }

    /// Its derivation's name, with the output's.
    #[must_use]
    pub fn name(&self) -> &DerivationName {
        &self.name
    }

    /// The sha256 of its NAR.
    #[must_use]
    pub fn nar_hash(&self) -> &[u8; 32] {
        &self.nar_hash
    }

    /// Its store path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The digits of its store path, under which caches keep it.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        let base = self.path.rsplit('/').next().unwrap_or_default();
        base.get(..HASH_DIGITS).unwrap_or_default()
    }

    /// What Nix calls its content address.
    #[must_use]
    pub(crate) fn content_address(&self) -> String {
        format!("fixed:r:sha256:{}", nix_base32(&self.nar_hash))
    }
}

/// Nix shortens a digest to 20 bytes by folding its end over its beginning.
fn fold(digest: &[u8]) -> [u8; 20] {
    let mut folded = [0; 20];
    for (index, byte) in digest.iter().enumerate() {
        folded[index % 20] ^= byte;
    }
    folded
}

const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Nix's base 32: digits from the end, without e, o, t and u.
#[must_use]
pub fn nix_base32(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    let digit = |position: usize| {
        let (byte, shift) = (position * 5 / 8, position * 5 % 8);
        let low = u16::from(bytes[byte]) >> shift;
        let high = bytes.get(byte + 1).map_or(0, |next| u16::from(*next) << (8 - shift));
        char::from(DIGITS[usize::from((low | high) & 31)])
    };
    (0..digits).rev().map(digit).collect()
}

/// The bytes, so many, that [`nix_base32`] wrote so, and in no other way.
#[must_use]
pub fn from_nix_base32(text: &str, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0_u8; length];
    for (position, digit) in text.bytes().rev().enumerate() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        let (byte, shift) = (position * 5 / 8, position * 5 % 8);
        let wide = u16::try_from(value).ok()? << shift;
        let [low, high] = wide.to_le_bytes();
        *bytes.get_mut(byte)? |= low;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return None,
            None => {}
        }
    }
    (nix_base32(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `nix-store --print-fixed-path --recursive sha256` answers.
    #[test]
    fn the_path_is_the_one_that_nix_computes() {
        let hash = Sha256::digest(b"").into();
        let name = DerivationName::parse("npm-deps").unwrap();
        assert_eq!(name.fixed_output_path(&hash), "/nix/store/7bkrvxxw7bih7axpi23v2xm2k22qvy16-npm-deps");
        let output = FixedOutput::new(name, hash);
        assert_eq!(output.hash_part(), "7bkrvxxw7bih7axpi23v2xm2k22qvy16");
        assert_eq!(
            output.content_address(),
            "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
        );
    }

    #[test]
    fn base_32_is_read_back_and_nothing_else_is() {
        let hash: [u8; 32] = Sha256::digest(b"x").into();
        assert_eq!(from_nix_base32(&nix_base32(&hash), 32), Some(hash.to_vec()));
        let long = "0".repeat(53);
        for text in ["", "0", "e", &"z".repeat(52), &long, &"é".repeat(26)] {
            assert_eq!(from_nix_base32(text, 32), None, "{text}");
        }
    }

    #[test]
    fn names_that_nix_refuses_are_refused() {
        for name in ["", ".hidden", "a b", "a/b", &"x".repeat(212)] {
            assert!(DerivationName::parse(name).is_err(), "{name}");
        }
        assert!(DerivationName::parse("web-1.0.0-npm-deps").is_ok());
    }
}
