//! What `add` has to say.

use std::path::Path;

use npm_nixhash::{
    packaging::Package,
    report::{Message, Paths, SCHEMA_VERSION},
};
use serde_json::json;

use super::Work;
use crate::cli::{output::Terminal, publish::patch};

pub(super) fn warn(package: &Package, work: &Work, paths: &Paths, dry_run: bool, terminal: &Terminal) {
    for text in warnings(package) {
        terminal.message("warning", &Message::plain(text));
    }
    terminal.message("note", &Message::plain(package.signature.to_string()));
    for creation in work.creations.iter().filter(|_| !dry_run) {
        let path = paths.show(&creation.path);
        let message = Message::plain(format!("wrote {path}: let git track it, a flake sees nothing else"));
        terminal.message("note", &message);
    }
}

fn warnings(package: &Package) -> Vec<String> {
    let manifest = &package.manifest;
    let mut warnings: Vec<String> = package.warnings.iter().map(ToString::to_string).collect();
    if manifest.gyp {
        warnings.push(
            "it has native code that node-gyp compiles: without its install script it is not built"
                .to_owned(),
        );
    }
    if !manifest.install_scripts.is_empty() {
        let scripts = manifest.install_scripts.join(", ");
        warnings.push(format!("it has install scripts ({scripts}), which npmFlags keeps from running"));
    }
    if !package.install_scripts.is_empty() {
        let names = package.install_scripts.join(", ");
        warnings
            .push(format!("dependencies have install scripts, which npmFlags keeps from running: {names}"));
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

pub(super) fn plain(package: &Package, work: &Work, root: &Path, paths: &Paths, dry_run: bool) -> String {
    let release = &package.release;
    let Some(replacement) = work.replacements.first() else { return format!("{}\n", work.expression) };
    if dry_run {
        return patch(root, &work.replacements);
    }
    let file = paths.show(&replacement.path);
    format!("added {} {} to {file}, {} packages\n", release.name, release.version, package.dependencies)
}

pub(super) fn json_form(package: &Package, work: &Work, paths: &Paths, dry_run: bool) -> String {
    let created = work.creations.iter().map(|creation| &creation.path);
    let changed = work.replacements.iter().map(|replacement| &replacement.path);
    let manifest = &package.manifest;
    let value = json!({
        "schema_version": SCHEMA_VERSION,
        "command": "add",
        "dry_run": dry_run,
        "name": package.release.name.as_str(),
        "version": package.release.version,
        "url": package.url.as_str(),
        "source_hash": package.source_hash,
        "npm_deps_hash": package.npm_deps_hash,
        "packages": package.dependencies,
        "signature": package.signature.code(),
        "main_program": manifest.main_program,
        "programs": manifest.programs,
        "nodejs": manifest.nodejs,
        "install_scripts": { "own": manifest.install_scripts, "dependencies": package.install_scripts },
        "node_gyp": manifest.gyp,
        "needs_build": manifest.needs_build,
        "expression": work.expression,
        "created_files": created.map(|path| paths.show(path)).collect::<Vec<_>>(),
        "changed_files": changed.map(|path| paths.show(path)).collect::<Vec<_>>(),
        "warnings": warnings(package),
    });
    npm_nixhash::report::json(&value)
}
