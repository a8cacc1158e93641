//! Where the word `npmDepsHash` stands in the text of a file, as a name and not as part of a comment or a string; and the
//! hashes that stand beside the URL of a registry's tarball.

use std::collections::HashSet;

use nix_lang::syntax::ast::{
    Ast, AttrName, Bindings, Bound, Expr, ExprId, Location, Name, Param, Span, StringPart,
};
use nixpkgs_model::hash_text::HASHES;
use npm_tarballs::tarball_url;

/// A hash attribute as the text spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occurrence {
    /// The name that is bound.
    pub at: Location,
    /// The expression that it is bound to, unless it is inherited.
    pub value: Option<ExprId>,
    /// The function whose argument it is the default of.
    pub lambda: Option<Location>,
    /// It is an argument of a call, which may be that of a wrapper around a tarball: worth looking for behind flags, but where
    /// nothing leads to it there is nothing to say of it.
    pub argument: bool,
    pub standing: Standing,
}

/// What is around a hash attribute in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// It stands in `passthru` or `meta`.
    pub annotation: bool,
    /// It is a variable.
    pub variable: bool,
    /// The set that it is an attribute of, and the next one around that.
    pub sets: Option<(Span, Span)>,
}

/// All occurrences of a file, in order.
pub(crate) fn occurrences(ast: &Ast) -> Vec<Occurrence> {
    let mut all = Vec::new();
    for (expr, span) in ast.exprs.iter().zip(&ast.spans) {
        match expr {
            Expr::Set { bindings, .. } | Expr::Let { bindings, .. } | Expr::LegacyLet(bindings) => {
                named(ast, bindings, "npmDepsHash", &mut all);
                if names_tarball(ast, bindings) {
                    for name in HASHES {
                        named(ast, bindings, name, &mut all);
                    }
                }
            }
            Expr::Lambda(lambda) => {
                if let Param::Pattern { formals, .. } = &lambda.param {
                    let defaults =
                        formals.iter().filter(|f| f.name.as_ref() == "npmDepsHash" && f.default.is_some());
                    let own = Some(location(ast, *span));
                    all.extend(defaults.map(|f| Occurrence {
                        at: location(ast, f.span),
                        value: f.default,
                        lambda: own,
                        argument: false,
                        standing: Standing::default(),
                    }));
                }
            }
            Expr::Apply(function, argument) if callee(ast, *function) == Some("fetchNpmDeps") => {
                fetcher_hash(ast, *argument, &mut all);
            }
            Expr::Apply(function, argument) => arguments(ast, *function, *argument, &mut all),
            _ => {}
        }
    }
    all.sort_by_key(|occurrence| occurrence.at);
    all.dedup();
    stand(ast, &mut all);
    all
}

/// Looks around all occurrences of a file at once: a file may hold thousands of them (`benches/make-flat.sh`).
fn stand(ast: &Ast, all: &mut [Occurrence]) {
    let (mut sets, mut annotations, mut variables) = (Vec::new(), Vec::new(), HashSet::new());
    for (expr, span) in ast.exprs.iter().zip(&ast.spans) {
        match expr {
            Expr::Set { bindings, .. } => {
                sets.push(*span);
                let notes =
                    bindings.entries.iter().filter(|b| matches!(b.name.as_ref(), "passthru" | "meta"));
                annotations.extend(notes.filter_map(|binding| match binding.bound {
                    Bound::Expr(id) => Some(ast.spans[id.0 as usize]),
                    Bound::Outer | Bound::From(_) => None,
                }));
            }
            Expr::Let { bindings, .. } | Expr::LegacyLet(bindings) => {
                variables.extend(bindings.entries.iter().map(|binding| binding.span));
            }
            _ => {}
        }
    }
    let around_set = around(sets, all);
    let around_note = around(annotations, all);
    for ((occurrence, sets), notes) in all.iter_mut().zip(around_set).zip(around_note) {
        occurrence.standing = Standing {
            annotation: notes.is_some(),
            variable: variables.contains(&occurrence.at.span),
            sets: sets.and_then(|(own, outer)| Some((own, outer?))),
        };
    }
}

/// For each occurrence (in order of place) the innermost of the spans around it, and the next one. Spans of a tree are
/// disjoint or nested, so one pass with a stack finds them all.
fn around(mut spans: Vec<Span>, all: &[Occurrence]) -> Vec<Option<(Span, Option<Span>)>> {
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut spans = spans.into_iter().peekable();
    let mut open: Vec<Span> = Vec::new();
    let mut found = Vec::with_capacity(all.len());
    for occurrence in all {
        let at = occurrence.at.span;
        while let Some(span) = spans.next_if(|span| span.start <= at.start) {
            while open.last().is_some_and(|before| before.end < span.end) {
                open.pop();
            }
            open.push(span);
        }
        while open.last().is_some_and(|span| !span.contains(at)) {
            open.pop();
        }
        let own = open.last().copied();
        found.push(own.map(|own| (own, open.len().checked_sub(2).map(|outer| open[outer]))));
    }
    found
}

fn location(ast: &Ast, span: Span) -> Location {
    Location { file: ast.file, span }
}

fn named(ast: &Ast, bindings: &Bindings, name: &str, all: &mut Vec<Occurrence>) {
    for binding in bindings.entries.iter().filter(|binding| binding.name.as_ref() == name) {
        let value = match binding.bound {
            Bound::Expr(id) => Some(id),
            Bound::Outer | Bound::From(_) => None,
        };
        let standing = Standing::default();
        let at = location(ast, binding.span);
        all.push(Occurrence { at, value, lambda: None, argument: false, standing });
    }
}

/// Hashes that a call is given together with a version, unless a fetcher is called, or what tells that it is none of a tarball.
fn arguments(ast: &Ast, function: ExprId, argument: ExprId, all: &mut Vec<Occurrence>) {
    let Expr::Set { bindings, .. } = ast.expr(argument) else { return };
    let has = |name: &str| bindings.entries.iter().any(|binding| binding.name.as_ref() == name);
    // The `hash` of `fetchFromGitHub` and its like is that of a source.
    let fetches = callee(ast, function).is_some_and(|name| name.starts_with("fetch"));
    if fetches || !has("version") || has("npmDepsHash") {
        return;
    }
    let first = all.len();
    for name in HASHES {
        named(ast, bindings, name, all);
    }
    for occurrence in &mut all[first..] {
        occurrence.argument = true;
    }
}

/// Whether a set spells the URL of a registry's tarball, or the parts of it that such URLs have in common.
fn names_tarball(ast: &Ast, bindings: &Bindings) -> bool {
    bindings.entries.iter().filter(|binding| binding.name.as_ref() == "url").any(|binding| {
        let Bound::Expr(id) = binding.bound else { return false };
        let Expr::Str(parts) = ast.expr(id) else { return false };
        // Archives of GitLab have `/-/` in their URLs, too.
        if let [StringPart::Text(whole)] = parts.as_slice() {
            return tarball_url::named_by(whole).is_some();
        }
        tarball_url::may_be_named(parts.iter().filter_map(|part| match part {
            StringPart::Text(text) => Some(text.as_ref()),
            StringPart::Expr(_) => None,
        }))
    })
}

/// Whether a file has a function that fetches a tarball of a registry, so that calls elsewhere may be given its hash.
pub(crate) fn wraps_tarball(ast: &Ast) -> bool {
    let mut sets = ast.exprs.iter().zip(&ast.spans).filter_map(|(expr, span)| match expr {
        Expr::Set { bindings, .. } if names_tarball(ast, bindings) => Some(*span),
        _ => None,
    });
    sets.any(|set| {
        let is_around = |(expr, span): (&Expr, &Span)| matches!(expr, Expr::Lambda(_)) && span.contains(set);
        ast.exprs.iter().zip(&ast.spans).any(is_around)
    })
}

/// The `hash` of a call of `fetchNpmDeps`.
fn fetcher_hash(ast: &Ast, argument: ExprId, all: &mut Vec<Occurrence>) {
    match ast.expr(argument) {
        Expr::Set { bindings, .. } => named(ast, bindings, "hash", all),
        Expr::Lambda(lambda) => fetcher_hash(ast, lambda.body, all),
        Expr::Binary(_, left, right) => {
            fetcher_hash(ast, *left, all);
            fetcher_hash(ast, *right, all);
        }
        _ => {}
    }
}

/// The last name of a callee.
pub(crate) fn callee(ast: &Ast, id: ExprId) -> Option<&str> {
    match ast.expr(id) {
        Expr::Var(name) => Some(name),
        Expr::Select { path, .. } => match path.last()? {
            AttrName::Static(name) => Some(name),
            AttrName::Dynamic(_) => None,
        },
        _ => None,
    }
}

/// Names that the file binds to functions with occurrences in them.
pub(crate) fn own_functions(ast: &Ast, all: &[Occurrence]) -> Vec<(Name, Location)> {
    let holds = |id: ExprId| {
        let inner = inside(all, ast.spans[id.0 as usize]);
        matches!(ast.expr(id), Expr::Lambda(_)) && inner.iter().any(|occurrence| !occurrence.argument)
    };
    let own = ast.bindings().filter(|(_, id)| holds(*id));
    own.map(|(binding, _)| (Name::clone(&binding.name), location(ast, binding.span))).collect()
}

/// Those occurrences of one file (in order of place) that stand inside a span.
pub(crate) fn inside(all: &[Occurrence], span: Span) -> &[Occurrence] {
    let first = all.partition_point(|occurrence| occurrence.at.span.start < span.start);
    let length = all[first..].partition_point(|occurrence| occurrence.at.span.end <= span.end);
    &all[first..first + length]
}

/// The children of a node, in order.
pub(crate) fn children(expr: &Expr) -> Vec<ExprId> {
    let parts = |parts: &[StringPart]| {
        parts
            .iter()
            .filter_map(|p| if let StringPart::Expr(id) = p { Some(*id) } else { None })
            .collect::<Vec<_>>()
    };
    let dynamic = |path: &[AttrName]| {
        path.iter()
            .filter_map(|p| if let AttrName::Dynamic(id) = p { Some(*id) } else { None })
            .collect::<Vec<_>>()
    };
    match expr {
        Expr::Str(pieces) | Expr::Path(pieces) => parts(pieces),
        Expr::Set { bindings, .. } | Expr::LegacyLet(bindings) => bound(bindings),
        Expr::Let { bindings, body } => [bound(bindings), vec![*body]].concat(),
        Expr::List(items) => items.clone(),
        Expr::Lambda(lambda) => {
            let mut ids = vec![lambda.body];
            if let Param::Pattern { formals, .. } = &lambda.param {
                ids.extend(formals.iter().filter_map(|formal| formal.default));
            }
            ids
        }
        Expr::Apply(a, b) | Expr::Binary(_, a, b) => vec![*a, *b],
        Expr::Select { base, path, default } => {
            [vec![*base], dynamic(path), default.iter().copied().collect()].concat()
        }
        Expr::HasAttr { base, path } => [vec![*base], dynamic(path)].concat(),
        Expr::If { condition, then, otherwise } => vec![*condition, *then, *otherwise],
        Expr::Assert { condition, body } => vec![*condition, *body],
        Expr::With { namespace, body } => vec![*namespace, *body],
        Expr::Not(inner) | Expr::Negate(inner) => vec![*inner],
        _ => Vec::new(),
    }
}

fn bound(bindings: &Bindings) -> Vec<ExprId> {
    let mut ids: Vec<ExprId> = bindings.sources.clone();
    for binding in &bindings.entries {
        if let Bound::Expr(id) = binding.bound {
            ids.push(id);
        }
    }
    for (name, value) in &bindings.dynamic {
        ids.extend([*name, *value]);
    }
    ids
}

#[cfg(test)]
pub(crate) mod tests {
    use std::rc::Rc;

    use nix_lang::syntax;
    use nix_lang::syntax::ast::FileId;

    use super::*;

    pub fn ast(text: &str) -> Rc<Ast> {
        syntax::parse(FileId(0), text).unwrap_or_else(|error| panic!("{text}: {}", error.message))
    }

    pub fn text_of(text: &str, span: Span) -> &str {
        &text[span.start as usize..span.end as usize]
    }

    #[test]
    fn an_occurrence_stands_in_its_own_set_and_that_one_in_the_next() {
        let text = "{ one = { x = { }; }; two = { npmDepsHash = \"\"; }; npmDepsHash = \"\"; }";
        let all = occurrences(&ast(text));
        let sets: Vec<_> = all
            .iter()
            .map(|one| one.standing.sets.map(|(own, outer)| (text_of(text, own), text_of(text, outer))))
            .collect();
        assert_eq!(
            sets,
            [Some(("{ npmDepsHash = \"\"; }", text)), None],
            "the second one has no set around its own"
        );
    }

    #[test]
    fn what_is_an_annotation_or_a_variable_is_told_by_what_is_around() {
        let text = "let npmDepsHash = \"\"; in { passthru = { npmDepsHash = \"\"; }; meta.npmDepsHash = \"\"; npmDepsHash = \"\"; }";
        let all = occurrences(&ast(text));
        let standings: Vec<_> =
            all.iter().map(|one| (one.standing.variable, one.standing.annotation)).collect();
        assert_eq!(standings, [(true, false), (false, true), (false, true), (false, false)]);
    }

    #[test]
    fn hashes_of_calls_count_where_a_version_is_given_and_nothing_is_fetched() {
        for (text, arguments) in [
            ("mk { version = \"1\"; hash = \"\"; sha256 = \"\"; }", 2),
            ("lib.mk { version = \"1\"; hash = \"\"; }", 1),
            ("mk { hash = \"\"; }", 0),
            ("fetchurl { version = \"1\"; hash = \"\"; }", 0),
            ("pkgs.fetchzip { version = \"1\"; hash = \"\"; }", 0),
        ] {
            let all = occurrences(&ast(text));
            assert_eq!(all.iter().filter(|one| one.argument).count(), arguments, "{text}");
            assert_eq!(all.len(), arguments, "{text}");
        }
        let own = occurrences(&ast("mk { version = \"1\"; hash = \"\"; npmDepsHash = \"\"; }"));
        assert_eq!(own.iter().map(|one| one.argument).collect::<Vec<_>>(), [false], "its hash is this one");
    }

    #[test]
    fn the_hash_of_the_fetcher_is_found_in_whatever_makes_its_arguments() {
        for text in [
            "fetchNpmDeps { hash = \"\"; }",
            "pkgs.fetchNpmDeps (final: { hash = \"\"; })",
            "fetchNpmDeps ({ src = ./.; } // { hash = \"\"; })",
            "fetchNpmDeps ({ hash = \"\"; } // { src = ./.; })",
        ] {
            let all = occurrences(&ast(text));
            let found: Vec<_> = all.iter().map(|one| (text_of(text, one.at.span), one.argument)).collect();
            assert_eq!(found, [("hash", false)], "{text}");
        }
    }

    #[test]
    fn a_hash_beside_the_url_of_a_registrys_tarball_is_one() {
        let tarball = "{ url = \"https://registry.example/a/-/a-1.0.0.tgz\"; hash = \"\"; }";
        assert_eq!(occurrences(&ast(tarball)).len(), 1);
        assert_eq!(occurrences(&ast(&tarball.replace(".tgz", ".zip").replace("/-/", "/"))).len(), 0);
        assert_eq!(occurrences(&ast(&tarball.replace("url", "page"))).len(), 0);
        assert!(wraps_tarball(&ast(&format!("version: {tarball}"))));
        assert!(!wraps_tarball(&ast(&format!("[ (version: 1) {tarball} ]"))));
    }

    #[test]
    fn those_inside_of_a_span_are_those_that_it_holds_whole() {
        let text = "[ { npmDepsHash = 1; } { npmDepsHash = 2; npmDepsHash2 = 3; } { npmDepsHash = 4; } ]";
        let all = occurrences(&ast(text));
        let span_of = |part: &str| {
            let start = text.find(part).expect("it is there");
            let place = |at: usize| u32::try_from(at).expect("short");
            Span { start: place(start), end: place(start + part.len()) }
        };
        let within =
            |part: &str| inside(&all, span_of(part)).iter().map(|one| one.at.span.start).collect::<Vec<_>>();
        let starts: Vec<u32> = all.iter().map(|one| one.at.span.start).collect();
        assert_eq!(starts.len(), 3);
        assert_eq!(within("{ npmDepsHash = 2; npmDepsHash2 = 3; }"), starts[1..2]);
        assert_eq!(within(text), starts);
        assert_eq!(within("npmDepsHash = 4"), starts[2..], "it may begin where the span does");
        assert!(within("mDepsHash = 4").is_empty());
    }

    #[test]
    fn functions_with_a_hash_of_their_own_are_known_by_name() {
        let text = "{ mk = { npmDepsHash ? \"\" }: 1; other = x: x; held = mk { version = \"1\"; hash = \"\"; }; plain = { npmDepsHash = 1; }; }";
        let tree = ast(text);
        let own = own_functions(&tree, &occurrences(&tree));
        assert_eq!(own.iter().map(|(name, _)| name.as_ref()).collect::<Vec<_>>(), ["mk"]);
    }

    #[test]
    fn what_stands_in_an_expression_is_all_of_it() {
        let inside = |text: &str| {
            let tree = ast(text);
            let parts = children(tree.expr(tree.root)).into_iter();
            parts.map(|id| text_of(text, tree.spans[id.0 as usize]).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(inside("[ a b ]"), ["a", "b"]);
        assert_eq!(inside("assert a; b"), ["a", "b"]);
        assert_eq!(inside("with a; b"), ["a", "b"]);
        assert_eq!(inside("if a then b else c"), ["a", "b", "c"]);
        assert_eq!(inside("a.${b}.c or d"), ["a", "b", "d"]);
        assert_eq!(inside("a ? ${b}"), ["a", "b"]);
        assert_eq!(inside("!a"), ["a"]);
        assert_eq!(inside("\"${a}-${b}\""), ["a", "b"]);
    }
}
