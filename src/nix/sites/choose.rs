//! Which source is unpacked, and the folder in it that `sourceRoot` names.

use std::rc::Rc;

use super::locate::Answer;
use super::root::ANY;
use crate::nix::eval::{Eval, reason_of};
use crate::nix::site::Reason;
use crate::nix::source::{self, Base, Source};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Kind, Value};

/// The tree that a derivation works in.
pub(super) struct Chosen {
    /// The source that is unpacked, moved to `sourceRoot`.
    pub tree: Rc<Source>,
    /// The source itself, if there is only one.
    pub source: Option<Rc<Source>>,
    /// `sourceRoot`, as it is written.
    pub root: Option<String>,
    /// What `sourceRoot` names below the source.
    pub below: String,
}

/// The tree that is unpacked, moved to `sourceRoot`.
pub(super) fn choose(ev: &mut Eval, source: &Value, root: &Value, at: Location) -> Result<Chosen, Answer> {
    let root_text = match &root.kind {
        Kind::Null => None,
        Kind::Str(_) => match root.known_text() {
            Some(text) => Some(text.to_string()).filter(|text| !text.is_empty()),
            None => return Err(root_doubt(root, at)),
        },
        _ => return Err(root_doubt(root, at)),
    };
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
                    source::of_value(ev, &v, at)
                })
                .collect()
        }
        _ => vec![source::of_value(ev, source, at)],
    };
    let tree = pick(&candidates, root_text.as_deref(), at)?;
    let source = if let [only] = candidates.as_slice() { Some(Rc::clone(only)) } else { None };
    let below =
        root_text.as_deref().map(trimmed).and_then(|root| root.split_once('/')).map_or("", |(_, rest)| rest);
    Ok(Chosen { tree, source, below: below.to_owned(), root: root_text })
}

pub(super) fn root_doubt(root: &Value, at: Location) -> Answer {
    let unknown = reason_of(root, "`sourceRoot` is not known", at);
    Answer::doubt(
        Reason::SourceRoot,
        format!("`sourceRoot` is not known: {}", unknown.message),
        unknown.at.or(Some(at)),
    )
}

fn trimmed(root: &str) -> &str {
    root.trim_start_matches("./").trim_end_matches('/')
}

pub(super) fn pick(
    candidates: &[Rc<Source>],
    root: Option<&str>,
    at: Location,
) -> Result<Rc<Source>, Answer> {
    let Some(root) = root else {
        return match candidates {
            [only] => Ok(Rc::clone(only)),
            [] => Ok(Rc::new(Source::new(Base::Nothing))),
            _ => Err(Answer::doubt(
                Reason::SourceRoot,
                "`srcs` has several sources and no `sourceRoot` chooses one",
                Some(at),
            )),
        };
    };
    let trimmed = trimmed(root);
    let (first, rest) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    if let [only] = candidates {
        let unchecked =
            first == ANY || matches!(only.base, Base::Remote(_) | Base::Unknown(_) | Base::Nothing);
        if unchecked || only.folder_names().iter().any(|name| name == first) {
            return Ok(Rc::new(only.inside(rest)));
        }
        let message =
            format!("the first part of `sourceRoot` is `{first}`, which is not the name of the source");
        return Err(Answer::doubt(Reason::SourceRoot, message, Some(at)));
    }
    let mut fitting =
        candidates.iter().filter(|source| source.folder_names().iter().any(|name| name == first));
    match (fitting.next(), fitting.next()) {
        (Some(source), None) => Ok(Rc::new(source.inside(rest))),
        _ => Err(Answer::doubt(
            Reason::SourceRoot,
            format!("`sourceRoot` does not tell which of `srcs` is `{first}`"),
            Some(at),
        )),
    }
}
