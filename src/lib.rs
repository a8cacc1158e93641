//! Computes the `npmDepsHash` of nixpkgs' `buildNpmPackage` and `fetchNpmDeps` without Nix, finds where a repository
//! writes it, and rewrites it there. This page is the map.
//!
//! # From `flake.nix` to `flake.nix`
//!
//! 1. [`repository`] finds the top, lists what git tracks or would track, and where other repositories begin.
//!    [`nix::survey`] reads every Nix file that can matter and evaluates it in part: which token holds the hash of which
//!    lockfile, under which options. What cannot be known is *undecided*, with the reason. [`choice`] keeps what is meant.
//! 2. [`source::fetch`] brings the sources that are not in the repository, and their hashes: git hosts' archives, tarballs
//!    of the registry. Lockfiles inside of them are read from there.
//! 3. [`npm_deps::compute`] hashes all lockfiles of the run in one pass: [`lockfile`] says what is needed,
//!    [`npm_deps::supply`] brings it ([`store`], then [`registry`]), nothing counts before it is a verified
//!    [`tarball::Tarball`], [`cacache`] knows the shape of the tree, and its NAR goes straight into sha256.
//! 4. [`drift::Plan`] holds each site against its hashes, and says of stale ones why: what git has of the past of a lockfile. `list` stops before 2, `check` reports the plan.
//! 5. [`rewrite::rewrite`] turns stale literals into edits and proves that nothing but those tokens changes;
//!    [`replace::replace_all`] puts the new texts in place, all files of a group that belongs together or none.
//! 6. [`report::Report`] is what there is to say, in the forms that people, CI services, git and programs read.
//!
//! [`repair`] completes lockfiles before step 3, or by itself: what they lack comes from [`npm_package`]'s packuments.
//!
//! [`explain`] goes on where a hash is not that of its lockfile: it computes what else it may be.
//!
//! [`conflicts`] solves what a merge left where only hashes differ: `merge-driver`, `update --resolve`.
//!
//! `add` goes another way: [`npm_package`] asks the registry about a package, [`relock`] has the real npm resolve its
//! dependencies where there are any, [`packaging`] puts hashes and an expression together in the shape that was asked for, [`nix::insert`] finds the place for it, and
//! [`create::create_all`] writes everything or nothing. [`vendoring`] lends the first two to step 2 and 4.
//!
//! What many machines share (`--publish`, `--remote`) is the shell's business, too: it hands [`npm_deps::compute`] a
//! [`npm_deps::Recipient`] for NARs, a [`store::memo::SharedMemo`] for hashes and, if wanted, a [`store::shared::SharedTarballs`]. All rest on the crate `nix-binary-cache` in `crates/`,
//! which knows store paths, narinfos and object stores, and nothing of npm.
//!
//! The program in `src/cli/` is the shell around it: the only place that prints, reads the environment, makes the one
//! asynchronous runtime that all others are given, and knows exit codes.
//!
//! # Who may use whom
//!
//! `cli -> report, rewrite, replace -> choice, conflicts, drift, explain -> source -> nix, npm_deps`, `nix -> repository`, `npm_deps -> registry, store -> tarball, cacache, lockfile -> integrity, listing, redaction`;
//! `cli, drift, vendoring -> repair -> npm_package, lockfile`; `cli -> packaging, vendoring -> relock, npm_package -> registry`, `cli -> create -> replace`.
//! A test (`tests/it/architecture.rs`) holds the imports to this.
//!
//! # The rooms of the evaluator
//!
//! Inside of [`nix`], the lower rooms know nothing of the upper ones; the same test holds every file to its row, and no circle of
//! imports leaves its folder.
//!
//! * The language: `syntax` (trees with spans, also of JSON and TOML), `value` (values, the chain of places behind each, what
//!   a source is made of), `budget`, `eval`, and `builtins` (functions of plain data, exact or not known). It knows neither
//!   npm nor nixpkgs. What is outside of the files it asks a `World` about (a trait of `eval`); what sets mean to that world
//!   it carries without looking (`Meaning`); what others want to know of an evaluation it tells an `Observer`, and what they
//!   note meanwhile it keeps for them by type (`Notes`).
//! * The world: `nixpkgs` (`names` is its table), `library`, `modules` and `flake`, in this order; `world` puts them together.
//! * What a survey makes of it: `sites` visits everything (`seen` observes), finds the lockfile of each declaration, with
//!   `shell` for the phases, in every configuration, and says what is nobody's. `site`, `literal`, `place`, `reason` and `remote`
//!   are the answers as data.
//!
//! # What each must never do
//!
//! | module | must never |
//! |---|---|
//! | [`lockfile`], [`nix`] | touch the network; panic on any input; run anything |
//! | [`cacache`] | read the clock; know where bytes come from |
//! | [`registry`] | read the environment; send a credential in clear that the user did not configure so; skip certificate checks, but where the drop-in stands in for a tool that does |
//! | [`tarball`] | be read to its end unverified |
//! | [`repository`] | run git; wait for ever; write |
//! | [`source`] | write to disk but for the store; run anything |
//! | [`repair`] | change anything of a lockfile but `resolved` and `integrity`; overwrite what contradicts the registry; write |
//! | [`relock`] | hand its own environment on, or credentials of hosts that npm has no reason to ask; run a package's scripts; believe npm unseen |
//! | [`packaging`] | trust what a package says of itself; write |
//! | [`conflicts`], [`drift`], [`explain`], [`rewrite`], [`report`] | print; write |
//! | [`replace`], [`create`] | leave a file that is neither old nor new, or half of what belongs together |

pub mod cacache;
pub mod choice;
pub mod conflicts;
pub mod create;
pub mod drift;
pub mod explain;
pub mod integrity;
pub mod listing;
pub mod lockfile;
mod markers;
pub mod nix;
pub mod npm_deps;
pub mod npm_package;
pub mod options;
pub mod packaging;
mod positioned;
pub mod redaction;
pub mod registry;
pub mod relock;
pub mod repair;
pub mod replace;
pub mod report;
pub mod repository;
pub mod rewrite;
pub mod source;
pub mod store;
pub mod tarball;
mod tarball_url;
pub mod vendoring;
