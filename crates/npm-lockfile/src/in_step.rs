//! Whether a lockfile holds what the manifests beside it ask for.
//!
//! `npm ci` builds the tree that the manifests want on top of the lockfile, and refuses if that is another tree than the
//! lockfile's. So it does where a workspace is missing from the lockfile; where a dependency of the project, of a workspace
//! or of a folder that one of them depends on is missing, or is locked in a version, from a repository or from a place that
//! the manifest's text does not allow; and where an override of the project wants another version than is locked. Overrides
//! in workspaces mean nothing to npm. Here the same is asked, for those dependencies alone and without a registry. What this
//! module cannot read (`catalog:`, code hosts that it does not know, `workspace:`, overrides of some versions or below some
//! packages) counts as satisfied: a false alarm would be worse.

mod spec;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use memchr::{memchr, memmem};
use nodejs_semver::Version as Semver;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use self::spec::{Spec, git_repository, same_path};
use super::entries::{Flat, Nested};
use super::tree::{LockedEntries, LockedTree};
use super::{is_installed, package_name, search};

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
pub struct ManifestFile {
    /// Its folder, as seen from the lockfile's; empty for the project's own.
    pub folder: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The project names its folder as a workspace.
    pub is_workspace: bool,
}

/// What is locked, and of the project and its workspaces what they were locked for.
#[derive(Clone, Copy, Default)]
struct Locked<'a> {
    version: Option<&'a str>,
    resolved: Option<&'a str>,
    link: bool,
    in_bundle: bool,
    dependencies: Option<&'a RawValue>,
    dev_dependencies: Option<&'a RawValue>,
    optional_dependencies: Option<&'a RawValue>,
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

/// The globs by which a manifest names its workspaces, in their order.
#[must_use]
pub fn workspace_globs(manifest: &[u8]) -> Vec<String> {
    // Most name none, and need not be read for that. A backslash may spell the letters otherwise.
    if memmem::find(manifest, b"workspaces").is_none() && memchr(b'\\', manifest).is_none() {
        return Vec::new();
    }
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let field = manifest.get("workspaces");
    let list = field.and_then(|field| field.as_array().or_else(|| field.get("packages")?.as_array()));
    list.into_iter().flatten().filter_map(|glob| glob.as_str().map(str::to_owned)).collect()
}

impl LockedTree<'_> {
    /// The manifests that `npm ci` goes by: the project's, those of its workspaces, and those of folders that one of these
    /// depends on. `read` reads the manifest of a folder.
    #[must_use]
    pub fn manifests(
        &self,
        workspaces: impl IntoIterator<Item = String>,
        read: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Vec<ManifestFile> {
        let view = View::of(self);
        let has_links = view.known.values().any(|entry| entry.link);
        let mut queue: Vec<(String, bool)> = workspaces.into_iter().map(|folder| (folder, true)).collect();
        queue.push((String::new(), false));
        let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
        while let Some((folder, is_workspace)) = queue.pop() {
            let Some(bytes) =
                Some(&folder).filter(|folder| seen.insert((*folder).clone())).and_then(|it| read(it))
            else {
                continue;
            };
            if has_links {
                let parsed: Map<String, Value> = serde_json::from_slice(&bytes).unwrap_or_default();
                let linked = wanted(&parsed).into_keys().filter_map(|name| view.folder_of(&folder, &name));
                // A workspace that another one depends on is in the queue already.
                queue.splice(0..0, linked.map(|folder| (folder, false)));
            }
            all.push(ManifestFile { folder, bytes, is_workspace });
        }
        all.sort_by(|a, b| a.folder.cmp(&b.folder));
        all
    }

    /// Everything that `npm ci` would refuse the lockfile for, as far as it can be known.
    #[must_use]
    pub fn disagreements(&self, manifests: &[ManifestFile]) -> Vec<Disagreement> {
        let view = View::of(self);
        let parsed: Vec<(&ManifestFile, Map<String, Value>)> = manifests
            .iter()
            .filter_map(|manifest| Some((manifest, serde_json::from_slice(&manifest.bytes).ok()?)))
            .collect();
        let root = parsed.iter().find(|(manifest, _)| manifest.folder.is_empty()).map(|(_, root)| root);
        let overridden = root.map(overridden).unwrap_or_default();
        let mut found: Vec<Disagreement> = root.map(|root| view.overrides(root)).unwrap_or_default();
        for (ManifestFile { folder, is_workspace, .. }, manifest) in &parsed {
            if *is_workspace && let Some(missing) = view.missing_workspace(folder, manifest) {
                found.push(missing);
                continue;
            }
            for (name, (kind, wanted)) in wanted(manifest) {
                // npm accepts overrides of the project's own dependencies only where they say the same.
                let skipped = !folder.is_empty() && overridden.contains(&name);
                if skipped || view.holds(folder, &name, &wanted, kind) {
                    continue;
                }
                let locked = view.locked(folder, &name).map(Locked::described);
                found.push(Disagreement { folder: folder.clone(), name, wanted, locked });
            }
        }
        found.sort();
        found
    }
}

/// Whether a manifest says that a peer may be missing, so that npm does not install it.
#[must_use]
pub fn is_optional_peer(manifest: &Map<String, Value>, name: &str) -> bool {
    let meta = manifest.get("peerDependenciesMeta").and_then(|meta| meta.get(name)?.get("optional"));
    meta.and_then(Value::as_bool) == Some(true)
}

/// What a manifest asks for, each name once.
fn wanted(manifest: &Map<String, Value>) -> BTreeMap<String, (Kind, String)> {
    let mut all = BTreeMap::new();
    for (field, kind) in KINDS {
        for (name, spec) in manifest.get(field).and_then(Value::as_object).into_iter().flatten() {
            let Some(spec) = spec.as_str() else { continue };
            if kind != Kind::Peer || !is_optional_peer(manifest, name) {
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
    known: HashMap<&'a str, Locked<'a>, RandomState>,
    /// Version 1, whose places are names.
    nested: bool,
}

impl<'a> View<'a> {
    fn of(tree: &'a LockedTree<'_>) -> Self {
        match &tree.0 {
            LockedEntries::Flat(entries) => {
                let known = entries.list.iter().map(|(place, entry)| (&**place, Locked::flat(entry)));
                Self { known: known.collect(), nested: false }
            }
            LockedEntries::Nested(entries) => {
                let known = entries.list.iter().map(|(name, entry)| (&**name, Locked::nested(entry)));
                Self { known: known.collect(), nested: true }
            }
        }
    }

    /// What a manifest in a folder gets when it asks for a name.
    fn locked(&self, folder: &str, name: &str) -> Option<Locked<'a>> {
        if self.nested {
            return self.known.get(name).copied();
        }
        search(folder, name, |place| self.known.get(place).copied())
    }

    /// The folder of the project that a manifest gets as a link when it asks for a name.
    fn folder_of(&self, folder: &str, name: &str) -> Option<String> {
        let target = self.locked(folder, name).filter(|entry| entry.link)?.resolved?;
        // What is outside of the project is not part of what Nix builds.
        (!target.starts_with("..")).then(|| target.to_owned())
    }

    /// A workspace that is not there under its name.
    fn missing_workspace(&self, folder: &str, manifest: &Map<String, Value>) -> Option<Disagreement> {
        let own = manifest.get("name").and_then(Value::as_str);
        let name = own.unwrap_or_else(|| folder.rsplit('/').next().unwrap_or(folder));
        let missing = || Disagreement {
            folder: folder.to_owned(),
            name: name.to_owned(),
            wanted: format!("file:{folder}"),
            locked: None,
        };
        self.locked("", name).is_none().then(missing)
    }

    /// The overrides that want another version of something than is locked: those of one name alone, which hold wherever
    /// something depends on it. npm's rules for the others are not followed.
    fn overrides(&self, root: &Map<String, Value>) -> Vec<Disagreement> {
        let given = root.get("overrides").and_then(Value::as_object).filter(|_| !self.nested);
        let own = wanted(root);
        let disagreement = |(name, spec): (&String, &Value)| {
            let spec = spec.as_str()?;
            // `$name` is what the project itself asks for.
            let spec =
                spec.strip_prefix('$').map_or(Some(spec), |of| own.get(of).map(|(_, spec)| spec.as_str()))?;
            let Spec::Range(range) = Spec::parse(spec) else { return None };
            let other =
                self.known.iter().filter(|(place, _)| is_installed(place) && package_name(place) == name);
            let mut other: Vec<_> = other.filter(|(_, entry)| !entry.in_bundle && !entry.link).collect();
            other.sort_by_key(|(place, _)| **place);
            let version = |entry: Locked<'_>| Semver::parse(entry.version?).ok();
            let is_other =
                |entry: Locked<'_>| version(entry).is_some_and(|version| !version.satisfies(&range));
            let (_, entry) = other.into_iter().find(|(_, entry)| is_other(**entry))?;
            self.known.values().any(|from| from.depends_on(name)).then(|| Disagreement {
                folder: String::new(),
                name: name.clone(),
                wanted: spec.to_owned(),
                locked: Some(entry.described()),
            })
        };
        given.into_iter().flatten().filter_map(disagreement).collect()
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

    fn satisfies(&self, entry: Locked<'_>, folder: &str, wanted: &str) -> bool {
        let resolved = entry.resolved;
        match Spec::parse(wanted) {
            Spec::Any | Spec::Tag | Spec::Unknown => true,
            Spec::Range(range) => self.version_of(entry).is_none_or(|version| version.satisfies(&range)),
            Spec::Path(path) => {
                let target = if self.nested { entry.version } else { resolved };
                target.is_some_and(|target| same_path(folder, &path, target, entry.link))
            }
            Spec::Url(url) => {
                let source = if self.nested { entry.version } else { resolved };
                source.is_some_and(|source| source == url)
            }
            Spec::Git { repository, commit } => {
                let source = if self.nested { entry.version } else { resolved };
                let Some((locked, locked_commit)) = source.and_then(git_repository) else { return false };
                locked == repository && commit.is_none_or(|commit| Some(commit) == locked_commit)
            }
        }
    }

    /// The version of an entry, of a link that of its target.
    fn version_of(&self, entry: Locked<'_>) -> Option<Semver> {
        let target = entry.resolved.filter(|_| entry.link);
        let text = match target {
            Some(target) => self.known.get(target)?.version?,
            None => entry.version?,
        };
        let text =
            text.strip_prefix("npm:").map_or(text, |alias| alias.rsplit_once('@').map_or(alias, |(_, v)| v));
        Semver::parse(text).ok()
    }
}

impl<'a> Locked<'a> {
    fn flat(entry: &'a Flat<'_>) -> Self {
        Self {
            version: entry.version.as_deref(),
            resolved: entry.resolved.as_deref(),
            link: entry.link.0,
            in_bundle: entry.in_bundle.0,
            dependencies: entry.dependencies,
            dev_dependencies: entry.dev_dependencies,
            optional_dependencies: entry.optional_dependencies,
            peer_dependencies: entry.peer_dependencies,
        }
    }

    fn nested(entry: &'a Nested<'_>) -> Self {
        Self { version: entry.version.as_deref(), resolved: entry.resolved.as_deref(), ..Self::default() }
    }

    /// Whether a package that is installed, or a folder of the project, depends on a name.
    fn depends_on(self, name: &str) -> bool {
        let fields = [self.dependencies, self.optional_dependencies, self.peer_dependencies];
        let has = |field: &RawValue| {
            let names: Map<String, Value> = serde_json::from_str(field.get()).unwrap_or_default();
            names.contains_key(name)
        };
        fields.into_iter().flatten().any(has)
    }

    /// What people are told of it.
    fn described(self) -> String {
        let place = self.resolved.filter(|_| self.link || self.version.is_none());
        let text = place.or(self.version).unwrap_or("something else");
        npm_tarballs::redaction::redacted(text)
    }
}

#[cfg(test)]
mod tests;
