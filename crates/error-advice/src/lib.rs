//! Errors that know what can be done about them.
//!
//! ```
//! use std::{borrow::Cow, error::Error, fmt};
//!
//! use error_advice::{Advise, advice_on};
//!
//! #[derive(Debug)]
//! struct Taken(&'static str);
//!
//! impl fmt::Display for Taken {
//!     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         write!(f, "{} exists", self.0)
//!     }
//! }
//!
//! impl Error for Taken {}
//!
//! impl Advise for Taken {
//!     fn advice(&self) -> Option<Cow<'static, str>> {
//!         Some(format!("remove {}", self.0).into())
//!     }
//! }
//!
//! assert_eq!(advice_on(&Taken("out")).as_deref(), Some("remove out"));
//! ```

use std::borrow::Cow;
use std::error::Error;
use std::iter;

/// An error about which something may be done.
pub trait Advise: Error {
    /// What the user can do about it, in a few words without a full stop; none where nothing helps, or only what led to it
    /// tells.
    fn advice(&self) -> Option<Cow<'static, str>> {
        None
    }

    /// What led to it, where that may have advice. Other than with [`Error::source`], an error that shows itself as another one
    /// leads to that one.
    fn because(&self) -> Option<&dyn Advise> {
        None
    }
}

/// What can be done about an error: the first advice on the way to what led to it.
#[must_use]
pub fn advice_on(error: &dyn Advise) -> Option<Cow<'static, str>> {
    iter::successors(Some(error), |error| error.because()).find_map(Advise::advice)
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Link(Option<&'static str>, Option<Box<Link>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a link")
        }
    }

    impl Error for Link {}

    impl Advise for Link {
        fn advice(&self) -> Option<Cow<'static, str>> {
            self.0.map(Cow::Borrowed)
        }

        fn because(&self) -> Option<&dyn Advise> {
            self.1.as_deref().map(|link| link as &dyn Advise)
        }
    }

    #[test]
    fn the_outermost_advice_counts() {
        let link = |advice, because| Link(advice, Option::map(because, Box::new));
        let inner = link(Some("inner"), None);
        assert_eq!(advice_on(&link(None, Some(inner))).as_deref(), Some("inner"));
        let both = link(Some("outer"), Some(link(Some("inner"), None)));
        assert_eq!(advice_on(&link(None, Some(both))).as_deref(), Some("outer"));
        assert_eq!(advice_on(&link(None, Some(link(None, None)))), None);
    }
}
