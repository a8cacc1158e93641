//! Prints an error, and what can be done about it, which only the error inside of it knows.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};

use error_advice::{Advise, advice_on};

#[derive(Debug)]
struct DiskFull;

impl fmt::Display for DiskFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no space is left")
    }
}

impl Error for DiskFull {}

impl Advise for DiskFull {
    fn advice(&self) -> Option<Cow<'static, str>> {
        Some("remove something".into())
    }
}

#[derive(Debug)]
struct NotSaved(DiskFull);

impl fmt::Display for NotSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was saved: {}", self.0)
    }
}

impl Error for NotSaved {}

impl Advise for NotSaved {
    fn because(&self) -> Option<&dyn Advise> {
        Some(&self.0)
    }
}

fn main() -> io::Result<()> {
    let error = NotSaved(DiskFull);
    writeln!(io::stdout(), "{error}; {}", advice_on(&error).unwrap_or_default())
}
