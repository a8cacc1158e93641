//! From bytes to the compact tree: nesting check, rnix parse, lowering.

pub mod ast;
mod bindings;
mod green;
pub mod json;
mod lower;
mod nesting;
mod skim;
pub mod toml;

use std::rc::Rc;

use ast::{Ast, FileId};
use merge_markers::first_conflict;
pub use nesting::check_runs;
use rnix::ParseError;
use rowan::ast::AstNode as _;

/// Why a file is not a Nix expression: the byte offset and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

/// The byte order mark that some editors write; Nix sees none of it.
pub const BOM: &str = "\u{feff}";

/// Parses `text` (of file `file`) and lowers it.
///
/// # Errors
/// The first syntax error, with its offset.
pub fn parse(file: FileId, text: &str) -> Result<Rc<Ast>, SyntaxError> {
    let body = text.strip_prefix(BOM).unwrap_or(text);
    let shift = text.len() - body.len();
    let root = checked_root(body).map_err(|e| SyntaxError { offset: e.offset + shift, ..e })?;
    Ok(Rc::new(lower::lower(file, root.syntax().green(), shift)))
}

/// Parses with rnix after the nesting has been bounded; no byte order mark.
///
/// # Errors
/// The first thing that Nix would not parse, or nesting that is too deep.
pub fn checked_root(body: &str) -> Result<rnix::Root, SyntaxError> {
    nesting::check(body)?;
    let parsed = rnix::Root::parse(body);
    if let Some(error) = parsed.errors().first() {
        // What the parser stumbles on in a conflict says less.
        let conflict = first_conflict(body)
            .map(|conflict| SyntaxError { offset: conflict.offset, message: conflict.message() });
        return Err(conflict.unwrap_or_else(|| describe(error, body)));
    }
    Ok(parsed.tree())
}

fn describe(error: &ParseError, body: &str) -> SyntaxError {
    let end = body.trim_end().len();
    let (offset, message) = match error {
        ParseError::Unexpected(range) | ParseError::UnexpectedExtra(range) => {
            (usize::from(range.start()), "unexpected token".to_owned())
        }
        ParseError::UnexpectedWanted(_, range, _) => {
            (usize::from(range.start()), "syntax error, unexpected token".to_owned())
        }
        ParseError::UnexpectedDoubleBind(range) => {
            (usize::from(range.start()), "the argument set is named twice".to_owned())
        }
        ParseError::DuplicatedArgs(range, name) => {
            (usize::from(range.start()), format!("duplicate formal function argument `{name}`"))
        }
        ParseError::UnexpectedEOF | ParseError::UnexpectedEOFWanted(_) => {
            (end, "unexpected end of file".to_owned())
        }
        ParseError::RecursionLimitExceeded => (0, "nested too deeply".to_owned()),
        _ => (0, "syntax error".to_owned()),
    };
    SyntaxError { offset, message }
}

#[cfg(test)]
mod tests {
    use super::checked_root;

    #[test]
    fn a_conflict_that_a_merge_left_is_named_with_its_lines() {
        let text = "{\n  a = 1;\n<<<<<<< HEAD\n  b = \"x\";\n=======\n  b = \"y\";\n>>>>>>> bump\n}\n";
        let error = checked_root(text).expect_err("markers are not Nix");
        assert_eq!((error.offset, error.message.as_str()), (11, "unsolved merge conflict, lines 3 to 7"));
        let inside = checked_root("{ a = ''\n<<<<<<< HEAD\n>>>>>>> x\n''; }\n");
        assert!(inside.is_ok(), "markers inside a text are text");
        let plain = checked_root("{ a = }").expect_err("a value is missing");
        assert!(!plain.message.contains("conflict"));
    }
}
