//! A small reader of shell text: simple commands, their words and redirections.
//!
//! It understands what build phases are written in, line by line, and nothing more; whatever it cannot tell apart it marks,
//! so that the caller can refuse to guess.

use std::rc::Rc;

use crate::nix::source::Source;
use crate::nix::value::{Piece, Text, Unknown};

/// Interpolated values are single characters of a private plane while the text is split.
const SOURCE_PLANE: u32 = 0xF_0000;
const UNKNOWN_PLANE: u32 = 0x10_0000;

/// The text of a phase, with its interpolations set aside.
pub(super) struct Script {
    text: String,
    pub sources: Vec<Rc<Source>>,
    pub unknowns: Vec<Rc<Unknown>>,
}

/// One simple command.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub words: Vec<String>,
    /// `name=value` before the command, or alone.
    pub assignments: Vec<String>,
    /// Targets of `>` and `>>`.
    pub outputs: Vec<String>,
    /// Sources of `<`.
    pub inputs: Vec<String>,
    pub heredoc: bool,
    /// It may not run: it stands in a branch or a loop, or after `||`.
    pub conditional: bool,
    /// It is fed by a pipe.
    pub piped: bool,
}

/// What an interpolation stands for.
pub(super) enum Embedded<'a> {
    Source(&'a Rc<Source>, &'a str),
    Unknown(&'a Rc<Unknown>),
}

impl Script {
    /// Sets the interpolations of a string aside.
    pub fn new(text: &Text) -> Self {
        let mut script = Self { text: String::new(), sources: Vec::new(), unknowns: Vec::new() };
        for piece in &text.pieces {
            match piece {
                Piece::Text(text) => {
                    script.text.extend(text.chars().filter(|c| u32::from(*c) < SOURCE_PLANE));
                }
                Piece::Source(source) => {
                    script.push_mark(SOURCE_PLANE, script.sources.len());
                    script.sources.push(Rc::clone(source));
                }
                Piece::Unknown(unknown) => {
                    script.push_mark(UNKNOWN_PLANE, script.unknowns.len());
                    script.unknowns.push(Rc::clone(unknown));
                }
            }
        }
        script
    }

    fn push_mark(&mut self, plane: u32, index: usize) {
        let offset = u32::try_from(index).unwrap_or(u32::MAX).min(0xFFFD);
        self.text.extend(char::from_u32(plane + offset));
    }

    /// The interpolation that a word begins with, and the rest of the word.
    pub fn embedded<'a>(&'a self, word: &'a str) -> Option<Embedded<'a>> {
        let first = word.chars().next()?;
        let code = u32::from(first);
        let rest = &word[first.len_utf8()..];
        if code >= UNKNOWN_PLANE {
            return self.unknowns.get((code - UNKNOWN_PLANE) as usize).map(Embedded::Unknown);
        }
        if code >= SOURCE_PLANE {
            return self
                .sources
                .get((code - SOURCE_PLANE) as usize)
                .map(|source| Embedded::Source(source, rest));
        }
        None
    }

    /// The simple commands, in order.
    pub fn commands(&self) -> Vec<Command> {
        super::lexer::commands(&self.text)
    }
}

/// Whether a word holds an interpolation anywhere.
pub(super) fn has_mark(word: &str) -> bool {
    word.chars().any(|c| u32::from(c) >= SOURCE_PLANE)
}

/// Whether a word holds something that only the shell knows.
pub(super) fn is_dynamic(word: &str) -> bool {
    word.contains('$') || word.contains('`')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str) -> Vec<Vec<String>> {
        let text = Text { pieces: vec![Piece::Text(Rc::from(text))], ..Text::default() };
        Script::new(&text).commands().into_iter().map(|command| command.words).collect()
    }

    #[test]
    fn splits_words_and_commands() {
        assert_eq!(
            commands("cp 'a b' \"c\" && rm x; # no\nls \\\n y"),
            vec![vec!["cp", "a b", "c"], vec!["rm", "x"], vec!["ls", "y"]]
        );
    }

    #[test]
    fn heredocs_are_no_commands() {
        assert_eq!(commands("cat > x <<EOF\nrm y\nEOF\nls"), vec![vec!["cat"], vec!["ls"]]);
    }

    #[test]
    fn branches_are_conditional() {
        let text = Text {
            pieces: vec![Piece::Text(Rc::from("if [ -f x ]; then\n cp a b\nfi\ncp c d\n[ -f y ] && cp e f"))],
            ..Text::default()
        };
        let conditional: Vec<bool> = Script::new(&text).commands().iter().map(|c| c.conditional).collect();
        assert_eq!(conditional, [true, true, false, false, true]);
    }
}
