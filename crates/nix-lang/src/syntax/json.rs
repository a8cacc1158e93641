//! JSON with the byte span of every value: strings that hold hashes are edited in place.
//!
//! `serde_json` reads the document. What it hands out as raw text is a slice of the document, which has a place. What Nix
//! refuses is refused: trailing commas, comments, `NaN`, numbers that overflow, lone surrogates, control characters.

use std::fmt;
use std::rc::Rc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::ast::{Span, to_u32};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Json,
}

/// A JSON value; objects keep their order, and names that are there twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without a fraction, as Nix reads it.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Rc<Spanned>>),
    /// Names and values in their order; of equal names the last one counts.
    Object(Vec<(String, Rc<Spanned>)>),
    /// Versions of Nix differ in what they make of it.
    Disputed,
}

/// Deeper than any data file seen; each level is read once more for each level around it.
const MAX_DEPTH: usize = 200;

/// Parses one JSON document; `None` when it is none.
#[must_use]
pub fn parse(text: &str) -> Option<Spanned> {
    // Nix skips the mark as well.
    let body = text.strip_prefix(super::BOM).unwrap_or(text);
    let raw: &RawValue = serde_json::from_str(body).ok()?;
    spanned(raw, text, 0)
}

fn spanned(raw: &RawValue, document: &str, depth: usize) -> Option<Spanned> {
    if depth > MAX_DEPTH {
        return None;
    }
    let text = raw.get();
    // Both are addresses of one text: the raw value is borrowed from the document.
    let start = text.as_ptr() as usize - document.as_ptr() as usize;
    let inner = |raw: &RawValue| spanned(raw, document, depth + 1).map(Rc::new);
    let value = match text.as_bytes().first()? {
        b'{' => {
            let Entries(entries) = serde_json::from_str(text).ok()?;
            let entries = entries.into_iter().map(|(name, raw)| Some((name, inner(raw)?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            Json::List(items.into_iter().map(inner).collect::<Option<_>>()?)
        }
        b'"' => self::text(serde_json::from_str(text).ok()?),
        b't' | b'f' => Json::Bool(serde_json::from_str(text).ok()?),
        b'n' => Json::Null,
        _ => number(text)?,
    };
    Some(Spanned { span: Span { start: to_u32(start), end: to_u32(start + text.len()) }, value })
}

/// No string of Nix holds a zero byte: some versions cut it off there, others refuse it.
fn text(text: String) -> Json {
    if text.contains('\0') { Json::Disputed } else { Json::Text(text) }
}

/// An integer of 64 bits, or a float. Integers that only fit without their sign wrap around in older versions of Nix.
fn number(text: &str) -> Option<Json> {
    if let Ok(number) = text.parse() {
        return Some(Json::Int(number));
    }
    let float: f64 = serde_json::from_str(text).ok()?;
    Some(if text.parse::<u64>().is_ok() { Json::Disputed } else { Json::Float(float) })
}

/// The entries of an object, in order.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<Json> {
        parse(text).map(|spanned| spanned.value)
    }

    #[test]
    fn what_nix_refuses_is_no_json() {
        for text in [
            "",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "NaN",
            "[Infinity]",
            "01",
            "+1",
            "1.",
            ".5",
            "1e400",
            "'a'",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"a\tb\"",
            "// c\n1",
            "1 2",
            "tru",
            "[1",
            "\"a",
            "-",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
        assert_eq!(value(&format!("{}{}", "[".repeat(300), "]".repeat(300))), None);
        assert_eq!(value(&"[".repeat(100_000)), None);
    }

    #[test]
    fn numbers_keep_their_kind() {
        assert_eq!(value("-9223372036854775808"), Some(Json::Int(i64::MIN)));
        assert_eq!(value("-0"), Some(Json::Int(0)));
        assert_eq!(value("1e2"), Some(Json::Float(100.0)));
        assert_eq!(value("9223372036854775808"), Some(Json::Disputed));
        assert_eq!(value("100000000000000000000"), Some(Json::Float(1e20)));
        assert_eq!(value("\"\\u0000\""), Some(Json::Disputed));
    }

    #[test]
    fn spans_are_those_of_the_text_whatever_is_escaped() {
        let text = "\u{feff} { \"ä\\\"\" : [ \"sha256-a\\/b=\" , { \"x\": \"\u{1f600}\" } ] } ";
        let document = parse(text).expect("a document");
        let mut texts = Vec::new();
        let mut queue = vec![Rc::new(document)];
        while let Some(next) = queue.pop() {
            match &next.value {
                Json::Object(entries) => queue.extend(entries.iter().map(|(_, value)| Rc::clone(value))),
                Json::List(items) => queue.extend(items.iter().cloned()),
                Json::Text(value) => {
                    texts.push((
                        text[next.span.start as usize..next.span.end as usize].to_owned(),
                        value.clone(),
                    ));
                }
                _ => {}
            }
        }
        texts.sort();
        let expected = [("\"sha256-a\\/b=\"", "sha256-a/b="), ("\"\u{1f600}\"", "\u{1f600}")];
        assert_eq!(texts, expected.map(|(raw, value)| (raw.to_owned(), value.to_owned())));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_stop(text in "[\\[\\]{}\":,0-9a-z\\\\ \\.\u{e9}-]{0,40}") {
            let _ = parse(&text);
            let _ = super::super::toml::parse(&text);
        }
    }
}
