//! Flakes of the repository: outputs, `self`, and inputs as `flake.lock` pins them.

mod conventions;
mod input;
mod known;
mod parts;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::packages;
use nix_lang::eval::Eval;
use nix_lang::syntax::ast::{Location, Name, Span};
use nix_lang::value::source::{Base, Source};
use nix_lang::value::{Attr, Attrs, Doubt, Kind, Meaning, ThunkId, Value};

pub(crate) use conventions::{TABLE, by_convention};
pub(crate) use input::{Input, input_member};
pub(crate) use known::call as call_known;

/// The outputs of the flakes that were asked for.
#[derive(Default)]
struct Outputs {
    by_folder: HashMap<PathBuf, ThunkId>,
}

/// The outputs of the flake in a folder, evaluated at most once.
pub fn outputs(ev: &mut Eval, folder: &Path) -> ThunkId {
    if let Some(thunk) = ev.notes::<Outputs>().by_folder.get(folder) {
        return *thunk;
    }
    let path = folder.to_path_buf();
    let thunk = ev.for_everybody(|ev| ev.lazy(move |ev| evaluate(ev, &path)));
    ev.notes::<Outputs>().by_folder.insert(folder.to_path_buf(), thunk);
    thunk
}

fn flake_value(ev: &mut Eval, folder: &Path) -> Option<(Value, Location)> {
    let path = folder.join("flake.nix");
    let thunk = ev.file_thunk(&path).ok()?;
    let file = ev.files.read(&path).ok()?;
    let at = Location { file, span: Span { start: 0, end: 0 } };
    Some((ev.force(thunk), at))
}

fn evaluate(ev: &mut Eval, folder: &Path) -> Value {
    let Some((flake, at)) = flake_value(ev, folder) else {
        return Value::unknown(Doubt::Error, "a flake that cannot be read", None);
    };
    let function = ev.select(&flake, "outputs", at);
    let args = arguments(ev, folder, &flake, &function, at);
    ev.apply_value(&function, args, at)
}

/// `{ self, nixpkgs, ... }`.
fn arguments(ev: &mut Eval, folder: &Path, flake: &Value, function: &Value, at: Location) -> Value {
    let mut set = inputs_of(ev, folder, flake, at);
    let own = ev.done(own_value(folder));
    set.map.insert(Rc::from("self"), Attr::new(own));
    // `outputs = { self, nixpkgs }: ...` needs no `inputs.nixpkgs`: Nix looks the name up in its registry.
    for (name, has_default) in nix_lang::eval::formals(function).unwrap_or_default() {
        if !set.map.contains_key(&name) && !has_default {
            let thunk = ev.done(input::value(Input::unlocked(&name)));
            set.map.insert(name, Attr::new(thunk));
        }
    }
    Value::attrs(set)
}

/// A flake of the repository: its folder.
pub struct OwnFlake(pub PathBuf);

impl Meaning for OwnFlake {
    fn is_files(&self) -> bool {
        true
    }

    fn source(&self, _: &Value, here: Location) -> Option<Source> {
        let notes = vec![(here, "`self` is the folder of the flake".into())];
        Some(Source { notes, ..Source::local(self.0.clone()) })
    }
}

/// `self`.
fn own_value(folder: &Path) -> Value {
    packages::meant(OwnFlake(folder.to_path_buf()))
}

/// The inputs that `flake.lock` and `flake.nix` name.
fn inputs_of(ev: &mut Eval, folder: &Path, flake: &Value, at: Location) -> Attrs {
    let mut set = Attrs::default();
    let lock = input::read_lock(ev, folder);
    let declared = ev.peek_attr(flake, "inputs", at);
    let mut names: Vec<Name> = input::locked_names(lock.as_ref());
    if let Some(Kind::Attrs(attrs)) = declared.as_ref().map(|value| &value.kind) {
        names.extend(attrs.map.keys().cloned());
    }
    names.sort();
    names.dedup();
    for name in names {
        let url = declared.as_ref().and_then(|inputs| declared_url(ev, inputs, &name, at));
        let input = Input::locked(&name, lock.as_ref(), url.as_deref(), folder);
        let value = local_input(ev, &input).unwrap_or_else(|| input::value(input));
        let thunk = ev.done(value);
        set.map.insert(name, Attr::new(thunk));
    }
    set
}

fn declared_url(ev: &mut Eval, inputs: &Value, name: &str, at: Location) -> Option<Rc<str>> {
    let input = ev.peek_attr(inputs, name, at)?;
    match &input.kind {
        Kind::Str(_) => input.known_text(),
        _ => ev.peek_attr(&input, "url", at)?.known_text(),
    }
}

/// An input that is a folder of the repository.
fn local_input(ev: &mut Eval, input: &Input) -> Option<Value> {
    let folder = input.local.clone()?;
    if !ev.files.contains(&folder) {
        return None;
    }
    if ev.files.is_file(&folder.join("flake.nix")) {
        return Some(own_value(&folder));
    }
    Some(Source::local(folder).value())
}

/// An attribute of `self`.
pub(crate) fn self_member(ev: &mut Eval, folder: &Path, name: &str, here: Location) -> Option<Value> {
    match name {
        "outPath" | "sourceInfo" => return Some(Source::local(folder.to_path_buf()).value()),
        // They change with each commit, and a working tree with changes has others.
        "rev" | "shortRev" | "dirtyRev" | "dirtyShortRev" | "lastModified" | "lastModifiedDate"
        | "narHash" | "revCount" => {
            return Some(Value::outside(&format!("self.{name}"), Some(here)));
        }
        "inputs" => {
            let (flake, at) = flake_value(ev, folder)?;
            return Some(Value::attrs(inputs_of(ev, folder, &flake, at)));
        }
        _ => {}
    }
    let thunk = outputs(ev, folder);
    let value = ev.force(thunk);
    if name == "outputs" { Some(value) } else { ev.peek_attr(&value, name, here) }
}

/// The nearest flake above a folder.
pub fn nearest(ev: &Eval, folder: &Path) -> Option<PathBuf> {
    let root = ev.files.root();
    let mut inside = folder.ancestors().take_while(|path| path.starts_with(root));
    inside.find(|path| ev.files.is_file(&path.join("flake.nix"))).map(Path::to_path_buf)
}

/// Whether a place is in the `flake.nix` of another flake than the one that a second place belongs to: what that flake only
/// offers to others does not touch this one.
pub fn is_of_another(ev: &Eval, place: Location, of: Location) -> bool {
    let (offered, own) = (&ev.files.get(place.file).path, &ev.files.get(of.file).path);
    let flake = own.parent().and_then(|folder| nearest(ev, folder));
    offered.ends_with("flake.nix") && offered.parent().map(Path::to_path_buf) != flake
}

/// `self` or `inputs` of the nearest flake above a folder.
pub(crate) fn of_folder(ev: &mut Eval, folder: &Path, name: &str, here: Location) -> Option<Value> {
    let nearest = nearest(ev, folder)?;
    match name {
        "inputs" => {
            let mut inputs = self_member(ev, &nearest, "inputs", here)?;
            if let Kind::Attrs(attrs) = &inputs.kind {
                let mut attrs = attrs.as_ref().clone();
                // As the argument of `outputs` has it, which is what flakes hand on as `inputs`.
                let own = ev.done(own_value(&nearest));
                attrs.map.insert(Rc::from("self"), Attr::new(own));
                inputs = Value::attrs(attrs);
            }
            Some(inputs)
        }
        _ => Some(own_value(&nearest)),
    }
}

/// `<nixpkgs>` and `<nixpkgs/lib>`.
#[must_use]
pub fn search_path(name: &str, here: Location) -> Value {
    let (head, sub) = name.split_once('/').unwrap_or((name, ""));
    if !packages::is_nixpkgs(head) {
        return Value::outside(&format!("<{name}>"), Some(here));
    }
    let input = Input { nixpkgs: true, ..Input::unlocked(head) };
    if sub.is_empty() {
        return input::value(input);
    }
    Source { sub: sub.to_owned(), ..Source::new(Base::Remote(Rc::new(input.remote(here)))) }.value()
}

/// A path that `flake.nix` or `flake.lock` writes for a folder beside it.
fn relative_folder(folder: &Path, text: &str) -> Option<PathBuf> {
    let text = text.strip_prefix("path:").unwrap_or(text);
    let text = text.split(['?', '#']).next().unwrap_or(text);
    let relative = text.starts_with("./") || text.starts_with("../") || text == "." || text == "..";
    relative.then(|| nix_lang::files::normalize(&folder.join(text)))
}

/// nixpkgs, for the arguments that flake-parts passes.
fn default_packages() -> Value {
    packages::nixpkgs()
}
