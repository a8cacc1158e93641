//! Sources that a script of the plain copying kind makes.

use std::rc::Rc;

use super::answer::Answer;
use super::conclude::{conclude, copied};
use super::locate::{DEPTH, attribute};
use super::patches::Patches;
use crate::nix::eval::Eval;
use crate::nix::nixpkgs::derivation::Builder;
use crate::nix::shell::{self, Context, Slot, State};
use crate::nix::site::Reason;
use crate::nix::source::{self, Base, Remote, Source};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Kind, Special, Text, Value};

/// Whether a fetcher's `postFetch` could write the lockfile.
pub(super) fn edits_after_fetch(ev: &mut Eval, remote: &Remote) -> bool {
    let Some(phase) =
        remote.args.as_attrs().and_then(|attrs| attrs.map.get("postFetch")).map(|attr| attr.thunk)
    else {
        return false;
    };
    let phase = ev.force(phase);
    let Kind::Str(text) = &phase.kind else { return !matches!(phase.kind, Kind::Null) };
    let source = Rc::new(Source::new(Base::Remote(Rc::new(remote.clone()))));
    let mut state = State::new(Slot::Original);
    let context = Context {
        files: &ev.files,
        source: &source,
        folder: "",
        variables: &[],
        makes_out: true,
        name: "postFetch",
    };
    shell::run(text, &mut state, &context);
    !state.slots.iter().all(|slot| matches!(slot, Slot::Original))
}

/// A derivation whose `installPhase` is of the plain copying kind.
pub(super) fn built(ev: &mut Eval, tree: &Rc<Source>, drv: &Value, place: (Location, u32)) -> Answer {
    let (at, depth) = place;
    let made = || Answer::doubt(Reason::Generated, "the source (`src`) is made by a build", Some(at));
    let Some(attrs) = drv.as_attrs() else { return made() };
    if let Special::Drv(inner) = &attrs.special
        && inner.maker.builder == Builder::Join
    {
        return joined(ev, tree, drv, place);
    }
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
    if plain.iter().any(|name| attrs.map.contains_key(*name)) || depth > DEPTH {
        return made();
    }
    let Some(install) = attrs.map.get("installPhase").map(|attr| attr.thunk) else { return made() };
    let install = ev.force(install);
    let Kind::Str(text) = &install.kind else { return made() };
    let src = attribute(ev, drv, "src", at);
    let inner = source::of_value(ev, &src, at);
    let untouched =
        ["prePatch", "postPatch", "patches", "sourceRoot"].iter().all(|name| !attrs.map.contains_key(*name));
    let variables = [("src".to_owned(), Rc::clone(&inner)), (".".to_owned(), inner)];
    let mut state = State::new(Slot::Absent);
    let context = Context {
        files: &ev.files,
        source: tree,
        folder: &tree.sub,
        variables: &variables[..if untouched { 2 } else { 1 }],
        makes_out: true,
        name: "installPhase",
    };
    shell::run(text, &mut state, &context);
    match conclude_script(ev, &state, at, depth) {
        Answer::Doubt { reason: Reason::LockfileEdited, .. } => made(),
        answer => answer,
    }
}

/// `symlinkJoin` and `buildEnv`: of several paths that have a file, the first one counts.
fn joined(ev: &mut Eval, tree: &Rc<Source>, drv: &Value, place: (Location, u32)) -> Answer {
    let (at, depth) = place;
    let made = || Answer::doubt(Reason::Generated, "the source (`src`) is made by a build", Some(at));
    let changes = ["postBuild", "pathsToLink", "stripPrefix", "buildCommand", "extraPrefix"];
    let changed = drv.as_attrs().is_none_or(|attrs| changes.iter().any(|name| attrs.map.contains_key(*name)));
    let paths = attribute(ev, drv, "paths", at);
    let Kind::List(list) = &paths.kind else { return made() };
    if changed || list.open.is_some() || depth > DEPTH {
        return made();
    }
    for item in list.items.clone() {
        let path = ev.force(item);
        let source = source::of_value(ev, &path, at);
        let inner = Rc::new(source.inside(&tree.sub));
        let answer = conclude(
            ev,
            &inner,
            "",
            &State::new(Slot::Original),
            (None, &Patches::default()),
            (at, depth + 1),
        );
        if !matches!(answer, Answer::Missing(_)) {
            return answer;
        }
    }
    Answer::doubt(Reason::Generated, "none of the `paths` of the source has a lockfile", Some(at))
}

/// A source that a script of the plain copying kind makes.
pub(super) fn scripted(
    ev: &mut Eval,
    tree: &Rc<Source>,
    text: &Text,
    env: &Value,
    place: (Location, u32),
) -> Answer {
    let (at, depth) = place;
    let mut variables = Vec::new();
    if let Kind::Attrs(attrs) = &env.kind {
        for (name, attr) in &attrs.map {
            let value = ev.force(attr.thunk);
            if matches!(value.kind, Kind::Path(_) | Kind::Str(_) | Kind::Attrs(_)) {
                variables.push((name.to_string(), source::of_value(ev, &value, at)));
            }
        }
    }
    let mut state = State::new(Slot::Absent);
    let context = Context {
        files: &ev.files,
        source: tree,
        folder: &tree.sub,
        variables: &variables,
        makes_out: true,
        name: "runCommand",
    };
    shell::run(text, &mut state, &context);
    let answer = conclude_script(ev, &state, at, depth);
    match answer {
        Answer::Doubt { reason: Reason::LockfileEdited, message, at, cure } => {
            Answer::Doubt { reason: Reason::Generated, message, at, cure }
        }
        answer => answer,
    }
}

pub(super) fn conclude_script(ev: &mut Eval, state: &State, at: Location, _: u32) -> Answer {
    for slot in &state.slots {
        match slot {
            Slot::Copied(source) => return copied(ev, source, at),
            Slot::Doubt(reason, message) => return Answer::doubt(*reason, message, Some(at)),
            Slot::Original | Slot::Absent => {}
        }
    }
    Answer::doubt(Reason::Generated, "the script that makes the source copies no lockfile", Some(at))
}
