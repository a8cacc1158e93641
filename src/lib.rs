//! lib
pub mod cacache;
pub mod integrity;
pub mod lockfile;
pub mod options;
