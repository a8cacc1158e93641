//! What nixpkgs is, as far as npm derivations need to know: builders, fetchers, overlays, modules and flakes.
//!
//! * [`packages`] are the members of nixpkgs and what derivations declare; `packages::names` is its one table of names.
//! * `library` are the functions of `lib` that deal with sources; [`modules`] the module system; [`flake`] flakes, their
//!   inputs, and what well-known ones bring.
//! * [`world`] puts all of it together as the `World` that the language asks. [`hash_text`] is how Nix writes hashes.

pub mod flake;
pub mod hash_text;
pub(crate) mod library;
pub mod modules;
pub mod packages;
pub mod world;
