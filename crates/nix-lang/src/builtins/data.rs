//! Files as data: text, JSON and TOML, every string with the token it came from.

use std::path::PathBuf;
use std::rc::Rc;

use merge_markers::first_conflict;

use super::strings::remove_suffix;
use super::{Native, builtin, global, lib};
use crate::budget::Cost;
use crate::eval::{Eval, flag, reason_of, string};
use crate::syntax::ast::{FileId, Location, Span, to_u32};
use crate::syntax::json::{self, Json, Spanned};
use crate::syntax::toml;
use crate::value::source::Base;
use crate::value::{Attr, Attrs, Doubt, Kind, LiteralKind, Move, Piece, Text, ThunkId, Token, Value};

pub(super) const TABLE: &[Native] = &[
    builtin("readFile", 1, |ev, a, at| read_file(ev, a[0], at)),
    lib("fileContents", 1, file_contents),
    lib("importJSON", 1, |ev, a, at| import_data(ev, a[0], Format::Json, at)),
    lib("importTOML", 1, |ev, a, at| import_data(ev, a[0], Format::Toml, at)),
    builtin("fromJSON", 1, |ev, a, at| from_text(ev, a[0], Format::Json, at)),
    global("fromTOML", 1, |ev, a, at| from_text(ev, a[0], Format::Toml, at)),
    builtin("pathExists", 1, |ev, a, at| path_is(ev, a, at, |file, folder| file || folder)),
    lib("pathIsDirectory", 1, |ev, a, at| path_is(ev, a, at, |_, folder| folder)),
    lib("pathIsRegularFile", 1, |ev, a, at| path_is(ev, a, at, |file, _| file)),
    builtin("readDir", 1, read_dir),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Toml,
}

/// The path of the repository that a value names.
pub(super) fn local_path(ev: &mut Eval, value: &Value, at: Location) -> Result<PathBuf, Value> {
    let source = ev.source_of(value, at);
    match (&source.base, source.local_path()) {
        (_, Some(path)) => Ok(path),
        (Base::Unknown(unknown), _) => Err(Value::doubtful(Rc::clone(unknown))),
        _ => Err(Value::outside("a file outside of the repository", Some(at))),
    }
}

fn read_file(ev: &mut Eval, id: ThunkId, at: Location) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |ev, value| {
        let path = match local_path(ev, &value, at) {
            Ok(path) => path,
            Err(unknown) => return unknown,
        };
        let shown: Rc<str> = Rc::from(ev.files.display(&path));
        match ev.files.read(&path) {
            Ok(file) => {
                let bytes = ev.files.get(file).text.len();
                ev.allow_for(file);
                match ev.budget.charge(Cost::File(bytes as u64), Some(at)) {
                    Ok(()) => whole_file(ev, file).moved(at, Move::Import(shown)),
                    Err(over) => over.value(),
                }
            }
            Err(error) => Value::unknown(Doubt::Error, format!("cannot read {shown}: {error}"), Some(at)),
        }
    })
}

/// The content of a file; its token is the text without the white space around it.
fn whole_file(ev: &mut Eval, file: FileId) -> Value {
    let text = Rc::clone(&ev.files.get(file).text);
    let trimmed = text.trim();
    let start = text.len() - text.trim_start().len();
    let span = Span { start: to_u32(start), end: to_u32(start + trimmed.len()) };
    let token = Token { location: Location { file, span }, kind: LiteralKind::TextFile };
    // The longest hash is sha512 in hexadecimal, 135 characters with its prefix.
    let token = (trimmed.len() < 200).then(|| Rc::new(token));
    string(Text { pieces: vec![Piece::Text(text)], token, system: false, file: Some(file) })
}

fn file_contents(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let content = read_file(ev, args[0], at);
    let newline = ev.done(Value::text("\n"));
    let content = ev.done(content);
    remove_suffix(ev, &[newline, content], at)
}

fn import_data(ev: &mut Eval, id: ThunkId, format: Format, at: Location) -> Value {
    let content = read_file(ev, id, at);
    let content = ev.done(content);
    from_text(ev, content, format, at)
}

fn from_text(ev: &mut Eval, id: ThunkId, format: Format, at: Location) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |ev, value| {
        let (Kind::Str(text), Some(known)) = (&value.kind, value.known_text()) else {
            return Value::doubtful(reason_of(&value, "a document is not known", at));
        };
        // A node takes about as much memory as a few bytes of the shortest spelling.
        if let Err(over) = ev.budget.charge(Cost::Bytes(known.len().saturating_mul(16)), Some(at)) {
            return over.value();
        }
        let parsed = match format {
            Format::Json => json::parse(&known),
            Format::Toml => toml::parse(&known),
        };
        if let Some(document) = parsed {
            if let Some(file) = text.file {
                ev.observe_data(file, &document);
            }
            to_value(ev, &document, text.file, format).moved(at, Move::Note("read as data".into()))
        } else {
            let what = text
                .file
                .map_or_else(|| "a document".to_owned(), |file| ev.files.display(&ev.files.get(file).path));
            let why = match first_conflict(&known) {
                Some(conflict) => format!("{what} has an {}", conflict.message()),
                None => format!("{what} cannot be read as data"),
            };
            Value::unknown(Doubt::Error, why, Some(at))
        }
    })
}

fn to_value(ev: &mut Eval, document: &Spanned, file: Option<FileId>, format: Format) -> Value {
    let value = match &document.value {
        Json::Null => Value::new(Kind::Null),
        Json::Bool(flag) => Value::bool(*flag),
        Json::Int(number) => Value::new(Kind::Int(*number)),
        Json::Float(number) => Value::new(Kind::Float(*number)),
        Json::Disputed => {
            Value::unknown(Doubt::Unmodelled, "a value that versions of Nix read differently", None)
        }
        Json::Text(text) => data_string(text, document.span, file, format),
        Json::List(items) => {
            let items = items.iter().map(|item| delayed(ev, item, file, format)).collect();
            Value::list(items)
        }
        Json::Object(entries) => {
            let mut set = Attrs::default();
            for (name, value) in entries {
                let thunk = delayed(ev, value, file, format);
                set.map.insert(Rc::from(name.as_str()), Attr::new(thunk));
            }
            Value::attrs(set)
        }
    };
    let Some(file) = file.filter(|_| document.span.end > document.span.start) else { return value };
    // The token decides, as one in a Nix file would: see `eval::choices`.
    let leaf = Location { file, span: document.span };
    ev.observe_leaf(leaf);
    let value = if value.trail.is_none() { value.moved(leaf, Move::Literal) } else { value };
    let value = ev.configured(value, leaf);
    flag(value, leaf)
}

fn delayed(ev: &mut Eval, value: &Rc<Spanned>, file: Option<FileId>, format: Format) -> ThunkId {
    let value = Rc::clone(value);
    ev.lazy(move |ev| to_value(ev, &value, file, format))
}

fn data_string(text: &str, span: Span, file: Option<FileId>, format: Format) -> Value {
    let kind = match format {
        Format::Json => LiteralKind::JsonString,
        Format::Toml => LiteralKind::TomlString,
    };
    let location = file.map(|file| Location { file, span });
    let token = location.map(|location| Rc::new(Token { location, kind }));
    let value = string(Text { pieces: vec![Piece::Text(Rc::from(text))], token, ..Text::default() });
    match location {
        Some(location) => value.moved(location, Move::Data(Rc::from(text))),
        None => value,
    }
}

fn path_is(ev: &mut Eval, args: &[ThunkId], at: Location, test: fn(bool, bool) -> bool) -> Value {
    let value = ev.force(args[0]);
    match local_path(ev, &value, at) {
        Ok(path) if ev.files.contains(&path) => {
            Value::bool(test(ev.files.is_file(&path), ev.files.is_dir(&path))).moved(at, Move::FileTest)
        }
        Ok(_) => Value::outside("a path outside of the repository", Some(at)),
        Err(unknown) => unknown,
    }
}

fn read_dir(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    let path = match local_path(ev, &value, at) {
        Ok(path) => path,
        Err(unknown) => return unknown,
    };
    let Some(entries) = ev.files.read_dir(&path) else {
        return Value::unknown(Doubt::Error, "a folder that cannot be read", Some(at));
    };
    if let Err(over) = ev.budget.charge(Cost::Items(2 * entries.len()), Some(at)) {
        return over.value();
    }
    let mut set = Attrs::default();
    for (name, kind) in entries {
        let thunk = ev.done(Value::text(kind));
        set.map.insert(Rc::from(name), Attr::new(thunk));
    }
    Value::attrs(set)
}
