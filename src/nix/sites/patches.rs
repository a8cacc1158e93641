//! Whether patches touch the lockfile.

use std::rc::Rc;

use crate::nix::eval::Eval;
use crate::nix::remote::Patch;
use crate::nix::source::{self, Base};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Kind, Value};

/// What is known of a list of patches.
#[derive(Debug, Clone, Default)]
pub(super) struct Patches {
    pub list: Vec<Patch>,
    /// Why a lockfile may be changed by one of them.
    pub doubt: Option<String>,
    /// Which of the two lockfiles.
    pub touched: [bool; 2],
}

impl Patches {
    /// Anything may be patched.
    fn uncertain(&mut self, why: &str) {
        self.touched = [true; 2];
        self.doubt = Some(why.to_owned());
        self.list.push(Patch::Other(why.to_owned()));
    }

    /// Takes in what is applied under a condition that is not known.
    fn absorb_one_of(&mut self, inner: Self) {
        if inner.touched.contains(&true) {
            self.list.push(Patch::Other("a patch that depends on something that is not known".to_owned()));
        }
        self.doubt = self.doubt.take().or(inner.doubt);
        merge(&mut self.touched, inner.touched);
    }
}

/// Reads a `patches` attribute; `flags` says whether the usual `-p1` is replaced.
pub(super) fn read(ev: &mut Eval, value: &Value, flags: bool, at: Location) -> Patches {
    let mut patches = Patches::default();
    match &value.kind {
        Kind::Null => {}
        Kind::List(list) => {
            for item in list.items.clone() {
                let item = ev.force(item);
                add(ev, &item, flags, at, &mut patches);
            }
            if list.open.is_some() {
                patches.uncertain("not every patch is known");
            }
        }
        Kind::Alt(values) => {
            for value in values.iter() {
                let inner = read(ev, value, flags, at);
                patches.absorb_one_of(inner);
            }
        }
        _ => patches.uncertain("the list of patches is not known"),
    }
    patches
}

fn add(ev: &mut Eval, item: &Value, flags: bool, at: Location, patches: &mut Patches) {
    let source = source::of_value(ev, item, at);
    let template = match &source.base {
        Base::Template(path) if source.sub.is_empty() => Some(path.clone()),
        _ => None,
    };
    if let Base::Text(Some(text)) = &source.base
        && source.sub.is_empty()
    {
        let touched = touches(text, flags);
        merge(&mut patches.touched, touched);
        if touched.contains(&true) {
            patches.doubt = Some("a patch that the Nix files write changes the lockfile".to_owned());
            patches.list.push(Patch::Other("a patch that the Nix files write".to_owned()));
        }
        return;
    }
    // Words are replaced in the lines of a patch: which files it names is what the file says, unless those hold such words.
    let Some(path) = source.local_path().or_else(|| template.clone()) else {
        let what = match &source.base {
            Base::Remote(remote) => format!("a patch from `{}`", remote.fetcher),
            Base::Unknown(unknown) => unknown
                .name
                .as_deref()
                .map_or_else(|| "a patch that is not known".to_owned(), |name| format!("the patch `{name}`")),
            _ => "a patch that is made by a build".to_owned(),
        };
        patches.touched = [true; 2];
        patches.doubt.get_or_insert(format!("{what} may touch the lockfile"));
        patches.list.push(Patch::Other(what));
        return;
    };
    let mut touched_any = false;
    if let Ok(file) = ev.files.read(&path) {
        let text = Rc::clone(&ev.files.get(file).text);
        let touched =
            if template.is_some() && names_words(&text) { [true; 2] } else { touches(&text, flags) };
        merge(&mut patches.touched, touched);
        touched_any = touched.contains(&true);
        if touched.contains(&true) {
            patches.doubt = Some(format!("the patch {} changes the lockfile", ev.files.display(&path)));
        }
    } else {
        patches.touched = [true; 2];
        patches.doubt.get_or_insert(format!("the patch {} cannot be read", ev.files.display(&path)));
    }
    let strange = flags && patches.touched.contains(&true);
    let listed = if strange {
        Patch::Other("a patch that is applied with `patchFlags`".to_owned())
    } else if template.is_some() && touched_any {
        Patch::Other("a patch in which words are replaced".to_owned())
    } else {
        Patch::Local(path)
    };
    patches.list.push(listed);
}

fn merge(into: &mut [bool; 2], more: [bool; 2]) {
    for (a, b) in into.iter_mut().zip(more) {
        *a |= b;
    }
}

/// Whether a line of a diff that names files holds a word like `@version@`.
fn names_words(text: &str) -> bool {
    let word = |line: &str| line.split('@').count() > 2;
    text.lines().any(|line| HEADS.iter().any(|head| line.strip_prefix(head).is_some_and(word)))
}

/// How lines begin that name files.
const HEADS: [&str; 5] = ["+++ ", "--- ", "rename to ", "rename from ", "diff --git "];

/// Which lockfiles at the top of the tree a unified diff names.
fn touches(text: &str, flags: bool) -> [bool; 2] {
    let mut touched = [false; 2];
    for rest in text.lines().filter_map(|line| HEADS.iter().find_map(|head| line.strip_prefix(head))) {
        for path in rest.split_whitespace() {
            let name = path.trim_matches('"');
            let base = name.rsplit('/').next().unwrap_or(name);
            let counts = flags || name.split('/').count() <= 2;
            for (slot, known) in touched.iter_mut().zip(crate::nix::shell::LOCKFILES) {
                *slot |= counts && known == base;
            }
        }
    }
    touched
}

#[cfg(test)]
mod tests {
    use super::touches;

    #[test]
    fn only_the_top_lockfile_counts() {
        let lock = [false, true];
        assert_eq!(touches("--- a/package-lock.json\n+++ b/package-lock.json\n", false), lock);
        assert_eq!(touches("--- a/ui/package-lock.json\n+++ b/ui/package-lock.json\n", false), [false; 2]);
        assert_eq!(touches("--- a/ui/package-lock.json\n", true), lock);
        assert_eq!(
            touches("--- a/package.json\n+++ b/package.json\n package-lock.json\n", false),
            [false; 2]
        );
    }
}
