//! `builtins.match` and `builtins.split`: POSIX extended expressions, as far as both dialects agree on the answer.

use std::rc::Rc;

use super::{Native, builtin};
use crate::budget::{Cost, OverBudget};
use crate::eval::{Eval, reason_of};
use crate::syntax::ast::Location;
use crate::value::{Doubt, Kind, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[builtin("match", 2, match_whole), builtin("split", 2, split)];

/// What is sure about an expression.
struct Pattern {
    regex: regex_lite::Regex,
    groups: bool,
    /// Which text each group holds.
    sure_groups: bool,
    /// Where a match ends that may end in several places.
    sure_end: bool,
}

/// An expression that both dialects read alike; `None` for any other one.
fn pattern(text: &str, anchored: bool) -> Option<Pattern> {
    // Nix counts bytes where ours counts characters.
    if !text.is_ascii() || ["()", "(|", "|)", "||"].iter().any(|odd| text.contains(odd)) {
        return None;
    }
    if text.starts_with('|') || text.ends_with('|') {
        return None;
    }
    let mut quantifiers = 0;
    let (mut groups, mut alternatives, mut quantified_group) = (false, false, false);
    let mut bracket = false;
    let mut before = '\0';
    for c in text.chars() {
        match c {
            // In brackets a backslash is a character like any other; elsewhere it takes no letters.
            _ if before == '\\' && (bracket || c.is_ascii_alphanumeric()) => return None,
            _ if before == '\\' => {
                before = '\0';
                continue;
            }
            ']' if bracket && before != '[' && before != '^' => bracket = false,
            '[' if !bracket => bracket = true,
            _ if bracket => {}
            '(' => groups = true,
            '|' => alternatives = true,
            '*' | '+' | '?' | '{' => {
                if matches!(before, '*' | '+' | '?' | '}' | '(' | '\0') {
                    return None;
                }
                quantifiers += 1;
                quantified_group |= before == ')';
            }
            _ => {}
        }
        before = c;
    }
    let whole = if anchored { format!("(?s)^(?:{text})$") } else { format!("(?s){text}") };
    let regex = regex_lite::RegexBuilder::new(&whole).size_limit(LARGEST).build().ok()?;
    let plain = !alternatives && !quantified_group;
    Some(Pattern { regex, groups, sure_groups: plain, sure_end: plain && quantifiers <= 1 })
}

/// Bytes of a compiled expression: its size times the text's is what a search may take.
const LARGEST: usize = 64 << 10;

/// Whether a search is within the budget; repetitions multiply the expression.
fn pay(ev: &Eval, pattern: &str, text: &str, at: Location) -> Result<(), OverBudget> {
    let states = if pattern.contains('{') { LARGEST / 32 } else { pattern.len() };
    ev.budget.charge(Cost::Bytes(text.len().saturating_mul(states + 1)), Some(at))
}

fn not_sure(at: Location) -> Value {
    Value::unknown(Doubt::Unmodelled, "what a regular expression matches is not known", Some(at))
}

fn captured(ev: &mut Eval, captures: &regex_lite::Captures) -> Value {
    let items = (1..captures.len())
        .map(|group| {
            let text = captures.get(group).map(|found| found.as_str());
            ev.done(text.map_or_else(|| Value::new(Kind::Null), Value::text))
        })
        .collect();
    Value::list(items)
}

/// `builtins.match`: the groups if the whole text matches, else null.
fn match_whole(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let written = ev.force(args[0]).known_text();
    let pattern = written.as_ref().and_then(|text| pattern(text, true));
    let value = ev.force(args[1]);
    ev.each(value, &mut |ev, value| {
        let text = match &value.kind {
            Kind::Str(text) if text.system => None,
            _ => value.known_text(),
        };
        let text = text.filter(|text| text.is_ascii());
        let (Some(pattern), Some(written), Some(text)) = (&pattern, &written, text) else {
            return Value::doubtful(reason_of(&value, "what a regular expression matches is not known", at));
        };
        if let Err(over) = pay(ev, written, &text, at) {
            return over.value();
        }
        match pattern.regex.captures(&text) {
            None => Value::new(Kind::Null),
            Some(_) if pattern.groups && !pattern.sure_groups => Value::list(Vec::new()).opened(at),
            Some(captures) => captured(ev, &captures),
        }
    })
}

/// `builtins.split`: the texts between the matches, and the groups of each match.
fn split(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let written = ev.force(args[0]).known_text();
    let pattern = written.as_ref().and_then(|text| pattern(text, false));
    let text = ev.force(args[1]).known_text().filter(|text| text.is_ascii());
    let (Some(pattern), Some(written), Some(text)) = (pattern, written, text) else { return not_sure(at) };
    if let Err(over) = pay(ev, &written, &text, at) {
        return over.value();
    }
    if !pattern.sure_end || pattern.regex.is_match("") {
        return not_sure(at);
    }
    let mut items = Vec::new();
    let mut from = 0;
    for captures in pattern.regex.captures_iter(&text) {
        let Some(found) = captures.get(0) else { continue };
        ev.budget.spend(Cost::Items(2 + captures.len()));
        items.push(ev.done(Value::text(&text[from..found.start()])));
        let groups = captured(ev, &captures);
        items.push(ev.done(groups));
        from = found.end();
    }
    items.push(ev.done(Value::text(&text[from..])));
    Value::list(items)
}

impl Value {
    /// The same list, which may have other items.
    fn opened(self, at: Location) -> Self {
        let why = reason_of(&not_sure(at), "", at);
        match &self.kind {
            Kind::List(list) => {
                let mut list = list.as_ref().clone();
                list.leave_open(why);
                Value { kind: Kind::List(Rc::new(list)), trail: self.trail }
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_dialects_agree_on_is_sure() {
        assert!(pattern(r"v([0-9]+)\.([0-9]+).*", true).is_some_and(|p| p.sure_groups && !p.sure_end));
        assert!(pattern("[ \n]+", false).is_some_and(|p| p.sure_end && !p.groups));
        assert!(pattern("(a|ab)(c|bcd)", true).is_some_and(|p| !p.sure_groups));
        assert!(pattern(r"\d+", true).is_none());
        assert!(pattern("a*?", true).is_none());
        assert!(pattern(r"[^\.]*", true).is_none());
    }
}
