//! What eight messages side by side bring on this processor, against one after the other.
//!
//! `cargo run --release -p sha512-lanes --example rates`

use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::Instant;

use sha512_lanes::{LANES, Sha512, sha512, side_by_side, update_together};

const LENGTH: usize = 64 << 10;

fn main() -> io::Result<()> {
    let messages: Vec<_> = (0..LANES).map(|n| vec![n.to_le_bytes()[0]; LENGTH]).collect();
    let mut out = io::stdout();
    writeln!(out, "lanes are used on this processor: {}", side_by_side())?;
    for threads in 1..=std::thread::available_parallelism()?.get() {
        let single = rate(threads, LANES, || {
            black_box(messages.iter().map(|message| sha512(message)).collect::<Vec<_>>());
        });
        writeln!(out, "{threads} threads, one message after the other: {single:.0} MB/s together")?;
        for busy in 1..=LANES {
            let lanes = rate(threads, busy, || {
                let mut hashes: Vec<_> = messages[..busy].iter().map(|_| Sha512::new()).collect();
                let mut due: Vec<_> =
                    hashes.iter_mut().zip(&messages).map(|(hash, m)| (hash, &m[..])).collect();
                update_together(&mut due);
                black_box(hashes);
            });
            writeln!(out, "{threads} threads, {busy} messages side by side: {lanes:.0} MB/s together")?;
        }
    }
    Ok(())
}

/// Megabytes a second that the threads hash together: the median of 15 turns.
fn rate(threads: usize, messages: usize, hash: impl Fn() + Sync) -> f64 {
    let turn = || {
        let begun = Instant::now();
        let count = || {
            let mut hashed = 0;
            while begun.elapsed().as_millis() < 20 {
                hash();
                hashed += messages * LENGTH;
            }
            hashed
        };
        let hashed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
        });
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let hashed = hashed as f64;
        hashed / begun.elapsed().as_secs_f64() / 1e6
    };
    let mut rates: Vec<_> = (0..15).map(|_| turn()).collect();
    rates.sort_by(f64::total_cmp);
    rates[7]
}
