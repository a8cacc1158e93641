//! npm installs offline from a tree that this tool wrote, as nixpkgs' build has it do.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::program::{Scratch, overrides_json, succeed};
use crate::support::truth::{Row, rows_of, serve_all};

/// A project, its offline cache, and the tool's helpers.
struct Project {
    place: Scratch,
    lockfile: Value,
}

impl Project {
    /// The project whose lockfile a case is: manifests are made from what the lockfile says of them.
    fn of(row: &Row) -> Self {
        let place = Scratch::new();
        let text = std::fs::read(row.lockfile()).unwrap();
        place.write("project/package-lock.json", &text);
        let lockfile: Value = serde_json::from_slice(&text).unwrap();
        for (path, entry) in lockfile["packages"].as_object().unwrap() {
            if !path.split('/').any(|part| part == "node_modules") {
                let path = Path::new("project").join(path).join("package.json");
                place.write(path.to_str().unwrap(), entry.to_string());
            }
        }
        Self { place, lockfile }
    }

    /// What nixpkgs does: fetch, map the cache, fix the lockfile up, install without a network.
    fn install(&self, row: &Row, registry_overrides: &str) {
        let at = |name: &str| self.place.path(name);
        let lockfile = at("project/package-lock.json");
        let mut fetch = self.place.prefetch_npm_deps([&lockfile, &at("deps")]);
        let fetch = fetch.env("NIX_NPM_REGISTRY_OVERRIDES", registry_overrides).envs(row.variables());
        assert_eq!(succeed(fetch), "");
        let map = at("map.json");
        succeed(
            self.place.prefetch_npm_deps([Path::new("--map-cache"), &at("deps")]).env("CACHE_MAP_PATH", &map),
        );
        let fixup = [Path::new("--fixup-lockfile"), lockfile.as_path()];
        succeed(self.place.prefetch_npm_deps(fixup).env("CACHE_MAP_PATH", &map));
        copy(&at("deps"), &at("cache"));
        self.npm(&["ci", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"]);
    }

    fn npm(&self, arguments: &[&str]) {
        let mut npm = Command::new("npm");
        npm.args(arguments).arg("--cache").arg(self.place.path("cache"));
        // Nobody listens there: what is not in the cache is not available.
        npm.env("https_proxy", "http://127.0.0.1:9").env("http_proxy", "http://127.0.0.1:9");
        succeed(npm.current_dir(self.place.path("project")).env("HOME", self.place.path("home")));
    }

    /// The version that is installed at a path of the lockfile.
    fn installed(&self, path: &str) -> Value {
        let manifest = self.place.path("project").join(path).join("package.json");
        let text = std::fs::read(&manifest).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
        serde_json::from_slice::<Value>(&text).unwrap()["version"].clone()
    }

    /// Everything that the lockfile wants on any platform is there, in its version.
    fn assert_complete(&self) {
        let mut checked = 0;
        for (path, entry) in self.lockfile["packages"].as_object().unwrap() {
            let optional = entry["optional"] == json!(true) || entry["link"] == json!(true);
            if path.contains("node_modules/") && !optional {
                assert_eq!(self.installed(path), entry["version"], "{path}");
                checked += 1;
            }
        }
        assert!(checked > 0);
    }
}

fn copy(from: &PathBuf, to: &PathBuf) {
    succeed(Command::new("cp").arg("-r").arg(from).arg(to));
}

fn row(case: &str, fetcher_version: &str) -> Row {
    rows_of(case).into_iter().find(|row| row.fetcher_version == fetcher_version).unwrap()
}

#[test]
fn a_project_with_workspaces() {
    for version in ["1", "2"] {
        let row = row("workspaces-v3", version);
        let project = Project::of(&row);
        project.install(&row, "{}");
        project.assert_complete();
    }
}

#[test]
fn a_project_with_aliases() {
    for version in ["1", "2"] {
        let row = row("alias-v3", version);
        let project = Project::of(&row);
        project.install(&row, "{}");
        project.assert_complete();
    }
}

#[test]
fn a_project_with_a_git_dependency() {
    let registry = serve_all();
    let row = row("git-plain-v3", "1");
    let project = Project::of(&row);
    project.install(&row, &overrides_json(&registry.url()));
    project.assert_complete();
    assert!(project.place.path("project/node_modules/plain/lib/deep/file1.js").exists());
}
