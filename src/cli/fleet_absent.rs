//! In the place of `fleet`, where that was left out of the build: no flags, and a warning where a team's file asks for them.

use std::sync::Arc;

use clap::Args;
use nix_binary_cache::store_path::DerivationName;
use npm_lockfile::options::HashOptions;
use npm_nixhash::drift::Plan;
use npm_nixhash::report::messages::MessageKind;
use npm_nixhash::report::{Message, PublishedReport, Report};
use npm_registry::Options;
use npm_tarballs::store::memo::SharedMemo;
use npm_tarballs::store::shared::SharedTarballs;
use tokio::runtime::Handle;

use super::config::Config;
use super::env::Environment;
use super::output::{Fatal, Terminal};
use super::supply::{PublishSettings, RemoteSettings, Sources};

#[derive(Debug, Args)]
pub(super) struct PublishArgs {}

impl PublishArgs {
    #[expect(clippy::unused_self, reason = "as in the other build")]
    pub(super) fn wanted(&self) -> bool {
        false
    }
}

#[derive(Debug, Args)]
pub(super) struct PublishedArgs {}

#[derive(Debug, Args)]
pub(super) struct RemoteArgs {}

#[expect(dead_code, reason = "as in the other build")]
pub(super) struct WantedOutput {
    pub(super) name: DerivationName,
    pub(super) nar_hash: [u8; 32],
    pub(super) lockfile: Arc<[u8]>,
    pub(super) options: HashOptions,
}

pub(super) struct Caches;

impl Caches {
    pub(super) fn to_publish(
        settings: PublishSettings<'_>,
        _: &Sources,
        _: &Environment,
        terminal: &Terminal,
    ) -> Result<Self, Fatal> {
        if settings.config.is_some_and(|config| !config.publish.0.is_empty()) {
            terminal.message(MessageKind::Warning, &left_out("publish"));
        }
        Ok(Self)
    }

    pub(super) fn to_look_into(
        _: &PublishedArgs,
        _: &Config,
        _: &Sources,
        _: &Environment,
    ) -> Result<Self, Fatal> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "as in the other build")]
    pub(super) fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn publish_all(&self, _: &Plan, _: &mut Report, _: &Sources, _: &Terminal) {}

    pub(super) fn look_for_all(&self, _: &Plan, _: &mut Report, _: &Terminal) {}

    pub(super) fn publish(
        &self,
        _: &[WantedOutput],
        _: &Sources,
    ) -> (Vec<Vec<PublishedReport>>, Vec<Message>) {
        (Vec::new(), Vec::new())
    }
}

#[derive(Debug)]
pub(super) struct Memory;

impl Memory {
    pub(super) fn configured(
        settings: RemoteSettings<'_>,
        _: &Options,
        _: &Handle,
        _: &Environment,
        terminal: &Terminal,
    ) -> Result<Option<Arc<Self>>, Fatal> {
        if settings.config.remote.0.is_some() {
            terminal.message(MessageKind::Warning, &left_out("remote"));
        }
        Ok(None)
    }

    #[expect(clippy::unused_self, reason = "as in the other build")]
    pub(super) fn tarballs(self: &Arc<Self>) -> Option<Arc<dyn SharedTarballs>> {
        None
    }

    pub(super) fn settle(&self) -> Option<Message> {
        None
    }
}

impl SharedMemo for Memory {
    fn word(&self) -> Option<String> {
        None
    }

    fn get(&self, keys: &[[u8; 32]]) -> Vec<Option<Vec<u8>>> {
        vec![None; keys.len()]
    }

    fn put(&self, _: &[u8; 32], _: &[u8]) {}
}

fn left_out(key: &str) -> Message {
    Message::plain(format!(
        "`{key}` of npm-nixhash.toml is not obeyed: this build is one without the feature `fleet`"
    ))
}
