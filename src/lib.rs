//! Computes the `npmDepsHash` of nixpkgs' `buildNpmPackage` and `fetchNpmDeps` without Nix, finds where a repository
//! writes it, and rewrites it there. This page is the map.
//!
//! # From `flake.nix` to `flake.nix`
//!
//! 1. [`nix::survey`] reads every Nix file that can matter and evaluates it in part: which token holds the hash of which
//!    lockfile, under which options. What cannot be known is *undecided*, with the reason.
//! 2. [`npm_deps::compute`] hashes all lockfiles of the run in one pass: [`lockfile`] says what is needed,
//!    [`npm_deps::supply`] brings it ([`store`], then [`registry`]), nothing counts before it is a verified
//!    [`tarball::Tarball`], [`cacache`] knows the shape of the tree, and its NAR goes straight into sha256.
//! 3. [`drift::Plan`] holds each site against its hash. `list` stops before 2, `check` reports the plan.
//! 4. [`rewrite::rewrite`] turns stale literals into edits and proves that nothing but those tokens changes;
//!    [`replace::replace_all`] puts the new texts in place, all files or none.
//! 5. [`report::Report`] is what there is to say, in the forms that people, CI services, git and programs read.
//!
//! The program in `src/cli/` is the shell around it: the only place that prints, reads the environment, and knows exit
//! codes.
//!
//! # Who may use whom
//!
//! `cli -> report, rewrite, replace -> drift -> nix, npm_deps -> registry, store, tarball, cacache, lockfile -> integrity`.
//! A test (`tests/it/architecture.rs`) holds the imports to this.
//!
//! # What each must never do
//!
//! | module | must never |
//! |---|---|
//! | [`lockfile`], [`nix`] | touch the network; panic on any input; run anything |
//! | [`cacache`] | read the clock; know where bytes come from |
//! | [`registry`] | read the environment; skip certificate checks, but where the drop-in stands in for a tool that does |
//! | [`tarball`] | exist unverified |
//! | [`drift`], [`rewrite`], [`report`] | print; write |
//! | [`replace`] | leave a file that is neither old nor new |

pub mod cacache;
pub mod drift;
pub mod integrity;
pub mod lockfile;
pub mod nix;
pub mod npm_deps;
pub mod options;
pub mod registry;
pub mod replace;
pub mod report;
pub mod rewrite;
pub mod store;
pub mod store_path;
pub mod tarball;
