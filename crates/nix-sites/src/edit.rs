//! Edits as data: a range and its replacement; sorted, disjoint, applied in one place, and judged before anybody writes them.

use std::ops::Range;

use nix_lang::syntax::json::{self, Json, Spanned};
use nix_lang::syntax::{BOM, checked_root, toml};
use nix_lang::value::LiteralKind;
use rnix::{SyntaxKind, tokenize};

use super::literal::Literal;

/// A replacement of some bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replacement {
    /// The bytes to go.
    pub range: (usize, usize),
    /// What takes their place.
    pub text: String,
}

/// What kind of file is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A Nix expression.
    Nix,
    /// A JSON document.
    Json,
    /// A TOML document.
    Toml,
    /// A text that is nothing but the hash.
    Text,
}

/// Why an edit was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Two edits want the same bytes.
    #[error("two edits overlap at byte {0}")]
    Overlap(usize),
    /// The range is not inside the text, or splits a character.
    #[error("an edit lies outside of the text at byte {0}")]
    OutOfRange(usize),
    /// The text before is not what the literal was read from.
    #[error("the file is no longer what it was when it was read")]
    Changed,
    /// The text after cannot be parsed.
    #[error("the edited text would not parse: {0}")]
    Unparsable(String),
    /// The edit would change more than its literals.
    #[error("the edit would change more than the hash at byte {0}")]
    MoreThanLiterals(usize),
}

impl FileKind {
    /// The kind of file that holds a literal.
    #[must_use]
    pub fn of(kind: LiteralKind) -> Self {
        match kind {
            LiteralKind::NixString | LiteralKind::NixExpr => Self::Nix,
            LiteralKind::JsonString => Self::Json,
            LiteralKind::TomlString => Self::Toml,
            LiteralKind::TextFile => Self::Text,
        }
    }
}

/// The edit that writes a hash over a literal; `sri` holds no character that any of the formats escapes.
#[must_use]
pub fn replacement(literal: &Literal, sri: &str) -> Replacement {
    let text = match literal.kind {
        LiteralKind::TextFile => sri.to_owned(),
        _ => format!("\"{sri}\""),
    };
    Replacement { range: (literal.range.start, literal.range.end), text }
}

/// Applies edits and proves that nothing but their tokens changed.
///
/// # Errors
/// When the edits overlap or miss the text, or when the result differs in anything else.
pub fn rewrite(kind: FileKind, text: &str, edits: &[Replacement]) -> Result<String, EditError> {
    let edits = sorted(text, edits)?;
    let after = splice(text, &edits);
    match kind {
        FileKind::Nix => prove_nix(text, &after, &edits)?,
        FileKind::Json => prove_data(text, &after, &edits, json::parse)?,
        FileKind::Toml => prove_data(text, &after, &edits, toml::parse)?,
        FileKind::Text => prove_text(text, &edits)?,
    }
    Ok(after)
}

/// The edits in order, each once.
fn sorted(text: &str, edits: &[Replacement]) -> Result<Vec<Replacement>, EditError> {
    let mut edits = edits.to_vec();
    edits.sort();
    // Two sites with one literal want the same hash written: that is one edit.
    edits.dedup();
    let mut end = 0;
    for edit in &edits {
        let (from, to) = edit.range;
        // There is no such range either where it ends before it begins.
        if text.get(from..to).is_none() {
            return Err(EditError::OutOfRange(from));
        }
        if from < end {
            return Err(EditError::Overlap(from));
        }
        end = to;
    }
    Ok(edits)
}

fn splice(text: &str, edits: &[Replacement]) -> String {
    let mut out = String::with_capacity(text.len() + edits.len() * 16);
    let mut at = 0;
    for edit in edits {
        out.push_str(&text[at..edit.range.0]);
        out.push_str(&edit.text);
        at = edit.range.1;
    }
    out.push_str(&text[at..]);
    out
}

/// Old and new tokens side by side: equal outside of the edits, and inside exactly one quoted string.
fn prove_nix(before: &str, after: &str, edits: &[Replacement]) -> Result<(), EditError> {
    let old_body = before.strip_prefix(BOM).unwrap_or(before);
    let new_body = after.strip_prefix(BOM).unwrap_or(after);
    // rnix knows no byte order mark; all its positions lie behind it.
    let shift = before.len() - old_body.len();
    if after.len() - new_body.len() != shift {
        return Err(EditError::MoreThanLiterals(0));
    }
    checked_root(new_body).map_err(|error| EditError::Unparsable(error.message))?;
    let mut old = TokenStream::new(old_body, shift);
    let mut new = TokenStream::new(new_body, shift);
    for edit in edits {
        while old.at < edit.range.0 {
            step(&mut old, &mut new)?;
        }
        if old.at != edit.range.0 {
            return Err(EditError::Changed);
        }
        old.take_literal(edit.range.1)?;
        new.take_string(&edit.text)?;
    }
    loop {
        match (old.next(), new.next()) {
            (None, None) => return Ok(()),
            (a, b) if a == b => {}
            _ => return Err(EditError::MoreThanLiterals(old.at)),
        }
    }
}

fn step(old: &mut TokenStream, new: &mut TokenStream) -> Result<(), EditError> {
    match (old.next(), new.next()) {
        (Some(a), Some(b)) if a == b => Ok(()),
        _ => Err(EditError::MoreThanLiterals(old.at)),
    }
}

struct TokenStream<'a> {
    all: std::vec::IntoIter<(SyntaxKind, &'a str)>,
    at: usize,
}

impl<'a> TokenStream<'a> {
    fn new(body: &'a str, at: usize) -> Self {
        Self { all: tokenize(body).collect::<Vec<_>>().into_iter(), at }
    }

    fn next(&mut self) -> Option<(SyntaxKind, &'a str)> {
        let token = self.all.next()?;
        self.at += token.1.len();
        Some(token)
    }

    /// Exactly one literal: a string without interpolations, or names joined by dots.
    fn take_literal(&mut self, end: usize) -> Result<(), EditError> {
        use SyntaxKind as K;
        let start = self.at;
        let mut kinds = Vec::new();
        while self.at < end {
            kinds.push(self.next().ok_or(EditError::Changed)?.0);
        }
        let literal = match kinds.as_slice() {
            [K::TOKEN_STRING_START, K::TOKEN_STRING_END]
            | [K::TOKEN_STRING_START, K::TOKEN_STRING_CONTENT, K::TOKEN_STRING_END] => true,
            // `lib.fakeHash`, also with white space around the dot.
            [K::TOKEN_IDENT, rest @ ..] => {
                rest.iter().all(|kind| matches!(kind, K::TOKEN_IDENT | K::TOKEN_DOT | K::TOKEN_WHITESPACE))
            }
            _ => false,
        };
        if self.at != end {
            return Err(EditError::Changed);
        }
        if literal { Ok(()) } else { Err(EditError::MoreThanLiterals(start)) }
    }

    /// Exactly one quoted string of that text.
    fn take_string(&mut self, text: &str) -> Result<(), EditError> {
        let mut seen = String::new();
        let kinds =
            [SyntaxKind::TOKEN_STRING_START, SyntaxKind::TOKEN_STRING_CONTENT, SyntaxKind::TOKEN_STRING_END];
        for kind in kinds {
            match self.next() {
                Some((found, part)) if found == kind => seen.push_str(part),
                _ => return Err(EditError::MoreThanLiterals(self.at)),
            }
        }
        if seen == text { Ok(()) } else { Err(EditError::MoreThanLiterals(self.at)) }
    }
}

/// Old and new documents side by side: the same structure, and equal values outside of the edits.
fn prove_data(
    before: &str,
    after: &str,
    edits: &[Replacement],
    parse: fn(&str) -> Option<Spanned>,
) -> Result<(), EditError> {
    let old = parse(before).ok_or(EditError::Changed)?;
    let new = parse(after).ok_or_else(|| EditError::Unparsable("not a document any more".to_owned()))?;
    let mut left = edits.len();
    compare(&old, &new, edits, &mut left)?;
    // An edit that met no text of the document hit something else, such as a key or a number.
    if left == 0 { Ok(()) } else { Err(EditError::Changed) }
}

fn compare(old: &Spanned, new: &Spanned, edits: &[Replacement], left: &mut usize) -> Result<(), EditError> {
    let range: Range<usize> = old.span.start as usize..old.span.end as usize;
    let error = EditError::MoreThanLiterals(range.start);
    match (&old.value, &new.value) {
        (Json::Text(_), Json::Text(written))
            if edits.iter().any(|edit| (range.start, range.end) == edit.range) =>
        {
            let expected = edits
                .iter()
                .any(|e| (range.start, range.end) == e.range && e.text.trim_matches('"') == written);
            *left = left.saturating_sub(1);
            if expected { Ok(()) } else { Err(error) }
        }
        (Json::List(a), Json::List(b)) if a.len() == b.len() => {
            a.iter().zip(b).try_for_each(|(a, b)| compare(a, b, edits, left))
        }
        (Json::Object(a), Json::Object(b)) if a.len() == b.len() => {
            a.iter().zip(b).try_for_each(|((k, a), (l, b))| {
                if k != l {
                    return Err(EditError::MoreThanLiterals(range.start));
                }
                compare(a, b, edits, left)
            })
        }
        (a, b) if a == b => Ok(()),
        _ => Err(error),
    }
}

/// One edit, of everything but the white space around.
fn prove_text(before: &str, edits: &[Replacement]) -> Result<(), EditError> {
    // Nix code reads such a file with `lib.fileContents`, or with a newline behind that it cuts off: it stays as it is.
    let start = before.len() - before.trim_start().len();
    let end = before.trim_end().len().max(start);
    match edits {
        [] => Ok(()),
        [edit] if edit.range == (start, end) => Ok(()),
        [edit, ..] => Err(EditError::MoreThanLiterals(edit.range.0)),
    }
}

#[cfg(test)]
mod tests {
    use nixpkgs_model::hash_text::HashText;

    use super::*;

    const SRI: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn edit(text: &str, old: &str, quoted: bool) -> Replacement {
        let start = text.find(old).expect("the old text is there");
        let new = if quoted { format!("\"{SRI}\"") } else { SRI.to_owned() };
        Replacement { range: (start, start + old.len()), text: new }
    }

    #[test]
    fn nix_tokens_are_replaced_and_nothing_else() {
        let text = "\u{feff}{ # lib.fakeHash\r\n\tnpmDepsHash = lib.fakeHash; # why\r\n  b = \"\";\r\n}\r\n";
        let first = text.find("= lib.fakeHash").expect("it is there") + 2;
        let edits = [
            Replacement { range: (first, first + 12), text: format!("\"{SRI}\"") },
            edit(text, "\"\"", true),
        ];
        let after = rewrite(FileKind::Nix, text, &edits).expect("a sound edit");
        let expected = text
            .replacen("= lib.fakeHash", &format!("= \"{SRI}\""), 1)
            .replace("b = \"\"", &format!("b = \"{SRI}\""));
        assert_eq!(after, expected);
    }

    #[test]
    fn edits_that_would_change_more_are_refused() {
        let text = "{ a = \"x\"; b = \"y\"; }";
        let wide = Replacement { range: (6, 18), text: format!("\"{SRI}\"") };
        assert_eq!(rewrite(FileKind::Nix, text, &[wide]), Err(EditError::MoreThanLiterals(6)));
        let torn = Replacement { range: (7, 9), text: "z".to_owned() };
        assert!(rewrite(FileKind::Nix, text, &[torn]).is_err());
        let broken = Replacement { range: (6, 9), text: "\"a\" }".to_owned() };
        assert!(matches!(rewrite(FileKind::Nix, text, &[broken]), Err(EditError::Unparsable(_))));
        let overlapping = [edit(text, "\"x\"", true), Replacement { range: (8, 12), text: String::new() }];
        assert!(matches!(rewrite(FileKind::Nix, text, &overlapping), Err(EditError::Overlap(8))));
        let outside = Replacement { range: (6, 900), text: String::new() };
        assert!(matches!(rewrite(FileKind::Nix, text, &[outside]), Err(EditError::OutOfRange(6))));
    }

    fn verdict(kind: FileKind, text: &str, range: (usize, usize), new: &str) -> Result<String, EditError> {
        rewrite(kind, text, &[Replacement { range, text: new.to_owned() }])
    }

    #[test]
    fn an_edit_is_of_one_whole_literal_and_writes_one_string() {
        use EditError::{Changed, MoreThanLiterals, OutOfRange};
        let text = "{ a = \"xy\"; }";
        for (range, new, error) in [
            // Within the literal: another text there, the same one, and one that ends with it.
            ((7, 9), "zz", MoreThanLiterals(7)),
            ((8, 9), "z", MoreThanLiterals(9)),
            ((8, 9), "y", Changed),
            ((6, 8), "\"x", Changed),
            // No string: a name, and more than one token.
            ((6, 10), "lib.y", MoreThanLiterals(9)),
            ((6, 10), "\"a\" + \"b\"", MoreThanLiterals(9)),
            ((9, 7), "z", OutOfRange(9)),
        ] {
            assert_eq!(verdict(FileKind::Nix, text, range, new), Err(error), "{range:?} {new}");
        }
        let marked = verdict(FileKind::Nix, "\u{feff}\"x\"", (0, 6), "\"y\"");
        assert_eq!(marked, Err(MoreThanLiterals(0)), "a byte order mark is not part of a literal");
        assert_eq!(verdict(FileKind::Nix, "[ 1 ]", (2, 3), "\"1\""), Err(MoreThanLiterals(2)));
    }

    #[test]
    fn literals_side_by_side_are_two() {
        let edits = [(2, 5), (5, 8)].map(|range| Replacement { range, text: format!("\"{SRI}\"") });
        let after = rewrite(FileKind::Nix, "[ \"x\"\"y\" ]", &edits);
        assert_eq!(after, Ok(format!("[ \"{SRI}\"\"{SRI}\" ]")));
    }

    #[test]
    fn data_gets_one_text_in_the_place_of_one() {
        use EditError::MoreThanLiterals;
        for (text, range, new, error) in [
            // Another text than the edit's own, once it is read.
            ("[\"old\"]", (1, 6), "\"a\\u0062\"", MoreThanLiterals(1)),
            ("[\"old\"]", (1, 6), "\"x\", \"y\"", MoreThanLiterals(0)),
            ("{\"a\":\"old\"}", (5, 10), "\"x\",\"b\":\"y\"", MoreThanLiterals(0)),
            ("{\"a\":\"old\"}", (1, 4), "\"b\"", MoreThanLiterals(0)),
            ("[1]", (1, 2), "2", MoreThanLiterals(1)),
        ] {
            assert_eq!(verdict(FileKind::Json, text, range, new), Err(error), "{text} {new}");
        }
        assert_eq!(verdict(FileKind::Json, "[1]", (1, 2), "1"), Err(EditError::Changed));
    }

    #[test]
    fn data_keeps_its_form() {
        let json = "{\n\t\"a\" : \"old\",\"b\":[1, \"old\"] }";
        let after = rewrite(FileKind::Json, json, &[edit(json, "\"old\"", true)]).expect("a sound edit");
        assert_eq!(after, json.replacen("\"old\"", &format!("\"{SRI}\""), 1));
        let key = Replacement { range: (3, 6), text: "\"z\"".to_owned() };
        assert!(rewrite(FileKind::Json, json, &[key]).is_err());
        let toml = "# note\n[a]\nhash = 'old' # kept\n";
        let after = rewrite(FileKind::Toml, toml, &[edit(toml, "'old'", true)]).expect("a sound edit");
        assert_eq!(after, format!("# note\n[a]\nhash = \"{SRI}\" # kept\n"));
    }

    #[test]
    fn a_text_file_keeps_its_newline() {
        let after = rewrite(FileKind::Text, "old\n", &[edit("old\n", "old", false)]).expect("a sound edit");
        assert_eq!(after, format!("{SRI}\n"));
        let part = Replacement { range: (0, 1), text: "x".to_owned() };
        assert_eq!(rewrite(FileKind::Text, "old\n", &[part]), Err(EditError::MoreThanLiterals(0)));
        let behind_space = rewrite(FileKind::Text, " \told\r\n", &[edit(" \told", "old", false)]);
        assert_eq!(behind_space, Ok(format!(" \t{SRI}\r\n")));
        assert_eq!(
            verdict(FileKind::Text, "", (0, 0), SRI),
            Ok(SRI.to_owned()),
            "an empty file is an empty hash"
        );
        assert_eq!(rewrite(FileKind::Text, "old\n", &[]), Ok("old\n".to_owned()));
    }

    #[test]
    fn a_hash_is_quoted_where_the_format_has_quotes() {
        for (kind, text, file) in [
            (LiteralKind::NixString, format!("\"{SRI}\""), FileKind::Nix),
            (LiteralKind::NixExpr, format!("\"{SRI}\""), FileKind::Nix),
            (LiteralKind::JsonString, format!("\"{SRI}\""), FileKind::Json),
            (LiteralKind::TomlString, format!("\"{SRI}\""), FileKind::Toml),
            (LiteralKind::TextFile, SRI.to_owned(), FileKind::Text),
        ] {
            let literal = Literal {
                file: "flake.nix".into(),
                range: 3..7,
                kind,
                written: HashText::fake(),
                line: 1,
                column: 4,
            };
            assert_eq!(replacement(&literal, SRI), Replacement { range: (3, 7), text });
            assert_eq!(FileKind::of(kind), file);
        }
    }
}
