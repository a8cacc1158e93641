//! Lockfiles that a derivation reads without recording a hash of them: `importNpmLock`, which has Nix itself fetch each package
//! by the lockfile's own `resolved` and `integrity`.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::explain::place_of;
use super::locate::{Answer, locate};
use crate::nix::eval::Eval;
use crate::nix::site::LockfileUse;
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Attrs, ThunkId, Value};

/// The file that `importNpmLock` reads of its `npmRoot`, whatever else is there.
const NAME: &str = "package-lock.json";

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
    // Then `npmRoot` says where relative dependencies are, and the lockfile is any value.
    if attrs.map.contains_key("packageLock") {
        return Vec::new();
    }
    let Some(root) = attrs.map.get("npmRoot") else { return Vec::new() };
    let args = Value::attrs(Attrs::of([(Rc::from("src"), root.thunk)]));
    let place = place_of(ev, at);
    let answers = locate(ev, &args, true, at).into_iter().map(|located| located.answer);
    let file = |answer| match answer {
        Answer::Local(path, _) => Some(path.with_file_name(NAME)).filter(|path| ev.files.is_file(path)),
        _ => None,
    };
    answers.filter_map(file).map(|lockfile| LockfileUse { place: place.clone(), lockfile }).collect()
}
