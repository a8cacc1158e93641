//! The entries of a lockfile as they stand in its text, so that fields can be put in without touching anything else.

use std::borrow::Cow;

use npm_lockfile::{Lockfile, LockfileError, Version, is_installed, package_name};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An entry that comes from a registry, or from another server as a tarball.
pub(super) struct LockfileEntry<'a> {
    /// The keys that lead to it from the top.
    pub path: Vec<String>,
    /// Where it stands, for people.
    pub place: String,
    /// The package's name; of an alias the real one.
    pub name: String,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// The URL it has.
    pub resolved: Option<String>,
    /// What it has to check the bytes against.
    pub integrity: Option<String>,
    /// Its fields.
    pub object: Object<'a>,
}

/// A JSON object within a text. A field that stands twice is there twice.
pub(super) struct Object<'a> {
    /// From its opening brace to its closing one.
    text: &'a str,
    /// Where it begins in the whole text.
    start: usize,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// How a field is set apart from what is before it.
pub(super) struct Spacing<'a> {
    /// Between the comma and the name.
    pub before: &'a str,
    /// Between the name's closing quote and the value: a colon with white space.
    pub colon: &'a str,
}

impl<'a> Object<'a> {
    fn read(whole: &str, raw: &'a RawValue) -> Option<Self> {
        let Fields(fields) = serde_json::from_str(raw.get()).ok()?;
        Some(Self { text: raw.get(), start: offset_in(whole, raw.get()), fields })
    }

    /// The value of the last field of that name, as in JavaScript.
    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    /// Whether a field is `true`.
    fn is(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|value| value.get() == "true")
    }

    /// Where the value of a field stands in the whole text.
    pub(super) fn span(&self, name: &str) -> Option<std::ops::Range<usize>> {
        let value = self.raw(name)?.get();
        let start = self.start + offset_in(self.text, value);
        Some(start..start + value.len())
    }

    /// How a field behind this one is to be set apart: as the one that is there now, else as this one.
    pub(super) fn spacing(&self, name: &str) -> Option<Spacing<'a>> {
        let index = self.fields.iter().rposition(|(key, _)| key == name)?;
        let next = (index + 1).min(self.fields.len() - 1);
        let end = |index: usize| {
            offset_in(self.text, self.fields[index].1.get()) + self.fields[index].1.get().len()
        };
        let begin = if next == 0 { 1 } else { end(next - 1) };
        let gap = &self.text[begin..offset_in(self.text, self.fields[next].1.get())];
        let gap = if next == 0 { gap } else { gap.split_once(',')?.1 };
        let before = &gap[..gap.find('"')?];
        Some(Spacing { before, colon: &gap[gap.rfind('"')? + 1..] })
    }
}

/// Where a part of a text begins in it.
fn offset_in(whole: &str, part: &str) -> usize {
    // A `RawValue` that is borrowed is a slice of the text that was parsed; serde_json tells no other position of it.
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// A JSON object in its order, with all that stands in it.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            let value: &'de RawValue = map.next_value()?;
            fields.push((key, value));
        }
        Ok(Fields(fields))
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The entries of all maps of a lockfile, in the order of the text.
///
/// # Errors
/// When the text is not a lockfile.
pub(super) fn entries(text: &str) -> Result<Vec<LockfileEntry<'_>>, LockfileError> {
    // With its judgement of what is none, and its words for it.
    let version = Lockfile::parse(text.as_bytes())?.version;
    let Fields(top) = serde_json::from_str(text).map_err(LockfileError::Json)?;
    let mut entries = Vec::new();
    for (name, value) in &top {
        match (&**name, version) {
            ("packages", Version::V2 | Version::V3) => flat(text, value, &mut entries),
            ("dependencies", Version::V1 | Version::V2) => nested(text, value, &[], &mut entries),
            _ => {}
        }
    }
    Ok(entries)
}

fn objects<'a>(whole: &str, map: &'a RawValue) -> impl Iterator<Item = (Cow<'a, str>, Object<'a>)> {
    let fields =
        serde_json::from_str::<Fields<'a>>(map.get()).map(|Fields(fields)| fields).unwrap_or_default();
    let read = |(name, raw): (Cow<'a, str>, &'a RawValue)| Some((name, Object::read(whole, raw)?));
    fields.into_iter().filter_map(read).collect::<Vec<_>>().into_iter()
}

fn flat<'a>(whole: &str, map: &'a RawValue, entries: &mut Vec<LockfileEntry<'a>>) {
    for (place, object) in objects(whole, map) {
        let (version, resolved) = (object.text("version"), object.text("resolved"));
        // Without a version an optional entry stands in for one that the registry does not have.
        let absent = object.is("optional") && version.is_none() && resolved.is_none();
        // What is bundled comes in the tarball of the package that bundles it, and npm writes no URL for it.
        if object.is("link") || object.is("inBundle") || absent || !is_installed(&place) {
            continue;
        }
        let entry = LockfileEntry {
            path: vec!["packages".to_owned(), place.clone().into_owned()],
            name: object.text("name").unwrap_or_else(|| package_name(&place).to_owned()),
            place: place.into_owned(),
            version,
            resolved,
            integrity: object.text("integrity"),
            object,
        };
        entries.extend(Some(entry).filter(LockfileEntry::is_tarball));
    }
}

/// `serde_json` bounds the nesting, and so this recursion.
fn nested<'a>(whole: &str, map: &'a RawValue, parents: &[String], entries: &mut Vec<LockfileEntry<'a>>) {
    for (name, object) in objects(whole, map) {
        if object.is("bundled") {
            continue;
        }
        let mut names = parents.to_vec();
        names.push(name.clone().into_owned());
        let path = names.iter().flat_map(|name| ["dependencies".to_owned(), name.clone()]).collect();
        let below = object.raw("dependencies");
        let version = object.text("version");
        let (real, version, url) = match version.as_deref().and_then(|version| version.split_once(':')) {
            Some(("npm", alias)) => {
                let (real, version) = alias.rsplit_once('@').filter(|(real, _)| !real.is_empty()).unzip();
                (real.unwrap_or(&name).to_owned(), version.map(str::to_owned), None)
            }
            // A URL in the place of the version is where it comes from.
            Some(_) => (name.into_owned(), None, version),
            None => (name.into_owned(), version, None),
        };
        let entry = LockfileEntry {
            path,
            place: names.join(" > "),
            name: real,
            version,
            resolved: url.or_else(|| object.text("resolved")),
            integrity: object.text("integrity"),
            object,
        };
        entries.extend(Some(entry).filter(LockfileEntry::is_tarball));
        if let Some(below) = below {
            nested(whole, below, &names, entries);
        }
    }
}

impl LockfileEntry<'_> {
    /// Whether it is downloaded as a tarball: not a folder, file or git repository.
    fn is_tarball(&self) -> bool {
        match self.resolved.as_deref().map(str::trim).and_then(|url| url.split_once(':')) {
            None => true,
            Some((scheme, _)) => matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https"),
        }
    }
}
