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
        let mut reader = Reader {
            chars: self.text.chars().collect(),
            at: 0,
            commands: Vec::new(),
            nesting: 0,
            heredocs: Vec::new(),
        };
        reader.run();
        reader.commands
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

struct Reader {
    chars: Vec<char>,
    at: usize,
    commands: Vec<Command>,
    nesting: usize,
    heredocs: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Item {
    Word(String),
    Output(String),
    Input(String),
    Heredoc,
    Newline,
    Semicolon,
    And,
    Or,
    Pipe,
    End,
}

impl Reader {
    fn run(&mut self) {
        let mut command = Command::default();
        let mut after_or = false;
        let mut after_and = false;
        let mut piped = false;
        loop {
            let item = self.item();
            match item {
                Item::Word(word) => command.words.push(word),
                Item::Output(target) => command.outputs.push(target),
                Item::Input(source) => command.inputs.push(source),
                Item::Heredoc => command.heredoc = true,
                Item::Newline | Item::Semicolon | Item::And | Item::Or | Item::Pipe | Item::End => {
                    let tested = is_test(&command);
                    let was_conditional = after_or || after_and;
                    self.finish(std::mem::take(&mut command), was_conditional, piped);
                    after_or = item == Item::Or;
                    after_and = item == Item::And && (tested || was_conditional);
                    piped = item == Item::Pipe;
                    if item == Item::End {
                        return;
                    }
                }
            }
        }
    }

    fn finish(&mut self, mut command: Command, conditional: bool, piped: bool) {
        while let Some(word) = command.words.first() {
            match word.as_str() {
                "if" | "while" | "until" | "for" | "case" => self.nesting += 1,
                "fi" | "done" | "esac" => self.nesting = self.nesting.saturating_sub(1),
                "then" | "do" | "else" | "elif" | "{" | "}" | "(" | ")" | "!" | "time" => {}
                _ => break,
            }
            let keyword = command.words.remove(0);
            if keyword == "for" || keyword == "case" {
                command.words.insert(0, if keyword == "for" { keyword } else { ":".to_owned() });
                break;
            }
        }
        while command.words.first().is_some_and(|word| is_assignment(word)) {
            command.assignments.push(command.words.remove(0));
        }
        if command.words.is_empty()
            && command.assignments.is_empty()
            && command.outputs.is_empty()
            && !command.heredoc
        {
            return;
        }
        command.conditional = conditional || self.nesting > 0;
        command.piped = piped;
        self.commands.push(command);
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn item(&mut self) -> Item {
        loop {
            let Some(c) = self.peek(0) else { return Item::End };
            match c {
                ' ' | '\t' | '\r' => self.at += 1,
                '\\' if self.peek(1) == Some('\n') => self.at += 2,
                '#' => self.skip_line(),
                '\n' => {
                    self.at += 1;
                    self.skip_heredocs();
                    return Item::Newline;
                }
                ';' => {
                    self.at += if self.peek(1) == Some(';') { 2 } else { 1 };
                    return Item::Semicolon;
                }
                '&' | '0'..='9' if self.peek(1) == Some('>') => return self.redirect_out(2),
                '&' if self.peek(1) == Some('&') => return self.eat(2, Item::And),
                '&' => return self.eat(1, Item::Semicolon),
                '|' if self.peek(1) == Some('|') => return self.eat(2, Item::Or),
                '|' => return self.eat(1, Item::Pipe),
                '(' | ')' => return self.eat(1, Item::Word(c.to_string())),
                '>' => return self.redirect_out(1),
                '<' => return self.redirect_in(),
                _ => return Item::Word(self.word()),
            }
        }
    }

    fn eat(&mut self, count: usize, item: Item) -> Item {
        self.at += count;
        item
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(0), Some(' ' | '\t')) {
            self.at += 1;
        }
    }

    fn redirect_out(&mut self, skip: usize) -> Item {
        self.at += skip;
        while matches!(self.peek(0), Some('>' | '|')) {
            self.at += 1;
        }
        if self.peek(0) == Some('&') {
            self.at += 1;
            let _ = self.word();
            return Item::Output("/dev/null".to_owned());
        }
        self.skip_blanks();
        Item::Output(self.word())
    }

    fn redirect_in(&mut self) -> Item {
        self.at += 1;
        if self.peek(0) == Some('<') {
            self.at += 1;
            if self.peek(0) == Some('<') {
                self.at += 1;
                self.skip_blanks();
                return Item::Input(self.word());
            }
            if self.peek(0) == Some('-') {
                self.at += 1;
            }
            self.skip_blanks();
            let delimiter = self.word();
            self.heredocs.push(delimiter);
            return Item::Heredoc;
        }
        if self.peek(0) == Some('(') {
            return Item::Word(self.word());
        }
        self.skip_blanks();
        Item::Input(self.word())
    }

    /// The lines of the documents that the last line announced.
    fn skip_heredocs(&mut self) {
        for delimiter in std::mem::take(&mut self.heredocs) {
            while self.at < self.chars.len() {
                let start = self.at;
                self.skip_line();
                let line: String = self.chars[start..self.at].iter().collect();
                self.at = (self.at + 1).min(self.chars.len());
                if line.trim() == delimiter {
                    break;
                }
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek(0) {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '|' | '&' | '<' | '>' | ')' => break,
                '(' if word.is_empty() => break,
                '\'' => self.single_quoted(&mut word),
                '"' => self.double_quoted(&mut word),
                '\\' => {
                    self.at += 1;
                    match self.peek(0) {
                        Some(c) if c != '\n' => word.push(c),
                        _ => {}
                    }
                    self.at += 1;
                }
                '$' if matches!(self.peek(1), Some('(' | '{')) => self.expansion(&mut word),
                '`' => self.backquoted(&mut word),
                _ => {
                    word.push(c);
                    self.at += 1;
                }
            }
        }
        if word.is_empty() && self.peek(0).is_some_and(|c| c == '(') {
            self.at += 1;
            word.push('(');
        }
        word
    }

    fn single_quoted(&mut self, word: &mut String) {
        self.at += 1;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == '\'' {
                return;
            }
            // A dollar in single quotes is only a dollar.
            word.push(if c == '$' { '\u{1}' } else { c });
        }
    }

    fn double_quoted(&mut self, word: &mut String) {
        self.at += 1;
        while let Some(c) = self.peek(0) {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' if matches!(self.peek(1), Some('"' | '\\' | '$' | '`' | '\n')) => {
                    word.extend(self.peek(1).map(|c| if c == '$' { '\u{1}' } else { c }));
                    self.at += 2;
                }
                '$' if matches!(self.peek(1), Some('(' | '{')) => self.expansion(word),
                _ => {
                    word.push(c);
                    self.at += 1;
                }
            }
        }
    }

    /// `$( ... )` and `${ ... }`, kept as they are.
    fn expansion(&mut self, word: &mut String) {
        let mut depth = 0usize;
        while let Some(c) = self.peek(0) {
            word.push(c);
            self.at += 1;
            match c {
                '(' | '{' => depth += 1,
                ')' | '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn backquoted(&mut self, word: &mut String) {
        word.push('`');
        self.at += 1;
        while let Some(c) = self.peek(0) {
            word.push(c);
            self.at += 1;
            if c == '`' {
                return;
            }
        }
    }
}

fn is_test(command: &Command) -> bool {
    !matches!(
        command.words.first().map(String::as_str),
        Some(
            "cp" | "ln"
                | "mv"
                | "rm"
                | "mkdir"
                | "chmod"
                | "cd"
                | "install"
                | "touch"
                | "echo"
                | "cat"
                | "sed"
                | "jq"
                | "pushd"
                | "popd"
                | "substituteInPlace"
        ) | None
    )
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '+')
        && !name.starts_with(|c: char| c.is_ascii_digit())
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
