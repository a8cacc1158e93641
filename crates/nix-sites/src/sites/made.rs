//! Sources that a script of the plain copying kind makes.

use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Base, Remote, Source};
use nix_lang::value::{Kind, Text, Value};
use nixpkgs_model::packages::derivation::{Builder, Drv};
use phase_shell::{Ground, Left, LockfileState, Script, Shell, Side};

use super::answer::Answer;
use super::attributes::attribute;
use super::conclude::{Patched, conclude, copied};
use super::locate::{DEPTH, SearchPlace};
use crate::reason::Reason;

/// Whether a fetcher's `postFetch` could write the lockfile in a folder of what it makes.
pub(super) fn edits_after_fetch(ev: &mut Eval, remote: &Remote, folder: &str) -> bool {
    let Some(phase) =
        remote.args.as_attrs().and_then(|attrs| attrs.map.get("postFetch")).map(|attr| attr.thunk)
    else {
        return false;
    };
    let phase = ev.force(phase);
    let Kind::Str(text) = &phase.kind else { return !matches!(phase.kind, Kind::Null) };
    let source = Rc::new(Source::new(Base::Remote(Rc::new(remote.clone()))));
    // It begins in a folder of the fetcher's own, in which the download lies; `$out` is what was unpacked.
    let mut shell = Shell::new(&ev.files, &ev.budget, Ground::Unknown, Ground::Source(source));
    shell.run(&Script::new(text), "postFetch");
    let left = shell.left(Side::Out, folder);
    !left.slots.iter().all(|slot| matches!(slot, LockfileState::Original))
        || left.edits.iter().any(|edits| !edits.is_empty())
}

/// A derivation whose `installPhase` is of the plain copying kind.
pub(super) fn built(ev: &mut Eval, tree: &Rc<Source>, drv: &Value, place: SearchPlace<'_>) -> Answer {
    let at = place.at;
    let made = || Answer::doubt(Reason::Generated, "the source (`src`) is made by a build", Some(at));
    let Some(attrs) = drv.as_attrs() else { return made() };
    if attrs.special.read::<Drv>().is_some_and(|drv| drv.maker.builder == Builder::Join) {
        return joined(ev, tree, drv, place);
    }
    // Each of these does something that is not followed here; of `npmDepsHash` it is what the hooks of `buildNpmPackage` do.
    let plain = [
        "buildPhase",
        "postInstall",
        "fixupPhase",
        "postFixup",
        "preFixup",
        "unpackPhase",
        "postUnpack",
        "npmDepsHash",
        "outputHash",
    ];
    if plain.iter().any(|name| attrs.map.contains_key(*name)) || place.depth > DEPTH {
        return made();
    }
    let Some(install) = attrs.map.get("installPhase").map(|attr| attr.thunk) else { return made() };
    let install = ev.force(install);
    let Kind::Str(text) = &install.kind else { return made() };
    let src = attribute(ev, drv, "src", at);
    let inner = ev.source_of(&src, at);
    let untouched =
        ["prePatch", "postPatch", "patches", "sourceRoot"].iter().all(|name| !attrs.map.contains_key(*name));
    let ground = if untouched { Ground::Source(Rc::clone(&inner)) } else { Ground::Unknown };
    let mut shell = Shell::new(&ev.files, &ev.budget, ground, Ground::Nothing);
    shell.set_source("src", &inner);
    shell.run(&Script::new(text), "installPhase");
    let left = shell.left(Side::Out, &tree.sub);
    match conclude_script(ev, &left, at) {
        Answer::Doubt { reason: Reason::LockfileEdited, .. } => made(),
        answer => answer,
    }
}

/// `symlinkJoin` and `buildEnv`: of several paths that have a file, the first one counts.
fn joined(ev: &mut Eval, tree: &Rc<Source>, drv: &Value, place: SearchPlace<'_>) -> Answer {
    let at = place.at;
    let made = || Answer::doubt(Reason::Generated, "the source (`src`) is made by a build", Some(at));
    let altering = ["postBuild", "pathsToLink", "stripPrefix", "buildCommand", "extraPrefix"];
    let changed =
        drv.as_attrs().is_none_or(|attrs| altering.iter().any(|name| attrs.map.contains_key(*name)));
    let paths = attribute(ev, drv, "paths", at);
    let Kind::List(list) = &paths.kind else { return made() };
    if changed || list.open.is_some() || place.depth > DEPTH {
        return made();
    }
    for item in list.items.clone() {
        let path = ev.force(item);
        let source = ev.source_of(&path, at);
        let inner = Rc::new(source.inside(&tree.sub));
        let patches = Patched { list: &[], root: None, folder: inner.sub.clone() };
        let answer = conclude(ev, &inner, &Left::untouched(), &patches, place.deeper(""));
        if !matches!(answer, Answer::Missing(_)) {
            return answer;
        }
    }
    Answer::doubt(Reason::Generated, "none of the `paths` of the source has a lockfile", Some(at))
}

/// A source that a script of the plain copying kind makes.
pub(super) fn scripted(ev: &mut Eval, tree: &Rc<Source>, text: &Text, env: &Value, at: Location) -> Answer {
    let mut variables = Vec::new();
    if let Kind::Attrs(attrs) = &env.kind {
        for (name, attr) in &attrs.map {
            let value = ev.force(attr.thunk);
            match value.known_text() {
                // An absolute path is a place, which may be in the repository.
                Some(text) if !text.starts_with('/') => variables.push((name.to_string(), Err(text))),
                _ if matches!(value.kind, Kind::Path(_) | Kind::Str(_) | Kind::Attrs(_)) => {
                    variables.push((name.to_string(), Ok(ev.source_of(&value, at))));
                }
                _ => {}
            }
        }
    }
    // A builder like runCommand begins in an empty folder.
    let empty = Ground::Source(Rc::new(Source::new(Base::Empty)));
    let mut shell = Shell::new(&ev.files, &ev.budget, empty, Ground::Nothing);
    for (name, value) in &variables {
        match value {
            Ok(source) => shell.set_source(name, source),
            Err(text) => shell.set_text(name, text),
        }
    }
    shell.run(&Script::new(text), "runCommand");
    let left = shell.left(Side::Out, &tree.sub);
    match conclude_script(ev, &left, at) {
        Answer::Doubt { reason: Reason::LockfileEdited, message, at, cure } => {
            Answer::Doubt { reason: Reason::Generated, message, at, cure }
        }
        answer => answer,
    }
}

/// Which file a script leaves as the lockfile.
fn conclude_script(ev: &mut Eval, left: &Left, at: Location) -> Answer {
    for (slot, edits) in left.slots.iter().zip(&left.edits) {
        match slot {
            LockfileState::Copied(source) => return copied(ev, source, edits, at).over(left.shadow.as_ref()),
            LockfileState::Doubt(trouble) => return Answer::trouble(trouble, at),
            LockfileState::Original | LockfileState::Absent => {}
        }
    }
    Answer::doubt(Reason::Generated, "the script that makes the source copies no lockfile", Some(at))
}
