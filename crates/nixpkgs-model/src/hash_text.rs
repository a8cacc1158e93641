//! A hash as it is written in a file, in any of the forms that Nix accepts.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use data_encoding::HEXLOWER_PERMISSIVE;
use nix_binary_cache::store_path::from_nix_base32;

/// The spelling of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashForm {
    /// `sha256-<base64>=`
    Sri,
    /// SRI without its `=` padding.
    UnpaddedSri,
    /// `sha256:<nix base32>`, or only the 52 characters.
    Base32,
    /// `sha256:<hex>`, or only the 64 characters.
    Hex,
    /// `sha256:<base64>`, or only the 44 characters.
    Base64,
    /// A placeholder: `lib.fakeHash` and its relatives, or all zero.
    Fake,
    /// The empty string.
    Empty,
    /// A hash of another algorithm.
    OtherAlgorithm,
    /// Anything else.
    Invalid,
}

/// A parsed hash literal: its spelling, its text and, where it is a SHA-256, its digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HashText {
    /// How it is spelt.
    pub form: HashForm,
    /// The string as Nix sees it.
    pub text: String,
    /// The digest, whatever the spelling.
    pub digest: Option<[u8; 32]>,
}

/// The names under which a fetcher takes its hash.
pub const HASHES: [&str; 6] = ["hash", "sha256", "sha512", "sha1", "outputHash", "narHash"];

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        // Nix does without padding, and takes `...SuFX=` for `...SuFU=`: the last bits belong to no byte.
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl HashText {
    /// Reads a hash; surrounding white space (of a text file) does not count.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (form, digest) = classify(text.trim());
        let form = if digest == Some([0; 32]) { HashForm::Fake } else { form };
        Self { form, text: text.to_owned(), digest }
    }

    /// The placeholders of `lib`: `fakeHash`, `fakeSha256`, `fakeSha512`, `fakeSha1`.
    #[must_use]
    pub fn fake() -> Self {
        let text = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned();
        Self { form: HashForm::Fake, text, digest: Some([0; 32]) }
    }

    /// Whether this says the same hash as `other`, however both are written.
    #[must_use]
    pub fn same_hash(&self, other: &HashText) -> bool {
        self.digest.is_some() && self.digest == other.digest
    }

    /// A placeholder that waits for its hash.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        matches!(self.form, HashForm::Fake | HashForm::Empty)
    }

    /// Whether the text could be a hash of any kind.
    #[must_use]
    pub fn is_hash(&self) -> bool {
        !matches!(self.form, HashForm::Invalid)
    }
}

/// Whether a text is a SHA-256 in any form but the empty one.
#[must_use]
pub fn looks_like_hash(text: &str) -> bool {
    // Base64 without its padding (fixture `unpadded-sri`); `sha256:` and hexadecimal are 71.
    const SHORTEST: usize = 43;
    const LONGEST: usize = 80;
    (SHORTEST..=LONGEST).contains(&text.len()) && HashText::parse(text).digest.is_some()
}

fn classify(text: &str) -> (HashForm, Option<[u8; 32]>) {
    if text.is_empty() {
        return (HashForm::Empty, None);
    }
    if let Some(encoded) = text.strip_prefix("sha256-") {
        let form = if encoded.ends_with('=') { HashForm::Sri } else { HashForm::UnpaddedSri };
        return decode_base64(encoded).map_or((HashForm::Invalid, None), |d| (form, Some(d)));
    }
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    let decoded = match bare.len() {
        52 => decode_digest(bare, 32).map(|d| (HashForm::Base32, d)),
        64 => decode_digest(bare, 32).map(|d| (HashForm::Hex, d)),
        44 => decode_digest(bare, 32).map(|d| (HashForm::Base64, d)),
        _ => None,
    };
    if let Some((form, digest)) = decoded {
        return (form, digest.try_into().ok());
    }
    if is_other_algorithm(text) {
        return (HashForm::OtherAlgorithm, None);
    }
    (HashForm::Invalid, None)
}

fn is_other_algorithm(text: &str) -> bool {
    ["md5", "sha1", "sha512", "blake3"].iter().any(|name| {
        text.strip_prefix(name).and_then(|rest| rest.strip_prefix(['-', ':'])).is_some_and(|rest| {
            rest.len() >= 20 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        })
    })
}

/// The digest of `length` bytes that a text spells in hexadecimal, in base 64 or in Nix's base 32, told by its own length.
#[must_use]
pub fn decode_digest(text: &str, length: usize) -> Option<Vec<u8>> {
    let digest = if text.len() == 2 * length {
        HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
    } else if text.len() == (8 * length).div_ceil(5) {
        from_nix_base32(text, length)
    } else {
        LENIENT.decode(text).ok()
    };
    digest.filter(|digest| digest.len() == length)
}

fn decode_base64(text: &str) -> Option<[u8; 32]> {
    LENIENT.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRI: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn every_spelling_is_one_digest() {
        let sri = HashText::parse(SRI);
        assert_eq!(sri.form, HashForm::Sri);
        for (text, form) in [
            (SRI.trim_end_matches('='), HashForm::UnpaddedSri),
            ("sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73", HashForm::Base32),
            ("0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73", HashForm::Base32),
            ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", HashForm::Hex),
            ("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", HashForm::Hex),
            ("sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", HashForm::Base64),
            ("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", HashForm::Sri),
        ] {
            let parsed = HashText::parse(text);
            assert_eq!(parsed.form, form, "{text}");
            assert!(parsed.same_hash(&sri), "{text}");
        }
    }

    #[test]
    fn placeholders_and_strangers() {
        assert_eq!(HashText::parse("").form, HashForm::Empty);
        assert_eq!(HashText::parse(&HashText::fake().text).form, HashForm::Fake);
        assert_eq!(HashText::parse(&"0".repeat(52)).form, HashForm::Fake);
        assert_eq!(HashText::parse("sha256-").form, HashForm::Invalid);
        assert_eq!(HashText::parse("not a hash").form, HashForm::Invalid);
        let sha512 = format!("sha512-{}==", "A".repeat(86));
        assert_eq!(HashText::parse(&sha512).form, HashForm::OtherAlgorithm);
    }

    #[test]
    fn only_equal_digests_are_the_same_hash() {
        let other = HashText::parse("sha256-yQ3wjd75Plqb8EoXtombXna9Ayb8UZLXE1gOUhNC28A=");
        assert!(!HashText::parse(SRI).same_hash(&other));
        let unknown = HashText::parse("not a hash");
        assert!(!unknown.same_hash(&unknown), "what has no digest is the same as nothing");
        assert!(!HashText::parse("").same_hash(&HashText::parse("")));
    }

    #[test]
    fn a_text_may_be_a_hash_without_being_a_sha256() {
        let sha1 = format!("sha1-{}=", "A".repeat(27));
        let texts = [SRI, "", &sha1, "not a hash", "sha1-short", "sha1-with a space inside of it"];
        assert_eq!(
            texts.map(|text| HashText::parse(text).is_hash()),
            [true, true, true, false, false, false]
        );
        assert_eq!(texts.map(looks_like_hash), [true, false, false, false, false, false]);
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(looks_like_hash(hex) && looks_like_hash(&format!("sha256:{hex}")));
        assert!(!looks_like_hash(&format!("{}{SRI}", " ".repeat(40))), "a text that holds a hash is none");
        assert!(!looks_like_hash(&"x".repeat(50)));
    }
}
