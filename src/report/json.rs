//! JSON that is safe to look at: what does not show, or moves what does, is written as `\u`.

use std::fmt::Write as _;

use serde::Serialize;

use super::human::is_invisible;

/// A document, indented, with a final newline.
///
/// serde writes C0 controls as `\u` only, because JSON asks for no more; names in a repository may also hold C1 controls
/// and marks that turn the direction of writing, and a log that holds this document is shown in terminals.
#[must_use]
pub fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("bug: what is reported always serialises");
    text.push('\n');
    // Outside of strings JSON has no such characters but line feeds.
    let odd = |c: char| c != '\n' && is_invisible(c);
    if !text.contains(odd) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        if odd(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_is_escaped_and_read_back_the_same() {
        let value =
            serde_json::json!({ "ä\u{202e}": ["\u{1b}]0;x\u{7}", "\u{9b}2J\u{7f}", "\u{e0041}\u{feff}\n"] });
        let text = json(&value);
        assert_eq!(
            text,
            "{\n  \"ä\\u202e\": [\n    \"\\u001b]0;x\\u0007\",\n    \"\\u009b2J\\u007f\",\n    \"\\udb40\\udc41\\ufeff\\n\"\n  ]\n}\n"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
