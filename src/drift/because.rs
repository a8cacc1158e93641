//! Why a hash is stale: what changed in its lockfile since the hash was written, as git has it; or what the hash is, where
//! this run computed just that.
//!
//! Only stale sites are asked about, so a repository in sync pays nothing. What is not known is not said.

use std::path::PathBuf;
use std::sync::Arc;

use nix_sites::{Literal, Outcome, Site};
use npm_deps::supply::Supply;
use npm_deps::{HashRequest, Settings};
use npm_lockfile::changes::Changes;
use npm_lockfile::options::HashOptions;
use repository_files::git::{ComparedState, Git, HistoryAnswer, HistoryQuestion, Last};

use super::{Judgement, PlanMaker, says};

/// Why a hash is stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// Its lockfile changed.
    Changed {
        /// The file.
        lockfile: PathBuf,
        /// Since which state.
        since: ComparedState,
        /// What changed; `None` if one of the states is not a lockfile.
        changes: Option<Changes>,
        /// The commit that last changed it.
        last: Last,
    },
    /// It is the hash of another lockfile of this run.
    OtherLockfile {
        /// That one.
        lockfile: PathBuf,
    },
    /// It is the hash of its own lockfile under other options.
    OtherOptions {
        /// Those.
        options: HashOptions,
    },
    /// Its lockfile is as it was when the hash was written, so it is something else.
    Unchanged {
        /// The file.
        lockfile: PathBuf,
        /// The commit that wrote the hash.
        commit: String,
    },
}

/// What a run has at hand to find reasons.
pub(super) struct HistorySearch<'a> {
    pub(super) work: &'a PlanMaker<'a>,
    pub(super) supply: &'a Supply,
    pub(super) settings: &'a Settings,
}

/// A question for git about a site.
struct Open {
    /// The site's.
    index: usize,
    question: HistoryQuestion,
    /// The lockfile's bytes as they are to be.
    now: Arc<[u8]>,
}

/// Says of each stale site why it is, where that is known.
pub(super) fn explain(sites: &[Site], verdicts: &mut [Judgement], means: &HistorySearch<'_>) {
    let mut open: Vec<Open> = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        let Some(literal) = stale_literal(site, &verdicts[index]) else { continue };
        if let Some(because) = of_another_lockfile(literal, site, sites, verdicts) {
            verdicts[index].because = Some(because);
        } else if let Some((question, now)) = question(literal, site, &verdicts[index], means) {
            open.push(Open { index, question, now });
        }
    }
    if open.is_empty() {
        return;
    }
    let asked = open.iter().map(|open| (open.question.clone(), open.now.to_vec())).collect();
    let answers = Git::of(means.work.rules.head.root()).since(asked, means.work.rules.base);
    for (open, answer) in open.into_iter().zip(answers) {
        let site = &sites[open.index];
        verdicts[open.index].because =
            answer.map(|answer| judge(site, open.question, &open.now, answer, means));
    }
}

/// The literal of a site that says another hash. One that holds only the place of a hash needs no reason.
fn stale_literal<'a>(site: &'a Site, verdict: &Judgement) -> Option<&'a Literal> {
    let super::Status::Stale(Some(computed)) = &verdict.status else { return None };
    let is_stale = |literal: &&Literal| {
        let written = &literal.written;
        written.digest.is_some() && !written.is_placeholder() && !says(literal, computed)
    };
    site.hashes.iter().find(is_stale)
}

/// Whether the hash is that of something else that was computed in this run.
fn of_another_lockfile(
    literal: &Literal,
    own: &Site,
    sites: &[Site],
    verdicts: &[Judgement],
) -> Option<Because> {
    let same = sites.iter().zip(verdicts).find(|(_, verdict)| match &verdict.status {
        super::Status::InSync(Some(computed)) | super::Status::Stale(Some(computed)) => {
            says(literal, computed)
        }
        _ => false,
    });
    let (other, _) = same?;
    match (&own.outcome, &other.outcome) {
        (Outcome::Local { lockfile, .. }, Outcome::Local { lockfile: other_lockfile, .. }) => {
            Some(if lockfile == other_lockfile {
                Because::OtherOptions { options: other.options }
            } else {
                Because::OtherLockfile { lockfile: other_lockfile.clone() }
            })
        }
        _ => None,
    }
}

/// What to ask git about a site whose lockfile is in the repository, and the lockfile's bytes as they are to be.
fn question(
    literal: &Literal,
    site: &Site,
    verdict: &Judgement,
    means: &HistorySearch<'_>,
) -> Option<(HistoryQuestion, Arc<[u8]>)> {
    let Outcome::Local { lockfile, .. } = &site.outcome else { return None };
    let renewed = verdict.outdated.as_ref().and_then(|outdated| outdated.new.clone());
    let now = match renewed {
        Some(new) => new,
        None => means.work.lockfiles.borrow_mut().read(lockfile, means.work.rules.head).ok()?,
    };
    let question = HistoryQuestion {
        file: literal.file.clone(),
        text: literal.written.text.trim().to_owned(),
        lockfile: lockfile.clone(),
    };
    Some((question, now))
}

fn judge(
    site: &Site,
    question: HistoryQuestion,
    now: &Arc<[u8]>,
    answer: HistoryAnswer,
    means: &HistorySearch<'_>,
) -> Because {
    let HistoryAnswer { since, then, last } = answer;
    let lockfile = question.lockfile;
    if then != **now {
        return Because::Changed { lockfile, since, changes: Changes::between(&then, now), last };
    }
    let options = other_options(site, question.text.as_str(), now, means);
    let unchanged = Because::Unchanged { lockfile, commit: since.commit().to_owned() };
    options.map_or(unchanged, |options| Because::OtherOptions { options })
}

/// The other fetcher version, if the hash is that of the lockfile under it. Only what is on disk is used.
fn other_options(
    site: &Site,
    recorded: &str,
    now: &Arc<[u8]>,
    means: &HistorySearch<'_>,
) -> Option<HashOptions> {
    let options = site.options.with_other_version();
    let request = HashRequest::new(Arc::clone(now), options);
    let supply = Arc::new(means.supply.without_network());
    let computed = npm_deps::compute(&[request], &supply, means.settings).pop()?.ok()?;
    let says =
        site.hashes.iter().any(|literal| literal.written.text.trim() == recorded && says(literal, &computed));
    says.then_some(options)
}
