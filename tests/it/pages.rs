//! Every command in README.md, docs/ and fixtures/README.md is run, and prints what the page says; every flag and variable is described.
//! `NPM_NIXHASH_WRITE_PAGES=1 cargo test --test it pages` writes what is printed now into the pages.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::support::pages::{Demo, PICTURES, Page, bin, pages, root, transcripts};

/// What a person or CI runs itself: building the program and its tests.
const SETUP: &[&str] = &[
    "cargo install --path .",
    "cargo test",
    "cargo test --workspace",
    "cargo test --features real-parts --test real",
    "BLESS=1 cargo test -p nix-sites --test cases sound",
    "CASE=call-package-twice cargo test -p nix-sites --test cases every_case",
    "cargo test --features real-parts --test real nix_oracle",
    "cargo test --test it elsewhere",
    "cargo install cargo-mutants --locked",
    "cargo mutants -p gnu-archive",
    "cargo mutants -p npm-lockfile -f crates/npm-lockfile/src/fixup.rs",
    "cargo mutants -p nix-sites --shard 0/6 --sharding round-robin -- --lib --test cases",
    "cargo fmt --check",
    "cargo clippy --workspace --all-targets --all-features -- -D warnings",
    "cargo deny check bans licenses sources",
    "cargo package",
    "bash .ci/run",
];

#[expect(clippy::disallowed_methods, reason = "a test is its own shell")]
fn writes() -> bool {
    std::env::var_os("NPM_NIXHASH_WRITE_PAGES").is_some()
}

#[test]
fn every_transcript_is_what_the_program_prints() {
    let (wrong, commands) = transcripts(Demo::own, writes());
    assert!(commands > 15, "{commands}");
    assert!(wrong.is_empty() || writes(), "{}", wrong.join("\n"));
}

/// What stands before an owner, and before a version, in an address of this project.
const BEFORE_OWNER: [&str; 4] = ["github.com/", "github:", "github>", "--repo "];
const BEFORE_VERSION: [&str; 5] =
    ["/npm-nixhash/v", "/npm-nixhash@v", "/default#v", "npm-nixhash-v", "/releases/download/v"];

/// The text with another word behind each `before`, if `behind` comes after that word.
fn renamed(text: &str, before: &str, behind: &str, word: &str) -> String {
    let mut parts = text.split(before);
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.')).unwrap_or(part.len());
        // A target follows the version of an archive, with a dash between.
        let end = if behind.is_empty() { part[..end].find('-').unwrap_or(end) } else { end };
        let fits = part[end..].starts_with(behind)
            && (!behind.is_empty() || part.starts_with(|c: char| c.is_ascii_digit()));
        new.extend([before, if fits { word } else { &part[..end] }, &part[end..]]);
    }
    new
}

#[test]
fn addresses_in_pages_are_those_of_cargo_toml() {
    let owner =
        env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/").split('/').next().unwrap();
    let mut named = 0;
    for path in pages()
        .into_iter()
        .map(|page| page.path)
        .chain(["renovate/README.md", "templates/npm-nixhash/template.yml"].map(|file| root().join(file)))
    {
        let text = fs::read_to_string(&path).unwrap();
        let mut new = text.clone();
        for before in BEFORE_OWNER {
            new = renamed(&new, before, "/npm-nixhash", owner);
        }
        for before in BEFORE_VERSION {
            new = renamed(&new, before, "", env!("CARGO_PKG_VERSION"));
        }
        named += new.matches(&format!("{owner}/npm-nixhash")).count();
        if writes() {
            fs::write(&path, &new).unwrap();
        }
        assert!(new == text || writes(), "{} names another repository or version", path.display());
    }
    assert!(named > 8, "{named}");
    let other =
        "github:OWNER/npm-nixhash/v0.1.0 github.com/x/y npm-nixhash-v0.1.0-x86_64 npm-nixhash-version";
    let moved = renamed(&renamed(other, "github:", "/npm-nixhash", "me"), "/npm-nixhash/v", "", "2.0.0");
    let moved = renamed(&moved, "npm-nixhash-v", "", "2.0.0");
    assert_eq!(
        moved,
        "github:me/npm-nixhash/v2.0.0 github.com/x/y npm-nixhash-v2.0.0-x86_64 npm-nixhash-version"
    );
}

#[test]
fn setup_is_what_ci_runs_itself() {
    for page in pages() {
        for step in page.of("setup").flat_map(|block| page.steps(block)) {
            assert!(SETUP.contains(&&*step.command), "{}: {}", page.name(), step.command);
        }
        for block in &page.blocks {
            let words: Vec<_> = block.info.split(' ').collect();
            let command = matches!(words[0], "console" | "sh" | "bash" | "shell");
            let known = matches!(words[..], ["console" | "sh"] | ["console" | "sh", "network" | "setup"]);
            assert!(!command || known, "{}: nothing runs a block of kind `{}`", page.name(), block.info);
        }
    }
}

/// The tests whose name a filter is part of: this run's own, and those of another run, or of one of a crate, by their source.
fn tests_named(run: &str, filter: &str) -> usize {
    if run == "it" {
        let list = Command::new(std::env::current_exe().unwrap()).args([filter, "--list"]).output().unwrap();
        return String::from_utf8(list.stdout)
            .unwrap()
            .lines()
            .filter(|line| line.ends_with(": test"))
            .count();
    }
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders = crates.chain([root().to_owned()]).map(|own| own.join("tests").join(run));
    let folder = folders.find(|folder| folder.is_dir()).unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let functions =
            text.split("#[test]").skip(1).filter_map(|rest| rest.split_once("fn ")?.1.split_once('('));
        names.extend(functions.map(|(name, _)| format!("{module}::{name}")));
    }
    names.iter().filter(|name| name.contains(filter)).count()
}

#[test]
fn what_a_command_of_cargo_names_is_there() {
    let (mut filters, mut files) = (0, 0);
    for page in pages() {
        for command in page.commands() {
            let words: Vec<&str> = command.split_whitespace().collect();
            for pair in words.windows(2) {
                match *pair {
                    ["-p", package] if words.contains(&"cargo") => {
                        assert!(root().join("crates").join(package).is_dir(), "{}: {command}", page.name());
                    }
                    ["-f", file] if words.contains(&"mutants") => {
                        assert!(root().join(file).is_file(), "{}: {command}", page.name());
                        files += 1;
                    }
                    ["--test", run] => {
                        let behind = words.iter().skip_while(|word| **word != "--test").skip(2);
                        for filter in behind.filter(|word| !word.starts_with('-')) {
                            assert!(tests_named(run, filter) > 0, "{}: {command}: {filter}", page.name());
                            filters += 1;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(filters > 8 && files > 0, "{filters} filters, {files} files");
    assert_eq!((tests_named("it", "pages::what_a_command_of"), tests_named("real", "no such test")), (1, 0));
}

#[test]
fn every_picture_is_what_the_program_prints() {
    for (name, lines) in PICTURES {
        let picture = Demo::own().picture(bin().path(), lines);
        let file = root().join(name);
        if writes() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &picture).unwrap();
        }
        assert!(fs::read_to_string(&file).unwrap() == picture, "{name} is of another time");
        let page = |page: &&Page| page.lines.join("\n").contains(name.trim_start_matches("docs/"));
        assert!(pages().iter().any(|own| page(&own)), "no page shows {name}");
    }
}

/// The columns of the longest line that a picture has.
fn columns(picture: &str) -> usize {
    // What is printed stands deeper in the picture's own text.
    let line = |line: &str| {
        let line = line.strip_prefix("    ").unwrap();
        let mut text = String::new();
        let mut is_tag = false;
        for c in line.chars() {
            match c {
                '<' => is_tag = true,
                '>' => is_tag = false,
                c if !is_tag => text.push(c),
                _ => {}
            }
        }
        text.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&").chars().count()
    };
    picture.lines().filter(|line| line.contains("<tspan x=")).map(line).max().unwrap()
}

#[test]
fn no_line_of_a_picture_is_broken_by_a_terminal_of_80_columns() {
    for (name, _) in PICTURES.iter().filter(|(name, _)| !name.ends_with("diff.svg")) {
        let picture = fs::read_to_string(root().join(name)).unwrap();
        let columns = columns(&picture);
        assert!((40..=80).contains(&columns), "{name}: {columns}");
    }
}

fn help(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_npm-nixhash")).args(arguments).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The words of a text that begin with two dashes.
fn flags(text: &str) -> BTreeSet<String> {
    let word =
        |rest: &str| -> String { rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect() };
    let all = text
        .match_indices("--")
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| c == '-' || c.is_alphanumeric()));
    all.map(|(at, _)| word(&text[at + 2..])).filter(|word| word.len() > 1 && !word.starts_with('-')).collect()
}

#[test]
fn every_flag_and_variable_is_described_and_no_other() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let commands: [&[&str]; 12] = [
        &[],
        &["update"],
        &["check"],
        &["list"],
        &["explain"],
        &["merge-driver"],
        &["hash"],
        &["repair"],
        &["add"],
        &["init"],
        &["cache"],
        &["cache", "prune"],
    ];
    let known: BTreeSet<String> = commands.iter().flat_map(|command| flags(&help(command))).collect();
    for flag in &known {
        assert!(page.contains(&format!("`--{flag}")), "docs/configuration.md does not name --{flag}");
    }
    for name in flags(&page) {
        assert!(known.contains(&name), "docs/configuration.md names --{name}, which does not exist");
    }
    let source = fs::read_to_string(root().join("src/cli/env.rs")).unwrap();
    let list = |name: &str| {
        let (_, rest) = source.split_once(&format!("const {name}: &[&str] = &[")).unwrap();
        let names = rest.split_once("];").unwrap().0.split('"').skip(1).step_by(2);
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    for name in
        list("NAMES").into_iter().chain(list("NPM_SETTINGS").iter().map(|name| name.replace('_', "-")))
    {
        assert!(page.contains(&format!("`{name}`")), "docs/configuration.md does not name {name}");
    }
}

#[test]
fn commands_in_the_text_exist_too() {
    for page in pages() {
        let text = page.lines.join("\n");
        for span in text.split('`').skip(1).step_by(2).filter_map(|span| span.strip_prefix("npm-nixhash ")) {
            let words: Vec<&str> = span.split_whitespace().collect();
            let command = words[0].trim_matches(|c: char| !c.is_ascii_lowercase());
            if span.starts_with("--") || command.is_empty() {
                continue;
            }
            let known = flags(&help(&[command]));
            assert!(!known.is_empty(), "{}: `npm-nixhash {span}`", page.name());
            for flag in flags(span) {
                assert!(known.contains(&flag), "{}: `npm-nixhash {span}`: no --{flag}", page.name());
            }
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = page.lines.join("\n");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let file = target.split('#').next().unwrap();
            assert!(page.path.parent().unwrap().join(file).exists(), "{}: {target}", page.name());
        }
    }
}
