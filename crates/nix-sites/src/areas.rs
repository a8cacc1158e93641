//! Parts of a tree that have nothing to do with each other, such as repositories side by side.
//!
//! A flag of one part says nothing of another, so that other configurations are only looked at in the part that the flag
//! is in: with 150 repositories below one folder everything else would be evaluated 150 times as often as is of any use.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A part, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Area(usize);

/// The parts of a tree, by their topmost folders.
#[derive(Debug, Default)]
pub(crate) struct Areas {
    numbers: HashMap<PathBuf, usize>,
    /// To each number the one of a part that it belongs to, or itself.
    belongs: Vec<usize>,
}

impl Areas {
    /// The topmost folders that hold Nix files themselves, each with everything below it.
    pub(crate) fn of_files(root: &Path, nix: &BTreeSet<PathBuf>) -> Self {
        let direct: HashSet<&Path> = nix.iter().filter_map(|path| path.parent()).collect();
        let mut all = Self::default();
        for folder in &direct {
            let inside = folder.ancestors().take_while(|folder| folder.starts_with(root));
            let Some(top) = inside.filter(|folder| direct.contains(folder)).last() else { continue };
            if !all.numbers.contains_key(top) {
                all.numbers.insert(top.to_path_buf(), all.belongs.len());
                all.belongs.push(all.belongs.len());
            }
        }
        all
    }

    /// One file names another one: their parts are one.
    pub fn join(&mut self, one: &Path, two: &Path) {
        if let (Some(Area(one)), Some(Area(two))) = (self.of(one), self.of(two)) {
            // Always to the smaller number: no chain of them leads round.
            self.belongs[one.max(two)] = one.min(two);
        }
    }

    /// The part that a file lies in; `None` for one above all parts.
    pub fn of(&self, path: &Path) -> Option<Area> {
        let mut number = *path.ancestors().filter_map(|folder| self.numbers.get(folder)).last()?;
        while self.belongs[number] != number {
            number = self.belongs[number];
        }
        Some(Area(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_side_by_side_are_parts_until_one_names_another() {
        let files = ["/t/a/flake.nix", "/t/a/x/y.nix", "/t/b/pkgs/c.nix", "/t/b/pkgs/d/e.nix", "/t/f/g.nix"];
        let nix: BTreeSet<PathBuf> = files.iter().map(PathBuf::from).collect();
        let mut areas = Areas::of_files(Path::new("/t"), &nix);
        let of = |areas: &Areas, path: &str| areas.of(Path::new(path));
        assert_eq!(of(&areas, "/t/a/flake.nix"), of(&areas, "/t/a/x/config.json"));
        assert_eq!(of(&areas, "/t/b/pkgs/c.nix"), of(&areas, "/t/b/pkgs/d/e.nix"));
        assert_ne!(of(&areas, "/t/a/flake.nix"), of(&areas, "/t/f/g.nix"));
        assert_eq!(of(&areas, "/t/config.json"), None);
        areas.join(Path::new("/t/f/g.nix"), Path::new("/t/a/x/y.nix"));
        assert_eq!(of(&areas, "/t/a/flake.nix"), of(&areas, "/t/f/g.nix"));
        assert_ne!(of(&areas, "/t/a/flake.nix"), of(&areas, "/t/b/pkgs/c.nix"));
    }

    #[test]
    fn a_file_at_the_top_makes_one_part_of_everything() {
        let nix = ["/t/default.nix", "/t/a/b.nix", "/t/c/d.nix"].iter().map(PathBuf::from).collect();
        let areas = Areas::of_files(Path::new("/t"), &nix);
        assert_eq!(areas.of(Path::new("/t/a/b.nix")), areas.of(Path::new("/t/c/d.nix")));
    }
}
