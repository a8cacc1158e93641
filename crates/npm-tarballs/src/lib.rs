//! Tarballs of npm packages: checked against the identity they are used under, and kept.
//!
//! * [`integrity`] reads subresource integrity (SRI) as lockfiles write it, and hashes.
//! * [`verified`] is the only way to a [`Tarball`]: it cannot be read to its end unless its bytes have the right digest.
//! * [`side_by_side`] hashes bodies together that arrive at one time.
//! * [`spill`] keeps large ones of one run in a temporary file; [`store`] keeps all of them on disk, with the URLs that
//!   served them and the hashes that were computed from them.
//! * [`cacache`] knows the shape of npm's own cache.
//! * [`package`] looks into a tarball: manifest, shrinkwrap, names of files.
//! * [`tarball_url`] tells package and release from a registry's URL; [`redaction`] makes URLs fit to be shown.

pub mod cacache;
pub mod integrity;
pub mod package;
mod positioned;
pub mod redaction;
pub mod side_by_side;
pub mod spill;
pub mod store;
pub mod tarball_url;
pub mod verified;

pub use verified::Tarball;
