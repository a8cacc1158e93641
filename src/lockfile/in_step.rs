//! Whether a lockfile holds what the manifests beside it ask for.
//!
//! `npm ci` builds the tree that the manifests want on top of the lockfile, and refuses if that is another tree than the
//! lockfile's. So it does where a dependency of the project or of a workspace is missing from the lockfile, or is locked
//! in a version, from a repository or from a place that the manifest's text does not allow. Here the same is asked, for those
//! dependencies alone and without a registry. What this module cannot read (`catalog:`, code hosts that it does not
//! know, `workspace:`) counts as satisfied: a false alarm would be worse.

mod spec;

use std::collections::{BTreeMap, HashMap};

use nodejs_semver::Version as Semver;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use self::spec::{Spec, git_repository, same_path};
use super::{
    packages::is_installed,
    text::{Entries, Flag, Text},
};

/// A dependency that the lockfile does not hold as its manifest asks for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disagreement {
    /// The folder of the manifest, as seen from the lockfile's; empty for the project's own.
    pub folder: String,
    /// The dependency.
    pub name: String,
    /// What the manifest says.
    pub wanted: String,
    /// What is locked; nothing if it is missing.
    pub locked: Option<String>,
}

/// A manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its folder, as seen from the lockfile's; empty for the project's own.
    pub folder: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "lockfileVersion")]
    version: u64,
    #[serde(borrow, default)]
    packages: Option<Entries<'a, Locked<'a>>>,
    #[serde(borrow, default)]
    dependencies: Option<Entries<'a, Locked<'a>>>,
}

/// What is locked, and of the project and its workspaces what they were locked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locked<'a> {
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(borrow, default)]
    resolved: Text<'a>,
    #[serde(default)]
    link: Flag,
    #[serde(borrow, default)]
    dependencies: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dev_dependencies: Option<&'a RawValue>,
    #[serde(borrow, default)]
    optional_dependencies: Option<&'a RawValue>,
    #[serde(borrow, default)]
    peer_dependencies: Option<&'a RawValue>,
}

/// How a manifest depends on something. Of two the later one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Peer,
    Plain,
    Optional,
    Dev,
}

const KINDS: [(&str, Kind); 4] = [
    ("peerDependencies", Kind::Peer),
    ("dependencies", Kind::Plain),
    ("optionalDependencies", Kind::Optional),
    ("devDependencies", Kind::Dev),
];

/// Everything that `npm ci` would refuse the lockfile for, as far as it can be known; nothing for what is no lockfile.
#[must_use]
pub fn disagreements(lockfile: &[u8], manifests: &[Manifest]) -> Vec<Disagreement> {
    let Ok(document) = serde_json::from_slice::<Document<'_>>(lockfile) else { return Vec::new() };
    let entries = if document.version == 1 { document.dependencies } else { document.packages };
    let entries = entries.unwrap_or_default();
    let known: HashMap<&str, &Locked<'_>> =
        entries.list.iter().map(|(place, entry)| (&**place, entry)).collect();
    let view = View { known, nested: document.version == 1 };
    let parsed: Vec<(&str, Map<String, Value>)> = manifests
        .iter()
        .filter_map(|manifest| Some((&*manifest.folder, serde_json::from_slice(&manifest.bytes).ok()?)))
        .collect();
    let overridden = parsed.iter().find(|(folder, _)| folder.is_empty()).map(|(_, root)| overridden(root));
    let overridden = overridden.unwrap_or_default();
    let mut found = Vec::new();
    for (folder, manifest) in &parsed {
        for (name, (kind, wanted)) in wanted(manifest) {
            // npm accepts overrides of the project's own dependencies only where they say the same.
            let skipped = !folder.is_empty() && overridden.contains(&name);
            if skipped || view.holds(folder, &name, &wanted, kind) {
                continue;
            }
            let locked = view.locked(folder, &name).map(Locked::described);
            found.push(Disagreement { folder: (*folder).to_owned(), name, wanted, locked });
        }
    }
    found.sort();
    found
}

/// What a manifest asks for, each name once.
fn wanted(manifest: &Map<String, Value>) -> BTreeMap<String, (Kind, String)> {
    let mut all = BTreeMap::new();
    let is_optional_peer = |name: &str| {
        let meta = manifest.get("peerDependenciesMeta").and_then(|meta| meta.get(name)?.get("optional"));
        meta.and_then(Value::as_bool) == Some(true)
    };
    for (field, kind) in KINDS {
        for (name, spec) in manifest.get(field).and_then(Value::as_object).into_iter().flatten() {
            let Some(spec) = spec.as_str() else { continue };
            if kind != Kind::Peer || !is_optional_peer(name) {
                all.insert(name.clone(), (kind, spec.to_owned()));
            }
        }
    }
    all
}

/// The names that `overrides` speaks of.
fn overridden(root: &Map<String, Value>) -> Vec<String> {
    let names = root.get("overrides").and_then(Value::as_object).into_iter().flatten();
    let name = |key: &String| match key.char_indices().skip(1).find(|(_, c)| *c == '@') {
        Some((at, _)) => key[..at].to_owned(),
        None => key.clone(),
    };
    names.map(|(key, _)| name(key)).collect()
}

/// A lockfile's entries by their places.
struct View<'a> {
    known: HashMap<&'a str, &'a Locked<'a>>,
    /// Version 1, whose places are names.
    nested: bool,
}

impl<'a> View<'a> {
    /// What a manifest in a folder gets when it asks for a name.
    fn locked(&self, folder: &str, name: &str) -> Option<&'a Locked<'a>> {
        if self.nested {
            return self.known.get(name).copied();
        }
        let mut folder = folder;
        loop {
            let slash = if folder.is_empty() { "" } else { "/" };
            if let Some(entry) = self.known.get(format!("{folder}{slash}node_modules/{name}").as_str()) {
                return Some(entry);
            }
            if folder.is_empty() {
                return None;
            }
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }

    /// Whether the lockfile says that it was made for exactly this.
    fn was_made_for(&self, folder: &str, name: &str, wanted: &str) -> bool {
        let Some(entry) = self.known.get(folder).filter(|_| !self.nested) else { return false };
        let fields = [
            entry.dependencies,
            entry.dev_dependencies,
            entry.optional_dependencies,
            entry.peer_dependencies,
        ];
        let says = |field: &RawValue| {
            let names: Map<String, Value> = serde_json::from_str(field.get()).unwrap_or_default();
            names.get(name).and_then(Value::as_str) == Some(wanted)
        };
        fields.into_iter().flatten().any(says)
    }

    fn holds(&self, folder: &str, name: &str, wanted: &str, kind: Kind) -> bool {
        // Peers may be left out by `legacy-peer-deps`, optional packages where no registry has them: what the lockfile
        // was made for was accepted by npm then.
        let lenient = matches!(kind, Kind::Peer | Kind::Optional);
        if lenient && (self.nested || self.was_made_for(folder, name, wanted)) {
            return true;
        }
        match self.locked(folder, name) {
            None => false,
            Some(entry) => self.satisfies(entry, folder, wanted),
        }
    }

    fn satisfies(&self, entry: &Locked<'_>, folder: &str, wanted: &str) -> bool {
        let resolved = entry.resolved.as_deref();
        match Spec::parse(wanted) {
            Spec::Any | Spec::Tag | Spec::Unknown => true,
            Spec::Range(range) => self.version_of(entry).is_none_or(|version| version.satisfies(&range)),
            Spec::Path(path) => {
                let target = if self.nested { entry.version.as_deref() } else { resolved };
                target.is_some_and(|target| same_path(folder, &path, target, entry.link.0))
            }
            Spec::Url(url) => {
                let source = if self.nested { entry.version.as_deref() } else { resolved };
                source.is_some_and(|source| source == url)
            }
            Spec::Git { repository, commit } => {
                let source = if self.nested { entry.version.as_deref() } else { resolved };
                let Some((locked, locked_commit)) = source.and_then(git_repository) else { return false };
                locked == repository && commit.is_none_or(|commit| Some(commit) == locked_commit)
            }
        }
    }

    /// The version of an entry, of a link that of its target.
    fn version_of(&self, entry: &Locked<'_>) -> Option<Semver> {
        let target = entry.resolved.as_deref().filter(|_| entry.link.0);
        let text = match target {
            Some(target) => self.known.get(target)?.version.as_deref()?,
            None => entry.version.as_deref()?,
        };
        let text =
            text.strip_prefix("npm:").map_or(text, |alias| alias.rsplit_once('@').map_or(alias, |(_, v)| v));
        Semver::parse(text).ok()
    }
}

impl Locked<'_> {
    /// What people are told of it.
    fn described(&self) -> String {
        let place = self.resolved.as_deref().filter(|_| self.link.0 || self.version.as_deref().is_none());
        let text = place.or(self.version.as_deref()).unwrap_or("something else");
        crate::redaction::redacted(text)
    }
}

/// The folders of the workspaces that a lockfile knows.
#[must_use]
pub fn workspaces(lockfile: &[u8]) -> Vec<String> {
    let Ok(document) = serde_json::from_slice::<Document<'_>>(lockfile) else { return Vec::new() };
    let packages = document.packages.unwrap_or_default();
    let linked: Vec<&str> = packages
        .list
        .iter()
        .filter(|(_, entry)| entry.link.0)
        .filter_map(|(_, entry)| entry.resolved.as_deref())
        .collect();
    let folders = packages.list.iter().map(|(place, _)| &**place);
    let own = |place: &&str| {
        !place.is_empty() && !is_installed(place) && !place.starts_with("..") && linked.contains(place)
    };
    folders.filter(own).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
