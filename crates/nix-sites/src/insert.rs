//! A new attribute in a literal attribute set: where it goes, which names can be used there, and the proof that nothing
//! else changed.
//!
//! An attribute path is followed as it is *written*: through parentheses, `let`, `with`, `assert`, functions, and calls
//! whose last argument is a function (`eachSystem (system: { ... })`) or the options of `mkFlake`. A component such as
//! `${system}` stands for a key that is written just so. `outputs` of a flake may be left out.

mod quote;
mod scope;

use std::borrow::Cow;

use error_advice::Advise;
use nix_lang::syntax::{BOM, checked_root};
use rnix::ast::{self, Attr, Entry, Expr, HasEntry as _};
use rnix::{SyntaxKind, tokenize};
use rowan::ast::AstNode as _;

pub use self::quote::{attribute, string};
use self::scope::scope;

/// One component of an attribute path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Component {
    Name(String),
    /// `${...}`, as written.
    Dynamic(String),
}

/// A path of attributes, such as `packages.x86_64-linux.web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttrPath {
    keys: Vec<Component>,
}

/// Why an attribute is not inserted. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// No attribute path.
    #[error("not an attribute path: `{}`", .0.escape_debug())]
    Path(String),
    /// The file is not a Nix expression.
    #[error("the file cannot be parsed: {0}")]
    Unparsable(String),
    /// The attribute is there already.
    #[error("the attribute {0} exists already")]
    Exists(String),
    /// Its parent is not there.
    #[error("there is no attribute {0}")]
    Missing(String),
    /// Its parent is something other than an attribute set that is written out.
    #[error("{0} is not an attribute set that is written out in this file")]
    NotASet(String),
    /// The edit would have changed something else.
    #[error("the edit would change more than it inserts")]
    MoreThanInserted,
}

impl Advise for InsertError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NotASet(_) | Self::Missing(_) => {
                Some("name the path as it is written in the file, or run it without --into".into())
            }
            Self::Exists(_) => Some("bump its `version` and run `npm-nixhash update`".into()),
            _ => None,
        }
    }
}

impl InsertError {
    /// The same with another name of the place.
    fn at(self, rename: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Exists(place) => Self::Exists(rename(place)),
            Self::Missing(place) => Self::Missing(rename(place)),
            Self::NotASet(place) => Self::NotASet(rename(place)),
            other => other,
        }
    }
}

impl AttrPath {
    /// Reads a path.
    ///
    /// # Errors
    /// A text that Nix would not read as one.
    pub fn parse(text: &str) -> Result<Self, InsertError> {
        let wrong = || InsertError::Path(text.chars().take(200).collect());
        let root = checked_root(&format!("{{{text}=0;}}")).map_err(|_| wrong())?;
        let Some(Expr::AttrSet(set)) = root.expr() else { return Err(wrong()) };
        let mut entries = set.entries();
        let (Some(Entry::AttrpathValue(entry)), None) = (entries.next(), entries.next()) else {
            return Err(wrong());
        };
        let zero = entry.value().is_some_and(|value| value.syntax().text() == "0");
        // `a=0;} #` would pass for `a`: the rest of the set that is put around it would be a comment.
        let comment = text.contains(['#', '\n']) || text.contains("/*");
        match keys(&entry) {
            Some(keys) if zero && !comment && matches!(keys.last(), Some(Component::Name(_))) => {
                Ok(Self { keys })
            }
            _ => Err(wrong()),
        }
    }

    /// The same below `outputs`.
    fn of_outputs(&self) -> Self {
        let outputs = Component::Name("outputs".to_owned());
        Self { keys: std::iter::once(outputs).chain(self.keys.iter().cloned()).collect() }
    }
}

fn keys(entry: &ast::AttrpathValue) -> Option<Vec<Component>> {
    Some(entry.attrpath()?.attrs().map(|attr| key(&attr)).collect())
}

fn key(attr: &Attr) -> Component {
    match attr {
        Attr::Ident(ident) => Component::Name(ident.syntax().text().to_string()),
        Attr::Dynamic(dynamic) => Component::Dynamic(dynamic.syntax().text().to_string()),
        Attr::Str(string) => match string.normalized_parts().as_slice() {
            [] => Component::Name(String::new()),
            [ast::InterpolPart::Literal(text)] => Component::Name(text.clone()),
            _ => Component::Dynamic(string.syntax().text().to_string()),
        },
    }
}

fn shown(keys: &[Component]) -> String {
    let shown = |key: &Component| match key {
        Component::Name(name) => attribute(name),
        Component::Dynamic(text) => text.clone(),
    };
    keys.iter().map(shown).collect::<Vec<_>>().join(".")
}

/// A place for a new attribute.
#[derive(Debug, Clone)]
pub struct InsertionPoint {
    /// The byte before which the text goes.
    at: usize,
    /// What starts each line of it.
    indent: String,
    /// What follows it.
    tail: String,
    /// The path as it has to be written there.
    written: String,
    /// Whether an empty line goes before it.
    apart: bool,
    /// Names that are bound there.
    bound: Vec<String>,
    /// Whether a `with` binds more.
    with: bool,
}

impl InsertionPoint {
    /// Finds the place for an attribute.
    ///
    /// # Errors
    /// The attribute exists, or its parent is not an attribute set that is written out.
    pub fn find(text: &str, path: &AttrPath) -> Result<Self, InsertError> {
        let body = text.strip_prefix(BOM).unwrap_or(text);
        let root = checked_root(body).map_err(|error| InsertError::Unparsable(error.message))?;
        let expr = root.expr().ok_or_else(|| InsertError::Unparsable("it is empty".to_owned()))?;
        let found = descend(&expr, &path.keys);
        let outputs = path.of_outputs();
        let (set, rest) = match found {
            Err(InsertError::Missing(_)) => descend(&expr, &outputs.keys).map_err(|error| {
                error.at(|inner| inner.strip_prefix("outputs.").unwrap_or(&inner).to_owned())
            })?,
            other => other.map_err(|error| {
                error.at(|inner| if inner.is_empty() { "the file".to_owned() } else { inner })
            })?,
        };
        Ok(Self::in_set(body, text.len() - body.len(), &set, shown(rest)))
    }

    fn in_set(body: &str, shift: usize, set: &ast::AttrSet, written: String) -> Self {
        let start = usize::from(set.syntax().text_range().start());
        let end = usize::from(set.syntax().text_range().end());
        let last = set.entries().last();
        let at = match &last {
            Some(entry) => end_with_comment(entry.syntax()),
            None => set.l_curly_token().map_or(start, |token| usize::from(token.text_range().end())),
        };
        let outer = indent_of(body, start).0;
        let own =
            last.as_ref().map(|entry| indent_of(body, usize::from(entry.syntax().text_range().start())));
        let indent = match own {
            Some((indent, true)) => indent.to_owned(),
            _ => format!("{outer}  "),
        };
        let rest = &body[at..end];
        // The white space that is there already is part of the last line's.
        let there = rest.len() - rest.trim_start().len();
        let missing = &outer[..outer.len().saturating_sub(there)];
        let tail = if rest.contains('\n') { String::new() } else { format!("\n{missing}") };
        let apart = last.is_some_and(|entry| entry.syntax().text().contains_char('\n'));
        let (bound, with) = scope(set);
        Self { at: at + shift, indent, tail, written, apart, bound, with }
    }

    /// Whether a name can be used there as it is.
    #[must_use]
    pub fn binds(&self, name: &str) -> bool {
        self.with || self.bound.iter().any(|bound| bound == name)
    }

    /// Whether a name is bound there by something that is not `with`.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.bound.iter().any(|bound| bound == name)
    }

    /// The text with the attribute in it.
    ///
    /// # Errors
    /// The result would differ in anything else.
    pub fn insert(&self, text: &str, expression: &str) -> Result<String, InsertError> {
        let line =
            |line: &str| if line.is_empty() { String::new() } else { format!("{}{line}", self.indent) };
        let entry = format!("{} = {expression};", self.written);
        let lines: Vec<_> = entry.lines().map(line).collect();
        let gap = if self.apart { "\n\n" } else { "\n" };
        let mut inserted = format!("{gap}{}{}", lines.join("\n"), self.tail);
        // A file has one kind of line ending, and git shows every line that changes its own.
        if text.contains("\r\n") {
            inserted = inserted.replace('\n', "\r\n");
        }
        let (before, after) = text.split_at_checked(self.at).ok_or(InsertError::MoreThanInserted)?;
        let new = format!("{before}{inserted}{after}");
        prove(text, &new, before, &inserted, after)?;
        Ok(new)
    }
}

/// Old tokens, the new ones between them, and old tokens again; and one attribute more in the tree.
fn prove(old: &str, new: &str, before: &str, inserted: &str, after: &str) -> Result<(), InsertError> {
    let body = |text: &str| text.strip_prefix(BOM).unwrap_or(text).to_owned();
    let root = checked_root(&body(new)).map_err(|error| InsertError::Unparsable(error.message))?;
    let old_root = checked_root(&body(old)).map_err(|error| InsertError::Unparsable(error.message))?;
    let alone = checked_root(&format!("{{{inserted}}}")).map_err(|_| InsertError::MoreThanInserted)?;
    let expected: Vec<_> = [&body(before), inserted, after].iter().flat_map(|part| tokens(part)).collect();
    let one_entry = matches!(alone.expr(), Some(Expr::AttrSet(set)) if set.entries().count() == 1);
    let entries = |root: &ast::Root| root.syntax().descendants().filter_map(Entry::cast).count();
    // Tokens alone would let a text pass that closes the set and opens another one.
    let grown = entries(&root) == entries(&old_root) + entries(&alone);
    if one_entry && grown && tokens(&body(new)) == expected {
        Ok(())
    } else {
        Err(InsertError::MoreThanInserted)
    }
}

/// All tokens but white space.
fn tokens(text: &str) -> Vec<(SyntaxKind, String)> {
    let all = tokenize(text).filter(|(kind, _)| *kind != SyntaxKind::TOKEN_WHITESPACE);
    all.map(|(kind, text)| (kind, text.to_owned())).collect()
}

type ParentSet<'a> = (ast::AttrSet, &'a [Component]);

fn descend<'a>(expr: &Expr, path: &'a [Component]) -> Result<ParentSet<'a>, InsertError> {
    let into = |inner: Option<Expr>| match inner {
        Some(inner) => descend(&inner, path),
        None => Err(InsertError::NotASet(String::new())),
    };
    match expr {
        Expr::AttrSet(set) => in_set(set, path),
        Expr::Paren(paren) => into(paren.expr()),
        Expr::LetIn(inner) => into(inner.body()),
        Expr::With(inner) => into(inner.body()),
        Expr::Assert(inner) => into(inner.body()),
        Expr::Lambda(inner) => into(inner.body()),
        Expr::Apply(call) if enters(call) => into(call.argument()),
        _ => Err(InsertError::NotASet(String::new())),
    }
}

/// Whether what a call gives is written in its argument.
fn enters(call: &ast::Apply) -> bool {
    let mut argument = call.argument();
    while let Some(Expr::Paren(paren)) = &argument {
        argument = paren.expr();
    }
    // flake-parts and flake-utils-plus take the outputs as an attribute set.
    let of_flake = call.lambda().is_some_and(|lambda| lambda.syntax().text().to_string().contains("mkFlake"));
    match argument {
        Some(Expr::Lambda(_)) => true,
        Some(Expr::AttrSet(_)) => of_flake,
        _ => false,
    }
}

fn in_set<'a>(set: &ast::AttrSet, path: &'a [Component]) -> Result<ParentSet<'a>, InsertError> {
    let parent = &path[..path.len() - 1];
    let mut sibling = path.len() == 1;
    let mut inner = None;
    for entry in set.attrpath_values() {
        let Some(keys) = keys(&entry) else { continue };
        if keys.starts_with(path) {
            return Err(InsertError::Exists(shown(path)));
        }
        if path.starts_with(&keys) {
            inner = inner.or(entry.value().map(|value| (value, keys.len())));
        }
        sibling |= keys.len() >= path.len() && keys.starts_with(parent);
    }
    let inherited =
        set.inherits().flat_map(|inherit| inherit.attrs().map(|attr| key(&attr)).collect::<Vec<_>>());
    if inherited.into_iter().any(|name| name == path[0]) {
        let whole = path.len() == 1;
        return Err(if whole {
            InsertError::Exists(shown(path))
        } else {
            InsertError::NotASet(shown(&path[..1]))
        });
    }
    match inner {
        Some((value, used)) => descend(&value, &path[used..]).map_err(|error| {
            let outer = shown(&path[..used]);
            error.at(|inner| if inner.is_empty() { outer } else { format!("{outer}.{inner}") })
        }),
        None if sibling => Ok((set.clone(), path)),
        None => Err(InsertError::Missing(shown(parent))),
    }
}

/// The end of an entry, or of the comment behind it on its line.
fn end_with_comment(entry: &rnix::SyntaxNode) -> usize {
    let mut end = usize::from(entry.text_range().end());
    let mut next = entry.next_sibling_or_token();
    while let Some(rowan::NodeOrToken::Token(token)) = next {
        let inline = !token.text().contains('\n');
        match token.kind() {
            SyntaxKind::TOKEN_WHITESPACE if inline => {}
            SyntaxKind::TOKEN_COMMENT if inline => end = usize::from(token.text_range().end()),
            _ => break,
        }
        next = token.next_sibling_or_token();
    }
    end
}

/// The white space that starts a place's line, and whether nothing else is before the place.
fn indent_of(text: &str, at: usize) -> (&str, bool) {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = &text[start..at];
    let white = line.len() - line.trim_start().len();
    (&line[..white], white == line.len())
}

#[cfg(test)]
mod tests;
