//! Fetched sources: what a derivation does with them, their calls as data, and which of them are the same.

use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::value::source::Remote;
use nix_lang::value::{Kind, ThunkId, Value};

use super::explain::place_of;
use super::literals;
use crate::remote::{AttributeValue, Patch, RemoteSource, Shrinkwrap, SourceAttribute};

/// A remote source and what a derivation does with it.
#[derive(Clone)]
pub(super) struct Fetched {
    pub remote: Rc<Remote>,
    /// `sourceRoot`, as it is written.
    pub root: Option<String>,
    pub patches: Vec<Patch>,
    /// The folder in which patches are applied.
    pub patched_in: String,
    /// The folder into which a lockfile of the repository is copied.
    pub vendored_in: Option<String>,
    /// Which shrinkwrap of the source would win over that copy.
    pub shrinkwrap: Shrinkwrap,
    /// Whether the manifest beside that copy is surely the source's own.
    pub keeps_manifest: bool,
}

impl Fetched {
    /// A source that is taken as it is.
    pub fn plain(remote: &Rc<Remote>) -> Self {
        Self {
            remote: Rc::clone(remote),
            root: None,
            patches: Vec::new(),
            patched_in: String::new(),
            vendored_in: None,
            shrinkwrap: Shrinkwrap::Ignored,
            keeps_manifest: true,
        }
    }

    /// Whether what is fetched is the same, and patched the same.
    pub fn is_same(&self, ev: &mut Eval, other: &Self) -> bool {
        // The usual case, without the attributes being spelt out.
        if Rc::ptr_eq(&self.remote, &other.remote) {
            return (&self.patches, &self.patched_in) == (&other.patches, &other.patched_in);
        }
        self.remote.call == other.remote.call
            && same_source(&remote_source(ev, self), &remote_source(ev, other))
    }
}

/// A fetcher's call as data.
pub(super) fn remote_source(ev: &mut Eval, used: &Fetched) -> RemoteSource {
    let remote = &used.remote;
    let mut attributes = Vec::new();
    let mut open = None;
    match &remote.args.kind {
        Kind::Attrs(attrs) => {
            open = attrs.open.as_ref().map(|unknown| unknown.message.to_string());
            let names: Vec<_> = attrs.map.keys().cloned().collect();
            for name in names {
                let value = ev.peek_attr(&remote.args, &name, remote.call);
                // `null` is how a fetcher's argument is not given.
                if let Some(value) = value.filter(|value| !matches!(value.kind, Kind::Null)) {
                    attributes.push(attribute(ev, &name, &value));
                }
            }
        }
        // `builtins.fetchTarball "https://..."`: the URL alone in place of a set.
        _ => attributes.push(attribute(ev, "url", &remote.args.clone())),
    }
    RemoteSource {
        kind: remote.kind,
        fetcher: remote.fetcher.to_string(),
        place: place_of(ev, remote.call),
        attributes,
        open,
        input: remote.input.clone(),
        source_root: used.root.clone(),
        patches: used.patches.clone(),
        patched_in: used.patched_in.clone(),
        vendored_in: used.vendored_in.clone(),
        shrinkwrap: used.shrinkwrap.clone(),
        keeps_manifest: used.keeps_manifest,
    }
}

fn attribute(ev: &mut Eval, name: &str, value: &Value) -> SourceAttribute {
    let literal = literals::of_value(ev, value);
    let value = match &value.kind {
        Kind::Str(_) => value.known_text().map_or_else(
            || AttributeValue::Unknown("a string that is not known".to_owned()),
            |t| AttributeValue::Text(t.to_string()),
        ),
        Kind::Bool(flag) => AttributeValue::Bool(*flag),
        Kind::Int(number) => AttributeValue::Number(*number),
        Kind::List(list) => texts(ev, &list.items.clone()),
        Kind::Unknown(unknown) => AttributeValue::Unknown(unknown.message.to_string()),
        _ => AttributeValue::Unknown(format!("it is {}", value.type_name())),
    };
    SourceAttribute { name: name.to_owned(), value, literal }
}

fn texts(ev: &mut Eval, items: &[ThunkId]) -> AttributeValue {
    let mut all = Vec::new();
    for item in items {
        let item = ev.force(*item);
        match item.known_text() {
            Some(text) => all.push((text.to_string(), literals::of_value(ev, &item))),
            None => return AttributeValue::Unknown("a list that is not known".to_owned()),
        }
    }
    AttributeValue::Texts(all)
}

/// The patches that may change the lockfile, and where they are applied: two derivations of one source that patch it otherwise
/// need other hashes (fixture `patches-differ`).
pub(super) fn patched(source: &RemoteSource) -> (Vec<Patch>, String) {
    let counts = |patch: &&Patch| !matches!(patch, Patch::Local { names_lockfile: false, .. });
    let patches: Vec<Patch> = source.patches.iter().filter(counts).cloned().collect();
    let place = if patches.is_empty() { String::new() } else { source.patched_in.clone() };
    (patches, place)
}

/// Its attributes, as they are compared.
pub(super) fn attributes_of(source: &RemoteSource) -> Vec<(String, AttributeValue)> {
    source.attributes.iter().map(|attribute| (attribute.name.clone(), attribute.value.clone())).collect()
}

/// Whether what is fetched is surely the same, and patched the same as far as that decides the lockfile.
pub(super) fn same_source(a: &RemoteSource, b: &RemoteSource) -> bool {
    // A commit is the same tree from whatever mirror, and by whatever fetcher.
    let same = same_call(a, b) || a.commit().is_some_and(|commit| b.commit() == Some(commit));
    same && patched(a) == patched(b)
}

fn same_call(a: &RemoteSource, b: &RemoteSource) -> bool {
    a.kind == b.kind && same_attributes(a, b) && a.input == b.input
}

pub(super) fn same_attributes(a: &RemoteSource, b: &RemoteSource) -> bool {
    attributes_of(a) == attributes_of(b) && a.open.is_none() && b.open.is_none()
}
