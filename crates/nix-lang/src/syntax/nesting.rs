//! A bound on the depth of the tree, taken from the tokens alone.
//!
//! The parser, the lowering and the tree's destructor recurse with the depth of the tree. Counting brackets and operators
//! before the parser runs turns an input that would overflow the stack into an ordinary syntax error.

use rnix::SyntaxKind;

use super::SyntaxError;
use super::skim::{Skimmed, skim};

/// Deeper than any hand-written or generated expression seen; far below what the evaluation thread's stack takes.
const LIMIT: usize = 4_000;

/// How deep one bracket's content can nest: operators and applications since the last separator.
#[derive(Default)]
struct Level {
    list: bool,
    links: usize,
    /// `with` and `assert` whose semicolon is still to come: it ends nothing.
    heads: usize,
}

/// The tokenizer looks ahead over everything that could belong to a path, again from each token.
const LOOKAHEAD: usize = 400_000_000;

/// Refuses text that the tokenizer would take quadratic time for; no file that a person or program wrote comes near.
///
/// # Errors
/// Where the first such run begins.
pub fn check_runs(text: &str) -> Result<(), SyntaxError> {
    let mut cost = 0usize;
    let mut run = 0usize;
    for (offset, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'.' | b'+' | b'-') {
            run += 1;
            continue;
        }
        cost += run * run;
        run = 0;
        if cost > LOOKAHEAD {
            return Err(SyntaxError { offset, message: "a name without end".to_owned() });
        }
    }
    if cost + run * run > LOOKAHEAD {
        return Err(SyntaxError {
            offset: text.len().saturating_sub(run),
            message: "a name without end".to_owned(),
        });
    }
    Ok(())
}

/// Refuses text whose tree could be deeper than [`LIMIT`].
pub(super) fn check(text: &str) -> Result<(), SyntaxError> {
    // No token deepens the tree by more than a level: nothing this short is too deep, and most files are.
    if text.len() <= LIMIT {
        return Ok(());
    }
    check_runs(text)?;
    let mut nesting = Nesting::default();
    let skimmed = skim(text, &mut |kind| {
        nesting.step(kind);
        nesting.depth <= LIMIT
    });
    if skimmed == Skimmed::Whole { Ok(()) } else { check_tokens(text) }
}

/// The same by the tokens as the parser sees them.
fn check_tokens(text: &str) -> Result<(), SyntaxError> {
    let mut nesting = Nesting::default();
    let mut offset = 0usize;
    for (kind, token) in rnix::tokenize(text) {
        nesting.step(kind);
        if nesting.depth > LIMIT {
            return Err(SyntaxError { offset, message: "nested too deeply".to_owned() });
        }
        offset += token.len();
    }
    Ok(())
}

/// How deep the tree can be at a token.
struct Nesting {
    levels: Vec<Level>,
    depth: usize,
}

impl Default for Nesting {
    fn default() -> Self {
        Self { levels: vec![Level::default()], depth: 0 }
    }
}

impl Nesting {
    fn step(&mut self, kind: SyntaxKind) {
        self.depth = step(kind, &mut self.levels, self.depth);
    }
}

fn step(kind: SyntaxKind, levels: &mut Vec<Level>, depth: usize) -> usize {
    use SyntaxKind as K;
    match kind {
        K::TOKEN_WHITESPACE | K::TOKEN_COMMENT | K::TOKEN_STRING_CONTENT => depth,
        K::TOKEN_L_BRACE
        | K::TOKEN_L_PAREN
        | K::TOKEN_L_BRACK
        | K::TOKEN_LET
        | K::TOKEN_INTERPOL_START
        | K::TOKEN_STRING_START => {
            let list = matches!(kind, K::TOKEN_L_BRACK | K::TOKEN_STRING_START);
            levels.push(Level { list, ..Level::default() });
            depth + 1
        }
        K::TOKEN_R_BRACE
        | K::TOKEN_R_PAREN
        | K::TOKEN_R_BRACK
        | K::TOKEN_IN
        | K::TOKEN_INTERPOL_END
        | K::TOKEN_STRING_END => {
            let closed = levels.pop().map_or(0, |level| level.links + 1);
            link(levels, depth.saturating_sub(closed))
        }
        K::TOKEN_SEMICOLON if levels.last().is_some_and(|level| level.heads > 0) => {
            if let Some(level) = levels.last_mut() {
                level.heads -= 1;
            }
            depth
        }
        K::TOKEN_SEMICOLON | K::TOKEN_COMMA => {
            let links = levels.last_mut().map_or(0, |level| std::mem::take(&mut level.links));
            depth.saturating_sub(links)
        }
        K::TOKEN_IDENT | K::TOKEN_INTEGER | K::TOKEN_FLOAT | K::TOKEN_DOT => link(levels, depth),
        _ => {
            if let Some(level) = levels.last_mut() {
                level.links += 1;
                level.heads += usize::from(matches!(kind, K::TOKEN_WITH | K::TOKEN_ASSERT));
            }
            depth + 1
        }
    }
}

/// An atom deepens the tree only as an argument of an application, which the pieces of a list or string are not.
fn link(levels: &mut [Level], depth: usize) -> usize {
    match levels.last_mut() {
        Some(level) if !level.list => {
            level.links += 1;
            depth + 1
        }
        _ => depth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shorter_than_the_limit_is_parsed_and_what_is_longer_is_looked_at() {
        let nested = |deep: usize| format!("{}1{}", "[".repeat(deep), "]".repeat(deep));
        let (short, long) = (nested(LIMIT / 2 - 1), nested(LIMIT + 1));
        assert!(short.len() < LIMIT && check(&short).is_ok());
        assert!(check(&long).is_err_and(|error| error.offset == LIMIT));
        assert!(
            check(&format!("{} # {}", nested(100), "[".repeat(2 * LIMIT))).is_ok(),
            "a comment nests nothing"
        );
    }

    #[test]
    fn heads_without_brackets_nest_too() {
        for head in ["let a = 1; in ", "with a; ", "assert a; ", "if a then b else ", "a: "] {
            assert!(check(&format!("{{ x = {}1; }}", head.repeat(100_000))).is_err(), "{head}");
        }
        let flat = "a = with b; let c = 1; in assert c; d; ".repeat(100_000);
        assert!(check(&format!("{{ {flat} }}")).is_ok());
    }

    /// How deep the tree can be at most, by the bytes (if they tell it) and by the tokens.
    fn deepest(text: &str) -> (Option<usize>, usize) {
        let (mut skimmed, mut by_bytes) = (Nesting::default(), 0);
        let sure = skim(text, &mut |kind| {
            skimmed.step(kind);
            by_bytes = by_bytes.max(skimmed.depth);
            true
        });
        let (mut exact, mut by_tokens) = (Nesting::default(), 0);
        for (kind, _) in rnix::tokenize(text) {
            exact.step(kind);
            by_tokens = by_tokens.max(exact.depth);
        }
        ((sure == Skimmed::Whole).then_some(by_bytes), by_tokens)
    }

    #[test]
    fn bytes_tell_what_tokens_do_or_more() {
        for (text, by_bytes, by_tokens) in [
            ("{ a = \"b\"; c = ''d''; }", Some(4), 4),
            ("{ a = \"${b + \"}\"}; [ \\\" ${c}\"; }", Some(8), 8),
            ("{ a = ''${b} ''${ ''' $${ ''\\' }''; }", Some(6), 6),
            ("[ a ] # [ [ [\n /* [ [ \" */ [ b ]", Some(2), 2),
            ("[ ./a/b.nix <c/d> ]", Some(9), 3),
            // Each of these is something else to the tokenizer than its bytes say.
            ("[ https://x/*a ]", None, 2),
            ("[ x:''a [ ]", None, 3),
            ("./a'' [ [", None, 3),
            ("{ a = ./in/b; }", None, 4),
            ("{ a = ./${b}in; }", None, 6),
            ("\"[", None, 2),
        ] {
            assert_eq!(deepest(text), (by_bytes, by_tokens), "{text}");
        }
    }

    #[test]
    fn bytes_never_tell_less_than_tokens() {
        const PIECES: [&str; 64] = [
            " ", " ", " ", "\n", "a", "b-c", "x'", "1", "0.5", ".5", "1e-3", "\"", "\"", "''", "''", "'",
            "$", "${", "${", "{", "}", "}", "(", ")", "[", "]", ";", ";", ",", ":", "@", "?", ".", "...",
            "/", "//", "/*", "*/", "*", "#", "<", ">", "~/", "./", "+", "++", "-", "->", "!", "=", "==",
            "&&", "|>", "<|", "\\", "\\\"", "''$", "'''", "let ", " in ", "with ", " or ", "x:y", "\u{e9}",
        ];
        // A linear congruential generator: the same texts each time.
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).expect("31 bits")
        };
        let mut told = 0;
        for _ in 0..60_000 {
            let text: String = (0..=next() % 14).map(|_| PIECES[next() % PIECES.len()]).collect();
            let (by_bytes, by_tokens) = deepest(&text);
            told += usize::from(by_bytes.is_some());
            assert!(
                by_bytes.is_none_or(|by_bytes| by_bytes >= by_tokens),
                "{text:?}: {by_bytes:?} {by_tokens}"
            );
        }
        assert!(told > 10_000, "only {told} were told");
    }
}
