//! Package names, and the URLs under which registries keep tarballs.
//!
//! ```text
//! name    = [ "@" part "/" ] part        part = [A-Za-z0-9._~-]+, not starting with "." or "_"
//! tarball = registry "/" name "/-/" part "-" version ".tgz"
//! ```
//!
//! A name comes from outside and ends up in paths, in URLs and in Nix expressions, so it is held to this grammar first.

use std::fmt;

use nodejs_semver::Version;
use npm_tarballs::tarball_url;
use url::Url;

/// npm's own limit, in bytes.
const MAX_LENGTH: usize = 214;

/// The name of a package, with its scope if it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName(String);

/// Why a text is not a package name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an npm package: `{}`", .0.escape_debug())]
pub struct PackageNameError(String);

impl PackageName {
    /// Reads a name.
    ///
    /// # Errors
    /// A text that the registry would not take for one.
    pub fn parse(text: &str) -> Result<Self, PackageNameError> {
        let fine = text.len() <= MAX_LENGTH
            && match text.strip_prefix('@') {
                Some(scoped) => {
                    scoped.split_once('/').is_some_and(|(scope, base)| is_part(scope) && is_part(base))
                }
                // The two names that npm's own check (validate-npm-package-name) excludes by themselves.
                None => is_part(text) && !matches!(text, "node_modules" | "favicon.ico"),
            };
        if fine { Ok(Self(text.to_owned())) } else { Err(PackageNameError(text.chars().take(80).collect())) }
    }

    /// The package that a dependency of a manifest wants of a registry, and the range or tag that it wants: `"name": "range"`, or
    /// `"folder": "npm:name@range"`. `None` for what is not on a registry, such as `file:` and git.
    #[must_use]
    pub fn of_dependency<'a>(name: &'a str, spec: &'a str) -> Option<(Self, &'a str)> {
        let (name, range) = match spec.strip_prefix("npm:") {
            // `npm:@scope/name@range`: the name may begin with the sign that ends it.
            Some(alias) => match alias.get(1..).and_then(|rest| rest.find('@')) {
                Some(at) => (&alias[..=at], &alias[at + 2..]),
                None => (alias, ""),
            },
            None => (name, spec),
        };
        let is_elsewhere = range.contains([':', '/']);
        if is_elsewhere { None } else { Some((Self::parse(name).ok()?, range)) }
    }

    /// The name as written, `@scope/base` or `base`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope with its `@`, if there is one.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.split_once('/').map(|(scope, _)| scope)
    }

    /// The name without its scope.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, base)| base)
    }

    /// The name as one word, `scope-base`: for folders and for Nix, which knows neither `@` nor `/`.
    #[must_use]
    pub fn word(&self) -> String {
        self.0.trim_start_matches('@').replace(['/', '~'], "-")
    }

    /// The path of its packument on a registry.
    pub(super) fn packument_path(&self) -> String {
        // In lower case, as npm asks: its cache is looked up by this URL, and answers that are put there beforehand
        // have to be found.
        self.0.replace('/', "%2f")
    }

    /// The path of a tarball on a registry, without a leading slash.
    #[must_use]
    pub fn tarball_path(&self, version: &str) -> String {
        format!("{}/-/{}-{version}.tgz", self.0, self.base())
    }
}

fn is_part(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    !text.is_empty() && !text.starts_with(['.', '_']) && text.bytes().all(allowed)
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the URL of a registry's tarball says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarballName {
    /// The package.
    pub name: PackageName,
    /// Its version, in npm's strict form.
    pub version: String,
}

/// Package and version of a registry's tarball; `None` for any other URL.
#[must_use]
pub fn published_at(url: &Url) -> Option<TarballName> {
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let (name, version) = tarball_url::named(url.path())?;
    let name = PackageName::parse(&name).ok()?;
    let exact = Version::parse(&version).is_ok_and(|parsed| parsed.to_string() == version);
    exact.then_some(TarballName { name, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_the_grammar() {
        for name in ["ms", "@claude-flow/cli", "JSONStream", "a.b_c~d-e", "@a/node_modules"] {
            assert_eq!(PackageName::parse(name).unwrap().as_str(), name);
        }
        let long = "x".repeat(215);
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "@a",
            "@a/",
            "@/b",
            "@a/b/c",
            "@a/../b",
            "_x",
            "a b",
            "a\"${b}",
            "node_modules",
            "é",
            "a\n",
            &long,
        ] {
            assert!(PackageName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_dependency_is_of_a_registry_or_elsewhere() {
        let wants = |name: &str, spec: &str| {
            PackageName::of_dependency(name, spec).map(|(name, range)| format!("{} {range}", name.as_str()))
        };
        assert_eq!(wants("a", "^1.0.0").unwrap(), "a ^1.0.0");
        assert_eq!(wants("a", "latest").unwrap(), "a latest");
        assert_eq!(wants("a", "").unwrap(), "a ");
        assert_eq!(wants("a", "npm:b@2 || 3").unwrap(), "b 2 || 3");
        assert_eq!(wants("a", "npm:@s/b@~2").unwrap(), "@s/b ~2");
        assert_eq!(wants("a", "npm:@s/b").unwrap(), "@s/b ");
        for spec in ["git+ssh://h/r", "owner/repo", "file:../b", "https://h/b.tgz", "workspace:*", "npm:"] {
            assert_eq!(wants("a", spec), None, "{spec}");
        }
        assert_eq!(wants("../a", "1"), None);
    }

    #[test]
    fn a_name_as_one_word() {
        assert_eq!(PackageName::parse("@claude-flow/cli").unwrap().word(), "claude-flow-cli");
        assert_eq!(PackageName::parse("a~b").unwrap().word(), "a-b");
    }

    #[test]
    fn tarballs_name_their_package() {
        let found = |text: &str| {
            let found = published_at(&Url::parse(text).unwrap())?;
            Some(format!("{}@{}", found.name, found.version))
        };
        for (url, expected) in [
            ("https://registry/ms/-/ms-2.1.3.tgz", "ms@2.1.3"),
            ("https://registry/@a-b/c-d/-/c-d-1.0.0-rc.1.tgz", "@a-b/c-d@1.0.0-rc.1"),
            ("https://registry/@a%2fb/-/b-1.0.0.tgz?x=1", "@a/b@1.0.0"),
            ("https://corp/api/npm/@a/b/-/@a/b-1.0.0+x.tgz", "@a/b@1.0.0+x"),
        ] {
            assert_eq!(found(url).as_deref(), Some(expected), "{url}");
        }
        for url in [
            "https://registry/ms/-/ms-latest.tgz",
            "https://registry/ms/-/sm-1.0.0.tgz",
            "https://registry/ms/-/ms-1.0.tgz",
            "https://registry/ms-1.0.0.tgz",
            "file:///ms/-/ms-1.0.0.tgz",
            "https://registry/%ff/-/a-1.0.0.tgz",
        ] {
            assert_eq!(found(url), None, "{url}");
        }
    }
}
