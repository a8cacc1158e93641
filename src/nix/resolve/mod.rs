//! From declarations to answers: which lockfile, which literal, which options.

mod answer;
mod choose;
mod conclude;
mod copies;
mod describe;
mod explain;
mod filters;
mod lexer;
mod literals;
mod locate;
mod made;
mod merge;
mod patches;
mod phase;
mod programs;
mod root;
mod shell;
mod sites;
mod words;

pub(crate) use explain::place_of;
pub(crate) use phase::NAMES as LOCKFILES;
pub(crate) use sites::{Draft, all};
