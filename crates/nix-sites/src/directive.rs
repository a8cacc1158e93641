//! Comments that settle what the evaluator cannot know: `# npm-nixhash: lockfile=PATH`.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use nix_lang::eval::Eval;
use nix_lang::files::normalize;
use nix_lang::place::{FileProblem, Place};

use super::literal::Literal;
use super::reason::Reason;
use super::site::{Outcome, Site, Step, Undecided};

const MARK: &str = "npm-nixhash:";

/// A comment beside a hash, and the lockfile that it names.
struct Stated {
    place: Place,
    text: String,
    /// `None` where it is outside of the repository.
    path: Option<PathBuf>,
}

/// Applies the comments to undecided sites. One that could settle nothing is an error: believed, it would give a hash of
/// bytes that are not those that are hashed.
pub(super) fn apply(ev: &mut Eval, sites: &mut [Site]) -> Vec<FileProblem> {
    let mut problems = Vec::new();
    let known = known(sites);
    let mut contradicted: BTreeSet<At> = BTreeSet::new();
    for site in sites.iter_mut() {
        let Outcome::Undecided(undecided) = &site.outcome else { continue };
        let stated: Vec<Stated> = site.hashes.iter().filter_map(|literal| stated(ev, literal)).collect();
        let Some(first) = stated.first() else { continue };
        if let Some(message) = objection(undecided, &stated) {
            problems.push(FileProblem { place: first.place.clone(), message });
            continue;
        }
        let Some(path) = first.path.clone() else { continue };
        let other = site.hashes.iter().find_map(|literal| known.get(&place_of(literal)));
        if let Some(other) = other.filter(|other| **other != path) {
            let message = format!(
                "the comment names `{}`, but another derivation has the same hash for {}; give each of them a hash of its own",
                first.text,
                ev.files.display(other)
            );
            problems.push(FileProblem { place: first.place.clone(), message });
            contradicted.extend(site.hashes.iter().map(place_of));
            continue;
        }
        // A comment speaks for the hash beside it, and a site has all of its hashes for one lockfile.
        if stated.len() != site.hashes.len() || stated.iter().any(|other| other.path != first.path) {
            continue;
        }
        let text = format!("a comment says that the lockfile is {}", ev.files.display(&path));
        site.explain.push(Step { place: first.place.clone(), text });
        site.outcome = if ev.files.is_file(&path) {
            Outcome::Local { lockfile: path, edits: Vec::new() }
        } else {
            Outcome::MissingLockfile { expected: path }
        };
    }
    // None of them is written: whether the comment is wrong or what was found elsewhere is not guessed.
    for site in sites {
        if site.hashes.iter().any(|literal| contradicted.contains(&place_of(literal))) {
            let message = "a comment says that its hash is that of another lockfile".to_owned();
            let place = site.hash_place();
            site.outcome = Outcome::Undecided(Undecided::new(Reason::SharedLiteral, message, place));
        }
    }
    problems
}

/// A literal, by its file and where it begins.
type At = (PathBuf, usize);

fn place_of(literal: &Literal) -> At {
    (literal.file.clone(), literal.range.start)
}

/// The lockfiles of the hashes that no comment has to settle.
fn known(sites: &[Site]) -> HashMap<At, PathBuf> {
    let mut all = HashMap::new();
    for site in sites {
        if let Outcome::Local { lockfile, .. } = &site.outcome {
            all.extend(site.hashes.iter().map(|literal| (place_of(literal), lockfile.clone())));
        }
    }
    all
}

/// Why comments cannot settle a site, if they cannot.
fn objection(undecided: &Undecided, stated: &[Stated]) -> Option<String> {
    if !undecided.reason.takes_comment() {
        let Undecided { message, settle, .. } = undecided;
        return Some(format!("a comment cannot settle this hash: {message}; {settle}"));
    }
    let outside = stated.iter().find(|stated| stated.path.is_none())?;
    Some(format!("the comment names `{}`, which is outside of the repository", outside.text))
}

/// The lockfile that a comment beside or above a literal states.
fn stated(ev: &mut Eval, literal: &Literal) -> Option<Stated> {
    let file = ev.files.read(&literal.file).ok()?;
    let text = std::rc::Rc::clone(&ev.files.get(file).text);
    let lines: Vec<&str> = text.lines().collect();
    let own = lines.get(literal.line.checked_sub(1)?)?;
    let above = literal.line.checked_sub(2).and_then(|i| lines.get(i)).copied().unwrap_or("");
    let in_own = setting(own).map(|value| (value, literal.line, *own));
    // Behind other text of the line above, it is a word about the hash of that line.
    let in_above = setting(above).filter(|_| above.trim_start().starts_with('#'));
    let (value, line, whole) = in_own.or(in_above.map(|value| (value, literal.line - 1, above)))?;
    let column = whole.split_once('#').map_or(0, |(before, _)| before.chars().count()) + 1;
    let path = normalize(&literal.file.parent()?.join(value));
    Some(Stated {
        place: Place { file: literal.file.clone(), line, column },
        text: value.to_owned(),
        path: ev.files.contains(&path).then_some(path),
    })
}

fn setting(line: &str) -> Option<&str> {
    let (_, comment) = line.split_once('#')?;
    let rest = comment.trim().strip_prefix(MARK)?;
    let value = rest.split_whitespace().find_map(|word| word.strip_prefix("lockfile="))?;
    Some(value.trim_matches('"'))
}
