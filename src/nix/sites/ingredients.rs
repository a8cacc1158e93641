//! What a source is made of that a script, a build or patches make.
//!
//! Where that is one tarball of a registry, and a lockfile of the repository beside it, the package's version decides both:
//! they are one site, and the lockfile follows the tarball's `package.json`. Anything else of the repository in it may be a
//! manifest of its own, so that nothing is said then.

use std::path::Path;
use std::rc::Rc;

use super::tarballs;
use crate::nix::eval::Eval;
use crate::nix::syntax::ast::Location;
use crate::nix::value::source::{Base, Remote, Source};
use crate::nix::value::{Kind, Piece, Text, Value};

/// Derivations within derivations that are looked into.
const DEPTH: u32 = 4;

/// The tarball of a registry that a made source has its package from, if it has nothing else but this lockfile.
pub(super) fn tarball(ev: &mut Eval, tree: &Source, lockfile: &Path, at: Location) -> Option<Rc<Remote>> {
    if !matches!(tree.base, Base::Script { .. } | Base::Changed(_) | Base::Built(_) | Base::Farm(_)) {
        return None;
    }
    let mut found = Found { at, lockfile, remotes: Vec::new(), foreign: false };
    found.look(ev, tree, 0);
    match found.remotes.as_slice() {
        [only] if !found.foreign => Some(Rc::clone(only)),
        _ => None,
    }
}

struct Found<'a> {
    at: Location,
    lockfile: &'a Path,
    remotes: Vec<Rc<Remote>>,
    /// Whether there is something besides.
    foreign: bool,
}

impl Found<'_> {
    fn look(&mut self, ev: &mut Eval, source: &Source, depth: u32) {
        match &source.base {
            _ if depth > DEPTH => self.foreign = true,
            Base::Local(_) => self.foreign |= source.local_path().as_deref() != Some(self.lockfile),
            Base::Remote(remote) => {
                if !tarballs::may_be_one(ev, remote) {
                    self.foreign = true;
                } else if self.remotes.iter().all(|known| known.call != remote.call) {
                    self.remotes.push(Rc::clone(remote));
                }
            }
            Base::Script { text, env } => {
                self.text(ev, text, depth);
                self.values(ev, env, depth);
            }
            Base::Changed(args) | Base::Built(args) => self.values(ev, args, depth),
            Base::Farm(entries) => entries.iter().for_each(|(_, entry)| self.look(ev, entry, depth + 1)),
            Base::Template(_) | Base::Text(_) => self.foreign = true,
            // Programs of nixpkgs, mostly, that the script calls.
            Base::Nothing | Base::Empty | Base::Unknown(_) => {}
        }
    }

    fn text(&mut self, ev: &mut Eval, text: &Text, depth: u32) {
        for piece in &text.pieces {
            if let Piece::Source(source) = piece {
                self.look(ev, source, depth + 1);
            }
        }
    }

    /// The attributes of a derivation.
    fn values(&mut self, ev: &mut Eval, set: &Value, depth: u32) {
        let Kind::Attrs(attrs) = &set.kind else { return };
        // What does not go into the build.
        let asides = ["meta", "passthru"];
        let thunks = attrs.map.iter().filter(|(name, _)| !asides.contains(&name.as_ref()));
        for thunk in thunks.map(|(_, attr)| attr.thunk).collect::<Vec<_>>() {
            let value = ev.force(thunk);
            self.value(ev, &value, depth);
        }
    }

    fn value(&mut self, ev: &mut Eval, value: &Value, depth: u32) {
        match &value.kind {
            Kind::Str(text) => self.text(ev, text, depth),
            Kind::List(list) if depth <= DEPTH => {
                for item in list.items.clone() {
                    let item = ev.force(item);
                    self.value(ev, &item, depth + 1);
                }
            }
            Kind::Path(_) | Kind::Attrs(_) => {
                let source = ev.source_of(value, self.at);
                self.look(ev, &source, depth + 1);
            }
            // One of several, which of them is not known.
            Kind::Alt(_) => self.foreign = true,
            _ => {}
        }
    }
}
