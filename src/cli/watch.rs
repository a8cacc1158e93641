//! `check --watch`: the same check again whenever something in the repository changes, and a line for each service that it
//! makes a difference to. It ends with the signal that ends it, and leaves nothing behind: nothing is written.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use notify::event::{AccessKind, AccessMode, MetadataKind, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use npm_nixhash::report::Message;
use npm_nixhash::report::changes::Seen;
use npm_nixhash::report::messages::MessageKind;
use repository_files::git::Git;

use super::args::CheckArgs;
use super::check::{self, Checked};
use super::env::Environment;
use super::output::{Exit, Fatal, Outcome, Terminal};

/// Who saves many files, or one in several steps, is done when nothing happened for this long. A line is to be there 100 ms
/// after a lockfile was saved.
const QUIET: Duration = Duration::from_millis(20);

/// Who never pauses is not waited for any longer.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// A check that is overtaken by the next change says nothing, because it may have read a file that was half written; for so
/// long, lest who never stops saving is never told.
const LONGEST_HOLD: Duration = Duration::from_secs(1);

/// Between two looks, where the system does not tell.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn run(args: &CheckArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let Checked { report, root, .. } = check::check(args, environment, terminal)?;
    check::tell(&report, terminal);
    let mut seen = Seen::of(&report);
    let mut changes = Changes::of(&root, args.poll.map(Into::into));
    let number = changes.follow(&root, terminal).number;
    let how = changes.how();
    terminal.message(
        MessageKind::Note,
        &Message::plain(format!("watching {number} folders{how}; Ctrl-C ends it")),
    );
    let mut last_error = None;
    let mut since = Instant::now();
    loop {
        // What happened since the check, before the folders were watched, nobody tells.
        let checked = check::check(args, environment, terminal);
        if changes.goes_on(since) {
            continue;
        }
        match checked {
            Ok(Checked { report, .. }) => {
                let text = seen.news(&report, terminal.look());
                terminal.text(&text.lines);
                terminal.messages(&text.messages);
                last_error = None;
            }
            Err(Fatal(message)) if !root.is_dir() => return Err(Fatal(message)),
            Err(Fatal(message)) => {
                if last_error.as_ref() != Some(&message) {
                    terminal.message(MessageKind::Error, &message);
                }
                last_error = Some(message);
            }
        }
        if terminal.is_closed() {
            return Ok(Exit::Fine);
        }
        if !changes.follow(&root, terminal).is_new {
            changes.wait();
            since = Instant::now();
        }
    }
}

/// Tells that something changed.
struct Changes {
    told: Receiver<()>,
    folders: Arc<Mutex<Folders>>,
    teller: Teller,
    tell: SyncSender<()>,
}

/// Who tells.
enum Teller {
    System(RecommendedWatcher),
    /// A thread that looks at all folders, with such a pause between.
    Looking(Duration),
}

/// What is watched.
#[derive(Default)]
struct Folders {
    watched: BTreeSet<PathBuf>,
    /// Whether one of them went, so that whatever is there now under its name is not watched.
    is_stale: AtomicBool,
}

/// What became of the folders to watch.
struct Followed {
    number: usize,
    /// Whether one is watched that was not before.
    is_new: bool,
}

impl Changes {
    /// Of a repository; `every` so often, if somebody wants to look instead of being told.
    fn of(root: &Path, every: Option<Duration>) -> Self {
        // One is enough to know that there is something to do, so that the memory that this takes is bounded.
        let (tell, told) = sync_channel(1);
        let folders = Arc::new(Mutex::new(Folders::default()));
        let system = || {
            let (tell, folders) = (tell.clone(), Arc::clone(&folders));
            RecommendedWatcher::new(move |event| note(event, &folders, &tell), notify::Config::default()).ok()
        };
        let system = if every.is_some() || !is_told_of(root) { None } else { system() };
        let every = every.unwrap_or(PAUSE);
        let teller = system.map_or(Teller::Looking(every), Teller::System);
        let changes = Self { told, folders, teller, tell };
        if let Teller::Looking(every) = changes.teller {
            changes.look(every);
        }
        changes
    }

    fn how(&self) -> String {
        match self.teller {
            Teller::System(_) => String::new(),
            Teller::Looking(every) => format!(", looking every {}", humantime::format_duration(every)),
        }
    }

    /// Looks at the folders for ever.
    fn look(&self, every: Duration) {
        let (folders, tell) = (Arc::clone(&self.folders), self.tell.clone());
        thread::spawn(move || {
            let mut last = None;
            loop {
                let watched = lock(&folders).watched.clone();
                let now = fingerprint(&watched);
                if last.replace(now).is_some_and(|last| last != now) && is_closed(&tell) {
                    return;
                }
                thread::sleep(every);
            }
        });
    }

    /// Watches the folders that the repository has now.
    fn follow(&mut self, root: &Path, terminal: &Terminal) -> Followed {
        let now: BTreeSet<PathBuf> = repository_files::folders(root, Git::of(root).tracked().ok());
        let mut folders = lock(&self.folders);
        let is_stale = folders.is_stale.swap(false, Ordering::Relaxed);
        let before = std::mem::replace(&mut folders.watched, now.clone());
        drop(folders);
        let is_new = is_stale || !now.is_subset(&before);
        if let Teller::System(watcher) = &mut self.teller {
            before.difference(&now).for_each(|gone| drop(watcher.unwatch(gone)));
            let mut added = now.iter().filter(|folder| is_stale || !before.contains(*folder));
            let refused = added.find_map(|folder| match watcher.watch(folder, RecursiveMode::NonRecursive) {
                // It went meanwhile, of which its parent tells.
                Err(error) if folder.is_dir() => Some(error),
                _ => None,
            });
            if let Some(error) = refused {
                let text = format!("the system does not report all changes here ({error})");
                let message = Message::plain(format!("{text}: looking every second"));
                terminal.message(MessageKind::Note, &message);
                self.teller = Teller::Looking(PAUSE);
                self.look(PAUSE);
            }
        }
        Followed { number: now.len(), is_new }
    }

    /// Whether something changed again since, in which case its end is waited for.
    fn goes_on(&self, since: Instant) -> bool {
        let goes_on = self.told.try_recv().is_ok();
        if goes_on && since.elapsed() > LONGEST_HOLD {
            // It is due nevertheless, and the next one right after.
            is_closed(&self.tell);
            return false;
        }
        if goes_on {
            self.settle();
        }
        goes_on
    }

    /// Waits until something changed, and for the end of the change.
    fn wait(&self) {
        let _ = self.told.recv();
        self.settle();
    }

    /// Waits for the end of a change.
    fn settle(&self) {
        let since = Instant::now();
        while since.elapsed() < LONGEST_WAIT && self.told.recv_timeout(QUIET).is_ok() {}
    }
}

fn lock(folders: &Mutex<Folders>) -> std::sync::MutexGuard<'_, Folders> {
    folders.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether nobody listens any more; tells them that something changed, if somebody does.
fn is_closed(tell: &SyncSender<()>) -> bool {
    matches!(tell.try_send(()), Err(std::sync::mpsc::TrySendError::Disconnected(())))
}

/// Takes note of what the system tells.
fn note(event: notify::Result<Event>, folders: &Mutex<Folders>, tell: &SyncSender<()>) {
    if let Ok(event) = event {
        // That files are read, which a check does itself, changes nothing.
        let is_change = match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            EventKind::Modify(ModifyKind::Metadata(kind)) => kind != MetadataKind::AccessTime,
            _ => true,
        };
        if !is_change && !event.need_rescan() {
            return;
        }
        let goes = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        let folders = lock(folders);
        if event.need_rescan() || (goes && event.paths.iter().any(|path| folders.watched.contains(path))) {
            folders.is_stale.store(true, Ordering::Relaxed);
        }
    }
    is_closed(tell);
}

/// What changes whenever a file in one of these folders does.
fn fingerprint(folders: &BTreeSet<PathBuf>) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    for folder in folders {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let mut all: Vec<_> = entries.flatten().map(|entry| (entry.file_name(), entry.path())).collect();
        all.sort();
        for (name, path) in all {
            hasher.write(name.as_encoded_bytes());
            if let Ok(metadata) = fs::metadata(path).or_else(|_| fs::symlink_metadata(folder)) {
                hasher.write_u64(metadata.len());
                let modified =
                    metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
                hasher.write_u128(modified.map_or(0, |since| since.as_nanos()));
            }
        }
    }
    hasher.finish()
}

/// Whether the system tells of changes in a file system: of one that others can write to over the network it tells nothing,
/// and reports no error.
#[cfg(target_os = "linux")]
fn is_told_of(root: &Path) -> bool {
    // As the kernel's `magic.h` has them: NFS, SMB (3), 9P (folders of Windows in WSL), FUSE, Ceph, AFS, folders of VirtualBox.
    const REMOTE: [u64; 9] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x6573_5546,
        0x00c3_6400,
        0x5346_414f,
        0x786f_4256,
    ];
    rustix::fs::statfs(root).is_ok_and(|found| {
        #[expect(clippy::cast_sign_loss, reason = "the kernel's numbers have 32 bits")]
        let kind = (found.f_type as u64) & 0xffff_ffff;
        !REMOTE.contains(&kind)
    })
}

#[cfg(not(target_os = "linux"))]
fn is_told_of(_: &Path) -> bool {
    true
}
