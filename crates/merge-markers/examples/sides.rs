//! Prints both sides of each conflict of a file: `sides FILE`.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};

use merge_markers::{Part, parts};

fn main() -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(std::env::args().nth(1).ok_or("sides FILE")?)?;
    let mut out = io::stdout().lock();
    for part in parts(&text).unwrap_or_default() {
        if let Part::Conflict { ours, theirs, .. } = part {
            write!(out, "ours:\n{ours}theirs:\n{theirs}")?;
        }
    }
    Ok(())
}
