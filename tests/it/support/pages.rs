//! The command lines of README.md and docs/: a fenced block that begins with `console` is a transcript, `$` before each
//! command and its output below; one that begins with `sh` is commands alone. A second word says where they run: none
//! for the default run, `network` for the real-parts run, `setup` for what CI or a person runs itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A fenced block of a page.
pub struct Block {
    /// What stands behind the opening fence.
    pub info: String,
    /// The lines of the page between the fences, from 0.
    pub lines: std::ops::Range<usize>,
}

/// A page and its blocks of commands.
pub struct Page {
    pub path: PathBuf,
    pub lines: Vec<String>,
    pub blocks: Vec<Block>,
}

/// A command, and what the page says it prints.
pub struct Step {
    pub command: String,
    pub output: String,
}

/// The repository's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md, CONTRIBUTING.md and all pages in docs/.
pub fn pages() -> Vec<Page> {
    let mut paths = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    paths.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        let (mut blocks, mut open) = (Vec::new(), None);
        for (number, line) in lines.iter().enumerate() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(info), None) => open = Some((info.to_owned(), number + 1)),
                (Some(_), Some((info, start))) => blocks.push(Block { info, lines: start..number }),
                (None, still) => open = still,
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", path.display());
        Self { path, lines, blocks }
    }

    pub fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    /// The blocks of commands that run in this place.
    pub fn of(&self, place: &str) -> impl Iterator<Item = &Block> {
        let wanted = move |block: &&Block| {
            let mut words = block.info.split(' ');
            matches!(words.next(), Some("console" | "sh")) && words.next().unwrap_or("") == place
        };
        self.blocks.iter().filter(wanted)
    }

    pub fn steps(&self, block: &Block) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for line in &self.lines[block.lines.clone()] {
            let command =
                if block.info.starts_with("sh") { Some(line.trim_start()) } else { line.strip_prefix("$ ") };
            match (command, steps.last_mut()) {
                (Some(""), _) => {}
                (Some(command), _) => {
                    let command = command.split(" # ").next().unwrap().trim_end().to_owned();
                    steps.push(Step { command, output: String::new() });
                }
                (None, Some(step)) => step.output.extend([line, "\n"]),
                (None, None) => panic!("{}: output before a command: {line}", self.name()),
            }
        }
        steps
    }
}

/// A command line with the program on its PATH, both streams as one, as a terminal shows them.
pub fn shell(line: &str, bin: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    command.args(["-c", &format!("{{ {line}\n}} 2>&1")]).env_clear().env("PATH", path);
    command
}

/// A folder with a link to the program.
pub fn bin() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_npm-nixhash"), folder.path().join("npm-nixhash")).unwrap();
    folder
}

/// Holds the table of a page, between its two marks, to what it should be; writes it if pages are written.
#[expect(clippy::disallowed_methods, reason = "a test is its own shell")]
pub fn holds_table(page: &str, table: &str) {
    const MARKS: [&str; 2] = ["<!-- table -->\n", "<!-- end of table -->"];
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let [start, end] = MARKS.map(|mark| text.find(mark).unwrap());
    let start = start + MARKS[0].len();
    if std::env::var_os("NPM_NIXHASH_WRITE_PAGES").is_some() {
        fs::write(path, format!("{}{table}{}", &text[..start], &text[end..])).unwrap();
    } else {
        assert_eq!(&text[start..end], table, "{page}");
    }
}
