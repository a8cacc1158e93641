//! Where contents and the trees that want them meet.
//!
//! All trees of a run are hashed side by side, in one pass over their contents: every NAR holds its contents in the same
//! order, so a content that arrives is hashed into all trees that wait for it and then let go. A few worker threads
//! advance whichever tree can advance; none ever blocks on a particular content.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use npm_lockfile::CanonicalUrl;
use npm_tarballs::Tarball;
use npm_tarballs::integrity::ContentId;

use super::assembly::{Assembly, AssemblyProgress, Broken, NarHash};
use super::queue::Queue;
use super::supply::{Supply, SupplyError, Want};

/// The number of a tree in its run.
pub(super) type TreeId = usize;

/// Bytes of waiting contents that may stay in memory; what comes on top is put aside on disk.
const HELD_IN_MEMORY: u64 = 4 << 20;

/// The number of a wanted content in its run.
pub(super) type SlotId = usize;

/// Called with a content that has to be fetched, because it is not on disk.
pub(super) type StartDownload = Box<dyn Fn(SlotId, Want, Option<Served>) + Send + Sync>;

/// What a URL serves by the word of another integrity, which may be that of the content that is wanted, too.
pub(super) struct Served {
    /// The other want of that URL.
    pub(super) want: Want,
    /// Its bytes, if they are at hand; else they may be on disk.
    pub(super) bytes: Option<Tarball>,
}

pub(super) struct Scheduler<'a> {
    supply: &'a Supply,
    state: Mutex<State>,
    changed: Condvar,
    start_download: StartDownload,
    /// Whether what is on disk is read once to be checked, and again to be hashed.
    careful: bool,
}

#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    /// A slot for each URL and content: that one URL served a content tells nothing of another one.
    by_want: HashMap<(CanonicalUrl, ContentId), SlotId>,
    /// The first slot of each URL: what one lockfile records with sha1 and another one with sha512 comes once.
    by_url: HashMap<CanonicalUrl, SlotId>,
    trees: HashMap<TreeId, TreeState>,
    /// Trees that may be able to advance.
    runnable: Queue,
    /// Work that may still make a tree runnable: fetches, preparations, and trees being advanced.
    busy: usize,
    /// Bytes of contents in memory.
    held: u64,
    /// What people call the trees that are not done with.
    labels: HashMap<TreeId, Arc<str>>,
}

struct Slot {
    want: Want,
    /// The length of what seemed to be on disk at the beginning.
    on_disk: Option<u64>,
    content: Content,
    /// Whether the URL was seen to serve the content, in this run or, by the store's word, in an earlier one.
    confirmed: bool,
    /// A set, because a thousand trees may share a content, and leave one by one.
    users: BTreeSet<TreeId>,
    waiting: Vec<TreeId>,
    /// Trees that have the bytes from another URL, and cannot be hashed before this one was seen to serve them, too.
    watching: Vec<TreeId>,
    /// The slot of the same URL that was there before, with another integrity.
    elder: Option<SlotId>,
    /// Slots that wait for what this one's URL serves.
    younger: Vec<SlotId>,
}

enum Content {
    /// Nobody has asked for it yet; it may be on disk.
    Unknown,
    /// It is being fetched.
    Downloading,
    Here(Tarball),
    Failed(Arc<SupplyError>),
}

#[derive(Default)]
struct TreeState {
    /// All that the tree wants, in the order in which it was announced.
    wanted: Vec<SlotId>,
    /// Where the bytes of each content come from: of several URLs the first.
    contents: HashMap<ContentId, SlotId>,
    /// Further URLs that were not seen yet to serve their contents.
    unconfirmed: BTreeSet<SlotId>,
    assembly: Option<Assembly>,
    outcome: Option<Result<NarHash, Broken>>,
    /// Bytes of contents that were handed out.
    bytes: u64,
    /// Bytes of contents that seemed to be on disk at the beginning.
    on_disk: u64,
}

/// What became of a tree.
#[derive(Default)]
pub(super) struct Ended {
    /// The hash; `None` if contents are missing.
    pub(super) outcome: Option<Result<NarHash, Broken>>,
    /// Why contents are missing.
    pub(super) failures: Vec<Arc<SupplyError>>,
    /// Size of all contents together.
    pub(super) bytes: u64,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(
        supply: &'a Supply,
        start_download: StartDownload,
        careful: bool,
        labels: HashMap<TreeId, Arc<str>>,
    ) -> Self {
        let state = Mutex::new(State { labels, ..State::default() });
        Self { supply, state, changed: Condvar::new(), start_download, careful }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Poisoned means that another thread panicked; its panic is what the user should see.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that work has begun that may still add to the scheduler; undone by [`Scheduler::rest`].
    pub(super) fn hold(&self) {
        self.lock().busy += 1;
    }

    /// Ends what [`Scheduler::hold`] began.
    pub(super) fn rest(&self) {
        self.lock().busy -= 1;
        self.changed.notify_all();
    }

    /// Announces that `tree` will want a content. It is fetched from now on, and kept until the tree had it, even while
    /// the rest of the tree is still unknown.
    pub(super) fn announce(&self, tree: TreeId, want: Want) {
        let mut state = self.lock();
        let state = &mut *state;
        let id = want.id;
        let slot_id = state.slot(want, |want| self.supply.probe(want));
        let (slot, entry) = (&mut state.slots[slot_id], state.trees.entry(tree).or_default());
        match entry.contents.entry(id) {
            Entry::Vacant(place) => {
                place.insert(slot_id);
                entry.wanted.push(slot_id);
                entry.on_disk += slot.on_disk.unwrap_or_default();
                slot.users.insert(tree);
                if matches!(slot.content, Content::Unknown) && slot.on_disk.is_none() {
                    self.download(state, slot_id);
                }
            }
            // The same bytes under another URL: a tree announces each URL once. nixpkgs fetches that one, too, and fails where it serves something
            // else, so it is not enough to have them.
            Entry::Occupied(_) => {
                entry.wanted.push(slot_id);
                slot.confirmed |= self.supply.knows(&slot.want);
                if !slot.confirmed {
                    entry.unconfirmed.insert(slot_id);
                    slot.watching.push(tree);
                    // What is here and not confirmed is a large one from disk, which takes no memory.
                    if matches!(slot.content, Content::Unknown | Content::Here(_)) {
                        self.download(state, slot_id);
                    }
                }
            }
        }
    }

    fn download(&self, state: &mut State, id: SlotId) {
        let slot = &mut state.slots[id];
        slot.content = Content::Downloading;
        state.busy += 1;
        let (want, elder) = (slot.want.clone(), slot.elder);
        match elder.map(|elder| &mut state.slots[elder]) {
            Some(Slot { content: Content::Downloading, younger, .. }) => younger.push(id),
            Some(Slot { content: Content::Failed(_), .. }) | None => (self.start_download)(id, want, None),
            Some(elder) => {
                let bytes = match &elder.content {
                    Content::Here(tarball) => Some(tarball.clone()),
                    _ => None,
                };
                (self.start_download)(id, want, Some(Served { want: elder.want.clone(), bytes }));
            }
        }
    }

    /// Puts in a content that was made here (a repacked archive, a packument) for `tree`.
    pub(super) fn put(&self, tree: TreeId, want: Want, made: Tarball) {
        let made = self.put_aside(made);
        let mut state = self.lock();
        let state = &mut *state;
        let slot_id = state.slot(want, |_| None);
        let (slot, entry) = (&mut state.slots[slot_id], state.trees.entry(tree).or_default());
        // Two commits with the same files are repacked to the same bytes, which the tree holds once.
        let Entry::Vacant(place) = entry.contents.entry(made.id()) else { return };
        place.insert(slot_id);
        entry.wanted.push(slot_id);
        slot.users.insert(tree);
        slot.confirmed = true;
        if !matches!(slot.content, Content::Here(_)) {
            state.held += in_memory(&made);
            slot.content = Content::Here(made);
        }
    }

    /// Starts a tree, all of whose contents were announced or put in.
    pub(super) fn start(&self, tree: TreeId, assembly: Assembly) {
        let mut state = self.lock();
        state.trees.entry(tree).or_default().assembly = Some(assembly);
        state.wake(tree);
        drop(state);
        self.changed.notify_all();
    }

    /// Gives up a tree that will not be started.
    pub(super) fn give_up(&self, tree: TreeId) {
        let mut state = self.lock();
        abandon(&mut state, tree);
        self.done_with(&mut state, tree);
    }

    /// Tells who watches that a tree is done with, whatever became of it.
    fn done_with(&self, state: &mut State, tree: TreeId) {
        if let Some(label) = state.labels.remove(&tree) {
            self.supply.progress().ended_hash(&label);
        }
    }

    /// Takes in what was downloaded.
    pub(super) fn deliver(&self, id: SlotId, result: Result<Tarball, SupplyError>) {
        let result = result.map(|tarball| self.put_aside(tarball));
        let mut state = self.lock();
        let state = &mut *state;
        state.busy -= 1;
        let slot = &mut state.slots[id];
        slot.confirmed |= result.is_ok();
        let elder = slot.want.clone();
        for younger in std::mem::take(&mut slot.younger) {
            let served = result.as_ref().ok();
            let served = served.map(|tarball| Served { want: elder.clone(), bytes: Some(tarball.clone()) });
            (self.start_download)(younger, state.slots[younger].want.clone(), served);
        }
        let slot = &mut state.slots[id];
        // Of a content that nobody wants any longer, only the failure is of interest.
        let unwanted = slot.users.is_empty();
        slot.content = match result {
            // Every tree that wanted it was given up meanwhile, or has it from elsewhere.
            Ok(_) if unwanted => Content::Unknown,
            Ok(tarball) => {
                state.held += in_memory(&tarball);
                Content::Here(tarball)
            }
            Err(error) => Content::Failed(Arc::new(error)),
        };
        let (confirmed, watching) = (slot.confirmed, std::mem::take(&mut slot.watching));
        for tree in std::mem::take(&mut slot.waiting) {
            state.wake(tree);
        }
        for tree in watching {
            if !confirmed {
                abandon(state, tree);
                self.done_with(state, tree);
            } else if let Some(entry) = state.trees.get_mut(&tree) {
                entry.unconfirmed.remove(&id);
                state.wake(tree);
            }
        }
        self.changed.notify_all();
    }

    /// Moves a tarball to disk if too many wait in memory already.
    fn put_aside(&self, tarball: Tarball) -> Tarball {
        if self.lock().held + in_memory(&tarball) <= HELD_IN_MEMORY {
            return tarball;
        }
        // Only a full disk keeps it from being parked; then memory has to do.
        self.supply.park(tarball.clone()).unwrap_or(tarball)
    }

    /// Advances trees until nothing can make another one runnable.
    pub(super) fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(tree) = state.runnable.pop() {
                let ready = state.trees.get_mut(&tree).filter(|tree| tree.unconfirmed.is_empty());
                let Some(assembly) = ready.and_then(|tree| tree.assembly.take()) else { continue };
                state.busy += 1;
                drop(state);
                let (assembly, progress) = self.advance(tree, assembly);
                state = self.lock();
                state.busy -= 1;
                self.note(&mut state, tree, assembly, progress);
            } else if state.busy == 0 {
                self.changed.notify_all();
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn advance(&self, tree: TreeId, mut assembly: Assembly) -> (Assembly, Result<AssemblyProgress, Broken>) {
        let progress = assembly.advance(|id| self.take(tree, id));
        (assembly, progress)
    }

    fn note(
        &self,
        state: &mut State,
        tree: TreeId,
        assembly: Assembly,
        progress: Result<AssemblyProgress, Broken>,
    ) {
        let Some(entry) = state.trees.get_mut(&tree) else { return };
        match progress {
            Ok(AssemblyProgress::Waits(id)) => {
                entry.assembly = Some(assembly);
                let slot = entry.contents.get(&id).copied();
                match slot.and_then(|slot| state.slots.get_mut(slot)) {
                    Some(Slot { content: Content::Downloading, waiting, .. }) => waiting.push(tree),
                    Some(Slot { content: Content::Failed(_), .. }) | None => abandon(state, tree),
                    // It came while we were on our way here.
                    Some(_) => state.wake(tree),
                }
            }
            Ok(AssemblyProgress::Done(hash)) => entry.outcome = Some(Ok(hash)),
            Err(error) => {
                entry.outcome = Some(Err(error));
                abandon(state, tree);
            }
        }
        // One that can go on has its assembly back.
        if state.trees.get(&tree).is_some_and(|entry| entry.assembly.is_none()) {
            self.done_with(state, tree);
        }
        self.changed.notify_all();
    }

    /// Hands a content to a tree, if it is there; has it downloaded if it is not even on its way.
    pub(super) fn take(&self, tree: TreeId, id: ContentId) -> Option<Tarball> {
        let mut state = self.lock();
        let slot_id = *state.trees.get(&tree)?.contents.get(&id)?;
        let mut found = None;
        if let Slot { content: Content::Unknown, want, .. } = &state.slots[slot_id] {
            let want = want.clone();
            drop(state);
            // Reading and checking a file takes its time: not under the lock.
            found = self.supply.on_disk(&want).filter(|tarball| !self.careful || tarball.prove().is_ok());
            state = self.lock();
        }
        let state = &mut *state;
        let slot = &mut state.slots[slot_id];
        let tarball = match (&slot.content, found) {
            (Content::Here(tarball), _) => tarball.clone(),
            (Content::Unknown, Some(tarball)) => {
                // A large one is believed only when it was read to its end.
                slot.confirmed |= tarball.bytes().is_some();
                let held = state.held + in_memory(&tarball);
                // Others find it in memory, too; but if there is much already, they had better read it again.
                if held <= HELD_IN_MEMORY {
                    state.held = held;
                    slot.content = Content::Here(tarball.clone());
                }
                tarball
            }
            (Content::Unknown, None) => {
                self.download(state, slot_id);
                return None;
            }
            // `note` looks again under the lock whether to wait or to give up.
            (Content::Downloading | Content::Failed(_), _) => return None,
        };
        if let Some(entry) = state.trees.get_mut(&tree) {
            entry.bytes += tarball.len();
        }
        leave(slot, &mut state.held, tree);
        Some(tarball)
    }

    /// Bytes of contents in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.lock().held
    }

    /// Bytes of a tree's contents that seemed to be on disk at the beginning.
    #[cfg(test)]
    pub(super) fn on_disk(&self, tree: TreeId) -> u64 {
        self.lock().trees[&tree].on_disk
    }

    /// The outcome of every tree that was added. To be called when all work is done.
    pub(super) fn finish(self) -> HashMap<TreeId, Ended> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let slots = state.slots;
        let ended = |tree: TreeState| {
            let failures = tree.wanted.iter().filter_map(|id| match &slots.get(*id)?.content {
                Content::Failed(error) => Some(Arc::clone(error)),
                _ => None,
            });
            Ended { failures: failures.collect(), outcome: tree.outcome, bytes: tree.bytes }
        };
        state.trees.into_iter().map(|(id, tree)| (id, ended(tree))).collect()
    }
}

impl State {
    /// The slot of what is wanted; `probe` looks for it on disk when it is wanted for the first time.
    fn slot(&mut self, want: Want, probe: impl FnOnce(&Want) -> Option<u64>) -> SlotId {
        *self.by_want.entry((want.url.clone(), want.id)).or_insert_with(|| {
            let id = self.slots.len();
            let elder = Some(*self.by_url.entry(want.url.clone()).or_insert(id)).filter(|elder| *elder != id);
            self.slots.push(Slot { on_disk: probe(&want), elder, ..Slot::new(want) });
            id
        })
    }

    /// A tree may be able to advance.
    fn wake(&mut self, tree: TreeId) {
        let on_disk = self.trees.get(&tree).map_or(0, |entry| entry.on_disk);
        self.runnable.push(tree, on_disk);
    }
}

impl Slot {
    fn new(want: Want) -> Self {
        Self {
            want,
            on_disk: None,
            content: Content::Unknown,
            confirmed: false,
            users: BTreeSet::new(),
            waiting: Vec::new(),
            watching: Vec::new(),
            elder: None,
            younger: Vec::new(),
        }
    }
}

fn in_memory(tarball: &Tarball) -> u64 {
    tarball.bytes().map_or(0, |bytes| bytes.len() as u64)
}

/// Strikes a tree off a content's users; the last one lets go of the bytes.
fn leave(slot: &mut Slot, held: &mut u64, tree: TreeId) {
    slot.users.remove(&tree);
    if slot.users.is_empty()
        && let Content::Here(tarball) = &slot.content
    {
        *held = held.saturating_sub(in_memory(tarball));
        slot.content = Content::Unknown;
    }
}

/// Gives up a tree, so that no content is kept for it any longer.
fn abandon(state: &mut State, tree: TreeId) {
    let Some(entry) = state.trees.get_mut(&tree) else { return };
    entry.assembly = None;
    for id in entry.contents.values() {
        if let Some(slot) = state.slots.get_mut(*id) {
            leave(slot, &mut state.held, tree);
        }
    }
}
