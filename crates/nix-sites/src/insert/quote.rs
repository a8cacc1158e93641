//! Names and texts as they are written in a Nix file.

/// A name as the key of an attribute: quoted where it is not an identifier.
#[must_use]
pub fn attribute(name: &str) -> String {
    const KEYWORDS: [&str; 9] = ["assert", "else", "if", "in", "inherit", "let", "or", "rec", "then"];
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_'-".contains(c));
    if plain && name != "with" && !KEYWORDS.contains(&name) { name.to_owned() } else { string(name) }
}

/// A text as a string of the language.
#[must_use]
pub fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for (at, character) in text.char_indices() {
        // Only these are special inside of quotes; all else, also of other alphabets, stands for itself.
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '$' if text[at + 1..].starts_with('{') => quoted.push_str("\\$"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // No string of Nix holds one.
            '\0' => {}
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
