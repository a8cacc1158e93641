//! Strings. A string that only loses white space at its ends is still the token that it came from.

use std::rc::Rc;

use super::lists::{on_list, rebuilt, texts};
use super::{Native, builtin, global, lib};
use crate::budget::{Cost, OverBudget};
use crate::eval::{Eval, reason_of, string};
use crate::syntax::ast::Location;
use crate::value::{Attrs, Doubt, Kind, List, Piece, Text, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    lib("concatStrings", 1, |ev, a, at| join(ev, None, a[0], at)),
    builtin("concatStringsSep", 2, |ev, a, at| join(ev, Some(a[0]), a[1], at)),
    lib("concatLines", 1, concat_lines),
    lib("concatMapStrings", 2, |ev, a, at| map_join(ev, None, a[0], a[1], at)),
    lib("concatMapStringsSep", 3, |ev, a, at| map_join(ev, Some(a[0]), a[1], a[2], at)),
    lib("splitString", 2, split_string),
    builtin("replaceStrings", 3, replace_strings),
    lib("removePrefix", 2, |ev, a, at| {
        affix(ev, a, at, |affix, text| text.strip_prefix(affix).unwrap_or(text).to_owned())
    }),
    lib("removeSuffix", 2, remove_suffix),
    lib("hasPrefix", 2, |ev, a, at| test(ev, a, at, |affix, text| text.starts_with(affix))),
    lib("hasSuffix", 2, |ev, a, at| test(ev, a, at, |affix, text| text.ends_with(affix))),
    lib("hasInfix", 2, |ev, a, at| test(ev, a, at, |affix, text| text.contains(affix))),
    lib("toLower", 1, |ev, a, at| change(ev, a[0], at, str::to_ascii_lowercase)),
    lib("toUpper", 1, |ev, a, at| change(ev, a[0], at, str::to_ascii_uppercase)),
    lib("trim", 1, |ev, a, at| {
        change(ev, a[0], at, |text| text.trim_matches([' ', '\t', '\r', '\n']).to_owned())
    }),
    builtin("unsafeDiscardStringContext", 1, |ev, a, at| as_string(ev, a[0], at)),
    builtin("unsafeDiscardOutputDependency", 1, |ev, a, at| as_string(ev, a[0], at)),
    lib("addContextFrom", 2, |ev, a, at| as_string(ev, a[1], at)),
    builtin("stringLength", 1, length),
    builtin("substring", 3, substring),
    lib("optionalString", 2, optional_string),
    global("toString", 1, to_string),
    lib("stringToCharacters", 1, characters),
    lib("getName", 1, get_name),
    lib("getVersion", 1, get_version),
    builtin("parseDrvName", 1, parse_name),
    lib("boolToString", 1, bool_to_string),
];

/// A changed string: still the same token if only white space at its ends went away.
pub(super) fn changed(from: &Text, old: &str, new: &str) -> Text {
    let same = old.trim() == new.trim();
    Text {
        pieces: vec![Piece::Text(Rc::from(new))],
        token: from.token.clone().filter(|_| same),
        system: from.system && old == new,
        file: from.file.filter(|_| old.starts_with(new)),
    }
}

fn change(ev: &mut Eval, id: ThunkId, at: Location, run: impl Fn(&str) -> String) -> Value {
    try_change(ev, id, at, &|text| Some(run(text)))
}

/// A string made of another one; `None` where the answer is not known. `run` answers with at most four times its input.
pub(super) fn try_change(
    ev: &mut Eval,
    id: ThunkId,
    at: Location,
    run: &dyn Fn(&str) -> Option<String>,
) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |ev, value| {
        let (Kind::Str(text), Some(known)) = (&value.kind, value.known_text()) else {
            return Value::doubtful(reason_of(&value, "a string is not known", at));
        };
        if let Err(over) = ev.budget.charge(Cost::Bytes(known.len()), Some(at)) {
            return over.value();
        }
        match run(&known) {
            Some(new) => {
                let text = changed(text, &known, &new);
                Value { kind: Kind::Str(Rc::new(text)), trail: value.trail.clone() }
            }
            None => Value::unknown(Doubt::Unmodelled, "what becomes of a string is not known", Some(at)),
        }
    })
}

/// `lib.removeSuffix suffix text`.
pub(super) fn remove_suffix(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    affix(ev, args, at, |suffix, text| text.strip_suffix(suffix).unwrap_or(text).to_owned())
}

fn affix(ev: &mut Eval, args: &[ThunkId], at: Location, run: fn(&str, &str) -> String) -> Value {
    match ev.force(args[0]).known_text() {
        Some(affix) => change(ev, args[1], at, |text| run(&affix, text)),
        None => Value::unknown(Doubt::Unmodelled, "a string is not known", Some(at)),
    }
}

fn test(ev: &mut Eval, args: &[ThunkId], at: Location, run: fn(&str, &str) -> bool) -> Value {
    let affix = ev.force(args[0]);
    let value = ev.force(args[1]);
    ev.each(value, &mut |ev, value| {
        ev.budget.spend(Cost::Bytes(if let Kind::Str(text) = &value.kind { text.length() } else { 0 }));
        let text = match &value.kind {
            Kind::Path(path) => Some(Rc::from(path.to_string_lossy().as_ref())),
            Kind::Str(text) if text.system => None,
            _ => value.known_text(),
        };
        match (affix.known_text(), text) {
            (Some(affix), Some(text)) => Value::bool(run(&affix, &text)),
            _ => Value::doubtful(reason_of(&value, "a string is not known", at)),
        }
    })
}

/// A value inside a string, as a string.
fn as_string(ev: &mut Eval, id: ThunkId, at: Location) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |ev, value| {
        if let Kind::Str(_) = &value.kind {
            value
        } else {
            let text = ev.interpolate(&value, at);
            Value { kind: Kind::Str(Rc::new(text)), trail: value.trail }
        }
    })
}

pub(super) fn join(ev: &mut Eval, separator: Option<ThunkId>, items: ThunkId, at: Location) -> Value {
    let separator = match separator {
        Some(id) => {
            let value = ev.force(id);
            ev.interpolate(&value, at)
        }
        None => Text::default(),
    };
    let value = ev.force(items);
    ev.each(value, &mut |ev, value| {
        let Kind::List(list) = &value.kind else {
            return Value::doubtful(reason_of(&value, "a list is not known", at));
        };
        let mut texts = Vec::with_capacity(list.items.len());
        for item in &list.items {
            let item = ev.force(*item);
            texts.push(ev.interpolate(&item, at));
        }
        if let Some(unknown) = &list.open {
            texts.push(Text { pieces: vec![Piece::Unknown(Rc::clone(unknown))], ..Text::default() });
        }
        joined(ev, texts, &separator, at)
    })
}

/// Texts with a separator between them; a single one stays the token that it is.
fn joined(ev: &mut Eval, mut texts: Vec<Text>, separator: &Text, at: Location) -> Value {
    if texts.len() == 1 {
        return texts.pop().map_or_else(|| Value::text(""), string);
    }
    let bytes = separator.length().saturating_mul(texts.len());
    if let Err(over) = ev.budget.charge(Cost::Bytes(bytes), Some(at)) {
        return over.value();
    }
    let mut parts = Vec::with_capacity(2 * texts.len());
    for (i, text) in texts.into_iter().enumerate() {
        if i > 0 {
            parts.push(separator.clone());
        }
        parts.push(text);
    }
    match ev.concat(&parts, at) {
        Ok(text) => string(text),
        Err(over) => over.value(),
    }
}

fn concat_lines(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_list(ev, args[0], at, &mut |ev, list| {
        let newline = Value::text("\n");
        let mut items = Vec::new();
        for item in &list.items {
            let item = ev.force(*item);
            let line = ev.add(&item, &newline, at);
            items.push(ev.done(line));
        }
        let lines = ev.done(rebuilt(list, items));
        join(ev, None, lines, at)
    })
}

fn map_join(
    ev: &mut Eval,
    separator: Option<ThunkId>,
    function: ThunkId,
    items: ThunkId,
    at: Location,
) -> Value {
    let mapped = super::lists::map(ev, &[function, items], at);
    let mapped = ev.done(mapped);
    join(ev, separator, mapped, at)
}

fn split_string(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let separator = ev.force(args[0]).known_text();
    let value = ev.force(args[1]);
    ev.each(value, &mut |ev, value| {
        let (Kind::Str(text), Some(known), Some(separator)) =
            (&value.kind, value.known_text(), separator.as_ref())
        else {
            return Value::doubtful(reason_of(&value, "a string is not known", at));
        };
        if separator.is_empty() {
            return Value::doubtful(reason_of(&value, "a string split at nothing", at));
        }
        let count = known.matches(separator.as_ref()).count();
        if let Err(over) = ev.budget.charge(Cost::Bytes(known.len() + 100 * count), Some(at)) {
            return over.value();
        }
        let items = known
            .split(separator.as_ref())
            .map(|part| ev.done(string(changed(text, &known, part))))
            .collect();
        Value::list(items)
    })
}

fn replace_strings(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let (Some(from), Some(to)) = (texts(ev, args[0], at), texts(ev, args[1], at)) else {
        return Value::unknown(Doubt::Unmodelled, "a replacement is not known", Some(at));
    };
    if from.len() != to.len() {
        return crate::eval::error("`replaceStrings` needs two lists of one length", at);
    }
    if from.iter().any(|text| text.is_empty()) {
        return Value::unknown(Doubt::Unmodelled, "a replacement of nothing", Some(at));
    }
    let value = ev.force(args[2]);
    ev.each(value, &mut |ev, value| match (&value.kind, value.known_text()) {
        (Kind::Str(text), Some(known)) => match replace(ev, &known, &from, &to, at) {
            Ok(new) => {
                Value { kind: Kind::Str(Rc::new(changed(text, &known, &new))), trail: value.trail.clone() }
            }
            Err(over) => over.value(),
        },
        _ => Value::doubtful(reason_of(&value, "a string is not known", at)),
    })
}

/// Replaces as Nix does: at each place the first of the patterns that fits. The length of the answer is known, and paid
/// for, before it is built (fixture `budget-replacements`).
fn replace(
    ev: &Eval,
    text: &str,
    from: &[Rc<str>],
    to: &[Rc<str>],
    at: Location,
) -> Result<String, OverBudget> {
    ev.budget.charge(Cost::Bytes(text.len().saturating_mul(from.len())), Some(at))?;
    let hits = hits(text, from);
    let removed: usize = hits.iter().map(|(_, which)| from[*which].len()).sum();
    let added: usize = hits.iter().map(|(_, which)| to[*which].len()).sum();
    ev.budget.charge(Cost::Bytes(text.len() - removed + added + 16 * hits.len()), Some(at))?;
    let mut out = String::with_capacity(text.len() - removed + added);
    let mut end = 0;
    for (start, which) in hits {
        out.push_str(&text[end..start]);
        out.push_str(&to[which]);
        end = start + from[which].len();
    }
    out.push_str(&text[end..]);
    Ok(out)
}

/// Where which of the patterns is replaced.
fn hits(text: &str, from: &[Rc<str>]) -> Vec<(usize, usize)> {
    let mut hits = Vec::new();
    let mut end = 0;
    for (start, _) in text.char_indices() {
        let fits = |pattern: &Rc<str>| text[start..].starts_with(pattern.as_ref());
        if start >= end
            && let Some(which) = from.iter().position(fits)
        {
            hits.push((start, which));
            end = start + from[which].len();
        }
    }
    hits
}

fn length(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    match ev.force(args[0]).known_text() {
        Some(text) => Value::new(Kind::Int(i64::try_from(text.len()).unwrap_or(i64::MAX))),
        None => Value::unknown(Doubt::Unmodelled, "a string is not known", Some(at)),
    }
}

fn substring(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let (Kind::Int(start), Kind::Int(length)) = (ev.force(args[0]).kind, ev.force(args[1]).kind) else {
        return Value::unknown(Doubt::Unmodelled, "a number is not known", Some(at));
    };
    let Ok(start) = usize::try_from(start) else {
        return crate::eval::error("negative start position in `substring`", at);
    };
    try_change(ev, args[2], at, &|text| {
        let start = start.min(text.len());
        // To Nix a negative length is all the rest.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let end = start.saturating_add(length).min(text.len());
        // Nix counts bytes; half a character is not text of ours.
        text.get(start..end).map(str::to_owned)
    })
}

fn optional_string(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let [condition, argument] = [args[0], args[1]];
    ev.given_where(condition, argument, Value::text(""), at, |ev| ev.force(argument))
}

pub(super) fn to_string(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    ev.each(value, &mut |ev, value| {
        if matches!(value.kind, Kind::Str(_)) {
            return value;
        }
        let text = text_of(ev, &value, at, 0);
        Value { kind: Kind::Str(Rc::new(text)), trail: value.trail }
    })
}

/// What `toString` makes of a value; lists become words.
fn text_of(ev: &mut Eval, value: &Value, at: Location, depth: u32) -> Text {
    // Lists in lists, made by a recursion, would exhaust the stack.
    const DEEPEST: u32 = 100;
    let known = match &value.kind {
        Kind::Path(path) => path.to_string_lossy().into_owned(),
        Kind::Null | Kind::Bool(false) => String::new(),
        Kind::Bool(true) => "1".to_owned(),
        Kind::Float(number) => format!("{number:.6}"),
        Kind::List(list) if list.open.is_none() && depth < DEEPEST => return words(ev, list, at, depth),
        Kind::List(list) => {
            let why = reason_of(value, "a list is nested too deeply", at);
            let why = list.open.clone().unwrap_or(why);
            return Text { pieces: vec![Piece::Unknown(why)], ..Text::default() };
        }
        _ => return ev.interpolate(value, at),
    };
    Text { pieces: vec![Piece::Text(Rc::from(known))], ..Text::default() }
}

fn words(ev: &mut Eval, list: &List, at: Location, depth: u32) -> Text {
    let space = Text { pieces: vec![Piece::Text(Rc::from(" "))], ..Text::default() };
    let mut parts = Vec::new();
    for (i, item) in list.items.iter().enumerate() {
        let item = ev.force(*item);
        parts.push(text_of(ev, &item, at, depth + 1));
        // Nix puts no space after an empty list.
        let empty = matches!(&item.kind, Kind::List(inner) if inner.items.is_empty() && inner.open.is_none());
        if i + 1 < list.items.len() && !empty {
            parts.push(space.clone());
        }
    }
    let whole = ev.concat(&parts, at);
    whole.unwrap_or_else(|over| {
        let why = reason_of(&over.value(), "", at);
        Text { pieces: vec![Piece::Unknown(why)], ..Text::default() }
    })
}

fn characters(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    match ev.force(args[0]).known_text() {
        // Nix splits at bytes.
        Some(text) if text.is_ascii() => {
            if let Err(over) = ev.budget.charge(Cost::Items(text.len()), Some(at)) {
                return over.value();
            }
            let items = text.chars().map(|c| ev.done(Value::text(c.encode_utf8(&mut [0; 4])))).collect();
            Value::list(items)
        }
        _ => Value::unknown(Doubt::Unmodelled, "a string is not known", Some(at)),
    }
}

fn get_name(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    if !matches!(value.kind, Kind::Attrs(_)) {
        return part_of_name(&value, at, |(name, _)| name);
    }
    if let Some(name) = ev.peek_attr(&value, "pname", at) {
        return name;
    }
    let name = ev.select(&value, "name", at);
    part_of_name(&name, at, |(name, _)| name)
}

/// A name and the version behind it: from the first dash on that no letter follows.
fn split_name(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let dash = bytes.windows(2).position(|pair| pair[0] == b'-' && !pair[1].is_ascii_alphabetic());
    dash.map_or((text, ""), |dash| (&text[..dash], &text[dash + 1..]))
}

fn part_of_name(value: &Value, at: Location, part: for<'a> fn((&'a str, &'a str)) -> &'a str) -> Value {
    match value.known_text() {
        Some(text) => Value::text(part(split_name(&text))),
        None => Value::doubtful(reason_of(value, "a name is not known", at)),
    }
}

fn parse_name(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    let (name, version) =
        (part_of_name(&value, at, |(name, _)| name), part_of_name(&value, at, |(_, version)| version));
    let (name, version) = (ev.done(name), ev.done(version));
    Value::attrs(Attrs::of([(Rc::from("name"), name), (Rc::from("version"), version)]))
}

fn get_version(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    if !matches!(value.kind, Kind::Attrs(_)) {
        return part_of_name(&value, at, |(_, version)| version);
    }
    if let Some(version) = ev.peek_attr(&value, "version", at) {
        return version;
    }
    let name = ev.select(&value, "name", at);
    part_of_name(&name, at, |(_, version)| version)
}

fn bool_to_string(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    match ev.decide(&value, [None, None]) {
        Some(flag) => Value::text(if flag { "true" } else { "false" }),
        None => Value::doubtful(reason_of(&value, "a condition is not known", at)),
    }
}
