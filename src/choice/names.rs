//! What sites are called, and what people call them.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use nix_sites::Site;

/// A name as somebody writes it: an attribute path, the end of one, the name of the package or of the output that is
/// fetched; `*`, `?`, `[...]` and `{...}` stand for what they do in a shell.
#[derive(Debug, Clone)]
pub struct NamePattern {
    text: String,
    glob: Option<GlobMatcher>,
    /// Whether it is an error that nothing is called so.
    strict: bool,
}

/// A name that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPattern(String);

impl std::error::Error for InvalidPattern {}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a name: {}", self.0)
    }
}

impl NamePattern {
    /// Reads a name.
    ///
    /// # Errors
    /// When its brackets do not match, or it is empty.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern("it is empty".to_owned()));
        }
        let is_glob = text.contains(['*', '?', '[', '{']);
        let glob = is_glob.then(|| GlobBuilder::new(text).backslash_escape(true).build());
        let glob = glob.transpose().map_err(|error| InvalidPattern(error.kind().to_string()))?;
        Ok(Self { text: text.to_owned(), glob: glob.map(|glob| glob.compile_matcher()), strict: true })
    }

    /// The same where it is not an error that nothing is called so.
    #[must_use]
    pub fn lenient(self) -> Self {
        Self { strict: false, ..self }
    }

    /// Whether it is an error that nothing is called so.
    pub(super) fn has_to_fit(&self) -> bool {
        self.strict
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a site is called so.
    #[must_use]
    pub fn fits(&self, site: &Site) -> bool {
        let fits = |name: &str| match &self.glob {
            Some(glob) => glob.is_match(name),
            None => self.text == name,
        };
        all(site).any(|name| suffixes(name).any(fits)) || other(site).any(fits)
    }
}

/// The attribute paths of a site.
pub(super) fn all(site: &Site) -> impl Iterator<Item = &str> {
    site.attr_path.iter().chain(&site.other_attr_paths).map(String::as_str)
}

/// Its other names.
fn other(site: &Site) -> impl Iterator<Item = &str> {
    site.name.iter().chain(&site.output_name).map(String::as_str)
}

/// An attribute path and what is left of it without its first parts: `.#web` is short for `.#packages.SYSTEM.web`.
fn suffixes(path: &str) -> impl Iterator<Item = &str> {
    let starts = path.match_indices('.').map(|(at, _)| at + 1);
    std::iter::once(0).chain(starts).map(|at| &path[at..])
}

/// The name that somebody may have meant.
pub(super) fn nearest<'a>(text: &str, paths: impl Iterator<Item = &'a str>) -> Option<String> {
    let dots = text.matches('.').count();
    let as_long = |path: &'a str| {
        let mut ends: Vec<&str> = suffixes(path).collect();
        ends.reverse();
        ends.into_iter().nth(dots)
    };
    closest(text, paths.filter_map(as_long)).map(str::to_owned)
}

/// The one of several words that differs least from another, if it does not differ much.
#[must_use]
pub fn closest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Of two equally near ones the first in the alphabet, so that the answer is always the same.
    let distance = |word: &'a str| (strsim::damerau_levenshtein(text, word), word);
    let most = text.chars().count().div_ceil(3).max(1);
    words.map(distance).filter(|(distance, _)| *distance <= most).min().map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_attribute_path_is_a_name() {
        let ends: Vec<_> = suffixes("packages.x86_64-linux.web").collect();
        assert_eq!(ends, ["packages.x86_64-linux.web", "x86_64-linux.web", "web"]);
    }

    #[test]
    fn what_may_have_been_meant_is_near() {
        let paths = ["packages.x86_64-linux.web", "packages.x86_64-linux.worker"];
        assert_eq!(nearest("wrker", paths.into_iter()), Some("worker".to_owned()));
        assert_eq!(nearest("x86_64-linux.wbe", paths.into_iter()), Some("x86_64-linux.web".to_owned()));
        assert_eq!(nearest("database", paths.into_iter()), None);
    }

    #[test]
    fn brackets_that_do_not_match_are_told() {
        assert!(NamePattern::parse("a[").unwrap_err().to_string().starts_with("not a name: "));
        assert!(NamePattern::parse("").is_err());
    }
}
