//! Functions of well-known flakes that bring files of the repository together, by the ends of their names.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix_lang::eval::{Eval, lambda};
use nix_lang::syntax::ast::{Bindings, Bound, Expr, Location, StringPart};
use nix_lang::value::source::{self, Filter};
use nix_lang::value::{Attr, Attrs, Kind, ThunkId, Unknown, Value};

use super::{nearest, of_folder, self_member};
use crate::library;
use crate::packages::{call_package, nixpkgs};

/// A function of a flake: it answers `None` where the argument is not of its kind.
type Function = fn(&mut Eval, ThunkId, Location) -> Option<Value>;

/// Each with the fixture that needs it: `src-nix-filter`, `module-file-not-imported`, `flake-snowfall-get-file`,
/// `flake-blueprint`, `flake-haumea-load`, `src-std-incl`.
const TABLE: &[(&str, Function)] = &[
    ("nix-filter.lib", NIX_FILTER),
    ("nix-filter.lib.filter", NIX_FILTER),
    ("inputs.nix-filter", NIX_FILTER),
    ("import-tree", import_tree),
    ("snowfall.fs.get-file", get_file),
    ("snowfall.fs.get-snowfall-file", get_snowfall_file),
    ("inputs.blueprint", blueprint),
    ("haumea.lib.load", load),
    ("std.incl", |_, root, _| Some(include(root))),
];

const NIX_FILTER: Function = |ev, argument, here| Some(library::nix_filter(ev, &[argument], here));

/// A call of such a function.
pub fn call(ev: &mut Eval, callee: &Unknown, argument: ThunkId, here: Location) -> Option<Value> {
    let name = callee.name.as_deref()?;
    let fits = |end: &str| name.strip_suffix(end).is_some_and(|head| head.is_empty() || head.ends_with('.'));
    let (_, function) = TABLE.iter().find(|(end, _)| fits(end))?;
    function(ev, argument, here)
}

/// The `import-tree` flake: a module that imports every Nix file of a folder, but for names that begin with `_`.
fn import_tree(ev: &mut Eval, argument: ThunkId, _: Location) -> Option<Value> {
    let Kind::Path(folder) = ev.force(argument).kind else { return None };
    let mut files = Vec::new();
    nix_files(ev, &folder, 0, &mut files);
    let files: Vec<ThunkId> = files.into_iter().map(|path| ev.done(Value::path(path))).collect();
    let imports = ev.done(Value::list(files));
    Some(Value::attrs(Attrs::of([(Rc::from("imports"), imports)])))
}

/// Folders deeper than this are not looked into.
const DEEPEST: u32 = 12;

fn nix_files(ev: &Eval, folder: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    for (name, kind) in ev.files.read_dir(folder).unwrap_or_default() {
        let path = folder.join(&name);
        match kind {
            _ if name.starts_with('_') => {}
            "directory" if depth < DEEPEST => nix_files(ev, &path, depth + 1, files),
            "regular" if path.extension().is_some_and(|extension| extension == "nix") => files.push(path),
            _ => {}
        }
    }
}

/// `lib.snowfall.fs.get-file "web"`: a path below the folder of the flake.
fn get_file(ev: &mut Eval, argument: ThunkId, here: Location) -> Option<Value> {
    let below = ev.force(argument).known_text()?;
    let own = ev.folder(here.file);
    let top = nearest(ev, &own)?;
    Some(Value::path(source::join(&top, &below)))
}

/// `lib.snowfall.fs.get-snowfall-file "web"`: a path below what `snowfall.root` says, or the folder of the flake.
fn get_snowfall_file(ev: &mut Eval, argument: ThunkId, here: Location) -> Option<Value> {
    let below = ev.force(argument).known_text()?;
    let top = nearest(ev, &ev.folder(here.file))?;
    let file = ev.files.read(&top.join("flake.nix")).ok()?;
    let ast = ev.ast(file)?;
    let bound = |set: &Bindings, name: &str| {
        set.entries.iter().find(|one| one.name.as_ref() == name).map(|one| match one.bound {
            Bound::Expr(id) => Some(id),
            Bound::Outer | Bound::From(_) => None,
        })
    };
    // They are an argument of a function of the input, which never gives them back: what is written is all there is to read.
    let settings = ast.exprs.iter().find_map(|expr| match expr {
        Expr::Set { bindings, .. } => bound(bindings, "snowfall"),
        _ => None,
    });
    let root = match settings {
        None => top,
        Some(settings) => match ast.expr(settings?) {
            Expr::Set { bindings, .. } => match bound(bindings, "root") {
                None => top,
                Some(root) => match ast.expr(root?) {
                    Expr::Path(parts) => match parts.as_slice() {
                        [StringPart::Text(text)] if text.starts_with('.') => source::join(&top, text),
                        _ => return None,
                    },
                    _ => return None,
                },
            },
            _ => return None,
        },
    };
    Some(Value::path(source::join(&root, &below)))
}

/// `std.incl ./. [ ./web "package.json" ]`: what the list names, and nothing else.
fn include(root: ThunkId) -> Value {
    lambda(move |ev, list, at| {
        let root = ev.force(root);
        let list = ev.force(list);
        ev.each(root, &mut |ev, root| {
            let source = ev.source_of(&root, at);
            let kept = source.local_path().and_then(|folder| listed(ev, &list, &folder));
            let filter = kept
                .map_or(Filter::Opaque, |kept| Filter::Lists { include: Some(kept), exclude: Vec::new() });
            source.filtered(filter, at, "`std.incl`").value()
        })
    })
}

fn listed(ev: &mut Eval, list: &Value, folder: &Path) -> Option<Vec<PathBuf>> {
    let Kind::List(list) = &list.kind else { return None };
    let mut paths = Vec::new();
    for item in &list.items {
        let item = ev.force(*item);
        match (&item.kind, item.known_text()) {
            (Kind::Path(path), _) => paths.push(path.as_ref().clone()),
            (_, Some(text)) => paths.push(source::join(folder, &text)),
            _ => return None,
        }
    }
    list.open.is_none().then_some(paths)
}

/// `blueprint { inherit inputs; }`: the packages, checks and shells that lie in the folders of these names. Each file is
/// called with what blueprint hands to it.
fn blueprint(ev: &mut Eval, argument: ThunkId, here: Location) -> Option<Value> {
    const FOLDERS: [(&str, &str); 3] =
        [("packages", "packages"), ("checks", "checks"), ("devshells", "devShells")];
    let given = ev.force(argument);
    let flake = nearest(ev, &ev.folder(here.file))?;
    let prefix = ev.peek_attr(&given, "prefix", here);
    let top = match prefix.as_ref().map(|prefix| (&prefix.kind, prefix.known_text())) {
        None => flake.clone(),
        Some((Kind::Path(path), _)) => path.as_ref().clone(),
        Some((_, Some(text))) => source::join(&flake, &text),
        Some(_) => return None,
    };
    let mut outputs = Attrs::default();
    for (folder, output) in FOLDERS {
        let members = members(ev, &top.join(folder), &flake, here);
        let members = ev.done(Value::attrs(members));
        let system = (Rc::from("x86_64-linux"), members);
        let of_systems = ev.done(Value::attrs(Attrs::of([system])));
        outputs.map.insert(Rc::from(output), Attr::new(of_systems));
    }
    if ev.files.is_file(&top.join("lib/default.nix")) {
        let library = top.join("lib");
        let thunk = ev.lazy(move |ev| {
            let function = ev.import_path(&library, here);
            let args = flake_arguments(ev, &flake, here);
            ev.apply_value(&function, Value::attrs(args), here)
        });
        outputs.map.insert(Rc::from("lib"), Attr::new(thunk));
    }
    ev.leave(argument);
    let doubt = Value::outside("blueprint", Some(here));
    outputs.open = doubt.as_unknown().map(Rc::clone);
    Some(Value::attrs(outputs))
}

/// The files `NAME.nix` and folders `NAME/default.nix` or `NAME/package.nix`, each called.
fn members(ev: &mut Eval, folder: &Path, flake: &Path, here: Location) -> Attrs {
    let mut members = Attrs::default();
    for (name, kind) in ev.files.read_dir(folder).unwrap_or_default() {
        let path = folder.join(&name);
        let (name, file) = match kind {
            "directory" if ev.files.is_file(&path.join("default.nix")) => (name, path),
            "directory" if ev.files.is_file(&path.join("package.nix")) => (name, path.join("package.nix")),
            "directory" => continue,
            _ => match name.strip_suffix(".nix") {
                Some(stem) => (stem.to_owned(), path),
                None => continue,
            },
        };
        let (pname, flake) = (Rc::<str>::from(name.as_str()), flake.to_path_buf());
        let thunk = ev.lazy(move |ev| {
            let function = ev.import_path(&file, here);
            let args = blueprint_arguments(ev, &pname, &flake, here);
            call_package::call(ev, &nixpkgs(), &function, &args, here)
        });
        members.map.insert(Rc::from(name), Attr::new(thunk));
    }
    members
}

/// `{ pname, flake, inputs, pkgs, perSystem, ... }`.
fn blueprint_arguments(ev: &mut Eval, pname: &str, flake: &Path, here: Location) -> Value {
    let mut args = flake_arguments(ev, flake, here);
    let own = [
        ("pname", Value::text(pname)),
        ("pkgs", nixpkgs()),
        ("system", Value::any_system()),
        ("perSystem", per_system(ev, flake, here)),
    ];
    for (name, value) in own {
        let thunk = ev.done(value);
        args.map.insert(Rc::from(name), Attr::new(thunk));
    }
    Value::attrs(args)
}

/// `{ flake, inputs }`: what blueprint gives to everything.
fn flake_arguments(ev: &mut Eval, flake: &Path, here: Location) -> Attrs {
    let mut args = Attrs::default();
    for name in ["flake", "inputs"] {
        if let Some(value) = of_folder(ev, flake, name, here) {
            let thunk = ev.done(value);
            args.map.insert(Rc::from(name), Attr::new(thunk));
        }
    }
    args
}

/// The packages of each input; those of the flake itself are `perSystem.self` (fixture `flake-blueprint-own-library`).
fn per_system(ev: &mut Eval, flake: &Path, here: Location) -> Value {
    let folder = flake.to_path_buf();
    let own = ev.lazy(move |ev| {
        let packages = self_member(ev, &folder, "packages", here);
        let own = packages.and_then(|packages| ev.peek_attr(&packages, "x86_64-linux", here));
        own.unwrap_or_else(|| Value::outside("perSystem.self", Some(here)))
    });
    let others = Value::outside("perSystem", Some(here));
    let mut inputs = Attrs::of([(Rc::from("self"), own)]);
    inputs.open = others.as_unknown().map(Rc::clone);
    Value::attrs(inputs)
}

/// `haumea.lib.load { src = ./nix; inputs = { ... }; }`: a set of what the files of a folder hold, by their names.
fn load(ev: &mut Eval, argument: ThunkId, here: Location) -> Option<Value> {
    let given = ev.force(argument);
    let src = ev.peek_attr(&given, "src", here)?;
    let folder = ev.source_of(&src, here).local_path()?;
    let inputs = ev.peek_attr(&given, "inputs", here).unwrap_or_else(|| Value::attrs(Attrs::default()));
    let loader = ev.peek_attr(&given, "loader", here);
    if let Some(transformer) = given.as_attrs().and_then(|attrs| attrs.map.get("transformer")) {
        ev.leave(transformer.thunk);
    }
    let tree = Rc::new(Tree { inputs, loader, root: ev.reserve(), here });
    let value = branch(ev, &tree, &folder, None, 0);
    ev.fill(tree.root, value.clone());
    Some(value)
}

/// What all files of one `load` share.
struct Tree {
    inputs: Value,
    loader: Option<Value>,
    root: ThunkId,
    here: Location,
}

/// The set of a folder; `default.nix` is an attribute like any other, and also what is lifted into the set.
fn branch(ev: &mut Eval, tree: &Rc<Tree>, folder: &Path, above: Option<ThunkId>, depth: u32) -> Value {
    let own = ev.reserve();
    let mut set = Attrs::default();
    for (name, kind) in ev.files.read_dir(folder).unwrap_or_default() {
        let path = folder.join(&name);
        let (name, thunk) = match (kind, name.strip_suffix(".nix")) {
            ("directory", _) if depth < DEEPEST => {
                let tree = Rc::clone(tree);
                (name, ev.lazy(move |ev| branch(ev, &tree, &path, Some(own), depth + 1)))
            }
            ("regular", Some(stem)) => {
                let tree = Rc::clone(tree);
                (stem.to_owned(), ev.lazy(move |ev| leaf(ev, &tree, &path, own, above)))
            }
            _ => continue,
        };
        // Names that begin with `_` are seen from inside only; the walk takes them all the same.
        set.map.insert(Rc::from(name.trim_start_matches('_')), Attr::new(thunk));
    }
    let value = Value::attrs(set);
    ev.fill(own, value.clone());
    value
}

/// A file: what its loader makes of it, by default a call with those inputs that it asks for.
fn leaf(ev: &mut Eval, tree: &Tree, path: &Path, own: ThunkId, above: Option<ThunkId>) -> Value {
    let mut known = vec![(Rc::from("self"), own), (Rc::from("root"), tree.root)];
    known.extend(above.map(|above| (Rc::from("super"), above)));
    let inputs = ev.update(tree.inputs.clone(), &Value::attrs(Attrs::of(known)), tree.here);
    match tree.loader.as_ref() {
        Some(loader) if loader.is_function() => {
            let half = ev.apply_value(loader, inputs, tree.here);
            return ev.apply_value(&half, Value::path(path.to_path_buf()), tree.here);
        }
        // A list of matchers: which of them takes the file is not known, nor what it gives to it.
        Some(_) => return ev.import_path(path, tree.here),
        None => {}
    }
    let value = ev.import_path(path, tree.here);
    if value.is_function() { ev.apply_value(&value, inputs, tree.here) } else { value }
}
