//! Lists the Nix files and lockfiles of a repository, and the folders of somebody else: `files FOLDER`.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;

use repository_files::{around, list};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("files FOLDER")?).canonicalize()?;
    let listing = list(&around(&folder), None, &["package-lock.json"]);
    let mut out = io::stdout().lock();
    for path in listing.nix.iter().chain(&listing.lockfiles) {
        writeln!(out, "{}", path.display())?;
    }
    for border in listing.borders {
        writeln!(out, "not searched: {} ({})", border.folder.display(), border.kind.word())?;
    }
    Ok(())
}
