//! The marks that a merge leaves in a text where it could not decide: lines of seven `<`, `|`, `=` and `>`.

use std::ops::Range;

/// A part of a text with conflicts.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// What is not a conflict.
    Text(&'a str),
    /// A conflict.
    Conflict {
        /// All of it, with its marks.
        whole: &'a str,
        /// What stands before `=======`, or before the base where there is one.
        ours: &'a str,
        /// What stands after `=======`.
        theirs: &'a str,
    },
}

/// Where a conflict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsolved {
    /// Where its first mark begins, in bytes.
    pub offset: usize,
    /// The line of that, from 1.
    pub first: usize,
    /// The line of its last mark; `None` where there is none.
    pub last: Option<usize>,
}

impl Unsolved {
    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> String {
        match self.last {
            Some(last) => format!("unsolved merge conflict, lines {} to {last}", self.first),
            None => format!("unsolved merge conflict that begins in line {}", self.first),
        }
    }
}

/// The first conflict of a text that its own parser does not take: marks can also stand in a string, where they are text.
#[must_use]
pub fn first_conflict(text: &str) -> Option<Unsolved> {
    let (mut offset, mut begun): (usize, Option<Unsolved>) = (0, None);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        match (marker(line), &mut begun) {
            (Some('<'), _) => begun = Some(Unsolved { offset, first: number, last: None }),
            (Some('>'), Some(conflict)) => return Some(Unsolved { last: Some(number), ..*conflict }),
            _ => {}
        }
        offset += line.len();
    }
    begun
}

/// The parts of a text with conflicts; `None` for one without, or with marks that do not go together.
#[must_use]
pub fn parts(text: &str) -> Option<Vec<Part<'_>>> {
    let (mut parts, mut plain, mut offset) = (Vec::new(), 0, 0);
    // Where the conflict begins, its own lines, the ancestor's, and the lines of the other side.
    let (mut begun, mut ours, mut theirs): (Option<usize>, Option<Range<usize>>, Option<usize>) =
        (None, None, None);
    let mut own_start = 0;
    for line in text.split_inclusive('\n') {
        let (start, end) = (offset, offset + line.len());
        offset = end;
        match (begun, marker(line)) {
            (None, Some('<')) => {
                parts.push(Part::Text(&text[plain..start]));
                (begun, own_start, ours, theirs) = (Some(start), end, None, None);
            }
            // `merge.conflictStyle` diff3 and zdiff3 write the common ancestor between the sides.
            (Some(_), Some('|')) if ours.is_none() => ours = Some(own_start..start),
            (Some(_), Some('=')) if theirs.is_none() => {
                ours.get_or_insert(own_start..start);
                theirs = Some(end);
            }
            (Some(at), Some('>')) => {
                let (own, other) = (ours.take()?, theirs.take()?);
                parts.push(Part::Conflict {
                    whole: &text[at..end],
                    ours: &text[own],
                    theirs: &text[other..start],
                });
                (begun, plain) = (None, end);
            }
            (_, Some('<')) => return None,
            _ => {}
        }
    }
    if begun.is_some() || parts.is_empty() {
        return None;
    }
    parts.push(Part::Text(&text[plain..]));
    Some(parts)
}

/// The character of a line of seven.
fn marker(line: &str) -> Option<char> {
    let line = line.trim_end_matches(['\n', '\r']);
    ['<', '|', '=', '>'].into_iter().find(|c| {
        let rest = line.strip_prefix(c.to_string().repeat(7).as_str());
        // The line between the sides has no label; a longer row of characters is somebody's ornament.
        rest.is_some_and(|rest| rest.is_empty() || (*c != '=' && rest.starts_with(' ')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_read_as_git_writes_them() {
        let text = "a\n<<<<<<< HEAD\nours\n||||||| 1a2b\nold\n=======\ntheirs\n>>>>>>> x\nb\n";
        let whole = "<<<<<<< HEAD\nours\n||||||| 1a2b\nold\n=======\ntheirs\n>>>>>>> x\n";
        let conflict = Part::Conflict { whole, ours: "ours\n", theirs: "theirs\n" };
        assert_eq!(parts(text), Some(vec![Part::Text("a\n"), conflict, Part::Text("b\n")]));
        for no in [
            "",
            "a\n",
            "<<<<<<< HEAD\na\n",
            "a\n=======\nb\n",
            "<<<<<<< a\n<<<<<<< b\n=======\n>>>>>>> c\n",
            "<<<<<<<< a\n",
        ] {
            assert_eq!(parts(no), None, "{no}");
        }
    }

    #[test]
    fn the_first_conflict_is_named_with_its_lines() {
        let said = |text| first_conflict(text).map(|conflict| (conflict.offset, conflict.message()));
        let whole = "{\n<<<<<<< HEAD\r\n=======\n>>>>>>> bump\n<<<<<<< HEAD\n";
        assert_eq!(said(whole), Some((2, "unsolved merge conflict, lines 2 to 4".to_owned())));
        let open = "\n<<<<<<< HEAD\n1\n";
        assert_eq!(said(open), Some((1, "unsolved merge conflict that begins in line 2".to_owned())));
        assert_eq!(said("<<<<<<<< a\n=======\n>>>>>>> b\n"), None);
    }
}
