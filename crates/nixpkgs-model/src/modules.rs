//! The module system: definitions of several modules as one set, and the defaults of options.

use std::rc::Rc;

use nix_lang::builtins;
use nix_lang::eval::{Eval, Native, flag};
use nix_lang::syntax::ast::{Location, Name};
use nix_lang::value::{Attr, Attrs, Doubt, Kind, Meaning, Move, Special, ThunkId, Unknown, Value};

use crate::hash_text::HashText;
use crate::packages::Beside;

/// Functions of the module system.
pub const TABLE: &[Native] = &[
    Native::new("mkIf", 2, make_if),
    Native::new("mkMerge", 1, make_merge),
    Native::new("mkOption", 1, |ev, a, at| option(ev, Some(a[0]), at)),
    Native::new("mkEnableOption", 1, enable_option),
    Native::new("mkPackageOption", 3, |ev, _, at| option(ev, None, at)),
    Native::new("mkOverride", 2, |ev, a, _| definition(ev, "override", a[0], a[1])),
    // The numbers are nixpkgs', and the lower one wins.
    Native::new("mkForce", 1, |ev, a, _| priority(ev, 50, a[0])),
    Native::new("mkVMOverride", 1, |ev, a, _| priority(ev, 10, a[0])),
    Native::new("mkDefault", 1, |ev, a, _| priority(ev, 1_000, a[0])),
    Native::new("mkOptionDefault", 1, |ev, a, _| priority(ev, 1_500, a[0])),
    Native::new("mkOrder", 2, |ev, a, _| definition(ev, "order", a[0], a[1])),
    Native::new("mkBefore", 1, |ev, a, _| order(ev, 500, a[0])),
    Native::new("mkAfter", 1, |ev, a, _| order(ev, 1_500, a[0])),
];

/// The priority of a definition that says nothing of one.
const USUAL: i64 = 100;

/// More levels of options than these are not followed.
const DEEPEST: usize = 12;

/// A module's set, taken apart.
pub struct Module {
    /// Other modules that it brings.
    pub imports: Vec<ThunkId>,
    /// What it defines.
    pub definitions: Value,
    /// What it declares.
    pub options: Option<Value>,
}

/// Takes a module's set apart: without `config` and `options`, everything in it is a definition.
pub fn parts(ev: &mut Eval, value: &Value) -> Option<Module> {
    let attrs = value.as_attrs()?;
    let imports = match attrs.map.get("imports").map(|attr| ev.force(attr.thunk).kind) {
        Some(Kind::List(list)) => list.items.clone(),
        _ => Vec::new(),
    };
    let options = attrs.map.get("options").map(|attr| ev.force(attr.thunk));
    let definitions = match attrs.map.get("config") {
        Some(attr) => ev.force(attr.thunk),
        // Beside `options` definitions have to stand in `config`: the module system refuses any other attribute.
        None if options.is_some() => Value::attrs(Attrs::default()),
        None => {
            let mut own = attrs.as_ref().clone();
            own.map
                .retain(|name, _| !matches!(name.as_ref(), "imports" | "_file" | "key" | "disabledModules"));
            Value { kind: Kind::Attrs(Rc::new(own)), trail: value.trail.clone() }
        }
    };
    Some(Module { imports, definitions, options })
}

fn priority(ev: &mut Eval, number: i64, content: ThunkId) -> Value {
    let number = ev.done(Value::new(Kind::Int(number)));
    definition(ev, "override", number, content)
}

fn order(ev: &mut Eval, number: i64, content: ThunkId) -> Value {
    let number = ev.done(Value::new(Kind::Int(number)));
    definition(ev, "order", number, content)
}

/// A definition with a word to the module system, as nixpkgs writes it.
fn definition(ev: &mut Eval, kind: &str, number: ThunkId, content: ThunkId) -> Value {
    let kind = ev.done(Value::text(kind));
    Value::attrs(Attrs::of([
        (Rc::from("_type"), kind),
        (Rc::from("priority"), number),
        (Rc::from("content"), content),
    ]))
}

/// A definition without its word to the module system, and the priority that it has; `None` where that is not known.
fn discharged(ev: &mut Eval, value: Value) -> (Value, Option<i64>) {
    let Some(attrs) = value.as_attrs().map(Rc::clone) else { return (value, Some(USUAL)) };
    let (Some(kind), Some(content)) = (attrs.map.get("_type"), attrs.map.get("content")) else {
        return (value, Some(USUAL));
    };
    let (kind, content) = (ev.force(kind.thunk).known_text(), content.thunk);
    match kind.as_deref() {
        Some("order") => {
            let content = ev.force(content);
            discharged(ev, content)
        }
        Some("override") => {
            let priority = attrs.map.get("priority").map(|attr| ev.force(attr.thunk).kind);
            let priority = if let Some(Kind::Int(number)) = priority { Some(number) } else { None };
            let content = ev.force(content);
            (discharged(ev, content).0, priority)
        }
        _ => (value, Some(USUAL)),
    }
}

/// Definitions as the configuration shows them: without words to the module system, at any depth.
pub fn settled(ev: &mut Eval, value: Value) -> Value {
    ev.each(value, &mut |ev, value| {
        let (value, _) = discharged(ev, value);
        let Kind::Attrs(attrs) = &value.kind else { return value };
        if !attrs.special.is_none() {
            return value;
        }
        let mut set = attrs.as_ref().clone();
        for attr in set.map.values_mut() {
            let own = attr.thunk;
            attr.thunk = ev.lazy(move |ev| {
                let value = ev.force(own);
                settled(ev, value)
            });
        }
        Value { kind: Kind::Attrs(Rc::new(set)), trail: value.trail }
    })
}

/// Definitions of two modules as one value, the one with the stronger priority if they have two; what both define is not
/// known, unless it is a set or a list.
pub fn merge(ev: &mut Eval, left: Value, right: Value, at: Location) -> Value {
    let ((left, strong), (right, other)) = (discharged(ev, left), discharged(ev, right));
    match (strong, other) {
        (Some(a), Some(b)) if a == b && a == USUAL => merge_equals(ev, left, right, at),
        (Some(a), Some(b)) => {
            let value = match a.cmp(&b) {
                std::cmp::Ordering::Less => left,
                std::cmp::Ordering::Greater => right,
                std::cmp::Ordering::Equal => merge_equals(ev, left, right, at),
            };
            // A third definition is held against it.
            let value = ev.done(value);
            priority(ev, a.min(b), value)
        }
        _ => Value::unknown(Doubt::Unmodelled, "a definition's priority is not known", Some(at)),
    }
}

fn merge_equals(ev: &mut Eval, left: Value, right: Value, at: Location) -> Value {
    match (&left.kind, &right.kind) {
        (Kind::Attrs(l), Kind::Attrs(r)) if l.special.is_none() && r.special.is_none() => {
            let mut set = l.as_ref().clone();
            set.open = set.open.or_else(|| r.open.clone());
            for (name, attr) in &r.map {
                let merged = match set.map.get(name) {
                    Some(own) => both(ev, own, attr, at),
                    None => attr.clone(),
                };
                set.map.insert(Rc::clone(name), merged);
            }
            Value { kind: Kind::Attrs(Rc::new(set)), trail: left.trail }
        }
        (Kind::List(_), Kind::List(_)) => {
            let lists = [left, right].map(|list| ev.done(list)).to_vec();
            let lists = ev.done(Value::list(lists));
            builtins::concat(ev, lists, at)
        }
        (Kind::Alt(_), _) => ev.each(left, &mut |ev, left| merge(ev, left, right.clone(), at)),
        (_, Kind::Alt(_)) => ev.each(right, &mut |ev, right| merge(ev, left.clone(), right, at)),
        (Kind::Attrs(set), Kind::Unknown(_)) if set.special.is_none() => ev.update(left, &right, at),
        (Kind::Unknown(_), Kind::Attrs(set)) if set.special.is_none() => ev.update(right, &left, at),
        _ if ev.equal(&left, &right, 0) == Some(true) => left,
        _ => {
            for value in [left, right] {
                let thunk = ev.done(value);
                ev.leave(thunk);
            }
            Value::unknown(Doubt::Unmodelled, "several modules define it", Some(at))
        }
    }
}

fn both(ev: &mut Eval, left: &Attr, right: &Attr, at: Location) -> Attr {
    let (a, b) = (left.thunk, right.thunk);
    let thunk = ev.lazy(move |ev| {
        let (left, right) = (ev.force(a), ev.force(b));
        merge(ev, left, right, at)
    });
    Attr { thunk, pos: left.pos.or(right.pos), maybe: left.maybe.clone().or_else(|| right.maybe.clone()) }
}

/// Definitions, and the defaults of those options that nothing defines.
pub(crate) fn with_defaults(ev: &mut Eval, definitions: &Value, options: &Value, depth: usize) -> Value {
    let (Kind::Attrs(defined), Kind::Attrs(options)) = (&definitions.kind, &options.kind) else {
        return definitions.clone();
    };
    let mut set = defined.as_ref().clone();
    for (name, option) in &options.map {
        let option = option.thunk;
        let own = defined.map.get(name).cloned();
        let value = ev.force(option);
        let thunk = match (&own, is_option(ev, &value), default_of(&value)) {
            (None, true, Some(default)) => default,
            (_, false, _) if depth < DEEPEST => ev.lazy(move |ev| {
                let below = own.map_or_else(|| Value::attrs(Attrs::default()), |own| ev.force(own.thunk));
                with_defaults(ev, &below, &value, depth + 1)
            }),
            _ => continue,
        };
        let maybe = defined.map.get(name).and_then(|attr| attr.maybe.clone());
        set.map.insert(Rc::clone(name), Attr { maybe, ..Attr::new(thunk) });
    }
    Value { kind: Kind::Attrs(Rc::new(set)), trail: definitions.trail.clone() }
}

/// A set of which some attributes are known; all others are those of something from outside.
#[must_use]
pub fn beside(known: Attrs, unknown: Rc<Unknown>) -> Value {
    Value::attrs(Attrs { open: Some(Rc::clone(&unknown)), special: Special::of(Beside(unknown)), ..known })
}

/// The `config` of a module that nothing in the repository imports: paths and hashes that are defaults of its own
/// options. All else may be set by the importing module.
pub fn own_config(ev: &mut Eval, module: ThunkId, unknown: Rc<Unknown>, at: Location) -> Value {
    let value = ev.force(module);
    let Some(Module { definitions, options: Some(options), .. }) = parts(ev, &value) else {
        return Value::doubtful(unknown);
    };
    defaults(ev, &options, &definitions, unknown, Level { at, depth: 0 })
}

/// How deep in a set of options something is, and where the options were asked for.
#[derive(Clone, Copy)]
struct Level {
    at: Location,
    depth: usize,
}

fn defaults(
    ev: &mut Eval,
    options: &Value,
    definitions: &Value,
    unknown: Rc<Unknown>,
    level: Level,
) -> Value {
    let Level { at, depth } = level;
    let Kind::Attrs(attrs) = &options.kind else { return Value::doubtful(unknown) };
    let mut known = Attrs::default();
    for (name, option) in &attrs.map {
        let (option, name, definitions) = (option.thunk, Rc::clone(name), definitions.clone());
        let (key, unknown) = (Rc::clone(&name), Rc::clone(&unknown));
        let thunk = ev.lazy(move |ev| {
            let member = ev.member_of_unknown(&unknown, &name, at);
            let option = ev.force(option);
            let own = ev.peek_attr(&definitions, &name, at);
            if !is_option(ev, &option) && depth < DEEPEST {
                let Kind::Unknown(inner) = &member.kind else { return member };
                let own = own.unwrap_or_else(|| Value::attrs(Attrs::default()));
                return defaults(ev, &option, &own, Rc::clone(inner), Level { at, depth: depth + 1 });
            }
            match default_of(&option).filter(|_| own.is_none()).map(|default| ev.force(default)) {
                Some(value) if is_telling(&value) => value,
                _ => member,
            }
        });
        known.map.insert(key, Attr::new(thunk));
    }
    beside(known, unknown)
}

/// Whether a default says where something comes from. Flags and modes do not: both of their sides are worth a look.
fn is_telling(value: &Value) -> bool {
    match &value.kind {
        Kind::Path(_) => true,
        Kind::Attrs(attrs) => {
            let special = &attrs.special;
            matches!(special, Special::Source(_)) || special.has(Meaning::is_files)
        }
        Kind::Str(text) => match text.known() {
            Some(text) => HashText::parse(&text).digest.is_some(),
            None => true,
        },
        _ => false,
    }
}

fn is_option(ev: &mut Eval, value: &Value) -> bool {
    let kind = value.as_attrs().and_then(|attrs| attrs.map.get("_type")).map(|attr| attr.thunk);
    kind.is_some_and(|kind| ev.force(kind).known_text().as_deref() == Some("option"))
}

fn default_of(option: &Value) -> Option<ThunkId> {
    Some(option.as_attrs()?.map.get("default")?.thunk)
}

/// `lib.mkOption`.
fn option(ev: &mut Eval, given: Option<ThunkId>, at: Location) -> Value {
    let kind = ev.done(Value::text("option"));
    let mark = Value::attrs(Attrs::of([(Name::from("_type"), kind)]));
    match given {
        Some(given) => {
            let given = ev.force(given);
            ev.update(given, &mark, at)
        }
        None => mark,
    }
}

fn enable_option(ev: &mut Eval, _: &[ThunkId], at: Location) -> Value {
    let off = ev.configured(Value::bool(false).moved(at, Move::Literal), at);
    let off = ev.done(flag(off, at));
    let given = ev.done(Value::attrs(Attrs::of([(Name::from("default"), off)])));
    option(ev, Some(given), at)
}

/// `lib.mkIf`: definitions that may not count. What they hold is visited all the same.
fn make_if(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    counted(ev, args[0], args[1], at, 0)
}

/// A definition under a condition: where the condition is not surely true, nothing in it is sure.
fn counted(ev: &mut Eval, condition: ThunkId, definition: ThunkId, at: Location, depth: usize) -> Value {
    let value = ev.force(definition);
    let (value, _) = discharged(ev, value);
    match &value.kind {
        Kind::Attrs(attrs) if attrs.special.is_none() && depth < DEEPEST => {
            let mut set = attrs.as_ref().clone();
            for attr in set.map.values_mut() {
                let definition = attr.thunk;
                attr.thunk = ev.lazy(move |ev| counted(ev, condition, definition, at, depth + 1));
            }
            Value { kind: Kind::Attrs(Rc::new(set)), trail: value.trail.clone() }
        }
        Kind::Path(_) | Kind::Str(_) if !counts(ev, condition) => {
            let condition = ev.force(condition);
            ev.hide(&condition, at);
            let doubt =
                Value::unknown(Doubt::Unmodelled, "whether a definition counts is not known", Some(at));
            nix_lang::eval::join(vec![value, doubt])
        }
        _ => value,
    }
}

/// Whether a definition surely counts.
fn counts(ev: &mut Eval, condition: ThunkId) -> bool {
    let condition = ev.force(condition);
    ev.decide(&condition, [None, None]) == Some(true)
}

/// `lib.mkMerge`: sets become one set.
fn make_merge(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    let Kind::List(list) = &value.kind else { return value };
    let items: Vec<Value> = list.items.iter().map(|item| ev.force(*item)).collect();
    let plain = |item: &Value| item.as_attrs().is_some_and(|attrs| attrs.special.is_none());
    if items.is_empty() || !items.iter().all(plain) {
        return value;
    }
    items.into_iter().reduce(|left, right| merge(ev, left, right, at)).unwrap_or(value)
}
