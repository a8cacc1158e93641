//! The pipeline.

pub mod supply;
