//! Declarations become sites; equal ones become one, contradicting ones become undecided.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::formula::can_meet;
use nix_lang::value::{Doubt, Kind, Unknown, Value};
use nixpkgs_model::flake;
use nixpkgs_model::packages::record::{Declarations as _, Declared, Record, RecordKind};
use npm_lockfile::FILE_NAMES;
use npm_lockfile::options::HashOptions;

use super::answer::{Answer, Located};
use super::describe::proof;
use super::draft::{Draft, asked_at, name_of, text_of, undecided};
use super::explain::place_of;
use super::fetched::remote_source;
use super::literals::{self, Hash};
use super::locate::locate;
use super::merge::{compatible, drop_followed, mark_shared, merge, settle_conflicts, shared_with};
use super::{installed, own, tarballs};
use crate::reason::Reason;
use crate::site::{Outcome, Site, Undecided};

/// The sites of all records, in the order of their places.
pub(crate) fn all(ev: &mut Eval) -> Vec<Draft> {
    let drafts = each(ev);
    combine(ev, drafts)
}

/// The sites of all records, one by one, whatever they share.
pub(super) fn each(ev: &mut Eval) -> Vec<Draft> {
    let records = std::mem::take(&mut ev.declared().records);
    let mut drafts = Vec::new();
    for record in &records {
        // Each derivation has a share of its own: one that costs too much leaves the others decided.
        ev.budget.begin();
        let (own, decided) = ev.deciding(|ev| drafts_of(ev, record));
        let decided = vec![ev.joined(record.decided, decided)];
        drafts.extend(own.into_iter().map(|draft| Draft { decided: decided.clone(), ..draft }));
    }
    ev.declared().records = records;
    drafts
}

/// Equal answers become one site; one literal with several answers is undecided.
pub(crate) fn combine(ev: &Eval, drafts: Vec<Draft>) -> Vec<Draft> {
    let mut merged = merge(drafts);
    drop_followed(&mut merged);
    tarballs::drop_carried(&mut merged);
    settle_conflicts(ev, &mut merged);
    sort(&mut merged);
    merged
}

/// By their places.
pub(crate) fn sort(drafts: &mut [Draft]) {
    drafts.sort_by(|a, b| a.site.place.cmp(&b.site.place).then_with(|| a.literals.cmp(&b.literals)));
}

/// Sites of other configurations that share a literal with a site of a nearer one, and need another hash, are undecided.
pub(crate) fn settle_later(ev: &Eval, nearer: &[Draft], later: &mut [Draft]) {
    for draft in later {
        let rival = nearer.iter().find(|near| {
            near.literals.iter().any(|literal| draft.literals.contains(literal))
                && !compatible(&near.site, &draft.site)
        });
        if let Some(rival) = rival {
            mark_shared(&mut draft.site, shared_with(ev, &rival.site), rival.site.place.clone());
        }
    }
}

/// The sites of a record: more than one where a condition chooses both the hash and the source.
fn drafts_of(ev: &mut Eval, record: &Record) -> Vec<Draft> {
    match &record.kind {
        RecordKind::Tarball(remote) => return tarballs::drafts(ev, record, remote),
        RecordKind::Installed(manager) => return installed::draft(ev, record, manager).into_iter().collect(),
        _ => {}
    }
    let at = record.call;
    let hash = read_hash(ev, record);
    let options = options(ev, record);
    let located = match &record.kind {
        RecordKind::OwnFetcher(own) => own::located(ev, record, own),
        _ => locate(ev, &record.args, record.is_direct(), at),
    };
    // `npmDepsHash = null` says that there are no dependencies to fetch.
    if hash.literals.is_empty() && hash.null {
        return Vec::new();
    }
    split(ev, &hash, located)
        .into_iter()
        .map(|(hash, located)| draft(ev, record, &hash, options.as_ref(), &located))
        .collect()
}

/// Hashes and sources that depend on one condition belong together, side by side (fixture `condition-narrower`).
fn split(ev: &mut Eval, hash: &Hash, mut located: Vec<Located>) -> Vec<(Hash, Vec<Located>)> {
    let unconditional = hash.conditions.iter().any(|(_, under)| under.is_none());
    if unconditional || hash.doubt.is_some() {
        return vec![(hash.clone(), located)];
    }
    // Where no hash counts, as beside `null`, nothing is hashed.
    let counts = |one: &Located| hash.conditions.iter().any(|(_, under)| can_meet(under, &one.under));
    if located.iter().any(counts) {
        located.retain(counts);
    }
    let groups = group(ev, &located);
    if groups.len() < 2 || hash.literals.len() < 2 {
        return vec![(hash.clone(), located)];
    }
    // Which of the answers each literal can be for; literals for the same ones stay together.
    let mut parts: BTreeMap<Vec<usize>, Vec<Location>> = BTreeMap::new();
    for (literal, under) in &hash.conditions {
        let fits = |group: &[Located]| group.iter().any(|located| can_meet(under, &located.under));
        let own = groups.iter().enumerate().filter(|(_, group)| fits(group)).map(|(i, _)| i).collect();
        parts.entry(own).or_default().push(*literal);
    }
    // A literal for none of them counts where the answers are not all there are.
    if parts.contains_key(&Vec::new()) {
        return vec![(hash.clone(), located)];
    }
    let part = |(own, counting): (Vec<usize>, Vec<Location>)| {
        let literals = hash.literals.iter().filter(|(_, at)| counting.contains(at)).cloned().collect();
        let answers = own.iter().flat_map(|i| groups[*i].clone()).collect();
        (Hash { literals, ..hash.clone() }, answers)
    };
    parts.into_iter().map(part).collect()
}

/// Answers that mean the same lockfile.
fn group(ev: &mut Eval, located: &[Located]) -> Vec<Vec<Located>> {
    let mut groups: Vec<Vec<Located>> = Vec::new();
    for one in located {
        match groups.iter().position(|group| group[0].answer.agrees(ev, &one.answer)) {
            Some(known) => groups[known].push(one.clone()),
            None => groups.push(vec![one.clone()]),
        }
    }
    groups
}

fn read_hash(ev: &mut Eval, record: &Record) -> Hash {
    let at = record.call;
    if let Some(value) = ev.peek_attr(&record.args, record.hash_name(), at) {
        literals::read(ev, &value, &record.args.under())
    } else {
        let message = format!("`{}` is not given", record.hash_name());
        Hash { doubt: Some((Reason::NoHash, message, Some(at))), ..Hash::default() }
    }
}

fn draft(
    ev: &mut Eval,
    record: &Record,
    hash: &Hash,
    options: Result<&HashOptions, &(String, Option<Location>)>,
    located: &[Located],
) -> Draft {
    let at = record.call;
    let outcome = decide(ev, record, hash, options, located);
    let explain = proof(ev, record, hash, located, &outcome);
    let source = located.first().and_then(|l| l.remote.clone()).map(|used| remote_source(ev, &used));
    // `npmRoot` is not passed to the fetcher, so it never decides; but where no lockfile is found it tells where one
    // may be meant.
    let missing = matches!(outcome, Outcome::MissingLockfile { .. }) && !record.is_direct();
    let npm_root = if missing { text_of(ev, &record.args, "npmRoot", at) } else { None };
    let candidates = candidates(ev, located, npm_root.as_deref());
    let site = Site {
        name: name_of(ev, &record.args, at),
        version: text_of(ev, &record.args, "version", at),
        output_name: output_name(ev, record),
        asked_at: asked_at(ev, at, hash, located),
        assumed: record
            .assumed
            .as_ref()
            .filter(|callee| is_taken_for(callee))
            .map(|callee| callee_name(callee)),
        candidates,
        npm_root,
        hashes: hash.literals.iter().map(|(literal, _)| literal.clone()).collect(),
        options: options.copied().unwrap_or_default(),
        source,
        folders: located.iter().filter_map(|located| located.local.clone()).collect(),
        explain,
        ..Site::new(place_of(ev, at), outcome)
    };
    Draft::new(record, site, hash)
}

impl Draft {
    /// The site of a record, under the record's names.
    pub(super) fn new(record: &Record, site: Site, hash: &Hash) -> Self {
        let mut names = telling(&record.attr_paths).into_iter();
        let site = Site { attr_path: names.next(), other_attr_paths: names.collect(), ..site };
        Self {
            site,
            literals: hash.literals.iter().map(|(_, at)| *at).collect(),
            ways: hash.ways.clone(),
            from_caller: hash.from_caller,
            call: record.call,
            decided: Vec::new(),
            turned: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// The paths that say something: a set that holds itself leads to everything once more under each of its own names, as
/// `python3Packages.python3Packages`.
fn telling(paths: &[String]) -> Vec<String> {
    let repeats = |path: &String| {
        let parts: Vec<&str> = path.split('.').collect();
        parts.windows(2).any(|pair| pair[0] == pair[1])
    };
    let plain: Vec<String> = paths.iter().filter(|path| !repeats(path)).cloned().collect();
    // One bad name is better than none.
    if plain.is_empty() { paths.to_vec() } else { plain }
}

/// Whether a function is taken for a builder: one of the repository that could not be followed is not.
fn is_taken_for(callee: &Unknown) -> bool {
    matches!(callee.doubt, Doubt::Outside | Doubt::Argument)
}

/// What people call a function that is not known.
fn callee_name(callee: &Unknown) -> String {
    callee.name.as_deref().unwrap_or("a function from outside").to_owned()
}

/// The lockfiles that a site may mean, that below `npmRoot` among them.
fn candidates(ev: &Eval, located: &[Located], npm_root: Option<&str>) -> Vec<PathBuf> {
    let folders = located.iter().filter_map(|located| Some(located.local.as_ref()?.join(npm_root?)));
    let below: Vec<PathBuf> = folders
        .flat_map(|folder| FILE_NAMES.map(|name| folder.join(name)))
        .filter(|path| ev.files.is_file(path))
        .collect();
    let mut all: Vec<PathBuf> = located.iter().flat_map(|located| located.candidates.clone()).collect();
    all.extend(below);
    all.sort();
    all.dedup();
    all
}

/// The name that nixpkgs gives the derivation that fetches: what a package is called, and `-npm-deps`.
fn output_name(ev: &mut Eval, record: &Record) -> Option<String> {
    let (args, at) = (&record.args, record.call);
    let direct = record.is_direct();
    let has = |name: &str| args.as_attrs().is_some_and(|attrs| attrs.map.contains_key(name));
    if has("name") {
        let name = text_of(ev, args, "name", at)?;
        return Some(if direct { name } else { format!("{name}-npm-deps") });
    }
    // `fetchNpmDeps` has a default name, `buildNpmPackage` always gives it one.
    if direct && !(has("pname") && has("version")) {
        return Some("npm-deps".to_owned());
    }
    let pname = text_of(ev, args, "pname", at)?;
    Some(format!("{pname}-{}-npm-deps", text_of(ev, args, "version", at)?))
}

/// The options of a record.
fn options(ev: &mut Eval, record: &Record) -> Result<HashOptions, (String, Option<Location>)> {
    if let RecordKind::OwnFetcher(own) = &record.kind {
        return own.options.map_err(|message| (message.to_owned(), Some(record.call)));
    }
    let defaults = HashOptions::default();
    let version = option(ev, record, record.version_name(), |value| match value.kind {
        Kind::Int(number) => u32::try_from(number).ok(),
        _ => None,
    })?;
    let flag = |value: &Value| match value.kind {
        Kind::Bool(flag) => Some(flag),
        _ => None,
    };
    Ok(HashOptions {
        fetcher_version: version.unwrap_or(defaults.fetcher_version),
        force_git_deps: option(ev, record, "forceGitDeps", flag)?.unwrap_or(false),
        force_empty_cache: option(ev, record, "forceEmptyCache", flag)?.unwrap_or(false),
    })
}

fn option<T>(
    ev: &mut Eval,
    record: &Record,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, (String, Option<Location>)> {
    let Some(value) = ev.peek_attr(&record.args, name, record.call) else { return Ok(None) };
    // `null` is how an override takes an option back.
    if matches!(value.kind, Kind::Null) {
        return Ok(None);
    }
    if let Some(option) = read(&value) {
        Ok(Some(option))
    } else {
        let (message, at) = match value.as_unknown() {
            Some(unknown) => (format!("`{name}` is not known: {}", unknown.message), unknown.at),
            None => (format!("`{name}` is not one known value"), None),
        };
        Err((message, at.or(Some(record.call))))
    }
}

fn decide(
    ev: &mut Eval,
    record: &Record,
    hash: &Hash,
    options: Result<&HashOptions, &(String, Option<Location>)>,
    located: &[Located],
) -> Outcome {
    // Before all else: what is known of nixpkgs' fetcher says nothing of the one that stands in its place (fixture
    // `overlay-replaces-fetcher`).
    let replaced = ev
        .noted::<Declared>()
        .and_then(|own| own.replaced.iter().find(|(_, at)| !flake::is_of_another(ev, *at, record.call)));
    if let Some((name, at)) = replaced.cloned() {
        let message = format!("an overlay of the repository replaces `{name}`");
        return undecided(ev, Reason::Replaced, message, at);
    }
    if let RecordKind::Foreign(why) = &record.kind {
        return undecided(ev, Reason::UnknownFetcher, why.to_string(), record.call);
    }
    if let Some(base) = overridden_outside(record) {
        let message = format!("what else `{base}` hashes is not known");
        return undecided(ev, Reason::UnknownBase, message, record.call);
    }
    // What is hashed is not a file of the repository, no matter what calls it: this is said first, for no comment settles it.
    if let Some(edited) = located.iter().map(|l| &l.answer).find(|answer| answer.is_edited()) {
        return outcome(ev, record, edited);
    }
    if let Some(unknown) = unknown_callee(ev, record) {
        return unknown;
    }
    if let Some((reason, message, at)) = &hash.doubt {
        return match undecided(ev, *reason, message.clone(), at.unwrap_or(record.call)) {
            Outcome::Undecided(undecided) if *reason == Reason::NoHash => {
                Outcome::Undecided(undecided.cured_by(Some(where_to_write(record))))
            }
            outcome => outcome,
        };
    }
    if let Err((message, at)) = options {
        return undecided(ev, Reason::UnknownOptions, message.clone(), at.unwrap_or(record.call));
    }
    let answers: Vec<&Answer> = located.iter().map(|l| &l.answer).collect();
    let Some(first) = answers.first() else {
        return undecided(ev, Reason::UnknownSource, "no source is given".to_owned(), record.call);
    };
    // One literal cannot be the hash of two lockfiles: to write that of either would break the build on the other side.
    if !answers.iter().all(|other| first.agrees(ev, other)) {
        return disagreement(ev, record, &answers);
    }
    outcome(ev, record, first)
}

/// What to write for a hash that is not given.
fn where_to_write(record: &Record) -> String {
    format!(
        "write `{} = \"\";` into the arguments of this call, and `update` fills it in",
        record.hash_name()
    )
}

/// Why nothing can be said of what a function that is not known does, if that is so.
fn unknown_callee(ev: &Eval, record: &Record) -> Option<Outcome> {
    let callee = record.assumed.as_ref()?;
    let (message, at) = if is_taken_for(callee) {
        let own = own_function(ev, callee.name.as_deref())?;
        let message = "the function that is called is defined in the repository, but the way to it could not be followed";
        (message.to_owned(), Some(own))
    } else {
        (format!("the function that is called is not known: {}", callee.message), callee.at)
    };
    Some(undecided(ev, Reason::UnknownArguments, message, at.unwrap_or(record.call)))
}

/// The function of the repository that bears the name of an unknown callee.
fn own_function(ev: &Eval, name: Option<&str>) -> Option<Location> {
    let last = name?.rsplit('.').next()?;
    ev.noted::<Declared>()?.own_functions.get(last).copied()
}

fn disagreement(ev: &mut Eval, record: &Record, answers: &[&Answer]) -> Outcome {
    for answer in answers {
        // A doubt says more than that there are several: once it is settled there may be only one.
        if let Answer::Doubt { .. } = answer {
            return outcome(ev, record, answer);
        }
    }
    let mut files: Vec<String> = answers.iter().map(|answer| describe(ev, answer)).collect();
    files.sort();
    files.dedup();
    let message = format!("the lockfile depends on something that is not known: {}", files.join(", or "));
    undecided(ev, Reason::SeveralLockfiles, message, record.call)
}

fn describe(ev: &Eval, answer: &Answer) -> String {
    match answer {
        Answer::Local { lockfile, edits, .. } if !edits.is_empty() => {
            format!("{}, edited", ev.files.display(lockfile))
        }
        Answer::Local { lockfile: path, .. } | Answer::Missing(path) => ev.files.display(path),
        Answer::Remote { used, .. } => format!("inside what `{}` fetches", used.remote.fetcher),
        Answer::Doubt { message, .. } => message.clone(),
    }
}

fn outcome(ev: &mut Eval, record: &Record, answer: &Answer) -> Outcome {
    match answer {
        Answer::Local { lockfile, edits, .. } => {
            Outcome::Local { lockfile: lockfile.clone(), edits: edits.clone() }
        }
        Answer::Missing(path) => Outcome::MissingLockfile { expected: path.clone() },
        Answer::Remote { used, inside, .. } => {
            Outcome::Remote { source: Box::new(remote_source(ev, used)), inside: inside.clone() }
        }
        Answer::Doubt { reason, message, at, cure } => {
            let place = place_of(ev, at.unwrap_or(record.call));
            Outcome::Undecided(Undecided::new(*reason, message.clone(), place).cured_by(cure.clone()))
        }
    }
}

/// The `npmDeps` of a package that is not in the repository, if the arguments are those of an override of it.
fn overridden_outside(record: &Record) -> Option<&str> {
    let base = record.args.as_attrs()?.open.as_ref()?;
    base.name.as_deref().filter(|name| name.ends_with(".npmDeps"))
}
