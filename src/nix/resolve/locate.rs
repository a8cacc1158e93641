//! Where the lockfile of a declaration is.

use std::path::PathBuf;
use std::rc::Rc;

use super::patches::{self, Patches};
use super::phase::{self, Context, NAMES, Slot, State};
use crate::nix::eval::{Eval, reason_of};
use crate::nix::remote::Patch;
use crate::nix::site::Reason;
use crate::nix::source::{self, Base, Filter, Remote, Source};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Doubt, Kind, Text, Trail, Unknown, Value};

/// The answer for one combination of alternatives.
#[derive(Clone)]
pub(super) enum Answer {
    Local(PathBuf),
    Missing(PathBuf),
    Remote { remote: Rc<Remote>, folder: String, root: Option<String>, patches: Vec<Patch> },
    Doubt { reason: Reason, message: String, at: Option<Location> },
}

/// An answer and what it rests on.
#[derive(Clone)]
pub(super) struct Located {
    pub answer: Answer,
    /// The chain of the source and the notes of its filters.
    pub trail: Trail,
    pub notes: Vec<(Location, Rc<str>)>,
    /// What the alternatives of this combination depend on.
    pub conditions: super::literals::Conditions,
    /// The remote source, also where the lockfile is vendored.
    pub remote: Option<(Rc<Remote>, Option<String>, Vec<Patch>)>,
}

impl Answer {
    fn doubt(reason: Reason, message: impl Into<String>, at: Option<Location>) -> Self {
        Self::Doubt { reason, message: message.into(), at }
    }

    fn unknown(unknown: &Unknown, reason: Reason) -> Self {
        let reason = match unknown.doubt {
            Doubt::Argument => Reason::UnknownArguments,
            _ => reason,
        };
        let what = if reason == Reason::UnknownSource { "`src` is not known: " } else { "" };
        Self::doubt(reason, format!("{what}{}", unknown.message), unknown.at)
    }

    /// Whether two answers mean the same lockfile.
    pub fn agrees(&self, other: &Answer) -> bool {
        match (self, other) {
            (Self::Local(a), Self::Local(b)) | (Self::Missing(a), Self::Missing(b)) => a == b,
            (Self::Remote { remote: a, folder: x, .. }, Self::Remote { remote: b, folder: y, .. }) => {
                a.call == b.call && x == y
            }
            _ => false,
        }
    }
}

/// The attributes that decide where a lockfile is.
struct Inputs {
    sources: Value,
    root: Value,
    patches: Patches,
    phases: [Value; 2],
}

const DEPTH: u32 = 12;

/// All answers of a set of arguments, one for each combination of alternatives.
pub(super) fn locate(ev: &mut Eval, args: &Value, direct: bool, at: Location) -> Vec<Located> {
    locate_in(ev, args, "", direct, at, 0)
}

fn locate_in(
    ev: &mut Eval,
    args: &Value,
    folder: &str,
    direct: bool,
    at: Location,
    depth: u32,
) -> Vec<Located> {
    if depth > DEPTH {
        return vec![Located {
            answer: Answer::doubt(Reason::UnknownSource, "sources nested too deeply", Some(at)),
            trail: None,
            notes: Vec::new(),
            conditions: Vec::new(),
            remote: None,
        }];
    }
    let inputs = Inputs {
        sources: sources(ev, args, at),
        root: attribute(ev, args, "sourceRoot", at),
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
        "setSourceRoot",
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
fn attribute(ev: &mut Eval, args: &Value, name: &str, at: Location) -> Value {
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
            return Located { answer, trail, notes: Vec::new(), conditions: Vec::new(), remote: None };
        }
    };
    let remote = match &tree.base {
        Base::Remote(remote) => Some((Rc::clone(remote), root_text.clone(), patches.list.clone())),
        _ => None,
    };
    let mut state = State { slots: [Slot::Original, Slot::Original] };
    let variables = [("src".to_owned(), Rc::clone(&tree))];
    for (i, phase) in phases.into_iter().enumerate() {
        if i == 1 {
            apply_patches(&tree, patches, &mut state);
        }
        let name = ["prePatch", "postPatch"][i];
        let context = Context {
            files: &ev.files,
            source: &tree,
            folder,
            variables: &variables,
            makes_out: false,
            name,
        };
        run_phase(phase, &mut state, &context, at);
    }
    let answer = conclude(ev, &tree, folder, &state, (root_text, patches), (at, depth));
    Located { answer, trail, notes: tree.notes.clone(), conditions: Vec::new(), remote }
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
        Kind::Str(text) => phase::run(text, state, context),
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

/// The tree that is unpacked, moved to `sourceRoot`.
fn choose(
    ev: &mut Eval,
    source: &Value,
    root: &Value,
    at: Location,
) -> Result<(Rc<Source>, Option<String>), Answer> {
    let root_text = match &root.kind {
        Kind::Null => None,
        Kind::Str(_) => match root.known_text() {
            Some(text) => Some(text.to_string()).filter(|text| !text.is_empty()),
            None => return Err(root_doubt(root, at)),
        },
        _ => return Err(root_doubt(root, at)),
    };
    let candidates: Vec<Rc<Source>> = match &source.kind {
        Kind::List(list) => {
            if list.open.is_some() {
                return Err(Answer::doubt(
                    Reason::UnknownSource,
                    "not every source of `srcs` is known",
                    Some(at),
                ));
            }
            let items = list.items.clone();
            items
                .into_iter()
                .map(|item| {
                    let v = ev.force(item);
                    source::of_value(ev, &v, at)
                })
                .collect()
        }
        _ => vec![source::of_value(ev, source, at)],
    };
    pick(&candidates, root_text.as_deref(), at).map(|source| (source, root_text))
}

fn root_doubt(root: &Value, at: Location) -> Answer {
    let unknown = reason_of(root, "`sourceRoot` is not known", at);
    Answer::doubt(
        Reason::SourceRoot,
        format!("`sourceRoot` is not known: {}", unknown.message),
        unknown.at.or(Some(at)),
    )
}

fn pick(candidates: &[Rc<Source>], root: Option<&str>, at: Location) -> Result<Rc<Source>, Answer> {
    let Some(root) = root else {
        return match candidates {
            [only] => Ok(Rc::clone(only)),
            [] => Ok(Rc::new(Source::new(Base::Nothing))),
            _ => Err(Answer::doubt(
                Reason::SourceRoot,
                "`srcs` has several sources and no `sourceRoot` chooses one",
                Some(at),
            )),
        };
    };
    let trimmed = root.trim_start_matches("./").trim_end_matches('/');
    let (first, rest) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    if let [only] = candidates {
        let unchecked = matches!(only.base, Base::Remote(_) | Base::Unknown(_) | Base::Nothing);
        if unchecked || only.folder_names().iter().any(|name| name == first) {
            return Ok(Rc::new(only.inside(rest)));
        }
        let message =
            format!("the first part of `sourceRoot` is `{first}`, which is not the name of the source");
        return Err(Answer::doubt(Reason::SourceRoot, message, Some(at)));
    }
    let mut fitting =
        candidates.iter().filter(|source| source.folder_names().iter().any(|name| name == first));
    match (fitting.next(), fitting.next()) {
        (Some(source), None) => Ok(Rc::new(source.inside(rest))),
        _ => Err(Answer::doubt(
            Reason::SourceRoot,
            format!("`sourceRoot` does not tell which of `srcs` is `{first}`"),
            Some(at),
        )),
    }
}

/// Which file the state leaves as the lockfile.
fn conclude(
    ev: &mut Eval,
    tree: &Rc<Source>,
    folder: &str,
    state: &State,
    extra: (Option<String>, &Patches),
    place: (Location, u32),
) -> Answer {
    let (at, depth) = place;
    let inner = if folder.is_empty() { Rc::clone(tree) } else { Rc::new(tree.inside(folder)) };
    // The shrinkwrap wins if there is one; an original one in a remote source shows only after the fetch.
    match &state.slots[0] {
        Slot::Copied(source) => return copied(ev, source, at),
        Slot::Doubt(reason, message) => return Answer::doubt(*reason, message, Some(at)),
        Slot::Original if !matches!(state.slots[1], Slot::Original) && has_original(ev, &inner, NAMES[0]) => {
            return original(ev, &inner, &state.slots, extra, at, depth);
        }
        Slot::Original | Slot::Absent => {}
    }
    match &state.slots[1] {
        Slot::Copied(source) => copied(ev, source, at),
        Slot::Doubt(reason, message) => Answer::doubt(*reason, message, Some(at)),
        Slot::Absent => Answer::doubt(Reason::LockfileEdited, "a phase removes the lockfile", Some(at)),
        Slot::Original => original(ev, &inner, &state.slots, extra, at, depth),
    }
}

fn has_original(ev: &Eval, tree: &Source, name: &str) -> bool {
    tree.local_path().is_some_and(|path| ev.files.is_file(&path.join(name)))
}

/// A file that a phase copied over the lockfile.
fn copied(ev: &mut Eval, source: &Rc<Source>, at: Location) -> Answer {
    match (&source.base, source.local_path()) {
        (_, Some(path)) => {
            if filtered_out(ev, source, &path, at) {
                return Answer::doubt(
                    Reason::FilteredOut,
                    "a filter of the source leaves the lockfile out",
                    Some(at),
                );
            }
            if ev.files.is_file(&path) { Answer::Local(path) } else { Answer::Missing(path) }
        }
        (Base::Remote(remote), None) => {
            let folder = source.sub.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            if source.sub.ends_with("package-lock.json") || source.sub.ends_with("npm-shrinkwrap.json") {
                return Answer::Remote { remote: Rc::clone(remote), folder, root: None, patches: Vec::new() };
            }
            Answer::doubt(
                Reason::Generated,
                format!("the lockfile is a file that `{}` fetches", remote.fetcher),
                Some(at),
            )
        }
        (Base::Unknown(unknown), None) => Answer::unknown(unknown, Reason::UnknownSource),
        _ => Answer::doubt(Reason::Generated, "the lockfile is made by a build", Some(at)),
    }
}

/// The lockfile that the source itself has.
fn original(
    ev: &mut Eval,
    tree: &Rc<Source>,
    slots: &[Slot; 2],
    extra: (Option<String>, &Patches),
    at: Location,
    depth: u32,
) -> Answer {
    let (root, patches) = extra;
    match &tree.base {
        Base::Local(_) => local(ev, tree, slots, at),
        Base::Remote(remote) if edits_after_fetch(ev, remote, at) => Answer::doubt(
            Reason::LockfileEdited,
            "`postFetch` of the fetcher may change the lockfile",
            Some(remote.call),
        ),
        Base::Remote(remote) => Answer::Remote {
            remote: Rc::clone(remote),
            folder: tree.sub.clone(),
            root,
            patches: patches.list.clone(),
        },
        Base::Nothing => Answer::doubt(Reason::UnknownSource, "no source is given", Some(at)),
        Base::Empty => Answer::doubt(
            Reason::UnknownSource,
            "the source is empty and no phase copies a lockfile into it",
            Some(at),
        ),
        Base::Script { text, env } => {
            let (text, env) = (Rc::clone(text), Rc::clone(env));
            scripted(ev, tree, &text, &env, (at, depth))
        }
        Base::Changed(args) => {
            let args = Rc::clone(args);
            let all = locate_in(ev, &args, &tree.sub, true, at, depth + 1);
            unanimous(&all, at)
        }
        Base::Built(drv) => {
            let drv = Rc::clone(drv);
            built(ev, tree, &drv, (at, depth))
        }
        Base::Unknown(unknown) => Answer::unknown(unknown, Reason::UnknownSource),
    }
}

fn unanimous(all: &[Located], at: Location) -> Answer {
    let Some(first) = all.first() else {
        return Answer::doubt(Reason::UnknownSource, "no source is given", Some(at));
    };
    if all.len() == 1 || all.iter().all(|other| first.answer.agrees(&other.answer)) {
        return first.answer.clone();
    }
    Answer::doubt(Reason::UnknownSource, "the source depends on something that is not known", Some(at))
}

fn local(ev: &mut Eval, tree: &Source, slots: &[Slot; 2], at: Location) -> Answer {
    let Some(folder) = tree.local_path() else {
        return Answer::doubt(Reason::UnknownSource, "the source is not known", Some(at));
    };
    if !ev.files.contains(&folder) {
        return Answer::doubt(
            Reason::UnknownSource,
            format!("the source {} is outside of the repository", folder.display()),
            Some(at),
        );
    }
    if ev.files.is_file(&folder) {
        return Answer::doubt(
            Reason::InArchive,
            format!("the lockfile is inside the archive {}", ev.files.display(&folder)),
            Some(at),
        );
    }
    let mut left_out = None;
    for (name, slot) in NAMES.iter().zip(slots) {
        let path = folder.join(name);
        if !matches!(slot, Slot::Original) || !ev.files.is_file(&path) {
            continue;
        }
        if filtered_out(ev, tree, &path, at) {
            left_out = Some(path);
            continue;
        }
        return Answer::Local(path);
    }
    match left_out {
        Some(path) => {
            let git = tree
                .filters
                .iter()
                .any(|filter| matches!(filter, Filter::GitIgnore(_)) && filter.keeps(&path) == Some(false));
            let which =
                if git { "`.gitignore`, by which the source is filtered," } else { "a filter of the source" };
            let message = format!("{which} leaves {} out", ev.files.display(&path));
            Answer::doubt(Reason::FilteredOut, message, Some(at))
        }
        None => Answer::Missing(folder.join(NAMES[1])),
    }
}

/// Whether a filter of the source surely leaves a file out.
fn filtered_out(ev: &mut Eval, source: &Source, path: &std::path::Path, at: Location) -> bool {
    source.filters.iter().any(|filter| match filter {
        Filter::Predicate { function, root } => refuses(ev, *function, root, path, at),
        Filter::Fileset(set) => {
            let set = Rc::clone(set);
            set.contains(path, &mut |function| accepts(ev, function, path, at)) == Some(false)
        }
        filter => filter.keeps(path) == Some(false),
    })
}

/// The answer of a predicate of `lib.fileset.fileFilter`.
fn accepts(
    ev: &mut Eval,
    function: crate::nix::value::ThunkId,
    path: &std::path::Path,
    at: Location,
) -> Option<bool> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let ending = name.clone();
    let has_ext =
        Value::new(Kind::Function(Rc::new(move |ev, extension, _| match ev.force(extension).known_text() {
            Some(extension) => Value::bool(ending.ends_with(&format!(".{extension}"))),
            None => Value::unknown(Doubt::Unmodelled, "an extension is not known", None),
        })));
    let entries = [("name", Value::text(&name)), ("type", Value::text("regular")), ("hasExt", has_ext)];
    let file = crate::nix::value::Attrs::of(entries.map(|(name, value)| (Rc::from(name), ev.done(value))));
    let function = ev.force(function);
    let verdict = ev.apply_value(&function, Value::attrs(file), at);
    crate::nix::value::truth(&verdict)
}

/// Whether a predicate refuses a file or one of the folders above it.
fn refuses(
    ev: &mut Eval,
    function: crate::nix::value::ThunkId,
    root: &std::path::Path,
    path: &std::path::Path,
    at: Location,
) -> bool {
    let Ok(below) = path.strip_prefix(root) else { return false };
    let mut current = root.to_path_buf();
    let parts: Vec<_> = below.components().collect();
    for (i, part) in parts.iter().enumerate() {
        current.push(part);
        let kind = if i + 1 == parts.len() { "regular" } else { "directory" };
        let function = ev.force(function);
        let half = ev.apply_value(&function, Value::text(&current.to_string_lossy()), at);
        let verdict = ev.apply_value(&half, Value::text(kind), at);
        if crate::nix::value::truth(&verdict) == Some(false) {
            return true;
        }
    }
    false
}

/// Whether a fetcher's `postFetch` could write the lockfile.
fn edits_after_fetch(ev: &mut Eval, remote: &Remote, at: Location) -> bool {
    let Some(phase) =
        remote.args.as_attrs().and_then(|attrs| attrs.map.get("postFetch")).map(|attr| attr.thunk)
    else {
        return false;
    };
    let phase = ev.force(phase);
    let Kind::Str(text) = &phase.kind else { return !matches!(phase.kind, Kind::Null) };
    let source = Rc::new(Source::new(Base::Remote(Rc::new(remote.clone()))));
    let mut state = State { slots: [Slot::Original, Slot::Original] };
    let context = Context {
        files: &ev.files,
        source: &source,
        folder: "",
        variables: &[],
        makes_out: true,
        name: "postFetch",
    };
    phase::run(text, &mut state, &context);
    let _ = at;
    !state.slots.iter().all(|slot| matches!(slot, Slot::Original))
}

/// A derivation whose `installPhase` is of the plain copying kind.
fn built(ev: &mut Eval, tree: &Rc<Source>, drv: &Value, place: (Location, u32)) -> Answer {
    let (at, depth) = place;
    let made = || Answer::doubt(Reason::Generated, "the source (`src`) is made by a build", Some(at));
    let Some(attrs) = drv.as_attrs() else { return made() };
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
    let mut state = State { slots: [Slot::Absent, Slot::Absent] };
    let context = Context {
        files: &ev.files,
        source: tree,
        folder: &tree.sub,
        variables: &variables[..if untouched { 2 } else { 1 }],
        makes_out: true,
        name: "installPhase",
    };
    phase::run(text, &mut state, &context);
    match conclude_script(ev, &state, at, depth) {
        Answer::Doubt { reason: Reason::LockfileEdited, .. } => made(),
        answer => answer,
    }
}

/// A source that a script of the plain copying kind makes.
fn scripted(ev: &mut Eval, tree: &Rc<Source>, text: &Text, env: &Value, place: (Location, u32)) -> Answer {
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
    let mut state = State { slots: [Slot::Absent, Slot::Absent] };
    let context = Context {
        files: &ev.files,
        source: tree,
        folder: &tree.sub,
        variables: &variables,
        makes_out: true,
        name: "runCommand",
    };
    phase::run(text, &mut state, &context);
    let answer = conclude_script(ev, &state, at, depth);
    match answer {
        Answer::Doubt { reason: Reason::LockfileEdited, message, at } => {
            Answer::Doubt { reason: Reason::Generated, message, at }
        }
        answer => answer,
    }
}

fn conclude_script(ev: &mut Eval, state: &State, at: Location, _: u32) -> Answer {
    for slot in &state.slots {
        match slot {
            Slot::Copied(source) => return copied(ev, source, at),
            Slot::Doubt(reason, message) => return Answer::doubt(*reason, message, Some(at)),
            Slot::Original | Slot::Absent => {}
        }
    }
    Answer::doubt(Reason::Generated, "the script that makes the source copies no lockfile", Some(at))
}
