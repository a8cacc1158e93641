//! Unified diffs.

use similar::TextDiff;

/// The difference between two texts of one file, in the form that `git apply` and `patch -p1` take.
#[must_use]
pub fn unified(path: &str, old: &[u8], new: &[u8]) -> String {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let diff = TextDiff::from_lines(old.as_ref(), new.as_ref());
    diff.unified_diff().context_radius(3).header(&format!("a/{path}"), &format!("b/{path}")).to_string()
}
