//! What should be known of a site although its hash is right: things that break nixpkgs' build later.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fmt, fs};

use nix_sites::Site;
use npm_lockfile::completeness::Respelled;
use npm_tarballs::redaction::redacted;
use serde_json::Value;

/// Something that should be known of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteWarning {
    /// URLs of its lockfile that nixpkgs' build looks up as they are written.
    Respelled(Vec<Respelled>),
    /// The lockfile's line ends in the working tree are not those that git has; the hash is that of git's bytes.
    LineEnds(PathBuf),
    /// nixpkgs is so old that its fetcher version 2 makes another tree.
    OldNixpkgs {
        /// The flake's input.
        input: String,
        /// The day that `flake.lock` tells of it.
        day: String,
        /// Another nixpkgs is an input, too, which is not that old: which of them builds the site is not known.
        beside_newer: bool,
    },
}

impl fmt::Display for SiteWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respelled(urls) => {
                let more =
                    if urls.len() > 1 { format!(" (and {} more)", urls.len() - 1) } else { String::new() };
                let first = urls.first().map(|url| (redacted(&url.written), &url.place));
                let (written, place) = first.unzip();
                write!(
                    f,
                    "{}: `resolved` is not written as the URL standard writes it{more}, and nixpkgs' build panics on that: {}",
                    place.map_or("", |place| place),
                    written.unwrap_or_default()
                )
            }
            Self::LineEnds(path) => write!(
                f,
                "{} has other line endings than it has in git; the hash is that of git's bytes, which Nix builds from",
                path.file_name().unwrap_or_default().display()
            ),
            Self::OldNixpkgs { input, day, beside_newer } => {
                let other = if *beside_newer { " (if the derivation is built with that one)" } else { "" };
                write!(
                    f,
                    "flake.lock has `{input}` of {day}: before 2026-02-15 nixpkgs kept more of a packument, so its fetcher \
                     version 2 gives another hash than this one{other}"
                )
            }
        }
    }
}

impl SiteWarning {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Respelled(urls) => urls.first().map_or_else(String::new, |url| {
                format!("write {} there (nixpkgs#496687)", redacted(&url.canonical))
            }),
            Self::LineEnds(_) => {
                "write `package-lock.json text eol=lf` into .gitattributes, then check the file out again"
                    .to_owned()
            }
            Self::OldNixpkgs { input, .. } => {
                format!("`nix flake update {input}`, or use fetcher version 1 while it is that old")
            }
        }
    }
}

/// When nixpkgs' fetcher version 2 began to drop what packuments say of a tarball besides its URL and integrity.
const TRIMMED: u64 = 1_771_113_600;

/// Whether the flake around a site pins a nixpkgs that makes another tree of fetcher version 2.
///
/// Which of several inputs a derivation is built with is not followed: where some are that old, that is what is said.
pub(super) fn old_nixpkgs(site: &Site) -> Option<SiteWarning> {
    if site.options.fetcher_version < 2 {
        return None;
    }
    let lock =
        site.place.file.ancestors().skip(1).find_map(|folder| read_lock(&folder.join("flake.lock")))?;
    let pinned = nixpkgs_inputs(&lock);
    let is_old = |(_, modified): &&(String, u64)| *modified < TRIMMED;
    let beside_newer = !pinned.iter().all(|one| is_old(&one));
    let (input, modified) = pinned.iter().filter(is_old).max_by_key(|(_, modified)| *modified)?.clone();
    let day =
        humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(modified)).to_string();
    Some(SiteWarning::OldNixpkgs { input, day: day.get(..10)?.to_owned(), beside_newer })
}

fn read_lock(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// The flake's own inputs that are nixpkgs, each with its age.
fn nixpkgs_inputs(lock: &Value) -> Vec<(String, u64)> {
    let root = lock["root"].as_str().unwrap_or("root");
    let inputs = lock["nodes"][root]["inputs"].as_object().into_iter().flatten();
    let own = |(name, input): (&String, &Value)| {
        let locked = &lock["nodes"][node_of(lock, root, input, DEEPEST)?]["locked"];
        let named = |key: &str| {
            locked[key].as_str().is_some_and(|text| text.to_ascii_lowercase().contains("nixpkgs"))
        };
        // A channel's tarball says nothing of its content; its input is usually called so.
        let is_nixpkgs = named("repo") || named("url") || name == "nixpkgs";
        let modified = locked["lastModified"].as_u64().filter(|seconds| *seconds < 253_402_300_800)?;
        is_nixpkgs.then(|| (name.clone(), modified))
    };
    inputs.filter_map(own).collect()
}

/// How far `follows` is followed, which may lead round in a file that no Nix wrote.
const DEEPEST: usize = 32;

/// The node that an input leads to: its name, or with `follows` the names of inputs that lead to it from the root.
fn node_of<'a>(lock: &'a Value, root: &'a str, input: &'a Value, left: usize) -> Option<&'a str> {
    if let Some(node) = input.as_str() {
        return Some(node);
    }
    let left = left.checked_sub(1)?;
    input.as_array()?.iter().try_fold(root, |node, name| {
        node_of(lock, root, &lock["nodes"][node]["inputs"][name.as_str()?], left)
    })
}
