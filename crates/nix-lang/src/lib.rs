//! The Nix language, evaluated in part: lazily, with the places that each value came through, and with *unknown* as a value.
//!
//! * [`syntax`] has trees with spans, also of JSON and TOML; [`value`] the values, the chain of places behind each, and what a
//!   source is made of.
//! * [`eval`] says what the text means. What is outside of the files it asks a `World` about; what sets mean to that world it
//!   carries without looking (`Meaning`); what others want to know of an evaluation it tells an `Observer`, and what they
//!   note meanwhile it keeps for them by type (`Notes`).
//! * [`builtins`] are the functions of plain data: exact for the arguments that they get, or not known.
//! * [`budget`] bounds all of it; [`files`] reads what is below one root, and nothing else; [`place`] counts as people do.
//!
//! It knows neither npm nor nixpkgs.

pub mod budget;
pub mod builtins;
pub mod eval;
pub mod files;
pub mod place;
pub mod syntax;
pub mod value;
