//! The command lines of README.md and docs/: a fenced block that begins with `console` is a transcript, `$` before each
//! command and its output below; one that begins with `sh` is commands alone. A second word says where they run: none
//! for the default run, `network` for the real-parts run, `setup` for what CI or a person runs itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::nix::fixtures::files_below;
use super::project::Project;
use super::registry::{PUBLIC, Published};

/// A lockfile of the demo, and what it comes to with the public registry's packages.
struct Known {
    folder: &'static str,
    /// What stands at the lockfile's end besides: docs/cached-output-trap.md adds a line feed.
    more: &'static str,
    fetcher_version: &'static str,
    hash: &'static str,
    /// Of its packages.
    bytes: u64,
}

/// The pages show these, so that a reader gets what they say; the real-parts run asks the registry whether they are right.
const KNOWN: [Known; 4] = [
    Known {
        folder: "web",
        more: "",
        fetcher_version: "1",
        hash: "sha256-1i5wU/tyHW4eT0h6Kktxw8vWx61MM57naNqOE/BZqJQ=",
        bytes: 381_240,
    },
    Known {
        folder: "web",
        more: "\n",
        fetcher_version: "1",
        hash: "sha256-YLbk/nKwpE6sPysNdHwg/CPR7sVRyWYreO1cnGveokk=",
        bytes: 381_240,
    },
    Known {
        folder: "api",
        more: "",
        fetcher_version: "1",
        hash: "sha256-Ay6uS7RdOaNiWGttdIZXyrzszpGzSmJtOrZce5NxmYQ=",
        bytes: 36_893,
    },
    Known {
        folder: "worker",
        more: "",
        fetcher_version: "2",
        hash: "sha256-zAiuajoVS9wREQ5phgRN+G59ZPLpQ9b6tSFwRfu7L+A=",
        bytes: 20_395,
    },
];

/// The pictures, and what is typed in each of them.
pub const PICTURES: [(&str, &[&str]); 5] = [
    ("docs/demo.svg", &["npm-nixhash check", "npm-nixhash update", "npm-nixhash check"]),
    ("docs/pictures/details.svg", &["npm-nixhash check -v api 2>/dev/null"]),
    ("docs/pictures/diff.svg", &["npm-nixhash update --diff api"]),
    (
        "docs/pictures/explain.svg",
        &[
            "npm-nixhash update -q worker && sed -i /npmDepsFetcherVersion/d flake.nix",
            "npm-nixhash explain worker api",
        ],
    ),
    ("docs/pictures/help.svg", &["npm-nixhash --help"]),
];

/// The demo in a folder of its own, for the commands of a page.
pub struct Demo {
    project: Project,
    /// Whether its packages are the public registry's.
    real: bool,
    /// What its packages give, and what the public registry's do.
    instead: Vec<(String, String)>,
}

impl Demo {
    /// With the public registry's packages, which need the network.
    pub fn real() -> Self {
        let project = Project::new();
        for folder in ["web", "api", "worker"] {
            let name = format!("{folder}/package-lock.json");
            project.write(&name, fs::read(demo(&name)).unwrap());
        }
        Self { project, real: true, instead: Vec::new() }.ready()
    }

    /// With packages of the same names and versions that the test's own registry has.
    pub fn own() -> Self {
        let project = Project::new();
        let mut published = BTreeMap::new();
        for folder in ["web", "api", "worker"] {
            let text = fs::read_to_string(demo(&format!("{folder}/package-lock.json"))).unwrap();
            let lockfile: serde_json::Value = serde_json::from_str(&text).unwrap();
            let packages = lockfile["packages"].as_object().unwrap();
            let names: Vec<(String, String)> = packages
                .iter()
                .filter_map(|(place, entry)| {
                    let name = place.strip_prefix("node_modules/")?;
                    Some((name.to_owned(), entry["version"].as_str()?.to_owned()))
                })
                .collect();
            for (name, version) in &names {
                let publish = || project.registry.publish(name, version, &[("index.js", b"1")]);
                published.entry((name.clone(), version.clone())).or_insert_with(publish);
            }
            let packages: Vec<&Published> = names.iter().map(|name| &published[name]).collect();
            project.lock(folder, &packages);
        }
        let mut demo = Self { project, real: false, instead: Vec::new() }.ready();
        for known in &KNOWN {
            let (hash, bytes) = demo.hash(known);
            let short = |hash: &str| format!("{}...", &hash[..15]);
            let bytes_field = |bytes: u64| format!("\"bytes\": {bytes},");
            let few = |hash: &str| hash[7..15].to_owned();
            demo.instead.push((short(&hash), short(known.hash)));
            demo.instead.push((bytes_field(bytes), bytes_field(known.bytes)));
            demo.instead.push((hash.clone(), known.hash.to_owned()));
            // It is part of the others.
            demo.instead.push((few(&hash), few(known.hash)));
        }
        demo
    }

    fn ready(self) -> Self {
        for file in ["flake.nix", "lib/default.nix"] {
            self.project.write(file, fs::read(demo(file)).unwrap());
        }
        fs::remove_dir(self.project.path(".git")).unwrap();
        self.git(&["init", "-q"]);
        self.git(&["add", "-A"]);
        self
    }

    fn git(&self, arguments: &[&str]) {
        let git = Command::new("git").args(arguments).current_dir(self.project.root()).output().unwrap();
        assert!(git.status.success());
    }

    /// The hash of a lockfile with these packages, and their bytes.
    fn hash(&self, known: &Known) -> (String, u64) {
        let elsewhere = tempfile::tempdir().unwrap();
        let text = self.project.read(&format!("{}/package-lock.json", known.folder)) + known.more;
        fs::write(elsewhere.path().join("package-lock.json"), text).unwrap();
        let mut command = self.project.command(&["hash", "--json", "--no-cache"]);
        command.args(["--fetcher-version", known.fetcher_version]);
        if self.real {
            command.env_remove("NIX_NPM_REGISTRY_OVERRIDES");
        }
        let output = command.arg(elsewhere.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (answer["hash"].as_str().unwrap().to_owned(), answer["bytes"].as_u64().unwrap())
    }

    /// Whether [`KNOWN`] is what these packages come to.
    pub fn agrees(&self) {
        for known in &KNOWN {
            assert_eq!(self.hash(known), (known.hash.to_owned(), known.bytes), "{}", known.folder);
        }
    }

    /// Puts the cases of `fixtures` in it that the commands of a page name.
    fn bring_cases(&self, page: &Page) {
        for step in page.of("").flat_map(|block| page.steps(block)) {
            for case in step.command.split(' ').filter(|word| word.starts_with("fixtures/")) {
                let files = files_below(&root().join(case));
                assert!(!files.is_empty(), "{}: there is no {case}", page.name());
                for (file, bytes) in &files {
                    self.project.write(&format!("{case}/{file}"), bytes);
                }
                self.git(&["add", case]);
            }
        }
    }

    /// What a command prints for a terminal of 80 columns, without what differs from run to run.
    pub fn printed(&self, bin: &Path, line: &str) -> String {
        self.print(bin, line, &[])
    }

    fn print(&self, bin: &Path, line: &str, more: &[(&str, &str)]) -> String {
        let project = &self.project;
        let mut command = shell(line, bin);
        let environment = project.command(&[]);
        command.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("COLUMNS", "80").envs(more.iter().copied());
        if self.real {
            command.env_remove("NIX_NPM_REGISTRY_OVERRIDES");
        }
        let output = command.current_dir(project.root()).output().unwrap();
        let mut text = String::from_utf8(output.stdout).unwrap();
        let (root, cache) = (project.root().display().to_string(), project.cache().display().to_string());
        for (own, shown) in [
            (root.as_str(), "/home/me/flake"),
            (&project.registry.url(), "https://registry.example"),
            (PUBLIC, "registry.example"),
            (&cache, "/home/me/.cache/npm-nixhash"),
        ] {
            text = text.replace(own, shown);
        }
        for (own, shown) in &self.instead {
            text = text.replace(own, shown);
        }
        let time = |line: &str| match line.strip_suffix(" s").and_then(|rest| rest.rsplit_once(", ")) {
            Some((rest, number)) if number.parse::<f64>().is_ok() => format!("{rest}, 0.1 s\n"),
            _ => format!("{line}\n"),
        };
        text.lines().map(time).collect()
    }

    /// A picture of what the program prints, in its colours.
    pub fn picture(&self, bin: &Path, lines: &[&str]) -> String {
        let mut text = String::new();
        for line in lines {
            let printed = self.print(bin, line, &[("CLICOLOR_FORCE", "1")]);
            text.extend(["\x1b[1;32m$\x1b[0m \x1b[1m", line, "\x1b[0m\n", &printed]);
        }
        anstyle_svg::Term::new().render_svg(&text)
    }
}

fn demo(file: &str) -> PathBuf {
    root().join("fixtures/demo").join(file)
}

/// The transcripts that are not what the program prints, and how many commands there are. With `write` the pages follow.
pub fn transcripts(demo: impl Fn() -> Demo, write: bool) -> (Vec<String>, usize) {
    let bin = bin();
    let (mut wrong, mut commands) = (Vec::new(), 0);
    for mut page in pages() {
        let (demo, mut edits) = (demo(), Vec::new());
        demo.bring_cases(&page);
        // A block of commands alone shows nothing that could be compared, and `add` asks npm for minutes.
        for block in page.of("").filter(|block| !demo.real || block.info.starts_with("console")) {
            let mut now = String::new();
            for step in page.steps(block) {
                commands += 1;
                let output = demo.printed(bin.path(), &step.command);
                if block.info.starts_with("console") && output != step.output {
                    let (name, page) = (page.name(), &step.output);
                    wrong.push(format!("{name}: $ {}\n--- page\n{page}--- now\n{output}", step.command));
                }
                now.extend(["$ ", &step.command, "\n", &output]);
            }
            if block.info.starts_with("console") {
                edits.push((block.lines.clone(), now));
            }
        }
        if write {
            page.write(edits);
        }
    }
    (wrong, commands)
}

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

/// README.md, CONTRIBUTING.md, fixtures/README.md and all pages in docs/.
pub fn pages() -> Vec<Page> {
    let mut paths =
        ["README.md", "CONTRIBUTING.md", "fixtures/README.md"].map(|page| root().join(page)).to_vec();
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

    fn write(&mut self, edits: Vec<(std::ops::Range<usize>, String)>) {
        for (lines, text) in edits.into_iter().rev() {
            self.lines.splice(lines, text.lines().map(str::to_owned));
        }
        fs::write(&self.path, self.lines.join("\n") + "\n").unwrap();
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

    /// The commands of all its blocks, whatever runs them, and those within its text.
    pub fn commands(&self) -> Vec<String> {
        let is_command = |block: &&Block| matches!(block.info.split(' ').next(), Some("console" | "sh"));
        let in_blocks = self.blocks.iter().filter(is_command).flat_map(|block| self.steps(block));
        let is_text = |(number, _): &(usize, &String)| {
            !self.blocks.iter().any(|block| (block.lines.start - 1..=block.lines.end).contains(number))
        };
        let text: Vec<&str> =
            self.lines.iter().enumerate().filter(is_text).map(|(_, line)| line.trim_start()).collect();
        // A command may go on in the next line.
        let spans: Vec<String> = text.join(" ").split('`').skip(1).step_by(2).map(str::to_owned).collect();
        in_blocks.map(|step| step.command).chain(spans).collect()
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

/// Where the table of a page stands in its text.
fn table_in(text: &str) -> std::ops::Range<usize> {
    const MARKS: [&str; 2] = ["<!-- table -->\n", "<!-- end of table -->"];
    let [start, end] = MARKS.map(|mark| text.find(mark).unwrap());
    start + MARKS[0].len()..end
}

/// The table of a page, between its two marks.
pub fn table_of(page: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    text[table_in(&text)].to_owned()
}

/// Puts another table in its place.
pub fn write_table(page: &str, table: &str) {
    let path = root().join(page);
    let mut text = fs::read_to_string(&path).unwrap();
    text.replace_range(table_in(&text), table);
    fs::write(path, text).unwrap();
}

/// Holds the table of a page to what it should be; writes it if pages are written.
#[expect(clippy::disallowed_methods, reason = "a test is its own shell")]
pub fn holds_table(page: &str, table: &str) {
    if std::env::var_os("NPM_NIXHASH_WRITE_PAGES").is_some() {
        write_table(page, table);
    } else {
        assert_eq!(table_of(page), table, "{page}");
    }
}
