//! `cache`: the tarball store, for people.

use bytesize::ByteSize;
use npm_nixhash::report::{Message, SCHEMA_VERSION};
use npm_tarballs::store::memo::Memo;
use npm_tarballs::store::{Drafts, Store};
use serde_json::{Value, json};

use super::args::{CacheArgs, CacheCommand};
use super::env::Environment;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::supply::store_folder;

pub(super) fn run(args: &CacheArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let nowhere = || {
        let message = Message::plain("there is no folder for a cache: HOME is not set");
        Fatal(message.hinting(Some("name one with NPM_NIXHASH_CACHE")))
    };
    let store = Store::at(store_folder(environment).ok_or_else(nowhere)?);
    let (text, value) = match &args.command {
        CacheCommand::Dir => (format!("{}\n", store.dir().display()), json!({ "dir": store.dir() })),
        CacheCommand::Stats => stats(&store)?,
        CacheCommand::Prune { max_size, older_than } => {
            prune(&store, max_size.map(|size| size.as_u64()), older_than.map(Into::into))?
        }
    };
    terminal.data(&if args.json { versioned(value) } else { text });
    Ok(Exit::Fine)
}

fn stats(store: &Store) -> Result<(String, Value), Fatal> {
    let stats = store.stats().map_err(|error| Fatal::new(&error))?;
    let drafts = drafts(stats.drafts, ", ", "draft");
    let text = format!("{}, {}{drafts}\n", many(stats.entries, "tarball"), ByteSize(stats.bytes));
    let value = json!({
        "tarballs": stats.entries,
        "bytes": stats.bytes,
        "drafts": stats.drafts.files,
        "draft_bytes": stats.drafts.bytes,
    });
    Ok((text, value))
}

fn prune(
    store: &Store,
    max_size: Option<u64>,
    older_than: Option<std::time::Duration>,
) -> Result<(String, Value), Fatal> {
    let pruned = store.prune(max_size, older_than).map_err(|error| Fatal::new(&error))?;
    if let Some(age) = older_than {
        Memo::at(store.dir()).prune(age).map_err(|error| Fatal::new(&error))?;
    }
    let (removed, left) = (pruned.removed, pruned.left);
    let text = format!(
        "removed {} ({}){}, {} left ({}){}\n",
        many(removed.entries, "tarball"),
        ByteSize(removed.bytes),
        drafts(removed.drafts, " and ", "abandoned draft"),
        left.entries,
        ByteSize(left.bytes),
        // They belong to processes that are running.
        drafts(left.drafts, " and ", "draft"),
    );
    let value = json!({
        "removed_tarballs": removed.entries,
        "removed_bytes": removed.bytes,
        "removed_drafts": removed.drafts.files,
        "removed_draft_bytes": removed.drafts.bytes,
        "tarballs": left.entries,
        "bytes": left.bytes,
        "drafts": left.drafts.files,
        "draft_bytes": left.drafts.bytes,
    });
    Ok((text, value))
}

fn versioned(mut value: Value) -> String {
    value["schema_version"] = SCHEMA_VERSION.into();
    value["command"] = "cache".into();
    npm_nixhash::report::json(&value)
}

fn drafts(drafts: Drafts, before: &str, noun: &str) -> String {
    match drafts {
        Drafts { files: 0, .. } => String::new(),
        Drafts { files, bytes } => format!("{before}{} ({})", many(files, noun), ByteSize(bytes)),
    }
}

fn many(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
