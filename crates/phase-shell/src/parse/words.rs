//! Words: quotes, expansions, patterns.

use std::rc::Rc;

use super::{LONGEST_INDEX, Mark, ParseError, Parsed, Parser, Symbol};
use crate::script::{Class, Part, Piece, Word};

/// More words than this are not made of one by its braces.
const MOST_WORDS: usize = 64;

impl Parser<'_> {
    /// The next word; `None` before a mark.
    pub(super) fn word(&mut self) -> Parsed<Option<Word>> {
        let mut word = Word::default();
        let mut any = false;
        self.blanks();
        while let Some(symbol) = self.peek(0) {
            let Symbol::Char(c) = symbol else {
                if let Symbol::Hole(hole) = symbol {
                    word.push(Piece::Hole(hole), false);
                }
                self.at += 1;
                any = true;
                continue;
            };
            match c {
                '<' | '>' if self.char(1) == Some('(') && !any => {
                    self.at += 1;
                    self.substitution(&mut word, false)?;
                }
                // A carriage return is none: bash takes it for a part of the word, and Nix leaves it in a `''` text.
                ' ' | '\t' | '\n' | ';' | '|' | '&' | '<' | '>' | ')' | '(' => break,
                '\'' => self.single_quoted(&mut word)?,
                '"' => self.double_quoted(&mut word)?,
                '\\' => match self.char(1) {
                    Some('\n') => self.at += 2,
                    Some(next) => {
                        word.push_char(next, true);
                        self.at += 2;
                    }
                    None => return Err(ParseError::Syntax),
                },
                '$' => self.dollar(&mut word, false)?,
                '`' => self.backquoted(&mut word, false)?,
                '*' => self.pattern(&mut word, Piece::Star),
                '?' => self.pattern(&mut word, Piece::AnyOne),
                '[' => self.class(&mut word),
                '{' | '}' | ',' => self.pattern(&mut word, Piece::Brace(c)),
                // Only in front of a word: `a~` is a name.
                '~' if !any => self.pattern(&mut word, Piece::Home),
                _ => {
                    word.push_char(c, false);
                    self.at += 1;
                }
            }
            any = true;
        }
        word.settle();
        Ok(any.then_some(word))
    }

    fn pattern(&mut self, word: &mut Word, what: Piece) {
        word.push(what, false);
        self.at += 1;
    }

    /// `[...]`, as long as it is closed in the same word: one of some characters (fixture `phase-copies-by-class`).
    fn class(&mut self, word: &mut Word) {
        let mut odd = false;
        for ahead in 1.. {
            match self.char(ahead) {
                // In the first place, also behind a `!`, it is one of the characters.
                Some(']') if ahead > 2 || ahead == 2 && !matches!(self.char(1), Some('!' | '^')) => {
                    let inner: Option<String> = (1..ahead).map(|at| self.char(at)).collect();
                    let class = inner.filter(|_| !odd).and_then(|inner| Class::parse(&inner));
                    // What is odd in it is read as it would be elsewhere; only the bracket is taken.
                    self.at += if class.is_some() { ahead + 1 } else { 1 };
                    word.push(class.map_or(Piece::OddClass, Piece::OneOf), false);
                    return;
                }
                Some(' ' | '\t' | '\n' | ';' | '|' | '&' | '/' | '(' | ')' | '<' | '>') => break,
                Some('$' | '"' | '\'' | '`' | '\\') => odd = true,
                // Farther ahead nothing is looked for: of a long text of brackets each would look to its end.
                Some(_) if ahead >= LONGEST_INDEX => {
                    self.at += 1;
                    return word.push(Piece::OddClass, false);
                }
                Some(_) => {}
                // An interpolation may hold anything; behind the end there is nothing.
                None if self.peek(ahead).is_some() => odd = true,
                None => break,
            }
        }
        word.push_char('[', false);
        self.at += 1;
    }

    fn single_quoted(&mut self, word: &mut Word) -> Parsed<()> {
        self.at += 1;
        word.push(Piece::Text(String::new()), true);
        while let Some(symbol) = self.peek(0) {
            self.at += 1;
            match symbol {
                Symbol::Char('\'') => return Ok(()),
                Symbol::Char(c) => word.push_char(c, true),
                Symbol::Hole(hole) => word.push(Piece::Hole(hole), true),
            }
        }
        Err(ParseError::Syntax)
    }

    fn double_quoted(&mut self, word: &mut Word) -> Parsed<()> {
        self.at += 1;
        word.push(Piece::Text(String::new()), true);
        while let Some(symbol) = self.peek(0) {
            match symbol {
                Symbol::Hole(hole) => {
                    word.push(Piece::Hole(hole), true);
                    self.at += 1;
                }
                Symbol::Char('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Symbol::Char('\\') => match self.char(1) {
                    Some('\n') => self.at += 2,
                    Some(c @ ('"' | '\\' | '$' | '`')) => {
                        word.push_char(c, true);
                        self.at += 2;
                    }
                    _ => {
                        word.push_char('\\', true);
                        self.at += 1;
                    }
                },
                // Inside of double quotes `$'` and `$"` begin no other ones.
                Symbol::Char('$') if self.char(1) != Some('"') && self.char(1) != Some('\'') => {
                    self.dollar(word, true)?;
                }
                Symbol::Char('`') => self.backquoted(word, true)?,
                Symbol::Char(c) => {
                    word.push_char(c, true);
                    self.at += 1;
                }
            }
        }
        Err(ParseError::Syntax)
    }

    /// What a dollar begins.
    fn dollar(&mut self, word: &mut Word, quoted: bool) -> Parsed<()> {
        match self.char(1) {
            Some('(') if self.char(2) == Some('(') => {
                self.brackets(2)?;
                word.push(Piece::Opaque, quoted);
            }
            Some('(') => {
                self.at += 1;
                self.substitution(word, quoted)?;
            }
            Some('{') => self.braced(word, quoted)?,
            Some('\'') => {
                self.at += 1;
                self.ansi_quoted(word)?;
            }
            Some('"') => {
                self.at += 1;
                self.double_quoted(word)?;
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                self.at += 1;
                let name = self.name();
                word.push(Piece::Variable(name), quoted);
            }
            Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => {
                self.at += 2;
                word.push(Piece::Variable(c.to_string()), quoted);
            }
            _ => {
                self.at += 1;
                word.push_char('$', true);
            }
        }
        Ok(())
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.char(0).filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
            self.at += 1;
        }
        name
    }

    /// `${name}`, or an expansion that is not followed.
    fn braced(&mut self, word: &mut Word, quoted: bool) -> Parsed<()> {
        self.at += 2;
        let name = self.name();
        if self.char(0) == Some('}') && !name.is_empty() {
            self.at += 1;
            word.push(Piece::Variable(name), quoted);
            return Ok(());
        }
        let mut depth = 1usize;
        // `"${list[@]}"` is several words in quotes, too.
        let mut several = false;
        while let Some(symbol) = self.peek(0) {
            self.at += 1;
            match symbol {
                Symbol::Char('{') => depth += 1,
                Symbol::Char('}') => depth -= 1,
                Symbol::Char('@') => several = true,
                Symbol::Char('\\') => self.at += 1,
                // It may run a command, or assign.
                Symbol::Char('`' | '=') => return Err(ParseError::Syntax),
                Symbol::Char('(') if self.symbols[..self.at - 1].last() == Some(&Symbol::Char('$')) => {
                    return Err(ParseError::Syntax);
                }
                _ => {}
            }
            if depth == 0 {
                word.push(Piece::Opaque, quoted && !several);
                return Ok(());
            }
        }
        Err(ParseError::Syntax)
    }

    /// `$'...'`; what follows an escape that is not followed is as little known as the escape.
    fn ansi_quoted(&mut self, word: &mut Word) -> Parsed<()> {
        self.at += 1;
        word.push(Piece::Text(String::new()), true);
        while let Some(symbol) = self.peek(0) {
            self.at += 1;
            match symbol {
                Symbol::Char('\'') => return Ok(()),
                Symbol::Char('\\') => {
                    let Some(text) = self.escape() else {
                        word.push(Piece::Opaque, true);
                        return self.rest_of_ansi_quoted();
                    };
                    text.chars().for_each(|c| word.push_char(c, true));
                }
                Symbol::Char(c) => word.push_char(c, true),
                Symbol::Hole(hole) => word.push(Piece::Hole(hole), true),
            }
        }
        Err(ParseError::Syntax)
    }

    /// Passes over what is left of `$'...'`.
    fn rest_of_ansi_quoted(&mut self) -> Parsed<()> {
        while let Some(symbol) = self.peek(0) {
            self.at += 1;
            match symbol {
                Symbol::Char('\'') => return Ok(()),
                Symbol::Char('\\') => self.at += 1,
                _ => {}
            }
        }
        Err(ParseError::Syntax)
    }

    /// What bash makes of a backslash in `$'...'`. Bytes above ASCII depend on the locale, and a zero ends the text: neither is
    /// followed (fixture `phase-ansi-quotes`).
    fn escape(&mut self) -> Option<String> {
        let c = self.char(0)?;
        self.at += 1;
        let code = match c {
            'a' => 7,
            'b' => 8,
            't' => 9,
            'n' => 10,
            'v' => 11,
            'f' => 12,
            'r' => 13,
            'e' | 'E' => 27,
            '\\' | '\'' | '"' | '?' => u32::from(c),
            '0'..='7' => {
                self.at -= 1;
                self.digits(8, 3)?
            }
            'x' => self.digits(16, 2)?,
            'u' => self.digits(16, 4)?,
            'U' => self.digits(16, 8)?,
            'c' => return None,
            _ => return Some(format!("\\{c}")),
        };
        let plain = char::from_u32(code).filter(|c| c.is_ascii() && *c != '\0')?;
        Some(plain.to_string())
    }

    /// The number that the next digits make; `None` where there are none, or where an interpolation may go on with them.
    fn digits(&mut self, radix: u32, most: usize) -> Option<u32> {
        let digits: Vec<u32> = (0..most).map_while(|ahead| self.char(ahead)?.to_digit(radix)).collect();
        self.at += digits.len();
        let is_open = digits.len() < most && matches!(self.peek(0), Some(Symbol::Hole(_)));
        let number =
            digits.iter().try_fold(0u32, |number, digit| number.checked_mul(radix)?.checked_add(*digit));
        number.filter(|_| !digits.is_empty() && !is_open)
    }

    /// `( ... )` behind a dollar, or behind `<` and `>`.
    fn substitution(&mut self, word: &mut Word, quoted: bool) -> Parsed<()> {
        self.at += 1;
        let list = self.deeper(Self::list)?;
        if !self.take(Mark::Close)? {
            return Err(ParseError::Syntax);
        }
        word.push(Piece::Output(Rc::new(list)), quoted);
        Ok(())
    }

    /// Backquotes without backslashes in them; what a backslash means there depends on the quotes around.
    fn backquoted(&mut self, word: &mut Word, quoted: bool) -> Parsed<()> {
        self.at += 1;
        let start = self.at;
        while let Some(symbol) = self.peek(0) {
            match symbol {
                Symbol::Char('`') => {
                    let inner = &self.symbols[start..self.at];
                    self.at += 1;
                    let mut parser =
                        Parser { symbols: inner, at: 0, documents: Vec::new(), depth: self.depth };
                    let list = parser.deeper(Parser::list)?;
                    parser.blanks();
                    if parser.peek(0).is_some() {
                        return Err(ParseError::Syntax);
                    }
                    word.push(Piece::Output(Rc::new(list)), quoted);
                    return Ok(());
                }
                Symbol::Char('\\') => return Err(ParseError::Syntax),
                _ => self.at += 1,
            }
        }
        Err(ParseError::Syntax)
    }

    /// Passes over brackets that open at once, `count` of them.
    pub(super) fn brackets(&mut self, count: usize) -> Parsed<()> {
        let mut depth = 0usize;
        while let Some(symbol) = self.peek(0) {
            self.at += 1;
            match symbol {
                Symbol::Char('(') => depth += 1,
                Symbol::Char(')') => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                // It may run a command.
                Symbol::Char('`') => return Err(ParseError::Syntax),
                Symbol::Char('$') if depth >= count && self.char(0) == Some('(') => {
                    return Err(ParseError::Syntax);
                }
                _ => {}
            }
        }
        Err(ParseError::Syntax)
    }
}

impl Word {
    pub(super) fn push(&mut self, what: Piece, quoted: bool) {
        self.0.push(Part { what, quoted });
    }

    fn push_char(&mut self, c: char, quoted: bool) {
        match self.0.last_mut() {
            Some(Part { what: Piece::Text(text), quoted: same }) if *same == quoted => text.push(c),
            _ => self.push(Piece::Text(c.to_string()), quoted),
        }
    }

    /// Braces that multiply nothing are text.
    fn settle(&mut self) {
        if self.multiplies() || !self.0.iter().any(|part| matches!(part.what, Piece::Brace(_))) {
            return;
        }
        for part in std::mem::take(&mut self.0) {
            match part.what {
                Piece::Brace(c) => self.push_char(c, false),
                Piece::Text(text) if matches!(self.0.last(), Some(Part { what: Piece::Text(_), quoted }) if *quoted == part.quoted) => {
                    if let Some(Part { what: Piece::Text(before), .. }) = self.0.last_mut() {
                        before.push_str(&text);
                    }
                }
                what => self.push(what, part.quoted),
            }
        }
    }

    /// Whether there is `{a,b}` or `{a..b}`.
    fn multiplies(&self) -> bool {
        let mut open = false;
        let mut several = false;
        for part in &self.0 {
            match &part.what {
                Piece::Brace('{') => (open, several) = (true, false),
                Piece::Brace('}') if open && several => return true,
                Piece::Brace(',') => several = true,
                Piece::Text(text) => several |= !part.quoted && text.contains(".."),
                _ => {}
            }
        }
        false
    }
}

/// The words that braces make of one. Nested braces, ranges and more than [`MOST_WORDS`] words are not followed: such a
/// word stands for some words that are not known.
pub(super) fn braces(word: Word) -> Vec<Word> {
    if !word.multiplies() {
        return vec![word];
    }
    multiplied(&word).unwrap_or_else(|| vec![Word(vec![Part { what: Piece::Opaque, quoted: false }])])
}

fn multiplied(word: &Word) -> Option<Vec<Word>> {
    let mut done = vec![Word::default()];
    let mut parts = word.0.iter();
    while let Some(part) = parts.next() {
        if part.what != Piece::Brace('{') {
            let plain =
                if let Piece::Brace(c) = part.what { Piece::Text(c.to_string()) } else { part.what.clone() };
            for one in &mut done {
                one.push(plain.clone(), part.quoted);
            }
            continue;
        }
        let mut choices = vec![Word::default()];
        loop {
            let part = parts.next()?;
            match &part.what {
                Piece::Brace('}') => break,
                Piece::Brace(',') => choices.push(Word::default()),
                Piece::Brace(_) => return None,
                Piece::Text(text) if !part.quoted && text.contains("..") => return None,
                what => choices.last_mut()?.push(what.clone(), part.quoted),
            }
        }
        if choices.len() < 2 || done.len() * choices.len() > MOST_WORDS {
            return None;
        }
        let pairs = done.iter().flat_map(|head| choices.iter().map(move |tail| (head, tail)));
        done = pairs.map(|(head, tail)| Word(head.0.iter().chain(&tail.0).cloned().collect())).collect();
    }
    Some(done)
}
