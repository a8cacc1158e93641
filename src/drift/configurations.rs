//! Sites of other configurations whose lockfile cannot be used.

use std::error::Error;
use std::path::Path;

use nix_sites::{Condition, Warning, WarningKind};
use npm_deps::Obstacle;

use super::{Planned, SiteFailure, Status};

/// Takes the sites out that today's configuration does not use and whose lockfile is broken: somebody may be about to make
/// it, so that it is a warning as one that is not there is, and no failure.
pub(super) fn set_aside(sites: &mut Vec<Planned>, root: &Path) -> Vec<Warning> {
    let mut warnings = Vec::new();
    sites.retain(|planned| match warning(planned, root) {
        Some(warning) => {
            warnings.push(warning);
            false
        }
        None => true,
    });
    warnings
}

fn warning(planned: &Planned, root: &Path) -> Option<Warning> {
    let condition = planned.site.only_when.first()?;
    let Status::Failed(failure) = &planned.status else { return None };
    let why = broken(failure)?;
    let shown = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let lockfile = planned.lockfile().map_or_else(String::new, |path| format!(" {}", shown(path)));
    let Condition { text, place } = condition;
    let message = format!(
        "its lockfile{lockfile} cannot be used: {why}; the derivation is only used when {text} ({}:{})",
        shown(&place.file),
        place.line
    );
    Some(Warning { kind: WarningKind::OtherConfiguration, place: planned.site.hash_place(), message })
}

/// What is wrong with the lockfile itself; `None` where something else stands in the way, such as the network.
fn broken(failure: &SiteFailure) -> Option<String> {
    match failure {
        SiteFailure::Unreadable { error, .. } => Some(error.to_string()),
        SiteFailure::Uncomputable { failure, .. } => {
            let is_own = |obstacle: &Obstacle| {
                matches!(obstacle, Obstacle::Lockfile(_) | Obstacle::Nested { .. } | Obstacle::Refused(_))
            };
            let first = failure.obstacles.first()?;
            failure.obstacles.iter().all(is_own).then(|| chain(first))
        }
        _ => None,
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
