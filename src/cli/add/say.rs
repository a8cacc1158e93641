//! What `add` has to say.

use std::path::Path;

use npm_nixhash::packaging::{Form, Package, Platform, Shape};
use npm_nixhash::report::messages::MessageKind;
use npm_nixhash::report::{Message, Paths, SCHEMA_VERSION};
use serde_json::json;

use super::Additions;
use crate::cli::output::Terminal;
use crate::cli::publish::patch;

pub(super) fn warn(package: &Package, work: &Additions, paths: &Paths, dry_run: bool, terminal: &Terminal) {
    for text in warnings(package) {
        terminal.message(MessageKind::Warning, &Message::plain(text));
    }
    terminal.message(MessageKind::Note, &Message::plain(package.signature.to_string()));
    terminal.message(MessageKind::Note, &Message::plain(advice(package)));
    for creation in work.creations.iter().filter(|_| !dry_run) {
        let path = paths.show(&creation.path);
        let message = Message::plain(format!("wrote {path}: add it to git: a flake sees nothing else"));
        terminal.message(MessageKind::Note, &message);
    }
}

/// Which shape fits, and why.
fn advice(package: &Package) -> String {
    let fit = &package.fit;
    match (fit.shape(), package.locked().is_some()) {
        (Shape::Lockfile, _) => format!("a lockfile fits: {fit}"),
        (Shape::Bundled, true) => format!("--bundled fits, without a lockfile: {fit}"),
        (Shape::Platforms, true) => format!("--platforms fits, without a lockfile: {fit}"),
        (_, false) => format!("no lockfile is needed: {fit}"),
    }
}

fn warnings(package: &Package) -> Vec<String> {
    let manifest = &package.manifest;
    let scripts_of_others = package.locked().map_or(&[][..], |locked| &locked.install_scripts);
    let kept =
        if package.locked().is_some() { "which npmFlags keeps from running" } else { "which do not run" };
    let mut warnings: Vec<String> =
        package.locked().into_iter().flat_map(|locked| &locked.warnings).map(ToString::to_string).collect();
    warnings.extend(parts(package));
    if manifest.gyp {
        warnings.push(
            "it has native code that node-gyp compiles: without its install script it is not built"
                .to_owned(),
        );
    }
    if !manifest.install_scripts.is_empty() {
        let scripts = manifest.install_scripts.join(", ");
        warnings.push(format!("it has install scripts ({scripts}), {kept}"));
    }
    if !scripts_of_others.is_empty() {
        let names = scripts_of_others.join(", ");
        warnings.push(format!("dependencies have install scripts, {kept}: {names}"));
    }
    if manifest.needs_build {
        warnings.push(
            "its programs are not in the tarball: it has to be built, and may lack the sources for it"
                .to_owned(),
        );
    }
    if manifest.main_program.is_none() {
        warnings.push("it has no programs (`bin`)".to_owned());
    }
    match (&manifest.license, manifest.licenses.is_empty()) {
        (Some(license), true) => {
            warnings.push(format!("its licence is left out: `{}`", license.escape_debug()));
        }
        (None, _) => warnings.push("it names no licence".to_owned()),
        _ => {}
    }
    if let (Some(range), None) = (&manifest.engines, &manifest.nodejs) {
        warnings
            .push(format!("no Node.js of nixpkgs is known to be in the range `{}`", range.escape_debug()));
    }
    warnings
}

/// What is to be known of optional dependencies.
fn parts(package: &Package) -> Vec<String> {
    let mut parts = Vec::new();
    if !package.left_out.is_empty() {
        let names = package.left_out.join(", ");
        parts.push(match package.form {
            Form::Platforms(_) => format!("the registry has no release of optional dependencies: {names}"),
            _ => format!("optional dependencies are left out: {names}"),
        });
    }
    parts
}

/// What was written, in a few words.
fn extent(package: &Package) -> String {
    match &package.form {
        Form::Lockfile(locked) => format!("{} packages", locked.dependencies),
        Form::Bundled => "its tarball".to_owned(),
        Form::Platforms(platforms) => format!("its tarball and those of {} systems", platforms.len()),
    }
}

pub(super) fn plain(
    package: &Package,
    work: &Additions,
    root: &Path,
    paths: &Paths,
    dry_run: bool,
) -> String {
    let release = &package.release;
    let Some(replacement) = work.replacements.first() else { return format!("{}\n", work.expression) };
    if dry_run {
        return patch(root, &work.replacements);
    }
    let file = paths.show(&replacement.path);
    format!("added {} {} to {file}, {}\n", release.name, release.version, extent(package))
}

pub(super) fn json_form(package: &Package, work: &Additions, paths: &Paths, dry_run: bool) -> String {
    let created = work.creations.iter().map(|creation| &creation.path);
    let changed = work.replacements.iter().map(|replacement| &replacement.path);
    let manifest = &package.manifest;
    let locked = package.locked();
    let programs: Vec<_> = manifest.programs.iter().map(|program| &program.name).collect();
    let fit = json!({ "shape": package.fit.shape().code(), "why": package.fit.to_string() });
    let value = json!({
        "schema_version": SCHEMA_VERSION,
        "command": "add",
        "dry_run": dry_run,
        "name": package.release.name.as_str(),
        "version": package.release.version,
        "url": package.url.as_str(),
        "source_hash": package.source_hash,
        "shape": shape(package).code(),
        "fits": fit,
        "npm_deps_hash": locked.map(|locked| &locked.npm_deps_hash),
        "packages": locked.map_or(0, |locked| locked.dependencies),
        "platforms": platforms(package),
        "signature": package.signature.code(),
        "main_program": manifest.main_program,
        "programs": programs,
        "nodejs": manifest.nodejs,
        "install_scripts": {
            "own": manifest.install_scripts,
            "dependencies": locked.map_or(&[][..], |locked| &locked.install_scripts),
        },
        "node_gyp": manifest.gyp,
        "needs_build": manifest.needs_build,
        "expression": work.expression,
        "created_files": created.map(|path| paths.show(path)).collect::<Vec<_>>(),
        "changed_files": changed.map(|path| paths.show(path)).collect::<Vec<_>>(),
        "warnings": warnings(package),
    });
    npm_nixhash::report::json(&value)
}

fn shape(package: &Package) -> Shape {
    match package.form {
        Form::Lockfile(_) => Shape::Lockfile,
        Form::Bundled => Shape::Bundled,
        Form::Platforms(_) => Shape::Platforms,
    }
}

fn platforms(package: &Package) -> Vec<serde_json::Value> {
    let Form::Platforms(platforms) = &package.form else { return Vec::new() };
    let one = |platform: &Platform| {
        json!({
            "system": platform.system,
            "name": platform.name.as_str(),
            "version": platform.version,
            "url": platform.url.as_str(),
            "source_hash": platform.hash,
            "signature": platform.signature.code(),
        })
    };
    platforms.iter().map(one).collect()
}
