//! What a repository is: the folder that bounds everything, the files in it that can matter, where other repositories
//! and other tools' folders begin, and what git knows.
//!
//! Nothing is run. git's own files are read by a library, under bounds (see [`git`]): a `.git` folder may be the work of
//! somebody else.

pub mod git;
mod list;

use std::path::{Path, PathBuf};

pub use list::{Border, BorderKind, Listing, folders, list};

/// The file in which a repository says what its team decided.
pub const CONFIG: &str = "npm-nixhash.toml";

/// Files that mark the top of what no git knows, such as an unpacked archive.
const MARKS: [&str; 2] = ["flake.nix", CONFIG];

/// The repository around a path: the nearest folder upwards that git has as its top; without git, the nearest one with a
/// flake or with our own settings; else the folder itself.
#[must_use]
pub fn around(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let nearest = |is: &dyn Fn(&Path) -> bool| folder.ancestors().find(|ancestor| is(ancestor));
    let top = nearest(&|folder| git::is_top(folder))
        // git goes past a `.git` that is not a repository; who made it meant something by it nevertheless.
        .or_else(|| nearest(&|folder| folder.join(".git").exists()))
        .or_else(|| nearest(&|folder| MARKS.iter().any(|mark| folder.join(mark).is_file())));
    top.unwrap_or(folder).to_path_buf()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_top_is_gits_else_the_flakes_else_the_folder_itself() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::write(top.join("a/b/c/x.nix"), "{}").unwrap();
        assert_eq!(around(&top.join("a/b/c/x.nix")), top.join("a/b/c"));
        fs::write(top.join("a/flake.nix"), "{}").unwrap();
        assert_eq!(around(&top.join("a/b/c/x.nix")), top.join("a"));
        fs::write(top.join("a/b/npm-nixhash.toml"), "").unwrap();
        assert_eq!(around(&top.join("a/b/c")), top.join("a/b"), "the nearest of them");
        fs::create_dir(top.join(".git")).unwrap();
        assert_eq!(around(&top.join("a/b/c")), top, "a flake can lie deep in a repository");
        fs::create_dir(top.join("a/.git")).unwrap();
        fs::write(top.join("a/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::create_dir(top.join("a/b/.git")).unwrap();
        assert_eq!(around(&top.join("a/b/c")), top.join("a"), "git looks past an empty `.git`");
    }
}
