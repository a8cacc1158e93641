//! Servers of others that a test installs and runs.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::support::program::succeed;

/// The `node_modules` with a package from npm, which is installed once, into a folder with this `package.json`; `file` is in
/// it then.
pub fn modules(package: &str, version: &str, manifest: &Value, file: &str) -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/ci-tools")).join(package);
    let modules = folder.join("node_modules");
    if !modules.join(file).exists() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("package.json"), manifest.to_string()).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]);
        succeed(npm.arg(format!("{package}@{version}")).current_dir(&folder));
    }
    modules
}

/// A server; it ends when this is dropped.
pub struct Running(Child);

impl Running {
    /// Starts a server that says nothing, and waits until it answers at this port of 127.0.0.1.
    pub fn start(command: &mut Command, port: u16) -> Self {
        let running = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return running;
            }
            sleep(Duration::from_millis(200));
        }
        panic!("{command:?} did not start");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
