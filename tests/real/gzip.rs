//! Byte equality with GNU gzip. `NPM_NIXHASH_FUZZ` sets how many generated inputs are compared,
//! `NPM_NIXHASH_SEED` where they start; a failure names the seed of its input and leaves the input in the
//! temporary directory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use gnu_archive::gzip::{Encoder, compress};

use crate::inputs::{Rng, structured};
use crate::variable;

/// Generated inputs compared in an ordinary run.
const INPUTS: u64 = 1000;

fn scratch(name: &str) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("npm-nixhash-{}-{number}-{name}", std::process::id()))
}

/// A size: near the edges of the window, tiny, or anything up to `most`.
fn size(rng: &mut Rng, most: usize) -> usize {
    match rng.below(4) {
        0 => rng.below(700),
        1 => {
            let edge =
                rng.pick(&[0x8000, 0x10000, 0x18000, 0x20000, 65274, 32506, 32767 * 2, 98042, 10240 * 7]);
            edge - 300 + rng.below(601)
        }
        _ => rng.skewed(most),
    }
}

/// What the program makes of a file. It reads the file itself, not a pipe, whose pieces would vary from run
/// to run.
fn gnu(path: &Path) -> Vec<u8> {
    let output = Command::new("gzip")
        .args(["-n", "-9", "-c"])
        .stdin(File::open(path).expect("the input"))
        .stderr(Stdio::inherit())
        .output()
        .expect("GNU gzip must be installed for this comparison");
    assert!(output.status.success(), "gzip failed");
    output.stdout
}

/// Compares one input; `scratch` is a file to put it in.
fn agree(label: &str, input: &[u8], scratch: &Path) {
    fs::write(scratch, input).expect("a file for the input");
    let (expected, actual) = (gnu(scratch), compress(input));
    let differing = expected.iter().zip(&actual).position(|(a, b)| a != b);
    assert!(
        expected == actual,
        "{label}: {} bytes of input, {} bytes from gzip, {} from us, first difference at {differing:?}; see {}",
        input.len(),
        expected.len(),
        actual.len(),
        scratch.display()
    );
}

/// Runs `work` on numbers from 0 to `count`, on two threads, each with a scratch file.
fn on_two_threads(count: u64, work: impl Fn(u64, &Path) + Sync) {
    let next = AtomicU64::new(0);
    let (next, work) = (&next, &work);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                let file = scratch("input");
                while let Some(n) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < count) {
                    work(n, &file);
                }
                fs::remove_file(&file).expect("the scratch file");
            });
        }
    });
}

#[test]
fn the_program_is_gnu_gzip() {
    let output = Command::new("gzip").arg("--version").output().expect("GNU gzip must be installed");
    let version = String::from_utf8_lossy(&output.stdout);
    assert!(version.contains("Free Software Foundation"), "this is not GNU gzip: {version}");
}

#[test]
fn generated_inputs() {
    let first = variable("NPM_NIXHASH_SEED", 1);
    on_two_threads(variable("NPM_NIXHASH_FUZZ", INPUTS), |n, file| {
        let mut rng = Rng(first + n);
        let size = size(&mut rng, if n % 10 == 0 { 1 << 20 } else { 1 << 18 });
        agree(&format!("seed {}", first + n), &structured(&mut rng, size), file);
    });
}

/// A long text with a match over every place where the input could end, for all the ends near the window's
/// edges.
#[test]
fn every_end_near_an_edge() {
    let mut rng = Rng(5);
    let text = structured(&mut rng, 0x18000 + 700);
    let repeating: Vec<u8> = text[..9000].iter().copied().cycle().take(0x18000 + 700).collect();
    let ends: Vec<usize> =
        [0, 0x8000, 0x10000].iter().flat_map(|edge: &usize| edge.saturating_sub(300)..edge + 300).collect();
    on_two_threads(ends.len() as u64, |n, file| {
        let end = ends[usize::try_from(n).expect("small")];
        let whole = if n % 2 == 0 { &text } else { &repeating };
        agree(&format!("end {end}"), &whole[..end], file);
    });
}

#[test]
fn installed_files() {
    let mut paths = Vec::new();
    for folder in
        ["/usr/bin", "/usr/sbin", "/usr/share/doc", "/usr/share/perl5", "/etc", "/usr/include", "/usr/lib"]
    {
        walk(Path::new(folder), 5, 400, &mut paths);
    }
    let budget = AtomicU64::new(60_000_000);
    on_two_threads(paths.len() as u64, |n, file| {
        let path = &paths[usize::try_from(n).expect("small")];
        let Ok(content) = fs::read(path) else { return };
        let left = budget.load(Ordering::Relaxed);
        if content.len() < 20_000_000 && left > content.len() as u64 {
            budget.fetch_sub(content.len() as u64, Ordering::Relaxed);
            agree(&path.display().to_string(), &content, file);
        }
    });
}

/// Regular files below `folder`, at most `most` of them.
fn walk(folder: &Path, depth: usize, most: usize, found: &mut Vec<PathBuf>) {
    let full = found.len() + most;
    let mut folders = vec![(folder.to_owned(), depth)];
    while let Some((folder, depth)) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(&folder).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 0 => folders.push((entry.path(), depth - 1)),
                Ok(kind) if kind.is_file() && found.len() < full => found.push(entry.path()),
                _ => {}
            }
        }
    }
}

#[test]
fn long_inputs() {
    let file = scratch("long");
    for (seed, size) in [(101, 50_000_000), (102, 9_000_000), (103, 6_000_001), (104, 4_194_304)] {
        agree(&format!("seed {seed}"), &structured(&mut Rng(seed), size), &file);
    }
    agree("zeros", &vec![0; 50_000_000], &file);
    fs::remove_file(file).expect("the scratch file");
}

/// However the input is cut into writes, the bytes are the same.
#[test]
fn pieces_do_not_matter() {
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let size = size(&mut rng, 1 << 19);
        let input = structured(&mut rng, size);
        let mut encoder = Encoder::new(Vec::new());
        let mut rest = &input[..];
        while !rest.is_empty() {
            let piece = rng.skewed(70000).clamp(1, rest.len());
            encoder.write_all(&rest[..piece]).expect("memory");
            rest = &rest[piece..];
        }
        assert!(encoder.finish().expect("memory") == compress(&input), "seed {seed}");
    }
}
