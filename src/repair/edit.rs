//! Fields put into a text, and the proof that nothing else changed.

use std::ops::Range;

use serde_json::Value;

use super::entries::LockfileEntry;

/// What an entry is to get.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fill {
    pub resolved: Option<String>,
    pub integrity: Option<String>,
}

/// Why a text was not edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// An entry without a field that others can follow.
    #[error("an entry has no `version` to write after")]
    NoAnchor,
    /// The result says something other than the text with the fields put in.
    #[error("the edited text would say something else")]
    Unproven,
}

/// A piece of new text in the place of an old one, which may be empty.
struct Splice {
    range: Range<usize>,
    text: String,
}

/// The text with all fields in, where npm writes them: `version`, `resolved`, `integrity`.
pub(super) fn apply(text: &str, fills: &[(&LockfileEntry<'_>, Fill)]) -> Result<String, FillError> {
    let mut edits = Vec::new();
    for (entry, fill) in fills {
        edit_entry(entry, fill, &mut edits).ok_or(FillError::NoAnchor)?;
    }
    // Of two at one place the first in the list stays the first.
    edits.sort_by_key(|edit| edit.range.start);
    let mut new = String::with_capacity(text.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
    let mut end = 0;
    for Splice { range, text: piece } in edits {
        new.push_str(text.get(end..range.start).ok_or(FillError::Unproven)?);
        new.push_str(&piece);
        end = range.end;
    }
    new.push_str(&text[end..]);
    if is_proven(text, &new, fills) { Ok(new) } else { Err(FillError::Unproven) }
}

fn edit_entry(entry: &LockfileEntry<'_>, fill: &Fill, edits: &mut Vec<Splice>) -> Option<()> {
    let LockfileEntry { object, .. } = entry;
    let mut anchor = "version";
    for (name, value) in [("resolved", &fill.resolved), ("integrity", &fill.integrity)] {
        let old = object.span(name);
        if let Some(value) = value {
            let value = Value::from(value.as_str()).to_string();
            let edit = if let Some(range) = old.clone() {
                Splice { range, text: value }
            } else {
                let (at, spacing) = (object.span(anchor)?.end, object.spacing(anchor)?);
                let text = format!(",{}\"{name}\"{}{value}", spacing.before, spacing.colon);
                Splice { range: at..at, text }
            };
            edits.push(edit);
        }
        // What is written behind a field that is itself written behind another stands behind both.
        if old.is_some() {
            anchor = name;
        }
    }
    Some(())
}

/// Whether the new text is the old one but for the fields.
fn is_proven(old: &str, new: &str, fills: &[(&LockfileEntry<'_>, Fill)]) -> bool {
    let (Ok(mut old), Ok(new)) = (serde_json::from_str::<Value>(old), serde_json::from_str::<Value>(new))
    else {
        return false;
    };
    for (entry, fill) in fills {
        let found = entry.path.iter().try_fold(&mut old, |value, key| value.get_mut(key));
        let Some(Value::Object(fields)) = found else { return false };
        for (name, value) in [("resolved", &fill.resolved), ("integrity", &fill.integrity)] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
    }
    old == new
}
