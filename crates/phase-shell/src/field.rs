//! What a word is once it is expanded: known text, and gaps that only the shell could fill.

use std::rc::Rc;

use nix_lang::value::source::Source;

use super::log::Key;
use super::script::Class;

/// A folder that has a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Anchor {
    /// `$out`
    Out,
    /// `$TMPDIR` and its other names: the folder in which the sources are unpacked.
    BuildTop,
    /// A folder of the tree that the script works in, by its path from the start.
    Tree(String),
    /// `$HOME`, and others that no source is unpacked in.
    Elsewhere,
}

/// A piece of an expanded word.
#[derive(Debug, Clone)]
pub(super) enum Seg {
    Text(String),
    /// `*`: any text without a slash.
    Star,
    /// `?`: any character but a slash.
    AnyOne,
    /// `[...]`
    OneOf(Class),
    Store(Rc<Source>),
    Anchor(Anchor),
    /// Any text. The name is that of a package, where it is one.
    Gap(Option<Rc<str>>),
}

impl Seg {
    /// Whether it stands for several texts, of which files decide.
    fn is_pattern(&self) -> bool {
        matches!(self, Self::Star | Self::AnyOne | Self::OneOf(_))
    }
}

/// An expanded word, or a variable's value.
#[derive(Debug, Clone, Default)]
pub(super) struct Field {
    pub segs: Vec<Seg>,
    /// It may be several words of this form, or none.
    pub loose: bool,
}

// A gap is not equal to itself: two texts that are not known need not be the same one.
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Seg, b: &Seg| match (a, b) {
            (Seg::Text(a), Seg::Text(b)) => a == b,
            (Seg::Anchor(a), Seg::Anchor(b)) => a == b,
            (Seg::Store(a), Seg::Store(b)) => Rc::ptr_eq(a, b),
            _ => false,
        };
        self.loose == other.loose
            && self.segs.len() == other.segs.len()
            && self.segs.iter().zip(&other.segs).all(|(a, b)| same(a, b))
    }
}

/// What one symbol of a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sign {
    Is(char),
    /// Any text without a slash, not beginning a name with a dot.
    Star,
    AnyOne,
    OneOf(Class),
    Anything,
}

impl Sign {
    /// Whether it stands for this character, and no other.
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Is(own) => *own == c,
            Self::AnyOne => c != '/',
            Self::OneOf(class) => class.holds(c),
            Self::Star | Self::Anything => false,
        }
    }
}

impl Field {
    /// A known text.
    pub fn text(text: &str) -> Self {
        Self { segs: vec![Seg::Text(text.to_owned())], loose: false }
    }

    /// Text that is not known.
    pub fn unknown() -> Self {
        Self { segs: vec![Seg::Gap(None)], loose: false }
    }

    pub fn push(&mut self, seg: Seg) {
        match seg {
            Seg::Text(more) if more.is_empty() => {}
            Seg::Text(more) => match self.segs.last_mut() {
                Some(Seg::Text(before)) => before.push_str(&more),
                _ => self.segs.push(Seg::Text(more)),
            },
            seg => self.segs.push(seg),
        }
    }

    /// The text, if all of it is known.
    pub fn known(&self) -> Option<&str> {
        match self.segs.as_slice() {
            [Seg::Text(text)] if !self.loose => Some(text),
            [] if !self.loose => Some(""),
            _ => None,
        }
    }

    /// The text that it surely begins with.
    pub fn start(&self) -> &str {
        match self.segs.first() {
            Some(Seg::Text(text)) if !self.loose => text,
            _ => "",
        }
    }

    /// Whether it is a pattern of file names.
    pub(crate) fn is_pattern(&self) -> bool {
        self.segs.iter().any(Seg::is_pattern)
    }

    pub(crate) fn has_gap(&self) -> bool {
        self.loose || self.segs.iter().any(|seg| matches!(seg, Seg::Gap(_)))
    }

    /// The bytes that it is made of, for the budget.
    pub fn size(&self) -> usize {
        self.segs.iter().map(|seg| if let Seg::Text(text) = seg { text.len() } else { 1 }).sum()
    }

    /// The part behind the last slash that is spelt out, and whether one is.
    fn name_segs(&self) -> (Option<&str>, &[Seg], bool) {
        for (i, seg) in self.segs.iter().enumerate().rev() {
            if let Seg::Text(text) = seg
                && let Some((_, tail)) = text.rsplit_once('/')
            {
                return (Some(tail), &self.segs[i + 1..], true);
            }
        }
        (None, &self.segs, false)
    }

    /// The last part of the path, as far as it is known: `None` for the name of a path in the store, which begins with a
    /// hash, and for what has gaps.
    pub fn base_name(&self) -> Option<String> {
        let (head, rest, _) = self.name_segs();
        let mut name = head.unwrap_or_default().to_owned();
        for seg in rest {
            match seg {
                Seg::Text(text) => name.push_str(text),
                _ => return None,
            }
        }
        (!self.loose).then_some(name)
    }

    /// A pattern behind a folder that is spelt out: `web/*.json`.
    pub(crate) fn split_pattern(&self) -> Option<(Field, Pattern)> {
        let (head, rest, slash) = self.name_segs();
        if self.has_gap() || !self.is_pattern() {
            return None;
        }
        let folder_segs = &self.segs[..self.segs.len() - rest.len()];
        let mut folder = Field::default();
        let mut name = Field::default();
        if slash {
            let (last, before) = folder_segs.split_last()?;
            folder.segs.extend(before.iter().cloned());
            let Seg::Text(text) = last else { return None };
            let kept = text.strip_suffix(head?)?;
            folder.push(Seg::Text(
                if kept == "/" && before.is_empty() { kept } else { kept.trim_end_matches('/') }.to_owned(),
            ));
            name.push(Seg::Text(head?.to_owned()));
        }
        for seg in rest {
            name.push(seg.clone());
        }
        if folder.is_pattern()
            || name.segs.iter().any(|seg| !seg.is_pattern() && !matches!(seg, Seg::Text(_)))
        {
            return None;
        }
        Some((folder, Pattern(name.signs())))
    }

    fn signs(&self) -> Vec<Sign> {
        let mut signs = Vec::new();
        for seg in &self.segs {
            match seg {
                Seg::Text(text) => signs.extend(text.chars().map(Sign::Is)),
                Seg::Star => signs.push(Sign::Star),
                Seg::AnyOne => signs.push(Sign::AnyOne),
                Seg::OneOf(class) => signs.push(Sign::OneOf(class.clone())),
                Seg::Store(_) | Seg::Anchor(_) | Seg::Gap(_) => signs.push(Sign::Anything),
            }
        }
        signs
    }

    /// Whether this path could be the one of `key`, or with `deep` a folder above it, for a script that stands in `folder`.
    pub(crate) fn may_reach(&self, key: &Key, folder: Option<&Key>, deep: bool) -> bool {
        let mut signs = self.signs();
        while signs.starts_with(&[Sign::Is('.'), Sign::Is('/')]) {
            signs.drain(..2);
        }
        // Behind `cd ../source` the script may stand in the tree.
        let folder = folder.filter(|folder| !folder.path.starts_with(".."));
        let parts: Vec<&str> = key.path.split('/').collect();
        let shortest = if deep { 1 } else { parts.len() };
        (shortest..=parts.len()).any(|length| {
            let path = parts[..length].join("/");
            let spelt = self.start();
            if spelt.is_empty() || spelt.starts_with('/') || spelt.contains("..") || folder.is_none() {
                // It may begin anywhere: its last parts decide, be it that it ends in the middle of the path, or that it comes to
                // it from far away (`$NIX_BUILD_TOP/source/package-lock.json`: what the folder is called is not known).
                return (0..length).any(|from| matches(&signs, &parts[from..length].join("/")))
                    || matches(&signs, &format!("/{path}"))
                    || behind_slashes(&signs).any(|rest| matches(rest, &path))
                    || (spelt.contains("..")
                        && self.base_name().is_none_or(|name| name == parts[length - 1]));
            }
            let whole = Key { root: key.root, path };
            folder.and_then(|folder| whole.below(folder)).is_some_and(|rest| matches(&signs, rest))
        })
    }

    /// Whether both stand for the same texts.
    pub(crate) fn signs_equal(&self, other: &Self) -> bool {
        self.signs() == other.signs()
    }

    /// All that is spelt out, with a mark between: for searching names in it.
    pub fn spelt(&self) -> String {
        let parts: Vec<&str> = self
            .segs
            .iter()
            .filter_map(|seg| if let Seg::Text(text) = seg { Some(text.as_str()) } else { None })
            .collect();
        parts.join("*")
    }
}

/// A pattern of names in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Sign>);

impl Pattern {
    /// A pattern of its parts.
    pub fn of(field: &Field) -> Self {
        Self(field.signs())
    }

    /// Whether a name is among what the pattern stands for. Names with a dot in front are spelt out, or not meant.
    pub fn matches(&self, name: &str) -> bool {
        let hidden = name.starts_with('.') && self.0.first() != Some(&Sign::Is('.'));
        !hidden && matches(&self.0, name)
    }
}

/// What stands behind each slash of a pattern.
fn behind_slashes(signs: &[Sign]) -> impl Iterator<Item = &[Sign]> {
    signs.iter().enumerate().filter(|(_, sign)| **sign == Sign::Is('/')).map(|(at, _)| &signs[at + 1..])
}

/// The classical walk with one way back: linear in the pattern times the text.
fn matches(signs: &[Sign], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut sign, mut at) = (0, 0);
    // Where the last `*` stood that stops at slashes, and the last one that does not.
    let mut star: Option<(usize, usize)> = None;
    let mut anything: Option<(usize, usize)> = None;
    loop {
        match signs.get(sign) {
            Some(Sign::Star) => {
                star = Some((sign, at));
                sign += 1;
                continue;
            }
            Some(Sign::Anything) => {
                anything = Some((sign, at));
                // What comes behind any text can be reached by moving that one on: an earlier `*` need not be tried again.
                star = None;
                sign += 1;
                continue;
            }
            Some(one) if text.get(at).is_some_and(|c| one.fits(*c)) => {
                sign += 1;
                at += 1;
                continue;
            }
            None if at == text.len() => return true,
            _ => {}
        }
        if let Some((back, from)) = star
            && text.get(from).is_some_and(|c| *c != '/')
        {
            (sign, at) = (back, from + 1);
        } else if let Some((back, from)) = anything
            && text.get(from).is_some()
        {
            (sign, at) = (back, from + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::Root;
    use super::*;

    fn field(segs: &[Seg]) -> Field {
        Field { segs: segs.to_vec(), loose: false }
    }

    #[test]
    fn gaps_may_be_anything_and_stars_stop_at_slashes() {
        let text = |text: &str| Seg::Text(text.to_owned());
        let reaches = |segs: &[Seg], path: &str, folder: &str| {
            let folder = Key::new(Root::Tree, folder);
            field(segs).may_reach(&Key::new(Root::Tree, path), Some(&folder), false)
        };
        assert!(reaches(&[text("a"), Seg::Star, text(".json")], "a-lock.json", ""));
        assert!(!reaches(&[text("a"), Seg::Star, text(".json")], "a/lock.json", ""));
        assert!(reaches(&[text("a"), Seg::Gap(None), text(".json")], "a/b/lock.json", ""));
        assert!(reaches(&[Seg::Star, Seg::Star, Seg::Star, text("x")], "abx", ""));
        assert!(reaches(&[text("./"), Seg::Gap(None)], "web/package-lock.json", "web"));
        assert!(!reaches(&[text("sub/"), Seg::Gap(None)], "web/package-lock.json", "web"));
        assert!(!reaches(&[text("dist/"), Seg::Gap(None)], "package-lock.json", ""));
        assert!(!reaches(&[Seg::Gap(None), text(".tmp")], "package-lock.json", ""));
        assert!(reaches(&[Seg::Gap(None), text("/package.json")], "a/package.json", ""));
    }

    #[test]
    fn patterns_split_at_their_folder() {
        let text = |text: &str| Seg::Text(text.to_owned());
        let (folder, pattern) = field(&[text("sub/"), Seg::Star]).split_pattern().expect("a pattern");
        assert_eq!(folder.known(), Some("sub"));
        assert!(pattern.matches("package-lock.json") && !pattern.matches(".hidden"));
        assert!(field(&[Seg::Star, text("/x")]).split_pattern().is_none());
    }
}
