//! Remote sources as data, and the proof of an answer.

use nix_lang::eval::Eval;
use nix_lang::value::{Kind, ThunkId, Value};
use nixpkgs_model::packages::record::{Record, RecordKind};

use super::answer::Fetched;
use super::explain::{place_of, steps};
use super::literals::{self, Hash};
use super::locate::Located;
use crate::remote::{AttributeValue, RemoteSource, SourceAttribute};
use crate::site::{Outcome, Step};

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

pub(super) fn attribute(ev: &mut Eval, name: &str, value: &Value) -> SourceAttribute {
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

pub(super) fn texts(ev: &mut Eval, items: &[ThunkId]) -> AttributeValue {
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

/// The chain of places that led to the answer.
pub(super) fn proof(
    ev: &Eval,
    record: &Record,
    hash: &Hash,
    located: &[Located],
    outcome: &Outcome,
) -> Vec<Step> {
    let mut proof = vec![Step { place: place_of(ev, record.call), text: beginning(record) }];
    steps(ev, "the hash", &hash.trail, &mut proof);
    // Those that agree lead to one lockfile, and one way there is proof enough.
    for located in located.iter().take(1) {
        steps(ev, "the source", &located.trail, &mut proof);
        for (at, note) in &located.notes {
            proof.push(Step { place: place_of(ev, *at), text: note.to_string() });
        }
    }
    let place = match outcome {
        Outcome::Undecided(undecided) => undecided.stopped_at.clone(),
        _ => place_of(ev, record.call),
    };
    proof.push(Step { place, text: end(ev, outcome) });
    proof
}

fn beginning(record: &Record) -> String {
    let builder = match &record.kind {
        RecordKind::Package => "`buildNpmPackage`",
        RecordKind::FetchDeps => "`fetchNpmDeps`",
        RecordKind::OwnFetcher(_) => "the repository's own fetcher",
        RecordKind::Tarball(_) => "a fetcher",
        RecordKind::Installed(_) => "a derivation that runs a package manager",
        RecordKind::Foreign(_) => "a derivation with `npmDeps` of its own",
    };
    match &record.assumed {
        None => format!("{builder} is called"),
        Some(callee) => {
            let name = callee.name.as_deref().unwrap_or("a function from outside");
            format!("`{name}` is called; it is not known, and is taken for {builder} of nixpkgs")
        }
    }
}

fn end(ev: &Eval, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Local { lockfile, edits } => {
            let edited = if edits.is_empty() { "" } else { ", edited by the phases" };
            format!("so the lockfile is {}{edited}", ev.files.display(lockfile))
        }
        Outcome::MissingLockfile { expected } => {
            format!("so the lockfile would be {}, which is not there", ev.files.display(expected))
        }
        Outcome::Remote { source, inside } => match inside.folder.as_str() {
            "" => format!("so the lockfile is inside what `{}` fetches", source.fetcher),
            folder => format!("so the lockfile is in `{folder}` inside what `{}` fetches", source.fetcher),
        },
        Outcome::Tarball(source) => format!("so what is pinned is what `{}` fetches", source.fetcher),
        Outcome::Undecided(undecided) => format!("nothing can be said: {}", undecided.message),
    }
}
