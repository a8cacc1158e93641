//! The tokens of a text as far as they nest, read from its bytes.
//!
//! rnix's tokenizer asks at each token whether a path or a URL begins there, and takes a third as long as the parser. The bound
//! on nesting needs none of that: only what is in strings and comments has to be told from the rest. Where bytes alone do
//! not tell it, such as a quote after what may be a URL, nothing is said, and the tokenizer is asked after all.

use rnix::SyntaxKind as K;

/// Whether a text was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skimmed {
    Whole,
    /// Something that bytes alone do not tell, or that the reader refused.
    Unsure,
}

/// What the bytes are a part of, inside of which others may be.
enum Around {
    /// `"..."`
    Text,
    /// `''...''`
    Lines,
    /// `${...}`, and how many braces are open in it.
    Inserted(u32),
}

/// Hands each token to `reader` that deepens the tree or ends a level of it, until it answers `false`. A path, a URL or an
/// operator may come as several tokens that deepen the tree, never as fewer than the tokenizer makes of it.
pub(super) fn skim(text: &str, reader: &mut dyn FnMut(K) -> bool) -> Skimmed {
    let mut skimmer =
        Skimmer { bytes: text.as_bytes(), at: 0, around: Vec::new(), before: b' ', in_url: false };
    while skimmer.at < skimmer.bytes.len() {
        let read = match skimmer.around.last() {
            Some(Around::Text) => skimmer.text(),
            Some(Around::Lines) => skimmer.lines(),
            Some(Around::Inserted(_)) | None => skimmer.code(),
        };
        match read {
            Read::Token(kind) if reader(kind) => {}
            Read::Nothing => {}
            Read::Token(_) | Read::Unsure => return Skimmed::Unsure,
        }
    }
    if skimmer.around.is_empty() { Skimmed::Whole } else { Skimmed::Unsure }
}

enum Read {
    Token(K),
    Nothing,
    Unsure,
}

struct Skimmer<'a> {
    bytes: &'a [u8],
    at: usize,
    around: Vec<Around>,
    /// The byte before, if it may be of one token with what follows; else a space.
    before: u8,
    /// There was a colon since the last space, so that a quote may be part of a URL.
    in_url: bool,
}

impl Skimmer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(b' ')
    }

    /// So many bytes between tokens.
    fn gap(&mut self, length: usize) -> Read {
        self.at += length;
        self.before = b' ';
        self.in_url = false;
        Read::Nothing
    }

    /// A token of so many bytes that nothing can be of one token with.
    fn apart(&mut self, length: usize, kind: K) -> Read {
        self.gap(length);
        Read::Token(kind)
    }

    fn begin(&mut self, around: Around, length: usize, kind: K) -> Read {
        self.around.push(around);
        self.apart(length, kind)
    }

    fn text(&mut self) -> Read {
        match self.bytes[self.at] {
            b'"' => self.end_text(1),
            b'\\' => self.skip(2),
            b'$' => self.dollar(),
            _ => self.skip(1),
        }
    }

    fn lines(&mut self) -> Read {
        match (self.bytes[self.at], self.peek(1), self.peek(2)) {
            (b'\'', b'\'', b'\'' | b'$') => self.skip(3),
            (b'\'', b'\'', b'\\') => self.skip(4),
            (b'\'', b'\'', _) => self.end_text(2),
            (b'$', ..) => self.dollar(),
            _ => self.skip(1),
        }
    }

    fn skip(&mut self, length: usize) -> Read {
        self.at += length;
        Read::Nothing
    }

    fn end_text(&mut self, length: usize) -> Read {
        self.around.pop();
        self.apart(length, K::TOKEN_STRING_END)
    }

    /// `$` in a string.
    fn dollar(&mut self) -> Read {
        match self.peek(1) {
            b'$' => self.skip(2),
            b'{' => self.begin(Around::Inserted(0), 2, K::TOKEN_INTERPOL_START),
            _ => self.skip(1),
        }
    }

    fn code(&mut self) -> Read {
        let byte = self.bytes[self.at];
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => self.gap(1),
            b'#' => {
                let rest = &self.bytes[self.at..];
                self.gap(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()))
            }
            b'/' if self.peek(1) == b'*' => {
                if self.in_url || is_of_path(self.before) {
                    return Read::Unsure;
                }
                let body = &self.bytes[self.at + 2..];
                let end = body.windows(2).position(|two| two == b"*/");
                end.map_or(Read::Unsure, |end| self.gap(end + 4))
            }
            b'"' => self.begin(Around::Text, 1, K::TOKEN_STRING_START),
            b'\'' if self.peek(1) == b'\'' && !self.in_url && !is_of_name(self.before) => {
                self.begin(Around::Lines, 2, K::TOKEN_STRING_START)
            }
            b'$' if self.peek(1) == b'{' => self.begin(Around::Inserted(0), 2, K::TOKEN_INTERPOL_START),
            b'{' | b'}' => self.brace(byte),
            b'(' => self.apart(1, K::TOKEN_L_PAREN),
            b')' => self.apart(1, K::TOKEN_R_PAREN),
            b'[' => self.apart(1, K::TOKEN_L_BRACK),
            b']' => self.apart(1, K::TOKEN_R_BRACK),
            b';' => self.apart(1, K::TOKEN_SEMICOLON),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
            // The sign of an exponent is no operator.
            b'0'..=b'9' if self.peek(1).is_ascii_alphabetic() => Read::Unsure,
            b'0'..=b'9' => self.part(K::TOKEN_INTEGER),
            b'.' if self.peek(1) != b'.' => self.part(K::TOKEN_DOT),
            b'\'' => Read::Unsure,
            // Whichever operator it is a part of.
            b'!'..=b'~' => {
                self.in_url |= byte == b':';
                self.part(K::TOKEN_ADD)
            }
            _ => Read::Unsure,
        }
    }

    /// A byte that may be of one token with those around it.
    fn part(&mut self, kind: K) -> Read {
        let kind = self.kind_here(kind);
        self.before = self.bytes[self.at];
        self.at += 1;
        Read::Token(kind)
    }

    /// A path deepens the tree even as an item of a list, so that each of its pieces has to.
    fn kind_here(&self, kind: K) -> K {
        if self.before == b'/' { K::TOKEN_ADD } else { kind }
    }

    fn brace(&mut self, byte: u8) -> Read {
        let is_open = byte == b'{';
        match self.around.last_mut() {
            Some(Around::Inserted(braces)) if is_open => *braces += 1,
            Some(Around::Inserted(0)) => {
                self.around.pop();
                let end = self.apart(1, K::TOKEN_INTERPOL_END);
                // A path may go on behind it.
                self.before = b'/';
                return end;
            }
            Some(Around::Inserted(braces)) => *braces -= 1,
            _ => {}
        }
        self.apart(1, if is_open { K::TOKEN_L_BRACE } else { K::TOKEN_R_BRACE })
    }

    fn word(&mut self) -> Read {
        let length = self.bytes[self.at..].iter().position(|byte| !is_of_name(*byte));
        let length = length.unwrap_or(self.bytes.len() - self.at);
        let word = &self.bytes[self.at..self.at + length];
        let kind = match word {
            b"assert" => K::TOKEN_ASSERT,
            b"else" => K::TOKEN_ELSE,
            b"if" => K::TOKEN_IF,
            b"in" => K::TOKEN_IN,
            b"inherit" => K::TOKEN_INHERIT,
            b"let" => K::TOKEN_LET,
            b"or" => K::TOKEN_OR,
            b"rec" => K::TOKEN_REC,
            b"then" => K::TOKEN_THEN,
            b"with" => K::TOKEN_WITH,
            _ => K::TOKEN_IDENT,
        };
        let after = self.peek(length);
        // As a part of a path or a URL it is no keyword, and a quote is no part of a path.
        let is_first = self.before == b' ';
        let is_alone = is_first && (after.is_ascii_whitespace() || b"()[]{};\"#".contains(&after));
        if kind != K::TOKEN_IDENT && !is_alone || word.contains(&b'\'') && !is_first {
            return Read::Unsure;
        }
        let kind = self.kind_here(kind);
        self.at += length;
        self.before = word[length - 1];
        Read::Token(kind)
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'\'')
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'.' | b'+' | b'-' | b'*' | b'<' | b'~')
}
