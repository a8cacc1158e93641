//! What a fleet of repositories costs in a month, with and without caches that machines share: counted, not run. The table of
//! docs/fleets.md is this simulation's output; `NPM_NIXHASH_WRITE_PAGES=1 cargo test --test it fleet_simulation` writes it.
//!
//! What one run asks for (a GET for a remembered hash, a HEAD before an upload) is what `tests/it/fleet.rs` and
//! `tests/real/s3.rs` see it ask for; how many runs there are is assumed, and said on the page.

use std::fmt::Write as _;
use std::fs;

use crate::support::pages::root;

/// Releases that lockfiles draw from, and how many one has.
const RELEASES: usize = 60_000;
const PACKAGES: usize = 900;

/// Of a repository in a month: states of its lockfile, runs of `check` on new machines, and builds on machines that have
/// nothing in their store.
const STATES: usize = 8;
const CHECKS: usize = 200;
const BUILDS: usize = 60;

/// Releases that change from one state to the next.
const CHANGES: usize = 12;

/// List prices of Amazon Web Services in dollars, us-east-1, as third parties quoted them in 2026: S3 standard storage per GB and month, PUT (and POST, LIST) and GET (and HEAD) per
/// request; what a NAT gateway takes for each GB from the internet. Between bucket and machines of one region nothing is paid.
const STORED: f64 = 0.023;
const PUT: f64 = 0.005 / 1000.0;
const GET: f64 = 0.0004 / 1000.0;
const FROM_THE_INTERNET: f64 = 0.045;

/// Bytes of a part of an upload.
const PART: u64 = 6 << 20;

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between 0 and 1.
    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / f64::from(u32::MAX)
    }

    /// A release: few are in nearly every lockfile, most in hardly any.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank"
    )]
    fn release(&mut self) -> usize {
        let rank = (RELEASES as f64).powf(self.fraction()) - 1.0;
        (rank as usize).min(RELEASES - 1)
    }
}

/// Bytes of a release: half of them below 12 kB, a few some megabytes; 40 kB on average.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
fn sizes() -> Vec<u64> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut size = || {
        // The sum of twelve is close enough to a normal distribution.
        let normal: f64 = (0..12).map(|_| random.fraction()).sum::<f64>() - 6.0;
        (12_000.0 * (1.55 * normal).exp()) as u64
    };
    (0..RELEASES).map(|_| size()).collect()
}

/// How machines share.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Nothing,
    Hashes,
    HashesAndOutputs,
    /// And tarballs, by machines that keep nothing.
    Everything,
    /// Hashes and outputs, with one machine that keeps its tarballs.
    OnePublisher,
}

#[derive(Default)]
struct Month {
    registry_bytes: u64,
    registry_requests: u64,
    puts: u64,
    gets: u64,
    stored: u64,
}

impl Month {
    #[expect(clippy::cast_precision_loss, reason = "dollars")]
    fn dollars(&self) -> f64 {
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        gigabytes(self.registry_bytes) * FROM_THE_INTERNET
            + gigabytes(self.stored) * STORED
            + self.puts as f64 * PUT
            + self.gets as f64 * GET
    }

    fn download(&mut self, packages: usize, bytes: u64, times: usize) {
        self.registry_requests += (packages * times) as u64;
        self.registry_bytes += bytes * times as u64;
    }

    /// A lockfile that nobody computed yet.
    fn first(&mut self, bytes: u64, sharing: Sharing) {
        // Asked for, not found, and put.
        self.gets += 1;
        self.puts += 1;
        self.stored += 500;
        if sharing != Sharing::Hashes {
            // HEAD and nix-cache-info; the parts with begin and end, and the narinfo.
            self.gets += 2;
            self.puts += bytes.div_ceil(PART) + 3;
            self.stored += bytes;
        }
    }
}

/// A lockfile, and which releases are in it.
struct Lockfile {
    packages: Vec<usize>,
    holds: Vec<bool>,
}

impl Lockfile {
    fn new(random: &mut Random) -> Self {
        let mut lockfile = Self { packages: vec![0; PACKAGES], holds: vec![false; RELEASES] };
        (0..PACKAGES).for_each(|place| lockfile.replace(place, random));
        lockfile
    }

    fn replace(&mut self, place: usize, random: &mut Random) {
        let mut release = random.release();
        while self.holds[release] {
            release = random.release();
        }
        self.holds[release] = true;
        self.packages[place] = release;
    }

    /// The next state.
    fn change(&mut self, random: &mut Random) {
        for _ in 0..CHANGES {
            let place = usize::try_from(random.next() % PACKAGES as u64).unwrap();
            self.holds[self.packages[place]] = false;
            self.replace(place, random);
        }
    }
}

fn simulate(repositories: usize, sharing: Sharing, sizes: &[u64]) -> Month {
    let (mut month, mut random) = (Month::default(), Random(0x2545_f491_4f6c_dd1d));
    let mut kept = vec![false; RELEASES];
    for _ in 0..repositories {
        let mut lockfile = Lockfile::new(&mut random);
        for state in 0..STATES {
            if state > 0 {
                lockfile.change(&mut random);
            }
            let (checks, builds) = (CHECKS / STATES, BUILDS / STATES);
            let fetches = match sharing {
                Sharing::Nothing => checks + builds,
                Sharing::Hashes => 1 + builds,
                Sharing::HashesAndOutputs => 1,
                Sharing::Everything | Sharing::OnePublisher => 0,
            };
            let bytes = lockfile.packages.iter().map(|release| sizes[*release]).sum::<u64>();
            month.download(PACKAGES, bytes, fetches);
            if matches!(sharing, Sharing::Everything | Sharing::OnePublisher) {
                let new: Vec<usize> =
                    lockfile.packages.iter().copied().filter(|release| !kept[*release]).collect();
                for release in &new {
                    kept[*release] = true;
                }
                let bytes = new.iter().map(|release| sizes[*release]).sum();
                month.download(new.len(), bytes, 1);
                if sharing == Sharing::Everything {
                    // Each is looked for, and put if it was not there.
                    month.gets += PACKAGES as u64;
                    month.puts += new.len() as u64;
                    month.stored += bytes;
                }
            }
            if sharing != Sharing::Nothing {
                month.first(bytes, sharing);
                month.gets += checks as u64;
            }
            if !matches!(sharing, Sharing::Nothing | Sharing::Hashes) {
                // nix-cache-info, narinfo and NAR.
                month.gets += 3 * builds as u64;
            }
        }
    }
    month
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn table(sizes: &[u64]) -> String {
    let mut text = String::from(
        "| repositories | shared | from the registry | its requests | requests to the bucket | in the bucket | a month |\n|---:|---|---:|---:|---:|---:|---:|\n",
    );
    let rows = [
        (Sharing::Nothing, "nothing"),
        (Sharing::Hashes, "hashes"),
        (Sharing::HashesAndOutputs, "hashes and outputs"),
        (Sharing::Everything, "hashes, outputs and tarballs"),
        (Sharing::OnePublisher, "hashes and outputs, published by one machine that keeps its tarballs"),
    ];
    for repositories in [10, 100, 1000] {
        for (sharing, name) in rows {
            let month = simulate(repositories, sharing, sizes);
            let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
            let thousands = |n: u64| format!("{:.1} k", n as f64 / 1e3);
            let _ = writeln!(
                text,
                "| {repositories} | {name} | {} | {} | {} | {} | ${:.2} |",
                gigabytes(month.registry_bytes),
                thousands(month.registry_requests),
                thousands(month.puts + month.gets),
                gigabytes(month.stored),
                month.dollars()
            );
        }
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "a test is its own shell")]
#[test]
fn the_table_of_the_page_is_what_the_simulation_counts() {
    const BEGIN: &str = "<!-- Made by tests/it/fleet_simulation.rs -->\n";
    const END: &str = "<!-- End of the table -->";
    let file = root().join("docs/fleets.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let new = format!("{before}{BEGIN}{}{END}{after}", table(&sizes()));
    if std::env::var_os("NPM_NIXHASH_WRITE_PAGES").is_some() {
        fs::write(&file, &new).unwrap();
    }
    assert!(fs::read_to_string(&file).unwrap() == new, "docs/fleets.md has another table");
}

#[test]
fn sharing_more_never_costs_the_registry_more() {
    let sizes = sizes();
    let months = [Sharing::Nothing, Sharing::Hashes, Sharing::HashesAndOutputs, Sharing::OnePublisher]
        .map(|sharing| simulate(20, sharing, &sizes));
    for pair in months.windows(2) {
        assert!(pair[1].registry_bytes < pair[0].registry_bytes);
        assert!(pair[1].registry_requests < pair[0].registry_requests);
    }
    // What many lockfiles share is the more of it, the more of them there are.
    let each = |repositories: usize| {
        simulate(repositories, Sharing::OnePublisher, &sizes).registry_bytes / repositories as u64
    };
    assert!(each(100) * 2 < each(5), "{} {}", each(5), each(100));
}
