//! Tarballs: bytes that were checked against the identity they are used under.
//!
//! [`verified`] is the only way to a [`Tarball`]. Git dependencies are hashed neither as the host serves them nor as a
//! git tree, but as what `tar` and `gzip` make of the unpacked archive inside the Nix sandbox; four rooms do that in
//! memory, each usable alone:
//!
//! * [`repack`] reads a hosted `.tar.gz` into a tree and writes it out again; it owns every refusal.
//! * [`pack`] writes GNU tar format: headers, long names, padding. It knows nothing of archives being read.
//! * [`gzip`] compresses byte for byte as GNU `gzip -n -9` does. It knows nothing of tar.
//!
//! Nothing in those touches a disk, a clock or the network, so the result is the same for any user and any umask.

pub mod gzip;
mod members;
pub mod pack;
pub mod package;
pub mod repack;
pub mod spool;
pub(crate) mod tree;
pub(crate) mod unpack;
pub mod verified;

pub use verified::Tarball;
