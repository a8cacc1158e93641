//! Fields that know what they should be, and order-keeping maps for lockfile entries, borrowed from the lockfile's text where it has no escapes.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use foldhash::fast::RandomState;
use indexmap::{IndexMap, map};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A field that should be a string. nixpkgs refuses a whole lockfile for one that is something else, wherever it stands,
/// and takes `null` for no field.
#[derive(Debug, Default)]
pub(super) enum Text<'a> {
    #[default]
    Absent,
    Is(Cow<'a, str>),
    /// Something else, by what it is called in a message.
    Other(&'static str),
}

impl<'a> Text<'a> {
    pub(super) fn into_cow(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Is(text) => Some(text),
            Self::Absent | Self::Other(_) => None,
        }
    }

    pub(super) fn as_deref(&self) -> Option<&str> {
        match self {
            Self::Is(text) => Some(text),
            Self::Absent | Self::Other(_) => None,
        }
    }

    pub(super) fn into_owned(self) -> Option<String> {
        self.into_cow().map(Cow::into_owned)
    }

    /// What stands there in place of a string.
    pub(super) fn other(&self) -> Option<&'static str> {
        if let Self::Other(found) = self { Some(found) } else { None }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

const BOOLEAN: &str = "a boolean";
const NUMBER: &str = "a number";
const LIST: &str = "a list";
const OBJECT: &str = "an object";

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text::Is(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text::Is(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Text<'de>, E> {
        Ok(Text::Absent)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Text<'de>, E> {
        Ok(Text::Other(BOOLEAN))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Text<'de>, E> {
        Ok(Text::Other(NUMBER))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Text<'de>, E> {
        Ok(Text::Other(NUMBER))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Text<'de>, E> {
        Ok(Text::Other(NUMBER))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::Other(LIST))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Text<'de>, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::Other(OBJECT))
    }
}

/// `bundled`: a boolean, and nothing else, not even `null`. Absent is no.
#[derive(Debug, Default)]
pub(super) struct Boolean {
    pub(super) value: bool,
    /// What stands there in place of a boolean.
    pub(super) other: Option<&'static str>,
}

impl<'de> Deserialize<'de> for Boolean {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any<'a> {
            Boolean(bool),
            #[serde(borrow)]
            Other(Text<'a>),
        }
        let other = match Any::deserialize(deserializer)? {
            Any::Boolean(value) => return Ok(Self { value, other: None }),
            Any::Other(Text::Is(_)) => "a string",
            Any::Other(Text::Absent) => "null",
            Any::Other(Text::Other(found)) => found,
        };
        Ok(Self { value: false, other: Some(other) })
    }
}

/// `true` for a field that says yes; everything else, of whatever type, is no.
#[derive(Debug, Default)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FlagVisitor).map(Self)
    }
}

/// `true` for a boolean `true` and for any list: `link`, `inBundle`, and `os`, `cpu`, of which presence is all we ask.
struct FlagVisitor;

impl<'de> Visitor<'de> for FlagVisitor {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean or a list")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(true)
    }
}

/// A JSON object of entries in file order. A key that stands twice counts once, with its last value, as in JavaScript; the
/// values before it are still of interest to who looks for mistakes.
pub(super) struct Entries<'a, T> {
    pub(super) list: Vec<(Cow<'a, str>, T)>,
    /// Entries that a later one of the same key took the place of.
    pub(super) replaced: Vec<(Cow<'a, str>, T)>,
}

impl<T> Default for Entries<'_, T> {
    fn default() -> Self {
        Self { list: Vec::new(), replaced: Vec::new() }
    }
}

impl<'a, T> Entries<'a, T> {
    /// All entries, the replaced ones last.
    pub(super) fn all(&self) -> impl Iterator<Item = &(Cow<'a, str>, T)> {
        self.list.iter().chain(&self.replaced)
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Entries<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<'de, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de, T>, A::Error> {
        let mut entries: IndexMap<Cow<'de, str>, T, RandomState> = IndexMap::default();
        let mut replaced = Vec::new();
        while let Some((key, Object(value))) = map.next_entry::<Text<'de>, Object<T>>()? {
            let Text::Is(key) = key else { continue };
            match entries.entry(key) {
                map::Entry::Vacant(slot) => drop(slot.insert(value)),
                map::Entry::Occupied(mut slot) => replaced.push((slot.key().clone(), slot.insert(value))),
            }
        }
        Ok(Entries { list: entries.into_iter().collect(), replaced })
    }
}

/// What is written as an object. `serde` would also take a list of the fields' values, in an order that is nobody's.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// The keys of an object; nothing for a value of another type.
#[derive(Debug, Default)]
pub(super) struct Names<'a>(pub(super) Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Names<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor { of_keys: true }).map(Self)
    }
}

/// A list of strings, or one alone; nothing for a value of another type.
#[derive(Debug, Default)]
pub(super) struct Words<'a>(pub(super) Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor { of_keys: false }).map(Self)
    }
}

struct ListVisitor {
    of_keys: bool,
}

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, IgnoredAny)) = map.next_entry::<Text<'de>, IgnoredAny>()? {
            keys.extend(key.into_cow().filter(|_| self.of_keys));
        }
        Ok(keys)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = items.next_element::<Text<'de>>()? {
            words.extend(word.into_cow().filter(|_| !self.of_keys));
        }
        Ok(words)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(if self.of_keys { Vec::new() } else { vec![Cow::Borrowed(text)] })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(if self.of_keys { Vec::new() } else { vec![Cow::Owned(text.to_owned())] })
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
}
