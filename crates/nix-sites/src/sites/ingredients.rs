//! What a derivation is made of: a source that a script, a build or patches make, or a build whose hash only it can tell.
//!
//! Where that is one tarball of a registry, and a lockfile of the repository beside it, the package's version decides both:
//! they are one site, and the lockfile follows the tarball's `package.json`. Anything else of the repository in it may be a
//! manifest of its own, so that nothing is said then.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Base, Remote, Source};
use nix_lang::value::{Kind, Piece, Text, Value};
use nixpkgs_model::hash_text::HASHES;

use super::answer::is_one_call;
use super::fetched::{Fetched, remote_source};
use super::tarballs;
use crate::remote::AttributeValue;

/// Derivations within derivations that are looked into: a script copies a tarball that another script repacked (fixture
/// `tarball-made-source`).
const DEPTH: u32 = 4;

/// The tarball of a registry that a made source has its package from, if it has nothing else but this lockfile.
pub(super) fn tarball(ev: &mut Eval, tree: &Source, lockfile: &Path, at: Location) -> Option<Rc<Remote>> {
    if !matches!(tree.base, Base::Script { .. } | Base::Changed(_) | Base::Built(_) | Base::Farm(_)) {
        return None;
    }
    let mut found = Ingredients::new(at, lockfile);
    found.look(ev, tree, 0);
    match found.remotes.as_slice() {
        [only] if !found.foreign && tarballs::may_be_one(ev, only) => Some(Rc::clone(only)),
        _ => None,
    }
}

/// What a made source has from elsewhere, where that is one thing.
pub(super) fn only_remote(ev: &mut Eval, tree: &Source, at: Location) -> Option<Rc<Remote>> {
    let mut found = Ingredients::new(at, Path::new(""));
    found.look(ev, tree, 0);
    match found.remotes.as_slice() {
        [only] => Some(Rc::clone(only)),
        _ => None,
    }
}

/// What is fetched for a derivation with these arguments: URLs, revisions, locked inputs. Equal texts are equal things, so that
/// two states of a repository can be compared.
pub(super) fn fetched(ev: &mut Eval, args: &Value, at: Location) -> BTreeSet<String> {
    let mut found = Ingredients::new(at, Path::new(""));
    found.values(ev, args, 0);
    let mut all = found.releases;
    all.extend(found.remotes.iter().map(|remote| told(ev, remote)));
    all
}

/// The arguments of a fetcher that say what is fetched; for the input of a flake its locked node.
fn told(ev: &mut Eval, remote: &Rc<Remote>) -> String {
    if let Some((name, node)) = &remote.input {
        return format!("{name} {node}");
    }
    let source = remote_source(ev, &Fetched::plain(remote));
    let telling = source.attributes.iter().filter(|attribute| !HASHES.contains(&attribute.name.as_str()));
    let texts = telling.filter_map(|attribute| match &attribute.value {
        AttributeValue::Text(text) => Some(format!("{}={text}", attribute.name)),
        AttributeValue::Texts(texts) => {
            Some(format!("{}={:?}", attribute.name, texts.iter().map(|(text, _)| text).collect::<Vec<_>>()))
        }
        _ => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

struct Ingredients<'a> {
    at: Location,
    /// The lockfile that may be among the ingredients.
    lockfile: &'a Path,
    /// Everything that is fetched.
    remotes: Vec<Rc<Remote>>,
    /// Releases that scripts name: `npm install tool@1.0.0`.
    releases: BTreeSet<String>,
    /// Whether there is something besides.
    foreign: bool,
}

impl<'a> Ingredients<'a> {
    fn new(at: Location, lockfile: &'a Path) -> Self {
        Self { at, lockfile, remotes: Vec::new(), releases: BTreeSet::new(), foreign: false }
    }

    fn look(&mut self, ev: &mut Eval, source: &Source, depth: u32) {
        match &source.base {
            _ if depth > DEPTH => self.foreign = true,
            Base::Local(_) => self.foreign |= source.local_path().as_deref() != Some(self.lockfile),
            Base::Remote(remote) => {
                if !remote.nixpkgs && !self.remotes.iter().any(|known| is_one_call(known, remote)) {
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
            match piece {
                Piece::Source(source) => self.look(ev, source, depth + 1),
                Piece::Text(text) => self.releases.extend(releases(text).map(str::to_owned)),
                Piece::Unknown(_) => {}
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
            Kind::Alt(values) => {
                self.foreign = true;
                if depth <= DEPTH {
                    values.iter().for_each(|value| self.value(ev, value, depth + 1));
                }
            }
            _ => {}
        }
    }
}

/// The words of a script that name a release of a package: `tool@1.0.0`, `@scope/tool@2`.
fn releases(text: &str) -> impl Iterator<Item = &str> {
    let is_release = |word: &&str| {
        let version = word.rsplit_once('@').filter(|(name, _)| !name.is_empty());
        version.is_some_and(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    text.split(|c: char| c.is_whitespace() || "\"';()".contains(c)).filter(is_release)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use nix_lang::files::Files;
    use nix_lang::syntax::ast::{FileId, Span};
    use nix_lang::value::source::RemoteKind;
    use nixpkgs_model::world::Nixpkgs;

    use super::*;

    #[test]
    fn the_input_of_a_flake_is_told_by_its_locked_node() {
        let call = Location { file: FileId(0), span: Span { start: 0, end: 0 } };
        let mut ev = Eval::new(Files::new(PathBuf::from("/nowhere")), &Nixpkgs, Rc::new(()));
        let input = Some(("tool".to_owned(), "{\"rev\":\"1\"}".to_owned()));
        let (kind, fetcher, args) = (RemoteKind::FetchTree, Rc::from("fetchTree"), Value::new(Kind::Null));
        let remote = Rc::new(Remote { kind, fetcher, call, args, input, nixpkgs: false });
        assert_eq!(told(&mut ev, &remote), "tool {\"rev\":\"1\"}");
    }

    #[test]
    fn scripts_name_releases() {
        let text = "npm install -g 'tool@1.0.0' @acme/cli@2 x@latest a@b.c; echo @3 \"y@4.0.0-rc.1\"";
        let found: Vec<&str> = releases(text).collect();
        assert_eq!(found, ["tool@1.0.0", "@acme/cli@2", "y@4.0.0-rc.1"]);
    }
}
