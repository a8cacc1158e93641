//! What the shell scripts of derivations do to lockfiles.

mod copies;
mod lexer;
mod phase;
mod programs;
mod script;
mod words;

pub(crate) use phase::{Context, NAMES as LOCKFILES, Slot, State, run};
