//! tar archives and gzip streams as the GNU programs make them, byte for byte, in memory.
//!
//! A fixed-output hash over an archive that `tar` and `gzip` made holds only for their very bytes. Each module is usable
//! alone:
//!
//! * [`repack`] reads a hosted `.tar.gz` into a tree and writes it out again; it owns every refusal.
//! * [`pack`] writes GNU tar format: headers, long names, padding. It knows nothing of archives being read.
//! * [`gzip`] compresses byte for byte as GNU `gzip -n -9` does. It knows nothing of tar.
//! * [`unpack`] and [`tree`] fill a folder in memory as `tar --extract` fills one on disk; [`members`] reads headers with
//!   the names that did not fit into them.
//!
//! Nothing here touches a disk, a clock or the network, so the result is the same for any user and any umask.

pub mod gzip;
pub mod members;
pub mod pack;
pub mod repack;
pub mod tree;
pub mod unpack;
