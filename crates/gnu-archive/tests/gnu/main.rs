//! The crate beside what GNU tar and gzip made, and what no host would send it.

mod gzip;
mod hostile;
mod inputs;
mod repacked;
