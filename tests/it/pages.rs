//! Every command in README.md and docs/ is run, and prints what the page says; every flag and variable is described.
//! `NPM_NIXHASH_WRITE_PAGES=1 cargo test --test it pages` writes what is printed now into the pages.

use std::{collections::BTreeSet, fs, process::Command};

use crate::support::{
    pages::{Page, bin, pages, root, shell},
    project::Project,
    registry::PUBLIC,
};

/// What a person or CI runs itself: building the program and its tests.
const SETUP: &[&str] = &[
    "cargo install --path .",
    "cargo test",
    "cargo test --features real-parts --test real",
    "cargo fmt --check",
    "cargo clippy --all-targets --all-features -- -D warnings",
    "cargo deny check bans licenses sources",
    "cargo package",
    "bash .ci/run",
];

/// The demo's files, with packages that the test's own registry has.
fn project() -> Project {
    let project = Project::new();
    for file in ["flake.nix", "lib/default.nix"] {
        project.write(file, fs::read(root().join("fixtures/demo").join(file)).unwrap());
    }
    let publish = |name: &str, version: &str| project.registry.publish(name, version, &[("index.js", b"1")]);
    let (ms, semver, clsx) = (publish("ms", "2.1.3"), publish("semver", "7.6.3"), publish("clsx", "2.1.1"));
    project.lock("web", &[&clsx]);
    project.lock("api", &[&ms, &semver]);
    project.lock("worker", &[&ms]);
    fs::remove_dir(project.path(".git")).unwrap();
    let git = Command::new("git").args(["init", "-q"]).current_dir(project.root()).output().unwrap();
    assert!(git.status.success());
    let added = Command::new("git").args(["add", "-A"]).current_dir(project.root()).output().unwrap();
    assert!(added.status.success());
    project
}

/// What a command prints, without what differs from run to run.
fn printed(project: &Project, bin: &std::path::Path, line: &str) -> String {
    let mut command = shell(line, bin);
    let environment = project.command(&[]);
    command.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.current_dir(project.root()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.replace(&project.root().display().to_string(), "/home/me/flake");
    let text = text.replace(&project.registry.url(), "https://registry.example");
    let text = text.replace(PUBLIC, "registry.example");
    let cache = project.cache().display().to_string();
    let time = |line: &str| match line.strip_suffix(" s").and_then(|rest| rest.rsplit_once(", ")) {
        Some((rest, number)) if number.parse::<f64>().is_ok() => format!("{rest}, 0.1 s\n"),
        _ => format!("{line}\n"),
    };
    text.replace(&cache, "/home/me/.cache/npm-nixhash").lines().map(time).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test is its own shell")]
fn writes() -> bool {
    std::env::var_os("NPM_NIXHASH_WRITE_PAGES").is_some()
}

#[test]
fn every_transcript_is_what_the_program_prints() {
    let bin = bin();
    let mut wrong = Vec::new();
    let mut commands = 0;
    for mut page in pages() {
        let project = project();
        let mut edits = Vec::new();
        for block in page.of("") {
            let mut now = String::new();
            for step in page.steps(block) {
                commands += 1;
                let output = printed(&project, bin.path(), &step.command);
                if block.info.starts_with("console") && output != step.output {
                    let name = page.name();
                    wrong.push(format!(
                        "{name}: $ {}\n--- page\n{}--- now\n{output}",
                        step.command, step.output
                    ));
                }
                now.extend(["$ ", &step.command, "\n", &output]);
            }
            if block.info.starts_with("console") {
                edits.push((block.lines.clone(), now));
            }
        }
        if writes() {
            write(&mut page, edits);
        }
    }
    assert!(commands > 15, "{commands}");
    assert!(wrong.is_empty() || writes(), "{}", wrong.join("\n"));
}

fn write(page: &mut Page, edits: Vec<(std::ops::Range<usize>, String)>) {
    for (lines, text) in edits.into_iter().rev() {
        page.lines.splice(lines, text.lines().map(str::to_owned));
    }
    fs::write(&page.path, page.lines.join("\n") + "\n").unwrap();
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

/// The picture of the README, made from what the program prints.
#[test]
fn the_picture_is_what_the_program_prints() {
    let (project, bin) = (project(), bin());
    let mut text = String::new();
    for line in ["npm-nixhash check", "npm-nixhash update", "npm-nixhash check"] {
        text.extend(["\x1b[1;32m$\x1b[0m \x1b[1m", line, "\x1b[0m\n", &printed(&project, bin.path(), line)]);
    }
    let picture = anstyle_svg::Term::new().render_svg(&text);
    let file = root().join("docs/demo.svg");
    if writes() {
        fs::write(&file, &picture).unwrap();
    }
    assert!(fs::read_to_string(&file).unwrap() == picture, "docs/demo.svg is of another time");
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
    let commands: [&[&str]; 10] = [
        &[],
        &["update"],
        &["check"],
        &["list"],
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
