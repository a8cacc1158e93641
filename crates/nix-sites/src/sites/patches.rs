//! Whether patches touch the lockfile.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Base, Source};
use nix_lang::value::{Kind, Value};
use npm_lockfile::FILE_NAMES;
use phase_shell::diff::{HEADS, touched as touches};
use phase_shell::{Diff, is_lockfile};

use crate::remote::Patch;

/// How many parts of names go where nothing else is said.
// stdenv runs `patch ${patchFlags:--p1}`.
const USUAL: usize = 1;

/// What is known of a list of patches.
#[derive(Debug, Clone, Default)]
pub(super) struct Patches {
    pub list: Vec<Patch>,
    /// The files that they name, from the folder in which they are applied, and which of them does.
    pub touched: BTreeMap<String, String>,
    /// What they surely do to lockfiles, in the order in which they are applied.
    pub diffs: Vec<Diff>,
    /// Why any file may be changed.
    pub doubt: Option<String>,
}

impl Patches {
    /// Anything may be patched.
    fn uncertain(&mut self, why: &str) {
        self.doubt = Some(why.to_owned());
        self.list.push(Patch::Other(why.to_owned()));
    }

    /// Takes in what is applied under a condition that is not known.
    fn absorb_one_of(&mut self, mut inner: Self) {
        for diff in inner.diffs {
            let why = format!("the patch {} may change the lockfile", diff.name);
            inner.touched.insert(diff.target, why);
        }
        if inner.doubt.is_some() || inner.touched.keys().any(|path| is_lockfile(path)) {
            self.list.push(Patch::Other("a patch that depends on something that is not known".to_owned()));
        }
        self.doubt = self.doubt.take().or(inner.doubt);
        self.touched.extend(inner.touched);
    }

    /// Notes which files a diff names, and what it does to lockfiles if that is exact; whether it names any of these.
    fn note(&mut self, name: &str, text: &str, strip: Option<usize>, is_exact: bool) -> bool {
        let mut names_lockfile = false;
        for touched in touches(text, strip) {
            let is_lockfile = is_lockfile(&touched);
            names_lockfile |= is_lockfile;
            if let Some(strip) = strip.filter(|_| is_lockfile && is_exact) {
                let (name, text) = (name.to_owned(), Arc::from(text.as_bytes()));
                self.diffs.push(Diff { name, text, strip, target: touched });
            } else {
                let what = if is_lockfile { "the lockfile" } else { touched.as_str() };
                let why = format!("the patch {name} changes {what}");
                self.touched.insert(touched, why);
            }
        }
        names_lockfile
    }
}

/// How many leading parts of names `patchFlags` takes away; `None` where it says something else, too.
pub(super) fn strip(ev: &mut Eval, flags: &Value) -> Option<usize> {
    let mut words: Vec<Rc<str>> = Vec::new();
    match &flags.kind {
        Kind::Null => {}
        Kind::Str(text) => words.push(text.known()?),
        Kind::List(list) if list.open.is_none() => {
            for item in list.items.clone() {
                words.push(ev.force(item).known_text()?);
            }
        }
        _ => return None,
    }
    let mut words = words.iter().flat_map(|text| text.split_whitespace());
    let Some(first) = words.next() else { return Some(USUAL) };
    let number = match first {
        "-p" | "--strip" => words.next()?,
        joined => joined.strip_prefix("-p").or_else(|| joined.strip_prefix("--strip="))?,
    };
    let is_all = words.next().is_none() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_all)
}

/// Reads a `patches` attribute; `strip` says how many parts of names go, where that is known.
pub(super) fn read(ev: &mut Eval, value: &Value, strip: Option<usize>, at: Location) -> Patches {
    let mut patches = Patches::default();
    match &value.kind {
        Kind::Null => {}
        Kind::List(list) => {
            for item in list.items.clone() {
                let item = ev.force(item);
                add(ev, &item, strip, at, &mut patches);
            }
            if list.open.is_some() {
                patches.uncertain("not every patch is known");
            }
        }
        Kind::Alt(values) => {
            for value in values.iter() {
                let inner = read(ev, value, strip, at);
                patches.absorb_one_of(inner);
            }
        }
        _ => patches.uncertain("the list of patches is not known"),
    }
    patches
}

fn add(ev: &mut Eval, item: &Value, strip: Option<usize>, at: Location, patches: &mut Patches) {
    let source = ev.source_of(item, at);
    let template = match &source.base {
        Base::Template(path) if source.sub.is_empty() => Some(path.clone()),
        _ => None,
    };
    if let Base::Text(Some(text)) = &source.base
        && source.sub.is_empty()
    {
        if patches.note("that the Nix files write", text, strip, true) {
            patches.list.push(Patch::Other("a patch that the Nix files write".to_owned()));
        }
        return;
    }
    // Words are replaced in the lines of a patch: which files it names is what the file says, unless those hold such words.
    let Some(path) = source.local_path().or_else(|| template.clone()) else {
        let what = elsewhere(&source);
        patches.doubt.get_or_insert(format!("{what} may touch the lockfile"));
        patches.list.push(Patch::Other(what));
        return;
    };
    // A patch that cannot be read may name it.
    let (mut touched_any, mut names_lockfile) = (false, true);
    if let Ok(file) = ev.files.read(&path) {
        let text = Rc::clone(&ev.files.get(file).text);
        let name = ev.files.display(&path);
        names_lockfile = FILE_NAMES.iter().any(|name| text.contains(name));
        if template.is_some() && names_words(&text) {
            patches.doubt.get_or_insert(format!("the patch {name} may touch the lockfile"));
            touched_any = true;
        }
        touched_any |= patches.note(&name, &text, strip, template.is_none());
    } else {
        patches.doubt.get_or_insert(format!("the patch {} cannot be read", ev.files.display(&path)));
    }
    let strange = strip.is_none() && patches.touched.keys().any(|path| is_lockfile(path));
    let listed = if strange {
        Patch::Other("a patch that is applied with `patchFlags`".to_owned())
    } else if template.is_some() && touched_any {
        Patch::Other("a patch in which words are replaced".to_owned())
    } else {
        Patch::Local { path, strip: strip.unwrap_or(USUAL), names_lockfile }
    };
    patches.list.push(listed);
}

/// What a patch is called that is no file of the repository.
fn elsewhere(source: &Source) -> String {
    match &source.base {
        Base::Remote(remote) => format!("a patch from `{}`", remote.fetcher),
        Base::Unknown(unknown) => unknown
            .name
            .as_deref()
            .map_or_else(|| "a patch that is not known".to_owned(), |name| format!("the patch `{name}`")),
        _ => "a patch that is made by a build".to_owned(),
    }
}

/// Whether a line of a diff that names files holds a word like `@version@`.
fn names_words(text: &str) -> bool {
    let word = |line: &str| line.split('@').count() > 2;
    text.lines().any(|line| HEADS.iter().any(|head| line.strip_prefix(head).is_some_and(word)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nix_lang::files::Files;
    use nix_lang::syntax::ast::{FileId, Span};
    use nixpkgs_model::world::Nixpkgs;

    use super::*;

    #[test]
    fn a_patch_of_the_repository_is_that_file_though_it_touches_the_lockfile() {
        let at = Location { file: FileId(0), span: Span { start: 0, end: 0 } };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/nix/patch-flags/in");
        let root = root.canonicalize().expect("the fixture is there");
        let mut ev = Eval::new(Files::new(root.clone()), &Nixpkgs, Rc::new(()));
        let path = root.join("hit.patch");
        let mut patches = Patches::default();
        add(&mut ev, &Value::path(path.clone()), Some(2), at, &mut patches);
        assert_eq!(patches.diffs.len(), 1, "it touches the lockfile below two folders");
        assert_eq!(patches.list, [Patch::Local { path, strip: 2, names_lockfile: true }]);
    }
}
