//! Computes the `npmDepsHash` of nixpkgs' `buildNpmPackage` and `fetchNpmDeps` without Nix, finds where a repository
//! writes it, and rewrites it there. This page is the map.
//!
//! # From `flake.nix` to `flake.nix`
//!
//! 1. [`repository_files`] finds the top, lists what git tracks or would track, and where other repositories begin.
//!    [`nix_sites::survey`] reads every Nix file that can matter and evaluates it in part: which token holds the hash of which
//!    lockfile, under which options. What cannot be known is *undecided*, with the reason. [`choice`] keeps what is meant.
//! 2. [`source::fetch`] brings the sources that are not in the repository, and their hashes: git hosts' archives, tarballs
//!    of the registry. Lockfiles inside of them are read from there.
//! 3. [`npm_deps::compute`] hashes all lockfiles of the run in one pass: [`npm_lockfile`] says what is needed,
//!    [`npm_deps::supply`] brings it ([`npm_tarballs::store`], then [`npm_registry`]), nothing counts before it is a verified
//!    [`npm_tarballs::Tarball`], [`npm_tarballs::cacache`] knows the shape of the tree, and its NAR goes straight into sha256.
//! 4. [`drift::Plan`] holds each site against its hashes, and says of stale ones why: what git has of the past of a lockfile. `list` stops before 2, `check` reports the plan.
//! 5. [`rewrite::rewrite`] turns stale literals into edits and proves that nothing but those tokens changes;
//!    [`replace::replace_all`] puts the new texts in place, all files of a group that belongs together or none.
//! 6. [`report::Report`] is what there is to say, in the forms that people, CI services, git and programs read.
//!
//! [`repair`] completes lockfiles before step 3, or by itself: what they lack comes from the registry's packuments.
//!
//! [`explain`] goes on where a hash is not that of its lockfile: it computes what else it may be.
//!
//! [`conflicts`] solves what a merge left where only hashes differ: `merge-driver`, `update --resolve`.
//!
//! `add` goes another way: [`npm_registry::packages`] asks the registry about a package, [`relock`] has the real npm resolve its
//! dependencies where there are any, [`packaging`] puts hashes and an expression together in the shape that was asked for, [`nix_sites::insert`] finds the place for it, and
//! [`create::create_all`] writes everything or nothing. [`vendoring`] lends the first two to step 2 and 4.
//!
//! What many machines share (`--publish`, `--remote`) is the shell's business, too: it hands [`npm_deps::compute`] a
//! [`npm_deps::Recipient`] for NARs, a [`npm_tarballs::store::memo::SharedMemo`] for hashes and, if wanted, a
//! [`npm_tarballs::store::shared::SharedTarballs`]. All rest on the crate `nix-binary-cache`,
//! which knows store paths, narinfos and object stores, and nothing of npm.
//!
//! The program in `src/cli/` is the shell around it: the only place that prints, reads the environment, makes the one
//! asynchronous runtime that all others are given, and knows exit codes.
//!
//! # The crates
//!
//! The compiler holds the layers: a crate sees those that it names, and none above it. Each has a page and an example that runs.
//!
//! | crate | what it knows | rests on |
//! |---|---|---|
//! | `error-advice` | what can be done about an error | |
//! | `gnu-archive` | tar and gzip, byte for byte | |
//! | `merge-markers` | conflicts that a merge left | |
//! | `nix-binary-cache` | store paths, narinfo, object stores | |
//! | `repository-files` | the files of a repository; git, unrun | |
//! | `sha512-lanes` | sha512 of several messages side by side; the only place with `unsafe` | |
//! | `npm-tarballs` | integrity, verified tarballs, the store, npm's cache | `gnu-archive`, `sha512-lanes` |
//! | `npm-lockfile` | what a lockfile needs and lacks | `npm-tarballs`, `merge-markers` |
//! | `npm-registry` | requests, credentials, packuments, signatures | `npm-tarballs` |
//! | `npm-deps` | the pipeline from lockfile to hash | the three above |
//! | `nix-lang` | the language: syntax, values, evaluation, builtins | `merge-markers` |
//! | `phase-shell` | what phases do to a lockfile | `nix-lang`, `npm-lockfile` |
//! | `nixpkgs-model` | builders, fetchers, `lib`, modules, flakes | `phase-shell` |
//! | `nix-sites` | derivations and their hashes in every configuration; edits | `nixpkgs-model`, `repository-files` |
//! | `npm-nixhash` | this one: drift, sources, reports, rewriting, `add`, the program | all |
//!
//! # What each must never do
//!
//! | crate or module | must never |
//! |---|---|
//! | [`npm_lockfile`], [`nix_sites`] | touch the network; panic on any input; run anything |
//! | [`npm_tarballs::cacache`] | read the clock; know where bytes come from |
//! | [`npm_registry`] | read the environment; send a credential in clear that the user did not configure so; skip certificate checks, but where the drop-in stands in for a tool that does |
//! | [`npm_tarballs`] | let a tarball be read to its end unverified |
//! | [`repository_files`] | run git; wait for ever; write |
//! | [`source`] | write to disk but for the store; run anything |
//! | [`repair`] | change anything of a lockfile but `resolved` and `integrity`; overwrite what contradicts the registry; write |
//! | [`relock`] | hand its own environment on, or credentials of hosts that npm has no reason to ask; run a package's scripts; believe npm unseen |
//! | [`packaging`] | trust what a package says of itself; write |
//! | [`conflicts`], [`drift`], [`explain`], [`rewrite`], [`report`] | print; write |
//! | [`replace`], [`create`] | leave a file that is neither old nor new, or half of what belongs together |

pub mod choice;
pub mod conflicts;
pub mod create;
pub mod drift;
pub mod explain;
pub mod packaging;
pub mod relock;
pub mod repair;
pub mod replace;
pub mod report;
pub mod rewrite;
pub mod source;
pub mod vendoring;
