//! What an install wants: npm prunes what nothing leads to before it downloads anything.
//!
//! Edges go by name, as Node searches: ranges do not matter here.

use std::collections::{BTreeSet, HashMap};

use crate::entries::Flat;
use crate::{is_installed, search};

/// The places that the project and its workspaces lead to.
pub(super) fn reached<'a>(known: &HashMap<&'a str, &Flat<'_>>, wanted: &[String]) -> BTreeSet<&'a str> {
    let mut reached: BTreeSet<&str> = known.keys().copied().filter(|place| !is_installed(place)).collect();
    let mut queue: Vec<&str> = reached.iter().copied().collect();
    let find = |from: &str, name: &str| search(from, name, |place| Some(*known.get_key_value(place)?.0));
    for place in wanted.iter().filter_map(|name| find("", name)) {
        if reached.insert(place) {
            queue.push(place);
        }
    }
    while let Some(place) = queue.pop() {
        // Of installed packages npm leaves out what only their developers need.
        for name in known[place].edges(!is_installed(place)) {
            if let Some(target) = find(place, &name).filter(|target| reached.insert(target)) {
                queue.push(target);
            }
        }
    }
    reached
}

/// The names that a manifest depends on.
pub(super) fn wanted_by(manifest: &[u8]) -> Vec<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    let of =
        |field: &str| manifest.get(field)?.as_object().map(|names| names.keys().cloned().collect::<Vec<_>>());
    DEPENDENCY_FIELDS.iter().filter_map(|field| of(field)).flatten().collect()
}

/// The fields of a manifest that name what a project depends on.
const DEPENDENCY_FIELDS: [&str; 4] =
    ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
