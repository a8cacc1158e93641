//! `--add-to-store`: a computed tree becomes the output that Nix would fetch, so that no build fetches it again.
//!
//! `nix-store --add-fixed` makes the path of a recursively hashed fixed output from a folder's name and content, which is
//! all that Nix asks of such an output, no matter who made it.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::process::Command;

use error_advice::Advise;
use nix_binary_cache::store_path::{DerivationName, DerivationNameError};
use npm_deps::{HashFailure, HashRequest, NarHash, Outputs};
use npm_nixhash::drift::{Plan, Planned};
use npm_nixhash::report::{Message, Report};

use super::env::Environment;
use super::output::Fatal;
use super::supply::Sources;

/// Why a tree is not in the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum NixStoreError {
    #[error("cannot run nix-store")]
    Run(#[source] io::Error),
    #[error("nix-store did not add {name}")]
    Refused {
        name: String,
        #[source]
        said: ProgramOutput,
    },
    #[error("the store calls the tree {got} instead of {expected}")]
    OtherPath { got: String, expected: String },
    #[error(transparent)]
    Name(#[from] DerivationNameError),
    #[error("cannot make a temporary folder")]
    Folder(#[source] io::Error),
    #[error("cannot make the tree of {0} again")]
    Tree(String, #[source] ProgramOutput),
}

/// What another program, or the pipeline, had to say.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ProgramOutput(String);

impl Advise for NixStoreError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Run(error) if error.kind() == io::ErrorKind::NotFound => {
                Some("install Nix, or leave --add-to-store out: the hashes need no Nix".into())
            }
            _ => None,
        }
    }
}

impl From<NixStoreError> for Fatal {
    fn from(error: NixStoreError) -> Self {
        Self(Message::of(&error))
    }
}

/// The local store.
pub(super) struct NixStore<'a> {
    environment: &'a Environment,
}

impl<'a> NixStore<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self { environment }
    }

    /// Where the output will be.
    pub(super) fn path(&self, name: &DerivationName, hash: &NarHash) -> String {
        match self.environment.text("NIX_STORE_DIR") {
            Some(store) => name.fixed_output_path_in(store.trim_end_matches('/'), &hash.0),
            None => name.fixed_output_path(&hash.0),
        }
    }

    /// Adds the tree that lies in a folder of its name.
    pub(super) fn add(
        &self,
        tree: &Path,
        name: &DerivationName,
        hash: &NarHash,
    ) -> Result<String, NixStoreError> {
        let mut command = self.command()?;
        let output = command.args(["--add-fixed", "--recursive", "sha256"]).arg(tree).output();
        let output = output.map_err(NixStoreError::Run)?;
        if !output.status.success() {
            let said = ProgramOutput(last_line(&output.stderr).unwrap_or_else(|| output.status.to_string()));
            return Err(NixStoreError::Refused { name: name.as_str().to_owned(), said });
        }
        let got = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let expected = self.path(name, hash);
        // nix-store hashes the tree by itself: another path means other bytes than were hashed here, or another store.
        if got == expected { Ok(got) } else { Err(NixStoreError::OtherPath { got, expected }) }
    }

    fn has(&self, path: &str) -> Result<bool, NixStoreError> {
        // A path that is there may be half of one; which are whole only the store's database tells.
        let output = self.command()?.args(["--check-validity", path]).output().map_err(NixStoreError::Run)?;
        Ok(output.status.success())
    }

    /// Looked up here, and not by the system, which would also find what a repository calls `nix-store` if PATH has
    /// a relative entry.
    fn command(&self) -> Result<Command, NixStoreError> {
        let missing = || NixStoreError::Run(io::ErrorKind::NotFound.into());
        let mut command = Command::new(self.environment.program("nix-store").ok_or_else(missing)?);
        command.env_clear().envs(self.environment.for_nix()).stdin(std::process::Stdio::null());
        Ok(command)
    }
}

fn last_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// Puts the tree of every site of a plan into the store; what is there already is left alone. Tells what could not be
/// named.
pub(super) fn add_all(
    plan: &Plan,
    report: &mut Report,
    sources: &Sources,
    environment: &Environment,
) -> Result<Vec<Message>, NixStoreError> {
    let store = NixStore::new(environment);
    let mut unnamed = Vec::new();
    for (planned, site) in plan.sites.iter().zip(&mut report.sites) {
        let Some(computed) = planned.computed() else { continue };
        let Some(name) = &planned.site.output_name else {
            let message = "not added to the store, because the name of its derivation is not known";
            unnamed.push(Message::plain(format!("{}: {message}", site.service)));
            continue;
        };
        let name = DerivationName::parse(name)?;
        let path = store.path(&name, &computed.hash);
        if !store.has(&path)? {
            add_one(planned, &name, &computed.hash, &store, sources)?;
        }
        site.store_path = Some(path);
    }
    Ok(unnamed)
}

/// The tree is made again from what the first computation left on disk, and has to hash the same.
fn add_one(
    planned: &Planned,
    name: &DerivationName,
    hash: &NarHash,
    store: &NixStore<'_>,
    sources: &Sources,
) -> Result<(), NixStoreError> {
    let shown = || name.as_str().to_owned();
    let folder = tempfile::tempdir().map_err(NixStoreError::Folder)?;
    let tree = folder.path().join(name.as_str());
    let outputs = Outputs { tree: Some(tree.clone()), ..Outputs::default() };
    let lockfile = planned.hashed.clone().expect("bug: what was computed was hashed");
    let request = HashRequest { outputs, ..HashRequest::new(lockfile, planned.site.options) };
    let result = npm_deps::compute(&[request], &sources.supply, &sources.settings).pop();
    match result.expect("bug: one request has one result") {
        Err(failure) => Err(NixStoreError::Tree(shown(), first(&failure))),
        Ok(computed) if computed.hash.0 != hash.0 => {
            Err(NixStoreError::Tree(shown(), ProgramOutput("its hash is another one now".to_owned())))
        }
        Ok(_) => store.add(&tree, name, hash).map(drop),
    }
}

fn first(failure: &HashFailure) -> ProgramOutput {
    ProgramOutput(failure.obstacles.first().map(ToString::to_string).unwrap_or_default())
}
