//! What changed between two states of a lockfile, told in packages: for people who ask why its hash is another one.
//!
//! Nothing here decides a hash, so a lockfile that nixpkgs would refuse is compared like any other.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use npm_tarballs::redaction::redacted;
use serde::Deserialize;

use super::entries::{Flat, Nested, names};
use super::hosted_git::is_full_commit;
use super::packages::{is_installed, package_name};
use super::text::{Entries, Object, Text};

/// The difference of two lockfiles. Packages that the project itself asks for come first, then the order is that of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Packages of which one version went and another came.
    pub moved: Vec<Moved>,
    /// Versions that came, `name version`, of packages of which none went.
    pub added: Vec<String>,
    /// Versions that went, of packages of which none came.
    pub removed: Vec<String>,
    /// Versions that stayed and are fetched from elsewhere, or have another integrity.
    pub replaced: Vec<String>,
}

/// A package that has another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its name.
    pub name: String,
    /// The version that went.
    pub from: String,
    /// The version that came.
    pub to: String,
}

/// A lockfile, as far as people see it.
#[derive(Default)]
struct Packages {
    /// From name and version to what says which bytes those are.
    all: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// What the project itself asks for.
    asked_for: BTreeSet<String>,
}

#[derive(Deserialize)]
struct ComparedDocument<'a> {
    #[serde(borrow, default)]
    packages: Option<Entries<'a, Flat<'a>>>,
    #[serde(borrow, default)]
    dependencies: Option<Entries<'a, Nested<'a>>>,
}

impl Packages {
    /// Reads a lockfile; `None` if it is none.
    fn of(bytes: &[u8]) -> Option<Self> {
        let Object(ComparedDocument { packages, dependencies }) = serde_json::from_slice(bytes).ok()?;
        let mut all = Self::default();
        match (packages, dependencies) {
            // Version 2 repeats them as `dependencies`.
            (Some(entries), _) => entries.list.iter().for_each(|(path, entry)| all.add(path, entry)),
            (None, Some(entries)) => all.add_nested(&entries),
            (None, None) => {}
        }
        Some(all)
    }

    fn add(&mut self, path: &str, entry: &Flat<'_>) {
        // Workspaces have paths without `node_modules`; what they ask for is the project's own wish.
        if !is_installed(path) {
            let fields = [entry.dependencies, entry.dev_dependencies, entry.optional_dependencies];
            self.asked_for.extend(fields.into_iter().flat_map(names).map(Cow::into_owned));
        } else if !entry.link.0 {
            let name = package_name(entry.name.as_deref().unwrap_or(path)).to_owned();
            self.note(name, &entry.version, &entry.resolved, &entry.integrity);
        }
    }

    /// `serde_json` bounds the nesting, and so this recursion.
    fn add_nested(&mut self, entries: &Entries<'_, Nested<'_>>) {
        for (name, entry) in &entries.list {
            self.note(name.to_string(), &entry.version, &entry.resolved, &entry.integrity);
            if let Some(nested) = &entry.dependencies {
                self.add_nested(nested);
            }
        }
    }

    fn note(&mut self, name: String, version: &Text<'_>, resolved: &Text<'_>, integrity: &Text<'_>) {
        let [version, resolved, integrity] =
            [version, resolved, integrity].map(|text| text.as_deref().unwrap_or_default());
        // The commit of a git dependency is its version: that of its manifest often stays.
        let commit = [version, resolved].into_iter().find_map(commit);
        let shown = if version.contains(':') { redacted(version) } else { version.to_owned() };
        let version = match commit {
            Some(commit) if version.contains(':') => commit,
            Some(commit) => format!("{shown} ({commit})"),
            None => shown,
        };
        let bytes = format!("{resolved}\0{integrity}");
        self.all.entry(name).or_default().entry(version).or_default().insert(bytes);
    }
}

/// The commit that a URL of git names, as git shortens it.
fn commit(url: &str) -> Option<String> {
    let (_, commit) = url.rsplit_once('#')?;
    is_full_commit(commit).then(|| commit[..7].to_owned())
}

impl Changes {
    /// The changes from one lockfile to another; `None` if one of the texts is not a lockfile.
    #[must_use]
    pub fn between(old: &[u8], new: &[u8]) -> Option<Self> {
        let (old, new) = (Packages::of(old)?, Packages::of(new)?);
        let mut changes = Self::default();
        let names: BTreeSet<&String> = old.all.keys().chain(new.all.keys()).collect();
        let asked_for = |name: &&String| new.asked_for.contains(*name) || old.asked_for.contains(*name);
        let (first, rest): (Vec<&String>, Vec<&String>) = names.into_iter().partition(asked_for);
        let none = BTreeMap::new();
        for name in first.into_iter().chain(rest) {
            let [old, new] = [&old, &new].map(|side| side.all.get(name).unwrap_or(&none));
            changes.add(name, old, new);
        }
        Some(changes)
    }

    fn add(
        &mut self,
        name: &str,
        old: &BTreeMap<String, BTreeSet<String>>,
        new: &BTreeMap<String, BTreeSet<String>>,
    ) {
        let gone: Vec<&String> = old.keys().filter(|version| !new.contains_key(*version)).collect();
        let came: Vec<&String> = new.keys().filter(|version| !old.contains_key(*version)).collect();
        // Of several versions nobody says which one became which: they are paired in their order.
        let pairs = gone.len().min(came.len());
        for (from, to) in gone.iter().zip(&came) {
            let [from, to] = [from, to].map(ToString::to_string);
            self.moved.push(Moved { name: name.to_owned(), from, to });
        }
        let named = |version: &&String| format!("{name} {version}").trim_end().to_owned();
        self.added.extend(came[pairs..].iter().map(named));
        self.removed.extend(gone[pairs..].iter().map(named));
        let replaced =
            old.iter().filter(|(version, bytes)| new.get(*version).is_some_and(|now| now != *bytes));
        self.replaced.extend(replaced.map(|(version, _)| named(&version)));
    }

    /// Whether no package changed: then it is only the text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn v3(packages: &[(&str, &str)]) -> Vec<u8> {
        let entry = |(path, version): &(&str, &str)| {
            let resolved = format!("https://host/{path}-{version}.tgz");
            (format!("node_modules/{path}"), json!({ "version": version, "resolved": resolved }))
        };
        let mut all: serde_json::Map<String, Value> = packages.iter().map(entry).collect();
        all.insert(String::new(), json!({ "dependencies": { "zod": "*" }, "version": "7" }));
        all.insert("packages/ws".to_owned(), json!({ "version": "1" }));
        json!({ "lockfileVersion": 3, "packages": all }).to_string().into_bytes()
    }

    fn moved(name: &str, from: &str, to: &str) -> Moved {
        Moved { name: name.to_owned(), from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn what_the_project_asks_for_comes_first_and_versions_are_paired() {
        let old = v3(&[
            ("debug", "4.3.5"),
            ("zod", "1.0.0"),
            ("old", "1.0.0"),
            ("x", "1.0.0"),
            ("a/node_modules/x", "2.0.0"),
        ]);
        let new =
            v3(&[("debug", "4.3.6"), ("zod", "1.1.0"), ("new", "1.0.0"), ("x", "3.0.0"), ("@s/b", "1.0.0")]);
        let changes = Changes::between(&old, &new).unwrap();
        assert_eq!(
            changes.moved,
            [moved("zod", "1.0.0", "1.1.0"), moved("debug", "4.3.5", "4.3.6"), moved("x", "1.0.0", "3.0.0")]
        );
        assert_eq!(changes.added, ["@s/b 1.0.0", "new 1.0.0"]);
        assert_eq!(changes.removed, ["old 1.0.0", "x 2.0.0"]);
        assert!(Changes::between(&old, &old).unwrap().is_empty() && !changes.is_empty());
        assert_eq!(Changes::between(&old, b"[]"), None);
    }

    #[test]
    fn what_the_project_asks_for_no_more_comes_first_too() {
        let without = |packages: &[(&str, &str)]| {
            let mut lockfile: Value = serde_json::from_slice(&v3(packages)).unwrap();
            lockfile["packages"][""] = json!({ "version": "7" });
            lockfile.to_string().into_bytes()
        };
        let (old, new) = ([("debug", "1.0.0"), ("zod", "1.0.0")], [("debug", "2.0.0"), ("zod", "2.0.0")]);
        let expected = [moved("zod", "1.0.0", "2.0.0"), moved("debug", "1.0.0", "2.0.0")];
        assert_eq!(Changes::between(&v3(&old), &without(&new)).unwrap().moved, expected);
        assert_eq!(Changes::between(&without(&old), &v3(&new)).unwrap().moved, expected);
    }

    #[test]
    fn a_mirror_a_commit_and_version_1_are_seen() {
        let lock = |url: &str, version: &str| {
            let nested = json!({ "b": { "version": version, "resolved": url } });
            let v1 = json!({ "lockfileVersion": 1, "dependencies": { "a": { "version": "1.0.0", "dependencies": nested } } });
            v1.to_string().into_bytes()
        };
        let changes =
            Changes::between(&lock("https://a/b.tgz", "2.0.0"), &lock("https://m/b.tgz", "2.0.0")).unwrap();
        assert_eq!((changes.replaced.as_slice(), changes.moved.len()), (&["b 2.0.0".to_owned()][..], 0));
        let git =
            |commit: char| format!("git+ssh://git@github.com/o/r.git#{}", commit.to_string().repeat(40));
        let changes = Changes::between(&lock("", &git('a')), &lock("", &git('b'))).unwrap();
        assert_eq!(changes.moved, [moved("b", "aaaaaaa", "bbbbbbb")]);
        let changes = Changes::between(&lock(&git('a'), "1.0.0"), &lock(&git('b'), "1.0.0")).unwrap();
        assert_eq!(changes.moved, [moved("b", "1.0.0 (aaaaaaa)", "1.0.0 (bbbbbbb)")]);
    }
}
