//! The program, run in a folder of its own with an environment of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::registry::Registry;

/// What a run gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Gives a program of Nix a store, with all that belongs to it, in this folder.
pub fn with_store_in<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    for (variable, name) in [
        ("NIX_STORE_DIR", "store"),
        ("NIX_STATE_DIR", "state"),
        ("NIX_LOG_DIR", "log"),
        ("NIX_CONF_DIR", "conf"),
        ("NIX_DATA_DIR", "data"),
    ] {
        command.env(variable, folder.join(name));
    }
    command.env_remove("NIX_REMOTE")
}

/// A folder with a home in it, removed when this is dropped.
pub struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        Self { folder }
    }

    /// A path in the folder, which is the current one of all that runs here.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The names in a folder, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.path("home"));
        command
    }

    /// A shell with the machine's programs.
    pub fn shell(&self) -> Command {
        let mut command = self.command(Path::new("/bin/sh"));
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command
    }

    /// `npm-nixhash` with these arguments.
    pub fn npm_nixhash<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_npm-nixhash")));
        command.args(arguments);
        command
    }

    /// The same program under its other name.
    pub fn prefetch_npm_deps<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let link = self.path("prefetch-npm-deps");
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_npm-nixhash"), &link).unwrap();
        }
        let mut command = self.command(&link);
        command.args(arguments);
        command
    }
}

/// The flags that lead every host that the fixtures know to `registry`.
pub fn overrides(registry: &Registry) -> Vec<String> {
    let hosts = super::truth::HOSTS.iter();
    hosts.flat_map(|host| ["--registry-override".to_owned(), format!("{host}={}", registry.url())]).collect()
}

/// The same as the value of `NIX_NPM_REGISTRY_OVERRIDES`.
pub fn overrides_json(url: &str) -> String {
    let map: serde_json::Map<_, _> =
        super::truth::HOSTS.iter().map(|host| ((*host).to_owned(), url.into())).collect();
    serde_json::Value::Object(map).to_string()
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs a command that has to succeed; gives its standard output without white space at the end.
pub fn succeed(command: &mut Command) -> String {
    let ran = run(command);
    assert_eq!(ran.code, 0, "{command:?}\n{}{}", ran.stdout, ran.stderr);
    ran.stdout.trim_end().to_owned()
}
