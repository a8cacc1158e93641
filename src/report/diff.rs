//! Unified diffs that `git apply` takes, whatever the files are called and however they end.
//!
//! Each file has a `diff --git` header, so that git reads its name as seen from the top of the work tree. Names with
//! quotes, backslashes or characters that do not show are quoted the way git quotes them; after a name with a space stands a tab.
//! Only line feeds end a line: a carriage return is a byte like others.

use std::fmt::Write as _;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use similar::TextDiff;

use super::human::{is_invisible, shown};

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// The difference between two texts of one file; `path` is its path from the top of the work tree.
#[must_use]
pub fn unified(path: &Path, old: &[u8], new: &[u8]) -> String {
    // The crate's own way to part lines ends one at a carriage return, too.
    let (old, new) = (lines(old), lines(new));
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&old, &new);
    let [a, b] = ["a/", "b/"].map(|side| quoted(side, path));
    let tab = if a.contains(' ') { "\t" } else { "" };
    let mut hunks = diff.unified_diff();
    let hunks = hunks.context_radius(CONTEXT).header(&format!("{a}{tab}"), &format!("{b}{tab}")).to_string();
    if hunks.is_empty() { hunks } else { format!("diff --git {a} {b}\n{hunks}") }
}

/// A diff in the colours that git uses.
#[must_use]
pub fn coloured(diff: &str) -> String {
    let mut text = String::new();
    let mut is_header = true;
    for line in diff.split_inclusive('\n') {
        // Only before the first hunk of a file do three signs begin a header.
        is_header = line.starts_with("diff --git ") || (is_header && !line.starts_with("@@"));
        let style = match line.chars().next() {
            _ if is_header => Style::new().bold(),
            Some('@') => AnsiColor::Cyan.on_default(),
            Some('-') => AnsiColor::Red.on_default(),
            Some('+') => AnsiColor::Green.on_default(),
            _ => Style::new(),
        };
        let body = line.trim_end_matches('\n');
        let _ = write!(text, "{style}{body}{style:#}{}", &line[body.len()..]);
    }
    text
}

/// A diff for the eyes alone: what would move a terminal's cursor or turn the direction of writing shows as what it is, so
/// that `git apply` would not take it where a file has such characters.
#[must_use]
pub fn visible(diff: &str) -> String {
    shown(diff, "\n\t")
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn quoted(side: &str, path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let odd = |c: char| is_invisible(c) || matches!(c, '"' | '\\');
    match std::str::from_utf8(bytes) {
        Ok(name) if !name.contains(odd) => format!("{side}{name}"),
        _ => format!("\"{side}{}\"", bytes.iter().map(|byte| octal(*byte)).collect::<String>()),
    }
}

fn octal(byte: u8) -> String {
    match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        0x20..=0x7e => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_its_context_and_says_where_no_line_feed_ends_the_file() {
        let diff = unified(Path::new("a b.nix"), b"1\r\n2\n3\n4\n5\r6\n7", b"1\r\n2\n3\n4\n5\r6\n8");
        let header = "diff --git a/a b.nix b/a b.nix\n--- a/a b.nix\t\n+++ b/a b.nix\t\n";
        let hunk = "@@ -3,4 +3,4 @@\n 3\n 4\n 5\r6\n-7\n\\ No newline at end of file\n+8\n\\ No newline at end of file\n";
        assert_eq!(diff, format!("{header}{hunk}"));
        assert_eq!(unified(Path::new("x"), b"1\n", b"1\n"), "");
    }

    #[test]
    fn a_terminal_is_not_moved() {
        let diff = "+\tä \u{1b}[2J\u{9b}\u{202e}\r\n";
        assert_eq!(visible(diff), "+\tä \\u{1b}[2J\\u{9b}\\u{202e}\\r\n");
    }

    #[test]
    fn odd_names_are_quoted_as_git_quotes_them() {
        assert_eq!(quoted("a/", Path::new("ä/x.nix")), "a/ä/x.nix");
        assert_eq!(quoted("a/", Path::new("a\"b\n\\ä")), r#""a/a\"b\012\\\303\244""#);
        assert_eq!(quoted("a/", Path::new("\u{202e}x\u{9b}")), r#""a/\342\200\256x\302\233""#);
    }
}
