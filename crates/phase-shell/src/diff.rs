//! Unified diffs, as `patch` applies them.
//!
//! Stricter than `patch`: every hunk has to fit exactly where it says it belongs. What `patch` would do with a hunk that
//! has moved is a guess, and is left to a person.
//!
//! ```text
//! section = "--- " path "\n" "+++ " path "\n" hunk*
//! hunk    = "@@ -" start ["," count] " +" start ["," count] " @@" ... "\n" line*
//! line    = (" " | "-" | "+") text "\n" | "\ No newline at end of file\n"
//! ```

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::SplitInclusive;
use std::sync::Arc;

use npm_lockfile::FILE_NAMES;

use super::is_lockfile;

/// How lines begin that name files.
pub const HEADS: [&str; 7] =
    ["+++ ", "--- ", "rename to ", "rename from ", "copy to ", "copy from ", "diff --git "];

/// The files that a unified diff names, without the first parts of their paths. Where it is not known how many go, every rest
/// of a path counts.
#[must_use]
pub fn touched(text: &str, strip: Option<usize>) -> BTreeSet<String> {
    let mut touched = BTreeSet::new();
    for line in text.lines() {
        let Some(head) = HEADS.iter().find(|head| line.starts_with(**head)) else { continue };
        // What follows a tab is a date; only the line of git holds two names.
        let rest = line[head.len()..].split('\t').next().unwrap_or_default();
        let names: Vec<&str> = if *head == "diff --git " { rest.split(' ').collect() } else { vec![rest] };
        // Names behind `rename` and `copy` have no first parts to lose.
        let whole = head.starts_with("rename") || head.starts_with("copy");
        for name in names {
            let name = name.trim().trim_matches('"');
            let mut parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            let Some(strip) = strip else {
                touched.extend((0..parts.len().min(8)).map(|from| parts[from..].join("/")));
                continue;
            };
            if !whole {
                parts.drain(..strip.min(parts.len().saturating_sub(1)));
            }
            if !parts.is_empty() && name != "/dev/null" {
                touched.insert(parts.join("/"));
            }
        }
    }
    touched
}

/// Applies a patch, in a folder and with as many leading parts of names taken away as `-p` says, to those of two files that
/// it changes.
///
/// # Errors
/// Why it is not known what becomes of one of them.
pub fn apply(
    patch: &[u8],
    strip: usize,
    folder: &str,
    targets: &[String; 2],
    files: &mut [Option<Arc<[u8]>>; 2],
) -> Result<(), &'static str> {
    let Ok(text) = std::str::from_utf8(patch) else {
        return Err("is not plain text; whether it touches the lockfile is not known");
    };
    // Asked once: a diff may have as many lines that are odd as it has lines.
    let mentioned = FILE_NAMES.iter().any(|name| text.contains(name));
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let odd = ["rename ", "copy ", "GIT binary patch", "Binary files "];
        if odd.iter().any(|start| line.starts_with(start)) && mentioned {
            return Err("is more than a plain unified diff");
        }
        let Some(old) = line.strip_prefix("--- ") else { continue };
        let Some(new) = lines.peek().and_then(|next| next.strip_prefix("+++ ")) else { continue };
        let names = Names { old: stripped(old, strip)?, new: stripped(new, strip)? };
        lines.next();
        match names.target(folder, targets)? {
            Some(slot) => {
                let before = files[slot].take();
                files[slot] = section(&mut lines, before.as_deref(), &names)?.map(Arc::from);
            }
            None => skip(&mut lines),
        }
    }
    Ok(())
}

/// The two names of a section without their first parts; `None` stands for `/dev/null`.
struct Names<'a> {
    old: Option<&'a str>,
    new: Option<&'a str>,
}

/// A name without its first parts. One that has too few of them names nothing, and `patch` looks elsewhere for a name.
fn stripped(text: &str, strip: usize) -> Result<Option<&str>, &'static str> {
    let name = text.split('\t').next().unwrap_or(text).trim_end();
    if name == "/dev/null" {
        return Ok(None);
    }
    let rest = (0..strip).try_fold(name, |name, _| Some(name.split_once('/')?.1.trim_start_matches('/')));
    match rest {
        Some(rest) => Ok(Some(rest)),
        None if is_lockfile(name) => Err("names a lockfile in fewer folders than `-p` takes away"),
        None => Ok(Some("")),
    }
}

impl Names<'_> {
    /// Which of the lockfiles this section changes.
    fn target(&self, folder: &str, targets: &[String; 2]) -> Result<Option<usize>, &'static str> {
        let slot = |name: Option<&str>| {
            let name = name?.trim_start_matches("./");
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            targets.iter().position(|target| *target == path)
        };
        // git writes `"a/\303\244.json"` for a name that is not ASCII.
        let quoted = [self.old, self.new].into_iter().flatten().any(|name| name.contains(['"', '\\']));
        match (slot(self.old), slot(self.new)) {
            _ if quoted => Err("names its files in a way that is not understood"),
            (old, new) if old == new || self.old.is_none() || self.new.is_none() => Ok(old.or(new)),
            _ => Err("names two different files"),
        }
    }
}

type Lines<'a> = Peekable<SplitInclusive<'a, char>>;

/// Passes over the hunks of another file.
fn skip(lines: &mut Lines<'_>) {
    while let Some((old, new)) = lines.peek().and_then(|line| ranges(line)) {
        lines.next();
        let (mut olds, mut news) = (old.count, new.count);
        while olds > 0 || news > 0 {
            match lines.next().and_then(|line| line.bytes().next()) {
                Some(b'-') => olds = olds.saturating_sub(1),
                Some(b'+') => news = news.saturating_sub(1),
                Some(b'\\') => {}
                Some(_) => (olds, news) = (olds.saturating_sub(1), news.saturating_sub(1)),
                None => return,
            }
        }
    }
}

struct Range {
    start: usize,
    count: usize,
}

/// The ranges of a hunk's head.
fn ranges(line: &str) -> Option<(Range, Range)> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        Some(Range { start: start.parse().ok()?, count: count.parse().ok()? })
    };
    Some((range(old)?, range(new)?))
}

const MISFIT: &str = "does not fit the lockfile exactly";

/// Applies the hunks of one file; `None` if the patch removes it.
fn section(
    lines: &mut Lines<'_>,
    before: Option<&[u8]>,
    names: &Names<'_>,
) -> Result<Option<Vec<u8>>, &'static str> {
    if names.old.is_none() && before.is_some() {
        return Err("makes a lockfile that is there already");
    }
    let text =
        std::str::from_utf8(before.unwrap_or_default()).map_err(|_| "meets a lockfile that is not text")?;
    let old: Vec<&str> = text.split_inclusive('\n').collect();
    let (mut done, mut out) = (0, String::new());
    while let Some((range, added)) = lines.peek().and_then(|line| ranges(line)) {
        lines.next();
        // An empty range names the line before it.
        let start = if range.count == 0 { range.start } else { range.start.saturating_sub(1) };
        out.push_str(&old.get(done..start).ok_or(MISFIT)?.concat());
        done = hunk(lines, &old, start, Remaining { old: range.count, new: added.count }, &mut out)?;
    }
    out.push_str(&old.get(done..).ok_or(MISFIT)?.concat());
    match names.new {
        None if out.is_empty() => Ok(None),
        None => Err("removes a lockfile that holds more"),
        Some(_) => Ok(Some(out.into_bytes())),
    }
}

/// Lines of a hunk that are still to come.
struct Remaining {
    old: usize,
    new: usize,
}

/// Applies one hunk at `at`; gives the line behind it.
fn hunk(
    lines: &mut Lines<'_>,
    old: &[&str],
    mut at: usize,
    mut left: Remaining,
    out: &mut String,
) -> Result<usize, &'static str> {
    while left.old > 0 || left.new > 0 {
        let line = lines.next().ok_or("is cut off")?;
        let (mark, mut text) = line.split_at_checked(1).ok_or("is damaged")?;
        if lines.peek().is_some_and(|next| next.starts_with('\\')) {
            lines.next();
            text = text.strip_suffix('\n').unwrap_or(text);
        }
        // Mail programs strip the blank from empty lines of context.
        let (mark, text) = if mark == "\n" { (" ", "\n") } else { (mark, text) };
        if matches!(mark, " " | "-") {
            if old.get(at) != Some(&text) {
                return Err(MISFIT);
            }
            at += 1;
            left.old = left.old.checked_sub(1).ok_or("is damaged")?;
        }
        if matches!(mark, " " | "+") {
            out.push_str(text);
            left.new = left.new.checked_sub(1).ok_or("is damaged")?;
        }
        if !matches!(mark, " " | "+" | "-") {
            return Err("is damaged");
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests;
