//! What git does not track is not there for a flake: Nix copies only what the index names.

use std::path::{Path, PathBuf};

use nix_lang::place::Place;
use repository_files::git::{GitError, Tracked};

use super::Survey;
use super::scope::RelevantFiles;
use super::site::{Outcome, Site, WarningKind};

/// Notes which files of sites in flakes git does not track.
pub(super) fn look(survey: &mut Survey, found: &RelevantFiles) {
    match &found.tracked {
        Ok(tracked) => {
            for site in &mut survey.sites {
                let files =
                    files(site).into_iter().filter(|file| is_unseen(file, &site.place.file, found, tracked));
                site.untracked = files.map(Path::to_path_buf).collect();
            }
        }
        // Not every repository is git's.
        Err(GitError::None) => {}
        Err(error) => {
            let place = Place { file: survey.root.clone(), line: 1, column: 1 };
            let message = format!("which files Nix sees in a flake is not known: {error}");
            survey.warn(WarningKind::Git, place, message);
        }
    }
}

/// The lockfile and the files that the hash stands in, each once.
fn files(site: &Site) -> Vec<&Path> {
    let lockfile = match &site.outcome {
        Outcome::Local { lockfile, .. } => Some(lockfile),
        _ => None,
    };
    let hashes = site.hashes.iter().map(|literal| &literal.file);
    let mut files: Vec<&Path> =
        lockfile.into_iter().chain([&site.place.file]).chain(hashes).map(PathBuf::as_path).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// Whether a file belongs to the flake in which a derivation stands, and is not in git's index.
fn is_unseen(file: &Path, derivation: &Path, found: &RelevantFiles, tracked: &Tracked) -> bool {
    let of_flake = |path: &Path| found.flakes.iter().any(|folder| path.starts_with(folder));
    let foreign = found.borders.iter().any(|border| file.starts_with(&border.folder));
    // The way to a file may lead through links, which git tracks as well.
    let is_tracked = || tracked.has(file) || file.canonicalize().is_ok_and(|real| tracked.has(&real));
    of_flake(derivation) && of_flake(file) && !foreign && file.exists() && !is_tracked()
}
