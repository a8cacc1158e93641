//! Which of a repository's sites a run is about: by path, by name, by what changed, less what is left out.
//!
//! The repository is evaluated as a whole whatever is chosen: what a derivation is does not depend on who asks.

mod names;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use error_advice::Advise;
pub use names::{InvalidPattern, NamePattern, closest};
use nix_sites::{Outcome, Patch, Place, Site, Survey, Undecided, Warning, WarningKind};
use repository_files::git::Changed;

/// Something that was asked for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// What lies at or below this path, which is canonical.
    Path(PathBuf),
    /// What is called so, in this folder where one is named.
    Name {
        /// The name.
        name: NamePattern,
        /// The folder of the flake.
        within: Option<PathBuf>,
    },
    /// A word that is a path and may be a name.
    Either(PathBuf, NamePattern),
}

/// What a run is about.
#[derive(Debug, Clone, Default)]
pub struct SiteChoice {
    /// What was asked for; nothing is everything.
    pub wanted: Vec<Wanted>,
    /// What is left out.
    pub exclude: Vec<NamePattern>,
    /// Left out are also sites of which nothing changed.
    pub since: Option<ChangedSince>,
}

/// How a repository differs from what it was.
///
/// What decides a hash besides its lockfile stands in files that say much else: one that holds three hundred hashes changes
/// with each of them. So files are compared where they belong to one derivation alone, and of Nix and data files what
/// they say of each derivation.
#[derive(Debug, Clone, Default)]
pub struct ChangedSince {
    /// The files that changed.
    changed: Changed,
    /// The derivations as they were, without positions, by their attribute paths.
    before: HashMap<Option<String>, Vec<Site>>,
}

impl ChangedSince {
    /// The difference between two surveys of one repository, of which these files changed.
    #[must_use]
    pub fn new(changed: Changed, before: &[Site]) -> Self {
        let mut sites: HashMap<Option<String>, Vec<Site>> = HashMap::new();
        for site in before {
            sites.entry(site.attr_path.clone()).or_default().push(site.without_positions());
        }
        Self { changed, before: sites }
    }

    /// Whether anything changed that may change the hash of a site, or what a build makes of it, as far as the repository
    /// tells.
    fn moved(&self, site: &Site) -> bool {
        if own_files(site).into_iter().any(|file| self.changed.has(file)) {
            return true;
        }
        if let Outcome::Undecided(_) = site.outcome {
            // What it would be made of is not known: anything on the way to it may matter.
            let steps = site.explain.iter().map(|step| step.place.file.as_path());
            let candidates = site.candidates.iter().map(PathBuf::as_path);
            return files(site).into_iter().chain(steps).chain(candidates).any(|file| self.changed.has(file));
        }
        let as_it_was = self.before.get(&site.attr_path);
        !as_it_was.is_some_and(|sites| sites.contains(&site.without_positions()))
    }
}

/// Why nothing was chosen.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// A name that no site has.
    #[error("no npm derivation is called `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// What it may have been meant to be.
        meant: Option<String>,
    },
    /// A word that means two things.
    #[error("`{0}` is a path and a name, which choose different derivations")]
    Ambiguous(String),
    /// A path that chooses nothing.
    #[error("{what} {}: {}", place.display(), describe(*elsewhere, root, nearest.as_deref()))]
    Nothing {
        /// What is missing there.
        what: &'static str,
        /// The path.
        place: PathBuf,
        /// How many sites there are in the repository.
        elsewhere: usize,
        /// Its folder.
        root: PathBuf,
        /// The path of a site that is near.
        nearest: Option<PathBuf>,
    },
}

impl Advise for ChoiceError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Unknown { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?").into()),
            Self::Unknown { meant: None, .. } => Some("`npm-nixhash list` shows them all".into()),
            Self::Ambiguous(word) => Some(format!("write ./{word} or .#{word}").into()),
            Self::Nothing { elsewhere: 0, .. } => None,
            Self::Nothing { .. } => Some("`npm-nixhash list` at the top of the repository shows them".into()),
        }
    }
}

fn describe(elsewhere: usize, root: &Path, nearest: Option<&Path>) -> String {
    let sites = if elsewhere == 1 { "1 site".to_owned() } else { format!("{elsewhere} sites") };
    match nearest {
        Some(nearest) => format!("{sites} elsewhere in {}, nearest: {}", root.display(), nearest.display()),
        None => format!("no npm derivation in {}", root.display()),
    }
}

/// How many sites are not looked at, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Neither a path nor a name chose them.
    pub not_chosen: usize,
    /// They are excluded.
    pub excluded: usize,
    /// Nothing of theirs changed.
    pub unchanged: usize,
    /// Since this commit, in hexadecimal.
    pub since: Option<String>,
}

/// Restricts a survey to what a run is about.
///
/// Sites that share a literal or a vendored lockfile with a chosen one come along: it could not be changed for one alone.
///
/// # Errors
/// When something that was asked for is not there.
pub fn choose(survey: &mut Survey, choice: &SiteChoice) -> Result<LeftOut, ChoiceError> {
    let all: BTreeSet<usize> = (0..survey.sites.len()).collect();
    let mut chosen = BTreeSet::new();
    for wanted in &choice.wanted {
        chosen.append(&mut choose_one(survey, wanted)?);
    }
    if choice.wanted.is_empty() {
        chosen.clone_from(&all);
    }
    let excluded = excluded(survey, &choice.exclude)?;
    let unchanged: BTreeSet<usize> = match &choice.since {
        Some(since) => all.iter().copied().filter(|at| !since.moved(&survey.sites[*at])).collect(),
        None => BTreeSet::new(),
    };
    let mut kept: BTreeSet<usize> = &(&chosen - &excluded) - &unchanged;
    close(&survey.sites, &mut kept);
    let left_out = LeftOut {
        not_chosen: (&(&all - &chosen) - &kept).len(),
        excluded: (&(&chosen & &excluded) - &kept).len(),
        unchanged: (&(&(&chosen - &excluded) & &unchanged) - &kept).len(),
        since: choice.since.as_ref().map(|since| since.changed.base.clone()),
    };
    restrict(survey, choice, &kept);
    Ok(left_out)
}

fn choose_one(survey: &Survey, wanted: &Wanted) -> Result<BTreeSet<usize>, ChoiceError> {
    match wanted {
        Wanted::Path(path) => at_path(survey, path),
        Wanted::Name { name, within } => {
            let found = named(survey, name);
            let inside = |at: &usize| {
                within.as_ref().is_none_or(|folder| survey.sites[*at].place.file.starts_with(folder))
            };
            let found: BTreeSet<usize> = found.into_iter().filter(inside).collect();
            if found.is_empty() { Err(unknown(survey, name)) } else { Ok(found) }
        }
        Wanted::Either(path, name) => {
            let (by_path, by_name) = (at_path(survey, path), named(survey, name));
            match by_path {
                Ok(found) if by_name.is_empty() || found == by_name => Ok(found),
                Ok(_) => Err(ChoiceError::Ambiguous(name.text().to_owned())),
                Err(_) if !by_name.is_empty() => Ok(by_name),
                Err(error) => Err(error),
            }
        }
    }
}

fn named(survey: &Survey, name: &NamePattern) -> BTreeSet<usize> {
    survey.sites.iter().enumerate().filter(|(_, site)| name.fits(site)).map(|(at, _)| at).collect()
}

fn unknown(survey: &Survey, name: &NamePattern) -> ChoiceError {
    let meant = names::nearest(name.text(), survey.sites.iter().flat_map(names::all));
    ChoiceError::Unknown { name: name.text().to_owned(), meant }
}

fn excluded(survey: &Survey, patterns: &[NamePattern]) -> Result<BTreeSet<usize>, ChoiceError> {
    let mut all = BTreeSet::new();
    for pattern in patterns {
        let mut found = named(survey, pattern);
        if found.is_empty() && pattern.has_to_fit() {
            return Err(unknown(survey, pattern));
        }
        all.append(&mut found);
    }
    Ok(all)
}

/// The sites of which something lies at or below a path. A repository that has none at all has nothing to choose from, so
/// its top chooses that.
fn at_path(survey: &Survey, path: &Path) -> Result<BTreeSet<usize>, ChoiceError> {
    if path == survey.root {
        return Ok((0..survey.sites.len()).collect());
    }
    let fits = |site: &Site| files(site).iter().any(|file| lies_at(file, path)) || is_beside(site, path);
    let found: BTreeSet<usize> =
        survey.sites.iter().enumerate().filter(|(_, site)| fits(site)).map(|(at, _)| at).collect();
    // What cannot be read there is told, and may hold what was meant.
    if !found.is_empty() || survey.problems.iter().any(|problem| lies_at(&problem.place.file, path)) {
        return Ok(found);
    }
    // What is used without a hash is looked at, too.
    if survey.uses.iter().any(|used| lies_at(&used.lockfile, path) || lies_at(&used.place.file, path)) {
        return Ok(found);
    }
    let lockfile = survey.uncovered.iter().any(|lockfile| lies_at(lockfile, path));
    Err(ChoiceError::Nothing {
        what: if lockfile { "no npm derivation uses the lockfile at" } else { "no npm derivation at" },
        place: path.to_owned(),
        elsewhere: survey.sites.len(),
        root: survey.root.clone(),
        nearest: nearest(survey, path),
    })
}

/// Whether a path is another lockfile in the folder of the one that is hashed, which a shrinkwrap shadows.
fn is_beside(site: &Site, path: &Path) -> bool {
    let lockfile =
        path.file_name().is_some_and(|name| name == "package-lock.json" || name == "npm-shrinkwrap.json");
    let Outcome::Local { lockfile: own, .. } = &site.outcome else { return false };
    lockfile
        && own.file_name().is_some_and(|name| name == "npm-shrinkwrap.json")
        && own.parent() == path.parent()
}

/// Whether a file lies at or below a path, by its name or, through links, by its place.
fn lies_at(file: &Path, path: &Path) -> bool {
    file.starts_with(path) || file.canonicalize().is_ok_and(|file| file.starts_with(path))
}

/// All files and folders that make a site.
fn files(site: &Site) -> BTreeSet<&Path> {
    let literals = site.hashes.iter().chain(site.source_literals()).map(|literal| literal.file.as_path());
    literals.chain(of_source(site)).chain([site.place.file.as_path()]).collect()
}

/// Those of them that hold nothing else, and patches.
fn own_files(site: &Site) -> BTreeSet<&Path> {
    let patches = site.sources().flat_map(|source| &source.patches).filter_map(|patch| match patch {
        Patch::Local { path, .. } => Some(path.as_path()),
        Patch::Other(_) => None,
    });
    of_source(site).chain(patches).collect()
}

/// Its lockfile and the folders of its source.
fn of_source(site: &Site) -> impl Iterator<Item = &Path> {
    let lockfile = match &site.outcome {
        Outcome::Local { lockfile, .. } | Outcome::MissingLockfile { expected: lockfile } => {
            Some(lockfile.as_path())
        }
        Outcome::Remote { .. } | Outcome::Tarball(_) | Outcome::Undecided(_) => None,
    };
    lockfile.into_iter().chain(site.folders.iter().map(PathBuf::as_path))
}

/// The path of a site, from the top, that has most in common with a path.
fn nearest(survey: &Survey, path: &Path) -> Option<PathBuf> {
    let common = |file: &Path| file.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let place = |site: &Site| match &site.outcome {
        Outcome::Local { lockfile, .. } => lockfile.parent().unwrap_or(lockfile).to_path_buf(),
        _ => site.place.file.clone(),
    };
    let mut places: Vec<PathBuf> = survey.sites.iter().map(place).collect();
    places.sort_by_key(|place| (std::cmp::Reverse(common(place)), place.clone()));
    let nearest = places.into_iter().next()?;
    let shown = nearest.strip_prefix(&survey.root).unwrap_or(&nearest);
    Some(if shown.as_os_str().is_empty() { PathBuf::from(".") } else { shown.to_owned() })
}

/// Adds what shares a token or a lockfile of the repository that may be written.
fn close(sites: &[Site], kept: &mut BTreeSet<usize>) {
    // What comes along may share a literal with others in turn.
    loop {
        let tokens: BTreeSet<LiteralRef<'_>> = kept.iter().flat_map(|at| tokens(&sites[*at])).collect();
        let more = sites
            .iter()
            .enumerate()
            .filter(|(_, site)| self::tokens(site).any(|token| tokens.contains(&token)));
        let before = kept.len();
        kept.extend(more.map(|(at, _)| at).collect::<Vec<_>>());
        if kept.len() == before {
            return;
        }
    }
}

/// A file and an offset in it; of a lockfile that may be regenerated no offset.
type LiteralRef<'a> = (&'a Path, Option<usize>);

fn tokens(site: &Site) -> impl Iterator<Item = LiteralRef<'_>> {
    let literals = site.hashes.iter().chain(site.source_literals());
    let vendored = match (&site.outcome, &site.source) {
        (Outcome::Local { lockfile, .. }, Some(_)) => Some((lockfile.as_path(), None)),
        _ => None,
    };
    literals.map(|literal| (literal.file.as_path(), Some(literal.range.start))).chain(vendored)
}

/// Only what belongs to the chosen sites, or lies at or below a chosen path.
fn restrict(survey: &mut Survey, choice: &SiteChoice, kept: &BTreeSet<usize>) {
    let mut at = 0..;
    survey.sites.retain(|_| at.next().is_some_and(|at| kept.contains(&at)));
    // Without a choice the rest of the survey stays: `--exclude` is about derivations alone.
    if choice.wanted.is_empty() && choice.since.is_none() {
        return;
    }
    let own: BTreeSet<PathBuf> =
        survey.sites.iter().flat_map(|site| files(site).into_iter().map(Path::to_path_buf)).collect();
    let by_path = |file: &Path| {
        let is_changed = choice.since.as_ref().is_none_or(|since| since.changed.has(file));
        let is_wanted = choice.wanted.iter().any(|wanted| match wanted {
            Wanted::Path(path) | Wanted::Either(path, _) => lies_at(file, path),
            Wanted::Name { .. } => false,
        });
        is_changed && (choice.wanted.is_empty() || is_wanted)
    };
    survey.uncovered.retain(|lockfile| by_path(lockfile));
    survey.uses.retain(|used| by_path(&used.lockfile) || by_path(&used.place.file));
    survey.version_mismatches.retain(|one| by_path(&one.place.file) || own.contains(&one.place.file));
    survey.problems.retain(|problem| by_path(&problem.place.file) || own.contains(&problem.place.file));
    let sites = &survey.sites;
    survey.warnings.retain(|warning| by_path(&warning.place.file) || concerns(warning, sites));
    survey.borders.retain(|border| by_path(&border.folder));
}

fn concerns(warning: &Warning, sites: &[Site]) -> bool {
    match warning.kind {
        // Each hash of the text is a site, at least an undecided one: where all that were chosen are decided, what was cut short
        // elsewhere took nothing from them. The hostile cases of this repository's own fixtures are such an elsewhere.
        WarningKind::Budget => {
            sites.is_empty() || sites.iter().any(|site| matches!(site.outcome, Outcome::Undecided(_)))
        }
        WarningKind::Git | WarningKind::Settings => true,
        WarningKind::Overlay => sites.iter().any(|site| is_held_up_at(site, &warning.place)),
        WarningKind::DeadHash | WarningKind::UncalledFunction | WarningKind::OtherConfiguration => false,
    }
}

fn is_held_up_at(site: &Site, place: &Place) -> bool {
    matches!(&site.outcome, Outcome::Undecided(Undecided { stopped_at, .. }) if stopped_at == place)
}
