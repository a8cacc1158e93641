//! Sources that are not in the repository: what they are, what they hold, and what their hash is.

pub mod archive;
mod arguments;
pub mod digest;
mod forge;
mod input;
mod nar;
pub mod origin;
mod zip;
