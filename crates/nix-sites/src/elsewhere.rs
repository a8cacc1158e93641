//! Hashes of dependencies that are not npm's: who keeps them, and who can change them.
//!
//! A look at the tokens, not an evaluation: it only tells a user of pnpm, yarn, bun, Cargo or Go why no derivation of theirs
//! is named, and where to go.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use nix_lang::files::MAX_BYTES;
use nix_lang::place::Place;
use nix_lang::syntax::check_runs;
use rnix::{SyntaxKind, tokenize};

/// Whose dependencies they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecosystem {
    /// pnpm
    Pnpm,
    /// yarn, classic or berry
    Yarn,
    /// bun, by bun2nix
    Bun,
    /// Cargo
    Cargo,
    /// Go modules
    Go,
}

impl Ecosystem {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
            Self::Bun => "bun",
            Self::Cargo => "Cargo",
            Self::Go => "Go",
        }
    }

    /// Who changes such hashes.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Bun => "`bun2nix` writes bun.nix from bun.lock, without a hash of the whole",
            Self::Pnpm | Self::Yarn | Self::Cargo | Self::Go => {
                "nix-update changes such hashes, by building: https://github.com/Mic92/nix-update"
            }
        }
    }

    /// Whether packages of the npm registry are fetched.
    #[must_use]
    pub fn is_of_npm_packages(self) -> bool {
        matches!(self, Self::Pnpm | Self::Yarn | Self::Bun)
    }
}

/// The dependencies of one kind in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Whose.
    pub ecosystem: Ecosystem,
    /// The word by which they are recognised.
    pub word: String,
    /// Where it stands first.
    pub place: Place,
    /// How often there is one.
    pub count: usize,
}

/// A word, and what follows where it means dependencies and no name that is handed on.
struct Word {
    text: &'static str,
    follows: Follows,
    ecosystem: Ecosystem,
}

#[derive(PartialEq)]
enum Follows {
    /// An argument: the word is a function that is called.
    Argument,
    /// `=` and something other than `null`: the word is an attribute that holds a hash.
    Value,
}

const fn call(text: &'static str, ecosystem: Ecosystem) -> Word {
    Word { text, follows: Follows::Argument, ecosystem }
}

const fn value(text: &'static str, ecosystem: Ecosystem) -> Word {
    Word { text, follows: Follows::Value, ecosystem }
}

/// As nixpkgs, bun2nix and older releases of them write it. `fetchDeps` counts behind `pnpm` or `pnpm_9` alone,
/// `mkDerivation` behind `bun2nix`.
const WORDS: [Word; 17] = [
    call("fetchPnpmDeps", Ecosystem::Pnpm),
    call("fetchDeps", Ecosystem::Pnpm),
    value("pnpmDepsHash", Ecosystem::Pnpm),
    call("fetchYarnDeps", Ecosystem::Yarn),
    call("fetchYarnBerryDeps", Ecosystem::Yarn),
    call("mkYarnPackage", Ecosystem::Yarn),
    call("mkYarnModules", Ecosystem::Yarn),
    value("yarnOfflineCache", Ecosystem::Yarn),
    call("fetchBunDeps", Ecosystem::Bun),
    call("mkBunDerivation", Ecosystem::Bun),
    call("mkDerivation", Ecosystem::Bun),
    call("fetchCargoVendor", Ecosystem::Cargo),
    call("fetchCargoTarball", Ecosystem::Cargo),
    value("cargoHash", Ecosystem::Cargo),
    value("cargoSha256", Ecosystem::Cargo),
    value("vendorHash", Ecosystem::Go),
    value("vendorSha256", Ecosystem::Go),
];

/// What these files of a repository have of this where they are at or below one of `places`, by ecosystem.
#[must_use]
pub fn elsewhere(nix: &BTreeSet<PathBuf>, places: &[PathBuf]) -> Vec<Elsewhere> {
    let mut all: Vec<Elsewhere> = Vec::new();
    for path in nix {
        if !places.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        for found in read(path).map(|text| look(path, &text)).unwrap_or_default() {
            match all.iter_mut().find(|known| known.ecosystem == found.ecosystem) {
                Some(known) => known.count += 1,
                None => all.push(found),
            }
        }
    }
    all.sort_by_key(|found| found.ecosystem);
    all
}

/// What cannot be read, the survey tells.
fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_BYTES + 1).read_to_string(&mut text).ok()?;
    let bounded = text.len() as u64 <= MAX_BYTES && check_runs(&text).is_ok();
    bounded.then_some(text)
}

/// A token that is neither white space nor a comment, and where it begins.
type PlacedToken<'a> = (SyntaxKind, &'a str, usize);

fn look(path: &Path, text: &str) -> Vec<Elsewhere> {
    if !WORDS.iter().any(|word| text.contains(word.text)) {
        return Vec::new();
    }
    let mut offset = 0;
    let mut tokens: Vec<PlacedToken<'_>> = Vec::new();
    for (kind, token) in tokenize(text) {
        if !matches!(kind, SyntaxKind::TOKEN_WHITESPACE | SyntaxKind::TOKEN_COMMENT) {
            tokens.push((kind, token, offset));
        }
        offset += token.len();
    }
    let found = (0..tokens.len()).filter_map(|at| {
        let word =
            WORDS.iter().find(|word| tokens[at].0 == SyntaxKind::TOKEN_IDENT && word.text == tokens[at].1)?;
        is_meant(word, &tokens, at).then(|| Elsewhere {
            ecosystem: word.ecosystem,
            word: word.text.to_owned(),
            place: place(path, text, tokens[at].2),
            count: 1,
        })
    });
    found.collect()
}

fn is_meant(word: &Word, tokens: &[PlacedToken<'_>], at: usize) -> bool {
    let kind = |at: usize| tokens.get(at).map(|token| token.0);
    let follows = match word.follows {
        Follows::Argument => matches!(
            kind(at + 1),
            Some(SyntaxKind::TOKEN_L_BRACE | SyntaxKind::TOKEN_L_PAREN | SyntaxKind::TOKEN_REC)
        ),
        Follows::Value => {
            // `vendorHash = null;` says that the modules are in the source, and that there is no hash.
            kind(at + 1) == Some(SyntaxKind::TOKEN_ASSIGN)
                && tokens.get(at + 2).is_some_and(|next| next.1 != "null")
        }
    };
    let left = || {
        let dot = at.checked_sub(1)?;
        (kind(dot) == Some(SyntaxKind::TOKEN_DOT)).then(|| dot.checked_sub(1).map(|at| tokens[at].1))?
    };
    let is_theirs = match word.text {
        "fetchDeps" => left().is_some_and(|word| word == "pnpm" || word.starts_with("pnpm_")),
        "mkDerivation" => left() == Some("bun2nix"),
        _ => true,
    };
    follows && is_theirs
}

fn place(file: &Path, text: &str, offset: usize) -> Place {
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    Place {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[start..].chars().count() + 1,
    }
}
