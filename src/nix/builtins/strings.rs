//! Strings. A string that only loses white space at its ends is still the token that it came from.

use std::rc::Rc;

use super::lists::list;
use super::{Native, row};
use crate::nix::budget::{Cost, OverBudget};
use crate::nix::eval::{Eval, concat, reason_of, string};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Doubt, Kind, Piece, Text, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    row("concatStrings", 1, |ev, a, at| join(ev, None, a[0], at)),
    row("concatStringsSep", 2, |ev, a, at| join(ev, Some(a[0]), a[1], at)),
    row("concatLines", 1, concat_lines),
    row("concatMapStrings", 2, |ev, a, at| map_join(ev, None, a[0], a[1], at)),
    row("concatMapStringsSep", 3, |ev, a, at| map_join(ev, Some(a[0]), a[1], a[2], at)),
    row("splitString", 2, split_string),
    row("replaceStrings", 3, replace_strings),
    row("removePrefix", 2, |ev, a, at| {
        affix(ev, a, at, |affix, text| text.strip_prefix(affix).unwrap_or(text).to_owned())
    }),
    row("removeSuffix", 2, |ev, a, at| {
        affix(ev, a, at, |affix, text| text.strip_suffix(affix).unwrap_or(text).to_owned())
    }),
    row("hasPrefix", 2, |ev, a, at| test(ev, a, at, |affix, text| text.starts_with(affix))),
    row("hasSuffix", 2, |ev, a, at| test(ev, a, at, |affix, text| text.ends_with(affix))),
    row("hasInfix", 2, |ev, a, at| test(ev, a, at, |affix, text| text.contains(affix))),
    row("toLower", 1, |ev, a, at| change(ev, a[0], at, str::to_ascii_lowercase)),
    row("toUpper", 1, |ev, a, at| change(ev, a[0], at, str::to_ascii_uppercase)),
    row("trim", 1, |ev, a, at| {
        change(ev, a[0], at, |text| text.trim_matches([' ', '\t', '\r', '\n']).to_owned())
    }),
    row("chomp", 1, |ev, a, at| change(ev, a[0], at, |text| text.trim_end_matches(['\r', '\n']).to_owned())),
    row("escapeShellArg", 1, |ev, a, at| as_string(ev, a[0], at)),
    row("unsafeDiscardStringContext", 1, |ev, a, at| as_string(ev, a[0], at)),
    row("unsafeDiscardOutputDependency", 1, |ev, a, at| as_string(ev, a[0], at)),
    row("addContextFrom", 2, |ev, a, at| as_string(ev, a[1], at)),
    row("escape", 2, |ev, a, at| as_string(ev, a[1], at)),
    row("stringLength", 1, length),
    row("substring", 3, substring),
    row("optionalString", 2, optional_string),
    row("toString", 1, to_string),
    row("stringToCharacters", 1, characters),
    row("getName", 1, get_name),
    row("getVersion", 1, get_version),
    row("versions.major", 1, |ev, a, at| change(ev, a[0], at, |text| parts(text, 1))),
    row("versions.majorMinor", 1, |ev, a, at| change(ev, a[0], at, |text| parts(text, 2))),
    row("sanitizeDerivationName", 1, |ev, a, at| as_string(ev, a[0], at)),
    row("boolToString", 1, bool_to_string),
    row("escapeURL", 1, |ev, a, at| change(ev, a[0], at, escape_url)),
];

fn parts(text: &str, count: usize) -> String {
    text.split('.').take(count).collect::<Vec<_>>().join(".")
}

fn escape_url(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A changed string: still the same token if only white space at its ends went away.
fn changed(from: &Text, old: &str, new: &str) -> Text {
    let same = old.trim() == new.trim();
    Text {
        pieces: vec![Piece::Text(Rc::from(new))],
        token: from.token.clone().filter(|_| same),
        system: from.system && old == new,
        file: from.file.filter(|_| old.starts_with(new)),
    }
}

fn change(ev: &mut Eval, id: ThunkId, at: Location, run: impl Fn(&str) -> String) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |_, value| match (&value.kind, value.known_text()) {
        (Kind::Str(text), Some(known)) => {
            let text = changed(text, &known, &run(&known));
            Value { kind: Kind::Str(Rc::new(text)), trail: value.trail.clone() }
        }
        _ => Value::doubtful(reason_of(&value, "a string is not known", at)),
    })
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
    ev.each(value, &mut |_, value| {
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

fn join(ev: &mut Eval, separator: Option<ThunkId>, items: ThunkId, at: Location) -> Value {
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
        let mut sum = Text::default();
        for (i, item) in list.items.iter().enumerate() {
            if i > 0 {
                sum = concat(&sum, &separator);
            }
            let item = ev.force(*item);
            let text = ev.interpolate(&item, at);
            sum = if list.items.len() == 1 { text } else { concat(&sum, &text) };
        }
        if let Some(unknown) = &list.open {
            sum = concat(&sum, &Text { pieces: vec![Piece::Unknown(Rc::clone(unknown))], ..Text::default() });
        }
        string(sum)
    })
}

fn concat_lines(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let newline = ev.done(Value::text("\n"));
    let joined = join(ev, Some(newline), args[0], at);
    ev.add(&joined, &Value::text("\n"), at)
}

fn map_join(
    ev: &mut Eval,
    separator: Option<ThunkId>,
    function: ThunkId,
    items: ThunkId,
    at: Location,
) -> Value {
    let mapped = super::call(ev, "map", &[function, items], at);
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
        let items = known
            .split(separator.as_ref())
            .map(|part| ev.done(string(changed(text, &known, part))))
            .collect();
        Value::list(items)
    })
}

fn texts(ev: &mut Eval, id: ThunkId, at: Location) -> Option<Vec<Rc<str>>> {
    let list = list(ev, id, at).ok()?;
    list.items.iter().map(|item| ev.force(*item).known_text()).collect()
}

fn replace_strings(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let (Some(from), Some(to)) = (texts(ev, args[0], at), texts(ev, args[1], at)) else {
        return Value::unknown(Doubt::Unmodelled, "a replacement is not known", Some(at));
    };
    if from.len() != to.len() {
        return crate::nix::eval::error("`replaceStrings` needs two lists of one length", at);
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
/// for, before it is built (fixture `replacestrings-bomb`).
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
    change(ev, args[2], at, |text| {
        let start = usize::try_from(start).unwrap_or(0).min(text.len());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let end = start.saturating_add(length).min(text.len());
        text.get(start..end).unwrap_or("").to_owned()
    })
}

fn optional_string(ev: &mut Eval, args: &[ThunkId], _: Location) -> Value {
    let condition = ev.force(args[0]);
    match crate::nix::value::truth(&condition) {
        Some(true) => ev.force(args[1]),
        Some(false) => Value::text(""),
        None => {
            let given = ev.force(args[1]);
            crate::nix::eval::join(vec![given, Value::text("")])
        }
    }
}

fn to_string(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    ev.each(value, &mut |ev, value| match &value.kind {
        Kind::Str(_) => value,
        Kind::Path(path) => Value::text(&path.to_string_lossy()),
        Kind::Null => Value::text(""),
        Kind::Bool(flag) => Value::text(if *flag { "1" } else { "" }),
        Kind::List(_) => {
            let space = ev.done(Value::text(" "));
            let items = ev.done(value);
            join(ev, Some(space), items, at)
        }
        _ => {
            let text = ev.interpolate(&value, at);
            Value { kind: Kind::Str(Rc::new(text)), trail: value.trail }
        }
    })
}

fn characters(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    match ev.force(args[0]).known_text() {
        Some(text) if text.len() <= 4096 => {
            let items = text.chars().map(|c| ev.done(Value::text(c.encode_utf8(&mut [0; 4])))).collect();
            Value::list(items)
        }
        _ => Value::unknown(Doubt::Unmodelled, "a string is not known", Some(at)),
    }
}

fn get_name(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    match &value.kind {
        Kind::Attrs(_) => match ev.peek_attr(&value, "pname", at) {
            Some(name) => name,
            None => ev.select(&value, "name", at),
        },
        _ => Value::unknown(Doubt::Unmodelled, "a name is not known", Some(at)),
    }
}

fn get_version(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    match &value.kind {
        Kind::Attrs(_) => ev.select(&value, "version", at),
        _ => Value::unknown(Doubt::Unmodelled, "a version is not known", Some(at)),
    }
}

fn bool_to_string(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    match crate::nix::value::truth(&value) {
        Some(flag) => Value::text(if flag { "true" } else { "false" }),
        None => Value::doubtful(reason_of(&value, "a condition is not known", at)),
    }
}
