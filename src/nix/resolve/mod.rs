//! From declarations to answers: which lockfile, which literal, which options.

mod explain;
mod literals;
mod locate;
mod patches;
mod phase;
mod shell;
mod sites;

pub(crate) use explain::place_of;
pub(crate) use sites::{Draft, all};
