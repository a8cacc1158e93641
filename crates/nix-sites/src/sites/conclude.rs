//! Which file is hashed, once sources and phases are known.

use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Base, Filter, Remote, Source};
use npm_lockfile::FILE_NAMES as NAMES;
use phase_shell::{Left, LockfileEdit, LockfileState};

use super::answer::{Answer, Located};
use super::fetched::Fetched;
use super::filters::filtered_out;
use super::locate::{SearchPlace, locate_in};
use super::made::{built, edits_after_fetch, scripted};
use crate::reason::Reason;
use crate::remote::{LockfileInside, Patch, Shrinkwrap};

/// What a derivation does with a source that it patches.
pub(super) struct Patched<'a> {
    pub list: &'a [Patch],
    /// `sourceRoot`, as it is written.
    pub root: Option<String>,
    /// The folder in which patches are applied, as seen from the source.
    pub folder: String,
}

/// Which file the state leaves as the lockfile.
pub(super) fn conclude(
    ev: &mut Eval,
    tree: &Rc<Source>,
    left: &Left,
    patches: &Patched<'_>,
    place: SearchPlace<'_>,
) -> Answer {
    let SearchPlace { folder, at, .. } = place;
    let inner = if folder.is_empty() { Rc::clone(tree) } else { Rc::new(tree.inside(folder)) };
    let [shrinkwrap, lock] = &left.slots;
    // The shrinkwrap wins if there is one; an original one in a remote source shows only after the fetch.
    let (slot, edits) = match shrinkwrap {
        LockfileState::Original
            if matches!(lock, LockfileState::Original) || has_original(ev, &inner, NAMES[0]) =>
        {
            return original(ev, &inner, left, patches, place);
        }
        LockfileState::Original | LockfileState::Absent => (lock, &left.edits[1]),
        other => (other, &left.edits[0]),
    };
    match slot {
        LockfileState::Copied(source) => {
            let answer = copied(ev, source, edits, at).over(left.shadow.as_ref());
            match (shrinkwrap, &inner.base) {
                (LockfileState::Original, Base::Remote(_)) => answer.over_original(&inner, &left.edits[0]),
                _ => answer,
            }
        }
        LockfileState::Doubt(trouble) => Answer::trouble(trouble, at),
        LockfileState::Absent => removed(at),
        LockfileState::Original => original(ev, &inner, left, patches, place),
    }
}

/// No lockfile is left, so that nothing can be hashed.
fn removed(at: Location) -> Answer {
    let cure = "let prePatch and postPatch keep the lockfile, or let them copy another one in its place: \
                `cp ${./package-lock.json} package-lock.json`";
    Answer::Doubt {
        reason: Reason::LockfileEdited,
        message: "a phase removes the lockfile".to_owned(),
        at: Some(at),
        cure: Some(cure.to_owned()),
    }
}

fn has_original(ev: &Eval, tree: &Source, name: &str) -> bool {
    tree.local_path().is_some_and(|path| ev.files.is_file(&path.join(name)))
}

/// A file that a phase copied over the lockfile.
pub(super) fn copied(ev: &mut Eval, source: &Rc<Source>, edits: &[LockfileEdit], at: Location) -> Answer {
    match (&source.base, source.local_path()) {
        (_, Some(path)) => {
            if filtered_out(ev, source, &path, at) {
                return Answer::doubt(
                    Reason::FilteredOut,
                    "a filter of the source leaves the lockfile out",
                    Some(at),
                );
            }
            // What is copied over the lockfile is hashed under the lockfile's name, whatever it was called.
            if ev.files.is_file(&path) {
                Answer::Local { lockfile: path, edits: edits.to_vec(), shadow: None }
            } else {
                Answer::Missing(path)
            }
        }
        (Base::Remote(remote), None) => {
            let folder = source.folder().to_owned();
            // A source is asked for the lockfile of a folder, by its two names. One that
            // is called otherwise in there cannot be asked for.
            let shrinkwrap = match source.sub.rsplit('/').next() {
                Some(name) if name == NAMES[0] => Some(Shrinkwrap::In(folder.clone())),
                // One that lies beside it is not copied along.
                Some(name) if name == NAMES[1] => Some(Shrinkwrap::Ignored),
                _ => None,
            };
            if let Some(shrinkwrap) = shrinkwrap {
                let edits =
                    NAMES.map(|name| if source.sub.ends_with(name) { edits.to_vec() } else { Vec::new() });
                let inside = LockfileInside { folder, shrinkwrap, edits };
                return Answer::Remote { used: Box::new(Fetched::plain(remote)), inside, shadow: None };
            }
            Answer::doubt(
                Reason::Generated,
                format!("the lockfile is a file that `{}` fetches", remote.fetcher),
                Some(at),
            )
        }
        (Base::Unknown(unknown), None) => Answer::unknown(unknown, Reason::UnknownSource),
        (Base::Text(_), None) => {
            Answer::doubt(Reason::Generated, "the lockfile is text that the Nix files write", Some(at))
        }
        (Base::Farm(_), None) => {
            Answer::doubt(Reason::Generated, "the folder of links has no such lockfile", Some(at))
        }
        _ => Answer::doubt(Reason::Generated, "the lockfile is made by a build", Some(at)),
    }
}

/// The lockfile that the source itself has.
fn original(
    ev: &mut Eval,
    tree: &Rc<Source>,
    left: &Left,
    patches: &Patched<'_>,
    place: SearchPlace<'_>,
) -> Answer {
    let at = place.at;
    match &tree.base {
        Base::Local(_) => local(ev, tree, left, at),
        // Bytes that are not at hand are edited where they are read, which knows fetched sources only.
        Base::Script { .. } | Base::Changed(_) | Base::Built(_) | Base::Farm(_)
            if left.edits.iter().any(|edits| !edits.is_empty()) =>
        {
            Answer::doubt(Reason::LockfileEdited, "a phase edits a lockfile that a build makes", Some(at))
        }
        Base::Remote(remote) if edits_after_fetch(ev, remote, &tree.sub) => Answer::doubt(
            Reason::LockfileEdited,
            "`postFetch` of the fetcher may change the lockfile",
            Some(remote.call),
        ),
        Base::Remote(remote) => fetched(remote, tree, left, patches),
        Base::Nothing => Answer::doubt(Reason::UnknownSource, "no source is given", Some(at)),
        Base::Empty => Answer::doubt(
            Reason::UnknownSource,
            "the source is empty and no phase copies a lockfile into it",
            Some(at),
        ),
        Base::Script { text, env } => {
            let (text, env) = (Rc::clone(text), Rc::clone(env));
            scripted(ev, tree, &text, &env, at)
        }
        Base::Changed(args) => {
            let args = Rc::clone(args);
            // `true`: `applyPatches` and `srcOnly` make a derivation of their own, which runs whatever it is given, where
            // `buildNpmPackage` hands only some attributes on to the fetcher.
            let mut all = locate_in(ev, &args, true, place.deeper(&tree.sub));
            for located in &mut all {
                located.keep_shadow();
            }
            unanimous(ev, &all, at)
        }
        Base::Built(drv) => {
            let drv = Rc::clone(drv);
            built(ev, tree, &drv, place)
        }
        Base::Farm(_) => linked(ev, tree, at),
        Base::Text(_) | Base::Template(_) => {
            Answer::doubt(Reason::Generated, "the source is a file that the Nix files write", Some(at))
        }
        Base::Unknown(unknown) => Answer::unknown(unknown, Reason::UnknownSource),
    }
}

/// A lockfile in what is fetched.
fn fetched(remote: &Rc<Remote>, tree: &Source, left: &Left, patches: &Patched<'_>) -> Answer {
    let used = Fetched {
        root: patches.root.clone(),
        patches: patches.list.to_vec(),
        patched_in: patches.folder.clone(),
        ..Fetched::plain(remote)
    };
    let folder = tree.sub.clone();
    let shrinkwrap = match left.slots[0] {
        LockfileState::Absent => Shrinkwrap::Ignored,
        _ => Shrinkwrap::In(folder.clone()),
    };
    let inside = LockfileInside { folder, shrinkwrap, edits: left.edits.clone() };
    Answer::Remote { used: Box::new(used), inside, shadow: None }
}

/// A lockfile in a folder of links.
fn linked(ev: &mut Eval, tree: &Source, at: Location) -> Answer {
    let links = NAMES.iter().map(|name| Rc::new(tree.inside(name)));
    // A name that leads on to a folder of links is no file: the shrinkwrap comes first here, too.
    let found = links.into_iter().find(|link| !matches!(link.base, Base::Farm(_)));
    match found {
        Some(link) => copied(ev, &link, &[], at),
        None => Answer::doubt(Reason::Generated, "the folder of links has no lockfile", Some(at)),
    }
}

fn unanimous(ev: &mut Eval, all: &[Located], at: Location) -> Answer {
    let Some(first) = all.first() else {
        return Answer::doubt(Reason::UnknownSource, "no source is given", Some(at));
    };
    // A doubt agrees with nothing, itself included: alone it is the answer all the same.
    if all.len() == 1 || all.iter().all(|other| first.answer.agrees(ev, &other.answer)) {
        return first.answer.clone();
    }
    if let Some(doubt) = all.iter().find(|one| matches!(one.answer, Answer::Doubt { .. })) {
        return doubt.answer.clone();
    }
    let message = "the source depends on something that is not known, and so does its lockfile";
    Answer::doubt(Reason::SeveralLockfiles, message, Some(at))
}

fn local(ev: &mut Eval, tree: &Source, left: &Left, at: Location) -> Answer {
    let Some(folder) = tree.local_path() else {
        return Answer::doubt(Reason::UnknownSource, "the source is not known", Some(at));
    };
    // What is outside is not part of the flake, and another machine has something else there.
    if !ev.files.contains(&folder) {
        return Answer::doubt(Reason::UnknownSource, "the source is outside of the repository", Some(at));
    }
    // `src = ./package.tgz`: Nix unpacks it, and this program does not look into archives of the repository.
    if ev.files.is_file(&folder) {
        return Answer::doubt(
            Reason::InArchive,
            format!("the lockfile is inside the archive {}", ev.files.display(&folder)),
            Some(at),
        );
    }
    let mut left_out = None;
    for ((name, slot), edits) in NAMES.iter().zip(&left.slots).zip(&left.edits) {
        let path = folder.join(name);
        if !matches!(slot, LockfileState::Original) || !ev.files.is_file(&path) {
            continue;
        }
        if filtered_out(ev, tree, &path, at) {
            left_out = Some(path);
            // The file is then not in the store, and the other name counts (fixture `src-filter-drops-shrinkwrap`).
            continue;
        }
        return Answer::Local { lockfile: path, edits: edits.clone(), shadow: None };
    }
    match left_out {
        Some(path) => {
            let git = tree
                .filters
                .iter()
                .any(|filter| matches!(filter, Filter::GitIgnore(_)) && filter.keeps(&path) == Some(false));
            let which =
                if git { "`.gitignore`, by which the source is filtered," } else { "a filter of the source" };
            let message = format!("{which} leaves {} out", ev.files.display(&path));
            Answer::doubt(Reason::FilteredOut, message, Some(at))
        }
        // The name that npm writes, for that is the file to make.
        None => Answer::Missing(folder.join(NAMES[1])),
    }
}
