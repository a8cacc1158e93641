//! Byte equality of a repacked archive with what GNU tar and GNU gzip make of it, run as nixpkgs runs them:
//! by an ordinary user, with umask 022. `NPM_NIXHASH_FUZZ_ARCHIVES` sets how many generated trees are
//! compared.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use gnu_archive::gzip::compress;
use gnu_archive::pack::{EntryKind, Packer};
use gnu_archive::repack::{Modes, repack, repack_as};

use crate::inputs::{Rng, structured};
use crate::variable;

const LIMIT: u64 = 1 << 28;
/// Generated archives compared in an ordinary run.
const ARCHIVES: u64 = 100;

/// What the two programs do, in a folder of their own. Exit 3 when unpacking fails.
const SCRIPT: &str = r#"
umask 022; cd "$1" && mkdir package || exit 4
tar --extract --gzip --strip-components=1 -C package -f - || exit 3
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu -I 'gzip -n -9' --create package > out.tar.gz || exit 5
chmod -R u+rwx package
"#;

/// A folder that anyone may write to, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("npm-nixhash-repack-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a scratch folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("its mode");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The shell, as an ordinary user also when the tests run as root.
fn shell() -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh"]);
        command
    } else {
        Command::new("sh")
    }
}

/// What GNU tar and GNU gzip make of a hosted archive; none if tar cannot unpack it without complaint.
fn reference(archive: &[u8]) -> Option<Vec<u8>> {
    let scratch = Scratch::new();
    let mut child = shell()
        .args(["-c", SCRIPT, "sh"])
        .arg(&scratch.0)
        .env_remove("LC_ALL")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh and setpriv must be installed for this comparison");
    // tar stops reading early on some archives: not an error of ours.
    let _ = child.stdin.take().expect("a pipe").write_all(archive);
    let output = child.wait_with_output().expect("an end");
    match output.status.code() {
        Some(0) => Some(fs::read(scratch.0.join("out.tar.gz")).expect("the new archive")),
        Some(3) => None,
        _ => panic!("packing failed: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Both agree on the bytes.
fn agree(label: &str, archive: &[u8]) {
    let expected = reference(archive).unwrap_or_else(|| panic!("{label}: tar refuses"));
    let actual = repack(archive, LIMIT).unwrap_or_else(|error| panic!("{label}: {error}"));
    if expected != actual.bytes {
        let dump = std::env::temp_dir().join("npm-nixhash-differs.tar.gz");
        fs::write(&dump, archive).expect("a dump");
        fs::write(dump.with_extension("ours"), &actual.bytes).expect("a dump");
        fs::write(dump.with_extension("theirs"), &expected).expect("a dump");
        panic!("{label}: differs; see {}", dump.display());
    }
}

/// The program packs this folder, named as hosts name it, in this format.
fn hosted(folder: &Path, format: &str) -> Vec<u8> {
    let parent = folder.parent().expect("a parent");
    let output = Command::new("tar")
        .args(["--create", "--gzip", "--format", format, "--owner=root", "--group=root", "--mode=g+w", "-C"])
        .arg(parent)
        .arg(folder.file_name().expect("a name"))
        .output()
        .expect("GNU tar must be installed for this comparison");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A name of a file: short, long, odd.
fn name(rng: &mut Rng) -> Vec<u8> {
    let length = match rng.below(8) {
        0 => rng.range(80, 120),
        1 => rng.range(200, 255),
        _ => rng.range(1, 12),
    };
    let alphabets: [&[u8]; 5] = [
        b"abcxyz",
        b"ab-._ AB",
        "äé日".as_bytes(),
        b"\x01\n\t\\\"'*?%",
        &[0xff, 0x80, b'a', b'~', b'!', b'0'],
    ];
    let alphabet = rng.pick(&alphabets);
    let name: Vec<u8> = (0..length).map(|_| rng.pick(alphabet)).collect();
    if matches!(&name[..], b"." | b"..") { b"x".to_vec() } else { name }
}

/// Fills a folder with random things.
fn grow(rng: &mut Rng, folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    for _ in 0..rng.below(7) {
        let path = folder.join(std::ffi::OsStr::from_bytes(&name(rng)));
        if path.symlink_metadata().is_ok() || path.as_os_str().len() > 3000 {
            continue;
        }
        match rng.below(8) {
            0..=2 if depth > 0 => {
                fs::create_dir(&path).expect("a folder");
                grow(rng, &path, depth - 1, files);
                let mode = rng.pick(&[0o755, 0o775, 0o700, 0o555, 0o777, 0o2755, 0o1777]);
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
            }
            3 => {
                let length = rng.pick(&[1, 5, 99, 100, 101, 255, 600]);
                let part = rng.pick(&["../", "a/", "/", "x"]);
                let target: String = part.chars().cycle().take(length).collect();
                symlink(target, &path).expect("a link");
                files.push(path);
            }
            4 if !files.is_empty() => {
                fs::hard_link(&files[rng.below(files.len())], &path).expect("another name");
            }
            _ => {
                let size = rng.skewed(5000);
                fs::write(&path, structured(rng, size)).expect("a file");
                let mode =
                    rng.pick(&[0o644, 0o664, 0o755, 0o775, 0o600, 0o444, 0o4755, 0o6711, 0o400, 0o666]);
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
                files.push(path);
            }
        }
    }
}

#[test]
fn generated_trees() {
    let first = variable("NPM_NIXHASH_SEED", 1);
    for seed in first..first + variable("NPM_NIXHASH_FUZZ_ARCHIVES", ARCHIVES) {
        let mut rng = Rng(seed);
        let scratch = Scratch::new();
        let root =
            scratch.0.join(if seed % 3 == 0 { "name-0123456789abcdef0123456789abcdef01234567" } else { "r" });
        fs::create_dir(&root).expect("a folder");
        grow(&mut rng, &root, 1 + (seed % 7) as usize, &mut Vec::new());
        for format in ["gnu", "pax"] {
            agree(&format!("seed {seed}, {format}"), &hosted(&root, format));
        }
    }
}

#[test]
fn a_deep_tree() {
    let scratch = Scratch::new();
    let root = scratch.0.join("r");
    let mut folder = root.clone();
    for i in 0..120 {
        folder.push(format!("level-{i}"));
    }
    fs::create_dir_all(&folder).expect("folders");
    fs::write(folder.join("leaf"), "x").expect("a file");
    agree("deep", &hosted(&root, "gnu"));
}

#[test]
fn a_large_file() {
    let scratch = Scratch::new();
    let root = scratch.0.join("r");
    fs::create_dir(&root).expect("a folder");
    let mut rng = Rng(9);
    let mut large = Vec::new();
    while large.len() < 20_000_000 {
        large.extend(structured(&mut rng, 100_000));
    }
    fs::write(root.join("large"), &large).expect("a file");
    fs::write(root.join("edge"), structured(&mut rng, 10240)).expect("a file");
    agree("large", &hosted(&root, "gnu"));
}

/// Trees of this machine, as far as they are there.
#[test]
fn installed_trees() {
    let folders =
        ["/usr/include/linux", "/usr/share/perl5", "/usr/share/bash-completion", "/etc/alternatives"];
    let there: Vec<_> = folders.iter().map(Path::new).filter(|path| path.is_dir()).collect();
    assert!(!there.is_empty(), "none of {folders:?} exists");
    for folder in there {
        agree(&folder.display().to_string(), &hosted(folder, "pax"));
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b", "-C"])
        .arg(folder)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git must be installed for this comparison");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What hosts serve is what `git archive` makes: a global pax header, pax long names, umask 002.
#[test]
fn what_git_archives() {
    for seed in 1000..1040 {
        let mut rng = Rng(seed);
        let scratch = Scratch::new();
        fs::write(scratch.0.join("package.json"), "{}").expect("a file");
        grow(&mut rng, &scratch.0, 5, &mut Vec::new());
        git(&scratch.0, &["init", "-q"]);
        git(&scratch.0, &["add", "-A"]);
        git(&scratch.0, &["commit", "-q", "-m", "all"]);
        let archive =
            git(&scratch.0, &["archive", "--format=tar.gz", "--prefix=name-0123456789abcdef/", "HEAD"]);
        agree(&format!("seed {seed}"), &archive);
    }
}

/// An archive made entry by entry, as no folder could be packed: `f644 name`, `d755 name/`, `l777 name
/// target`, `h644 name target`, and `e644 name` for an empty file. Other files hold the text that describes
/// them.
fn archive(entries: &[&str]) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new());
    for entry in entries {
        let mut words = entry.split(' ').map(str::as_bytes);
        let (how, name) = (words.next().expect("how"), words.next().expect("a name"));
        let target = words.next().unwrap_or_default();
        let mode = u32::from_str_radix(&entry[1..how.len()], 8).expect("a mode");
        let kind = match how[0] {
            b'f' => EntryKind::File(entry.as_bytes()),
            b'e' => EntryKind::File(b""),
            b'd' => EntryKind::Directory,
            b'l' => EntryKind::Symlink(target),
            _ => EntryKind::HardLink(target),
        };
        packer.append(name, mode, kind).expect("memory");
    }
    compress(&packer.finish().expect("memory"))
}

/// What is tried, and the entries of the archive.
type Case = (&'static str, &'static [&'static str]);

const BOTH_UNPACK: &[Case] = &[
    ("nothing", &[]),
    ("the top only", &["d700 r/"]),
    ("implied folders", &["f644 r/a/b/c"]),
    ("folder after its files", &["f644 r/a/b", "d700 r/a/"]),
    ("folder twice", &["d700 r/a/", "d755 r/a/"]),
    ("folder twice, less", &["d755 r/a/", "d700 r/a/"]),
    ("locked folder", &["d555 r/a/", "f644 r/a/b"]),
    ("file twice", &["f755 r/a", "f644 r/a"]),
    ("near link then file", &["l777 r/a b", "f644 r/a", "f600 r/b"]),
    ("file then far link", &["f644 r/a", "l777 r/a ../b"]),
    ("near link twice", &["l777 r/a x", "l777 r/a y"]),
    ("near link with two names", &["l777 r/b x", "h777 r/a r/b"]),
    ("far link with two names", &["l777 r/b ../x", "h777 r/a r/b"]),
    ("absolute link with three names", &["l777 r/b /x", "h777 r/a r/b", "h777 r/c r/a"]),
    ("two names, then one", &["f644 r/a", "h644 r/b r/a", "f644 r/a"]),
    ("second name again", &["f644 r/a", "h644 r/a r/a"]),
    ("second name over a file", &["f644 r/a", "f755 r/b", "h0 r/b r/a"]),
    ("other tops", &["f644 r/a", "f644 s/b", "f755 s/a", "h644 t/c s/b"]),
    ("beside the top", &["f666 pax_global_header", "f644 r/a"]),
    ("idle parts", &["d755 r/./a//b/.", "f644 r/c", "f644 ./r/d", "h644 r/e r/.//c"]),
    ("file with a slash", &["e755 r/a/", "f644 r/a/b"]),
    ("set-user-id", &["f7777 r/a", "d7777 r/b/"]),
];

const BOTH_REFUSE: &[Case] = &[
    ("parent", &["f644 r/../a"]),
    ("parent first", &["f644 ../r/a"]),
    ("through a file", &["f644 r/a", "f644 r/a/b"]),
    ("through a far link", &["l777 r/a ../..", "f644 r/a/b"]),
    ("file over a full folder", &["f644 r/a/b", "f644 r/a"]),
    ("no target", &["h644 r/a r/b"]),
    ("a folder as target", &["d755 r/b/", "h644 r/a r/b"]),
];

#[test]
fn odd_archives_that_both_unpack() {
    for (label, entries) in BOTH_UNPACK {
        agree(label, &archive(entries));
    }
}

#[test]
fn what_tar_refuses_is_refused() {
    for (label, entries) in BOTH_REFUSE {
        let archive = archive(entries);
        assert_eq!(reference(&archive), None, "{label}: tar unpacks it");
        assert!(repack(&archive[..], LIMIT).is_err(), "{label}");
    }
}

#[test]
fn no_archive_at_all_is_refused_like_tar_does() {
    let whole = archive(&["f644 r/a"]);
    for (label, bytes) in [
        ("no bytes", &b""[..]),
        ("text", &b"<html>not found</html>"[..]),
        ("half", &whole[..whole.len() / 2]),
    ] {
        assert_eq!(reference(bytes), None, "{label}: tar unpacks it");
        assert!(repack(bytes, LIMIT).is_err(), "{label}");
    }
    agree("an empty gzip file", &compress(b""));
}

/// What nixpkgs' tool makes of it outside of the sandbox: as root, and under another umask.
#[test]
fn other_users_permissions_are_those_that_gnu_tar_gives_them() {
    let archive = compress(&packed());
    for (setup, mut user, modes) in [
        ("022", Command::new("sh"), Modes::ROOT),
        ("002", shell(), Modes::umask(0o002)),
        ("077", shell(), Modes::umask(0o077)),
    ] {
        let scratch = Scratch::new();
        let script = SCRIPT.replace("umask 022", &format!("umask {setup}"));
        let mut child =
            user.args(["-c", &script, "sh"]).arg(&scratch.0).stdin(Stdio::piped()).spawn().expect("sh");
        child.stdin.take().expect("a pipe").write_all(&archive).expect("all of it");
        assert!(child.wait().expect("an end").success(), "root is needed to be root");
        let expected = fs::read(scratch.0.join("out.tar.gz")).expect("the new archive");
        assert!(repack_as(&archive[..], LIMIT, modes).expect("an archive").bytes == expected, "{modes:?}");
    }
}

/// A folder with modes as git hosts write them, one of which no entry describes.
fn packed() -> Vec<u8> {
    let mut packer = Packer::new(Vec::new());
    for (name, mode, kind) in [
        (&b"top/"[..], 0o775, EntryKind::Directory),
        (b"top/bin/run.sh", 0o775, EntryKind::File(b"#!/bin/sh\n")),
        (b"top/lib/", 0o775, EntryKind::Directory),
        (b"top/lib/a.js", 0o664, EntryKind::File(b"1\n")),
        (b"top/package.json", 0o664, EntryKind::File(b"{}\n")),
    ] {
        packer.append(name, mode, kind).expect("an entry");
    }
    packer.finish().expect("an archive")
}
