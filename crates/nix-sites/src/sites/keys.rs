//! What people call the token that decides something: `features.chat`, not `false`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::occurrences::{callee, children};
use nix_lang::eval::Eval;
use nix_lang::syntax::ast::{
    Ast, AttrName, Bindings, Bound, Expr, ExprId, FileId, Location, Param, Span, StringPart,
};
use nix_lang::syntax::json::{self, Json, Spanned};
use nix_lang::syntax::toml;

/// What a token is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The names that lead to it, as one writes them.
    pub path: String,
    /// It is one of the items of what these lead to.
    pub item: bool,
}

/// The keys of files that were asked about.
#[derive(Default)]
pub(super) struct Keys(RefCell<HashMap<FileId, Rc<HashMap<Span, Key>>>>);

impl Keys {
    /// The key of a token, where it has one.
    pub fn of(&self, ev: &Eval, leaf: Location) -> Option<Key> {
        let known = self.0.borrow().get(&leaf.file).cloned();
        let keys = known.unwrap_or_else(|| {
            let keys = Rc::new(read(ev, leaf.file));
            self.0.borrow_mut().insert(leaf.file, Rc::clone(&keys));
            keys
        });
        keys.get(&leaf.span).cloned()
    }
}

fn read(ev: &Eval, file: FileId) -> HashMap<Span, Key> {
    let mut all = HashMap::new();
    if let Some(ast) = ev.parsed(file) {
        Walk { ast: &ast, all: &mut all }.expression(ast.root, "", false);
        return all;
    }
    let source = ev.files.get(file);
    let is_toml = source.path.extension().is_some_and(|extension| extension == "toml");
    let document = if is_toml { toml::parse(&source.text) } else { json::parse(&source.text) };
    if let Some(document) = document {
        of_data(&document, "", false, &mut all);
    }
    all
}

fn of_data(document: &Spanned, path: &str, item: bool, all: &mut HashMap<Span, Key>) {
    if !path.is_empty() {
        // The top of a document has no name, and is never a token.
        all.insert(document.span, Key { path: path.to_owned(), item });
    }
    match &document.value {
        Json::List(items) => {
            for item in items {
                of_data(item, path, true, all);
            }
        }
        Json::Object(entries) => {
            for (name, value) in entries {
                of_data(value, &joined(path, name), false, all);
            }
        }
        _ => {}
    }
}

fn joined(path: &str, name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || "_-'".contains(c)) && !name.is_empty();
    let name = if plain { name.to_owned() } else { format!("\"{name}\"") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

struct Walk<'a> {
    ast: &'a Ast,
    all: &'a mut HashMap<Span, Key>,
}

impl Walk<'_> {
    fn note(&mut self, id: ExprId, path: &str, item: bool) {
        if !path.is_empty() {
            let key = Key { path: path.to_owned(), item };
            self.all.entry(self.ast.spans[id.0 as usize]).or_insert(key);
        }
    }

    /// An expression to which names lead; what they do not lead to begins a new one.
    fn expression(&mut self, id: ExprId, path: &str, item: bool) {
        self.note(id, path, item);
        let ast = self.ast;
        match ast.expr(id) {
            Expr::Set { bindings, .. } => self.bindings(bindings, path),
            Expr::Let { bindings, body } => {
                self.bindings(bindings, "");
                self.expression(*body, path, item);
            }
            Expr::LegacyLet(bindings) => self.bindings(bindings, ""),
            Expr::List(items) => items.iter().for_each(|item| self.expression(*item, path, true)),
            Expr::Lambda(lambda) => {
                if let Param::Pattern { formals, .. } = &lambda.param {
                    let defaults = formals.iter().filter_map(|formal| Some((&formal.name, formal.default?)));
                    for (name, default) in defaults {
                        self.expression(default, name, false);
                    }
                }
                self.expression(lambda.body, "", false);
            }
            // `enable = mkOption { default = false; }` is about `enable`.
            Expr::Apply(function, argument) => {
                if let (Expr::Set { bindings, .. }, false) = (ast.expr(*argument), path.is_empty()) {
                    for binding in bindings.entries.iter().filter(|one| one.name.as_ref() == "default") {
                        if let Bound::Expr(default) = binding.bound {
                            self.note(default, path, item);
                        }
                    }
                }
                if let Some((default, spelt)) = self.by_path(*function, *argument) {
                    self.note(default, &spelt, false);
                }
                self.expression(*function, "", false);
                self.expression(*argument, "", false);
            }
            Expr::Select { base, path: selected, default } => {
                if let Some(default) = default {
                    let spelt = self.spelt(*base, selected);
                    self.expression(*default, spelt.as_deref().unwrap_or_default(), false);
                }
                self.expression(*base, "", false);
            }
            other => children(other).into_iter().for_each(|child| self.expression(child, "", false)),
        }
    }

    fn bindings(&mut self, bindings: &Bindings, path: &str) {
        for binding in &bindings.entries {
            if let Bound::Expr(value) = binding.bound {
                self.expression(value, &joined(path, &binding.name), false);
            }
        }
        for source in &bindings.sources {
            self.expression(*source, "", false);
        }
        for (name, value) in &bindings.dynamic {
            self.expression(*name, "", false);
            self.expression(*value, "", false);
        }
    }

    /// The default of `attrByPath [ "path" ] default base`, and the path as one would write it.
    fn by_path(&self, function: ExprId, base: ExprId) -> Option<(ExprId, String)> {
        let Expr::Apply(inner, default) = self.ast.expr(function) else { return None };
        let Expr::Apply(name, path) = self.ast.expr(*inner) else { return None };
        let (Some("attrByPath"), Expr::List(items)) = (callee(self.ast, *name), self.ast.expr(*path)) else {
            return None;
        };
        let name = |item: &ExprId| match self.ast.expr(*item) {
            Expr::Str(parts) => match parts.as_slice() {
                [StringPart::Text(text)] => Some(AttrName::Static(text.as_ref().into())),
                _ => None,
            },
            _ => None,
        };
        let path: Vec<AttrName> = items.iter().map(name).collect::<Option<_>>()?;
        Some((*default, self.spelt(base, &path)?))
    }

    /// `base.path` as it is written, where it is plain.
    fn spelt(&self, base: ExprId, path: &[AttrName]) -> Option<String> {
        let Expr::Var(name) = self.ast.expr(base) else { return None };
        path.iter().try_fold(name.to_string(), |before, name| match name {
            AttrName::Static(name) => Some(joined(&before, name)),
            AttrName::Dynamic(_) => None,
        })
    }
}
