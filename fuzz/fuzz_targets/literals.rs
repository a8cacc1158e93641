//! What holds of every literal that a survey finds, whatever the file is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nix_sites::edit::{self, FileKind};
use nix_sites::{Literal, Survey, SurveyScope, survey};

/// A hash that no input has.
pub const NEW: &str = "sha256-FUZZFUZZFUZZFUZZFUZZFUZZFUZZFUZZFUZZFUZZFUY=";

/// A folder with these files and a lockfile, in memory.
pub fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let lockfile = (&b"{\"lockfileVersion\":3,\"packages\":{}}"[..], "package-lock.json");
    for (name, bytes) in files.iter().copied().chain([(lockfile.1, lockfile.0)]) {
        std::fs::write(folder.path().join(name), bytes).expect("a file");
    }
    folder
}

/// Rewrites all literals; gives the new texts of their files.
///
/// An edit that is refused would be a literal that the survey misunderstood. Afterwards the program must find the new hash
/// wherever it still finds a literal: an expression may ask for the old one and choose something else now.
pub fn rewritten(found: &Survey, scope: &SurveyScope) -> BTreeMap<PathBuf, String> {
    let mut by_file: BTreeMap<&PathBuf, Vec<&Literal>> = BTreeMap::new();
    for literal in found.sites.iter().flat_map(|site| &site.hashes) {
        by_file.entry(&literal.file).or_default().push(literal);
    }
    let mut texts = BTreeMap::new();
    for (file, literals) in by_file {
        let edits: Vec<_> = literals.iter().map(|literal| edit::replacement(literal, NEW)).collect();
        let kind = FileKind::of(literals[0].kind);
        let text = edit::rewrite(kind, &found.files[file], &edits).expect("a literal can be rewritten");
        std::fs::write(file, &text).expect("a file");
        texts.insert(file.clone(), text);
    }
    if !texts.is_empty() {
        for literal in survey(scope).sites.iter().flat_map(|site| &site.hashes) {
            if let Some(text) = texts.get(&literal.file) {
                let token = &text[literal.range.clone()];
                assert!(token.contains(NEW), "{token} was not rewritten");
            }
        }
    }
    texts
}
