//! Where the lockfile of a declaration is.

use std::path::PathBuf;
use std::rc::Rc;

use nix_lang::budget::Cost;
use nix_lang::eval::{Eval, reason_of};
use nix_lang::syntax::ast::Location;
use nix_lang::value::formula::{Under, both, can_meet};
use nix_lang::value::source::{Base, Source};
use nix_lang::value::{Kind, Value};
use npm_lockfile::FILE_NAMES;
use phase_shell::{Ground, Left, LockfileState, Script, Shadow, Shell, Side, Trouble};

use super::answer::{Answer, Located};
use super::attributes::{alternatives, attribute};
use super::choose::{Chosen, choose};
use super::conclude::{Patched, conclude};
use super::fetched::Fetched;
use super::ingredients;
use super::patches::{self, Patches};
use super::root::{self, Root};
use crate::reason::{NO_SHRINKWRAP, Reason};
use crate::remote::Shrinkwrap;

/// The attributes that decide where a lockfile is, each with its alternatives.
struct Inputs {
    sources: Vec<Value>,
    roots: Vec<Root>,
    patches: Patches,
    /// `prePatch` and `postPatch`.
    phases: [Vec<Phase>; 2],
}

/// A phase, read once for all combinations that it is part of.
struct Phase {
    value: Value,
    script: Option<Script>,
}

/// The names of the phases that run before the lockfile is read.
// `buildNpmPackage` hands these two on to its fetcher. `postUnpack` and `preConfigure` run in the build alone, and move
// no lockfile (fixture `phases-not-forwarded`).
const PHASES: [&str; 2] = ["prePatch", "postPatch"];

/// Derivations that are the source of one another are followed so far: `src` may be a derivation whose `src` is one (fixture
/// `src-mk-derivation`), and one that is its own source has no end.
pub(super) const DEPTH: u32 = 12;

/// Bytes that the tree of a script takes for each of its text.
const SCRIPT: usize = 32;

/// All answers of a set of arguments, one for each combination of alternatives.
pub(super) fn locate(ev: &mut Eval, args: &Value, direct: bool, at: Location) -> Vec<Located> {
    locate_in(ev, args, direct, SearchPlace { folder: "", at, depth: 0 })
}

pub(super) fn locate_in(ev: &mut Eval, args: &Value, direct: bool, place: SearchPlace<'_>) -> Vec<Located> {
    let at = place.at;
    if place.depth > DEPTH {
        let answer = Answer::doubt(Reason::UnknownSource, "sources nested too deeply", Some(at));
        return vec![Located::only(answer)];
    }
    let inputs = Inputs {
        sources: alternatives(sources(ev, args, at)),
        roots: root::root(ev, args, direct, at),
        patches: read_patches(ev, args, at),
        phases: PHASES.map(|name| {
            let value = attribute(ev, args, name, at);
            phases(ev, value, at)
        }),
    };
    let strange = if direct { strange_phase(ev, args, at) } else { None };
    let mut all = Vec::new();
    for combination in inputs.combinations(ev, &args.under(), at) {
        let mut located = one(ev, &combination, place);
        if let Some(name) = strange {
            let message = format!("`{name}` is given to `fetchNpmDeps` itself");
            located.answer = Answer::doubt(Reason::LockfileEdited, message, Some(at));
        }
        located.under = combination.under;
        all.push(located);
    }
    // Never without an answer: a site that nobody hears of would pass for a fresh one.
    if all.is_empty() {
        let message = "its arguments have too many alternatives to follow, or exclude each other";
        all.push(Located::only(Answer::doubt(Reason::UnknownSource, message, Some(at))));
    }
    all
}

/// Where a lockfile is looked for.
#[derive(Clone, Copy)]
pub(super) struct SearchPlace<'a> {
    /// The folder of the lockfile in the tree.
    pub folder: &'a str,
    /// The derivation that asks.
    pub at: Location,
    /// How many derivations are the source of another one on the way here.
    pub depth: u32,
}

impl<'a> SearchPlace<'a> {
    /// The same for the source of the derivation whose tree this is.
    pub fn deeper(self, folder: &'a str) -> Self {
        Self { folder, depth: self.depth + 1, ..self }
    }
}

/// One way in which the alternatives fit together.
struct Combination<'a> {
    source: &'a Value,
    root: &'a Root,
    patches: &'a Patches,
    /// `prePatch` and `postPatch`.
    phases: [&'a Phase; 2],
    under: Under,
}

impl Inputs {
    /// All combinations that do not exclude each other; none if they are more than the budget covers. Each step keeps only
    /// what fits what was chosen before, so that alternatives of one condition are not multiplied.
    fn combinations(&self, ev: &Eval, under: &Under, at: Location) -> Vec<Combination<'_>> {
        let mut all = Vec::new();
        for source in &self.sources {
            let Some(of_source) = together(under, source) else { continue };
            for root in &self.roots {
                let Some(of_root) = together(&of_source, &root.value) else { continue };
                for before in &self.phases[0] {
                    let Some(of_before) = together(&of_root, &before.value) else { continue };
                    for after in &self.phases[1] {
                        if ev.budget.charge(Cost::Alternatives(1), Some(at)).is_err() {
                            return Vec::new();
                        }
                        let Some(under) = together(&of_before, &after.value) else { continue };
                        let (patches, phases) = (&self.patches, [before, after]);
                        all.push(Combination { source, root, patches, phases, under });
                    }
                }
            }
        }
        all
    }
}

/// Attributes of `fetchNpmDeps` itself that change how its source is unpacked.
fn strange_phase(ev: &mut Eval, args: &Value, at: Location) -> Option<&'static str> {
    // The fetcher reads the lockfile in its own `buildPhase`: what runs before may have changed it.
    const NAMES: &[&str] = &[
        "postUnpack",
        "preUnpack",
        "unpackPhase",
        "dontUnpack",
        "patchPhase",
        "configurePhase",
        "preConfigure",
        "postConfigure",
        "preBuild",
        "buildPhase",
        "dontPatch",
        "unpackCmd",
        "phases",
        "prePhases",
        "preConfigurePhases",
        "preBuildPhases",
        "preHook",
        "postHook",
        "configureScript",
        "buildCommand",
    ];
    if root::is_strange(&attribute(ev, args, "setSourceRoot", at)) {
        return Some("setSourceRoot");
    }
    NAMES.iter().copied().find(|name| {
        let value = attribute(ev, args, name, at);
        match &value.kind {
            // `dontUnpack = false` is the default, spelt out.
            Kind::Null | Kind::Bool(false) => false,
            // An empty phase is none.
            Kind::Str(text) => !text.pieces.is_empty(),
            _ => true,
        }
    })
}

/// The conditions of one more alternative, unless it excludes what was chosen before.
fn together(before: &Under, value: &Value) -> Option<Under> {
    let own = value.under();
    can_meet(before, &own).then(|| both(before, &own))
}

/// The alternatives of a phase, as scripts.
fn phases(ev: &Eval, value: Value, at: Location) -> Vec<Phase> {
    let script = |value: &Value| match &value.kind {
        Kind::Str(text) => {
            ev.budget.charge(Cost::Bytes(text.length().saturating_mul(SCRIPT)), Some(at)).ok()?;
            Some(Script::new(text))
        }
        _ => None,
    };
    alternatives(value).into_iter().map(|value| Phase { script: script(&value), value }).collect()
}

fn read_patches(ev: &mut Eval, args: &Value, at: Location) -> Patches {
    let value = attribute(ev, args, "patches", at);
    let flags = attribute(ev, args, "patchFlags", at);
    let strip = patches::strip(ev, &flags);
    patches::read(ev, &value, strip, at)
}

/// `srcs` if given, else `src`.
fn sources(ev: &mut Eval, args: &Value, at: Location) -> Value {
    let many = attribute(ev, args, "srcs", at);
    match &many.kind {
        Kind::Null => attribute(ev, args, "src", at),
        // `srcs` wins where both are given, as in nixpkgs' unpackPhase.
        _ => many,
    }
}

fn one(ev: &mut Eval, combination: &Combination<'_>, place: SearchPlace<'_>) -> Located {
    let at = place.at;
    let trail = combination.source.trail.clone();
    let chosen = match choose(ev, combination.source, combination.root, at) {
        Ok(chosen) => chosen,
        // Where the source is not known but a phase surely edits the lockfile, that is the better reason: no comment
        // can settle it.
        Err(answer) => {
            let answer = edited_anyway(ev, combination, at).unwrap_or(answer);
            return Located { trail, ..Located::only(answer) };
        }
    };
    let tree = Rc::clone(&chosen.tree);
    let Ran { left, end, patched_in } = run_phases(ev, &chosen, combination, place);
    let patched_in = tree.inside(&patched_in).sub;
    let mut remote = fetched(&chosen, combination.patches, &patched_in);
    let answer = match (left, end) {
        (Ok(left), Some(end)) => {
            if let (Some(remote), LockfileState::Copied(_)) = (&mut remote, &left.slots[1]) {
                remote.vendored_in = Some(tree.inside(&end).sub);
                if matches!(left.slots[0], LockfileState::Original) {
                    remote.shrinkwrap = Shrinkwrap::In(tree.inside(&end).sub);
                }
            }
            let patches = Patched { list: &combination.patches.list, root: chosen.root, folder: patched_in };
            conclude(ev, &tree, &left, &patches, SearchPlace { folder: &end, ..place })
        }
        (Err(trouble), _) => Answer::trouble(&trouble, at),
        (Ok(_), None) => Answer::doubt(Reason::LockfileEdited, "no folder is known", Some(at)),
    };
    let candidates = candidates(ev, &tree, place.folder, &answer);
    // A site has room for one fetched source. Where the lockfile is laid over an archive
    // besides, nobody would look into that one.
    match (&remote, laid_over(ev, &tree, &answer, at)) {
        (None, Ok(found)) => remote = found,
        // Its own shrinkwrap was asked for above.
        (Some(_), _) if !matches!(answer.shadow(), Some(Shadow::Archive(_))) => {}
        (_, over) => {
            return Located { trail, ..Located::only(over.err().unwrap_or_else(|| archive_around(at))) };
        }
    }
    Located {
        trail,
        notes: tree.notes.clone(),
        remote,
        candidates,
        local: tree.local_path(),
        ..Located::only(answer)
    }
}

/// The source that is fetched, if it is, as it is used.
fn fetched(chosen: &Chosen, patches: &Patches, patched_in: &str) -> Option<Fetched> {
    let Base::Remote(remote) = &chosen.tree.base else { return None };
    Some(Fetched {
        root: chosen.root.clone(),
        patches: patches.list.clone(),
        patched_in: patched_in.to_owned(),
        ..Fetched::plain(remote)
    })
}

/// The fetched source that a made one has from elsewhere, where it has a say in which lockfile is hashed.
fn laid_over(ev: &mut Eval, tree: &Source, answer: &Answer, at: Location) -> Result<Option<Fetched>, Answer> {
    let shadow = answer.shadow();
    if let Answer::Local { lockfile, .. } = answer
        && let Some(tarball) = ingredients::tarball(ev, tree, lockfile, at)
    {
        // The manifest is at the top of the tarball, wherever the script puts it, and so is the shrinkwrap.
        let shrinkwrap = match shadow {
            Some(Shadow::Source(own)) if !own.folder().is_empty() => Shrinkwrap::Ignored,
            Some(_) => Shrinkwrap::In(String::new()),
            None => Shrinkwrap::Ignored,
        };
        let vendored_in = Some(String::new());
        return Ok(Some(Fetched { vendored_in, shrinkwrap, ..Fetched::plain(&tarball) }));
    }
    let (remote, shrinkwrap) = match shadow {
        None => return Ok(None),
        Some(Shadow::Source(own)) => match &own.base {
            Base::Remote(remote) => (Rc::clone(remote), Shrinkwrap::In(own.folder().to_owned())),
            _ => return Ok(None),
        },
        Some(Shadow::Archive(archive)) => {
            let remote = match archive.as_ref().map(|archive| &archive.base) {
                Some(Base::Remote(remote)) => Some(Rc::clone(remote)),
                // Archives of the repository are not looked into.
                Some(Base::Local(_)) => None,
                // Repacked by another script, or held by a variable that is not known: what the script has from elsewhere.
                _ => ingredients::only_remote(ev, tree, at),
            };
            (remote.ok_or_else(|| archive_around(at))?, Shrinkwrap::Anywhere)
        }
    };
    let vendored_in = match &shrinkwrap {
        Shrinkwrap::In(folder) => folder.clone(),
        Shrinkwrap::Ignored | Shrinkwrap::Anywhere => String::new(),
    };
    // The script may have changed the manifest (fixture `run-command-shrinkwrap-shadows`).
    let used = Fetched { vendored_in: Some(vendored_in), shrinkwrap, ..Fetched::plain(&remote) };
    Ok(Some(Fetched { keeps_manifest: false, ..used }))
}

/// A lockfile that is laid over what came out of an archive that is not known.
fn archive_around(at: Location) -> Answer {
    Answer::Doubt {
        reason: Reason::Generated,
        message: "an archive is unpacked around the lockfile, and it is not known which: an npm-shrinkwrap.json in it would be \
                  hashed instead"
            .to_owned(),
        at: Some(at),
        cure: Some(NO_SHRINKWRAP.to_owned()),
    }
}

/// What the phases of a combination leave.
struct Ran {
    left: Result<Left, Trouble>,
    /// The folder in which the lockfile is read: where the last phase ends.
    end: Option<String>,
    /// The folder in which patches are applied.
    patched_in: String,
}

/// What `prePatch`, the patches and `postPatch` leave.
fn run_phases(ev: &Eval, chosen: &Chosen, combination: &Combination<'_>, place: SearchPlace<'_>) -> Ran {
    let Combination { patches, phases, .. } = combination;
    let SearchPlace { folder, at, .. } = place;
    let tree = Ground::Source(Rc::clone(&chosen.tree));
    // What is in `$out` does not matter here: the fetcher puts its cache there later.
    let mut shell = Shell::new(&ev.files, &ev.budget, tree, Ground::Nothing);
    shell.enter_below(&chosen.below);
    if let Some(source) = &chosen.source {
        shell.set_source("src", source);
    }
    run_phase(&mut shell, phases[0], PHASES[0], at);
    let patched_in = shell.folder().map(str::to_owned);
    apply_patches(&mut shell, &chosen.tree, patches, patched_in.as_deref());
    run_phase(&mut shell, phases[1], PHASES[1], at);
    // stdenv runs all phases in one shell: the last `cd` decides where the lockfile is read (fixture `phase-cd-persists`).
    let end = shell.folder().map(|end| below(end, folder));
    let left = match &end {
        Some(end) => Ok(shell.left(Side::Tree, end)),
        None => Err(shell.folder_trouble()),
    };
    Ran { left, end, patched_in: patched_in.unwrap_or_default() }
}

/// The lockfiles of the repository that an answer is about.
fn candidates(ev: &Eval, tree: &Source, folder: &str, answer: &Answer) -> Vec<PathBuf> {
    let own = FILE_NAMES.iter().filter_map(|name| tree.inside(folder).inside(name).local_path());
    own.filter(|path| ev.files.is_file(path)).chain(answer.local()).collect()
}

/// What the phases do to a lockfile wherever it is, where they do anything: it is then not the one of any folder.
fn edited_anyway(ev: &Eval, combination: &Combination<'_>, at: Location) -> Option<Answer> {
    let unknown = reason_of(&Value::new(Kind::Null), "the source is not known", at);
    let tree = Rc::new(Source::new(Base::Unknown(unknown)));
    let chosen = Chosen { tree, source: None, root: None, below: String::new() };
    let place = SearchPlace { folder: "", at, depth: 0 };
    match run_phases(ev, &chosen, combination, place).left {
        Ok(left) => left.slots.iter().find_map(|slot| match slot {
            LockfileState::Doubt(trouble) => Some(Answer::trouble(trouble, at)),
            _ => None,
        }),
        Err(trouble) => Some(Answer::trouble(&trouble, at)),
    }
}

/// Two folders as one path.
fn below(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        ("", inner) => inner.to_owned(),
        (outer, "") => outer.to_owned(),
        (outer, inner) => format!("{outer}/{inner}"),
    }
}

/// Patches change what is there: a remote source keeps its list, anything else must be certain.
fn apply_patches(shell: &mut Shell<'_>, tree: &Source, patches: &Patches, folder: Option<&str>) {
    let remote = matches!(tree.base, Base::Remote(_));
    let at = |path: &str| below(folder.unwrap_or_default(), path);
    for diff in &patches.diffs {
        if remote {
            shell.patch(&at(&diff.target), remote, "a patch changes the lockfile");
        } else {
            shell.patch_lockfile(&at(&diff.target), diff);
        }
    }
    for (path, why) in &patches.touched {
        shell.patch(&at(path), remote, why);
    }
    let lost = folder.is_none() && !patches.list.is_empty();
    if let Some(why) =
        patches.doubt.as_deref().or(lost.then_some("patches are applied in a folder that is not known"))
    {
        shell.patch_unknown(remote && !lost, why);
    }
}

fn run_phase(shell: &mut Shell<'_>, phase: &Phase, name: &'static str, at: Location) {
    match (&phase.value.kind, &phase.script) {
        (Kind::Null, _) => {}
        (_, Some(script)) => shell.run(script, name),
        (Kind::Str(_), None) => shell.run_unknown(name, "it is too long to follow"),
        _ => {
            let unknown = reason_of(&phase.value, "a phase is not known", at);
            shell.run_unknown(name, &unknown.message);
        }
    }
}
