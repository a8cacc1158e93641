//! Literal replacements, which are exact and can be made in memory.

use std::sync::Arc;

/// `substituteInPlace`: every place of a text in the lockfile becomes another text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edit {
    /// What is looked for, left to right; found texts do not overlap. Empty text is never found.
    pub pattern: String,
    /// What takes its place.
    pub replacement: String,
    /// The build stops if the text is not there (`--replace-fail`).
    pub required: bool,
}

/// Why a lockfile cannot be edited as the build would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// `--replace-fail` finds nothing: the build stops.
    #[error("`--replace-fail` does not find {0:?} in the lockfile, so the build stops there")]
    NotFound(String),
    /// `substituteInPlace` refuses such files.
    #[error("the lockfile holds a null byte, which `substituteInPlace` refuses")]
    NullByte,
    /// Which bytes a text of the shell is then depends on the build's locale.
    #[error("the lockfile is not UTF-8")]
    NotText,
    /// The edits are many and large.
    #[error("the edited lockfile would be larger than {0} bytes")]
    TooLarge(usize),
}

/// Lockfiles of real projects stay below 10 MB; what grows beyond this is no lockfile any more.
const LARGEST: usize = 64 << 20;

/// Makes the edits in their order.
///
/// # Errors
/// Where the build would stop, or the text grows without bounds.
pub fn apply(bytes: &Arc<[u8]>, edits: &[Edit]) -> Result<Arc<[u8]>, EditError> {
    if edits.is_empty() {
        return Ok(Arc::clone(bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| EditError::NotText)?;
    if text.contains('\0') {
        return Err(EditError::NullByte);
    }
    let mut text = text.to_owned();
    for Edit { pattern, replacement, required } in edits {
        let count = if pattern.is_empty() { 0 } else { text.matches(pattern.as_str()).count() };
        if count == 0 && *required && !pattern.is_empty() {
            return Err(EditError::NotFound(pattern.clone()));
        }
        if text.len() + count.saturating_mul(replacement.len()) > LARGEST {
            return Err(EditError::TooLarge(LARGEST));
        }
        if count > 0 {
            text = text.replace(pattern.as_str(), replacement);
        }
    }
    Ok(text.into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(pattern: &str, replacement: &str, required: bool) -> Edit {
        Edit { pattern: pattern.to_owned(), replacement: replacement.to_owned(), required }
    }

    #[test]
    fn edits_follow_each_other_and_do_not_overlap() {
        let edits =
            [edit("aa", "b", true), edit("b", "cc", false), edit("nowhere", "x", false), edit("", "x", true)];
        assert_eq!(&*apply(&Arc::from(&b"aaaaa"[..]), &edits).expect("it applies"), b"cccca");
    }

    #[test]
    fn what_has_to_be_there_and_is_not_stops() {
        let bytes: Arc<[u8]> = Arc::from(&b"{}"[..]);
        assert_eq!(apply(&bytes, &[edit("x", "y", true)]), Err(EditError::NotFound("x".to_owned())));
        assert_eq!(apply(&Arc::from(&b"\0"[..]), &[edit("x", "y", false)]), Err(EditError::NullByte));
    }
}
