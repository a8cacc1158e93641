//! Whether a package and the dependencies that it is given agree about the fetcher's version.

use std::collections::BTreeSet;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Kind, Special, Value};
use nixpkgs_model::packages::derivation::{Builder, Drv};
use nixpkgs_model::packages::record::Declarations as _;

use super::explain::place_of;
use crate::site::VersionMismatch;

/// All packages that do not, in the order of their places.
pub(crate) fn version_mismatches(ev: &mut Eval) -> Vec<VersionMismatch> {
    let packages = std::mem::take(&mut ev.declared().given_dependencies);
    let mut found = BTreeSet::new();
    for (package, at) in packages {
        ev.budget.begin();
        let Some(dependencies) = ev.peek_attr(&package, "npmDeps", at) else { continue };
        // What is not `fetchNpmDeps` with a version that is known is not judged.
        let is_fetched = |special: &Special| {
            special.read::<Drv>().is_some_and(|drv| drv.maker.builder == Builder::FetchDeps)
        };
        if !dependencies.as_attrs().is_some_and(|attrs| is_fetched(&attrs.special)) {
            continue;
        }
        let fetched = version(ev, &dependencies, "fetcherVersion", at);
        let expected = version(ev, &package, "npmDepsFetcherVersion", at);
        if let (Some(fetched), Some(expected)) = (fetched, expected)
            && fetched != expected
        {
            found.insert(VersionMismatch { place: place_of(ev, at), fetched, expected });
        }
    }
    found.into_iter().collect()
}

/// The version that an attribute says, 1 where it is not given, nothing where it is not known.
fn version(ev: &mut Eval, set: &Value, name: &str, at: Location) -> Option<u32> {
    let attrs = set.as_attrs()?;
    if attrs.open.is_some() {
        return None;
    }
    if !attrs.map.contains_key(name) {
        return Some(1);
    }
    match ev.peek_attr(set, name, at)?.kind {
        Kind::Int(version) => u32::try_from(version).ok(),
        Kind::Null => Some(1),
        _ => None,
    }
}
