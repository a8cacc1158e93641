//! Tarballs: bytes that were checked against the identity they are used under.

pub mod spool;
pub mod verified;
