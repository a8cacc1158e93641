//! TOML as the same spanned tree as JSON.

use std::rc::Rc;

use toml_edit::{Document, Item, Value};

use super::ast::{Span, to_u32};
use super::json::{Json, Spanned};

/// Parses a TOML document; `None` when it is none.
#[must_use]
pub fn parse(text: &str) -> Option<Spanned> {
    let document = Document::parse(text).ok()?;
    Some(item(document.as_item()))
}

fn item(item: &Item) -> Spanned {
    let range = item.span();
    let json = match item {
        Item::None => Json::Null,
        Item::Value(value) => return self::value(value),
        Item::Table(table) => {
            Json::Object(table.iter().map(|(k, v)| (k.to_owned(), Rc::new(self::item(v)))).collect())
        }
        Item::ArrayOfTables(tables) => Json::List(
            tables
                .iter()
                .map(|table| {
                    let entries = table.iter().map(|(k, v)| (k.to_owned(), Rc::new(self::item(v)))).collect();
                    Rc::new(Spanned { span: span(table.span()), value: Json::Object(entries) })
                })
                .collect(),
        ),
    };
    Spanned { span: span(range), value: json }
}

fn value(value: &Value) -> Spanned {
    let json = match value {
        Value::String(text) => Json::Text(text.value().clone()),
        Value::Integer(number) => Json::Int(*number.value()),
        Value::Float(number) => Json::Float(*number.value()),
        Value::Boolean(flag) => Json::Bool(*flag.value()),
        // Nix refuses a document with a date in it, experimental features aside: whatever is said of one does no harm.
        Value::Datetime(time) => Json::Text(time.value().to_string()),
        Value::Array(items) => Json::List(items.iter().map(|item| Rc::new(self::value(item))).collect()),
        Value::InlineTable(table) => {
            Json::Object(table.iter().map(|(k, v)| (k.to_owned(), Rc::new(self::value(v)))).collect())
        }
    };
    Spanned { span: span(value.span()), value: json }
}

fn span(range: Option<std::ops::Range<usize>>) -> Span {
    range.map_or(Span { start: 0, end: 0 }, |r| Span { start: to_u32(r.start), end: to_u32(r.end) })
}
