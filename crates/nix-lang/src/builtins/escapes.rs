//! Strings made safe for another language: shells, regular expressions, URLs, names of derivations.

use std::fmt::Write as _;
use std::rc::Rc;

use super::lists::{on_list, rebuilt, texts};
use super::order::components;
use super::strings::{join, to_string, try_change};
use super::{Native, lib};
use crate::budget::Cost;
use crate::eval::Eval;
use crate::syntax::ast::Location;
use crate::value::{Doubt, Kind, Piece, Text, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    lib("escape", 2, escape),
    lib("escapeRegex", 1, |ev, a, at| try_change(ev, a[0], at, &|text| Some(escaped(text, "\\[{()^$?*+|.")))),
    lib("escapeShellArg", 1, |ev, a, at| shell_argument(ev, a[0], at)),
    lib("escapeShellArgs", 1, shell_arguments),
    lib("escapeNixString", 1, |ev, a, at| try_change(ev, a[0], at, &nix_string)),
    lib("escapeXML", 1, |ev, a, at| try_change(ev, a[0], at, &|text| Some(xml(text)))),
    lib("escapeURL", 1, |ev, a, at| try_change(ev, a[0], at, &url)),
    lib("sanitizeDerivationName", 1, |ev, a, at| {
        try_change(ev, a[0], at, &|text| Some(derivation_name(text)))
    }),
    lib("versions.major", 1, |ev, a, at| try_change(ev, a[0], at, &|text| part_of_version(text, 0))),
    lib("versions.minor", 1, |ev, a, at| try_change(ev, a[0], at, &|text| part_of_version(text, 1))),
    lib("versions.patch", 1, |ev, a, at| try_change(ev, a[0], at, &|text| part_of_version(text, 2))),
    lib("versions.majorMinor", 1, |ev, a, at| {
        try_change(ev, a[0], at, &|text| {
            Some(components(text).into_iter().take(2).collect::<Vec<_>>().join("."))
        })
    }),
];

/// A backslash before each of these characters.
fn escaped(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// `lib.escape characters text`.
fn escape(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let Some(list) = texts(ev, args[0], at) else {
        return Value::unknown(Doubt::Unmodelled, "what is to be escaped is not known", Some(at));
    };
    // Longer texts are possible, and rare; which of several fits first would count then.
    if list.iter().any(|text| text.chars().count() != 1) {
        return Value::unknown(Doubt::Unmodelled, "`escape` of other texts than characters", Some(at));
    }
    let special: String = list.iter().map(AsRef::as_ref).collect();
    try_change(ev, args[1], at, &|text| Some(escaped(text, &special)))
}

/// What no shell takes for anything else; nixpkgs leaves such texts as they are.
fn is_plain_in_shells(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b",._+:@%/-".contains(&byte))
}

/// `lib.escapeShellArg`: as it is, or in single quotes. A source inside of it is a path of the store, which no shell
/// takes for anything else either.
fn shell_argument(ev: &mut Eval, id: ThunkId, at: Location) -> Value {
    let text = to_string(ev, &[id], at);
    ev.each(text, &mut |ev, value| {
        let Kind::Str(text) = &value.kind else { return value };
        let plain = |piece: &Piece| match piece {
            Piece::Text(text) => is_plain_in_shells(text),
            Piece::Source(source) => is_plain_in_shells(&source.sub),
            Piece::Unknown(_) => false,
        };
        if text.length() + text.pieces.len() > 0 && text.pieces.iter().all(plain) && !is_empty(text) {
            return value;
        }
        if let Some(Piece::Unknown(unknown)) = text.pieces.iter().find(|p| matches!(p, Piece::Unknown(_))) {
            return Value::doubtful(Rc::clone(unknown));
        }
        match quoted(ev, text, at) {
            Ok(text) => crate::eval::string(text),
            Err(over) => over.value(),
        }
    })
}

fn is_empty(text: &Text) -> bool {
    text.known().is_some_and(|text| text.is_empty())
}

fn quoted(ev: &Eval, text: &Text, at: Location) -> Result<Text, crate::budget::OverBudget> {
    let known = |text: &str| Text { pieces: vec![Piece::Text(Rc::from(text))], ..Text::default() };
    let mut parts = vec![known("'")];
    for piece in &text.pieces {
        parts.push(match piece {
            Piece::Text(text) => known(&text.replace('\'', "'\\''")),
            other => Text { pieces: vec![other.clone()], ..Text::default() },
        });
    }
    parts.push(known("'"));
    ev.concat(&parts, at)
}

fn shell_arguments(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_list(ev, args[0], at, &mut |ev, list| {
        ev.budget.spend(Cost::Items(list.items.len()));
        let mut items = Vec::new();
        for item in &list.items {
            let word = shell_argument(ev, *item, at);
            items.push(ev.done(word));
        }
        let (space, words) = (ev.done(Value::text(" ")), ev.done(rebuilt(list, items)));
        join(ev, Some(space), words, at)
    })
}

/// `lib.escapeNixString`: JSON with `$` escaped. Versions of Nix differ in how they write control characters.
fn nix_string(text: &str) -> Option<String> {
    let common = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if !text.chars().all(common) {
        return None;
    }
    serde_json::to_string(text).ok().map(|json| json.replace('$', "\\$"))
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            other => out.push(other),
        }
    }
    out
}

/// `lib.escapeURL` knows printable ASCII, and three more.
fn url(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else if (b' '..=b'~').contains(&byte) || b"\t\n\r".contains(&byte) {
            let _ = write!(out, "%{byte:02X}");
        } else {
            return None;
        }
    }
    Some(out)
}

/// `lib.strings.sanitizeDerivationName` (fixture `lib-derivation-name`).
fn derivation_name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+._?=-".contains(c);
    let mut out = String::new();
    let mut gap = false;
    for c in text.trim_start_matches('.').chars() {
        if fits(c) {
            out.push(c);
        } else if !gap {
            out.push('-');
        }
        gap = !fits(c);
    }
    // What is kept is the end.
    let out = &out[out.len().saturating_sub(207)..];
    if out.is_empty() { "unknown".to_owned() } else { out.to_owned() }
}

/// `None`, an error, where there is no such part.
fn part_of_version(text: &str, which: usize) -> Option<String> {
    components(text).get(which).map(|part| (*part).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_derivations() {
        assert_eq!(derivation_name("@x/y"), "-x-y");
        assert_eq!(derivation_name("..a é b"), "a-b");
        assert_eq!(derivation_name("."), "unknown");
        assert_eq!(derivation_name(&"x".repeat(300)).len(), 207);
    }
}
