//! What people see in their terminals: lines that fit, colours where they are wanted.

use unicode_width::UnicodeWidthStr as _;

use crate::support::project::Project;

/// A stale hash, a placeholder and a derivation that is undecided, with names and paths of many kinds.
fn project() -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let long = "a-very-long-name-of-a-service-that-leaves-no-room-beside-it-on-any-line".to_owned();
    let names = ["web", "包裹", "cafe\u{301}", &long];
    let mut text = "{ pkgs }:\n{\n".to_owned();
    for name in names {
        project.lock(&format!("services/{name}"), &[&left]);
        text += &format!(
            "  \"{name}\" = pkgs.buildNpmPackage {{ pname = \"x\"; src = ./services + \"/{name}\"; npmDepsHash = \
             \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"; }};\n"
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
                let words = line.split_whitespace().filter(|word| word.width() + 12 > columns).count();
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
