//! Finds the npm derivations of a repository, and where their hashes stand: `sites FOLDER`.

use std::error::Error;
use std::io::{self, Write as _};

use nix_sites::{Outcome, SurveyScope, survey};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::path::absolute(std::env::args().nth(1).ok_or("sites FOLDER")?)?;
    let mut out = io::stdout().lock();
    for site in survey(&SurveyScope::of(repository_files::around(&folder))).sites {
        let place = site.hash_place();
        let answer = match &site.outcome {
            Outcome::Local { lockfile, .. } => lockfile.display().to_string(),
            Outcome::Undecided(undecided) => undecided.message.clone(),
            _ => "a lockfile that is not in the repository".to_owned(),
        };
        writeln!(out, "{}:{}:{} {answer}", place.file.display(), place.line, place.column)?;
    }
    Ok(())
}
