//! Packs a hosted archive again as `tar` and `gzip -n -9` would in Nix's sandbox: `repack IN.tar.gz OUT.tgz`.

use std::error::Error;
use std::fs;

use gnu_archive::repack::repack;

/// What the archive may unpack to, in bytes.
const LIMIT: u64 = 1 << 30;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, from, to] =
        std::env::args().collect::<Vec<_>>().try_into().map_err(|_| "repack IN.tar.gz OUT.tgz")?;
    fs::write(to, repack(fs::File::open(from)?, LIMIT)?.bytes)?;
    Ok(())
}
