//! What the names of nixpkgs mean to npm dependencies: one table, from which all else about names follows.
//!
//! A new builder, fetcher or set of packages is one line here.

use std::rc::Rc;

use nix_lang::value::Meaning;
use nix_lang::value::source::RemoteKind;

use super::derivation::Builder;
use super::scripts::ScriptBuilder;

/// What a member of nixpkgs is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Builder(Builder),
    Fetcher(RemoteKind),
    /// A small builder whose result is a source.
    Script(ScriptBuilder),
    /// `callPackage`
    Call,
    /// `newScope`
    NewScope,
    /// A set of packages, or of builders.
    Scope(PackageScope),
    /// Another instance of the same package set.
    Same,
    Library,
    System,
    EmptyDirectory,
    GitIgnoreSource,
    Extend,
    AppendOverlays,
}

/// A set inside nixpkgs, or one that many flakes have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageScope {
    /// Packages, and the builders for them: `python3Packages`. The builders are those of nixpkgs itself.
    Packages(Rc<str>),
    /// `stdenv`
    Stdenv,
    /// `stdenv.hostPlatform`
    Platform,
    /// Package sets by the name of a system: `legacyPackages`, `pkgsCross`.
    PerSystem,
    /// `importNpmLock`
    ImportNpmLock,
    /// The `nix-gitignore` of nixpkgs.
    GitIgnore,
    /// The `nix-filter` flake.
    NixFilter,
    /// A set of `lib` that is not the whole of it: `lib.fileset`.
    Library(Rc<str>),
    /// `lib.systems`
    Systems,
}

/// A row's meaning, without the data that the name itself gives.
#[derive(Clone, Copy)]
enum Row {
    Is(Builder),
    Fetches(RemoteKind),
    Makes(ScriptBuilder),
    /// A set of packages.
    Packages,
    Other(fn() -> What),
}

use Builder::{FetchDeps, Generic, Join, Npm};
use Row::{Fetches, Is, Makes, Other, Packages};

const SAME: Row = Other(|| What::Same);
const STDENV: Row = Other(|| What::Scope(PackageScope::Stdenv));
const PLATFORM: Row = Other(|| What::Scope(PackageScope::Platform));
const PER_SYSTEM: Row = Other(|| What::Scope(PackageScope::PerSystem));

/// Every name that means something.
const TABLE: &[(&str, Row)] = &[
    ("buildNpmPackage", Is(Npm)),
    ("fetchNpmDeps", Is(FetchDeps)),
    ("mkDerivation", Is(Generic)),
    // They are npm's where they are given `npmDeps` (fixtures `go-module-npm-deps`, `python-npm-deps`).
    ("buildGoModule", Is(Generic)),
    ("buildRustPackage", Is(Generic)),
    ("buildPythonPackage", Is(Generic)),
    ("buildPythonApplication", Is(Generic)),
    ("mkShell", Is(Generic)),
    ("mkShellNoCC", Is(Generic)),
    ("buildEnv", Is(Join)),
    ("symlinkJoin", Is(Join)),
    ("buildDotnetModule", Is(Generic)),
    ("buildFHSEnv", Is(Generic)),
    ("buildFHSUserEnv", Is(Generic)),
    ("mixRelease", Is(Generic)),
    ("buildMavenPackage", Is(Generic)),
    ("buildGradlePackage", Is(Generic)),
    ("buildComposerProject", Is(Generic)),
    ("buildRubyGem", Is(Generic)),
    ("mkPnpmPackage", Is(Generic)),
    ("mkYarnPackage", Is(Generic)),
    ("buildVscodeExtension", Is(Generic)),
    ("buildVscodeMarketplaceExtension", Is(Generic)),
    ("buildVimPlugin", Is(Generic)),
    ("buildLayeredImage", Is(Generic)),
    ("buildImage", Is(Generic)),
    ("streamLayeredImage", Is(Generic)),
    ("writeShellApplication", Is(Generic)),
    ("buildHomeAssistantComponent", Is(Generic)),
    ("toPythonModule", Is(Generic)),
    ("fetchurl", Fetches(RemoteKind::FetchUrl)),
    ("fetchurlBoot", Fetches(RemoteKind::FetchUrl)),
    ("fetchzip", Fetches(RemoteKind::FetchZip)),
    ("fetchTarball", Fetches(RemoteKind::FetchTarball)),
    ("fetchgit", Fetches(RemoteKind::FetchGit)),
    ("fetchgitLocal", Fetches(RemoteKind::FetchGit)),
    ("fetchGit", Fetches(RemoteKind::BuiltinFetchGit)),
    ("fetchTree", Fetches(RemoteKind::FetchTree)),
    ("fetchFromGitHub", Fetches(RemoteKind::GitHub)),
    ("fetchFromGitLab", Fetches(RemoteKind::GitLab)),
    ("fetchFromGitea", Fetches(RemoteKind::Gitea)),
    ("fetchFromForgejo", Fetches(RemoteKind::Forgejo)),
    ("fetchFromCodeberg", Fetches(RemoteKind::Codeberg)),
    ("fetchFromSourcehut", Fetches(RemoteKind::Sourcehut)),
    ("fetchFromBitbucket", Fetches(RemoteKind::Bitbucket)),
    ("fetchhg", Fetches(RemoteKind::Other)),
    ("fetchsvn", Fetches(RemoteKind::Other)),
    ("fetchFromGitiles", Fetches(RemoteKind::Other)),
    ("fetchFromRepoOrCz", Fetches(RemoteKind::Other)),
    ("fetchFromSavannah", Fetches(RemoteKind::Other)),
    ("fetchFromRadicle", Fetches(RemoteKind::Other)),
    ("fetchMercurial", Fetches(RemoteKind::Other)),
    ("fetchCrate", Fetches(RemoteKind::Other)),
    ("fetchPypi", Fetches(RemoteKind::Other)),
    ("fetchdarcs", Fetches(RemoteKind::Other)),
    ("fetchfossil", Fetches(RemoteKind::Other)),
    ("requireFile", Fetches(RemoteKind::Other)),
    ("runCommand", Makes(ScriptBuilder::RunCommand)),
    ("runCommandLocal", Makes(ScriptBuilder::RunCommand)),
    ("runCommandNoCC", Makes(ScriptBuilder::RunCommand)),
    ("runCommandNoCCLocal", Makes(ScriptBuilder::RunCommand)),
    ("runCommandCC", Makes(ScriptBuilder::RunCommand)),
    ("applyPatches", Makes(ScriptBuilder::ApplyPatches)),
    ("srcOnly", Makes(ScriptBuilder::ApplyPatches)),
    ("writeText", Makes(ScriptBuilder::WriteText)),
    ("writeTextDir", Makes(ScriptBuilder::WriteTextDir)),
    ("writeTextFile", Makes(ScriptBuilder::WriteTextFile)),
    ("linkFarm", Makes(ScriptBuilder::LinkFarm)),
    ("replaceVars", Makes(ScriptBuilder::ReplaceVars)),
    ("replaceVarsWith", Makes(ScriptBuilder::SubstituteAll)),
    ("substituteAll", Makes(ScriptBuilder::SubstituteAll)),
    ("substitute", Makes(ScriptBuilder::SubstituteAll)),
    ("callPackage", Other(|| What::Call)),
    ("callPackages", Other(|| What::Call)),
    ("newScope", Other(|| What::NewScope)),
    ("gitignoreSource", Other(|| What::GitIgnoreSource)),
    ("importNpmLock", Other(|| What::Scope(PackageScope::ImportNpmLock))),
    ("nix-gitignore", Other(|| What::Scope(PackageScope::GitIgnore))),
    ("nix-filter", Other(|| What::Scope(PackageScope::NixFilter))),
    ("lib", Other(|| What::Library)),
    ("system", Other(|| What::System)),
    ("emptyDirectory", Other(|| What::EmptyDirectory)),
    ("extend", Other(|| What::Extend)),
    ("appendOverlays", Other(|| What::AppendOverlays)),
    ("stdenv", STDENV),
    ("stdenvNoCC", STDENV),
    ("clangStdenv", STDENV),
    ("gccStdenv", STDENV),
    ("hostPlatform", PLATFORM),
    ("targetPlatform", PLATFORM),
    ("buildPlatform", PLATFORM),
    ("pkgsCross", PER_SYSTEM),
    ("legacyPackages", PER_SYSTEM),
    ("pkgs", SAME),
    ("buildPackages", SAME),
    ("targetPackages", SAME),
    ("pkgsBuildBuild", SAME),
    ("pkgsBuildHost", SAME),
    ("pkgsBuildTarget", SAME),
    ("pkgsHostHost", SAME),
    ("pkgsHostTarget", SAME),
    ("pkgsTargetTarget", SAME),
    ("pkgsStatic", SAME),
    ("pkgsMusl", SAME),
    ("pkgsi686Linux", SAME),
    ("pkgsx86_64Darwin", SAME),
    ("pkgsLinux", SAME),
    ("__splicedPackages", SAME),
    // No members of nixpkgs, but what overlays call a second instance of it (fixture `overlay-unstable-set`).
    ("unstable", SAME),
    ("stable", SAME),
    ("pythonPackages", Packages),
    ("rustPlatform", Packages),
    ("nodePackages", Packages),
    ("libsForQt5", Packages),
    ("kdePackages", Packages),
    ("qt6Packages", Packages),
    ("qt6", Packages),
    ("gnome", Packages),
    ("xorg", Packages),
    ("darwin", Packages),
    ("perlPackages", Packages),
    ("haskellPackages", Packages),
    ("beamPackages", Packages),
    ("beam", Packages),
    ("ocamlPackages", Packages),
    ("phpPackages", Packages),
    ("php", Packages),
    ("rubyPackages", Packages),
    ("luaPackages", Packages),
    ("vscode-extensions", Packages),
    ("vscode-utils", Packages),
    ("vimUtils", Packages),
    ("vimPlugins", Packages),
    ("elmPackages", Packages),
    ("dotnetCorePackages", Packages),
    ("npmHooks", Packages),
    ("dockerTools", Packages),
    ("home-assistant-custom-lovelace-modules", Packages),
    ("makeScopeWithSplicing", Packages),
    ("testers", Packages),
    ("writers", Packages),
    ("llvmPackages", Packages),
];

/// What a name of nixpkgs means, if it matters.
pub fn meaning(name: &str) -> Option<What> {
    let Some((_, row)) = TABLE.iter().find(|(known, _)| *known == name) else { return by_version(name) };
    Some(match row {
        Is(builder) => What::Builder(*builder),
        Fetches(kind) => What::Fetcher(*kind),
        Makes(script) => What::Script(*script),
        Packages => What::Scope(PackageScope::Packages(Rc::from(name))),
        Other(make) => make(),
    })
}

/// Names with a version in them: `buildGo124Module`, `python313`, `python313Packages`, `php84Packages`.
fn by_version(name: &str) -> Option<What> {
    if is_versioned(name, "buildGo", "Module") {
        return Some(What::Builder(Generic));
    }
    let sets = [("python", "Packages"), ("python", ""), ("php", "Packages"), ("llvmPackages_", "")];
    let is_set = sets.iter().any(|(head, tail)| is_versioned(name, head, tail));
    is_set.then(|| What::Scope(PackageScope::Packages(Rc::from(name))))
}

fn is_versioned(name: &str, head: &str, tail: &str) -> bool {
    name.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)).is_some_and(|version| {
        !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    })
}

/// Whether a name, a URL or the name of a repository is that of nixpkgs or of one of its branches and mirrors.
#[must_use]
pub fn is_nixpkgs(text: &str) -> bool {
    // Somewhere in it: `nixpkgs-unstable` (fixture `overlay-unstable-set`), `NixOS/nixpkgs`, a mirror's `nixpkgs.git`.
    text.to_ascii_lowercase().contains("nixpkgs")
}

/// Whether the dotted name of a value from outside is that of a member of nixpkgs, whose functions are then what they are
/// called: those of other flakes only bear the same name.
pub(crate) fn is_member_of_nixpkgs(dotted: &str) -> bool {
    let root = dotted.trim_start_matches('(').trim_start_matches("import ");
    let first = root.split(['.', ' ']).next().unwrap_or(root);
    let of_argument = matches!(habit(first), Some(Habit::Packages | Habit::Library));
    of_argument || matches!(first, "builtins" | "stdenv") || is_nixpkgs(dotted)
}

/// What everybody means by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// A set of packages.
    Packages,
    /// nixpkgs' `lib`.
    Library,
    /// The flake that a file belongs to, or its inputs.
    Flake,
}

/// Names of arguments, what they mean where nothing gives them, and whether they mean it wherever their value is not known.
const HABITS: &[(&str, Habit, bool)] = &[
    ("pkgs", Habit::Packages, true),
    ("lib", Habit::Library, true),
    ("nixpkgs", Habit::Packages, false),
    ("final", Habit::Packages, false),
    ("prev", Habit::Packages, false),
    ("super", Habit::Packages, false),
    ("self", Habit::Flake, false),
    ("inputs", Habit::Flake, false),
    ("flake", Habit::Flake, false),
];

/// What a name means as an argument that nothing gives.
#[must_use]
pub(crate) fn habit(name: &str) -> Option<Habit> {
    HABITS.iter().find(|(known, ..)| *known == name).map(|(_, habit, _)| *habit)
}

/// What a name means wherever its value is not known.
#[must_use]
pub(crate) fn firm_habit(name: &str) -> Option<Habit> {
    HABITS.iter().find(|(known, _, firm)| *firm && *known == name).map(|(_, habit, _)| *habit)
}

/// Names that overlays have for the finished package set, and for the one before; a leading `_` marks an unused one. Under
/// other names an overlay is known by its place in a flake's outputs (fixture `overlay-offered-odd-names`).
const OVERLAY: (&[&str], &[&str]) = (
    &["final", "self", "", "pkgs", "fself", "finalPkgs", "pkgsFinal"],
    &["prev", "super", "", "previous", "prevPkgs", "pkgsPrev", "psuper", "pkgs"],
);

/// Whether the names of two arguments are those of an overlay.
#[must_use]
pub fn are_of_overlay(last: &str, previous: &str) -> bool {
    let (lasts, others) = OVERLAY;
    lasts.contains(&last.trim_start_matches('_')) && others.contains(&previous.trim_start_matches('_'))
}

/// The systems that stand for all where a flake names none: those of flake-utils' `eachDefaultSystem`.
pub(crate) const DEFAULT_SYSTEMS: [&str; 4] =
    ["aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"];

impl Meaning for PackageScope {
    fn yields_to_defaults(&self) -> bool {
        true
    }

    fn is_named(&self) -> bool {
        true
    }
}

impl PackageScope {
    /// The name of the set, as messages have it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Packages(name) | Self::Library(name) => name,
            Self::Stdenv => "stdenv",
            Self::Platform => "stdenv.hostPlatform",
            Self::PerSystem => "legacyPackages",
            Self::ImportNpmLock => "importNpmLock",
            Self::GitIgnore => "nix-gitignore",
            Self::NixFilter => "nix-filter",
            Self::Systems => "lib.systems",
        }
    }

    /// Whether it is the package set of some version of Python, in which `pkgs` and `packages` are the set itself.
    #[must_use]
    pub(crate) fn is_python(&self) -> bool {
        matches!(self, Self::Packages(name) if name.starts_with("python"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_row() {
        let mut names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn versions_in_names_are_not_spelt_out() {
        let set = |name: &str| Some(What::Scope(PackageScope::Packages(Rc::from(name))));
        for name in ["python3", "python3Packages", "python314Packages", "php84Packages", "pythonPackages"] {
            assert_eq!(meaning(name), set(name), "{name}");
        }
        assert_eq!(meaning("buildGo1_25Module"), Some(What::Builder(Generic)));
        for name in ["python3Minimal", "buildGoModules", "pythonX", "phpunit"] {
            assert_eq!(meaning(name), None, "{name}");
        }
    }

    #[test]
    fn only_members_of_nixpkgs_are_what_they_are_called() {
        for name in
            ["pkgs.nodePackages", "inputs.nixpkgs-unstable", "import <nixpkgs>", "final", "(pkgs.x …)"]
        {
            assert!(is_member_of_nixpkgs(name), "{name}");
        }
        for name in ["inputs.foo.lib", "import inputs.foo", "pkgsOfMine", "<other>"] {
            assert!(!is_member_of_nixpkgs(name), "{name}");
        }
    }
}
