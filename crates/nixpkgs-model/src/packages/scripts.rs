//! `runCommand`, `applyPatches`, `writeText` and other small builders, whose results are sources.

use std::rc::Rc;

use nix_lang::eval::{self, Eval, Native};
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Base, Source};
use nix_lang::value::{Kind, ThunkId, Value};

/// A small builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptBuilder {
    /// `runCommand name env script`
    RunCommand,
    /// `applyPatches`, and `srcOnly`, which unpacks and patches the source of a derivation.
    ApplyPatches,
    /// `writeText name text`, `builtins.toFile name text`
    WriteText,
    /// `writeTextDir path text`: a folder with one file.
    WriteTextDir,
    /// `writeTextFile { name; text; destination; }`
    WriteTextFile,
    /// `linkFarm name entries`
    LinkFarm,
    /// `replaceVars file { name = value; }`
    ReplaceVars,
    /// `substituteAll { src = file; name = value; }`
    SubstituteAll,
}

static RUN_COMMAND: Native = Native::new("runCommand", 3, run_command);
static APPLY_PATCHES: Native = Native::new("applyPatches", 1, apply_patches);
static WRITE_TEXT: Native = Native::new("writeText", 2, write_text);
static WRITE_TEXT_DIR: Native = Native::new("writeTextDir", 2, write_text_dir);
static WRITE_TEXT_FILE: Native = Native::new("writeTextFile", 1, write_text_file);
static LINK_FARM: Native = Native::new("linkFarm", 2, link_farm);
static REPLACE_VARS: Native = Native::new("replaceVars", 2, replace_vars);
static SUBSTITUTE_ALL: Native = Native::new("substituteAll", 1, substitute_all);

/// A builder as a function of the language.
#[must_use]
pub fn function(script: ScriptBuilder) -> Value {
    let native = match script {
        ScriptBuilder::RunCommand => &RUN_COMMAND,
        ScriptBuilder::ApplyPatches => &APPLY_PATCHES,
        ScriptBuilder::WriteText => &WRITE_TEXT,
        ScriptBuilder::WriteTextDir => &WRITE_TEXT_DIR,
        ScriptBuilder::WriteTextFile => &WRITE_TEXT_FILE,
        ScriptBuilder::LinkFarm => &LINK_FARM,
        ScriptBuilder::ReplaceVars => &REPLACE_VARS,
        ScriptBuilder::SubstituteAll => &SUBSTITUTE_ALL,
    };
    eval::native(native)
}

fn run_command(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    // A script may be all that mentions a derivation (fixture `interpolated-in-string`).
    ev.leave(args[1]);
    ev.leave(args[2]);
    let name = ev.force(args[0]).known_text();
    let env = ev.force(args[1]);
    let script = ev.force(args[2]);
    ev.each(script, &mut |ev, script| {
        let text = ev.interpolate(&script, here);
        let base = Base::Script { text: Rc::new(text), env: Rc::new(env.clone()) };
        Source { name: name.clone(), ..Source::new(base) }.value()
    })
}

fn apply_patches(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    ev.leave(args[0]);
    let given = ev.force(args[0]);
    ev.each(given, &mut |ev, given| {
        let name = match &given.kind {
            Kind::Attrs(_) => ev.peek_attr(&given, "name", here).and_then(|name| name.known_text()),
            _ => None,
        };
        Source { name, ..Source::new(Base::Changed(Rc::new(given))) }.value()
    })
}

/// A file of the store with that text: the whole content of a file of the repository is that file.
fn written(ev: &mut Eval, text: Value, name: Option<&Rc<str>>) -> Value {
    ev.each(text, &mut |ev, text| {
        let file = match &text.kind {
            Kind::Str(text) => text.file.map(|file| ev.files.get(file).path.clone()),
            _ => None,
        };
        let source = file.map_or_else(|| Source::new(Base::Text(text.known_text())), Source::local);
        source.named(name.cloned()).value()
    })
}

fn write_text(ev: &mut Eval, args: &[ThunkId], _: Location) -> Value {
    ev.leave(args[1]);
    let name = ev.force(args[0]).known_text();
    let text = ev.force(args[1]);
    written(ev, text, name.as_ref())
}

fn write_text_dir(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    ev.leave(args[1]);
    let path = ev.force(args[0]).known_text();
    let text = ev.force(args[1]);
    let file = written(ev, text, None);
    in_folder(ev, file, path.as_ref(), here)
}

fn write_text_file(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    ev.leave(args[0]);
    let given = ev.force(args[0]);
    let text = ev.peek_attr(&given, "text", here).unwrap_or_else(|| Value::text(""));
    let name = ev.peek_attr(&given, "name", here).and_then(|name| name.known_text());
    let file = written(ev, text, name.as_ref());
    match ev.peek_attr(&given, "destination", here).map(|value| value.known_text()) {
        None => file,
        Some(Some(destination)) if destination.is_empty() => file,
        Some(destination) => in_folder(ev, file, destination.as_ref(), here),
    }
}

/// A folder with one file at a path; at a path that is not known, it could be any.
fn in_folder(ev: &mut Eval, file: Value, path: Option<&Rc<str>>, here: Location) -> Value {
    ev.each(file, &mut |ev, file| {
        let file = ev.source_of(&file, here);
        let base = match path {
            Some(path) => Base::Farm(Rc::new(vec![(path.trim_start_matches('/').to_owned(), file)])),
            None => Base::Text(None),
        };
        Source::new(base).value()
    })
}

/// `linkFarm name [ { name; path; } ]`, or a set of paths by name.
fn link_farm(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    ev.leave(args[1]);
    let name = ev.force(args[0]).known_text();
    let entries = ev.force(args[1]);
    ev.each(entries, &mut |ev, entries| {
        let base = farm(ev, &entries, here).map_or(Base::Text(None), |farm| Base::Farm(Rc::new(farm)));
        Source { name: name.clone(), ..Source::new(base) }.value()
    })
}

fn farm(ev: &mut Eval, entries: &Value, here: Location) -> Option<Vec<(String, Rc<Source>)>> {
    let mut all = Vec::new();
    match &entries.kind {
        Kind::List(list) if list.open.is_none() => {
            for item in list.items.clone() {
                let item = ev.force(item);
                let name = ev.peek_attr(&item, "name", here)?.known_text()?;
                let path = ev.peek_attr(&item, "path", here)?;
                all.push((name.trim_matches('/').to_owned(), ev.source_of(&path, here)));
            }
        }
        Kind::Attrs(attrs) if attrs.open.is_none() && attrs.special.is_none() => {
            for (name, attr) in attrs.map.clone() {
                let path = ev.force(attr.thunk);
                all.push((name.trim_matches('/').to_owned(), ev.source_of(&path, here)));
            }
        }
        _ => return None,
    }
    Some(all)
}

fn replace_vars(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    ev.leave(args[1]);
    let file = ev.force(args[0]);
    template(ev, file, here)
}

fn substitute_all(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    ev.leave(args[0]);
    let given = ev.force(args[0]);
    let file = ev.select(&given, "src", here);
    template(ev, file, here)
}

/// A file of the repository in which words were replaced.
fn template(ev: &mut Eval, file: Value, here: Location) -> Value {
    ev.each(file, &mut |ev, file| {
        let source = ev.source_of(&file, here);
        let base = source.local_path().map_or(Base::Text(None), Base::Template);
        Source::new(base).value()
    })
}
