//! What stands at a path, on disk and through all that the script did.

use std::rc::Rc;

use nix_lang::value::source::{Base, Source};
use npm_lockfile::FILE_NAMES;

use super::Shadow;
use super::cause::Cause;
use super::expand::is_single_file;
use super::log::{At, File, Key, Origin, PathState, Root, is_too_far, same_source};
use super::run::{Ground, Runner, State};

/// What stands at a path.
#[derive(Debug, Clone)]
pub(super) enum Look {
    File(Box<File>),
    Folder,
    Absent,
    /// This file, unless it is a folder or not there: only the fetched source tells.
    Perhaps(Box<File>),
    Unknown(Cause),
}

/// Copies of copies further than this are not followed.
const DEEPEST: u32 = 16;

impl Runner<'_> {
    pub fn look(&mut self, key: &Key, state: &mut State) -> Look {
        let mut steps = 1;
        let look = self.look_at(key, state.at, &mut steps, 0);
        self.spend(steps, state);
        look
    }

    fn look_at(&self, key: &Key, at: At, steps: &mut u64, depth: u32) -> Look {
        if depth > DEEPEST || is_too_far(*steps) {
            return Look::Unknown(Cause::Budget);
        }
        match self.log.find(at, key, steps) {
            PathState::Base => self.ground(key),
            PathState::File(file) => Look::File(file),
            PathState::Folder => Look::Folder,
            PathState::Absent => Look::Absent,
            PathState::Doubt(cause) => Look::Unknown(cause),
            PathState::Around { found, before } => {
                let there = match *found {
                    // A folder that is made where there is one already, and a file that is copied to itself.
                    PathState::Folder => Look::Absent,
                    PathState::File(file) if matches!(&file.origin, Origin::Base(from) if from == key) => {
                        Look::Absent
                    }
                    PathState::Mirror { from, .. } if from == *key => Look::Absent,
                    PathState::Mirror { from, state, .. } => self.look_at(&from, state, steps, depth + 1),
                    PathState::InSource { file, writable, .. } => self.stored(&file, writable),
                    _ => Look::Unknown(Cause::Around),
                };
                if matches!(there, Look::Absent) {
                    self.look_at(key, before, steps, depth + 1)
                } else {
                    Look::Unknown(Cause::Around)
                }
            }
            PathState::InSource { file, before, writable } => match self.stored(&file, writable) {
                Look::Absent => self.look_at(key, before, steps, depth + 1),
                look => self.laid_over(look, key, before, steps, depth),
            },
            PathState::Mirror { from, state, before } => match self.look_at(&from, state, steps, depth + 1) {
                Look::Absent => self.look_at(key, before, steps, depth + 1),
                look => self.laid_over(look, key, before, steps, depth),
            },
        }
    }

    /// A file that a remote source may have or not, laid over what was there. Who copies a whole source wants its lockfile,
    /// so `package-lock.json` counts as there (if it is not, the look into the source says so); its shrinkwrap, if there is
    /// one, is found beside it by the reader of that source.
    fn laid_over(&self, look: Look, key: &Key, before: At, steps: &mut u64, depth: u32) -> Look {
        let Look::Perhaps(file) = look else { return look };
        let name = key.path.rsplit('/').next().unwrap_or_default();
        if name == FILE_NAMES[1] {
            Look::File(file)
        } else if name == FILE_NAMES[0] && !is_local(&file) {
            self.look_at(key, before, steps, depth + 1)
        } else {
            Look::Perhaps(file)
        }
    }

    /// The shrinkwrap that [`Self::laid_over`] looks through, or that an archive may hold, where nothing else became of it.
    pub fn shadow(&mut self, key: &Key, state: &mut State) -> Option<Shadow> {
        let (mut looked, mut unpacked) = (1, 0);
        let source = self.shadow_at(key, state.at, &mut looked);
        let archives = self.log.unpacked_over(state.at, key, &mut unpacked);
        self.spend(looked, state);
        self.spend(unpacked, state);
        match (source, archives.as_slice()) {
            (source, []) => source.map(Shadow::Source),
            (None, [Some(first), others @ ..])
                if others.iter().flatten().filter(|other| same_source(first, other)).count()
                    == others.len() =>
            {
                Some(Shadow::Archive(Some(Rc::clone(first))))
            }
            // Which of them wins depends on what each has.
            _ => Some(Shadow::Archive(None)),
        }
    }

    /// As deep as [`Self::look_at`] went before, which found nothing.
    fn shadow_at(&self, key: &Key, at: At, steps: &mut u64) -> Option<Rc<Source>> {
        match self.log.find(at, key, steps) {
            PathState::InSource { file, before, writable } => match self.stored(&file, writable) {
                Look::Perhaps(_) => Some(file),
                Look::Absent => self.shadow_at(key, before, steps),
                _ => None,
            },
            PathState::Mirror { from, state, before, .. } => {
                let own = self.shadow_at(&from, state, steps);
                own.or_else(|| self.shadow_at(key, before, steps))
            }
            PathState::Base => {
                let Ground::Source(source) = self.ground_of(key.root) else { return None };
                let inside = Rc::new(source.inside(&key.path));
                matches!(self.on_disk(&inside), Disk::Unknown).then_some(inside)
            }
            _ => None,
        }
    }

    /// What is in a tree where the script begins.
    pub fn ground_of(&self, root: Root) -> &Ground {
        match root {
            Root::Tree => &self.tree,
            Root::Out => &self.out,
        }
    }

    /// Whether a path leads out of the source that it begins in.
    pub fn is_outside(&self, key: &Key) -> bool {
        let around = if key.root == Root::Tree { self.above.len() } else { 0 };
        key.path.split('/').take_while(|part| *part == "..").count() > around
    }

    /// What stands where the script begins.
    fn ground(&self, key: &Key) -> Look {
        if self.is_outside(key) {
            return Look::Unknown(Cause::Folder);
        }
        match self.ground_of(key.root) {
            Ground::Nothing => Look::Absent,
            Ground::Unknown => Look::Unknown(Cause::Origin("the build".into())),
            Ground::Source(_) if key.path.is_empty() => Look::Folder,
            Ground::Source(source) => {
                let base = || {
                    Box::new(File { origin: Origin::Base(key.clone()), edits: Vec::new(), writable: true })
                };
                match self.on_disk(&source.inside(&key.path)) {
                    Disk::File => Look::File(base()),
                    Disk::Folder => Look::Folder,
                    Disk::Absent => Look::Absent,
                    Disk::Unknown => Look::Perhaps(base()),
                }
            }
        }
    }

    /// A path of the store.
    pub fn stored(&self, source: &Rc<Source>, writable: bool) -> Look {
        let file =
            || Box::new(File { origin: Origin::Source(Rc::clone(source)), edits: Vec::new(), writable });
        match self.on_disk(source) {
            Disk::File => Look::File(file()),
            Disk::Folder => Look::Folder,
            Disk::Absent => Look::Absent,
            Disk::Unknown => Look::Perhaps(file()),
        }
    }

    fn on_disk(&self, source: &Source) -> Disk {
        match source.local_path() {
            Some(path) if !self.files.contains(&path) => Disk::Unknown,
            Some(path) if !self.files.is_file(&path) && !self.files.is_dir(&path) => Disk::Absent,
            // A filter may leave out what is there.
            Some(_) if !source.filters.is_empty() => Disk::Unknown,
            Some(path) if self.files.is_file(&path) => Disk::File,
            Some(_) => Disk::Folder,
            None if matches!(source.base, Base::Empty) && source.sub.is_empty() => Disk::Folder,
            None if matches!(source.base, Base::Empty) => Disk::Absent,
            None if is_single_file(source) => Disk::File,
            None if matches!(source.base, Base::Remote(_)) && source.sub.is_empty() => Disk::Folder,
            None => Disk::Unknown,
        }
    }
}

/// Whether a file that is there unless a filter leaves it out is one of the repository.
fn is_local(file: &File) -> bool {
    matches!(&file.origin, Origin::Source(source) if source.local_path().is_some())
}

enum Disk {
    File,
    Folder,
    Absent,
    Unknown,
}
