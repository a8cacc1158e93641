//! Strings, paths, and how values become text.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::branch::MAX_ALTERNATIVES;
use super::{Eval, reason_of};
use crate::budget::{Cost, OverBudget};
use crate::files::normalize;
use crate::syntax::ast::{Location, StringPart};
use crate::value::formula::{Under, both, can_meet};
use crate::value::source::Source;
use crate::value::{Code, Doubt, EnvId, Kind, LiteralKind, Move, Piece, Text, Token, Unknown, Value};

impl Eval {
    /// A string literal.
    pub(crate) fn eval_string(&mut self, code: &Code, parts: &[StringPart], env: EnvId) -> Value {
        let here = code.location();
        let token = || Some(Rc::new(Token { location: here, kind: LiteralKind::NixString }));
        match parts {
            [] => {
                let value = string(Text { token: token(), ..Text::default() }).moved(here, Move::Literal);
                self.configured(value, here)
            }
            [StringPart::Text(text)] => {
                let pieces = vec![Piece::Text(Rc::clone(text))];
                let value = string(Text { pieces, token: token(), ..Text::default() });
                self.configured(value.moved(here, Move::Literal), here)
            }
            // `"${hash}"` is the string itself, token and all.
            [StringPart::Expr(id)] => {
                let value = self.eval(&code.at(*id), env);
                self.each(value, &mut |ev, v| match &v.kind {
                    Kind::Str(_) => v,
                    _ => Value { kind: Kind::Str(Rc::new(ev.interpolate(&v, here))), trail: v.trail },
                })
            }
            parts => self.interpolated(code, parts, env),
        }
    }

    fn interpolated(&mut self, code: &Code, parts: &[StringPart], env: EnvId) -> Value {
        let here = code.location();
        let mut versions = vec![Version::default()];
        for part in parts {
            let texts = match part {
                StringPart::Text(text) => {
                    vec![(Text { pieces: vec![Piece::Text(Rc::clone(text))], ..Text::default() }, None)]
                }
                StringPart::Expr(id) => {
                    let value = self.eval(&code.at(*id), env);
                    let in_path =
                        matches!(parts.first(), Some(StringPart::Text(text)) if text.starts_with('/'));
                    let options = match &value.kind {
                        Kind::Alt(values) => values.as_ref().clone(),
                        _ if in_path => self.systems_of(&value),
                        _ => vec![value],
                    };
                    options.iter().map(|v| (self.interpolate(v, here), v.under())).collect()
                }
            };
            let bytes: usize = texts.iter().map(|(text, _)| text.weight()).sum();
            let cost = Cost::Bytes(bytes.saturating_mul(versions.len()));
            if let Err(over) = self.budget.charge(cost, Some(here)) {
                return over.value();
            }
            versions = product(versions, &texts);
        }
        let values = versions.into_iter().map(|Version { text, under }| {
            let value = string(text.finish()).moved(here, Move::Literal);
            if under.is_some() { value.counting(under, here) } else { value }
        });
        crate::eval::join(values.collect())
    }

    /// Inside a path, a system stands for all systems that the repository lists.
    fn systems_of(&mut self, value: &Value) -> Vec<Value> {
        match &value.kind {
            Kind::Str(text) if text.system && !self.systems.is_empty() => {
                self.systems.iter().map(|name| Value::system(name)).collect()
            }
            _ => vec![value.clone()],
        }
    }

    /// What a value becomes inside `"${...}"`.
    pub fn interpolate(&mut self, value: &Value, here: Location) -> Text {
        let piece = match &value.kind {
            Kind::Str(text) => return text.as_ref().clone(),
            // A path in a string is copied to the store; `toString` of one is where it lies, which is text.
            Kind::Path(path) => Piece::Source(Rc::new(Source::local(path.as_ref().clone()))),
            Kind::Attrs(attrs) => {
                if let Some(attr) = attrs.map.get("__toString") {
                    let function = self.force(attr.thunk);
                    let text = self.apply_value(&function, value.clone(), here);
                    if !matches!(text.kind, Kind::Attrs(_)) {
                        return self.interpolate(&text, here);
                    }
                }
                Piece::Source(self.source_of(value, here))
            }
            Kind::Int(number) => Piece::Text(Rc::from(number.to_string())),
            _ => Piece::Unknown(reason_of(value, "a string is not known", here)),
        };
        Text { pieces: vec![piece], ..Text::default() }
    }

    /// `a + b` for strings, paths and numbers.
    pub fn add(&mut self, a: &Value, b: &Value, here: Location) -> Value {
        match (&a.kind, &b.kind) {
            (Kind::Int(x), Kind::Int(y)) => Value::new(Kind::Int(x.wrapping_add(*y))),
            (Kind::Float(x), Kind::Float(y)) => Value::new(Kind::Float(x + y)),
            (Kind::Path(path), Kind::Str(_)) => match b.known_text() {
                Some(text) => Value::path(join_text(path, &text)),
                None => Value::doubtful(reason_of(b, "a path is not known", here)),
            },
            (Kind::Path(x), Kind::Path(y)) => Value::path(join_text(x, &y.to_string_lossy())),
            (Kind::Unknown(_), Kind::Int(_) | Kind::Path(_)) => a.clone(),
            (_, Kind::Unknown(_)) if matches!(a.kind, Kind::Int(_) | Kind::Path(_)) => b.clone(),
            // `hash + ""` is still the token that the hash is.
            (Kind::Str(x), Kind::Str(y)) if y.pieces.is_empty() => {
                Value { kind: Kind::Str(Rc::clone(x)), trail: a.trail.clone() }
            }
            _ => {
                let texts = [self.interpolate(a, here), self.interpolate(b, here)];
                match self.concat(&texts, here) {
                    Ok(text) => Value { kind: Kind::Str(Rc::new(text)), trail: a.trail.clone() }
                        .moved(here, Move::Literal),
                    Err(over) => over.value(),
                }
            }
        }
    }

    /// Several strings as one.
    ///
    /// # Errors
    /// When it would be longer than the budget allows.
    pub fn concat(&self, texts: &[Text], here: Location) -> Result<Text, OverBudget> {
        let bytes = texts.iter().map(Text::weight).sum();
        self.budget.charge(Cost::Bytes(bytes), Some(here))?;
        let mut whole = StringBuilder::default();
        for text in texts {
            whole.push(text);
        }
        Ok(whole.finish())
    }

    /// A path literal, relative to its file.
    pub(crate) fn eval_path(&mut self, code: &Code, parts: &[StringPart], env: EnvId) -> Value {
        let here = code.location();
        let mut texts = vec![(String::new(), None)];
        for part in parts {
            let options = match part {
                StringPart::Text(text) => vec![(text.to_string(), None)],
                StringPart::Expr(id) => {
                    let value = self.eval(&code.at(*id), env);
                    let all = self.systems_of(&value);
                    let value = crate::eval::join(all);
                    match path_parts(&value) {
                        Some(options) => options,
                        None => return Value::doubtful(reason_of(&value, "a path is not known", here)),
                    }
                }
            };
            texts = texts
                .iter()
                .flat_map(|head| options.iter().map(move |tail| (head, tail)))
                .filter(|((_, before), (_, under))| can_meet(before, under))
                .map(|((head, before), (tail, under))| (format!("{head}{tail}"), both(before, under)))
                .take(MAX_ALTERNATIVES + 1)
                .collect();
            if texts.len() > MAX_ALTERNATIVES {
                return Value::unknown(Doubt::Limit, "too many alternatives", Some(here));
            }
        }
        let folder = self.folder(code.ast.file);
        let values = texts.into_iter().map(|(text, under)| {
            let value = literal_path(&folder, &text, here).moved(here, Move::Literal);
            if under.is_some() { value.counting(under, here) } else { value }
        });
        crate::eval::join(values.collect())
    }

    /// The folder of a file.
    pub fn folder(&self, file: crate::syntax::ast::FileId) -> PathBuf {
        self.files.get(file).path.parent().map_or_else(PathBuf::new, Path::to_path_buf)
    }
}

fn literal_path(folder: &Path, text: &str, here: Location) -> Value {
    if text.starts_with('~') {
        return Value::unknown(Doubt::Outside, format!("{text} is a path in a home folder"), Some(here));
    }
    let path = if text.starts_with('/') { PathBuf::from(text) } else { folder.join(text) };
    Value::path(normalize(&path))
}

/// `path + text` glues text to the path's own text.
fn join_text(path: &Path, text: &str) -> PathBuf {
    normalize(Path::new(&format!("{}{}", path.display(), text)))
}

/// A string value.
#[must_use]
pub fn string(text: Text) -> Value {
    Value::new(Kind::Str(Rc::new(text)))
}

/// A string in the making: neighbouring known pieces grow together, in time that grows with their length alone.
#[derive(Clone, Default)]
struct StringBuilder {
    pieces: Vec<Piece>,
    /// Known text behind the last piece.
    tail: String,
}

impl StringBuilder {
    fn push(&mut self, text: &Text) {
        for piece in &text.pieces {
            match piece {
                Piece::Text(text) => self.tail.push_str(text),
                // What is not known stays that, however often it is repeated.
                Piece::Unknown(_)
                    if self.tail.is_empty() && matches!(self.pieces.last(), Some(Piece::Unknown(_))) => {}
                other => {
                    self.close();
                    self.pieces.push(other.clone());
                }
            }
        }
    }

    fn close(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(Piece::Text(Rc::from(self.tail.as_str())));
            self.tail.clear();
        }
    }

    fn finish(mut self) -> Text {
        self.close();
        Text { pieces: self.pieces, ..Text::default() }
    }
}

/// One alternative of a string, and when it counts.
#[derive(Clone, Default)]
struct Version {
    text: StringBuilder,
    under: Under,
}

fn product(mut heads: Vec<Version>, tails: &[(Text, Under)]) -> Vec<Version> {
    if let [(tail, None)] = tails {
        for head in &mut heads {
            head.text.push(tail);
        }
        return heads;
    }
    let pairs = heads.iter().flat_map(|head| tails.iter().map(move |tail| (head, tail)));
    let meet: Vec<_> = pairs.filter(|(head, (_, under))| can_meet(&head.under, under)).collect();
    if meet.len() > MAX_ALTERNATIVES {
        let message = "too many alternatives".into();
        let unknown = Rc::new(Unknown { doubt: Doubt::Limit, message, at: None, name: None });
        let text = StringBuilder { pieces: vec![Piece::Unknown(unknown)], ..StringBuilder::default() };
        return vec![Version { text, under: None }];
    }
    let pair = |(head, (tail, under)): (&Version, &(Text, Under))| {
        let mut text = head.text.clone();
        text.push(tail);
        Version { text, under: both(&head.under, under) }
    };
    meet.into_iter().map(pair).collect()
}

fn path_parts(value: &Value) -> Option<Vec<(String, Under)>> {
    match &value.kind {
        Kind::Alt(values) => {
            let parts: Option<Vec<_>> = values.iter().map(path_parts).collect();
            parts.map(|parts| parts.concat())
        }
        Kind::Path(path) => Some(vec![(path.to_string_lossy().into_owned(), value.under())]),
        _ => value.known_text().map(|text| vec![(text.to_string(), value.under())]),
    }
}
