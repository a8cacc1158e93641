//! Replacements and patches, which are exact and can be made in memory.

use std::sync::Arc;

use super::diff;

/// What a phase does to a lockfile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockfileEdit {
    /// `substituteInPlace`: every place of a text becomes another text.
    Replace {
        /// What is looked for, left to right; found texts do not overlap. Empty text is never found.
        pattern: String,
        /// What takes its place.
        replacement: String,
        /// The build stops if the text is not there (`--replace-fail`).
        required: bool,
    },
    /// `patch`: those sections of a unified diff that are about the lockfile.
    Patch(Diff),
}

/// A unified diff, and the file in it that is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diff {
    /// What the diff is called.
    pub name: String,
    /// The whole of it.
    pub text: Arc<[u8]>,
    /// How many leading parts of names do not count.
    pub strip: usize,
    /// The lockfile, as the diff names it without those.
    pub target: String,
}

impl LockfileEdit {
    /// The bytes that it is made of, for the budget.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Replace { pattern, replacement, .. } => pattern.len() + replacement.len(),
            Self::Patch(diff) => diff.text.len(),
        }
    }
}

/// Why a lockfile cannot be edited as the build would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockfileEditError {
    /// `--replace-fail` finds nothing: the build stops.
    #[error("`--replace-fail` does not find {0:?} in the lockfile, so the build stops there")]
    NotFound(String),
    /// `substituteInPlace` refuses such files.
    #[error("the lockfile holds a null byte, which `substituteInPlace` refuses")]
    NullByte,
    /// Which bytes a text of the shell is then depends on the build's locale.
    #[error("the lockfile is not UTF-8")]
    NotText,
    /// A patch does not fit: which one, and why.
    #[error("the patch {0} {1}")]
    Misfit(String, &'static str),
    /// The edits are many and large.
    #[error("the edited lockfile would be larger than {0} bytes")]
    TooLarge(usize),
}

/// Lockfiles of real projects stay below 10 MB; what grows beyond this is not a lockfile any more.
const LARGEST: usize = 64 << 20;

/// Makes the edits in their order.
///
/// # Errors
/// Where the build would stop, or the text grows without bounds.
pub fn apply(bytes: &Arc<[u8]>, edits: &[LockfileEdit]) -> Result<Arc<[u8]>, LockfileEditError> {
    let mut bytes = Arc::clone(bytes);
    for edit in edits {
        bytes = match edit {
            LockfileEdit::Replace { pattern, replacement, required } => {
                replaced(&bytes, pattern, replacement, *required)?
            }
            LockfileEdit::Patch(diff) => patched(bytes, diff)?,
        };
    }
    Ok(bytes)
}

fn replaced(
    bytes: &Arc<[u8]>,
    pattern: &str,
    replacement: &str,
    required: bool,
) -> Result<Arc<[u8]>, LockfileEditError> {
    let text = std::str::from_utf8(bytes).map_err(|_| LockfileEditError::NotText)?;
    if text.contains('\0') {
        return Err(LockfileEditError::NullByte);
    }
    // bash finds no empty text: `${x//""/a}` is `$x`. That it is in any text is what `--replace-fail` asks.
    let count = if pattern.is_empty() { 0 } else { text.matches(pattern).count() };
    if count == 0 && required && !pattern.is_empty() {
        return Err(LockfileEditError::NotFound(pattern.to_owned()));
    }
    if text.len() + count.saturating_mul(replacement.len()) > LARGEST {
        return Err(LockfileEditError::TooLarge(LARGEST));
    }
    Ok(if count > 0 { text.replace(pattern, replacement).into_bytes().into() } else { Arc::clone(bytes) })
}

fn patched(
    bytes: Arc<[u8]>,
    Diff { name, text, strip, target }: &Diff,
) -> Result<Arc<[u8]>, LockfileEditError> {
    let misfit = |why| LockfileEditError::Misfit(name.clone(), why);
    let mut files = [Some(bytes), None];
    diff::apply(text, *strip, "", &[target.clone(), String::new()], &mut files).map_err(misfit)?;
    let [file, _] = files;
    file.ok_or_else(|| misfit("removes the lockfile"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(pattern: &str, replacement: &str, required: bool) -> LockfileEdit {
        LockfileEdit::Replace { pattern: pattern.to_owned(), replacement: replacement.to_owned(), required }
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
        assert_eq!(apply(&bytes, &[edit("x", "y", true)]), Err(LockfileEditError::NotFound("x".to_owned())));
        assert_eq!(apply(&Arc::from(&b"\0"[..]), &[edit("x", "y", false)]), Err(LockfileEditError::NullByte));
    }

    #[test]
    fn a_lockfile_of_64_mib_is_edited_and_a_larger_one_is_not() {
        let bytes: Arc<[u8]> = Arc::from(&b"ab"[..]);
        let exact = "y".repeat(LARGEST - 2);
        assert_eq!(apply(&bytes, &[edit("a", &exact, true)]).map(|text| text.len()), Ok(LARGEST - 1));
        assert_eq!(
            apply(&bytes, &[edit("a", &(exact + "y"), true)]),
            Err(LockfileEditError::TooLarge(LARGEST))
        );
    }

    #[test]
    fn an_edit_costs_what_its_texts_hold() {
        assert_eq!(edit("abc", "de", true).size(), 5);
        let (name, target) = ("x.patch".to_owned(), "package-lock.json".to_owned());
        assert_eq!(
            LockfileEdit::Patch(Diff { name, text: Arc::from(&b"four"[..]), strip: 1, target }).size(),
            4
        );
    }

    #[test]
    fn a_patch_changes_the_lockfile_that_is_meant_and_fits_or_is_refused() {
        let text =
            "--- a/web/package-lock.json\n+++ b/web/package-lock.json\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n";
        let diff = |target: &str| Diff {
            name: "x.patch".to_owned(),
            text: Arc::from(text.as_bytes()),
            strip: 1,
            target: target.to_owned(),
        };
        let (right, other) = (diff("web/package-lock.json"), diff("package-lock.json"));
        let bytes: Arc<[u8]> = Arc::from(&b"one\ntwo\n"[..]);
        let edits = [LockfileEdit::Patch(right), edit("three", "four", true)];
        assert_eq!(&*apply(&bytes, &edits).expect("it fits"), b"one\nfour\n");
        assert_eq!(apply(&bytes, &[LockfileEdit::Patch(other)]).as_ref(), Ok(&bytes));
        let moved: Arc<[u8]> = Arc::from(&b"zero\none\ntwo\n"[..]);
        let misfit = apply(&moved, &edits).expect_err("it has moved");
        assert_eq!(misfit.to_string(), "the patch x.patch does not fit the lockfile exactly");
    }
}
