//! Comments that settle what the evaluator cannot know: `# npm-nixhash: lockfile=PATH`.

use std::path::PathBuf;

use super::eval::Eval;
use super::files::normalize;
use super::site::{Literal, Outcome, Site, Step};

/// What to tell people.
pub(super) const HINT: &str =
    "write `# npm-nixhash: lockfile=PATH` in the line above the hash, PATH being relative to the file";

const MARK: &str = "npm-nixhash:";

/// Applies the comments to undecided sites.
pub(super) fn apply(ev: &mut Eval, sites: &mut [Site]) {
    for site in sites {
        if !matches!(site.outcome, Outcome::Undecided(_)) {
            continue;
        }
        let stated: Vec<PathBuf> = site.hashes.iter().filter_map(|literal| stated(ev, literal)).collect();
        let Some(path) = stated.first() else { continue };
        if stated.len() != site.hashes.len() || stated.iter().any(|other| other != path) {
            continue;
        }
        let text = format!("a comment says that the lockfile is {}", ev.files.display(path));
        site.explain.push(Step { place: site.place.clone(), text });
        site.outcome = if ev.files.is_file(path) {
            Outcome::Local { lockfile: path.clone() }
        } else {
            Outcome::MissingLockfile { expected: path.clone() }
        };
    }
}

/// The lockfile that a comment beside or above a literal states.
fn stated(ev: &mut Eval, literal: &Literal) -> Option<PathBuf> {
    let file = ev.files.read(&literal.file).ok()?;
    let text = std::rc::Rc::clone(&ev.files.get(file).text);
    let lines: Vec<&str> = text.lines().collect();
    let own = lines.get(literal.line.checked_sub(1)?)?;
    let above = literal.line.checked_sub(2).and_then(|i| lines.get(i)).copied().unwrap_or("");
    let value = setting(own).or_else(|| setting(above).filter(|_| above.trim_start().starts_with('#')))?;
    let folder = literal.file.parent()?;
    let path = normalize(&folder.join(value));
    ev.files.contains(&path).then_some(path)
}

fn setting(line: &str) -> Option<&str> {
    let (_, comment) = line.split_once('#')?;
    let rest = comment.trim().strip_prefix(MARK)?;
    let value = rest.split_whitespace().find_map(|word| word.strip_prefix("lockfile="))?;
    Some(value.trim_matches('"'))
}
