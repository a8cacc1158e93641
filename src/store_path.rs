//! The store path of a fixed-output derivation: known from its name and its hash alone.
//!
//! Nix's scheme: the sha256 of `source:sha256:<hex of the NAR hash>:/nix/store:<name>`, folded to 20 bytes, in Nix's
//! base 32, before the name. It is the path of every recursively hashed sha256 output, whoever builds it.

use sha2::{Digest as _, Sha256};

use crate::{integrity::hex, npm_deps::NarHash};

/// Where Nix keeps its store unless it was built otherwise.
const STORE: &str = "/nix/store";

/// Longest name that Nix accepts, in bytes.
const MAX_NAME: usize = 211;

/// A derivation's name that Nix accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// Why a text is no derivation name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a name that Nix accepts: `{0}` (1 to {MAX_NAME} letters, digits and any of + - . _ ? =, no dot first)"
)]
pub struct NameError(String);

impl Name {
    /// Reads a name.
    ///
    /// Errors: a name that Nix would not take.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
        let fine =
            (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed);
        if fine { Ok(Self(name.to_owned())) } else { Err(NameError(name.to_owned())) }
    }

    /// The path of the output with this NAR hash under this name.
    #[must_use]
    pub fn fixed_output_path(&self, hash: &NarHash) -> String {
        self.fixed_output_path_in(STORE, hash)
    }

    /// The same in a store that calls itself something else.
    #[must_use]
    pub fn fixed_output_path_in(&self, store: &str, hash: &NarHash) -> String {
        let fingerprint = format!("source:sha256:{}:{store}:{}", hex(&hash.0), self.0);
        let digest = fold(&Sha256::digest(fingerprint));
        format!("{store}/{}-{}", nix_base32(&digest), self.0)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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

/// Nix's base 32: digits from the end, without e, o, t and u.
pub(crate) fn nix_base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
    let digits = (bytes.len() * 8).div_ceil(5);
    let digit = |position: usize| {
        let (byte, shift) = (position * 5 / 8, position * 5 % 8);
        let low = u16::from(bytes[byte]) >> shift;
        let high = bytes.get(byte + 1).map_or(0, |next| u16::from(*next) << (8 - shift));
        char::from(DIGITS[usize::from((low | high) & 31)])
    };
    (0..digits).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `nix-store --print-fixed-path --recursive sha256` answers.
    #[test]
    fn the_path_is_the_one_that_nix_computes() {
        let hash = NarHash(Sha256::digest(b"").into());
        let path = Name::parse("npm-deps").unwrap().fixed_output_path(&hash);
        assert_eq!(path, "/nix/store/7bkrvxxw7bih7axpi23v2xm2k22qvy16-npm-deps");
    }

    #[test]
    fn names_that_nix_refuses_are_refused() {
        for name in ["", ".hidden", "a b", "a/b", &"x".repeat(212)] {
            assert!(Name::parse(name).is_err(), "{name}");
        }
        assert!(Name::parse("web-1.0.0-npm-deps").is_ok());
    }
}
