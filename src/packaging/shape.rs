//! The forms in which a program can be written down, which of them fits, and why.

use std::fmt;

use npm_lockfile::listing::some;
use serde_json::{Map, Value};

use super::Manifest;
use super::platforms::{self, PlatformCandidate};

/// Names in a message before the rest is only counted.
const SHOWN: usize = 3;

/// How a program is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `buildNpmPackage` with a lockfile: its dependencies are installed.
    Lockfile,
    /// Its tarball and a wrapper: there is nothing to install.
    Bundled,
    /// The same, with a tarball of another package for each system beside it.
    Platforms,
}

impl Shape {
    /// A stable word for machines.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Lockfile => "lockfile",
            Self::Bundled => "bundled",
            Self::Platforms => "platforms",
        }
    }
}

/// Why a shape is the one that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It has a program and nothing to install.
    Bundled,
    /// All that it installs are packages of which each machine needs one.
    Platforms {
        /// Their number.
        packages: usize,
    },
    /// It has dependencies.
    Dependencies(Vec<String>),
    /// It has no programs, so that there is nothing to wrap.
    NoPrograms,
    /// The file of a program is not in the tarball: something makes it.
    NotInTarball(String),
    /// The name or the file of a program cannot be written in a script.
    OddProgram(String),
    /// An optional dependency is for every machine.
    ForEveryMachine(String),
    /// A package for one kind of machine has dependencies of its own.
    PlatformDepends(String),
    /// A package for one kind of machine has a version of its own, which a new version of the program says nothing of.
    OtherVersion(String),
    /// Several packages are for one system.
    Several {
        /// The system, as nixpkgs calls it.
        system: &'static str,
        /// Their names.
        names: Vec<String>,
    },
    /// None of its packages is for a system of nixpkgs, or nothing tells what they are for.
    NoSystem,
}

impl Fit {
    /// The shape.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self {
            Self::Bundled => Shape::Bundled,
            Self::Platforms { .. } => Shape::Platforms,
            _ => Shape::Lockfile,
        }
    }

    /// What fits a package whose optional dependencies are these. `version` is its own.
    pub(super) fn of(manifest: &Manifest, version: &str, optional: &[PlatformCandidate]) -> Self {
        if let Some(flaw) = Self::flaw(manifest) {
            return flaw;
        }
        if manifest.optional.is_empty() {
            return Self::Bundled;
        }
        for candidate in optional {
            let name = || candidate.folder.to_string();
            if candidate.limits.is_everywhere() {
                return Self::ForEveryMachine(name());
            }
            if candidate.depends {
                return Self::PlatformDepends(name());
            }
            // Contains, because some are releases of the package itself, such as `1.2.3-linux-x64`.
            if !candidate.version.contains(version) {
                return Self::OtherVersion(name());
            }
        }
        match platforms::by_system(optional) {
            Err((system, names)) => Self::Several { system, names },
            Ok(chosen) if chosen.is_empty() => Self::NoSystem,
            Ok(chosen) => Self::Platforms { packages: chosen.len() },
        }
    }

    /// Why a tarball and a wrapper cannot be all that there is, whatever is optional.
    pub(super) fn flaw(manifest: &Manifest) -> Option<Self> {
        if !manifest.dependencies.is_empty() {
            return Some(Self::Dependencies(manifest.dependencies.clone()));
        }
        if manifest.programs.is_empty() {
            return Some(Self::NoPrograms);
        }
        let odd = manifest
            .programs
            .iter()
            .find(|program| !is_plain(&program.name, false) || !is_plain(&program.file, true));
        if let Some(program) = odd {
            return Some(Self::OddProgram(program.name.escape_debug().to_string()));
        }
        let missing = manifest.programs.iter().find(|program| program.kind.is_none());
        missing.map(|program| Self::NotInTarball(program.file.clone()))
    }
}

/// Whether a name or a path means itself in a script, quoted by nothing, and leads nowhere else.
fn is_plain(text: &str, is_path: bool) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(allowed);
    !text.starts_with('-') && if is_path { text.split('/').all(part) } else { part(text) }
}

/// The optional dependencies of a package as its lockfile has them.
pub(super) fn of_lockfile(manifest: &Manifest, lockfile: &[u8]) -> Vec<PlatformCandidate> {
    let lockfile: Value = serde_json::from_slice(lockfile).unwrap_or_default();
    let entry = |name: &String| -> Option<&Map<String, Value>> {
        lockfile["packages"][format!("node_modules/{name}")].as_object()
    };
    manifest.optional.keys().filter_map(|name| PlatformCandidate::of(name, entry(name)?)).collect()
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled => f.write_str("it has a program, and no dependencies to install"),
            Self::Platforms { packages } => write!(
                f,
                "its optional dependencies are packages for one kind of machine each, {packages} of them for systems of nixpkgs"
            ),
            Self::Dependencies(names) => {
                write!(f, "it has dependencies to install ({})", some(names, SHOWN, ", "))
            }
            Self::NoPrograms => f.write_str("it has no programs (`bin`) that could be wrapped"),
            Self::NotInTarball(file) => {
                write!(f, "its program {} is not in the tarball", file.escape_debug())
            }
            Self::OddProgram(name) => write!(f, "its program `{name}` cannot be written in a script"),
            Self::ForEveryMachine(name) => write!(f, "its optional dependency {name} is for every machine"),
            Self::PlatformDepends(name) => {
                write!(f, "its optional dependency {name} has dependencies of its own")
            }
            Self::OtherVersion(name) => write!(
                f,
                "its optional dependency {name} has a version of its own, which a bump would leave behind"
            ),
            Self::Several { system, names } => {
                write!(
                    f,
                    "several of its optional dependencies are for {system} ({})",
                    some(names, SHOWN, ", ")
                )
            }
            Self::NoSystem => {
                f.write_str("none of its optional dependencies is known to be for a system of nixpkgs")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use npm_tarballs::package::RunBy;
    use serde_json::json;

    use super::*;
    use crate::packaging::manifest::Program;

    fn manifest(optional: &[&str]) -> Manifest {
        let program =
            Program { name: "tool".to_owned(), file: "bin/tool".to_owned(), kind: Some(RunBy::Node) };
        let optional: BTreeMap<_, _> =
            optional.iter().map(|&name| (name.to_owned(), "1.0.0".to_owned())).collect();
        Manifest { programs: vec![program], optional, ..Manifest::default() }
    }

    fn candidate(name: &str, more: &Value) -> PlatformCandidate {
        let mut entry = json!({ "version": "1.0.0" });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        PlatformCandidate::of(name, entry.as_object().unwrap()).unwrap()
    }

    #[test]
    fn what_fits_and_why() {
        let x64 = || candidate("@s/linux-x64", &json!({ "os": ["linux"], "cpu": ["x64"] }));
        let other = |more: Value| vec![x64(), candidate("@s/other", &more)];
        for (optional, fit) in [
            (vec![x64()], Fit::Platforms { packages: 1 }),
            (other(json!({ "os": ["darwin"] })), Fit::Platforms { packages: 3 }),
            (other(json!({})), Fit::ForEveryMachine("@s/other".to_owned())),
            (
                other(json!({ "os": ["linux"], "dependencies": { "a": "1" } })),
                Fit::PlatformDepends("@s/other".to_owned()),
            ),
            (other(json!({ "os": ["win32"], "version": "2.0.0" })), Fit::OtherVersion("@s/other".to_owned())),
            (
                other(json!({ "os": ["linux"] })),
                Fit::Several {
                    system: "x86_64-linux",
                    names: vec!["@s/linux-x64".to_owned(), "@s/other".to_owned()],
                },
            ),
            (vec![], Fit::NoSystem),
        ] {
            assert_eq!(Fit::of(&manifest(&["@s/linux-x64", "@s/other"]), "1.0.0", &optional), fit);
        }
        assert_eq!(Fit::of(&manifest(&[]), "1.0.0", &[]), Fit::Bundled);
    }

    #[test]
    fn what_a_wrapper_cannot_do() {
        let with = |change: &dyn Fn(&mut Manifest)| {
            let mut manifest = manifest(&[]);
            change(&mut manifest);
            Fit::of(&manifest, "1.0.0", &[])
        };
        let names = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let depends = with(&|manifest| manifest.dependencies.clone_from(&names));
        assert_eq!(depends.to_string(), "it has dependencies to install (a, b, c and 2 more)");
        assert_eq!(with(&|manifest| manifest.programs.clear()), Fit::NoPrograms);
        assert_eq!(
            with(&|manifest| manifest.programs[0].kind = None),
            Fit::NotInTarball("bin/tool".to_owned())
        );
        for (name, file) in [
            ("a b", "x"),
            ("a", "x;y"),
            ("a", "../x"),
            ("a", "x/"),
            ("..", "x"),
            ("a/b", "x"),
            ("-a", "x"),
            ("a", "${x}"),
            ("a''", "x"),
        ] {
            let fit = with(&|manifest| {
                manifest.programs[0].name = name.to_owned();
                manifest.programs[0].file = file.to_owned();
            });
            assert!(matches!(fit, Fit::OddProgram(_)), "{name} {file}: {fit:?}");
        }
    }
}
