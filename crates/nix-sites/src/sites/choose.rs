//! Which source is unpacked, and the folder in it that `sourceRoot` names.

use std::rc::Rc;

use nix_lang::eval::{Eval, reason_of};
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Base, Source};
use nix_lang::value::{Kind, Value};

use super::answer::Answer;
use super::root::Root;
use crate::reason::Reason;

/// The tree that a derivation works in.
pub(super) struct Chosen {
    /// The source that is unpacked, moved to `sourceRoot`.
    pub tree: Rc<Source>,
    /// The source itself, if there is only one.
    pub source: Option<Rc<Source>>,
    /// `sourceRoot`, as it is written; `None` where it does not name what is unpacked.
    pub root: Option<String>,
    /// What `sourceRoot` names below the source.
    pub below: String,
}

/// The tree that is unpacked, moved to `sourceRoot`.
pub(super) fn choose(ev: &mut Eval, source: &Value, root: &Root, at: Location) -> Result<Chosen, Answer> {
    let folder = Folder::of(root, at)?;
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
                    ev.source_of(&v, at)
                })
                .collect()
        }
        _ => vec![ev.source_of(source, at)],
    };
    let tree = pick(&candidates, &folder, at)?;
    let source = if let [only] = candidates.as_slice() { Some(Rc::clone(only)) } else { None };
    let root = match &root.value.kind {
        Kind::Str(_) if !root.below_only => root.value.known_text().filter(|text| !text.is_empty()),
        _ => None,
    };
    Ok(Chosen { tree, source, below: folder.below, root: root.map(|text| text.to_string()) })
}

/// A folder of what is unpacked, in two parts.
struct Folder {
    top: Top,
    /// What is named below that one.
    below: String,
}

/// The folder that is made of a source.
enum Top {
    /// None is named.
    Unnamed,
    Named(String),
    /// The only one, whatever its name.
    Only,
}

impl Folder {
    fn of(root: &Root, at: Location) -> Result<Self, Answer> {
        let text = match &root.value.kind {
            Kind::Null => return Ok(Self { top: Top::Unnamed, below: String::new() }),
            Kind::Str(_) => root.value.known_text(),
            _ => None,
        };
        let text = text.ok_or_else(|| root_doubt(&root.value, at))?;
        let trimmed = text.trim_start_matches("./").trim_end_matches('/');
        let (top, below) = match trimmed.split_once('/') {
            _ if text.is_empty() => (Top::Unnamed, ""),
            // `setSourceRoot` with a pattern: whatever the only folder is called.
            _ if root.below_only => (Top::Only, trimmed),
            Some((first, rest)) => (Top::Named(first.to_owned()), rest),
            None => (Top::Named(trimmed.to_owned()), ""),
        };
        Ok(Self { top, below: below.to_owned() })
    }
}

fn root_doubt(root: &Value, at: Location) -> Answer {
    let unknown = reason_of(root, "`sourceRoot` is not known", at);
    Answer::doubt(
        Reason::SourceRoot,
        format!("`sourceRoot` is not known: {}", unknown.message),
        unknown.at.or(Some(at)),
    )
}

fn pick(candidates: &[Rc<Source>], folder: &Folder, at: Location) -> Result<Rc<Source>, Answer> {
    let first = match (&folder.top, candidates) {
        (Top::Unnamed, []) => return Ok(Rc::new(Source::new(Base::Nothing))),
        (Top::Unnamed, [only]) => return Ok(Rc::clone(only)),
        (Top::Only, [only]) => return Ok(Rc::new(only.inside(&folder.below))),
        (Top::Unnamed | Top::Only, _) => {
            let message = "`srcs` has several sources and no `sourceRoot` chooses one";
            return Err(Answer::doubt(Reason::SourceRoot, message, Some(at)));
        }
        (Top::Named(first), _) => first.as_str(),
    };
    if let [only] = candidates {
        // The top folder of an archive has the name that its host gave it, which shows only after the fetch.
        let unchecked = matches!(only.base, Base::Remote(_) | Base::Unknown(_) | Base::Nothing);
        if unchecked || only.folder_names().iter().any(|name| name == first) {
            return Ok(Rc::new(only.inside(&folder.below)));
        }
        let message =
            format!("the first part of `sourceRoot` is `{first}`, which is not the name of the source");
        return Err(Answer::doubt(Reason::SourceRoot, message, Some(at)));
    }
    let mut fitting =
        candidates.iter().filter(|source| source.folder_names().iter().any(|name| name == first));
    match (fitting.next(), fitting.next()) {
        (Some(source), None) => Ok(Rc::new(source.inside(&folder.below))),
        _ => Err(Answer::doubt(
            Reason::SourceRoot,
            format!("`sourceRoot` does not tell which of `srcs` is `{first}`"),
            Some(at),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use nix_lang::files::Files;
    use nix_lang::syntax::ast::{FileId, Span};
    use nix_lang::value::source::{Remote, RemoteKind};
    use nixpkgs_model::world::Nixpkgs;

    use super::*;

    /// The source that was fetched is looked at with these: a folder of any name is not one called `*`.
    #[test]
    fn a_folder_below_the_only_one_names_no_folder_of_a_fetched_file() {
        let at = Location { file: FileId(0), span: Span { start: 0, end: 0 } };
        let mut ev = Eval::new(Files::new(PathBuf::from("/nowhere")), &Nixpkgs, Rc::new(()));
        let (kind, fetcher) = (RemoteKind::FetchUrl, Rc::from("fetchurl"));
        let args = Value::new(Kind::Null);
        let remote = Remote { kind, fetcher, call: at, args, input: None, nixpkgs: false };
        let source = Source::new(Base::Remote(Rc::new(remote))).value();
        for (text, below_only, root) in [("ui", true, None), ("package/ui", false, Some("package/ui"))] {
            let named = Root { value: Value::text(text), below_only };
            let Ok(chosen) = choose(&mut ev, &source, &named, at) else { panic!("{text}") };
            assert_eq!((chosen.root.as_deref(), chosen.tree.sub.as_str()), (root, "ui"));
            assert_eq!(chosen.below, "ui");
        }
    }
}
