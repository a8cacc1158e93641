//! A program without anything to install: its tarball, that of the system where each has one, and a wrapper.
//!
//! Node.js looks for the package of the system where npm puts it, in `node_modules` beside the program's own.

use std::fmt::Write as _;

use nix_sites::insert::{attribute, string};
use npm_tarballs::package::RunBy;

use super::{Block, NixpkgsNames, url};
use crate::packaging::{Form, Package, Platform, Program};

/// The function that makes the derivation. Prebuilt programs are linked with the compiler's libraries.
pub(super) fn builder(package: &Package, names: &dyn NixpkgsNames) -> String {
    let stdenv = if is_native(package) { "stdenv" } else { "stdenvNoCC" };
    format!("{}.mkDerivation", names.package(stdenv))
}

/// Whether there are programs that were compiled for a machine.
fn is_native(package: &Package) -> bool {
    let native = |program: &Program| program.kind == Some(RunBy::Native);
    matches!(package.form, Form::Platforms(_)) || package.manifest.programs.iter().any(native)
}

pub(super) fn blocks(package: &Package, platforms: &[Platform], names: &dyn NixpkgsNames) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !platforms.is_empty() {
        blocks.push(passthru(package, platforms, names));
    }
    blocks.push(tools(package, names));
    blocks.push(install(package, !platforms.is_empty(), names));
    blocks
}

/// A tarball for each system.
fn passthru(package: &Package, platforms: &[Platform], names: &dyn NixpkgsNames) -> Block {
    let version = &package.release.version;
    let mut block = vec![
        "# What npm finds through optionalDependencies.".to_owned(),
        "passthru.platforms = {".to_owned(),
    ];
    for platform in platforms {
        block.push(format!("  {} = {{", attribute(platform.system)));
        block.push(format!("    name = {};", string(platform.folder.as_str())));
        block.push(format!("    src = {} {{", names.package("fetchurl")));
        block.push(format!("      url = {};", url(&platform.url, version)));
        block.push(format!("      hash = {};", string(&platform.hash)));
        block.push("    };".to_owned());
        block.push("  };".to_owned());
    }
    block.push("};".to_owned());
    block
}

fn tools(package: &Package, names: &dyn NixpkgsNames) -> Block {
    let wrapper = names.package("makeWrapper");
    let mut block = Block::new();
    if is_native(package) {
        // Programs for Linux at large look for their loader where NixOS has none.
        let linux = format!("{}.hostPlatform.isLinux", names.package("stdenv"));
        let optionals = names.lib("optionals");
        let patcher = names.package("autoPatchelfHook");
        block.push(format!("nativeBuildInputs = [ {wrapper} ] ++ {optionals} {linux} [ {patcher} ];"));
        let library = format!("({} {}.cc.cc)", names.lib("getLib"), names.package("stdenv"));
        block.push(format!("buildInputs = {optionals} {linux} [ {library} ];"));
        // What was packed into one file with its runtime loses it when it is stripped.
        block.push("dontStrip = true;".to_owned());
    } else {
        block.push(format!("nativeBuildInputs = [ {wrapper} ];"));
    }
    // A tarball may hold its author's Makefile or ./configure, which stdenv would run.
    block.push("dontConfigure = true;".to_owned());
    block.push("dontBuild = true;".to_owned());
    block
}

fn install(package: &Package, by_system: bool, names: &dyn NixpkgsNames) -> Block {
    let mut lines = vec![
        "runHook preInstall".to_owned(),
        format!("package=$out/lib/node_modules/{}", package.release.name),
        "mkdir -p $package".to_owned(),
        "cp -R . $package".to_owned(),
    ];
    if by_system {
        lines.push("mkdir -p $out/lib/node_modules/${platform.name}".to_owned());
        let unpack = "tar -xzf ${platform.src} --strip-components=1";
        lines.push(format!("{unpack} -C $out/lib/node_modules/${{platform.name}}"));
    }
    for program in &package.manifest.programs {
        wrap(package, program, &mut lines, names);
    }
    lines.push("runHook postInstall".to_owned());
    if !by_system {
        let lines = lines.into_iter().map(|line| format!("  {line}"));
        let start = std::iter::once("installPhase = ''".to_owned());
        return start.chain(lines).chain(["'';".to_owned()]).collect();
    }
    let system = format!("{}.hostPlatform.system", names.package("stdenv"));
    let platform = format!("    platform = finalAttrs.passthru.platforms.${{{system}}};");
    let start = ["installPhase =", "  let", &platform, "  in", "  ''"].map(str::to_owned);
    let lines = lines.into_iter().map(|line| format!("    {line}"));
    start.into_iter().chain(lines).chain(["  '';".to_owned()]).collect()
}

fn wrap(package: &Package, program: &Program, lines: &mut Vec<String>, names: &dyn NixpkgsNames) {
    let node = names.package(package.manifest.nodejs.as_deref().unwrap_or("nodejs"));
    let Program { name, file, kind } = program;
    let mut line = String::from("makeWrapper ");
    let _ = match kind {
        Some(RunBy::Node) => {
            write!(line, "${{{node}}}/bin/node $out/bin/{name} --add-flags $package/{file}")
        }
        Some(RunBy::Native) => write!(line, "$package/{file} $out/bin/{name}"),
        Some(RunBy::Other) | None => {
            write!(line, "$package/{file} $out/bin/{name} --prefix PATH : ${{{node}}}/bin")
        }
    };
    // npm makes the files of `bin` executable when it installs them; in a tarball they need not be.
    if !matches!(kind, Some(RunBy::Node)) {
        lines.push(format!("chmod +x $package/{file}"));
    }
    lines.push(line);
}
