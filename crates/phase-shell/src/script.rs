//! A shell script as a tree: commands, and words that are not expanded yet.
//!
//! ```text
//! list     = and-or ((";" | "&" | newline) and-or)*
//! and-or   = pipeline (("&&" | "||") pipeline)*
//! pipeline = ["!"] command ("|" command)*
//! command  = simple | compound redirect* | name "()" compound
//! ```

use std::rc::Rc;

/// Commands, one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct List(pub Vec<AndOr>);

/// Pipelines between `&&` and `||`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AndOr {
    pub first: Pipeline,
    pub rest: Vec<(Joint, Pipeline)>,
    /// It ends with `&`: nobody waits for it.
    pub background: bool,
}

/// What stands between two pipelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    And,
    Or,
}

/// Commands whose outputs feed the next one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pipeline {
    pub negated: bool,
    pub commands: Vec<Command>,
}

/// A command and where its output goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub kind: Kind,
    pub redirects: Vec<Redirect>,
}

/// The kinds of commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Simple {
        assignments: Vec<Assignment>,
        words: Vec<Word>,
    },
    Group(List),
    Subshell(List),
    If {
        branches: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    /// `while` and `until`, which differ in nothing that is known here.
    While {
        condition: List,
        body: List,
    },
    /// Without words it runs over the arguments.
    For {
        name: String,
        words: Option<Vec<Word>>,
        body: List,
    },
    Case {
        subject: Word,
        arms: Vec<List>,
    },
    Function {
        name: String,
        body: Rc<Command>,
    },
    /// `[[ ... ]]`
    Condition(Vec<Word>),
    /// `(( ... ))`
    Arithmetic,
}

/// `name=value` before a command, or alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub name: String,
    pub value: Assigned,
}

/// What a variable is given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Assigned {
    Word(Word),
    /// `+=`, an element, a list: values that are not followed.
    Other(Vec<Word>),
}

/// A redirection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub kind: RedirectKind,
    pub target: Word,
}

/// What a redirection does with its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RedirectKind {
    /// `>` of the usual output: the file holds it, and nothing else.
    Output,
    /// `>>`, `2>`, `&>`, `<>`: the file is changed.
    Change,
    Input,
    /// `<<` and `<<<`: the target is the text.
    Document,
    /// `2>&1`
    Duplicate,
}

/// A word: its parts, side by side.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Word(pub Vec<Part>);

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub what: Piece,
    /// In quotes: it is neither split nor a pattern.
    pub quoted: bool,
}

/// The characters that `[...]` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Class {
    negated: bool,
    ranges: Rc<[(char, char)]>,
}

impl Class {
    /// What stands between the brackets, without quotes and expansions; `None` where it is not followed.
    pub fn parse(text: &str) -> Option<Self> {
        let listed = text.strip_prefix(['!', '^']);
        let all: Vec<char> = listed.unwrap_or(text).chars().collect();
        let (mut ranges, mut rest) = (Vec::new(), all.as_slice());
        while let [first, tail @ ..] = rest {
            let (last, tail) = match tail {
                ['-', last, tail @ ..] => (last, tail),
                _ => (first, tail),
            };
            // Not followed: `[:lower:]`, `[.x.]`, `[=x=]`. Builds run in the C locale, where ranges go by code points; one that
            // runs backwards is an error to some shells.
            if *first == '[' || *last == '[' || last < first {
                return None;
            }
            ranges.push((*first, *last));
            rest = tail;
        }
        Some(Self { negated: listed.is_some(), ranges: ranges.into() })
    }

    /// Whether it stands for a character. For a slash no pattern of names does.
    pub fn holds(&self, c: char) -> bool {
        c != '/' && self.ranges.iter().any(|(first, last)| (first..=last).contains(&&c)) != self.negated
    }
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// `*`
    Star,
    /// `?`
    AnyOne,
    /// `[...]`
    OneOf(Class),
    /// `[...]` with something in it that is not followed: the whole word may be anything.
    OddClass,
    /// An interpolation of the Nix string, by its number.
    Hole(usize),
    /// `$name`
    Variable(String),
    /// `$( ... )`
    Output(Rc<List>),
    /// `~`
    Home,
    /// An expansion that is not followed: `${name%suffix}`, `$((1 + 1))`.
    Opaque,
    /// `{a,b}` in its parts, until the words are multiplied.
    Brace(char),
}

impl Word {
    /// The text, if the word is nothing else.
    pub fn literal(&self) -> Option<String> {
        self.0
            .iter()
            .map(|part| if let Piece::Text(text) = &part.what { Some(text.as_str()) } else { None })
            .collect()
    }

    /// The text, if the word is nothing else and not quoted: what reserved words and names of variables have to be.
    pub fn bare(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part { what: Piece::Text(text), quoted: false }] => Some(text),
            _ => None,
        }
    }
}
