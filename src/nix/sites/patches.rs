//! Whether patches touch the lockfile.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::nix::eval::Eval;
use crate::nix::remote::Patch;
use crate::nix::shell::LOCKFILES;
use crate::nix::syntax::ast::Location;
use crate::nix::value::source::Base;
use crate::nix::value::{Kind, Value};

/// What is known of a list of patches.
#[derive(Debug, Clone, Default)]
pub(super) struct Patches {
    pub list: Vec<Patch>,
    /// The files that they name, from the folder in which they are applied, and which of them does.
    pub touched: BTreeMap<String, String>,
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
    fn absorb_one_of(&mut self, inner: Self) {
        if inner.doubt.is_some() || inner.touched.keys().any(|path| names_lockfile(path)) {
            self.list.push(Patch::Other("a patch that depends on something that is not known".to_owned()));
        }
        self.doubt = self.doubt.take().or(inner.doubt);
        self.touched.extend(inner.touched);
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
    let source = ev.source_of(item, at);
    let template = match &source.base {
        Base::Template(path) if source.sub.is_empty() => Some(path.clone()),
        _ => None,
    };
    if let Base::Text(Some(text)) = &source.base
        && source.sub.is_empty()
    {
        let touched = touches(text, flags);
        if touched.iter().any(|path| names_lockfile(path)) {
            patches.list.push(Patch::Other("a patch that the Nix files write".to_owned()));
        }
        let why = "a patch that the Nix files write changes the lockfile";
        patches.touched.extend(touched.into_iter().map(|path| (path, why.to_owned())));
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
        patches.doubt.get_or_insert(format!("{what} may touch the lockfile"));
        patches.list.push(Patch::Other(what));
        return;
    };
    let mut touched_any = false;
    if let Ok(file) = ev.files.read(&path) {
        let text = Rc::clone(&ev.files.get(file).text);
        let name = ev.files.display(&path);
        if template.is_some() && names_words(&text) {
            patches.doubt.get_or_insert(format!("the patch {name} may touch the lockfile"));
            touched_any = true;
        }
        for touched in touches(&text, flags) {
            touched_any |= names_lockfile(&touched);
            let what = if names_lockfile(&touched) { "the lockfile" } else { touched.as_str() };
            let why = format!("the patch {name} changes {what}");
            patches.touched.insert(touched, why);
        }
    } else {
        patches.doubt.get_or_insert(format!("the patch {} cannot be read", ev.files.display(&path)));
    }
    let strange = flags && patches.touched.keys().any(|path| names_lockfile(path));
    let listed = if strange {
        Patch::Other("a patch that is applied with `patchFlags`".to_owned())
    } else if template.is_some() && touched_any {
        Patch::Other("a patch in which words are replaced".to_owned())
    } else {
        Patch::Local(path)
    };
    patches.list.push(listed);
}

fn names_lockfile(path: &str) -> bool {
    LOCKFILES.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// Whether a line of a diff that names files holds a word like `@version@`.
fn names_words(text: &str) -> bool {
    let word = |line: &str| line.split('@').count() > 2;
    text.lines().any(|line| HEADS.iter().any(|head| line.strip_prefix(head).is_some_and(word)))
}

/// How lines begin that name files.
const HEADS: [&str; 7] =
    ["+++ ", "--- ", "rename to ", "rename from ", "copy to ", "copy from ", "diff --git "];

/// The files that a unified diff names, without the first part of their paths. With other flags than `-p1` any number of
/// parts may go, so every rest of a path counts.
fn touches(text: &str, flags: bool) -> BTreeSet<String> {
    let mut touched = BTreeSet::new();
    for line in text.lines() {
        let Some(head) = HEADS.iter().find(|head| line.starts_with(**head)) else { continue };
        // What follows a tab is a date; only the line of git holds two names.
        let rest = line[head.len()..].split('\t').next().unwrap_or_default();
        let names: Vec<&str> = if *head == "diff --git " { rest.split(' ').collect() } else { vec![rest] };
        // Names behind `rename` and `copy` have no first part to lose.
        let whole = head.starts_with("rename") || head.starts_with("copy");
        for name in names {
            let name = name.trim().trim_matches('"');
            let mut parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            if flags {
                touched.extend((0..parts.len().min(8)).map(|from| parts[from..].join("/")));
                continue;
            }
            if parts.len() > 1 && !whole {
                parts.remove(0);
            }
            if !parts.is_empty() && name != "/dev/null" {
                touched.insert(parts.join("/"));
            }
        }
    }
    touched
}

#[cfg(test)]
mod tests {
    use super::touches;

    fn touched(text: &str, flags: bool) -> Vec<String> {
        touches(text, flags).into_iter().collect()
    }

    #[test]
    fn paths_lose_their_first_part() {
        let diff = "diff --git a/ui/package-lock.json b/ui/package-lock.json\n--- a/ui/package-lock.json\n+++ b/ui/package-lock.json\n";
        assert_eq!(touched(diff, false), ["ui/package-lock.json"]);
        assert_eq!(
            touched("--- /dev/null\n+++ b/x.json\t2024-01-01\n package-lock.json\n", false),
            ["x.json"]
        );
        assert_eq!(
            touched("rename from package-lock.json\nrename to old.json\n", false),
            ["old.json", "package-lock.json"]
        );
        assert_eq!(
            touched("--- a/ui/package-lock.json\n", true),
            ["a/ui/package-lock.json", "package-lock.json", "ui/package-lock.json"]
        );
    }
}
