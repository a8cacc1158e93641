//! From words to what they stand for: text, places, and gaps.

use std::rc::Rc;

use nix_lang::value::Doubt;
use nix_lang::value::source::{Base, Source};

use super::cause::Cause;
use super::field::{Anchor, Field, Pattern, Seg};
use super::log::{Key, Root, clean};
use super::run::{Globs, Ground, Hole, Outcome, Runner, State};
use super::script::{Command, Kind, List, Part, Piece, Word};

/// What a word means as a path.
#[derive(Debug, Clone)]
pub(super) enum Place {
    At(Key),
    Store(Rc<Source>),
    /// Surely in neither of the trees.
    Elsewhere,
    Unknown,
}

/// A longer text of one variable is not followed: it could double with each assignment.
const LONGEST: usize = 1 << 16;

impl Runner<'_> {
    /// The words that a word becomes.
    pub fn expand(&mut self, word: &Word, state: &mut State) -> Vec<Field> {
        // Quotes begin with a text, which is empty here.
        let (parts, quoted) = match word.0.as_slice() {
            [Part { what: Piece::Text(text), quoted: true }, parts @ ..] if text.is_empty() => (parts, true),
            parts => (parts, false),
        };
        if let [Part { what: Piece::Variable(name), quoted: own }] = parts
            && (name.as_str(), *own) == ("@", quoted)
            && let Some(arguments) = &state.arguments
            && (quoted || !arguments.iter().any(|argument| is_split(argument, state)))
        {
            return arguments.to_vec();
        }
        let mut fields = vec![Field::default()];
        let mut quoted = false;
        for part in &word.0 {
            quoted |= part.quoted;
            self.part(part, state, &mut fields);
        }
        let size: usize = fields.iter().map(Field::size).sum();
        self.spend(size as u64 / 16, state);
        if size > LONGEST || word.0.iter().any(|part| part.what == Piece::OddClass) {
            return vec![Field { loose: true, ..Field::unknown() }];
        }
        if fields.len() == 1 && fields[0].segs.is_empty() && !quoted {
            return Vec::new();
        }
        fields.into_iter().flat_map(|field| self.names(field, state)).collect()
    }

    /// A word where it is not split: the value of a variable, the target of a redirection.
    pub(crate) fn expand_one(&mut self, word: &Word, state: &mut State) -> Field {
        let whole = Word(word.0.iter().map(|part| Part { quoted: true, ..part.clone() }).collect());
        let mut fields = vec![Field::default()];
        for part in &whole.0 {
            self.part(part, state, &mut fields);
        }
        let field = fields.pop().filter(|_| fields.is_empty()).unwrap_or_else(Field::unknown);
        let odd = word.0.iter().any(|part| part.what == Piece::OddClass);
        if odd || field.size() > LONGEST { Field::unknown() } else { field }
    }

    fn part(&mut self, part: &Part, state: &mut State, fields: &mut Vec<Field>) {
        let seg = match &part.what {
            Piece::Text(text) => Seg::Text(text.clone()),
            Piece::Brace(c) => Seg::Text(c.to_string()),
            Piece::Home => Seg::Anchor(Anchor::Elsewhere),
            Piece::Star | Piece::AnyOne | Piece::OneOf(_) if state.globs != Globs::On => {
                return gap(fields, state.globs == Globs::Odd);
            }
            Piece::Star => Seg::Star,
            Piece::AnyOne => Seg::AnyOne,
            Piece::OneOf(class) => Seg::OneOf(class.clone()),
            Piece::OddClass => return gap(fields, false),
            Piece::Opaque => return gap(fields, !part.quoted),
            Piece::Hole(hole) => match &self.holes[*hole] {
                Hole::Source(source) => Seg::Store(Rc::clone(source)),
                Hole::Unknown(unknown) => {
                    // A package or an argument is a path of the store; other text may be anything.
                    let path = matches!(unknown.doubt, Doubt::Outside | Doubt::Argument);
                    let name = unknown.name.clone().filter(|_| path);
                    if name.is_none() {
                        return gap(fields, !part.quoted);
                    }
                    Seg::Gap(name)
                }
            },
            Piece::Variable(name) => return variable(name, part.quoted, state, fields),
            Piece::Output(list) => return self.output(list, part.quoted, state, fields),
        };
        if let Some(last) = fields.last_mut() {
            last.push(seg);
        }
    }

    /// `$( ... )`: what it does counts, and what it prints where that is plain.
    fn output(&mut self, list: &List, quoted: bool, state: &mut State, fields: &mut Vec<Field>) {
        let printed = printed(list, state);
        let before = state.clone();
        let inner = State { nested: state.nested + 1, ..state.clone() };
        let Outcome { ok, fail } = self.list(list, inner, true);
        let inner = self.meet(ok, fail);
        *state = State { at: inner.at, lost: inner.lost, ..before };
        match printed {
            Some(value) if quoted && !value.loose => {
                if let Some(last) = fields.last_mut() {
                    for seg in value.segs {
                        last.push(seg);
                    }
                }
            }
            Some(value) if fields.len() == 1 && fields[0].segs.is_empty() && !quoted => *fields = vec![value],
            _ => gap(fields, !quoted),
        }
    }

    /// The names that a pattern stands for, where the folder is known; else the pattern.
    fn names(&mut self, field: Field, state: &mut State) -> Vec<Field> {
        let Some((folder, pattern)) = field.split_pattern() else { return vec![field] };
        let place = if folder.segs.is_empty() { here(state) } else { self.place(&folder, state) };
        let Some(names) = self.listing(&place, state) else { return vec![field] };
        self.spend(names.len() as u64, state);
        let found: Vec<Field> = names
            .iter()
            .filter(|name| pattern.matches(name))
            .map(|name| {
                let mut whole = folder.clone();
                let text = if folder.segs.is_empty() { name.clone() } else { format!("/{name}") };
                whole.push(Seg::Text(text));
                whole
            })
            .collect();
        // Nothing fits: the shell hands the pattern on, and the program that gets it will not find it.
        if found.is_empty() { vec![field] } else { found }
    }

    /// The names in a folder that no command before touched.
    fn listing(&mut self, place: &Place, state: &mut State) -> Option<Vec<String>> {
        let source = match place {
            Place::Store(source) => Rc::clone(source),
            Place::At(key) => self.untouched(key, state)?,
            Place::Elsewhere | Place::Unknown => return None,
        };
        // Which of the names a filter keeps is not asked here: one too many could be the one that is copied.
        if !source.filters.is_empty() {
            return None;
        }
        let names = self.files.read_dir(&source.local_path()?)?;
        Some(names.into_iter().map(|(name, _)| name).collect())
    }

    /// What a word means as a path.
    pub fn place(&self, field: &Field, state: &State) -> Place {
        if field.loose {
            return Place::Unknown;
        }
        let (first, rest) = match field.segs.as_slice() {
            [first] => (first, ""),
            [first, Seg::Text(rest)] => (first, rest.as_str()),
            _ => return Place::Unknown,
        };
        let apart = rest.is_empty() || rest.starts_with('/');
        match first {
            Seg::Store(source) if apart => {
                Place::Store(if rest.is_empty() { Rc::clone(source) } else { Rc::new(source.inside(rest)) })
            }
            Seg::Anchor(Anchor::Elsewhere) if apart => Place::Elsewhere,
            // A file beside the unpacked sources; what lies in a folder there may be in one of them.
            Seg::Anchor(Anchor::BuildTop)
                if apart && rest.trim_matches('/').split('/').count() == 1 && !rest.contains("..") =>
            {
                Place::Elsewhere
            }
            Seg::Anchor(anchor) if apart => {
                Self::anchored(anchor, rest).map_or(Place::Unknown, |key| self.settled(key))
            }
            Seg::Text(path) if path.starts_with('/') => match path.split('/').nth(1) {
                // Where Nix builds: `/build` on Linux, `/private/tmp` on macOS.
                // `/proc/self/cwd` is the folder that the shell is in.
                Some("build" | "proc" | "private" | "") | None => Place::Unknown,
                Some(_) => Place::Elsewhere,
            },
            Seg::Text(path) if !path.is_empty() => match &state.folder {
                Some(folder) if self.leads_through_folders(folder, path) => self.settled(folder.join(path)),
                _ => Place::Unknown,
            },
            _ => Place::Unknown,
        }
    }

    /// A place right below the folder in which the sources are unpacked (`$TMPDIR/name`): it may be the tree itself, of which the
    /// name is not known.
    pub fn beside(&self, field: &Field) -> Option<Key> {
        let [Seg::Anchor(Anchor::BuildTop), Seg::Text(rest)] = field.segs.as_slice() else { return None };
        let name = clean(rest.strip_prefix('/')?);
        let is_name = !name.is_empty() && !name.contains('/') && name != "..";
        is_name.then(|| Key::new(Root::Tree, &format!("{}{name}", "../".repeat(self.above.len() + 1))))
    }

    /// Whether what a path leaves by `..` is a folder that the source has: `none/../package-lock.json` is nowhere, and what is told
    /// to write there fails.
    fn leads_through_folders(&self, folder: &Key, path: &str) -> bool {
        let mut at = folder.clone();
        let mut names = 0_usize;
        for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if part == ".." && names > 0 {
                let Ground::Source(source) = self.ground_of(at.root) else { return false };
                if !source.inside(&at.path).local_path().is_some_and(|folder| self.files.is_dir(&folder)) {
                    return false;
                }
                names -= 1;
            } else if part != ".." {
                names += 1;
            }
            at = at.join(part);
        }
        true
    }

    /// A path that leads out of the tree: back into it where the names say so. Into a folder whose name is not known it could
    /// be any.
    fn settled(&self, key: Key) -> Place {
        let parts: Vec<&str> = key.path.split('/').collect();
        let up = parts.iter().take_while(|part| **part == "..").count();
        if up == 0 {
            return Place::At(key);
        }
        let rest = &parts[up..];
        let around = self.above.len().checked_sub(up).map(|from| &self.above[from..]);
        if let Some(around) = around {
            return Place::At(if rest.len() >= up && rest.iter().zip(around).all(|(a, b)| a == b) {
                Key::new(key.root, &rest[up..].join("/"))
            } else {
                key
            });
        }
        let lockfile = rest.last().is_some_and(|name| npm_lockfile::FILE_NAMES.contains(name));
        if rest.len() > up && lockfile { Place::Unknown } else { Place::At(key) }
    }

    /// The source that a path of the tree is in, if nothing in it or above it was changed.
    pub fn untouched(&mut self, key: &Key, state: &mut State) -> Option<Rc<Source>> {
        let Ground::Source(source) = self.ground_of(key.root) else { return None };
        if self.is_outside(key) {
            return None;
        }
        let source = Rc::clone(source);
        let mut steps = 1;
        let touched = self.log.touches(state.at, key, &mut steps);
        self.spend(steps, state);
        (!touched).then(|| Rc::new(source.inside(&key.path)))
    }
}

/// Variables of stdenv's builds.
fn builtin(name: &str, state: &State) -> Option<Anchor> {
    Some(match name {
        "out" => Anchor::Out,
        "TMPDIR" | "TMP" | "TEMP" | "TEMPDIR" | "NIX_BUILD_TOP" => Anchor::BuildTop,
        // Nix makes it `/homeless-shelter`, which is not there.
        "HOME" => Anchor::Elsewhere,
        "PWD" => match state.folder.as_ref()? {
            Key { root: Root::Tree, path } => Anchor::Tree(path.clone()),
            Key { root: Root::Out, path } if path.is_empty() => Anchor::Out,
            Key { .. } => return None,
        },
        _ => return None,
    })
}

/// Text that is not known, at the end of the last word.
fn gap(fields: &mut Vec<Field>, loose: bool) {
    if loose {
        // It may end one word and begin another.
        *fields = vec![Field { loose: true, ..Field::unknown() }];
    } else if let Some(last) = fields.last_mut() {
        last.push(Seg::Gap(None));
    }
}

/// Splits a variable's text where it is not quoted.
fn split(text: &str, fields: &mut Vec<Field>) {
    let blank = |c: char| c == ' ' || c == '\t' || c == '\n';
    let mut words = text.split(blank).filter(|word| !word.is_empty());
    let joined = !text.starts_with(blank);
    if let Some(first) = words.next() {
        match fields.last_mut() {
            Some(last) if joined || last.segs.is_empty() => last.push(Seg::Text(first.to_owned())),
            _ => fields.push(Field::text(first)),
        }
    }
    fields.extend(words.map(Field::text));
    // What follows a blank begins a word of its own; rare enough to be left open.
    if text.ends_with(blank) {
        gap(fields, true);
    }
}

/// A pattern in the spelling of `find`.
pub(super) fn glob_segs(pattern: &str) -> Vec<Seg> {
    let mut field = Field::default();
    for c in pattern.chars() {
        field.push(match c {
            '*' => Seg::Star,
            '?' => Seg::AnyOne,
            // Classes and escapes: any text.
            '[' | ']' | '\\' => Seg::Gap(None),
            c => Seg::Text(c.to_string()),
        });
    }
    field.segs
}

impl Place {
    /// The folder of a pattern, and the pattern.
    pub fn pattern(runner: &Runner<'_>, field: &Field, state: &State) -> Option<(Place, Pattern)> {
        let (folder, pattern) = field.split_pattern()?;
        let place = if folder.segs.is_empty() { here(state) } else { runner.place(&folder, state) };
        Some((place, pattern))
    }
}

impl State {
    /// Loses track because of a construct.
    pub(crate) fn lose_at(&mut self, what: &str) {
        self.lose(Cause::Construct(format!("`{what}`").into()));
    }
}

/// Whether a source is a single file, as far as its kind tells.
pub(super) fn is_single_file(source: &Source) -> bool {
    (matches!(source.base, Base::Text(_)) && source.sub.is_empty())
        || matches!(&source.base, Base::Remote(remote) if remote.kind == nix_lang::value::source::RemoteKind::FetchUrl)
            && source.sub.is_empty()
}

/// Whether a value may be other words, or several, where no quotes are around it.
fn is_split(value: &Field, state: &State) -> bool {
    let text = value.spelt();
    let splits = text.contains([' ', '\t', '\n', '*', '?', '[']) || value.is_pattern();
    value.loose || splits || is_split_oddly(state)
}

/// Whether options of the shell decide how values are split.
fn is_split_oddly(state: &State) -> bool {
    state.globs == Globs::Odd || state.variables.contains_key("IFS")
}

/// The fields that a variable becomes.
fn variable(name: &str, quoted: bool, state: &State, fields: &mut Vec<Field>) {
    // Several words even in quotes: `"x$@"` may end one and begin another.
    if name == "@" {
        return gap(fields, true);
    }
    let argument = name.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let argument = argument.and_then(|at| state.arguments.as_ref()?.get(at));
    let value = match state.variables.get(name).or(argument) {
        Some(value) => value.clone(),
        None => match builtin(name, state) {
            Some(anchor) => Field { segs: vec![Seg::Anchor(anchor)], loose: false },
            None => Field { loose: true, ..Field::unknown() },
        },
    };
    if quoted || !is_split(&value, state) {
        if let Some(last) = fields.last_mut() {
            for seg in value.segs {
                last.push(seg);
            }
        }
        return;
    }
    match value.known().filter(|text| !is_split_oddly(state) && !text.contains(['*', '?', '['])) {
        Some(text) => split(text, fields),
        None => gap(fields, true),
    }
}

/// The output of `pwd`, of `echo` with known words, and the names that `find -name` gives.
fn printed(list: &List, state: &State) -> Option<Field> {
    let [item] = list.0.as_slice() else { return None };
    let first = item.first.commands.first()?;
    let Command { kind: Kind::Simple { words, .. }, .. } = first else { return None };
    let texts: Vec<Option<String>> = words.iter().map(Word::literal).collect();
    let name = texts.first()?.as_deref()?;
    let alone = item.rest.is_empty() && item.first.commands.len() == 1 && first.redirects.is_empty();
    match name {
        "pwd" if alone => {
            let anchor = builtin("PWD", state)?;
            Some(Field { segs: vec![Seg::Anchor(anchor)], loose: false })
        }
        "echo" if alone => {
            let words: Option<Vec<&str>> = texts[1..].iter().map(Option::as_deref).collect();
            let text = words.filter(|words| !words.iter().any(|word| word.starts_with('-')))?.join(" ");
            let plain = !text.contains([' ', '\t', '\n', '*', '?', '[', '\\']) && !text.is_empty();
            plain.then(|| Field::text(&text))
        }
        "find" => {
            // The names of all that it prints end like this.
            let at = texts.iter().position(|text| text.as_deref() == Some("-name"))?;
            let odd = |text: &Option<String>| {
                matches!(text.as_deref(), Some("-o" | "-or" | "!" | "-not" | "-printf" | ","))
                    || text.is_none()
            };
            let sorted = item.first.commands[1..].iter().all(|command| match &command.kind {
                Kind::Simple { words, .. } => {
                    matches!(
                        words.first().and_then(Word::bare),
                        Some("sort" | "head" | "tail" | "uniq" | "grep")
                    )
                }
                _ => false,
            });
            if texts.iter().any(odd) || !sorted || !item.rest.is_empty() {
                return None;
            }
            let pattern = texts.get(at + 1)?.as_deref()?;
            let mut field = Field { segs: vec![Seg::Gap(None), Seg::Text("/".to_owned())], loose: true };
            for seg in glob_segs(pattern) {
                field.push(seg);
            }
            Some(field)
        }
        _ => None,
    }
}

/// The folder that the shell is in.
fn here(state: &State) -> Place {
    state.folder.clone().map_or(Place::Unknown, Place::At)
}
