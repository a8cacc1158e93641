//! What should be known of a site although its hash is right: things that break nixpkgs' build later.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{lockfile::completeness::Respelled, nix::Site, redaction::redacted};

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
                "{} has other line ends than git has for it; the hash is that of git's bytes, which Nix builds from",
                path.file_name().unwrap_or_default().display()
            ),
            Self::OldNixpkgs { input, day } => write!(
                f,
                "flake.lock has `{input}` of {day}: before 2026-02-15 nixpkgs kept more of a packument, so its fetcher \
                 version 2 gives another hash than this one"
            ),
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
                format!("`nix flake update {input}`, or use fetcher version 1 as long as it is that old")
            }
        }
    }
}

/// When nixpkgs' fetcher version 2 began to drop what packuments say of a tarball besides its URL and integrity.
const TRIMMED: u64 = 1_771_113_600;

/// Whether the flake around a site pins a nixpkgs that makes another tree of fetcher version 2.
///
/// Which of several inputs a derivation comes from is not followed: only where all are that old it is known.
pub(super) fn old_nixpkgs(site: &Site) -> Option<SiteWarning> {
    if site.options.fetcher_version < 2 {
        return None;
    }
    let lock =
        site.place.file.ancestors().skip(1).find_map(|folder| read_lock(&folder.join("flake.lock")))?;
    let pinned = nixpkgs_inputs(&lock);
    let old = pinned.iter().all(|(_, modified)| *modified < TRIMMED);
    let (input, modified) = pinned.into_iter().max_by_key(|(_, modified)| *modified).filter(|_| old)?;
    let day =
        humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(modified)).to_string();
    Some(SiteWarning::OldNixpkgs { input, day: day.get(..10)?.to_owned() })
}

fn read_lock(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// The flake's own inputs that are nixpkgs, each with its age.
fn nixpkgs_inputs(lock: &Value) -> Vec<(String, u64)> {
    let nodes = &lock["nodes"];
    let root = lock["root"].as_str().unwrap_or("root");
    let inputs = nodes[root]["inputs"].as_object().into_iter().flatten();
    let own = |(name, node): (&String, &Value)| {
        // A list is a path through other inputs (`follows`), and its end is one of the nodes, too.
        let locked = &nodes[node.as_str()?]["locked"];
        let named = |key: &str| {
            locked[key].as_str().is_some_and(|text| text.to_ascii_lowercase().contains("nixpkgs"))
        };
        let is_nixpkgs = named("repo") || named("url");
        let modified = locked["lastModified"].as_u64().filter(|seconds| *seconds < 253_402_300_800)?;
        is_nixpkgs.then(|| (name.clone(), modified))
    };
    inputs.filter_map(own).collect()
}
