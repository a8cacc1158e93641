//! The expression: a call of `buildNpmPackage`, or of `mkDerivation` where nothing is installed; formatted as nixpkgs formats
//! its own.

mod program;

use std::fmt::Write as _;

use nix_sites::insert::{attribute, string};
use url::Url;

use super::{Form, LockedDependencies, Package};

/// How a name of nixpkgs is written where the expression stands.
pub trait NixpkgsNames {
    /// `buildNpmPackage`, `fetchurl`, `jq`, `nodejs_22`: an attribute of nixpkgs.
    fn package(&self, name: &str) -> String;
    /// `licenses.mit`: an attribute of nixpkgs' `lib`.
    fn lib(&self, name: &str) -> String;
}

/// Everything by way of `pkgs`.
pub struct ByPkgs;

impl NixpkgsNames for ByPkgs {
    fn package(&self, name: &str) -> String {
        format!("pkgs.{name}")
    }

    fn lib(&self, name: &str) -> String {
        format!("pkgs.lib.{name}")
    }
}

/// Why an expression cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path {} cannot be written in a Nix expression", .0.escape_debug())]
pub struct UnwritablePath(String);

/// Checks a path to the lockfile, seen from the file that the expression will stand in: `./npm/tool/package-lock.json`.
///
/// # Errors
/// It holds characters that Nix does not take in a path, or does not start with `./` or `../`.
pub fn check_path(path: &str) -> Result<(), UnwritablePath> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "./_-+".contains(c);
    let relative = path.starts_with("./") || path.starts_with("../");
    // A path literal cannot be quoted: a space or `~` would end it, and `${` would be evaluated.
    let fine = relative && path.chars().all(allowed) && !path.contains("//") && !path.ends_with('/');
    if fine { Ok(()) } else { Err(UnwritablePath(path.to_owned())) }
}

/// Writes the expression down. `lockfile` is a path that [`check_path`] accepted; it is used if there is one to keep.
#[must_use]
pub fn render(package: &Package, lockfile: &str, names: &dyn NixpkgsNames) -> String {
    let builder = match &package.form {
        Form::Lockfile(_) => names.package("buildNpmPackage"),
        Form::Bundled | Form::Platforms(_) => program::builder(package, names),
    };
    let mut text = format!("{builder} (finalAttrs: {{\n");
    for (number, block) in blocks(package, lockfile, names).iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        for line in block {
            let _ = if line.is_empty() { writeln!(text) } else { writeln!(text, "  {line}") };
        }
    }
    text.push_str("})");
    text
}

type Block = Vec<String>;

fn blocks(package: &Package, lockfile: &str, names: &dyn NixpkgsNames) -> Vec<Block> {
    let mut blocks = vec![identity(package), source(package, names)];
    match &package.form {
        Form::Lockfile(locked) => {
            blocks.extend(post_patch(package, locked, lockfile, names));
            blocks.push(dependencies(locked));
            blocks.extend(Some(build(package, locked, names)).filter(|block| !block.is_empty()));
        }
        Form::Bundled => blocks.extend(program::blocks(package, &[], names)),
        Form::Platforms(platforms) => blocks.extend(program::blocks(package, platforms, names)),
    }
    blocks.push(meta(package, names));
    blocks
}

fn identity(package: &Package) -> Block {
    let release = &package.release;
    vec![
        format!("pname = {};", string(&release.name.word())),
        // The URL below takes its version from here, so this line is all that tells Renovate which package it is of.
        format!("# renovate: datasource=npm depName={}", release.name),
        format!("version = {};", string(&release.version)),
    ]
}

fn source(package: &Package, names: &dyn NixpkgsNames) -> Block {
    let mut block = vec![
        format!("src = {} {{", names.package("fetchurl")),
        format!("  url = {};", url(&package.url, &package.release.version)),
        format!("  hash = {};", string(&package.source_hash)),
        "};".to_owned(),
    ];
    block.extend(
        package.manifest.source_root.as_deref().map(|root| format!("sourceRoot = {};", string(root))),
    );
    block
}

/// A tarball's URL, with the version of the program as a reference where it stands in the file's name, and in the name of its folder.
fn url(url: &Url, version: &str) -> String {
    let text = url.as_str();
    let file = text.rfind('/').map_or(0, |slash| slash + 1);
    let version_at = text[file..].rfind(&format!("-{version}")).map(|at| file + at + 1);
    // `-1.2.1` also begins `-1.2.10`, which is another version.
    let ends = |at: usize| text[at + version.len()..].starts_with(['.', '-', '+']);
    let Some(at) = version_at.filter(|at| ends(*at)) else { return string(text) };
    // Gitea and Forgejo have a folder for each version: `/-/1.0.0/name-1.0.0.tgz`.
    let folder = text[..file].strip_suffix(&format!("/{version}/")).filter(|before| before.ends_with("/-"));
    let parts = match folder {
        Some(before) => vec![&text[..=before.len()], &text[file - 1..at]],
        None => vec![&text[..at]],
    };
    let quoted: Vec<String> = parts.into_iter().chain([&text[at + version.len()..]]).map(string).collect();
    let inside: Vec<&str> = quoted.iter().map(|part| &part[1..part.len() - 1]).collect();
    format!("\"{}\"", inside.join("${finalAttrs.version}"))
}

fn post_patch(
    package: &Package,
    locked: &LockedDependencies,
    lockfile: &str,
    names: &dyn NixpkgsNames,
) -> Option<Block> {
    locked.lockfile.as_ref()?;
    // npm prefers a shrinkwrap: a package-lock.json beside the tarball's own would not be read.
    let name = if locked.has_shrinkwrap { "npm-shrinkwrap.json" } else { "package-lock.json" };
    let mut block = vec!["postPatch = ''".to_owned(), format!("  cp ${{{lockfile}}} {name}")];
    if package.manifest.drops_dev() {
        // npm ci wants both to agree, and the lockfile has no development dependencies.
        let jq = names.package("jq");
        block.push(format!("  ${{{jq}}}/bin/jq 'del(.devDependencies)' package.json > package.json.new"));
        block.push("  mv package.json.new package.json".to_owned());
    }
    block.push("'';".to_owned());
    Some(block)
}

fn dependencies(locked: &LockedDependencies) -> Block {
    let mut block = vec![format!("npmDepsHash = {};", string(&locked.npm_deps_hash))];
    if locked.options.force_empty_cache {
        block.push("forceEmptyCache = true;".to_owned());
    }
    block
}

fn build(package: &Package, locked: &LockedDependencies, names: &dyn NixpkgsNames) -> Block {
    let manifest = &package.manifest;
    let mut block = Block::new();
    if !manifest.needs_build {
        block.push("dontNpmBuild = true;".to_owned());
    }
    if locked.runs_scripts(manifest) {
        block.push("npmFlags = [ \"--ignore-scripts\" ];".to_owned());
    }
    block.extend(manifest.nodejs.as_deref().map(|nodejs| format!("nodejs = {};", names.package(nodejs))));
    block
}

fn meta(package: &Package, names: &dyn NixpkgsNames) -> Block {
    let manifest = &package.manifest;
    let mut block = vec!["meta = {".to_owned()];
    let mut line = |name: &str, value: Option<String>| {
        block.extend(value.map(|value| format!("  {} = {value};", attribute(name))));
    };
    line("description", manifest.description.as_deref().map(string));
    line("homepage", manifest.homepage.as_deref().map(string));
    let licenses: Vec<_> =
        manifest.licenses.iter().map(|name| names.lib(&format!("licenses.{name}"))).collect();
    line(
        "license",
        match licenses.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(format!("[ {} ]", several.join(" "))),
        },
    );
    line("mainProgram", manifest.main_program.as_deref().map(string));
    let platforms = "builtins.attrNames finalAttrs.passthru.platforms".to_owned();
    line("platforms", matches!(package.form, Form::Platforms(_)).then_some(platforms));
    block.push("};".to_owned());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_a_url_is_that_of_the_expression() {
        for (text, version, written) in [
            ("https://r/@s/a/-/a-1.0.0.tgz", "1.0.0", "\"https://r/@s/a/-/a-${finalAttrs.version}.tgz\""),
            (
                "https://r/@s/a/-/a-1.0.0-linux-x64.tgz",
                "1.0.0",
                "\"https://r/@s/a/-/a-${finalAttrs.version}-linux-x64.tgz\"",
            ),
            ("https://r/a/-/a-1.0.01.tgz", "1.0.0", "\"https://r/a/-/a-1.0.01.tgz\""),
            ("https://r/a-1.0.0/other.tgz", "1.0.0", "\"https://r/a-1.0.0/other.tgz\""),
            (
                "https://r/api/packages/o/npm/a/-/1.0.0/a-1.0.0.tgz",
                "1.0.0",
                "\"https://r/api/packages/o/npm/a/-/${finalAttrs.version}/a-${finalAttrs.version}.tgz\"",
            ),
            ("https://r/1.0.0/a-1.0.0.tgz", "1.0.0", "\"https://r/1.0.0/a-${finalAttrs.version}.tgz\""),
        ] {
            assert_eq!(url(&Url::parse(text).unwrap(), version), written, "{text}");
        }
    }
}
