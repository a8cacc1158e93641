//! Registry signatures: ECDSA over P-256 with SHA-256, in DER, of the text `name@version:integrity`.
//!
//! The rules are npm's: every signature of a release has to be good, made by a key that the registry names and that had
//! not expired when the release was published.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;

use super::{Key, Release};

/// What npm takes as the time of a release that tells none: 2015-01-01, before any key.
const NO_TIME: Duration = Duration::from_hours(394_464);

/// A signature as the packument has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Signature {
    /// The key that made it.
    pub keyid: String,
    /// Base64 of the DER form.
    pub sig: String,
}

/// What the signatures of a release say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// They are good.
    Verified {
        /// The key of the first.
        keyid: String,
    },
    /// The registry signs, but not this release.
    Unsigned,
    /// The registry publishes no keys.
    NoKeys,
    /// One is not good: the entry was tampered with, or the mirror that gave it is out of date.
    Invalid {
        /// The key that it names.
        keyid: String,
        /// What is wrong.
        flaw: Flaw,
    },
}

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It does not sign this release.
    #[error("it is not of this name, version and integrity")]
    Forged,
    /// Its key had expired when the release was published.
    #[error("its key had expired before the release was published")]
    Expired,
    /// The registry does not know its key.
    #[error("the registry does not name its key")]
    UnknownKey,
}

impl SignatureVerdict {
    /// A stable word for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Verified { .. } => "verified",
            Self::Unsigned => "unsigned",
            Self::NoKeys => "no-keys",
            Self::Invalid { .. } => "invalid",
        }
    }

    /// Whether nothing may be built on this release: always if a signature is bad, without one if they are required.
    #[must_use]
    pub fn forbids(&self, required: bool) -> bool {
        match self {
            Self::Verified { .. } => false,
            Self::Unsigned | Self::NoKeys => required,
            Self::Invalid { .. } => true,
        }
    }
}

impl std::fmt::Display for SignatureVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Verified { keyid } => write!(f, "signed by the registry with key {}", shown(keyid)),
            Self::Unsigned => f.write_str("the registry did not sign this release"),
            Self::NoKeys => f.write_str("the registry publishes no signing keys"),
            Self::Invalid { keyid, flaw } => {
                write!(f, "the registry's signature with key {} is not good: {flaw}", shown(keyid))
            }
        }
    }
}

/// A key's name comes from outside.
fn shown(keyid: &str) -> String {
    keyid.escape_debug().take(100).collect()
}

/// Judges the signatures of a release.
#[must_use]
pub fn verify(release: &Release, keys: &[Key]) -> SignatureVerdict {
    if keys.is_empty() {
        return SignatureVerdict::NoKeys;
    }
    let message = format!("{}@{}:{}", release.name, release.version, release.dist.integrity.text());
    let published = release.published.unwrap_or(SystemTime::UNIX_EPOCH + NO_TIME);
    let mut good = None;
    for signature in &release.dist.signatures {
        if let Err(flaw) = check(signature, &message, published, keys) {
            return SignatureVerdict::Invalid { keyid: signature.keyid.clone(), flaw };
        }
        good = good.or(Some(&signature.keyid));
    }
    good.map_or(SignatureVerdict::Unsigned, |keyid| SignatureVerdict::Verified { keyid: keyid.clone() })
}

fn check(signature: &Signature, message: &str, published: SystemTime, keys: &[Key]) -> Result<(), Flaw> {
    let key = keys.iter().find(|key| key.id == signature.keyid).ok_or(Flaw::UnknownKey)?;
    if key.expires.is_some_and(|expires| published >= expires) {
        return Err(Flaw::Expired);
    }
    let sig = BASE64.decode(&signature.sig).map_err(|_| Flaw::Forged)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.point)
        .verify(message.as_bytes(), &sig)
        .map_err(|_| Flaw::Forged)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::packages::PackageName;

    /// A key of the public registry, which signed with it until 2025.
    const KEYS: &str = r#"{"keys":[{"expires":"2025-01-29T00:00:00.000Z","keyid":"SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA","keytype":"ecdsa-sha2-nistp256","scheme":"ecdsa-sha2-nistp256","key":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg=="}]}"#;
    const KEYID: &str = "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA";
    /// What the public registry signed of tool5@5.0.1.
    const INTEGRITY: &str =
        "sha512-gPClNFHEACDPrNPIY9nQ5CtgNzXLek1VKLkenI/RRKrrWSSyIVte0HloLzyQJFW0bXgFnv5TgtcUM+xHE7B6/w==";
    const SIG: &str =
        "MEYCIQDhX2SZFZyV3rBaQp/tH0NRk1YWw6rF2KrietBA6xDIFQIhANJcAYMSl+mvNefhpxjyApSUK/CXFEnCeUSEQf113OPI";

    fn judged(version: &str, published: Option<&str>, signatures: &Value) -> SignatureVerdict {
        let dist =
            json!({ "tarball": "https://r/x.tgz", "integrity": INTEGRITY, "signatures": signatures.clone() });
        let entry = json!({ "name": "tool5", "version": version, "dist": dist });
        let entry = RawValue::from_string(entry.to_string()).unwrap();
        let published = published.map(|time| humantime::parse_rfc3339(time).unwrap());
        let name = PackageName::parse("tool5").unwrap();
        let release = Release::parse(&name, version, &entry, published).unwrap();
        verify(&release, &Key::parse(KEYS.as_bytes()).unwrap())
    }

    #[test]
    fn a_signature_of_the_public_registry() {
        let signatures = json!([{ "keyid": KEYID, "sig": SIG }]);
        let verified = SignatureVerdict::Verified { keyid: KEYID.to_owned() };
        assert_eq!(judged("5.0.1", Some("2024-10-09T22:57:17Z"), &signatures), verified);
        assert_eq!(judged("5.0.1", None, &signatures), verified);
    }

    #[test]
    fn everything_else_is_not_good() {
        let right = json!({ "keyid": KEYID, "sig": SIG });
        let flaw = |version, published, signatures: Value| match judged(version, published, &signatures) {
            SignatureVerdict::Invalid { flaw, .. } => flaw,
            other => panic!("{other:?}"),
        };
        assert_eq!(flaw("5.0.2", None, json!([right])), Flaw::Forged);
        assert_eq!(flaw("5.0.1", Some("2025-01-29T00:00:00Z"), json!([right])), Flaw::Expired);
        assert_eq!(flaw("5.0.1", None, json!([right, { "keyid": "x", "sig": SIG }])), Flaw::UnknownKey);
        assert_eq!(flaw("5.0.1", None, json!([{ "keyid": KEYID, "sig": "bogus" }])), Flaw::Forged);
        assert_eq!(judged("5.0.1", None, &json!([])), SignatureVerdict::Unsigned);
    }

    #[test]
    fn what_is_required_is_required() {
        assert!(SignatureVerdict::NoKeys.forbids(true) && !SignatureVerdict::NoKeys.forbids(false));
        assert!(SignatureVerdict::Unsigned.forbids(true) && !SignatureVerdict::Unsigned.forbids(false));
        assert!(SignatureVerdict::Invalid { keyid: "x".into(), flaw: Flaw::Forged }.forbids(false));
    }
}
