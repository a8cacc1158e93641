//! lib
pub mod cacache;
pub mod drift;
pub mod integrity;
pub mod lockfile;
pub mod nix;
pub mod npm_deps;
pub mod options;
pub mod registry;
pub mod replace;
pub mod report;
pub mod rewrite;
pub mod store;
pub mod store_path;
pub mod tarball;
