//! What the shell does by itself.

use std::rc::Rc;

use super::cause::Cause;
use super::expand::Place;
use super::field::{Field, Seg};
use super::look::Look;
use super::programs::Builtin;
use super::run::{Globs, Runner, State, Status};

/// A variable may hold anything from now on.
pub(super) fn forget(name: Option<&Field>, state: &mut State) {
    match name.and_then(Field::known) {
        Some(name) => state.set(name, Field::unknown()),
        None => state.lose(Cause::Construct("a variable whose name is not known".into())),
    }
}

/// `popd +1`, `pushd` and `pushd -n`: others of the folders that the shell keeps go, or change places, and it stays or does not.
pub(super) fn lose_folders(state: &mut State) {
    state.folder = None;
    state.stack = Rc::default();
}

/// What a command of the shell itself does.
pub(super) fn run(builtin: Builtin, name: &str, rest: &[Field], state: &mut State) -> Status {
    let words: Vec<Option<&str>> = rest.iter().map(Field::known).collect();
    match builtin {
        Builtin::True => return Status::Zero,
        Builtin::False => return Status::NonZero,
        Builtin::PopFolder if rest.is_empty() => {
            state.folder = Rc::make_mut(&mut state.stack).pop().flatten();
            return if state.folder.is_some() { Status::Zero } else { Status::Unknown };
        }
        Builtin::PopFolder => lose_folders(state),
        // What they assign was assigned before.
        Builtin::Declare => {
            // `-n` makes one name stand for another, `-i`, `-l` and `-u` change what is assigned from then on, `-f` is about functions.
            let is_more = |word: &str| word.starts_with('-') && word.contains(['n', 'u', 'l', 'i', 'f']);
            if words.iter().any(|word| word.is_none_or(is_more)) {
                state.lose_at(name);
            }
        }
        Builtin::Unset => {
            for word in rest {
                forget(Some(word), state);
                if let Some(name) = word.known() {
                    Rc::make_mut(&mut state.functions).remove(name);
                }
            }
        }
        Builtin::Reads => {
            for word in rest.iter().filter(|word| !word.start().starts_with('-')) {
                forget(Some(word), state);
            }
        }
        Builtin::Exit => match words.as_slice() {
            // The build fails: whatever is said of it is right.
            [Some(code)] if *code != "0" && code.parse::<u8>().is_ok() && state.nested == 0 => {
                state.dead = true;
            }
            _ => state.lose_at(name),
        },
        Builtin::Set => set(&words, state),
        Builtin::Shopt => shopt(&words, state),
        Builtin::Lost => match words.as_slice() {
            // stdenv's own functions.
            [None]
                if matches!(name, "source" | ".")
                    && rest[0].spelt().ends_with("/setup")
                    && rest[0].segs.len() <= 2 => {}
            _ => state.lose_at(name),
        },
    }
    Status::Unknown
}

impl Runner<'_> {
    /// `[ ... ]`, where the answer is known.
    pub(super) fn test(&mut self, words: &[Field], state: &State) -> Status {
        let known = |yes: bool| if yes { Status::Zero } else { Status::NonZero };
        match words {
            [bang, rest @ ..] if bang.known() == Some("!") && !rest.is_empty() => {
                match self.test(rest, state) {
                    Status::Zero => Status::NonZero,
                    Status::NonZero => Status::Zero,
                    Status::Unknown => Status::Unknown,
                }
            }
            [operator, path] if matches!(operator.known(), Some("-e" | "-f" | "-d")) => {
                let Place::At(key) = self.place(path, state) else { return Status::Unknown };
                match (operator.known(), self.look(&key, &mut state.clone())) {
                    (_, Look::Absent) => Status::NonZero,
                    (Some("-e"), Look::File(_) | Look::Folder) => Status::Zero,
                    (Some("-f"), look @ (Look::File(_) | Look::Folder)) => {
                        known(matches!(look, Look::File(_)))
                    }
                    (_, look @ (Look::File(_) | Look::Folder)) => known(matches!(look, Look::Folder)),
                    _ => Status::Unknown,
                }
            }
            [operator, text] if matches!(operator.known(), Some("-n" | "-z")) => match text.known() {
                Some(text) => known(text.is_empty() == (operator.known() == Some("-z"))),
                None => Status::Unknown,
            },
            [a, operator, b] => match (a.known(), operator.known(), b.known()) {
                (Some(a), Some("=" | "=="), Some(b)) => known(a == b),
                (Some(a), Some("!="), Some(b)) => known(a != b),
                _ => Status::Unknown,
            },
            _ => Status::Unknown,
        }
    }
}

/// Variables that change how the shell itself reads what follows.
pub(super) fn guard(name: &str, value: &Field, state: &mut State) {
    let decides = matches!(name, "GLOBIGNORE" | "POSIXLY_CORRECT" | "SHELLOPTS" | "BASHOPTS" | "BASH_ENV");
    // Programs of the source could take the place of those that are known.
    let own = value.segs.iter().any(|seg| matches!(seg, Seg::Anchor(_)));
    let relative = value.start().split(':').any(|path| !path.is_empty() && !path.starts_with('/'));
    if decides || (name == "PATH" && (own || relative)) {
        state.lose(Cause::Construct(format!("the variable {name}").into()));
    }
}

fn set(words: &[Option<&str>], state: &mut State) {
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let Some(word) = word.filter(|word| word.len() > 1 && word.starts_with(['-', '+']) && *word != "--")
        else {
            return state.lose_at("set --");
        };
        let on = word.starts_with('-');
        for letter in word[1..].chars() {
            match letter {
                'e' => state.strict = on,
                'f' => state.globs = if on { Globs::Off } else { Globs::On },
                // `-u` ends the build at a variable that is not set: where there is a hash, it did not.
                'x' | 'u' | 'v' | 'E' | 'T' => {}
                'o' => set_option(words.next().flatten().unwrap_or_default(), on, state),
                _ => state.lose_at("set"),
            }
        }
    }
}

/// `set -o name` and `set +o name`.
fn set_option(name: &str, on: bool, state: &mut State) {
    match name {
        "errexit" => state.strict = on,
        "noglob" => state.globs = if on { Globs::Off } else { Globs::On },
        "nounset" | "xtrace" | "verbose" | "errtrace" => {}
        // stdenv has it on already. Without it a pipeline goes on whose first command failed, which `piped` takes for the end.
        "pipefail" if on => {}
        _ => state.lose_at("set -o"),
    }
}

fn shopt(words: &[Option<&str>], state: &mut State) {
    let globs = [
        "dotglob",
        "nullglob",
        "extglob",
        "globstar",
        "failglob",
        "nocaseglob",
        "globasciiranges",
        "nocasematch",
    ];
    for word in words {
        match word {
            Some("-s" | "-u" | "-q" | "-p" | "inherit_errexit" | "xpg_echo" | "sourcepath") => {}
            Some(word) if globs.contains(word) => state.globs = Globs::Odd,
            _ => return state.lose_at("shopt"),
        }
    }
}
