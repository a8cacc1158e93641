//! The platforms that a package is limited to, and those that Nix builds for.

use std::borrow::Cow;

/// A platform as npm names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct System {
    os: &'static str,
    cpu: &'static str,
}

/// nixpkgs' names, each with npm's (`process.platform`, `process.arch`).
const SYSTEMS: [(&str, System); 10] = [
    ("aarch64-darwin", System { os: "darwin", cpu: "arm64" }),
    ("aarch64-linux", System { os: "linux", cpu: "arm64" }),
    ("armv6l-linux", System { os: "linux", cpu: "arm" }),
    ("armv7l-linux", System { os: "linux", cpu: "arm" }),
    ("i686-linux", System { os: "linux", cpu: "ia32" }),
    ("powerpc64le-linux", System { os: "linux", cpu: "ppc64" }),
    ("riscv64-linux", System { os: "linux", cpu: "riscv64" }),
    ("x86_64-darwin", System { os: "darwin", cpu: "x64" }),
    ("x86_64-freebsd", System { os: "freebsd", cpu: "x64" }),
    ("x86_64-linux", System { os: "linux", cpu: "x64" }),
];

impl System {
    /// The one that nixpkgs calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        SYSTEMS.iter().find(|(own, _)| *own == name).map(|(_, system)| *system)
    }

    /// What a package says of `os` and `cpu`: whether npm installs it there.
    #[must_use]
    pub fn is_admitted(self, os: &[String], cpu: &[String]) -> bool {
        admits(os, self.os) && admits(cpu, self.cpu)
    }

    /// Whether the C library matters there.
    #[must_use]
    pub fn is_linux(self) -> bool {
        self.os == "linux"
    }

    /// The systems that attribute paths name (`packages.x86_64-linux.web`), each once.
    #[must_use]
    pub fn named_in<'a>(attr_paths: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let words = attr_paths.flat_map(|path| path.split('.'));
        let named = |word: &str| Self::named(word.trim_matches('"'));
        let mut systems: Vec<_> = words.filter_map(named).collect();
        systems.sort_unstable();
        systems.dedup();
        systems
    }
}

/// `os`, `cpu` and `libc` of an entry, of which at least one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    os: Vec<String>,
    cpu: Vec<String>,
    libc: Vec<String>,
}

impl Limits {
    /// `None` if there are none.
    pub(super) fn of(os: &[Cow<'_, str>], cpu: &[Cow<'_, str>], libc: &[Cow<'_, str>]) -> Option<Self> {
        if os.is_empty() && cpu.is_empty() && libc.is_empty() {
            return None;
        }
        let [os, cpu, libc] =
            [os, cpu, libc].map(|words| words.iter().map(|word| word.clone().into_owned()).collect());
        Some(Self { os, cpu, libc })
    }

    /// Whether npm installs the package there. The C library of nixpkgs' Linux is glibc.
    #[must_use]
    pub(crate) fn admit(&self, system: &System) -> bool {
        let libc = if system.is_linux() { admits(&self.libc, GLIBC) } else { self.libc.is_empty() };
        system.is_admitted(&self.os, &self.cpu) && libc
    }
}

/// The C library of nixpkgs' Linux, as npm calls it.
pub const GLIBC: &str = "glibc";

/// npm's reading of such a list: words with `!` exclude, `any` is everything.
#[must_use]
pub fn admits(words: &[String], own: &str) -> bool {
    let excluded = words.iter().any(|word| word.strip_prefix('!') == Some(own));
    let mut listed = words.iter().filter(|word| !word.starts_with('!')).peekable();
    !excluded && (listed.peek().is_none() || listed.any(|word| word == own || word == "any"))
}
