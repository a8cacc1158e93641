//! Hashes that are surely none of npm's, so that nothing has to be looked at for them.

use std::collections::HashSet;
use std::rc::Rc;

use nix_lang::syntax::ast::{Ast, Binding, Bindings, Bound, Expr, ExprId, Span, StringPart};
use nix_lang::syntax::json::{Json, Spanned};
use npm_tarballs::tarball_url;

use crate::occurrences::callee;

/// Names of hashes that no npm derivation has.
const OTHER_HASHES: [&str; 9] = [
    "vendorHash",
    "vendorSha256",
    "cargoHash",
    "cargoSha256",
    "pnpmDepsHash",
    "yarnHash",
    "mvnHash",
    "composerVendorHash",
    "narHash",
];

/// Whether a hash under this name is none of npm's.
pub(crate) fn is_other(name: &str) -> bool {
    OTHER_HASHES.contains(&name)
}

/// The names that hashes of what is fetched have, whatever it is.
const FETCHED_HASHES: [&str; 3] = ["hash", "sha256", "sha512"];

/// Whether a hash beside this URL, whose pieces are texts but for what is put in, is that of something else than a tarball of a
/// registry.
fn is_other_url<'a>(mut pieces: impl DoubleEndedIterator<Item = Option<&'a str>> + Clone) -> bool {
    let is_whole = pieces.clone().all(|piece| piece.is_some());
    let known = pieces.clone().flatten();
    if is_whole {
        return tarball_url::named_by(&known.collect::<String>()).is_none();
    }
    let begins = pieces.next().flatten().is_some_and(|first| first.starts_with("http"));
    let ends = pieces.next_back().flatten().is_some_and(|last| last.contains('.') && !last.contains(".tgz"));
    begins && ends && !known.clone().any(|piece| piece.contains("/-/"))
}

/// Whether the hash in an object of a data file is that of something else: what it says of where that comes from.
pub(crate) fn is_of_something_else(entries: &[(String, Rc<Spanned>)], name: &str) -> bool {
    let text = |wanted: &str| {
        entries.iter().find_map(|(name, value)| match &value.value {
            Json::Text(text) if name == wanted => Some(text.as_str()),
            _ => None,
        })
    };
    let is_other_source = text("url").is_some_and(|url| tarball_url::named_by(url).is_none())
        || text("owner").is_some() && text("repo").is_some();
    is_other(name) || FETCHED_HASHES.contains(&name) && is_other_source
}

/// Hashes that are surely those of something else: of what a fetcher is given in its own call, or of what stands beside a URL that
/// is no registry's tarball, and what other builders call by names of their own. A repository holds many of these, and none is
/// worth a look at other configurations: a collection of packages, filtered by whether they are free, cost 64 of these.
pub(crate) fn other_hashes(ast: &Ast) -> HashSet<Span> {
    let mut all = HashSet::new();
    let mut fetched = HashSet::new();
    for expr in &ast.exprs {
        match expr {
            Expr::Set { bindings, .. } | Expr::Let { bindings, .. } => {
                add_bound(ast, bindings, &is_other, &mut all);
                if is_another_source(ast, bindings) {
                    add_bound(ast, bindings, &|name| FETCHED_HASHES.contains(&name), &mut all);
                }
            }
            Expr::Apply(function, argument) => {
                let is_fetcher = callee(ast, *function)
                    .is_some_and(|name| name.starts_with("fetch") && name != "fetchNpmDeps");
                if let (true, Expr::Set { bindings, .. }) = (is_fetcher, ast.expr(*argument)) {
                    add_bound(ast, bindings, &|name| FETCHED_HASHES.contains(&name), &mut all);
                    fetched.insert(*argument);
                    fetched.extend(bindings.entries.iter().filter_map(|binding| match binding.bound {
                        Bound::Expr(id) => Some(id),
                        Bound::Outer | Bound::From(_) => None,
                    }));
                }
            }
            _ => {}
        }
    }
    add_named(ast, &fetched, &mut all);
    all
}

fn add_bound(ast: &Ast, bindings: &Bindings, is_meant: &dyn Fn(&str) -> bool, all: &mut HashSet<Span>) {
    for binding in bindings.entries.iter().filter(|binding| is_meant(&binding.name)) {
        if let Bound::Expr(id) = binding.bound {
            all.insert(ast.spans[id.0 as usize]);
        }
    }
}

/// Whether a set says of what it has the hash, and that is no tarball of a registry.
fn is_another_source(ast: &Ast, bindings: &Bindings) -> bool {
    let bound = |wanted: &str| bindings.entries.iter().find(|binding| binding.name.as_ref() == wanted);
    if bound("owner").is_some() && bound("repo").is_some() {
        return true;
    }
    let Some(Bound::Expr(url)) = bound("url").map(|binding| binding.bound.clone()) else { return false };
    let Expr::Str(parts) = ast.expr(url) else { return false };
    is_other_url(parts.iter().map(|part| match part {
        StringPart::Text(text) => Some(text.as_ref()),
        StringPart::Expr(_) => None,
    }))
}

/// The hashes that a `let` names, and that nothing reads but these sets, which fetchers are given, and what is bound in them.
fn add_named(ast: &Ast, fetched: &HashSet<ExprId>, all: &mut HashSet<Span>) {
    let ids = (0..).map(ExprId);
    let others: Vec<&Expr> =
        ast.exprs.iter().zip(ids).filter(|(_, id)| !fetched.contains(id)).map(|(expr, _)| expr).collect();
    let mut values = Vec::new();
    for name in FETCHED_HASHES {
        let inherits =
            |binding: &Binding| binding.name.as_ref() == name && matches!(binding.bound, Bound::Outer);
        let is_read = others.iter().any(|expr| match expr {
            Expr::Var(own) => own.as_ref() == name,
            Expr::Set { bindings, .. } | Expr::Let { bindings, .. } => bindings.entries.iter().any(inherits),
            _ => false,
        });
        let named = ast.exprs.iter().filter_map(|expr| match expr {
            Expr::Let { bindings, .. } if !is_read => Some(&bindings.entries),
            _ => None,
        });
        values.extend(named.flatten().filter(|binding| binding.name.as_ref() == name).filter_map(
            |binding| match binding.bound {
                Bound::Expr(value) => Some(ast.spans[value.0 as usize]),
                Bound::Outer | Bound::From(_) => None,
            },
        ));
    }
    // One look at each string, however many a file has: a file of thousands of packages names as many.
    values.sort_unstable_by_key(|span| span.start);
    let is_in_value = |span: &Span| {
        let next = values.partition_point(|value| value.start <= span.start);
        next > 0 && values[next - 1].contains(*span)
    };
    let strings = ast.exprs.iter().zip(&ast.spans).filter(|(expr, _)| matches!(expr, Expr::Str(_)));
    all.extend(strings.map(|(_, span)| *span).filter(is_in_value));
}

#[cfg(test)]
mod tests {
    use nix_lang::syntax::json;

    use super::*;
    use crate::occurrences::tests::{ast, text_of};

    #[test]
    fn what_other_builders_and_fetchers_hash_is_no_npm_hash() {
        let text = "{ cargoHash = \"a\"; src = fetchurl { hash = \"b\"; url = \"c\"; }; deps = fetchNpmDeps { hash = \"d\"; }; }";
        let tree = ast(text);
        let mut found: Vec<&str> = other_hashes(&tree).into_iter().map(|span| text_of(text, span)).collect();
        found.sort_unstable();
        assert_eq!(found, ["\"a\"", "\"b\""]);
    }

    #[test]
    fn what_stands_beside_another_url_is_no_npm_hash() {
        let others = |text: &str| {
            let tree = ast(text);
            let mut found: Vec<String> =
                other_hashes(&tree).into_iter().map(|span| text_of(text, span).replace('"', "")).collect();
            found.sort_unstable();
            found.concat()
        };
        for text in [
            "addon { url = \"https://h/x.xpi\"; sha256 = \"a\"; }",
            "{ v }: { url = \"https://h/${v}/x-${v}.dmg\"; hash = \"a\"; }",
            "{ owner = \"o\"; repo = \"r\"; hash = \"a\"; }",
            "let sha256 = \"a\"; in fetchurl { url = u; inherit sha256; }",
            "let hash = if c then \"a\" else \"b\"; in x { src = fetchzip { inherit hash; url = u; }; }",
        ] {
            assert!(matches!(others(text).as_str(), "a" | "ab"), "{text}: {}", others(text));
        }
        for text in [
            "cli { url = \"https://h/x/-/x-1.tgz\"; sha256 = \"a\"; }",
            "{ v }: cli { url = \"https://h/x/-/x-${v}.tgz\"; hash = \"a\"; }",
            "{ path }: cli { url = \"https://h/${path}\"; hash = \"a\"; }",
            "{ base }: cli { url = \"${base}.zip\"; hash = \"a\"; }",
            "let hash = \"a\"; in [ (fetchurl { inherit hash; url = u; }) (cli { inherit hash; }) ]",
            "let hash = \"a\"; in [ (fetchurl { inherit hash; url = u; }) (cli { depsHash = hash; }) ]",
        ] {
            assert_eq!(others(text), "", "{text}");
        }
    }

    #[test]
    fn an_object_says_by_its_own_url_what_its_hash_is_of() {
        let is_other = |text: &str| {
            let Some(Spanned { value: Json::Object(entries), .. }) = json::parse(text) else {
                panic!("{text}")
            };
            is_of_something_else(&entries, "hash")
        };
        let archive = "\"url\": \"https://h/x.zip\"";
        let tarball = "\"url\": \"https://registry.npmjs.org/x/-/x-1.0.0.tgz\"";
        assert!(is_other(&format!("{{\"hash\": \"a\", {archive}}}")));
        assert!(is_other("{\"hash\": \"a\", \"owner\": \"o\", \"repo\": \"r\"}"));
        assert!(!is_other(&format!("{{\"hash\": \"a\", {tarball}}}")));
        assert!(!is_other("{\"hash\": \"a\", \"owner\": \"o\"}"));
        assert!(!is_other("{\"hash\": \"a\"}"), "nothing is said");
    }
}
