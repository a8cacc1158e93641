//! From declarations to answers: which lockfile, which literal, which options.

mod answer;
mod choose;
mod conclude;
mod decide;
mod describe;
mod explain;
mod filters;
mod literals;
mod locate;
mod made;
mod merge;
mod own;
mod patches;
mod root;
mod uses;
mod versions;

pub(crate) use decide::{Draft, all};
pub(crate) use explain::place_of;
pub(crate) use uses::uses;
pub(crate) use versions::version_mismatches;
