//! Packages as the registry publishes them: names, releases, and what the registry vouches for.
//!
//! A *packument* is the registry's document about a name: its releases, its tags (`latest`), and when each release was
//! published. Of a release it tells the tarball's URL, the integrity of its bytes, and signatures over both together.
//!
//! It is asked for at the user's configured registry, or at that of the name's scope, with the credentials that npm's
//! configuration has for it. This module knows nothing of Nix and writes nothing.

mod error;
mod keys;
mod name;
mod packument;
mod release;
pub mod signature;

pub use error::PackageError;
pub use keys::{Key, keys, keys_url};
pub use name::{PackageName, PackageNameError, TarballName, published_at};
pub use packument::{Packument, Selector, SelectorError, answer, fetch, fetch_abbreviated};
pub use release::{Dist, Release, Vouch};
