//! What a survey finds: entry points and everything that they lead to, in every configuration; from declarations to
//! answers: which lockfile, which literal, which options; and why a hash is nobody's.

mod answer;
mod attributes;
mod choose;
mod conclude;
mod configurations;
mod dead;
mod decide;
mod describe;
mod draft;
mod explain;
mod fetched;
mod filters;
mod flags;
mod ingredients;
mod installed;
mod keys;
mod literals;
mod locate;
mod made;
mod merge;
mod own;
mod parts;
mod patches;
mod rivals;
mod root;
mod seen;
mod sweep;
mod tarballs;
mod together;
mod uses;
mod versions;
mod walk;

pub(crate) use configurations::{Found, survey};
pub(crate) use dead::Unused;
pub(crate) use draft::Draft;
pub(crate) use explain::place_of;
pub(crate) use seen::Seen;
pub use sweep::literal_of;
pub(crate) use sweep::{Entries, Index};
pub(crate) use uses::uses;
pub(crate) use versions::version_mismatches;
