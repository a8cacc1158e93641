//! Texts that wait for their hash: `lib.fakeHash` and its relatives, and the empty string.

use nix_lang::eval::Operand;
use nix_lang::syntax::ast::{AttrName, Expr, ExprId};
use nix_lang::value::{Code, Kind, Piece, Text, Value};

use crate::hash_text::HashText;

/// `lib.fakeHash`.
const FAKE_SRI: &str = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// `lib.fakeSha256`.
const FAKE_HEX: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// `lib.fakeSha512`.
const FAKE_LONG_HEX: &str = "0000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000";
/// `lib.fakeSha1`.
const FAKE_SHORT_HEX: &str = "0000000000000000000000000000000000000000";

/// The placeholders of `lib`, by their names.
const FAKES: [(&str, &str); 4] = [
    ("fakeHash", FAKE_SRI),
    ("fakeSha256", FAKE_HEX),
    ("fakeSha512", FAKE_LONG_HEX),
    ("fakeSha1", FAKE_SHORT_HEX),
];

/// The placeholder of that name.
#[must_use]
pub fn fake(name: &str) -> Option<Value> {
    FAKES.iter().find(|(known, _)| *known == name).map(|(_, text)| Value::text(text))
}

/// Whether a string is one of the placeholders of `lib`, and no token yet.
#[must_use]
pub(crate) fn is_fake(text: &Text) -> bool {
    match text.pieces.as_slice() {
        [Piece::Text(text)] => {
            text.as_ref() == FAKE_SRI || (text.len() >= 64 && text.bytes().all(|b| b == b'0'))
        }
        _ => false,
    }
}

/// A test for a placeholder (`hash == ""`, `hash != lib.fakeHash`) is answered as it will be after the hash was
/// written (fixture `hash-empty-means-fake`).
#[must_use]
pub(crate) fn is_tested(code: &Code, left: Operand<'_>, right: Operand<'_>) -> bool {
    let waits = |value: &Value| match &value.kind {
        Kind::Str(text) => {
            text.token.is_some() && text.known().is_some_and(|t| HashText::parse(&t).is_placeholder())
        }
        _ => false,
    };
    waits(left.value) && waits(right.value) && (named_hash(code, left.id) || named_hash(code, right.id))
}

fn named_hash(code: &Code, id: ExprId) -> bool {
    let name = match code.ast.expr(id) {
        Expr::Var(name) => name,
        Expr::Select { path, .. } => match path.last() {
            Some(AttrName::Static(name)) => name,
            _ => return false,
        },
        _ => return false,
    };
    let lower = name.to_ascii_lowercase();
    // In `x == fakeHash` it is `x` that has to be called a hash.
    (lower.contains("hash") || lower.contains("sha256")) && !lower.starts_with("fake")
}
