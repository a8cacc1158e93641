//! From the text of a script to its tree.
//!
//! The interpolations of a Nix string are symbols of their own here, so that no character has to stand for them. What is
//! not understood stops the reading: nothing that follows could be trusted. Nesting is bounded, so that hostile text costs
//! no stack.

mod words;

use std::rc::Rc;

use super::script::{
    AndOr, Assigned, Assignment, Command, Joint, Kind, List, Piece, Pipeline, Redirect, RedirectKind, Word,
};

/// A character of the script, or an interpolation of the Nix string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Char(char),
    Hole(usize),
}

/// The text is not a script that is understood here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    #[error("the script is nested too deeply")]
    TooDeep,
    #[error("the script holds shell syntax that is not understood")]
    Syntax,
}

type Parsed<T> = Result<T, ParseError>;

/// Commands and substitutions nested deeper than this are not followed; real phases stay below ten. Each level costs about
/// six frames of this parser and of the runner behind it.
const DEEPEST: usize = 48;

/// Reads a script.
pub(super) fn parse(symbols: &[Symbol]) -> Parsed<List> {
    Parser { symbols, at: 0, documents: Vec::new(), depth: 0 }.whole()
}

/// What stands between words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Newline,
    Semicolon,
    Background,
    And,
    Or,
    Pipe,
    Open,
    Close,
    /// `;;` and its relatives.
    EndOfArm,
    End,
}

struct Document {
    delimiter: String,
    quoted: bool,
    strip_tabs: bool,
}

struct Parser<'a> {
    symbols: &'a [Symbol],
    at: usize,
    /// Here-documents whose text begins behind the line.
    documents: Vec<Document>,
    depth: usize,
}

/// Indices and classes of characters are looked through up to here, so that text of nothing but brackets stays cheap.
const LONGEST_INDEX: usize = 256;

const RESERVED: [&str; 12] =
    ["then", "fi", "else", "elif", "do", "done", "esac", "}", "in", "coproc", "select", "]]"];

impl Parser<'_> {
    fn whole(mut self) -> Parsed<List> {
        let list = self.list()?;
        self.blanks();
        if self.peek(0).is_some() { Err(ParseError::Syntax) } else { Ok(list) }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEEPEST {
            return Err(ParseError::TooDeep);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn peek(&self, ahead: usize) -> Option<Symbol> {
        self.symbols.get(self.at + ahead).copied()
    }

    fn char(&self, ahead: usize) -> Option<char> {
        match self.peek(ahead) {
            Some(Symbol::Char(c)) => Some(c),
            _ => None,
        }
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.char(i) == Some(c))
    }

    /// Blanks, comments and continued lines.
    fn blanks(&mut self) {
        loop {
            match self.char(0) {
                Some(' ' | '\t') => self.at += 1,
                Some('\\') if self.char(1) == Some('\n') => self.at += 2,
                Some('#') => {
                    while self.peek(0).is_some() && self.char(0) != Some('\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// The mark that comes next, and its length; `None` before a word.
    fn mark(&mut self) -> Option<(Mark, usize)> {
        self.blanks();
        let Some(symbol) = self.peek(0) else { return Some((Mark::End, 0)) };
        let Symbol::Char(first) = symbol else { return None };
        Some(match (first, self.char(1)) {
            ('\n', _) => (Mark::Newline, 1),
            (';', Some(';' | '&')) => (Mark::EndOfArm, 2),
            (';', _) => (Mark::Semicolon, 1),
            ('&', Some('&')) => (Mark::And, 2),
            ('&', Some('>')) => return None,
            ('&', _) => (Mark::Background, 1),
            ('|', Some('|')) => (Mark::Or, 2),
            ('|', Some('&')) => (Mark::Pipe, 2),
            ('|', _) => (Mark::Pipe, 1),
            ('(', _) => (Mark::Open, 1),
            (')', _) => (Mark::Close, 1),
            _ => return None,
        })
    }

    fn take(&mut self, wanted: Mark) -> Parsed<bool> {
        match self.mark() {
            Some((mark, length)) if mark == wanted => {
                self.at += length;
                if mark == Mark::Newline {
                    self.documents()?;
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn newlines(&mut self) -> Parsed<()> {
        while self.take(Mark::Newline)? {}
        Ok(())
    }

    /// Commands up to a closing word or bracket, which stays.
    fn list(&mut self) -> Parsed<List> {
        let mut list = List::default();
        loop {
            self.newlines()?;
            if matches!(self.mark(), Some((Mark::Close | Mark::EndOfArm | Mark::End, _)))
                || self.at_reserved()
            {
                return Ok(list);
            }
            let mut item = self.and_or()?;
            match self.mark() {
                Some((Mark::Background, length)) => {
                    self.at += length;
                    item.background = true;
                }
                Some((Mark::Semicolon, length)) => self.at += length,
                Some((Mark::Newline | Mark::Close | Mark::EndOfArm | Mark::End, _)) => {}
                _ => return Err(ParseError::Syntax),
            }
            list.0.push(item);
        }
    }

    /// Whether a reserved word comes next that ends a list.
    fn at_reserved(&mut self) -> bool {
        self.upcoming().is_some_and(|word| RESERVED.contains(&word.as_str()))
    }

    /// The unquoted word that comes next, which stays.
    fn upcoming(&mut self) -> Option<String> {
        if self.mark().is_some() {
            return None;
        }
        let mut ahead = 0;
        let mut word = String::new();
        while let Some(c) = self.char(ahead) {
            if " \t\n;&|()<>".contains(c) {
                return Some(word);
            }
            // No reserved word is longer; what follows costs no second look.
            if word.len() > 16 {
                return None;
            }
            word.push(c);
            ahead += 1;
        }
        if self.peek(ahead).is_some() { None } else { Some(word) }
    }

    fn keyword(&mut self, word: &str) -> bool {
        if self.upcoming().as_deref() == Some(word) {
            self.at += word.len();
            return true;
        }
        false
    }

    fn expect(&mut self, word: &str) -> Parsed<()> {
        self.newlines()?;
        if self.keyword(word) { Ok(()) } else { Err(ParseError::Syntax) }
    }

    fn and_or(&mut self) -> Parsed<AndOr> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let joint = match self.mark() {
                Some((Mark::And, _)) => Joint::And,
                Some((Mark::Or, _)) => Joint::Or,
                _ => return Ok(AndOr { first, rest, background: false }),
            };
            self.at += 2;
            self.newlines()?;
            rest.push((joint, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        let mut negated = false;
        while self.keyword("!") {
            negated = !negated;
        }
        let mut commands = vec![self.deeper(Self::command)?];
        while self.take(Mark::Pipe)? {
            self.newlines()?;
            commands.push(self.deeper(Self::command)?);
        }
        Ok(Pipeline { negated, commands })
    }

    fn command(&mut self) -> Parsed<Command> {
        let word = self.upcoming();
        if let Some(kind) = word.as_deref().map(|word| self.compound(word)).transpose()?.flatten() {
            return self.redirected(kind);
        }
        if matches!(self.mark(), Some((Mark::Open, _))) {
            if self.looking_at("((") {
                self.brackets(2)?;
                return self.redirected(Kind::Arithmetic);
            }
            self.at += 1;
            let list = self.list()?;
            if !self.take(Mark::Close)? {
                return Err(ParseError::Syntax);
            }
            return self.redirected(Kind::Subshell(list));
        }
        self.simple()
    }

    /// A compound command, if the word begins one.
    fn compound(&mut self, word: &str) -> Parsed<Option<Kind>> {
        if RESERVED.contains(&word) {
            return Err(ParseError::Syntax);
        }
        if !matches!(word, "{" | "if" | "while" | "until" | "for" | "case" | "function" | "[[" | "time") {
            return Ok(None);
        }
        self.at += word.len();
        let kind = match word {
            "{" => {
                let list = self.list()?;
                self.expect("}")?;
                Kind::Group(list)
            }
            "if" => self.branches()?,
            "while" | "until" => {
                let condition = self.list()?;
                Kind::While { condition, body: self.body()? }
            }
            "for" => self.for_loop()?,
            "case" => self.case()?,
            "function" => {
                let name = self.word()?.ok_or(ParseError::Syntax)?.literal().ok_or(ParseError::Syntax)?;
                if self.take(Mark::Open)? && !self.take(Mark::Close)? {
                    return Err(ParseError::Syntax);
                }
                self.function(name)?
            }
            "[[" => {
                let words = self.condition()?;
                Kind::Condition(words)
            }
            _ => {
                let pipeline = self.deeper(Self::pipeline)?;
                Kind::Group(List(vec![AndOr { first: pipeline, rest: Vec::new(), background: false }]))
            }
        };
        Ok(Some(kind))
    }

    fn branches(&mut self) -> Parsed<Kind> {
        let mut branches = Vec::new();
        loop {
            let condition = self.list()?;
            self.expect("then")?;
            branches.push((condition, self.list()?));
            if self.keyword("elif") {
                continue;
            }
            let otherwise = if self.keyword("else") { Some(self.list()?) } else { None };
            self.expect("fi")?;
            return Ok(Kind::If { branches, otherwise });
        }
    }

    /// `do ... done`
    fn body(&mut self) -> Parsed<List> {
        self.expect("do")?;
        let body = self.list()?;
        self.expect("done")?;
        Ok(body)
    }

    fn for_loop(&mut self) -> Parsed<Kind> {
        self.blanks();
        if self.looking_at("((") {
            // `for ((i = 0; ...))` counts: a loop whose number of rounds is not known.
            self.brackets(2)?;
            self.take(Mark::Semicolon)?;
            return Ok(Kind::While { condition: List::default(), body: self.body()? });
        }
        let name = self.word()?.and_then(|word| word.bare().map(str::to_owned)).ok_or(ParseError::Syntax)?;
        self.newlines()?;
        let words = if self.keyword("in") { Some(self.words()?) } else { None };
        self.take(Mark::Semicolon)?;
        Ok(Kind::For { name, words, body: self.body()? })
    }

    fn case(&mut self) -> Parsed<Kind> {
        let subject = self.word()?.ok_or(ParseError::Syntax)?;
        self.expect("in")?;
        let mut arms = Vec::new();
        loop {
            self.newlines()?;
            if self.keyword("esac") {
                return Ok(Kind::Case { subject, arms });
            }
            self.take(Mark::Open)?;
            while self.word()?.is_some() {
                self.take(Mark::Pipe)?;
            }
            if !self.take(Mark::Close)? {
                return Err(ParseError::Syntax);
            }
            arms.push(self.list()?);
            if matches!(self.mark(), Some((Mark::EndOfArm, _))) {
                self.at += if self.looking_at(";;&") { 3 } else { 2 };
            }
        }
    }

    fn function(&mut self, name: String) -> Parsed<Kind> {
        self.newlines()?;
        let body = self.deeper(Self::command)?;
        match body.kind {
            Kind::Simple { .. } => Err(ParseError::Syntax),
            _ => Ok(Kind::Function { name, body: Rc::new(body) }),
        }
    }

    /// The words of `[[ ... ]]`, in which `<`, `&&` and brackets are operators.
    fn condition(&mut self) -> Parsed<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            self.newlines()?;
            if self.keyword("]]") {
                return Ok(words);
            }
            match self.mark() {
                Some((Mark::End, _)) => return Err(ParseError::Syntax),
                Some((_, length)) => {
                    let text: String = (0..length).filter_map(|i| self.char(i)).collect();
                    self.at += length;
                    words.push(Word::plain(&text));
                }
                None if matches!(self.char(0), Some('<' | '>')) => {
                    self.at += 1;
                    words.push(Word::plain("<"));
                }
                None => words.extend(self.word()?),
            }
        }
    }

    fn redirected(&mut self, kind: Kind) -> Parsed<Command> {
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(Command { kind, redirects })
    }

    /// Words up to the end of the command.
    fn words(&mut self) -> Parsed<Vec<Word>> {
        let mut words = Vec::new();
        while self.mark().is_none() {
            let word = self.word()?.ok_or(ParseError::Syntax)?;
            words.extend(words::braces(word));
        }
        Ok(words)
    }

    fn simple(&mut self) -> Parsed<Command> {
        let (mut assignments, mut words, mut redirects) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            match self.mark() {
                None => {}
                Some((Mark::Open, _)) => return self.definition(&assignments, &words, &redirects),
                Some(_) => break,
            }
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            let declares = || words.first().and_then(Word::bare).is_some_and(is_declaration);
            if (words.is_empty() || declares())
                && let Some(assignment) = self.assignment()?
            {
                if words.is_empty() {
                    assignments.push(assignment);
                } else {
                    words.push(Word::plain(&assignment.name));
                    assignments.push(assignment);
                }
                continue;
            }
            let word = self.word()?.ok_or(ParseError::Syntax)?;
            words.extend(words::braces(word));
        }
        if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
            return Err(ParseError::Syntax);
        }
        Ok(Command { kind: Kind::Simple { assignments, words }, redirects })
    }

    /// `name () { ... }`
    fn definition(
        &mut self,
        assignments: &[Assignment],
        words: &[Word],
        redirects: &[Redirect],
    ) -> Parsed<Command> {
        let [name] = words else { return Err(ParseError::Syntax) };
        let name = name
            .bare()
            .filter(|_| assignments.is_empty() && redirects.is_empty())
            .ok_or(ParseError::Syntax)?;
        self.take(Mark::Open)?;
        if !self.take(Mark::Close)? {
            return Err(ParseError::Syntax);
        }
        let kind = self.function(name.to_owned())?;
        Ok(Command { kind, redirects: Vec::new() })
    }

    /// `name=value`
    fn assignment(&mut self) -> Parsed<Option<Assignment>> {
        let mut length = 0;
        while self.char(length).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            length += 1;
        }
        if length == 0 || self.char(0).is_some_and(|c| c.is_ascii_digit()) {
            return Ok(None);
        }
        let name: String = (0..length).filter_map(|i| self.char(i)).collect();
        let other = match (self.char(length), self.char(length + 1)) {
            (Some('='), Some('(')) => 1,
            (Some('='), _) => {
                self.at += length + 1;
                let word = self.word()?.unwrap_or_default();
                return Ok(Some(Assignment { name, value: Assigned::Word(word) }));
            }
            (Some('+'), Some('=')) => 2,
            (Some('['), _) => match self.symbols[self.at..]
                .iter()
                .take(LONGEST_INDEX)
                .position(|symbol| *symbol == Symbol::Char(']'))
            {
                Some(end) if self.symbols.get(self.at + end + 1) == Some(&Symbol::Char('=')) => {
                    end + 2 - length
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.at += length + other;
        let mut values = Vec::new();
        if self.char(0) == Some('(') {
            self.at += 1;
            loop {
                self.newlines()?;
                if self.take(Mark::Close)? {
                    break;
                }
                values.push(self.word()?.ok_or(ParseError::Syntax)?);
            }
        } else {
            values.extend(self.word()?);
        }
        Ok(Some(Assignment { name, value: Assigned::Other(values) }))
    }

    /// A redirection, if one comes next.
    fn redirect(&mut self) -> Parsed<Option<Redirect>> {
        self.blanks();
        let mut digits = 0;
        while self.char(digits).is_some_and(|c| c.is_ascii_digit()) {
            digits += 1;
        }
        let both = digits == 0 && self.looking_at("&>");
        let start = if both { 1 } else { digits };
        let usual = !both && (digits == 0 || (digits == 1 && self.char(0) == Some('1')));
        let rest: String = (start..start + 3).map_while(|i| self.char(i)).collect();
        let (length, kind) = match rest.as_str() {
            "<<<" => (3, RedirectKind::Document),
            rest if rest.starts_with("<<") => return self.document(start + 2).map(Some),
            rest if rest.starts_with("<>") => (2, RedirectKind::Change),
            rest if rest.starts_with("<&") || rest.starts_with(">&") => (2, RedirectKind::Duplicate),
            // `<( ... )` is a word.
            rest if rest.starts_with("<(") || rest.starts_with(">(") => return Ok(None),
            rest if rest.starts_with('<') => (1, RedirectKind::Input),
            rest if rest.starts_with(">>") => (2, RedirectKind::Change),
            rest if rest.starts_with(">|") => {
                (2, if usual { RedirectKind::Output } else { RedirectKind::Change })
            }
            rest if rest.starts_with('>') => {
                (1, if usual { RedirectKind::Output } else { RedirectKind::Change })
            }
            _ => return Ok(None),
        };
        self.at += start + length;
        self.blanks();
        let target = self.word()?.ok_or(ParseError::Syntax)?;
        // `>& file` writes both outputs to it.
        let number =
            target.literal().is_some_and(|text| text.chars().all(|c| c.is_ascii_digit() || c == '-'));
        let kind = if kind == RedirectKind::Duplicate && !number { RedirectKind::Change } else { kind };
        Ok(Some(Redirect { kind, target }))
    }

    /// `<<WORD`: its text follows behind the line.
    fn document(&mut self, length: usize) -> Parsed<Redirect> {
        self.at += length;
        let strip_tabs = self.char(0) == Some('-');
        self.at += usize::from(strip_tabs);
        self.blanks();
        let word = self.word()?.ok_or(ParseError::Syntax)?;
        let quoted = word.0.iter().any(|part| part.quoted);
        let delimiter = word.literal().ok_or(ParseError::Syntax)?;
        self.documents.push(Document { delimiter, quoted, strip_tabs });
        Ok(Redirect { kind: RedirectKind::Document, target: Word::default() })
    }

    /// Passes over the documents that the last line announced.
    fn documents(&mut self) -> Parsed<()> {
        for document in std::mem::take(&mut self.documents) {
            let start = self.at;
            let mut end = start;
            while self.at < self.symbols.len() {
                end = self.at;
                while self.peek(0).is_some() && self.char(0) != Some('\n') {
                    self.at += 1;
                }
                let line = &self.symbols[end..self.at];
                self.at = (self.at + 1).min(self.symbols.len());
                if document.ends_with(line) {
                    break;
                }
                end = self.at;
            }
            // A document that is not quoted runs the commands in it.
            let runs = |pair: &[Symbol]| {
                matches!(pair, [Symbol::Char('$'), Symbol::Char('(')] | [Symbol::Char('`'), _])
            };
            if !document.quoted && self.symbols[start..end].windows(2).any(runs) {
                return Err(ParseError::Syntax);
            }
        }
        Ok(())
    }
}

impl Document {
    fn ends_with(&self, line: &[Symbol]) -> bool {
        let tabs =
            if self.strip_tabs { line.iter().take_while(|s| **s == Symbol::Char('\t')).count() } else { 0 };
        let line = &line[tabs..];
        line.len() == self.delimiter.chars().count()
            && line.iter().zip(self.delimiter.chars()).all(|(symbol, c)| *symbol == Symbol::Char(c))
    }
}

/// Builtins whose arguments are assignments.
fn is_declaration(word: &str) -> bool {
    matches!(word, "export" | "declare" | "local" | "readonly" | "typeset")
}

impl Word {
    fn plain(text: &str) -> Self {
        Self(vec![super::script::Part { what: Piece::Text(text.to_owned()), quoted: false }])
    }
}

#[cfg(test)]
mod tests;
