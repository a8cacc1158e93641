//! The workspaces that a manifest names by globs, as npm finds them: folders with a `package.json`. What a pattern that begins
//! with `!` fits is taken out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

/// Folders that are looked at for one pattern. What is beyond that is not judged.
const MOST_FOLDERS: usize = 20_000;

/// Folders within folders that `**` is followed into.
const DEEPEST: usize = 32;

/// The folders below a project's that these globs name, `/`-separated.
pub(super) fn workspaces(project: &Path, globs: &[String]) -> BTreeSet<String> {
    let (mut wanted, mut unwanted): (Vec<FolderPattern>, Vec<FolderPattern>) = (Vec::new(), Vec::new());
    for glob in globs {
        let plain = glob.trim_start_matches('!');
        let Some(pattern) = FolderPattern::read(plain) else { continue };
        if (glob.len() - plain.len()) % 2 == 1 {
            unwanted.push(pattern);
        } else {
            // npm forgets what was taken out where a later pattern, as it is written, would have been.
            unwanted.retain(|earlier| !earlier.fits(&pattern.text()));
            wanted.push(pattern);
        }
    }
    let mut found = BTreeSet::new();
    for pattern in &wanted {
        pattern.find(project, &mut found);
    }
    found.retain(|folder| !unwanted.iter().any(|pattern| pattern.fits(folder)));
    found
}

/// A pattern of folders.
struct FolderPattern {
    parts: Vec<String>,
    matcher: GlobMatcher,
}

impl FolderPattern {
    /// `None` for what is not a pattern, or leads out of the project.
    fn read(glob: &str) -> Option<Self> {
        let parts: Vec<String> =
            glob.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect();
        if parts.is_empty() || parts.iter().any(|part| part == "..") {
            return None;
        }
        // As npm looks for manifests: `a/**` is `a` itself, too.
        let manifest = format!("{}/package.json", parts.join("/"));
        let matcher = GlobBuilder::new(&manifest).literal_separator(true).build().ok()?.compile_matcher();
        Some(Self { parts, matcher })
    }

    fn text(&self) -> String {
        self.parts.join("/")
    }

    fn fits(&self, folder: &str) -> bool {
        // `*` stands for no name that begins with a dot.
        let hidden = |part: &str| part.starts_with('.') && !self.parts.iter().any(|own| own == part);
        self.matcher.is_match(format!("{folder}/package.json")) && !folder.split('/').any(hidden)
    }

    fn find(&self, project: &Path, found: &mut BTreeSet<String>) {
        let is_glob = |part: &String| part.contains(['*', '?', '[', '{']);
        let plain = self.parts.iter().take_while(|part| !is_glob(part)).count();
        let endless = self.parts.iter().any(|part| part.contains("**"));
        // Braces may hold folders of folders.
        let braces: usize = self.parts.iter().map(|part| part.matches('{').count()).sum();
        let depth = if endless || braces > 0 { DEEPEST } else { self.parts.len() - plain };
        let mut queue = vec![(self.parts[..plain].join("/"), depth)];
        let mut left = MOST_FOLDERS;
        while let Some((folder, depth)) = queue.pop() {
            let path = project.join(&folder);
            if self.fits(&folder) && path.join("package.json").is_file() {
                found.insert(folder.clone());
            }
            if depth == 0 || left == 0 {
                continue;
            }
            for below in folders(&path, endless) {
                left = left.saturating_sub(1);
                let folder = if folder.is_empty() { below } else { format!("{folder}/{below}") };
                queue.extend((left > 0).then_some((folder, depth - 1)));
            }
        }
    }
}

/// The names of the folders in a folder. `**` does not follow links, which may lead round for ever.
fn folders(path: &Path, no_links: bool) -> Vec<String> {
    let is_folder = |entry: &fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_symlink() => !no_links && entry.path().is_dir(),
        kind => kind.is_ok_and(|kind| kind.is_dir()),
    };
    let entries = fs::read_dir(path).into_iter().flatten().flatten().filter(is_folder);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name != "node_modules" && name != ".git").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_name_folders_with_manifests_and_the_last_one_has_its_say() {
        let place = tempfile::tempdir().unwrap();
        for folder in ["a", "b/c", "b/d/e", ".h/i", "b/node_modules/x"] {
            let folder = place.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("package.json"), "{}").unwrap();
        }
        fs::create_dir(place.path().join("no-manifest")).unwrap();
        std::os::unix::fs::symlink("c", place.path().join("b/link")).unwrap();
        let found = |globs: &[&str]| -> Vec<String> {
            let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
            workspaces(place.path(), &globs).into_iter().collect()
        };
        assert_eq!(found(&["a", "no-manifest", "gone"]), ["a"]);
        assert_eq!(found(&["*"]), ["a"]);
        assert_eq!(found(&["./b/*/"]), ["b/c", "b/link"]);
        assert_eq!(found(&["b/**"]), ["b/c", "b/d/e"]);
        assert_eq!(found(&["{a,b/d/*}"]), ["a", "b/d/e"]);
        assert_eq!(found(&["*/i", "**"]), ["a", "b/c", "b/d/e"]);
        assert_eq!(found(&[".h/*"]), [".h/i"]);
        assert_eq!(found(&["**", "!b/d/*"]), ["a", "b/c"]);
        assert_eq!(found(&["!b/c", "a", "b/*", "!!b/d/e"]), ["a", "b/d/e", "b/link"]);
        assert_eq!(
            found(&["**", "!b/**", "b/d/*"]),
            ["a", "b/c", "b/d/e"],
            "the last one brings them all back"
        );
        assert_eq!(found(&["../*", "/", "[", "!"]), [] as [&str; 0]);
    }
}
