//! Says what a package's tarball is, as lockfiles write it, and which files are in it: `look FILE.tgz`.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};

use npm_tarballs::{Tarball, package};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("look FILE.tgz")?;
    let tarball = Tarball::of(fs::read(file)?.into());
    let mut out = io::stdout().lock();
    writeln!(out, "{}", tarball.id())?;
    for (name, kind) in package::look(tarball.reader()?)?.files {
        writeln!(out, "{name} ({kind:?})")?;
    }
    Ok(())
}
