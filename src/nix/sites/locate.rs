//! Where the lockfile of a declaration is.

use std::path::PathBuf;
use std::rc::Rc;

pub(super) use super::answer::{Answer, Fetched, Located};
use super::choose::choose;
use super::conclude::conclude;
use super::patches::{self, Patches};
use super::root;
use crate::nix::eval::{Eval, reason_of};
use crate::nix::shell::{self, Context, LOCKFILES, Slot, State};
use crate::nix::site::Reason;
use crate::nix::source::{Base, Source};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Kind, Value};

/// The attributes that decide where a lockfile is.
struct Inputs {
    sources: Value,
    root: Value,
    patches: Patches,
    phases: [Value; 2],
}

pub(super) const DEPTH: u32 = 12;

/// All answers of a set of arguments, one for each combination of alternatives.
pub(super) fn locate(ev: &mut Eval, args: &Value, direct: bool, at: Location) -> Vec<Located> {
    locate_in(ev, args, "", direct, at, 0)
}

pub(super) fn locate_in(
    ev: &mut Eval,
    args: &Value,
    folder: &str,
    direct: bool,
    at: Location,
    depth: u32,
) -> Vec<Located> {
    if depth > DEPTH {
        let answer = Answer::doubt(Reason::UnknownSource, "sources nested too deeply", Some(at));
        return vec![Located::only(answer)];
    }
    let inputs = Inputs {
        sources: sources(ev, args, at),
        root: root::root(ev, args, direct, at),
        patches: read_patches(ev, args, at),
        phases: [attribute(ev, args, "prePatch", at), attribute(ev, args, "postPatch", at)],
    };
    let strange = if direct { strange_phase(ev, args, at) } else { None };
    let mut all = Vec::new();
    for source in alternatives(&inputs.sources) {
        for root in alternatives(&inputs.root) {
            for before in alternatives(&inputs.phases[0]) {
                for after in alternatives(&inputs.phases[1]) {
                    let Some(conditions) = together(&[&source, &root, &before, &after]) else { continue };
                    let mut located =
                        one(ev, &source, &root, &inputs.patches, [&before, &after], (folder, at, depth));
                    if let Some(name) = strange {
                        let message = format!("`{name}` is given to `fetchNpmDeps` itself");
                        located.answer = Answer::doubt(Reason::LockfileEdited, message, Some(at));
                    }
                    located.conditions = conditions;
                    all.push(located);
                }
            }
        }
    }
    all
}

/// Attributes of `fetchNpmDeps` itself that change how its source is unpacked.
fn strange_phase(ev: &mut Eval, args: &Value, at: Location) -> Option<&'static str> {
    const NAMES: &[&str] = &[
        "postUnpack",
        "preUnpack",
        "unpackPhase",
        "dontUnpack",
        "patchPhase",
        "configurePhase",
        "preConfigure",
        "postConfigure",
        "preBuild",
        "buildPhase",
        "dontPatch",
        "unpackCmd",
        "phases",
    ];
    if root::is_strange(&attribute(ev, args, "setSourceRoot", at)) {
        return Some("setSourceRoot");
    }
    NAMES.iter().copied().find(|name| {
        let value = attribute(ev, args, name, at);
        match &value.kind {
            Kind::Null | Kind::Bool(false) => false,
            Kind::Str(text) => !text.pieces.is_empty(),
            _ => true,
        }
    })
}

/// The conditions of several alternatives, unless they exclude each other.
fn together(values: &[&Value]) -> Option<super::literals::Conditions> {
    let mut all = super::literals::Conditions::new();
    for value in values {
        let own = super::literals::conditions(&value.trail);
        if !super::literals::compatible(&all, &own) {
            return None;
        }
        all.extend(own);
    }
    Some(all)
}

fn alternatives(value: &Value) -> Vec<Value> {
    match &value.kind {
        Kind::Alt(values) => values.as_ref().clone(),
        _ => vec![value.clone()],
    }
}

/// An attribute, or `null`.
pub(super) fn attribute(ev: &mut Eval, args: &Value, name: &str, at: Location) -> Value {
    ev.peek_attr(args, name, at).unwrap_or_else(|| Value::new(Kind::Null))
}

fn read_patches(ev: &mut Eval, args: &Value, at: Location) -> Patches {
    let value = attribute(ev, args, "patches", at);
    let flags = !matches!(attribute(ev, args, "patchFlags", at).kind, Kind::Null);
    patches::read(ev, &value, flags, at)
}

/// `srcs` if given, else `src`.
fn sources(ev: &mut Eval, args: &Value, at: Location) -> Value {
    let many = attribute(ev, args, "srcs", at);
    match &many.kind {
        Kind::Null => attribute(ev, args, "src", at),
        _ => many,
    }
}

fn one(
    ev: &mut Eval,
    source: &Value,
    root: &Value,
    patches: &Patches,
    phases: [&Value; 2],
    place: (&str, Location, u32),
) -> Located {
    let (folder, at, depth) = place;
    let trail = source.trail.clone();
    let chosen = choose(ev, source, root, at);
    let (tree, root_text) = match chosen {
        Ok(chosen) => chosen,
        Err(answer) => {
            let answer = edited_anyway(ev, patches, phases, at).unwrap_or(answer);
            return Located { trail, ..Located::only(answer) };
        }
    };
    let mut remote = match &tree.base {
        Base::Remote(remote) => Some(Fetched {
            root: root_text.clone(),
            patches: patches.list.clone(),
            patched_in: tree.sub.clone(),
            ..Fetched::plain(remote)
        }),
        _ => None,
    };
    // The lockfile is read in the folder in which the last phase ends.
    let end = run_phases(ev, &tree, folder, patches, phases, at).folder;
    let answer = match end.map(|end| below(folder, &end)) {
        None => {
            Answer::doubt(Reason::LockfileEdited, "postPatch ends in a folder that is not known", Some(at))
        }
        Some(folder) => {
            let state = run_phases(ev, &tree, &folder, patches, phases, at);
            if let (Some(remote), Slot::Copied(_)) = (&mut remote, &state.slots[1]) {
                remote.vendored_in = Some(tree.inside(&folder).sub);
                remote.shrinkwrap_wins = matches!(state.slots[0], Slot::Original);
            }
            conclude(ev, &tree, &folder, &state, (root_text, patches), (at, depth))
        }
    };
    let candidates = candidates(ev, &tree, folder, &answer);
    Located {
        trail,
        notes: tree.notes.clone(),
        remote,
        candidates,
        local: tree.local_path(),
        ..Located::only(answer)
    }
}

/// The lockfiles of the repository that an answer is about.
fn candidates(ev: &Eval, tree: &Source, folder: &str, answer: &Answer) -> Vec<PathBuf> {
    let own = LOCKFILES.iter().filter_map(|name| tree.inside(folder).inside(name).local_path());
    own.filter(|path| ev.files.is_file(path)).chain(answer.local()).collect()
}

/// What the phases do to a lockfile wherever it is, where they do anything: it is then not the one of any folder.
fn edited_anyway(ev: &Eval, patches: &Patches, phases: [&Value; 2], at: Location) -> Option<Answer> {
    let unknown = reason_of(&Value::new(Kind::Null), "the source is not known", at);
    let tree = Rc::new(Source::new(Base::Unknown(unknown)));
    let state = run_phases(ev, &tree, "", patches, phases, at);
    state.slots.iter().find_map(|slot| match slot {
        Slot::Doubt(reason, message) => Some(Answer::doubt(*reason, message, Some(at))),
        _ => None,
    })
}

/// Two folders as one path.
fn below(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        ("", inner) => inner.to_owned(),
        (outer, "") => outer.to_owned(),
        (outer, inner) => format!("{outer}/{inner}"),
    }
}

/// What `prePatch`, the patches and `postPatch` leave.
fn run_phases(
    ev: &Eval,
    tree: &Rc<Source>,
    folder: &str,
    patches: &Patches,
    phases: [&Value; 2],
    at: Location,
) -> State {
    let mut state = State::new(Slot::Original);
    let variables = [("src".to_owned(), Rc::clone(tree))];
    for (i, phase) in phases.into_iter().enumerate() {
        if i == 1 {
            apply_patches(tree, patches, &mut state);
        }
        let name = ["prePatch", "postPatch"][i];
        let context =
            Context { files: &ev.files, source: tree, folder, variables: &variables, makes_out: false, name };
        run_phase(phase, &mut state, &context, at);
    }
    state
}

/// Patches change what is there: a remote source keeps its list, anything else must be certain.
fn apply_patches(tree: &Source, patches: &Patches, state: &mut State) {
    let Some(message) = &patches.doubt else { return };
    for (slot, _) in state.slots.iter_mut().zip(patches.touched).filter(|(_, touched)| *touched) {
        let remote = matches!(slot, Slot::Original) && matches!(tree.base, Base::Remote(_));
        if !remote {
            *slot = Slot::Doubt(Reason::Patched, message.clone());
        }
    }
}

fn run_phase(phase: &Value, state: &mut State, context: &Context, at: Location) {
    match &phase.kind {
        Kind::Null => {}
        Kind::Str(text) => shell::run(text, state, context),
        _ => {
            let unknown = reason_of(phase, "a phase is not known", at);
            for slot in &mut state.slots {
                *slot = Slot::Doubt(
                    Reason::LockfileEdited,
                    format!("{} is not known: {}", context.name, unknown.message),
                );
            }
        }
    }
}
