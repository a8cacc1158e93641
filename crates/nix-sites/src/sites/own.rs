//! The lockfile that a repository's own copy of the fetcher hashes.

use nix_lang::eval::Eval;
use nixpkgs_model::packages::record::{OwnFetcher, Record, ToolFile};

use super::answer::{Answer, Located};
use super::conclude::copied;
use super::locate::{SearchPlace, locate_in};
use crate::reason::Reason;

/// Where it is: the tool reads the file that it is given, and no shrinkwrap beside it.
pub(super) fn located(ev: &mut Eval, record: &Record, own: &OwnFetcher) -> Vec<Located> {
    let at = record.call;
    match &own.lockfile {
        ToolFile::Source(source) => {
            let answer = copied(ev, source, &[], at);
            vec![Located { candidates: answer.local().into_iter().collect(), ..Located::only(answer) }]
        }
        ToolFile::InTree { folder, name } => {
            let mut all = locate_in(ev, &record.args, true, SearchPlace { folder, at, depth: 0 });
            for located in &mut all {
                // Which file is hashed is told as for nixpkgs' fetcher, where the shrinkwrap wins. This
                // tool has no such choice.
                let other = located.answer.local().is_some_and(|path| !path.ends_with(name));
                if other {
                    let message = format!("the tool is given `{name}`, and another lockfile is beside it");
                    located.answer = Answer::doubt(Reason::UnknownSource, message, Some(at));
                }
            }
            all
        }
    }
}
