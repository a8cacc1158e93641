//! lib
pub mod cacache;
pub mod integrity;
pub mod lockfile;
pub mod npm_deps;
pub mod options;
pub mod registry;
pub mod store;
pub mod tarball;
