//! Visits everything that an entry point leads to, so that every derivation is met.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use super::seen::{Around, Seen};
use nix_lang::eval::Eval;
use nix_lang::syntax::ast::{Ast, Expr, Lambda, Location, Param, Span};
use nix_lang::value::source::{Base, Source};
use nix_lang::value::{Attrs, Closure, Doubt, Kind, Piece, Special, Text, ThunkId, Unknown, Value};
use nixpkgs_model::modules;
use nixpkgs_model::packages::derivation::Drv;
use nixpkgs_model::packages::record::Declarations as _;
use nixpkgs_model::packages::{self, UncalledFile};

/// The order in which the outputs of a flake are visited; the first path found names a site.
const FIRST: &[&str] =
    &["packages", "defaultPackage", "legacyPackages", "checks", "apps", "devShells", "devShell"];
const DEPTH: u32 = 60;

/// What was seen, and what is still to be done.
#[derive(Default)]
pub(crate) struct Walker {
    thunks: HashSet<ThunkId>,
    sets: HashSet<usize>,
    /// Functions that were met, and whether each was offered as an overlay; perhaps nothing ever calls them.
    pub closures: Vec<(Rc<Closure>, bool)>,
    /// Derivations are also met on second paths; this bounds how often.
    named: usize,
    /// What the budget did not allow to be visited yet.
    postponed: Vec<Postponed>,
    seen: Rc<Seen>,
    /// Scripts that were looked at, by the address of their environment: their records, and what keeps the address theirs.
    scripts: HashMap<*const (), (Option<usize>, Rc<Value>)>,
    /// The sets around the one that is visited, by their addresses.
    inside: Vec<usize>,
    /// Keeps visited sets alive, so that their addresses stay theirs.
    kept: Vec<Rc<Attrs>>,
}

/// A visit that is still to be made.
struct Postponed {
    thunk: ThunkId,
    path: Option<String>,
    depth: u32,
    around: Around,
}

impl Walker {
    /// Nothing visited yet.
    pub fn new(seen: Rc<Seen>) -> Self {
        Self { seen, ..Self::default() }
    }

    /// Visits a thunk under an attribute path.
    pub fn visit(&mut self, ev: &mut Eval, thunk: ThunkId, path: Option<&str>, depth: u32) {
        const MOST_NAMES: usize = 20_000;
        // What was visited costs next to nothing, and may get another name even now.
        if ev.budget.is_spent() && !self.thunks.contains(&thunk) {
            let (path, around) = (path.map(str::to_owned), self.seen.around());
            self.postponed.push(Postponed { thunk, path, depth, around });
            return;
        }
        let fresh = self.thunks.insert(thunk);
        // What was visited is visited again only for the sake of another name.
        if depth > DEPTH || (!fresh && (path.is_none() || self.named > MOST_NAMES)) {
            return;
        }
        let value = ev.force(thunk);
        self.visit_value(ev, &value, path, depth);
    }

    /// Visits a value under an attribute path.
    pub fn visit_value(&mut self, ev: &mut Eval, value: &Value, path: Option<&str>, depth: u32) {
        match &value.kind {
            Kind::Attrs(attrs) => self.visit_set(ev, attrs, path, depth),
            Kind::List(list) => {
                for item in &list.items {
                    self.visit(ev, *item, None, depth + 1);
                }
            }
            Kind::Lambda(closure) => {
                self.closures.push((Rc::clone(closure), path.is_some_and(offers_overlay)));
            }
            Kind::Native(call) => {
                for arg in &call.args {
                    self.visit(ev, *arg, None, depth + 1);
                }
            }
            Kind::Alt(values) => {
                for value in values.iter() {
                    self.visit_value(ev, value, path, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// Gives a name to what a set is: a derivation, or a source.
    fn name(&mut self, ev: &mut Eval, attrs: &Rc<Attrs>, path: Option<&str>) {
        if let Some(drv) = attrs.special.read::<Drv>() {
            let index = drv.register(ev);
            if let Some(path) = path.filter(|path| !path.is_empty()) {
                self.named += 1;
                if let Some(index) = index {
                    ev.declared().name_record(index, path);
                }
                name_dependencies(ev, attrs, path);
                name_downloads(ev, attrs, path);
            }
        }
        if let (Special::Source(source), Some(path)) = (&attrs.special, path)
            && let Base::Script { env, .. } = &source.base
            && let Kind::Attrs(env) = &env.kind
        {
            name_dependencies(ev, env, path);
        }
        if let Special::Source(source) = &attrs.special {
            let path = path.filter(|path| !path.is_empty());
            match (&source.base, path) {
                (Base::Script { text, env }, _) => {
                    self.note_script(ev, (text, env), path);
                    if let Some(path) = path {
                        name_pieces(ev, text, path);
                    }
                }
                (_, Some(path)) => name_source(ev, source, path),
                _ => {}
            }
        }
    }

    fn visit_set(&mut self, ev: &mut Eval, attrs: &Rc<Attrs>, path: Option<&str>, depth: u32) {
        self.name(ev, attrs, path);
        let made = attrs.special.read::<Drv>();
        if made.is_some_and(|drv| self.repeats(drv)) {
            return;
        }
        let address = Rc::as_ptr(attrs) as usize;
        if !self.sets.insert(address) {
            if path.is_some() && attrs.special.is_none() && self.named < 2_000 {
                self.rename(ev, attrs, path, depth);
            }
            return;
        }
        // Else another set could be made at the same address, and be taken for visited.
        self.kept.push(Rc::clone(attrs));
        let inside = if matches!(attrs.special, Special::None) { path } else { None };
        if let Some(drv) = made {
            self.seen.go_into(drv.call);
        }
        self.inside.push(address);
        for (name, thunk) in ordered(attrs, path == Some("")) {
            let inner = inside.map(|path| joined(path, &name));
            self.visit(ev, thunk, inner.as_deref(), depth + 1);
        }
        self.inside.pop();
        if made.is_some() {
            self.seen.go_out();
        }
    }

    /// Whether a derivation was made by the same call as some of those around it: `passthru.tests` with `self.override` has
    /// another derivation in each one, without end (test `a_package_that_overrides_itself_ends`). What nests on purpose
    /// does so a few times.
    fn repeats(&self, drv: &Drv) -> bool {
        let most = if drv.may_declare() { 4 } else { 2 };
        self.seen.times_around(drv.call) >= most
    }

    /// Notes a script of fixed output that runs a package manager, once, and under each of its paths.
    fn note_script(&mut self, ev: &mut Eval, (text, env): (&Rc<Text>, &Rc<Value>), path: Option<&str>) {
        let address = Rc::as_ptr(env).cast::<()>();
        let index = if let Some((index, _)) = self.scripts.get(&address) {
            *index
        } else {
            let call = env.as_attrs().and_then(|attrs| attrs.map.get("outputHash")?.pos);
            let record = call.and_then(|call| packages::installed::of_script(ev, text, env, call));
            let index = record.map(|record| ev.record(record));
            self.scripts.insert(address, (index, Rc::clone(env)));
            index
        };
        if let (Some(index), Some(path)) = (index, path.filter(|path| !path.is_empty())) {
            ev.declared().name_record(index, path);
        }
    }

    /// The set was visited before: only the names of its derivations are new. A set that holds itself, as
    /// `python3Packages.python3Packages`, has no new ones.
    fn rename(&mut self, ev: &mut Eval, attrs: &Rc<Attrs>, path: Option<&str>, depth: u32) {
        // Names are only for people to read. Sets that hold each other would make new ones without end.
        if depth > 6 || self.inside.contains(&(Rc::as_ptr(attrs) as usize)) {
            return;
        }
        self.named += 1;
        for (name, thunk) in ordered(attrs, false) {
            let value = ev.force(thunk);
            if let (Kind::Attrs(inner), Some(path)) = (&value.kind, path) {
                let inner = Rc::clone(inner);
                self.visit_set(ev, &inner, Some(&joined(path, &name)), depth + 1);
            }
        }
    }

    /// Visits what was postponed, each time with another share of the budget, as long as there is any: one derivation
    /// that costs too much is one (test `bombs_leave_something_for_everybody_else`). What one value multiplies may be
    /// postponed for ever, and would leave nothing to decide with: a part is kept (the bomb of recursive updates).
    pub fn catch_up(&mut self, ev: &mut Eval) {
        const KEPT: u64 = 16;
        let kept = ev.budget.rest() / KEPT;
        while !self.postponed.is_empty() {
            ev.budget.begin();
            if ev.budget.is_spent() || ev.budget.rest() <= kept {
                return;
            }
            for Postponed { thunk, path, depth, around } in std::mem::take(&mut self.postponed) {
                self.seen.go_on(around);
                self.visit(ev, thunk, path.as_deref(), depth);
            }
            self.seen.go_on(Around::new());
        }
    }

    /// Visits what the evaluation left behind, such as arguments of unknown functions, until nothing is left.
    pub fn drain(&mut self, ev: &mut Eval) {
        let seen = Rc::clone(&self.seen);
        let before = seen.around();
        while let Some(thunk) = seen.next_left() {
            self.visit(ev, thunk, None, 0);
        }
        seen.go_on(before);
    }
}

fn joined(path: &str, name: &str) -> String {
    let name = if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// The attributes of a set; at the top of a flake the usual outputs come first.
fn ordered(attrs: &Attrs, top: bool) -> Vec<(Rc<str>, ThunkId)> {
    let mut all: Vec<(Rc<str>, ThunkId)> =
        attrs.map.iter().map(|(name, attr)| (Rc::clone(name), attr.thunk)).collect();
    if top {
        let rank = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
        all.sort_by_key(|(name, _)| rank(name));
    } else {
        // The first name is the one that people read: of all systems the usual one, and `web` rather than `default`.
        all.sort_by_key(|(name, _)| (name.as_ref() != "x86_64-linux", name.as_ref() == "default"));
    }
    all
}

/// Calls a function that nothing calls, with what such functions are usually given; `offered`: as an overlay.
pub(crate) fn call_blindly(ev: &mut Eval, closure: &Closure, folder: &Path, offered: bool) -> Value {
    let here = closure.code.location();
    let at = Location { file: here.file, span: Span { start: here.span.start, end: here.span.start } };
    let Expr::Lambda(lambda) = closure.code.ast.expr(closure.code.id) else {
        return nix_lang::eval::error("not a function", here);
    };
    let lambda = Rc::clone(lambda);
    if is_overlay(&closure.code.ast, &lambda, offered) {
        let overlay = ev.done(Value::new(Kind::Lambda(Rc::new(closure.clone()))));
        return packages::overlay::with_overlays(ev, packages::nixpkgs(), &[overlay], at);
    }
    let argument = blind_argument(ev, &lambda, folder, at);
    if !takes_config(&lambda) {
        return ev.enter(closure, argument, at);
    }
    // The module's own `config` is made of what it returns: a place is kept for that before it is called.
    let module = ev.reserve();
    let argument = with_config(ev, argument, module, at);
    let value = ev.enter(closure, argument, at);
    ev.fill(module, value.clone());
    value
}

/// `{ config, ... }`: the function is a module.
fn takes_config(lambda: &Lambda) -> bool {
    match &lambda.param {
        Param::Pattern { formals, .. } => formals.iter().any(|formal| formal.name.as_ref() == "config"),
        Param::Ident(_) => false,
    }
}

/// The arguments of a module, with the configuration as far as the module itself says it.
fn with_config(ev: &mut Eval, argument: ThunkId, module: ThunkId, at: Location) -> ThunkId {
    let entry = ev.force(argument);
    let name = "config";
    let message = format!("`{name}` is an argument that nothing here supplies").into();
    let unknown = Rc::new(Unknown { doubt: Doubt::Argument, message, at: Some(at), name: Some(name.into()) });
    let config = ev.lazy(move |ev| modules::own_config(ev, module, unknown, at));
    let whole = ev.update(entry, &Value::attrs(Attrs::of([(Rc::from(name), config)])), at);
    ev.done(whole)
}

/// Whether a function is an overlay: it is offered as one, or it takes the two package sets by names that only overlays
/// have (fixtures `overlay-offered-odd-names`, `overlay-only`): nothing else tells, where nothing calls it.
fn is_overlay(ast: &Ast, lambda: &Lambda, offered: bool) -> bool {
    let Expr::Lambda(inner) = ast.expr(lambda.body) else { return false };
    let (Param::Ident(last), Param::Ident(previous)) = (&lambda.param, &inner.param) else { return offered };
    offered || packages::are_of_overlay(last, previous)
}

/// The places at which a flake offers overlays.
fn offers_overlay(path: &str) -> bool {
    path == "overlay" || path.starts_with("overlays.")
}

/// The argument of a function that nothing calls.
pub(crate) fn blind_argument(ev: &mut Eval, lambda: &Lambda, folder: &Path, at: Location) -> ThunkId {
    let entry = Value::attrs(Attrs::special(Special::of(UncalledFile(folder.to_path_buf()))));
    match &lambda.param {
        Param::Pattern { .. } => ev.done(entry),
        Param::Ident(name) => {
            let value = match name.as_ref() {
                "system" => Value::any_system(),
                _ => {
                    if let Some(value) = ev.peek_attr(&entry, name, at) {
                        value
                    } else {
                        let message = format!("`{name}` is an argument that nothing here supplies").into();
                        Value::doubtful(Rc::new(Unknown {
                            doubt: Doubt::Argument,
                            message,
                            at: Some(at),
                            name: Some(Rc::clone(name)),
                        }))
                    }
                }
            };
            ev.done(value)
        }
    }
}

/// The dependencies of a derivation bear its path.
fn name_dependencies(ev: &mut Eval, attrs: &Rc<Attrs>, path: &str) {
    let Some(attr) = attrs.map.get("npmDeps") else { return };
    let value = ev.force(attr.thunk);
    let values = match &value.kind {
        Kind::Alt(values) => values.as_ref().clone(),
        _ => vec![value],
    };
    for value in values {
        if let Kind::Attrs(deps) = &value.kind
            && let Some(drv) = deps.special.read::<Drv>()
            && let Some(index) = drv.register(ev)
            && !path.is_empty()
        {
            ev.declared().name_record(index, path);
        }
    }
}

/// What a derivation downloads bears its path: its `src`, and whatever else an attribute of it holds or mentions.
fn name_downloads(ev: &mut Eval, attrs: &Rc<Attrs>, path: &str) {
    for attr in attrs.map.values() {
        let value = ev.force(attr.thunk);
        name_held(ev, &value, path, 0);
    }
}

fn name_held(ev: &mut Eval, value: &Value, path: &str, depth: u32) {
    match &value.kind {
        Kind::Alt(values) => values.iter().for_each(|value| name_held(ev, value, path, depth)),
        // Nix lets a list hold itself: `let a = [ a ]; in a`.
        Kind::List(list) if depth < 2 => {
            for item in &list.items {
                let item = ev.force(*item);
                name_held(ev, &item, path, depth + 1);
            }
        }
        Kind::Str(text) => name_pieces(ev, text, path),
        Kind::Attrs(attrs) => {
            if let Special::Source(source) = &attrs.special {
                name_source(ev, source, path);
            }
        }
        _ => {}
    }
}

fn name_pieces(ev: &mut Eval, text: &Text, path: &str) {
    for piece in &text.pieces {
        if let Piece::Source(source) = piece {
            name_source(ev, source, path);
        }
    }
}

fn name_source(ev: &mut Eval, source: &Source, path: &str) {
    if let Base::Remote(remote) = &source.base {
        ev.declared().name_download(remote, path);
    }
}
