//! The answer for one combination of alternatives.

use std::path::PathBuf;
use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::formula::Under;
use nix_lang::value::source::{Base, Remote, Source};
use nix_lang::value::{Doubt, Trail, Unknown};
use npm_lockfile::FILE_NAMES;
use phase_shell::{Cause, LockfileEdit, Shadow, Trouble};

use super::fetched::Fetched;
use crate::reason::Reason;
use crate::remote::{LockfileInside, Shrinkwrap};

/// The answer for one combination of alternatives.
#[derive(Clone)]
pub(super) enum Answer {
    /// A file of the repository.
    Local {
        lockfile: PathBuf,
        /// What phases replace in it.
        edits: Vec<LockfileEdit>,
        /// The shrinkwrap of what it was laid over, which wins if there is one.
        shadow: Option<Shadow>,
    },
    Missing(PathBuf),
    Remote {
        used: Box<Fetched>,
        inside: LockfileInside,
        /// The shrinkwrap of something else that it was laid over.
        shadow: Option<Shadow>,
    },
    Doubt {
        reason: Reason,
        message: String,
        at: Option<Location>,
        cure: Option<String>,
    },
}

/// An answer and what it rests on.
#[derive(Clone)]
pub(super) struct Located {
    pub answer: Answer,
    /// The chain of the source and the notes of its filters.
    pub trail: Trail,
    pub notes: Vec<(Location, Rc<str>)>,
    /// When this combination is the one that counts.
    pub under: Under,
    /// The remote source, also where the lockfile is vendored.
    pub remote: Option<Fetched>,
    /// The source's folder, if it is one of the repository.
    pub local: Option<PathBuf>,
    /// The lockfiles of the repository that this combination could mean.
    pub candidates: Vec<PathBuf>,
}

impl Located {
    /// An answer that rests on nothing else.
    pub fn only(answer: Answer) -> Self {
        let (notes, candidates) = (Vec::new(), Vec::new());
        Self { answer, trail: None, notes, under: None, remote: None, candidates, local: None }
    }

    /// Lets the answer say by itself that a shrinkwrap of the source may win.
    pub fn keep_shadow(&mut self) {
        let Some(used) = &self.remote else { return };
        let source = Source::new(Base::Remote(Rc::clone(&used.remote)));
        let shadow = match &used.shrinkwrap {
            Shrinkwrap::Ignored => return,
            Shrinkwrap::In(folder) => Shadow::Source(Rc::new(source.inside(folder).inside(FILE_NAMES[0]))),
            Shrinkwrap::Anywhere => Shadow::Archive(Some(Rc::new(source))),
        };
        self.answer = self.answer.clone().over(Some(&shadow));
    }
}

impl Answer {
    pub fn doubt(reason: Reason, message: impl Into<String>, at: Option<Location>) -> Self {
        Self::Doubt { reason, message: message.into(), at, cure: None }
    }

    /// A phase leaves something that is not known.
    pub fn trouble(trouble: &Trouble, at: Location) -> Self {
        let cure = Some(trouble.cure());
        Self::Doubt {
            reason: match trouble.cause {
                Cause::Patched(_) => Reason::Patched,
                _ => Reason::LockfileEdited,
            },
            message: trouble.to_string(),
            at: Some(at),
            cure,
        }
    }

    /// The lockfile of the repository, if it is one.
    pub fn local(&self) -> Option<PathBuf> {
        match self {
            Self::Local { lockfile, .. } => Some(lockfile.clone()),
            _ => None,
        }
    }

    /// The same, laid over something that may have a shrinkwrap of its own.
    pub fn over(mut self, shrinkwrap: Option<&Shadow>) -> Self {
        let fetched = match shrinkwrap {
            Some(Shadow::Source(source)) => match &source.base {
                Base::Remote(remote) => Some((remote, source)),
                // What is not fetched has none that could be looked at.
                _ => return self,
            },
            _ => None,
        };
        match (&mut self, fetched) {
            // Copied within one source, from one folder to another.
            (Self::Remote { used, inside, .. }, Some((remote, source)))
                if is_one_call(remote, &used.remote) =>
            {
                let folder = source.folder();
                match &inside.shrinkwrap {
                    Shrinkwrap::In(own) if own != folder => {
                        let message = "one npm-shrinkwrap.json of the source is copied to where it may have another one";
                        return Self::doubt(Reason::Generated, message, Some(used.remote.call));
                    }
                    _ => inside.shrinkwrap = Shrinkwrap::In(folder.to_owned()),
                }
            }
            (Self::Local { shadow, .. } | Self::Remote { shadow, .. }, _) => *shadow = shrinkwrap.cloned(),
            (Self::Missing(_) | Self::Doubt { .. }, _) => {}
        }
        self
    }

    /// A lockfile of a fetched source, copied to this folder of one, where nothing became of its shrinkwrap but what is replaced
    /// in it.
    pub fn over_original(self, folder: &Source, edits: &[LockfileEdit]) -> Self {
        // That of a lockfile of the repository is asked of the derivation's source.
        let Self::Remote { .. } = self else { return self };
        let shadow = Shadow::Source(Rc::new(folder.inside(FILE_NAMES[0])));
        let mut answer = self.over(Some(&shadow));
        if let Self::Remote { inside, shadow: None, .. } = &mut answer {
            inside.edits[0] = edits.to_vec();
        }
        answer
    }

    /// The shrinkwrap of what it was laid over.
    pub fn shadow(&self) -> Option<&Shadow> {
        match self {
            Self::Local { shadow, .. } | Self::Remote { shadow, .. } => shadow.as_ref(),
            Self::Missing(_) | Self::Doubt { .. } => None,
        }
    }

    /// Whether it says that other bytes are hashed than those of a file of the repository: no comment can name them.
    pub fn is_edited(&self) -> bool {
        matches!(
            self,
            Self::Doubt { reason: Reason::LockfileEdited | Reason::Patched | Reason::Generated, .. }
        )
    }

    pub fn unknown(unknown: &Unknown, reason: Reason) -> Self {
        let reason = match unknown.doubt {
            Doubt::Argument => Reason::UnknownArguments,
            _ => reason,
        };
        let what = if reason == Reason::UnknownSource { "`src` is not known: " } else { "" };
        // Nix fails there as well, as at the call of a wrapper without one of its arguments (fixture `wrapper-call-with-typo`).
        let cure = (unknown.doubt == Doubt::Error)
            .then(|| "fix what is named here: Nix itself stops there with an error".to_owned());
        Self::Doubt { reason, message: format!("{what}{}", unknown.message), at: unknown.at, cure }
    }

    /// Whether two answers mean the same lockfile.
    ///
    /// One call in the text can fetch several sources: that of a helper which is given the revision fetches whichever it
    /// is asked for (fixture `condition-chooses-revision`).
    pub fn agrees(&self, ev: &mut Eval, other: &Answer) -> bool {
        match (self, other) {
            (
                Self::Local { lockfile: a, edits: x, shadow: over },
                Self::Local { lockfile: b, edits: y, shadow: other },
            ) => a == b && x == y && are_same(ev, over.as_ref(), other.as_ref()),
            (Self::Missing(a), Self::Missing(b)) => a == b,
            (
                Self::Remote { used: a, inside: x, shadow: over },
                Self::Remote { used: b, inside: y, shadow: other },
            ) => x == y && a.is_same(ev, b) && are_same(ev, over.as_ref(), other.as_ref()),
            _ => false,
        }
    }
}

/// Whether one call in the text, or one input, fetches both.
pub(super) fn is_one_call(a: &Remote, b: &Remote) -> bool {
    a.call == b.call && a.input == b.input
}

/// Whether two shrinkwraps that may be there are one.
fn are_same(ev: &mut Eval, a: Option<&Shadow>, b: Option<&Shadow>) -> bool {
    match (a, b) {
        (None, None) | (Some(Shadow::Archive(None)), Some(Shadow::Archive(None))) => true,
        (Some(Shadow::Source(a)), Some(Shadow::Source(b)))
        | (Some(Shadow::Archive(Some(a))), Some(Shadow::Archive(Some(b)))) => {
            let is_same = match (&a.base, &b.base) {
                (Base::Remote(a), Base::Remote(b)) => Fetched::plain(a).is_same(ev, &Fetched::plain(b)),
                _ => false,
            };
            is_same && a.sub == b.sub
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use nix_lang::syntax::ast::{FileId, Span};
    use nix_lang::value::source::RemoteKind;
    use nix_lang::value::{Kind, Value};

    use super::*;

    fn remote(start: u32, input: Option<&str>) -> Rc<Remote> {
        let call = Location { file: FileId(0), span: Span { start, end: start + 1 } };
        let input = input.map(|name| (name.to_owned(), "{}".to_owned()));
        let (kind, args) = (RemoteKind::FetchGit, Value::new(Kind::Null));
        Rc::new(Remote { kind, fetcher: Rc::from("fetchgit"), call, args, input, nixpkgs: false })
    }

    #[test]
    fn one_call_fetches_both_where_place_and_input_are_the_same() {
        assert!(is_one_call(&remote(1, Some("web")), &remote(1, Some("web"))));
        assert!(!is_one_call(&remote(1, None), &remote(2, None)));
        assert!(!is_one_call(&remote(1, Some("web")), &remote(1, Some("cli"))));
    }

    /// A lockfile that was copied to a folder of a source, and whose shrinkwrap counts there.
    fn copied(from: &Rc<Remote>, to: &Rc<Remote>) -> (Shrinkwrap, bool) {
        let used = Box::new(Fetched::plain(from));
        let answer = Answer::Remote { used, inside: LockfileInside::default(), shadow: None };
        let shadow = Shadow::Source(Rc::new(
            Source::new(Base::Remote(Rc::clone(to))).inside("ui").inside(FILE_NAMES[0]),
        ));
        let Answer::Remote { inside, shadow, .. } = answer.over(Some(&shadow)) else {
            panic!("it stays remote")
        };
        (inside.shrinkwrap, shadow.is_some())
    }

    #[test]
    fn a_shrinkwrap_is_looked_for_in_the_source_that_the_lockfile_is_copied_into() {
        let (one, other) = (remote(1, None), remote(2, None));
        assert_eq!(copied(&one, &one), (Shrinkwrap::In("ui".to_owned()), false));
        assert_eq!(
            copied(&one, &other),
            (Shrinkwrap::Ignored, true),
            "that of another source is none of its own"
        );
    }
}
