//! Lockfiles that a derivation reads without recording a hash of them: `importNpmLock`, which has Nix itself fetch each package
//! by the lockfile's own `resolved` and `integrity`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Attrs, ThunkId, Value};
use nixpkgs_model::packages::record::Declarations as _;

use super::answer::Answer;
use super::explain::place_of;
use super::locate::locate;
use crate::site::LockfileUse;

/// The files that `importNpmLock` reads of its `npmRoot`, whatever else is there.
const LOCKFILE: &str = "package-lock.json";
const MANIFEST: &str = "package.json";

/// All uses whose lockfile is known, in the order of their places.
pub(crate) fn uses(ev: &mut Eval) -> Vec<LockfileUse> {
    let calls: BTreeSet<(ThunkId, Location)> =
        std::mem::take(&mut ev.declared().lock_uses).into_iter().collect();
    let mut found: Vec<LockfileUse> =
        calls.into_iter().flat_map(|(argument, at)| of_call(ev, argument, at)).collect();
    found.sort();
    found.dedup();
    found
}

fn of_call(ev: &mut Eval, argument: ThunkId, at: Location) -> Vec<LockfileUse> {
    ev.budget.begin();
    let given = ev.force(argument);
    let Some(attrs) = given.as_attrs() else { return Vec::new() };
    let argument = |name: &str| attrs.map.get(name).map(|attr| attr.thunk);
    let (lock, package, root) = (argument("packageLock"), argument("package"), argument("npmRoot"));
    // With `packageLock`, `npmRoot` only says where relative dependencies are.
    let lockfiles = match (lock, root) {
        (Some(lock), _) => read_from(ev, lock, "packages"),
        (None, Some(root)) => below(ev, root, LOCKFILE, at),
        (None, None) => Vec::new(),
    };
    let manifests = match (package, root) {
        (Some(package), _) => read_from(ev, package, "name"),
        (None, Some(root)) => below(ev, root, MANIFEST, at),
        (None, None) => Vec::new(),
    };
    let place = place_of(ev, at);
    let manifest = Some(manifests).filter(|all| all.len() == 1).and_then(|mut all| all.pop());
    let used = |lockfile| LockfileUse { place: place.clone(), lockfile, manifest: manifest.clone() };
    lockfiles.into_iter().map(used).collect()
}

/// The files of that name that are in a folder of the repository, which may be one of several.
fn below(ev: &mut Eval, root: ThunkId, name: &str, at: Location) -> Vec<PathBuf> {
    let args = Value::attrs(Attrs::of([(Rc::from("src"), root)]));
    let answers = locate(ev, &args, true, at).into_iter().map(|located| located.answer);
    let file = |answer| match answer {
        Answer::Local { lockfile, .. } => {
            Some(lockfile.with_file_name(name)).filter(|path| ev.files.is_file(path))
        }
        _ => None,
    };
    answers.filter_map(file).collect()
}

/// The JSON files that a document was read from (`lib.importJSON ./package-lock.json`), told by one of its attributes: one
/// that an expression put together is no file's.
fn read_from(ev: &mut Eval, document: ThunkId, attribute: &str) -> Vec<PathBuf> {
    let document = ev.force(document);
    let mut found = Vec::new();
    ev.each(document, &mut |ev, document| {
        let part = document.as_attrs().and_then(|attrs| attrs.map.get(attribute)).map(|attr| attr.thunk);
        let origin = part.and_then(|part| ev.force(part).origin());
        let path = origin.map(|origin| ev.files.get(origin.file).path.clone());
        found.extend(path.filter(|path| path.extension().is_some_and(|own| own == "json")));
        document
    });
    found
}
