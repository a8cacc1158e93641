//! Unified diffs that `git apply` takes, whatever the files are called and however they end.
//!
//! Each file has a `diff --git` header, so that git reads its name as seen from the top of the work tree. Names with
//! quotes, backslashes or characters that do not show are quoted the way git quotes them; after a name with a space stands a tab.
//! Only line feeds end a line: a carriage return is a byte like others.

use std::{fmt::Write as _, path::Path};

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use super::human::{is_invisible, shown};

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// The difference between two texts of one file; `path` is its path from the top of the work tree.
#[must_use]
pub fn unified(path: &Path, old: &[u8], new: &[u8]) -> String {
    let (old, new) = (lines(old), lines(new));
    let hunks = group_diff_ops(capture_diff_slices(Algorithm::Myers, &old, &new), CONTEXT);
    if hunks.is_empty() {
        return String::new();
    }
    let [a, b] = ["a/", "b/"].map(|side| quoted(side, path));
    let tab = if a.contains(' ') { "\t" } else { "" };
    let mut text = format!("diff --git {a} {b}\n--- {a}{tab}\n+++ {b}{tab}\n");
    for hunk in hunks {
        write_hunk(&mut text, &hunk, &old, &new);
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

fn write_hunk(text: &mut String, hunk: &[DiffOp], old: &[&[u8]], new: &[&[u8]]) {
    let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { return };
    let was = first.old_range().start..last.old_range().end;
    let is = first.new_range().start..last.new_range().end;
    // The number of an empty range is that of the line before it.
    let start = |range: &std::ops::Range<usize>| range.start + usize::from(!range.is_empty());
    let _ = writeln!(text, "@@ -{},{} +{},{} @@", start(&was), was.len(), start(&is), is.len());
    for op in hunk {
        if let DiffOp::Equal { .. } = op {
            write_lines(text, ' ', &old[op.old_range()]);
        } else {
            write_lines(text, '-', &old[op.old_range()]);
            write_lines(text, '+', &new[op.new_range()]);
        }
    }
}

fn write_lines(text: &mut String, sign: char, lines: &[&[u8]]) {
    for line in lines {
        text.push(sign);
        text.push_str(&String::from_utf8_lossy(line));
        if !line.ends_with(b"\n") {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
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
