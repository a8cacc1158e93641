//! Whether the filters of a source leave the lockfile out.

use std::rc::Rc;

use nix_lang::eval::{Eval, lambda};
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Filter, Source};
use nix_lang::value::{Doubt, ThunkId, Value};

/// Whether a filter of the source surely leaves a file out.
pub(super) fn filtered_out(ev: &mut Eval, source: &Source, path: &std::path::Path, at: Location) -> bool {
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
pub(super) fn accepts(
    ev: &mut Eval,
    function: ThunkId,
    path: &std::path::Path,
    at: Location,
) -> Option<bool> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let ending = name.clone();
    let has_ext = lambda(move |ev, extension, _| match ev.force(extension).known_text() {
        Some(extension) => Value::bool(ending.ends_with(&format!(".{extension}"))),
        None => Value::unknown(Doubt::Unmodelled, "an extension is not known", None),
    });
    let entries = [("name", Value::text(&name)), ("type", Value::text("regular")), ("hasExt", has_ext)];
    let file = nix_lang::value::Attrs::of(entries.map(|(name, value)| (Rc::from(name), ev.done(value))));
    let function = ev.force(function);
    let verdict = ev.apply_value(&function, Value::attrs(file), at);
    nix_lang::value::truth(&verdict)
}

/// Whether a predicate refuses a file or one of the folders above it.
pub(super) fn refuses(
    ev: &mut Eval,
    function: ThunkId,
    root: &std::path::Path,
    path: &std::path::Path,
    at: Location,
) -> bool {
    let Ok(below) = path.strip_prefix(root) else { return false };
    // Nix asks of the folders first, and of nothing in one that is refused (fixture `src-filter-drops-parent`).
    let mut current = root.to_path_buf();
    let parts: Vec<_> = below.components().collect();
    for (i, part) in parts.iter().enumerate() {
        current.push(part);
        let kind = if i + 1 == parts.len() { "regular" } else { "directory" };
        let function = ev.force(function);
        let half = ev.apply_value(&function, Value::text(&current.to_string_lossy()), at);
        let verdict = ev.apply_value(&half, Value::text(kind), at);
        if nix_lang::value::truth(&verdict) == Some(false) {
            return true;
        }
    }
    false
}
