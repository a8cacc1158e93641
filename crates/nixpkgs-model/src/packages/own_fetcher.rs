//! A repository's own copy of `fetchNpmDeps`: a derivation of fixed output that runs nixpkgs' tool on a lockfile.
//!
//! Such copies are written after nixpkgs' own build phase. Only its lines are understood; any other line makes the
//! outcome unknown, and the hash undecided.

use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::Source;
use nix_lang::value::{Attrs, Kind, Piece, Text, Unknown, Value};
use npm_lockfile::FILE_NAMES;
use npm_lockfile::options::HashOptions;

use super::names::is_member_of_nixpkgs;
use super::record::{OwnFetcher, Record, RecordKind, ToolFile};

/// nixpkgs' tool.
const TOOL: &str = "prefetch-npm-deps";

/// Attributes under which the script of a derivation can stand.
const SCRIPTS: [&str; 3] = ["buildPhase", "installPhase", "buildCommand"];

/// Attributes that would run beside it.
const BESIDE: [&str; 6] =
    ["preBuild", "postBuild", "preInstall", "postInstall", "configurePhase", "fixupPhase"];

/// The declaration of a derivation, if it runs the tool.
pub(super) fn of_derivation(ev: &mut Eval, args: &Value, call: Location) -> Option<Record> {
    let attrs = args.as_attrs()?;
    let mut scripts = Vec::new();
    for name in SCRIPTS {
        if let Some(attr) = attrs.map.get(name) {
            let value = ev.force(attr.thunk);
            match &value.kind {
                Kind::Str(text) => scripts.push((name, Rc::clone(text))),
                Kind::Null => {}
                _ => return None,
            }
        }
    }
    let (name, text) = scripts.iter().find(|(_, text)| names_tool(text))?;
    let alone = scripts.len() == 1 && !BESIDE.iter().any(|name| attrs.map.contains_key(*name));
    let options = options(ev, attrs);
    let message = format!("what `{name}` does before it runs `{TOOL}` is not understood");
    let foreign = |message: &str| RecordKind::Foreign(message.into());
    let kind = match read(text).filter(|_| alone) {
        // A repository may build a tool of its own under that name, whose trees are others.
        Some(_) if !is_nixpkgs_tool(ev, text, attrs) => {
            foreign(&format!("`{TOOL}` is not known to be the one of nixpkgs"))
        }
        Some(lockfile) => RecordKind::OwnFetcher(Rc::new(OwnFetcher { lockfile, options })),
        None => foreign(&message),
    };
    // The script is judged here; what unpacks and patches the source is judged like that of any other derivation.
    let mut plain = attrs.as_ref().clone();
    plain.map.retain(|name, _| !SCRIPTS.contains(&name.as_ref()));
    let args = Value { kind: Kind::Attrs(Rc::new(plain)), trail: args.trail.clone() };
    Some(Record::new(kind, args, call))
}

/// The declaration of a `runCommand` that is given as `npmDeps`.
pub(super) fn of_script(text: &Text, env: &Value, call: Location) -> Record {
    let kind = match read(text) {
        Some(lockfile @ ToolFile::Source(_)) => {
            let options = Ok(HashOptions::default());
            RecordKind::OwnFetcher(Rc::new(OwnFetcher { lockfile, options }))
        }
        _ => {
            RecordKind::Foreign("a script of the repository makes `npmDeps`, and it is not understood".into())
        }
    };
    Record::new(kind, env.clone(), call)
}

fn names_tool(text: &Text) -> bool {
    text.pieces.iter().any(|piece| match piece {
        Piece::Text(text) => text.contains(TOOL),
        Piece::Unknown(unknown) => unknown.name.as_deref().is_some_and(|name| name.ends_with(TOOL)),
        Piece::Source(_) => false,
    })
}

/// Whether the tool is the package of nixpkgs: it is named by its path, or stands among the inputs.
fn is_nixpkgs_tool(ev: &mut Eval, text: &Text, attrs: &Rc<Attrs>) -> bool {
    let is_tool = |unknown: &Unknown| {
        unknown.name.as_deref().is_some_and(|name| name.ends_with(TOOL) && is_member_of_nixpkgs(name))
    };
    let by_path = |piece: &Piece| matches!(piece, Piece::Unknown(unknown) if is_tool(unknown));
    if text.pieces.iter().any(by_path) {
        return true;
    }
    let mut inputs = Vec::new();
    for name in ["nativeBuildInputs", "buildInputs"] {
        let value = attrs.map.get(name).map(|attr| ev.force(attr.thunk));
        if let Some(Kind::List(list)) = value.map(|value| value.kind) {
            inputs.extend(list.items.clone());
        }
    }
    inputs.into_iter().any(|input| ev.force(input).as_unknown().is_some_and(|unknown| is_tool(unknown)))
}

/// `NPM_FETCHER_VERSION` and its like, in the derivation or in its `env`. The tool asks only whether flags are set.
fn options(ev: &mut Eval, attrs: &Rc<Attrs>) -> Result<HashOptions, &'static str> {
    let mut sets = vec![Rc::clone(attrs)];
    if let Some(env) = attrs.map.get("env") {
        sets.extend(ev.force(env.thunk).as_attrs().cloned());
    }
    let mut options = HashOptions::default();
    for set in sets {
        let mut value = |name: &str| set.map.get(name).map(|attr| ev.force(attr.thunk));
        let is_set = |value: &Option<Value>| value.as_ref().is_some_and(|v| !matches!(v.kind, Kind::Null));
        options.force_git_deps |= is_set(&value("FORCE_GIT_DEPS"));
        options.force_empty_cache |= is_set(&value("FORCE_EMPTY_CACHE"));
        if let Some(version) = value("NPM_FETCHER_VERSION") {
            let number = match &version.kind {
                Kind::Int(number) => u32::try_from(*number).ok(),
                _ => version.known_text().and_then(|text| text.parse().ok()),
            };
            options.fetcher_version = number.ok_or("`NPM_FETCHER_VERSION` is not known")?;
        }
    }
    Ok(options)
}

/// The lockfile that the script hands to the tool; `None` where the script does anything else besides.
fn read(text: &Text) -> Option<ToolFile> {
    let mut found = None;
    for line in lines(text) {
        let words = words(&line)?;
        match words.as_slice() {
            [] => {}
            [Word::Text(word), ..] if is_idle(word, &words) => {}
            [program, file, Word::Text(out)] if is_tool(program) && is_out(out) => {
                if found.replace(lockfile(file)?).is_some() {
                    return None;
                }
            }
            _ => return None,
        }
    }
    found
}

/// Lines of nixpkgs' own phase that change no file: hooks, and the test for the lockfile with its message.
fn is_idle(first: &str, words: &[Word]) -> bool {
    let texts: Option<Vec<&str>> = words
        .iter()
        .map(|word| if let Word::Text(text) = word { Some(text.as_str()) } else { None })
        .collect();
    let Some(texts) = texts else { return first.starts_with('#') };
    let plain =
        |words: &[&str]| !words.iter().any(|word| word.contains(['>', '$', '`', '|', '&', ';', '\\']));
    match (first, texts.as_slice()) {
        ("runHook" | "echo" | "exit" | "fi" | "true" | ":", words) => plain(words),
        ("if", [_, test @ .., "]];" | "];", "then"]) => {
            plain(test) && test.first().is_some_and(|word| word.starts_with('['))
        }
        _ => first.starts_with('#'),
    }
}

fn is_out(word: &str) -> bool {
    matches!(word, "$out" | "${out}")
}

fn is_tool(word: &Word) -> bool {
    match word {
        Word::Text(text) => text == TOOL,
        Word::Program(name) => name.ends_with(TOOL),
        Word::Source(..) => false,
    }
}

/// The file that a word names.
fn lockfile(word: &Word) -> Option<ToolFile> {
    match word {
        Word::Source(source, rest) => {
            let inner = if rest.is_empty() { Rc::clone(source) } else { Rc::new(source.inside(rest)) };
            Some(ToolFile::Source(inner))
        }
        Word::Text(path) => {
            let path = path.strip_prefix("./").unwrap_or(path);
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let plain =
                !path.starts_with('/') && !path.contains(['$', '`', '*', '?', '~']) && !path.contains("..");
            (plain && FILE_NAMES.contains(&name))
                .then(|| ToolFile::InTree { folder: folder.to_owned(), name: name.to_owned() })
        }
        Word::Program(_) => None,
    }
}

/// A word of a line.
enum Word {
    Text(String),
    /// A program of a package: the package's dotted name.
    Program(Rc<str>),
    Source(Rc<Source>, String),
}

fn lines(text: &Text) -> Vec<Vec<Piece>> {
    let mut lines = vec![Vec::new()];
    for piece in &text.pieces {
        let Piece::Text(text) = piece else {
            lines.last_mut().into_iter().for_each(|line| line.push(piece.clone()));
            continue;
        };
        for (i, part) in text.split('\n').enumerate() {
            if i > 0 {
                lines.push(Vec::new());
            }
            if !part.is_empty() {
                lines.last_mut().into_iter().for_each(|line| line.push(Piece::Text(Rc::from(part))));
            }
        }
    }
    lines
}

/// The words of a line, `None` where quoting or an interpolation is more than a word's beginning.
fn words(line: &[Piece]) -> Option<Vec<Word>> {
    let mut words: Vec<Word> = Vec::new();
    let mut open = false;
    for piece in line {
        match piece {
            Piece::Source(_) | Piece::Unknown(_) if open => return None,
            Piece::Source(source) => words.push(Word::Source(Rc::clone(source), String::new())),
            Piece::Unknown(unknown) => words.push(Word::Program(Rc::clone(unknown.name.as_ref()?))),
            Piece::Text(text) => {
                let text = text.replace('"', "");
                let continues = !text.starts_with(char::is_whitespace);
                for (i, part) in text.split_whitespace().enumerate() {
                    match words.last_mut() {
                        Some(Word::Source(_, rest)) if i == 0 && continues => part.clone_into(rest),
                        Some(Word::Program(_)) if i == 0 && continues => {
                            (part == format!("/bin/{TOOL}")).then_some(())?;
                        }
                        _ => words.push(Word::Text(part.to_owned())),
                    }
                }
                open = !text.ends_with(char::is_whitespace);
                continue;
            }
        }
        open = false;
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Text {
        Text { pieces: vec![Piece::Text(Rc::from(text))], ..Text::default() }
    }

    #[test]
    fn only_the_lines_of_nixpkgs_are_understood() {
        let own = "runHook preBuild\nif [[ ! -e package-lock.json ]]; then\n  echo\n  echo \"ERROR: none\"\n  exit 1\nfi\n\nprefetch-npm-deps package-lock.json $out\nrunHook postBuild\n";
        let Some(ToolFile::InTree { folder, name }) = read(&script(own)) else { panic!("not understood") };
        assert_eq!((folder.as_str(), name.as_str()), ("", "package-lock.json"));
        let Some(ToolFile::InTree { folder, .. }) =
            read(&script("prefetch-npm-deps ./web/package-lock.json \"$out\""))
        else {
            panic!("not understood")
        };
        assert_eq!(folder, "web");
        for odd in [
            "jq . package-lock.json > x\nprefetch-npm-deps package-lock.json $out",
            "cd web\nprefetch-npm-deps package-lock.json $out",
            "prefetch-npm-deps package-lock.json $out\nrm -r $out/_cacache",
            "prefetch-npm-deps package-lock.json $out\nprefetch-npm-deps package-lock.json $out",
            "prefetch-npm-deps ../package-lock.json $out",
            "prefetch-npm-deps $lock $out",
            "prefetch-npm-deps package-lock.json",
            "echo x > package-lock.json\nprefetch-npm-deps package-lock.json $out",
            "NPM_FETCHER_VERSION=2 prefetch-npm-deps package-lock.json $out",
            "if sed -i s/a/b/ package-lock.json; then\nfi\nprefetch-npm-deps package-lock.json $out",
        ] {
            assert!(read(&script(odd)).is_none(), "{odd}");
        }
    }
}
