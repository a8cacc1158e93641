//! Lines for people, laid out for the terminal that they read them on: a line for each thing, what belongs to it below,
//! and no word broken that has room on a line of its own.
//!
//! Styles are written as escape sequences; the code that prints the text takes them out where nobody sees them. What others wrote
//! is made harmless before it is laid out, so that no other sequence is in it.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
use unicode_truncate::UnicodeTruncateStr as _;
use unicode_width::UnicodeWidthStr as _;

use super::human::plain;

/// As it should be.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// Wrong, and to be made right.
pub(super) const BAD: Style = AnsiColor::Red.on_default();
/// Nobody knows.
pub(super) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
/// What a line is about.
pub(super) const NAME: Style = Style::new().bold();
/// Where it is.
pub(super) const DIM: Style = Style::new().dimmed();

/// For what a text is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayoutOptions {
    /// Columns of the terminal; without them no line is broken and nothing is shortened.
    pub width: Option<usize>,
    /// Whether everything is to be told.
    pub details: bool,
}

/// Blanks between two columns.
const GAP: usize = 2;

/// Before what belongs to a line above.
const INDENT: &str = "  ";

/// Width of the words that say what a note is.
const LABEL: usize = 8;

/// A column is no wider, whatever is in it: one as wide as the longest path of a hostile repository would fill the memory.
const WIDEST: usize = 120;

/// The column of names.
const NAMES: usize = 1;

/// No column of names is narrower.
const NARROWEST_NAME: usize = 12;

/// A part of a line: pieces in styles.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell(Vec<(Style, String)>);

impl Cell {
    pub(super) fn new(style: Style, text: &str) -> Self {
        Self::default().and(style, text)
    }

    /// The same with more behind it.
    pub(super) fn and(mut self, style: Style, text: &str) -> Self {
        self.0.push((style, plain(text)));
        self
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// The same in so many columns: the middle of what is longer is left out.
    fn within(&self, width: Option<usize>) -> Self {
        match (width, self.0.as_slice()) {
            (Some(width), [(style, text)]) if text.width() > width => {
                Self(vec![(*style, without_middle(text, width))])
            }
            _ => self.clone(),
        }
    }

    fn write(&self, text: &mut String) {
        for (style, piece) in &self.0 {
            let _ = write!(text, "{style}{piece}{style:#}");
        }
    }
}

/// The start and the end of a text, in so many columns.
fn without_middle(text: &str, width: usize) -> String {
    const LEFT_OUT: &str = "...";
    let room = width.saturating_sub(LEFT_OUT.len());
    let (start, _) = text.unicode_truncate(room.div_ceil(2));
    let (end, _) = text.unicode_truncate_start(room / 2);
    format!("{start}{LEFT_OUT}{end}")
}

/// What belongs to a line.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// What it is, in a word or two.
    pub(super) label: &'static str,
    pub(super) text: String,
}

impl Note {
    pub(super) fn new(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, text: text.into() }
    }

    fn write(&self, text: &mut String, width: Option<usize>) {
        let start = format!("{INDENT}{:<LABEL$}{INDENT}", self.label);
        let words = plain(&self.text);
        let longest = words.split(' ').map(str::width).max().unwrap_or(0);
        let has_room = |indent: usize| width.is_none_or(|width| indent + longest <= width);
        if has_room(start.len()) || !has_room(2 * INDENT.len()) {
            paragraph(text, &start, &" ".repeat(start.len()), &words, width);
        } else {
            // A whole hash has room on a line of 60 columns, but not behind a label.
            text.extend([start.trim_end(), "\n"]);
            let indent = INDENT.repeat(2);
            paragraph(text, &indent, &indent, &words, width);
        }
    }
}

/// A line, and what belongs to it. All lines of a table have the same columns, of which the second is the name.
#[derive(Debug, Clone, Default)]
pub(super) struct TableLine {
    pub(super) cells: Vec<Cell>,
    pub(super) notes: Vec<Note>,
}

/// Whether the first `columns` of all lines have room beside each other.
pub(super) fn fits(entries: &[TableLine], columns: usize, width: Option<usize>) -> bool {
    let Some(width) = width else { return true };
    // A name that fills half of a line goes on a line of its own, whatever the others do.
    let most = |column| if column == NAMES { width / 2 } else { usize::MAX };
    let widths = (0..columns).map(|column| widest(entries, column, most(column)));
    widths.filter(|width| *width > 0).map(|width| width + GAP).sum::<usize>() <= width + GAP
}

/// The text of a table.
pub(super) fn table(entries: &[TableLine], width: Option<usize>) -> String {
    let widths = columns(entries, width);
    let mut text = String::new();
    for TableLine { cells, notes } in entries {
        line(&mut text, cells, &widths, width);
        for note in notes {
            note.write(&mut text, width);
        }
    }
    text
}

fn widest(entries: &[TableLine], column: usize, most: usize) -> usize {
    let widths = entries.iter().filter_map(|entry| entry.cells.get(column)).map(Cell::width);
    widths.filter(|width| *width <= most).max().unwrap_or(0)
}

/// How wide the columns are. A cell that is wider than its column sticks out, and a name that would leave no room for what
/// comes behind it has no say in how wide the column is.
fn columns(entries: &[TableLine], width: Option<usize>) -> Vec<usize> {
    let number = entries.iter().map(|entry| entry.cells.len()).max().unwrap_or(0);
    let most = WIDEST.min(width.unwrap_or(WIDEST));
    let mut widths: Vec<usize> = (0..number).map(|column| widest(entries, column, most)).collect();
    if let (Some(width), [state, _, next, ..]) = (width, widths.as_slice()) {
        let room = width.saturating_sub(state + next + 2 * GAP).max(NARROWEST_NAME);
        widths[NAMES] = widest(entries, NAMES, room);
    }
    widths
}

/// One line; what has no room on it goes on below.
fn line(text: &mut String, cells: &[Cell], columns: &[usize], width: Option<usize>) {
    let (mut at, mut column, mut is_broken) = (0, 0, false);
    // A cell that goes on below stands behind the indent.
    let most = width.map(|width| width.saturating_sub(INDENT.len()));
    for (cell, wide) in cells.iter().zip(columns) {
        let cell = cell.within(most);
        let own = cell.width();
        if own == 0 {
            continue;
        }
        let start = if is_broken { at + GAP } else { column.max(if at == 0 { 0 } else { at + GAP }) };
        if at > 0 && width.is_some_and(|width| start + own > width) {
            text.push('\n');
            text.push_str(INDENT);
            (at, is_broken) = (INDENT.len(), true);
        } else {
            text.extend(std::iter::repeat_n(' ', start - at));
            at = start;
        }
        cell.write(text);
        at += own;
        column += wide + GAP;
    }
    text.push('\n');
}

/// A text in lines of so many columns, the first and all others behind something.
fn paragraph(text: &mut String, first: &str, others: &str, words: &str, width: Option<usize>) {
    let Some(width) = width else {
        text.extend([first, words, "\n"]);
        return;
    };
    // Where there is hardly room beside the label, the lines below begin further left.
    let others = if width < others.len() * 2 { INDENT } else { others };
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(others)
        // A path or a hash that is broken can be neither read nor copied.
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation)
        .word_separator(WordSeparator::AsciiSpace)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    text.push_str(&textwrap::fill(words, options));
    text.push('\n');
}

/// A line that was written by this program, in lines of so many columns; what comes below stands further right.
#[must_use]
pub fn wrapped(line: &str, width: Option<usize>) -> String {
    let words = line.trim_start_matches(' ');
    let first = &line[..line.len() - words.len()];
    let mut text = String::new();
    paragraph(&mut text, first, &format!("{first}{INDENT}{INDENT}"), words, width);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, change: &str) -> TableLine {
        let cells = [("stale", BAD), (name, NAME), (change, Style::new()), ("flake.nix:1:2", DIM)];
        TableLine { cells: cells.map(|(text, style)| Cell::new(style, text)).to_vec(), notes: Vec::new() }
    }

    fn shown(entries: &[TableLine], width: Option<usize>) -> String {
        anstream::adapter::strip_str(&table(entries, width)).to_string()
    }

    #[test]
    fn what_has_no_room_goes_on_below_and_no_word_is_broken() {
        let entries = [entry("web", "a -> b"), entry("worker", "c -> d")];
        assert_eq!(
            shown(&entries, Some(60)),
            "stale  web     a -> b  flake.nix:1:2\nstale  worker  c -> d  flake.nix:1:2\n"
        );
        assert_eq!(
            shown(&entries, Some(30)),
            "stale  web     a -> b\n  flake.nix:1:2\nstale  worker  c -> d\n  flake.nix:1:2\n"
        );
        assert!(fits(&entries, 4, Some(36)) && !fits(&entries, 4, Some(35)));
    }

    #[test]
    fn a_long_name_has_no_say_in_where_the_others_stand() {
        let entries = [entry("web", "a -> b"), entry(&"n".repeat(70), "c -> d")];
        let long = format!("stale  {}\n  c -> d  flake.nix:1:2\n", "n".repeat(70));
        assert_eq!(shown(&entries, Some(80)), format!("stale  web  a -> b  flake.nix:1:2\n{long}"));
    }

    #[test]
    fn columns_are_those_that_a_terminal_draws() {
        let entries = [entry("包裹", "a"), entry("cafe\u{301}", "b"), entry("x\u{1b}[2J", "c")];
        assert_eq!(
            shown(&entries, Some(80)),
            "stale  包裹        a  flake.nix:1:2\nstale  cafe\u{301}        b  flake.nix:1:2\nstale  x\\u{1b}[2J  c  flake.nix:1:2\n"
        );
    }

    #[test]
    fn a_path_as_long_as_a_system_takes_it_is_shown_by_its_ends() {
        let long = "包".repeat(1 << 16);
        for width in [1, 2, 3, 7, 60, 80, 200] {
            let text = shown(&[entry(&long, "a -> b"), entry("web", "c -> d")], Some(width));
            let most = text.lines().map(str::width).max().unwrap();
            assert!(most <= width.max(INDENT.len() + "flake.nix:1:2".len()), "{width}: {most}");
        }
        assert!(shown(&[entry(&long, "a -> b")], None).contains(&long), "nothing is lost in a file");
    }

    #[test]
    fn notes_are_broken_between_words() {
        let note =
            Note::new("because", "debug 4.3.5 -> 4.3.6; web/package-lock.json last changed in 1a2b3c4");
        let entries = [TableLine { cells: vec![Cell::new(BAD, "stale")], notes: vec![note] }];
        assert_eq!(
            shown(&entries, Some(50)),
            "stale\n  because   debug 4.3.5 -> 4.3.6;\n            web/package-lock.json last changed in\n            1a2b3c4\n"
        );
        assert_eq!(shown(&entries, None).lines().count(), 2);
        assert_eq!(
            shown(&entries, Some(30)),
            "stale\n  because\n    debug 4.3.5 -> 4.3.6;\n    web/package-lock.json last\n    changed in 1a2b3c4\n"
        );
        assert_eq!(wrapped("  hint: one two three", Some(14)), "  hint: one\n      two\n      three\n");
    }
}
