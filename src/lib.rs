//! lib
pub mod integrity;
pub mod options;
