//! What people see in their terminals: lines that fit, colours where they are wanted.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use unicode_width::UnicodeWidthStr as _;

use crate::support::project::Project;
use crate::support::registry::Fault;

/// A stale hash, a placeholder and a derivation that is undecided, with names and paths of many kinds.
fn project() -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let long = "a-very-long-name-of-a-service-that-leaves-no-room-beside-it-on-any-line".to_owned();
    let names = ["web", "包裹", "cafe\u{301}", &long];
    let mut text = "{ pkgs }:\n{\n".to_owned();
    for name in names {
        project.lock(&format!("services/{name}"), &[&left]);
        let _ = writeln!(
            text,
            "  \"{name}\" = pkgs.buildNpmPackage {{ pname = \"x\"; src = ./services + \"/{name}\"; npmDepsHash = \
             \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"; }};"
        );
    }
    text += "  far = pkgs.buildNpmPackage { pname = \"far\"; src = pkgs.someFunction { }; npmDepsHash = \"\"; };\n}\n";
    project.write("default.nix", text);
    project
}

/// What a command prints on a terminal of so many columns.
fn shown(project: &Project, args: &[&str], columns: usize) -> String {
    let output = project.command(args).env("COLUMNS", columns.to_string()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn no_line_is_longer_than_the_terminal_unless_it_is_one_word() {
    let project = project();
    for columns in [40, 60, 80, 120, 200] {
        for args in [
            &["check"][..],
            &["check", "-v"],
            &["list"],
            &["list", "--explain"],
            &["explain"],
            &["update", "-v", "--dry-run", "--format", "human"],
        ] {
            let text = shown(&project, args, columns);
            assert!(text.lines().count() > 4, "{args:?}: {text}");
            for line in text.lines().filter(|line| line.width() > columns) {
                // The label of a note may stand before it.
                let words = line.split_whitespace().filter(|word| word.width() + 4 > columns).count();
                assert!(words == 1 && line.split_whitespace().count() <= 3, "{columns} {args:?}: {line}");
            }
        }
    }
}

#[test]
fn a_line_says_what_a_person_needs_first() {
    let project = project();
    let text = shown(&project, &["check"], 80);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("stale  web   sha256-47DEQpj8... -> sha256-"), "{text}");
    assert!(first.ends_with("...  default.nix:3:88"), "{text}");
    let few = shown(&project, &["check"], 60);
    assert!(few.starts_with("stale  web   47DEQpj8 -> "), "{few}");
    let whole = project.transcript(&["check", "web"]);
    assert!(
        whole.contains("stale  web  sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= -> sha256-"),
        "{whole}"
    );
}

#[test]
fn a_service_is_called_by_the_end_of_its_path_that_no_other_has() {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    project.lock("web", &[&left]);
    let call = "pkgs.buildNpmPackage { pname = \"x\"; src = ./web; npmDepsHash = \"\"; }";
    project
        .write("default.nix", format!("{{ pkgs }}: {{ a.web = {call}; b.web = {call}; c.api = {call}; }}\n"));
    let names: Vec<String> = shown(&project, &["check"], 80)
        .lines()
        .filter_map(|line| line.strip_prefix("stale  "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["a.web", "b.web", "api"]);
    for name in names {
        assert!(project.transcript(&["check", &name]).contains("\n1 stale, 2 not chosen\n"), "{name}");
    }
}

#[test]
fn colours_are_shown_to_those_who_want_them() {
    let project = project();
    let printed = |args: &[&str], environment: &[(&str, &str)]| {
        let output = project.command(args).envs(environment.iter().copied()).output().unwrap();
        [output.stdout, output.stderr].map(|stream| String::from_utf8(stream).unwrap())
    };
    let is_coloured = |[stdout, stderr]: &[String; 2]| {
        let [stdout, stderr] = [stdout, stderr].map(|text| text.contains('\u{1b}'));
        assert_eq!(stdout, stderr);
        stdout
    };
    assert!(!is_coloured(&printed(&["check"], &[])), "nobody sees them in a pipe");
    let plain = printed(&["check"], &[]);
    for (args, environment, wanted) in [
        (&["check", "--color", "always"][..], &[][..], true),
        (&["check"], &[("CLICOLOR_FORCE", "1")], true),
        (&["check"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&["check", "--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
        (&["check", "--color", "always"], &[("NO_COLOR", "1"), ("TERM", "dumb")], true),
    ] {
        let coloured = printed(args, environment);
        assert_eq!(is_coloured(&coloured), wanted, "{args:?} {environment:?}");
        let stripped = coloured.map(|text| anstream::adapter::strip_str(&text).to_string());
        assert_eq!(stripped, plain, "colours change no text");
    }
    let [diff, _] = printed(&["update", "--diff", "--color", "always", "web"], &[]);
    assert!(
        diff.contains("\n\u{1b}[31m-  \"web\" = ") && diff.contains("\n\u{1b}[32m+  \"web\" = "),
        "{diff}"
    );
    let [json, _] = printed(&["check", "--json", "--color", "always"], &[]);
    assert!(!json.contains('\u{1b}'), "data has no colours");
    project.run(&["check", "--output", "human=report.txt", "--color", "always"]);
    assert_eq!(project.read("report.txt"), plain[0], "nor has a file");
}

#[test]
fn a_name_that_plays_with_the_terminal_is_shown_as_what_it_is() {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    project.lock("web", &[&left]);
    let call = "pkgs.buildNpmPackage { pname = \"x\"; src = ./web; npmDepsHash = \"\"; }";
    project.write("default.nix", format!("{{ pkgs }}: {{ \"\u{1b}[2J\u{202e}x\" = {call}; }}\n"));
    for args in [&["check"][..], &["list", "--explain"], &["check", "-v"]] {
        let text = shown(&project, args, 80);
        assert!(!text.contains(['\u{1b}', '\u{202e}']) && text.contains("\\u{1b}[2J\\u{202e}x"), "{text}");
    }
}

/// A program in a terminal of its own.
struct InTerminal {
    child: Child,
    master: File,
    screen: vt100::Parser,
}

impl InTerminal {
    fn start(project: &Project, args: &[&str], (rows, columns): (u16, u16)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        let stream = || Stdio::from(slave.try_clone().unwrap());
        let mut command = project.command(args);
        command.env("TERM", "xterm-256color").stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.spawn().unwrap();
        let [rows, columns] = [rows, columns].map(|number| NonZero::new(number).unwrap());
        Self { child, master: master.into(), screen: vt100::Parser::new(rows, columns, 0) }
    }

    /// Takes in what is written next; `false` at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        // Where nobody has the other side open any more, Linux has an error for the end.
        let read = self.master.read(&mut buffer).unwrap_or_default();
        self.screen.process(&buffer[..read]);
        read > 0
    }

    /// What is on the screen, row by row.
    fn shown(&self) -> String {
        rows(self.screen.screen())
    }

    /// Waits until something is shown.
    fn wait_for(&mut self, text: &str) {
        while !self.shown().contains(text) {
            assert!(self.read(), "{text} is never shown:\n{}", self.shown());
        }
    }

    fn end(mut self) -> (ExitStatus, vt100::Parser) {
        while self.read() {}
        (self.child.wait().unwrap(), self.screen)
    }
}

/// The rows of a screen down to the last one that has something. indicatif fills its rows to the end, so that they look as if
/// they went on below.
fn rows(screen: &vt100::Screen) -> String {
    let (_, columns) = screen.size();
    let rows: Vec<String> = screen.rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned()
}

/// Two services whose tarballs come slowly.
fn slow() -> Project {
    let project = Project::new();
    let mut text = "{ pkgs }:\n{\n".to_owned();
    for name in ["web", "api"] {
        let package = project.registry.publish(name, "1.0.0", &[("index.js", name.as_bytes())]);
        project.registry.fault(&package.path, 9, Fault::Trickle(Duration::from_millis(20)));
        project.lock(name, &[&package]);
        let _ = writeln!(
            text,
            "  {name} = pkgs.buildNpmPackage {{ pname = \"x\"; src = ./{name}; npmDepsHash = \"\"; }};"
        );
    }
    project.write("default.nix", text + "}\n");
    project
}

#[test]
fn the_bar_names_the_services_and_leaves_nothing_behind_on_ctrl_c() {
    let project = slow();
    for columns in [60, 80, 200] {
        let mut run = InTerminal::start(&project, &["check", "--no-cache"], (24, columns));
        run.wait_for("0/2 tarballs");
        run.wait_for(" B of ");
        if columns > 60 {
            run.wait_for(" left");
        }
        let shown = run.shown();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines.len() == 2 && lines[0].ends_with(" web, api"), "{columns}: {shown}");
        let kill = Command::new("kill").args(["-INT", &run.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let (status, screen) = run.end();
        assert_eq!(status.signal(), Some(2));
        let screen = screen.screen();
        assert_eq!((rows(screen).as_str(), screen.cursor_position()), ("", (0, 0)), "{columns}");
        assert!(!screen.hide_cursor());
    }
}

#[test]
fn the_bar_is_gone_when_the_report_is_there() {
    let project = slow();
    let (status, screen) = InTerminal::start(&project, &["check"], (24, 80)).end();
    assert_eq!(status.code(), Some(1));
    let screen = screen.screen();
    let shown = rows(screen);
    let lines: Vec<&str> = shown.lines().map(|line| line.split(" -> ").next().unwrap()).collect();
    assert_eq!(lines, ["stale  web  placeholder", "stale  api  placeholder", "2 stale"], "{shown}");
    assert_eq!(screen.cell(0, 0).unwrap().fgcolor(), vt100::Color::Idx(1), "stale is red");
    assert!(screen.cell(0, 7).unwrap().bold(), "what a person looks for");
}

#[test]
fn a_terminal_breaks_no_line() {
    let project = project();
    for columns in [40, 60, 80, 200] {
        for args in [&["check"][..], &["check", "-v"], &["list", "--explain"], &["explain"]] {
            let (_, screen) = InTerminal::start(&project, args, (500, columns)).end();
            // In the same words as without a terminal: no bar is left, and the terminal itself breaks only words that are longer
            // than a line.
            let (seen, long) = (rows(screen.screen()), |word: &&str| word.width() + 4 > usize::from(columns));
            let words = seen.split_whitespace().filter(|word| word.chars().all(|c| ('⠀'..='⣿').contains(&c)));
            assert_eq!(words.count(), 0, "{columns} {args:?}: {seen}");
            let expected = shown(&project, args, usize::from(columns));
            if !expected.split_whitespace().any(|word| long(&word)) {
                assert!(seen.contains(expected.trim_end()), "{columns} {args:?}:\n{seen}\n---\n{expected}");
            }
        }
    }
}
