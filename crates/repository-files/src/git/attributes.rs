//! Files that git merges otherwise than line by line, because an attribute says so.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use gix::bstr::{BString, ByteSlice as _};
use gix_attributes::StateRef;
use gix_attributes::glob::pattern::Case;
use gix_attributes::glob::wildmatch::Mode;
use gix_attributes::parse::Kind;

/// A larger file of attributes is none that somebody wrote.
const LARGEST: u64 = 1 << 20;

/// Our own driver, which merges line by line as git does.
const OURS: &str = "npm-nixhash";

/// What merges a file, and where that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedBy {
    /// `ours`, `union`, `npm-merge-driver` and the like; `binary` where one side is kept.
    pub driver: String,
    /// The file of attributes.
    pub file: PathBuf,
    /// The line of it.
    pub line: usize,
}

/// What merges a file of the repository at `root`, if not git line by line. Of the files of attributes those of the repository
/// are read, and the clone's own; not those of the user and the system.
#[must_use]
pub fn merged_by(root: &Path, path: &Path) -> Option<MergedBy> {
    let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    let files = folders.map(|folder| (folder, folder.join(".gitattributes")));
    // The nearest one that says anything decides, and the clone's own before all.
    let own = std::iter::once((root, root.join(".git/info/attributes")));
    own.chain(files).find_map(|(folder, file)| said(folder, file, path)).and_then(|(driver, place)| {
        let (file, line) = place;
        Some(MergedBy { driver: driver?, file, line })
    })
}

/// Where something is said.
type Said = (PathBuf, usize);

/// What a file of attributes says of a file: the driver, or that it is to be merged line by line.
fn said(folder: &Path, file: PathBuf, path: &Path) -> Option<(Option<String>, Said)> {
    let relative = path.strip_prefix(folder).ok()?.to_str()?.replace('\\', "/");
    let relative = BString::from(relative);
    let base = relative.rfind_byte(b'/').map(|at| at + 1);
    let bytes = read(&file)?;
    let mut last = None;
    for (kind, assignments, line) in gix_attributes::parse(&bytes).flatten() {
        let Kind::Pattern(pattern) = kind else { continue };
        let mode = Mode::NO_MATCH_SLASH_LITERAL;
        if !pattern.matches_repo_relative_path(relative.as_bstr(), base, Some(false), Case::Sensitive, mode) {
            continue;
        }
        for assignment in assignments.flatten() {
            match (assignment.name.as_str(), assignment.state) {
                ("merge", state) => last = Some((driver(state), line)),
                // git's own macro for `-diff -merge -text`.
                ("binary", StateRef::Set) => last = Some((Some("binary".to_owned()), line)),
                _ => {}
            }
        }
    }
    last.map(|(driver, line)| (driver, (file, line)))
}

fn driver(state: StateRef<'_>) -> Option<String> {
    match state {
        StateRef::Set | StateRef::Unspecified => None,
        StateRef::Unset => Some("binary".to_owned()),
        StateRef::Value(value) => match value.as_bstr().to_str_lossy() {
            name if name == "text" || name == OURS => None,
            name => Some(name.into_owned()),
        },
    }
}

fn read(file: &Path) -> Option<Vec<u8>> {
    let file = File::open(file).ok()?;
    let metadata = file.metadata().ok()?;
    let mut bytes = Vec::new();
    let is_one = metadata.is_file() && metadata.len() <= LARGEST;
    (is_one && file.take(LARGEST).read_to_end(&mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_attribute_decides_and_the_last_line_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join(".git/info")).unwrap();
        let driver =
            |path: &str| merged_by(root, &root.join(path)).map(|merged| (merged.driver, merged.line));
        assert_eq!(driver("package-lock.json"), None);
        fs::write(
            root.join(".gitattributes"),
            "# of npm\n*.json -diff\npackage-lock.json merge=npm-merge-driver\n/a/package-lock.json -merge\n*.nix merge=npm-nixhash\n*.bin binary\n",
        )
        .unwrap();
        assert_eq!(driver("package-lock.json"), Some(("npm-merge-driver".to_owned(), 3)));
        assert_eq!(driver("a/package-lock.json"), Some(("binary".to_owned(), 4)));
        assert_eq!(driver("a/b/package-lock.json"), Some(("npm-merge-driver".to_owned(), 3)));
        assert_eq!(driver("x.bin"), Some(("binary".to_owned(), 6)));
        assert_eq!((driver("default.nix"), driver("a/package.json")), (None, None));
        fs::write(root.join("a/.gitattributes"), "package-lock.json merge=union\nb/* merge\n").unwrap();
        assert_eq!(driver("a/package-lock.json"), Some(("union".to_owned(), 1)));
        assert_eq!(driver("a/b/package-lock.json"), None, "line by line again");
        fs::write(root.join(".git/info/attributes"), "a/** merge=ours\n").unwrap();
        assert_eq!(driver("a/b/package-lock.json"), Some(("ours".to_owned(), 1)));
    }
}
