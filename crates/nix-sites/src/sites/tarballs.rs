//! Programs that are pinned without a lockfile: fixed-output downloads of a registry's tarballs.
//!
//! A download is a site of its own where its URL is one by which a registry names a tarball, and where no npm derivation has
//! it for its source: there the literals of both move together. Fetches of anything else are left alone here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::place::Place;
use nix_lang::syntax::ast::Location;
use nix_lang::value::formula::{Under, can_meet};
use nix_lang::value::source::Remote;
use nix_lang::value::{Attrs, Kind, Piece, Value};
use nixpkgs_model::packages::record::{Declarations as _, Record, RecordKind};
use npm_tarballs::tarball_url;

use super::draft::{Draft, asked_at, undecided};
use super::explain::{place_of, steps};
use super::fetched::Fetched;
use super::fetched::remote_source;
use super::literals;
use super::merge::mark_shared;
use crate::reason::Reason;
use crate::remote::{AttributeValue, RemoteSource};
use crate::site::{Outcome, Site, Step};

/// How a call names what it downloads.
const URLS: [&str; 2] = ["url", "urls"];

/// Declares the downloads from that number on that may be a registry's tarballs; answers how many there are by now.
pub(super) fn declare(ev: &mut Eval, from: usize) -> usize {
    let mut next = from;
    while let Some(remote) = ev.declared().downloads.get(next).cloned() {
        ev.budget.begin();
        if may_be_one(ev, &remote) {
            let record =
                Record::new(RecordKind::Tarball(Rc::clone(&remote)), remote.args.clone(), remote.call);
            ev.declare_download(next, record);
        }
        next += 1;
    }
    next
}

/// Whether what is downloaded may be a tarball of a registry.
pub(super) fn may_be_one(ev: &mut Eval, remote: &Remote) -> bool {
    urls(ev, remote).iter().any(|(url, _)| may_be_tarball(url))
}

/// The URLs that a call may be given, each with the condition under which it counts. Mirrors in one list are one download: the first counts.
fn urls(ev: &mut Eval, remote: &Remote) -> Vec<(Value, Under)> {
    let given = URLS.iter().find_map(|name| ev.peek_attr(&remote.args, name, remote.call));
    let Some(value) = given else { return Vec::new() };
    let values = match &value.kind {
        Kind::Alt(values) => values.as_ref().clone(),
        _ => vec![value],
    };
    let mut all = Vec::new();
    for value in values {
        let under = value.under();
        let first = match &value.kind {
            Kind::List(list) => list.items.first().copied(),
            _ => None,
        };
        let value = first.map_or(value, |first| ev.force(first));
        all.push((value, under));
    }
    all
}

/// Whether a URL is that of a registry's tarball, or would be, were all of it known.
fn may_be_tarball(url: &Value) -> bool {
    match (url.known_text(), &url.kind) {
        (Some(text), _) => tarball_url::named_by(&text).is_some(),
        (None, Kind::Str(text)) => {
            let known = text.pieces.iter().filter_map(|piece| match piece {
                Piece::Text(text) => Some(text.as_ref()),
                Piece::Source(_) | Piece::Unknown(_) => None,
            });
            tarball_url::may_be_named(known)
        }
        _ => false,
    }
}

/// The sites of a call: one for each URL and literal that belong together.
pub(super) fn drafts(ev: &mut Eval, record: &Record, remote: &Rc<Remote>) -> Vec<Draft> {
    let name = record.hash_name();
    // Without a hash nothing is pinned.
    let Some(hash) = ev.peek_attr(&record.args, name, record.call) else { return Vec::new() };
    let hashes = match &hash.kind {
        Kind::Alt(values) => values.as_ref().clone(),
        _ => vec![hash],
    };
    let mut all = Vec::new();
    for (url, of_url) in urls(ev, remote).into_iter().filter(|(url, _)| may_be_tarball(url)) {
        for hash in hashes.iter().filter(|hash| can_meet(&of_url, &hash.under())) {
            let one = with(ev, remote, name, &url, hash);
            all.extend(draft(ev, record, &one, &url, hash));
        }
    }
    all
}

/// The call with one of its URLs and one of its hashes.
fn with(ev: &mut Eval, remote: &Remote, name: &str, url: &Value, hash: &Value) -> Rc<Remote> {
    let Kind::Attrs(attrs) = &remote.args.kind else { return Rc::new(remote.clone()) };
    let mut attrs = Attrs::clone(attrs);
    let plain = if attrs.map.contains_key("url") { Some(url) } else { None };
    for (name, value) in plain.map(|url| ("url", url)).into_iter().chain([(name, hash)]) {
        let thunk = ev.done(value.clone());
        if let Some(attr) = attrs.map.get_mut(name) {
            attr.thunk = thunk;
        }
    }
    let args = Value { kind: Kind::Attrs(Rc::new(attrs)), trail: remote.args.trail.clone() };
    Rc::new(Remote { args, ..remote.clone() })
}

fn draft(ev: &mut Eval, record: &Record, remote: &Rc<Remote>, url: &Value, hash: &Value) -> Option<Draft> {
    let hash = literals::read(ev, hash, &None);
    if hash.null {
        return None;
    }
    let at = record.call;
    let known = url.known_text();
    let named = known.as_deref().and_then(tarball_url::named_by);
    let source = remote_source(ev, &Fetched::plain(remote));
    let outcome = match (&hash.doubt, &known) {
        (Some((_, message, at)), _) => {
            let message = message.replace("npmDepsHash", record.hash_name());
            undecided(ev, Reason::UnknownHash, message, at.unwrap_or(record.call))
        }
        (None, None) => {
            let unknown = unknown_in(url);
            let message = format!("the URL of the tarball is not known: {}", unknown.0);
            undecided(ev, Reason::UnknownUrl, message, unknown.1.unwrap_or(record.call))
        }
        (None, Some(_)) => Outcome::Tarball(Box::new(source)),
    };
    let called = Step { place: place_of(ev, record.call), text: format!("`{}` is called", remote.fetcher) };
    let explain = proof(ev, called, &hash, url, &outcome);
    let mut site =
        Site { asked_at: asked_at(ev, at, &hash, &[]), explain, ..Site::new(place_of(ev, at), outcome) };
    (site.name, site.version) = named.unzip();
    // The literal of a tarball is that of its source; where nothing is known of it, it is all that there is to show.
    if !matches!(site.outcome, Outcome::Tarball(_)) {
        site.hashes = hash.literals.iter().map(|(literal, _)| literal.clone()).collect();
    }
    Some(Draft::new(record, site, &hash))
}

/// What stops a URL from being known, and where.
fn unknown_in(url: &Value) -> (String, Option<Location>) {
    let piece = match &url.kind {
        Kind::Str(text) => text.pieces.iter().find_map(|piece| match piece {
            Piece::Unknown(unknown) => Some((unknown.message.to_string(), unknown.at)),
            Piece::Text(_) | Piece::Source(_) => None,
        }),
        _ => None,
    };
    piece.unwrap_or_else(|| ("it is built from something that is not text".to_owned(), None))
}

fn proof(ev: &Eval, called: Step, hash: &literals::Hash, url: &Value, outcome: &Outcome) -> Vec<Step> {
    let call = called.place.clone();
    let mut proof = vec![called];
    steps(ev, "the hash", &hash.trail, &mut proof);
    steps(ev, "the URL", &url.trail, &mut proof);
    let (place, text) = if let Outcome::Undecided(undecided) = outcome {
        (undecided.stopped_at.clone(), format!("nothing can be said: {}", undecided.message))
    } else {
        let named = url.known_text().as_deref().and_then(tarball_url::named_by);
        let named = named.map_or_else(String::new, |(name, version)| format!(" of {name}@{version}"));
        (call, format!("so what is pinned is the tarball{named} of a registry"))
    };
    proof.push(Step { place, text });
    proof
}

/// Leaves out the downloads that npm derivations have for their sources. Those of an undecided one stand for themselves: nobody
/// else keeps their hashes (fixture `tarball-beside-undecided`). One that shares its literal with the source of another
/// URL needs a hash of its own.
pub(super) fn drop_carried(drafts: &mut Vec<Draft>) {
    let is_carrier =
        |draft: &Draft| !matches!(draft.site.outcome, Outcome::Tarball(_) | Outcome::Undecided(_));
    let mut carried: BTreeMap<(PathBuf, usize), Vec<Carried>> = BTreeMap::new();
    for draft in drafts.iter().filter(|draft| is_carrier(draft)) {
        for source in draft.site.sources() {
            let Some(literal) = source.hash().and_then(|hash| hash.literal.as_ref()) else { continue };
            let users = carried.entry((literal.file.clone(), literal.range.start)).or_default();
            users.push((address(source), draft.site.place.clone()));
        }
    }
    drafts.retain_mut(|draft| {
        let Outcome::Tarball(source) = &draft.site.outcome else { return true };
        let literal = draft.site.tarball_literal();
        let users = literal.and_then(|own| carried.get(&(own.file.clone(), own.range.start)));
        let Some(users) = users else { return true };
        let own = address(source);
        if users.iter().any(|(address, _)| *address == own) {
            return false;
        }
        let place = users[0].1.clone();
        let message =
            format!("its hash is shared with the source of line {}, which is another one", place.line);
        mark_shared(&mut draft.site, message, place);
        true
    });
}

/// What a source is fetched from, and where its derivation is.
type Carried = (Option<AttributeValue>, Place);

/// What is fetched, as the call says it.
fn address(source: &RemoteSource) -> Option<AttributeValue> {
    URLS.iter().find_map(|name| source.attribute(name)).map(|attribute| attribute.value.clone())
}
