//! Fetchers: calls become remote sources, nothing is fetched.

use std::rc::Rc;

use nix_lang::eval::{Eval, lambda};
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Base, Remote, RemoteKind, Source};
use nix_lang::value::{Kind, Piece, Value};

use super::names::{self, What, meaning};
use crate::packages::record::Declarations as _;

/// The fetcher of that name.
#[must_use]
pub fn kind(name: &str) -> Option<RemoteKind> {
    match meaning(name)? {
        What::Fetcher(kind) => Some(kind),
        _ => None,
    }
}

/// A fetcher as a function.
#[must_use]
pub fn function(kind: RemoteKind, name: &str) -> Value {
    let fetcher: Rc<str> = Rc::from(name);
    lambda(move |ev, args, here| {
        let args = ev.force(args);
        let fetcher = Rc::clone(&fetcher);
        ev.each(args, &mut |ev, args| source(ev, kind, &fetcher, args, here))
    })
}

fn source(ev: &mut Eval, kind: RemoteKind, fetcher: &Rc<str>, args: Value, here: Location) -> Value {
    if let Some(local) = local_checkout(ev, kind, &args, here) {
        return local;
    }
    let name = match &args.kind {
        Kind::Attrs(_) => ev.peek_attr(&args, "name", here).and_then(|name| name.known_text()),
        _ => None,
    };
    // It brings an archive: the folder that comes out is called as the archive has it.
    let name = if kind == RemoteKind::FetchUrl { None } else { name };
    let remote = Remote { kind, fetcher: Rc::clone(fetcher), call: here, args, input: None, nixpkgs: false };
    let remote = Rc::new(remote);
    if is_download(kind) {
        ev.declared().downloads.push(&remote);
    }
    Source { name, ..Source::new(Base::Remote(remote)) }.value()
}

/// Whether a fetcher takes a plain URL, so that it may name a registry's tarball.
fn is_download(kind: RemoteKind) -> bool {
    matches!(
        kind,
        RemoteKind::FetchUrl
            | RemoteKind::FetchZip
            | RemoteKind::FetchTarball
            | RemoteKind::BuiltinFetchUrl
            | RemoteKind::FetchTree
    )
}

/// `fetchGit ./.` without a revision is the folder itself.
fn local_checkout(ev: &mut Eval, kind: RemoteKind, args: &Value, here: Location) -> Option<Value> {
    if !matches!(kind, RemoteKind::BuiltinFetchGit | RemoteKind::FetchTree | RemoteKind::FetchGit) {
        return None;
    }
    let place = match &args.kind {
        Kind::Path(_) => args.clone(),
        Kind::Attrs(attrs)
            if !["rev", "ref", "sha256", "hash"].iter().any(|name| attrs.map.contains_key(*name)) =>
        {
            ev.peek_attr(args, "url", here).or_else(|| ev.peek_attr(args, "path", here))?
        }
        _ => return None,
    };
    let Kind::Path(path) = &place.kind else { return None };
    Some(Source { name: Some("source".into()), ..Source::local(path.as_ref().clone()) }.value())
}

/// Whether a fetched tree is nixpkgs.
pub fn is_nixpkgs(ev: &mut Eval, remote: &Remote, here: Location) -> bool {
    let args = remote.args.clone();
    let mut words = Vec::new();
    match &args.kind {
        Kind::Str(_) => words.push(args.clone()),
        Kind::Attrs(_) => {
            for name in ["url", "repo", "name"] {
                words.extend(ev.peek_attr(&args, name, here));
            }
        }
        _ => {}
    }
    words.iter().any(|value| match &value.kind {
        Kind::Str(text) => {
            text.pieces.iter().any(|piece| matches!(piece, Piece::Text(t) if names::is_nixpkgs(t)))
        }
        _ => false,
    })
}
