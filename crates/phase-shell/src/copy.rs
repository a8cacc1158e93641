//! Copies, moves and links.

use std::rc::Rc;

use nix_lang::value::source::{Base, Source};

use super::cause::Cause;
use super::expand::Place;
use super::field::{Field, Pattern};
use super::is_lockfile;
use super::log::{Change, File, Key, Origin};
use super::look::Look;
use super::programs::{Arguments, Means};
use super::run::{Runner, State, Status};

/// Which program copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyKind {
    Copy,
    Move,
    Link,
    Install,
}

/// What is to be done with every source.
struct Job<'a> {
    kind: CopyKind,
    program: Rc<str>,
    arguments: &'a Arguments,
}

/// What a source is.
enum Origins {
    File(Box<File>),
    Folder(Tree),
    /// A file or a folder, or nothing.
    Either(Tree),
    Absent,
    Unknown(Cause),
}

/// A folder that is copied.
enum Tree {
    Store(Rc<Source>),
    Own(Key),
}

impl Runner<'_> {
    pub(super) fn copy(
        &mut self,
        kind: CopyKind,
        program: &str,
        arguments: &Arguments,
        state: &mut State,
    ) -> Status {
        let job = Job { kind, program: program.into(), arguments };
        if arguments.has(Means::Folders) {
            return self.make_folders(&arguments.operands, true, state);
        }
        let mut sources = arguments.operands.clone();
        let into = arguments.value(Means::Into).cloned();
        let target = match &into {
            Some(target) => target.clone(),
            // `ln -s path` makes a link of that name here. `cp path` fails.
            None if sources.len() == 1 && kind == CopyKind::Link => Field::text("."),
            None if sources.len() < 2 => return self.unclear(&job, state),
            None => sources.pop().unwrap_or_default(),
        };
        if sources.iter().any(|source| source.loose && source.segs.len() == 1) || target.loose {
            // Any number of files, with any name, or a target that is something else.
            self.write_unknown(&target, true, Cause::Target(Rc::clone(&job.program)), state);
            self.doubt_into(&target, Cause::Origin(Rc::clone(&job.program)), state);
            return Status::Unknown;
        }
        let several = sources.len() > 1 || into.is_some() || sources.iter().any(Field::is_pattern);
        let mut status = Status::Zero;
        for source in &sources {
            if self.copy_one(&job, source, &target, several, state) != Status::Zero {
                status = Status::Unknown;
            }
        }
        status
    }

    /// Operands that make no sense, or are hidden in one that is not known.
    fn unclear(&mut self, job: &Job<'_>, state: &mut State) -> Status {
        if job.arguments.operands.iter().any(|operand| operand.loose) {
            self.change(state, Change::Havoc(Cause::Target(Rc::clone(&job.program))));
        }
        Status::Unknown
    }

    fn copy_one(
        &mut self,
        job: &Job<'_>,
        source: &Field,
        target: &Field,
        several: bool,
        state: &mut State,
    ) -> Status {
        let place = match (self.place(target, state), self.beside(target)) {
            (Place::At(key), _) | (_, Some(key)) => key,
            // What is moved to elsewhere is gone from here, whatever becomes of it there.
            (Place::Elsewhere | Place::Store(_), _) => {
                self.take_away(job, source, state);
                return Status::Unknown;
            }
            (Place::Unknown, _) => {
                let deep = job.arguments.has(Means::Recursive);
                self.write_unknown(target, deep, Cause::Target(Rc::clone(&job.program)), state);
                self.write_below(target, source, job, state);
                self.take_away(job, source, state);
                return Status::Unknown;
            }
        };
        if let Some((folder, pattern)) = Place::pattern(self, source, state) {
            return self.copy_pattern(job, folder, pattern, &place, state);
        }
        let slash = target.known().is_none_or(|text| text.ends_with('/')) && target.spelt().ends_with('/');
        let exact = job.arguments.has(Means::Exact);
        // With `-T` the target is the name itself: nothing is put into it, be it a folder or not.
        let kind = if exact { Look::Absent } else { self.look(&place, state) };
        let origin = match self.origin(job, source, state) {
            Origins::Either(tree) if is_folder_here(job, source, &place, &kind) => Origins::Folder(tree),
            origin => origin,
        };
        // `cp -r sub new/` makes `new` where there is none, and `new/sub` where there is one.
        let makes = slash && !several && matches!(origin, Origins::Folder(_) | Origins::Either(_));
        let status = match goes_into(&kind, &place, makes, several || slash) {
            Some(false) => self.lay(job, origin, &place, state),
            Some(true) => self.lay_into(job, source, origin, &place, state),
            None => self.lay_somewhere(job, source, &origin, &place, state),
        };
        self.take_away(job, source, state);
        status
    }

    /// Puts a source at a path, or into the folder that it may be: a file changes nothing in that folder but what is called like
    /// it.
    fn lay_somewhere(
        &mut self,
        job: &Job<'_>,
        source: &Field,
        origin: &Origins,
        place: &Key,
        state: &mut State,
    ) -> Status {
        let name = source.base_name().or_else(|| Some(inner_name(source)?.0)).filter(|name| !name.is_empty());
        let touched = match (origin, name) {
            (Origins::File(_), Some(name)) => place.join(&name),
            _ => place.clone(),
        };
        self.in_doubt(&touched, Cause::Target(Rc::clone(&job.program)), state)
    }

    /// The source of a copy.
    fn origin(&mut self, job: &Job<'_>, source: &Field, state: &mut State) -> Origins {
        let writable = job.kind == CopyKind::Install || job.arguments.has(Means::Writable);
        let unknown = || Origins::Unknown(Cause::Origin(Rc::clone(&job.program)));
        match self.place(source, state) {
            Place::Store(store) => {
                let look = self.stored(&store, writable);
                sorted(job, look, Tree::Store(store))
            }
            // A link says by name what it leads to, which may change later.
            Place::At(_) if job.kind == CopyKind::Link => Origins::Unknown(Cause::Link),
            Place::At(key) => {
                let look = self.look(&key, state);
                sorted(job, look, Tree::Own(key))
            }
            Place::Elsewhere | Place::Unknown => unknown(),
        }
    }

    /// Puts a source at a path that is not a folder.
    fn lay(&mut self, job: &Job<'_>, origin: Origins, target: &Key, state: &mut State) -> Status {
        let recursive = job.arguments.has(Means::Recursive) || job.kind == CopyKind::Move;
        match origin {
            Origins::File(file) => self.put(job, target, file, state),
            // A link to a whole folder: nothing in it can be changed.
            Origins::Folder(Tree::Store(source)) if job.kind == CopyKind::Link => {
                let change = Change::Tree { at: target.clone(), source, only: None, writable: false };
                self.change(state, change);
                Status::Unknown
            }
            Origins::Folder(tree) if recursive => self.lay_tree(job, tree, target, None, state),
            // `omitting directory`: nothing is copied, and the program fails.
            Origins::Folder(_) | Origins::Absent => Status::NonZero,
            Origins::Either(_) => self.in_doubt(target, Cause::Origin(Rc::clone(&job.program)), state),
            Origins::Unknown(cause) => self.in_doubt(target, cause, state),
        }
    }

    /// Puts a source into a folder.
    fn lay_into(
        &mut self,
        job: &Job<'_>,
        source: &Field,
        origin: Origins,
        folder: &Key,
        state: &mut State,
    ) -> Status {
        let name = source.base_name();
        let contents = matches!(name.as_deref(), Some("." | ".." | ""));
        match (&name, origin) {
            (_, Origins::Folder(tree)) if contents && job.arguments.has(Means::Recursive) => {
                let slashed = name.as_deref() == Some("");
                match (slashed, last_name(&tree)) {
                    // `cp -r sub/ .` is `cp -r sub .`
                    (true, Some(last)) => self.lay_tree(job, tree, &folder.join(&last), None, state),
                    (true, None) => Status::Unknown,
                    (false, _) => self.lay_tree(job, tree, folder, None, state),
                }
            }
            (_, Origins::Unknown(cause)) if name.is_none() || contents => self.in_doubt(folder, cause, state),
            // The name begins with the hash of a path in the store: nothing is called like that. A place inside of a path
            // keeps its name, unless it is a file of the repository, which is copied to the store by itself.
            (None, origin) => match inner_name(source) {
                Some((name, false)) => self.lay(job, origin, &folder.join(&name), state),
                Some((name, true)) => {
                    self.in_doubt(&folder.join(&name), Cause::Origin(Rc::clone(&job.program)), state)
                }
                None => Status::Unknown,
            },
            (_, Origins::Either(_)) if contents => {
                self.in_doubt(folder, Cause::Origin(Rc::clone(&job.program)), state)
            }
            (Some(name), origin) => self.lay(job, origin, &folder.join(name), state),
        }
    }

    /// A folder's content, or what a pattern takes of it, over another folder.
    fn lay_tree(
        &mut self,
        job: &Job<'_>,
        tree: Tree,
        at: &Key,
        only: Option<Pattern>,
        state: &mut State,
    ) -> Status {
        if job.arguments.has(Means::Keep) || job.arguments.has(Means::Newer) {
            // Which files stay is asked of each, by whether it is there and by times that are not known.
            return self.in_doubt(
                at,
                Cause::Option(Rc::clone(&job.program), "-n or -u on a folder".into()),
                state,
            );
        }
        let writable = job.arguments.has(Means::Writable);
        let at = at.clone();
        let change = match tree {
            Tree::Store(source) => Change::Tree { at, source, only, writable },
            Tree::Own(from) => Change::Mirror { at, from, state: state.at, only },
        };
        self.change(state, change);
        Status::Unknown
    }

    /// `folder/*` and its like into a folder.
    fn copy_pattern(
        &mut self,
        job: &Job<'_>,
        folder: Place,
        pattern: Pattern,
        target: &Key,
        state: &mut State,
    ) -> Status {
        let tree = match folder {
            Place::Store(source) => Tree::Store(source),
            Place::At(key) => Tree::Own(key),
            Place::Elsewhere | Place::Unknown => {
                return self.in_doubt(target, Cause::Origin(Rc::clone(&job.program)), state);
            }
        };
        if job.kind == CopyKind::Link {
            return self.in_doubt(target, Cause::Link, state);
        }
        let from = if let Tree::Own(key) = &tree { Some(key.clone()) } else { None };
        self.lay_tree(job, tree, target, Some(pattern.clone()), state);
        if let (CopyKind::Move, Some(from)) = (job.kind, from) {
            self.take_all_away(job, from, pattern, state);
        }
        Status::Unknown
    }

    fn in_doubt(&mut self, key: &Key, cause: Cause, state: &mut State) -> Status {
        self.change(state, Change::Doubt(key.clone(), cause));
        Status::Unknown
    }

    /// One file at one path.
    fn put(&mut self, job: &Job<'_>, target: &Key, file: Box<File>, state: &mut State) -> Status {
        let before = self.look(target, state);
        let guarded = job.arguments.has(Means::Keep) || job.arguments.has(Means::Newer);
        let there = match before {
            Look::Absent => false,
            Look::File(_) if job.arguments.has(Means::Keep) => return Status::Unknown,
            _ if guarded => {
                let option = if job.arguments.has(Means::Keep) { "-n" } else { "-u" };
                return self.in_doubt(target, Cause::Option(Rc::clone(&job.program), option.into()), state);
            }
            // What was copied from the store cannot be written: `cp ${./a.json} x; cp ${./b.json} x` fails, if it is not forced, and
            // only root gets past that.
            Look::File(ref old) => {
                !old.writable && !job.arguments.has(Means::Force) && job.kind == CopyKind::Copy
            }
            Look::Perhaps(_) => job.kind == CopyKind::Link && !job.arguments.has(Means::Force),
            Look::Folder | Look::Unknown(_) => true,
        };
        let there = there
            || (job.kind == CopyKind::Link
                && matches!(before, Look::File(_))
                && !job.arguments.has(Means::Force));
        let certain = !there && self.parent_is_there(target, job, state);
        // Put there even where that may fail: then the build ends, or the state of before
        // is kept beside this one (`Runner::outcome`).
        self.change(state, Change::File(target.clone(), file));
        if certain { Status::Zero } else { Status::Unknown }
    }

    fn parent_is_there(&mut self, target: &Key, job: &Job<'_>, state: &mut State) -> bool {
        let Some((parent, _)) = target.path.rsplit_once('/') else { return true };
        job.arguments.has(Means::Parents)
            || matches!(self.look(&Key::new(target.root, parent), state), Look::Folder)
    }

    /// What is moved is not where it was.
    fn take_away(&mut self, job: &Job<'_>, source: &Field, state: &mut State) {
        if job.kind != CopyKind::Move {
            return;
        }
        match (self.place(source, state), Place::pattern(self, source, state)) {
            (Place::At(key), _) => {
                let guarded = job.arguments.has(Means::Keep) || job.arguments.has(Means::Newer);
                let change = if guarded {
                    Change::Doubt(key, Cause::Option(Rc::clone(&job.program), "-n or -u".into()))
                } else {
                    Change::Gone(key)
                };
                self.change(state, change);
            }
            (_, Some((Place::At(folder), pattern))) => self.take_all_away(job, folder, pattern, state),
            _ => self.write_unknown(source, true, Cause::Target(Rc::clone(&job.program)), state),
        }
    }

    /// The same of what a pattern stands for.
    fn take_all_away(&mut self, job: &Job<'_>, folder: Key, pattern: Pattern, state: &mut State) {
        let guarded = job.arguments.has(Means::Keep) || job.arguments.has(Means::Newer);
        let change = if guarded {
            Change::Doubt(folder, Cause::Option(Rc::clone(&job.program), "-n or -u".into()))
        } else {
            Change::GoneAll(folder, pattern)
        };
        self.change(state, change);
    }

    /// A place that is not known may be a folder, in which the source lands under its own name.
    fn write_below(&mut self, target: &Field, source: &Field, job: &Job<'_>, state: &mut State) {
        let Some(name) = source.base_name().or_else(|| Some(inner_name(source)?.0)) else {
            if source.has_gap() {
                self.write_unknown(target, true, Cause::Target(Rc::clone(&job.program)), state);
            }
            return;
        };
        let mut inner = target.clone();
        inner.push(super::field::Seg::Text(format!("/{name}")));
        self.write_unknown(
            &inner,
            job.arguments.has(Means::Recursive),
            Cause::Target(Rc::clone(&job.program)),
            state,
        );
    }

    /// Some files with any names land in a folder.
    fn doubt_into(&mut self, target: &Field, cause: Cause, state: &mut State) {
        match self.place(target, state) {
            Place::At(key) => self.change(state, Change::Doubt(key, cause)),
            Place::Elsewhere | Place::Store(_) => {}
            Place::Unknown => self.write_unknown(target, true, cause, state),
        }
    }

    /// Files are written to a place that is not quite known.
    pub(super) fn write_unknown(&mut self, field: &Field, deep: bool, cause: Cause, state: &mut State) {
        let change =
            Change::DoubtLike { field: Rc::new(field.clone()), folder: state.folder.clone(), deep, cause };
        self.change(state, change);
    }

    /// A file holds other bytes from now on.
    pub(super) fn write(&mut self, field: &Field, cause: Cause, state: &mut State) {
        match self.place(field, state) {
            Place::At(key) => {
                let file = File { origin: Origin::Other(cause), edits: Vec::new(), writable: true };
                self.change(state, Change::File(key, Box::new(file)));
            }
            Place::Elsewhere | Place::Store(_) => {}
            Place::Unknown => self.write_unknown(field, false, cause, state),
        }
    }

    pub(super) fn make_folders(&mut self, operands: &[Field], parents: bool, state: &mut State) -> Status {
        let mut status = Status::Zero;
        for operand in operands {
            match self.place(operand, state) {
                Place::At(key) => {
                    let look = self.look(&key, state);
                    // `mkdir` fails where something is there already, `mkdir -p` only where that is a file.
                    let fine = matches!(look, Look::Absent)
                        || (parents && matches!(look, Look::Folder | Look::Perhaps(_)));
                    status = if fine { status } else { Status::Unknown };
                    if !matches!(look, Look::Folder) {
                        self.change(state, Change::Folder(key));
                    }
                }
                _ => status = Status::Unknown,
            }
        }
        status
    }
}

/// The name of a place inside of a source, and whether it could also be the hash of a file of its own.
fn inner_name(field: &Field) -> Option<(String, bool)> {
    let [super::field::Seg::Store(source)] = field.segs.as_slice() else { return None };
    let name = source.sub.rsplit('/').next().filter(|name| !name.is_empty())?;
    Some((name.to_owned(), matches!(source.base, Base::Local(_))))
}

/// The name of a folder that is copied; `None` for a path of the store itself.
fn last_name(tree: &Tree) -> Option<String> {
    let path = match tree {
        Tree::Store(source) => &source.sub,
        Tree::Own(key) => &key.path,
    };
    path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Whether what may be a folder is one here. Of a fetched source that is not known; but what is copied together with what is in it has
/// to be one: a file has no `/.`, and as the whole of a source none of these builds could use it (fixture
/// `run-command-copies-subfolder`).
fn is_folder_here(job: &Job<'_>, source: &Field, target: &Key, kind: &Look) -> bool {
    let whole = matches!(source.base_name().as_deref(), Some("." | ""));
    let becomes_source = target.path.is_empty() && !matches!(kind, Look::Folder);
    job.arguments.has(Means::Recursive) && (whole || becomes_source)
}

/// Whether a source goes into the target, or takes its place; `None` where that is not known. It `makes` the folder where there is
/// none; with a `folder` in mind, a target that is none fails.
fn goes_into(kind: &Look, target: &Key, makes: bool, folder: bool) -> Option<bool> {
    let outside = target.path.starts_with("..");
    match kind {
        Look::Folder => Some(true),
        Look::Absent if makes => Some(false),
        Look::Perhaps(_) if makes => None,
        Look::Unknown(_) if makes && !outside => None,
        _ if folder => Some(true),
        Look::File(_) | Look::Absent => Some(false),
        // A folder of this name would be unheard of.
        Look::Perhaps(_) | Look::Unknown(_) if is_lockfile(&target.path) => Some(false),
        // Outside of the tree it matters where it is the tree itself, which is there.
        Look::Unknown(_) if outside => Some(true),
        Look::Perhaps(_) | Look::Unknown(_) => None,
    }
}

/// What a source is for a job.
fn sorted(job: &Job<'_>, look: Look, tree: Tree) -> Origins {
    let whole = job.arguments.has(Means::Recursive) || matches!(job.kind, CopyKind::Move | CopyKind::Link);
    let name = match &tree {
        Tree::Store(source) => source.sub.clone(),
        Tree::Own(key) => key.path.clone(),
    };
    let lockfile = is_lockfile(&name);
    match look {
        Look::File(file) => Origins::File(file),
        // Without `-r` a folder would be left out, with an error. A folder that is called
        // like a lockfile is none that anybody has.
        Look::Perhaps(file) if !whole || lockfile => Origins::File(file),
        Look::Perhaps(_) => Origins::Either(tree),
        Look::Folder => Origins::Folder(tree),
        Look::Absent => Origins::Absent,
        Look::Unknown(cause) => Origins::Unknown(cause),
    }
}
