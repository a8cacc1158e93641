//! One input of a flake.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::{Location, Name};
use nix_lang::value::source::{Base, Remote, RemoteKind, Source};
use nix_lang::value::{Attrs, Meaning, Value};
use serde_json::Value as Lock;

use super::relative_folder;
use crate::packages::{self, is_nixpkgs};

/// An input and its locked node.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name in the flake.
    pub name: Name,
    /// Whether it is nixpkgs.
    pub nixpkgs: bool,
    /// The node of `flake.lock`.
    pub node: Option<Lock>,
    /// The folder of the repository that it is.
    pub local: Option<PathBuf>,
}

/// `flake.lock` of a folder.
pub(super) fn read_lock(ev: &mut Eval, folder: &Path) -> Option<Lock> {
    let file = ev.files.read(&folder.join("flake.lock")).ok()?;
    serde_json::from_str(&ev.files.get(file).text).ok()
}

fn root_inputs(lock: &Lock) -> Option<&serde_json::Map<String, Lock>> {
    let root = lock.get("root")?.as_str()?;
    lock.get("nodes")?.get(root)?.get("inputs")?.as_object()
}

/// The names of the inputs of the flake itself.
pub(super) fn locked_names(lock: Option<&Lock>) -> Vec<Name> {
    lock.and_then(root_inputs)
        .map(|inputs| inputs.keys().map(|key| Rc::from(key.as_str())).collect())
        .unwrap_or_default()
}

/// The node that an input of the flake itself refers to; a list is a path through other inputs (`follows`).
fn locked_node(lock: &Lock, name: &str) -> Option<Lock> {
    let nodes = lock.get("nodes")?;
    let target = root_inputs(lock)?.get(name)?;
    resolve(nodes, lock.get("root")?.as_str()?, target, 0).and_then(|key| nodes.get(key)).cloned()
}

fn resolve<'a>(nodes: &'a Lock, root: &'a str, target: &'a Lock, depth: u32) -> Option<&'a str> {
    if let Some(key) = target.as_str() {
        return Some(key);
    }
    // Paths may lead round in a file that Nix did not write.
    if depth > 10 {
        return None;
    }
    let mut key = root;
    for step in target.as_array()? {
        let next = nodes.get(key)?.get("inputs")?.get(step.as_str()?)?;
        key = resolve(nodes, root, next, depth + 1)?;
    }
    Some(key)
}

impl Meaning for Input {
    fn source(&self, _: &Value, here: Location) -> Option<Source> {
        Some(Source::new(Base::Remote(Rc::new(self.remote(here)))))
    }
}

impl Input {
    /// An input of which only the name is known.
    #[must_use]
    pub fn unlocked(name: &str) -> Self {
        let nixpkgs = is_nixpkgs(name);
        Self { name: Rc::from(name), nixpkgs, node: None, local: None }
    }

    /// An input with what `flake.lock` and `flake.nix` say about it.
    pub fn locked(name: &str, lock: Option<&Lock>, url: Option<&str>, folder: &Path) -> Self {
        let node = lock.and_then(|lock| locked_node(lock, name));
        let mentions = |part: &str| {
            let node = node.as_ref().and_then(|node| node.get(part));
            // Of a repository at a host, of a name in the registry, of a tarball or a checkout.
            ["repo", "id", "url"]
                .iter()
                .any(|key| node.and_then(|n| n.get(key)).and_then(Lock::as_str).is_some_and(is_nixpkgs))
        };
        let nixpkgs =
            is_nixpkgs(name) || url.is_some_and(is_nixpkgs) || mentions("locked") || mentions("original");
        let locked_path = node
            .as_ref()
            .and_then(|node| node.get("locked"))
            .filter(|locked| locked.get("type").and_then(Lock::as_str) == Some("path"));
        let local = locked_path
            .and_then(|locked| locked.get("path"))
            .and_then(Lock::as_str)
            .and_then(|path| relative_folder(folder, path))
            .or_else(|| url.and_then(|url| relative_folder(folder, url)));
        Self { name: Rc::from(name), nixpkgs, node, local }
    }

    /// As a source to be fetched.
    pub fn remote(&self, call: Location) -> Remote {
        let node = self.node.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
        Remote {
            kind: RemoteKind::FlakeInput,
            fetcher: Rc::from("flake input"),
            call,
            args: Value::attrs(Attrs::default()),
            input: Some((self.name.to_string(), node)),
            nixpkgs: self.nixpkgs,
        }
    }

    fn locked_text(&self, key: &str) -> Option<&str> {
        self.node.as_ref()?.get("locked")?.get(key)?.as_str()
    }
}

/// An input as a value.
pub(super) fn value(input: Input) -> Value {
    packages::meant(input)
}

/// An attribute of an input.
pub(crate) fn input_member(ev: &mut Eval, input: &Rc<Input>, name: &str, here: Location) -> Value {
    let source = |input: &Input| Source {
        // Nix calls whatever it fetches for a flake `source`.
        name: Some("source".into()),
        ..Source::new(Base::Remote(Rc::new(input.remote(here))))
    };
    match name {
        "outPath" | "sourceInfo" => return source(input).value(),
        "rev" | "narHash" => {
            if let Some(text) = input.locked_text(name) {
                return Value::text(text);
            }
        }
        "shortRev" => {
            if let Some(text) = input.locked_text("rev") {
                return Value::text(text.get(..7).unwrap_or(text));
            }
        }
        "lib" if input.nixpkgs => return packages::lib(),
        "legacyPackages" | "packages" if input.nixpkgs => return packages::per_system(),
        _ => {}
    }
    if name == "lib" {
        return Value::outside(&format!("inputs.{}.lib", input.name), Some(here));
    }
    let unknown = Value::outside(&format!("inputs.{}", input.name), Some(here));
    match unknown.as_unknown() {
        Some(unknown) => ev.member_of_unknown(unknown, name, here),
        None => unknown,
    }
}
