//! The tokens that hold hashes.

use std::ops::Range;
use std::path::PathBuf;

use nix_lang::value::LiteralKind;
use nixpkgs_model::hash_text::HashText;

/// The token that holds a hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Literal {
    /// Absolute path of the file.
    pub file: PathBuf,
    /// The bytes of the token, quotes included.
    pub range: Range<usize>,
    /// What the token is.
    pub kind: LiteralKind,
    /// The hash as it is written now.
    pub written: HashText,
    /// One-based.
    pub line: usize,
    /// One-based, in characters.
    pub column: usize,
}
