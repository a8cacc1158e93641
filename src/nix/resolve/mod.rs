//! From declarations to answers: which lockfile, which literal, which options.

mod answer;
mod choose;
mod conclude;
mod describe;
mod explain;
mod filters;
mod literals;
mod locate;
mod made;
mod merge;
mod patches;
mod root;
mod sites;

pub(crate) use explain::place_of;
pub(crate) use sites::{Draft, all};
