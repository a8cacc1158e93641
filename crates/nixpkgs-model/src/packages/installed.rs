//! Derivations of fixed output that run a package manager: what they leave is known to their build alone.

use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Attr, Kind, Piece, Text, Value};

use super::record::{Record, RecordKind};

/// Programs that install packages of npm's registry.
const MANAGERS: [&str; 6] = ["npm", "npx", "pnpm", "yarn", "bun", "bunx"];

/// Words before which a command ends, so that the next word is a program.
const SEPARATORS: [&str; 9] = ["&&", "||", ";", "|", "then", "do", "else", "exec", "!"];

/// The declaration of a derivation with a hash of its own whose phases run a package manager.
pub(super) fn of_derivation(ev: &mut Eval, args: &Value, call: Location) -> Option<Record> {
    let attrs = args.as_attrs()?;
    let scripts = attrs.map.iter().filter(|(name, _)| is_script(name));
    let scripts: Vec<_> = scripts.map(|(_, attr)| attr.thunk).collect();
    let manager = scripts.into_iter().find_map(|thunk| match &ev.force(thunk).kind {
        Kind::Str(text) => runs(text),
        _ => None,
    })?;
    Some(Record::new(RecordKind::Installed(manager), args.clone(), call))
}

/// The same of a `runCommand`, whose script is `buildCommand` among the arguments then.
pub fn of_script(ev: &mut Eval, text: &Text, env: &Rc<Value>, call: Location) -> Option<Record> {
    let mut attrs = env.as_attrs()?.as_ref().clone();
    let hash = attrs.map.get("outputHash")?.clone();
    let manager = runs(text)?;
    let script = ev.done(Value::new(Kind::Str(Rc::new(text.clone()))));
    attrs.map.insert(Rc::from("buildCommand"), Attr { thunk: script, ..hash });
    let args = Value { kind: Kind::Attrs(Rc::new(attrs)), trail: env.trail.clone() };
    Some(Record::new(RecordKind::Installed(manager), args, call))
}

/// Whether an attribute holds commands that the build runs.
fn is_script(name: &str) -> bool {
    let hook = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    name == "buildCommand" || name.ends_with("Phase") || hook("pre") || hook("post")
}

/// The package manager that a script runs, if it surely runs one: its name, or a path that ends in it, where a program stands.
fn runs(text: &Text) -> Option<&'static str> {
    let mut flat = String::new();
    for piece in &text.pieces {
        match piece {
            Piece::Text(text) => flat.push_str(text),
            // `${nodejs}/bin/npm`: what stands before the path is one word with it.
            Piece::Source(_) | Piece::Unknown(_) => flat.push('@'),
        }
    }
    flat.lines().find_map(|line| {
        let mut program = true;
        for word in line.split_whitespace() {
            let bare = word.trim_matches(['"', '\'', '(', ')', '`', ';', '$', '{', '}']);
            let name = bare.rsplit('/').next().unwrap_or(bare);
            if program && let Some(manager) = MANAGERS.iter().find(|manager| **manager == name) {
                return Some(*manager);
            }
            let assigns = bare.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
            program = SEPARATORS.contains(&word) || word.ends_with(';') || (program && assigns);
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Text {
        Text { pieces: vec![Piece::Text(Rc::from(text))], ..Text::default() }
    }

    #[test]
    fn a_manager_is_one_where_a_program_stands() {
        for (text, manager) in [
            ("npm ci --ignore-scripts", Some("npm")),
            ("export HOME=$TMPDIR\n  cd web && @/bin/npm install", Some("npm")),
            ("HOME=$PWD pnpm install --frozen-lockfile", Some("pnpm")),
            ("if true; then yarn; fi", Some("yarn")),
            ("cp -r npm $out", None),
            ("# npm ci", None),
            ("echo run npm ci", None),
            ("install -Dm755 bun $out/bin/bun", None),
        ] {
            assert_eq!(runs(&script(text)), manager, "{text}");
        }
    }
}
