//! Ed25519 keys as `nix-store --generate-binary-cache-key` writes them: `name:base64`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// A key that signs. Its secret is not shown by anything.
pub struct SecretKey {
    name: String,
    pair: Ed25519KeyPair,
}

/// A key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    bytes: [u8; 32],
}

/// Why a text is not a key. It says nothing of the text, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no name before a colon.
    #[error("not a Nix key: expected NAME:BASE64")]
    Form,
    /// What comes after the name is of another kind of key, or damaged.
    #[error("not an Ed25519 {0} Nix key: expected {1} bytes in base64 after the name")]
    Bytes(&'static str, usize),
}

fn split(text: &str) -> Result<(String, Vec<u8>), KeyError> {
    let (name, rest) = text.trim().split_once(':').ok_or(KeyError::Form)?;
    let plain = !name.is_empty() && !name.contains(char::is_whitespace);
    let bytes = BASE64.decode(rest).map_err(|_| KeyError::Form)?;
    if plain { Ok((name.to_owned(), bytes)) } else { Err(KeyError::Form) }
}

impl SecretKey {
    /// Reads the text of a secret key: the seed and the public key, 64 bytes.
    ///
    /// # Errors
    /// Another text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split(text)?;
        let wrong = KeyError::Bytes("secret", 64);
        let (seed, public) = bytes.split_at_checked(32).filter(|(_, rest)| rest.len() == 32).ok_or(wrong)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| wrong)?;
        Ok(Self { name, pair })
    }

    /// `name:base64` of the signature.
    #[must_use]
    pub fn sign(&self, message: &str) -> String {
        format!("{}:{}", self.name, BASE64.encode(self.pair.sign(message.as_bytes())))
    }

    /// The key for those who check.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey { name: self.name.clone(), bytes }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads the text of a public key, 32 bytes.
    ///
    /// # Errors
    /// Another text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split(text)?;
        let bytes = bytes.try_into().map_err(|_| KeyError::Bytes("public", 32))?;
        Ok(Self { name, bytes })
    }

    /// Whether this key made the signature, which bears its name.
    #[must_use]
    pub fn verifies(&self, message: &str, signature: &str) -> bool {
        let Ok((name, bytes)) = split(signature) else { return false };
        let key = UnparsedPublicKey::new(&ED25519, self.bytes);
        name == self.name && key.verify(message.as_bytes(), &bytes).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    /// The first test vector of RFC 8032, as Nix would write it.
    fn secret() -> String {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        format!("cache.example-1:{}\n", BASE64.encode(bytes(&format!("{seed}{public}"))))
    }

    #[test]
    fn signatures_are_those_of_the_standard_and_are_checked() {
        let key = SecretKey::parse(&secret()).unwrap();
        // RFC 8032, 7.1, test 1: the signature of the empty message.
        let expected = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                        5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        assert_eq!(key.sign(""), format!("cache.example-1:{}", BASE64.encode(bytes(expected))));
        let public = PublicKey::parse(&key.public().to_string()).unwrap();
        assert!(public.verifies("m", &key.sign("m")));
        assert!(!public.verifies("n", &key.sign("m")));
        assert!(!public.verifies("m", &key.sign("m").replace("-1:", "-2:")));
    }

    #[test]
    fn a_damaged_key_is_refused_and_never_shown() {
        let text = secret();
        assert!(!format!("{:?}", SecretKey::parse(&text).unwrap()).contains(&text[16..40]));
        let other_half = text.trim().replace("Cvg", "Cvh");
        for text in ["", "name", ":AAAA", "name:!!", "name:AAAA", other_half.as_str()] {
            let said = SecretKey::parse(text).map(drop);
            assert!(text == other_half || said.is_err(), "{text}");
        }
        assert_eq!(PublicKey::parse("n:AAAA"), Err(KeyError::Bytes("public", 32)));
    }
}
