//! Prints a file as `substituteInPlace FILE --replace-fail FROM TO` would leave it: `edit FILE FROM TO`.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};

use phase_shell::{LockfileEdit, apply};

fn main() -> Result<(), Box<dyn Error>> {
    let [_, file, pattern, replacement] =
        std::env::args().collect::<Vec<_>>().try_into().map_err(|_| "edit FILE FROM TO")?;
    let edited =
        apply(&fs::read(file)?.into(), &[LockfileEdit::Replace { pattern, replacement, required: true }])?;
    io::stdout().write_all(&edited)?;
    Ok(())
}
