//! A repository in a temporary folder, and the program run in it as a user would.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use super::registry::{Published, Registry};

/// A repository, a home and a cache of its own, and a registry.
pub struct Project {
    folder: tempfile::TempDir,
    pub registry: Registry,
}

impl Project {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["repo/.git", "home"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Self { folder, registry: Registry::start() }
    }

    /// The repository's folder, without links on the way.
    pub fn root(&self) -> PathBuf {
        fs::canonicalize(self.folder.path().join("repo")).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a version 3 lockfile for these packages into a folder.
    pub fn lock(&self, folder: &str, packages: &[&Published]) {
        self.write(&format!("{folder}/package-lock.json"), lockfile(folder, packages));
    }

    /// The program with a clean environment, ready to run in the repository.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_npm-nixhash"));
        command.args(args).current_dir(self.root()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.folder.path().join("home"));
        command.env("NPM_NIXHASH_CACHE", self.cache());
        let overrides = json!({ "registry.npmjs.org": self.registry.url() });
        command.env("NIX_NPM_REGISTRY_OVERRIDES", overrides.to_string());
        command
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a user sees: the exit code and both streams, with what differs from run to run replaced.
    pub fn transcript(&self, args: &[&str]) -> String {
        self.render(&self.run(args))
    }

    pub fn render(&self, output: &Output) -> String {
        let mut text = format!("exit {}\n", output.status.code().unwrap());
        for (name, stream) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !stream.is_empty() {
                let _ = write!(text, "--- {name}\n{}", String::from_utf8(stream.clone()).unwrap());
            }
        }
        let root = self.root();
        let text =
            text.replace(&root.display().to_string(), "[ROOT]").replace(&self.registry.url(), "[REGISTRY]");
        let text = text.replace(&self.registry.url().replace("http://", ""), "[HOST]");
        without_seconds(&text)
    }
}

/// The text of a version 3 lockfile that depends on these packages.
pub fn lockfile(name: &str, packages: &[&Published]) -> String {
    let mut entries = serde_json::Map::new();
    entries.insert(String::new(), json!({ "name": name, "version": "1.0.0" }));
    for package in packages {
        let entry =
            json!({ "version": package.version, "resolved": package.url, "integrity": package.integrity });
        entries.insert(format!("node_modules/{}", package.name), entry);
    }
    let lockfile = json!({ "name": name, "version": "1.0.0", "lockfileVersion": 3, "packages": entries });
    format!("{lockfile:#}\n")
}

/// `, 0.1 s` at the end of a line becomes `, [TIME]`.
fn without_seconds(text: &str) -> String {
    let line = |line: &str| match line.strip_suffix(" s").and_then(|rest| rest.rsplit_once(", ")) {
        Some((rest, number)) if number.parse::<f64>().is_ok() => format!("{rest}, [TIME]\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The hash of a lockfile, computed the slow way: the tree on disk, then its NAR by the library's own file system walk.
pub fn hash_of_tree(tree: &Path) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};
    let mut nar = Vec::new();
    std::io::copy(&mut nix_nar::Encoder::new(tree).unwrap(), &mut nar).unwrap();
    format!("sha256-{}", STANDARD.encode(Sha256::digest(&nar)))
}
