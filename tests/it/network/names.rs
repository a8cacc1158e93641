//! Names of files, attributes and packages that would move a terminal's cursor, ring, or turn the direction of writing: in no
//! output of any command.

use serde_json::json;

use crate::support::project::Project;

/// ESC, an OSC with its BEL, a C1 control, DEL, U+202E and its relatives, a zero-width space, a tag character.
const ODD: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}1m\u{7f}\u{202e}\u{2066}\u{200f}\u{200b}\u{e0041}";

/// Whether a character shows as something else, or not at all.
fn is_odd(character: char) -> bool {
    (character.is_control() && character != '\n')
        || ODD.contains(character) && !character.is_ascii_graphic()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Lockfiles, files, attributes, names and versions that all are odd, in every state that a site can be in.
fn project() -> Project {
    let project = Project::new();
    let published = project.registry.publish("left", "1.0.0", &[]);
    let folder = format!("fol{ODD}der");
    project.lock(&format!("{folder}/good"), &[&published]);
    let broken = json!({ "lockfileVersion": 3, "packages": {
        format!("node_modules/{ODD}"): { "version": ODD, "resolved": format!("https://{ODD}.invalid/x.tgz"), "integrity": ODD },
        "node_modules/gone": { "version": ODD, "resolved": format!("http://127.0.0.1:1/{ODD}"), "integrity": published.integrity },
    } });
    project.write(&format!("{folder}/bad/package-lock.json"), broken.to_string());
    project.write(&format!("{folder}/uncovered/package-lock.json"), "{ \"lockfileVersion\": 3 }");
    project.write(&format!("{folder}/conflict/package-lock.json"), format!("<<<<<<< {ODD}\n"));
    let site = |name: &str, src: &str, version: &str| {
        format!(
            "  \"{name}{ODD}\" = pkgs.buildNpmPackage {{ pname = \"{name}{ODD}\"; version = \"{version}\"; src = {src}; npmDepsHash = \"\"; }};\n"
        )
    };
    let sites = [
        site("good", "./good", "1"),
        site("bad", "./bad", ODD),
        site("conflict", "./conflict", "1"),
        site("missing", &format!("./. + \"/{ODD}\""), "1"),
        site("unknown", &format!("throw \"{ODD}\""), "1"),
        site(
            "remote",
            &format!("pkgs.fetchzip {{ url = \"http://127.0.0.1:1/{ODD}.tgz\"; hash = \"{ODD}\"; }}"),
            "1",
        ),
        format!("  wrong = pkgs.buildNpmPackage {{ src = ./good; npmDepsHash = \"{ODD}\"; }};\n"),
    ];
    project.write(&format!("{folder}/default.nix"), format!("{{ pkgs }}: {{\n{}}}\n", sites.concat()));
    project.write(&format!("{folder}/broken.nix"), format!("{{ npmDepsHash = {ODD}"));
    project
}

#[test]
fn no_name_moves_a_terminal_in_any_output() {
    let project = project();
    let bad = format!("fol{ODD}der/bad");
    for args in [
        &["list", "--explain"][..],
        &["list", "--json"],
        &["check"],
        &["check", "--json"],
        &["check", "--format", "github"],
        &["check", "--format", "markdown"],
        &["check", "--format", "codequality"],
        &["check", "--format", "sarif"],
        &["explain", "--download"],
        &["explain", "--json"],
        &["hash", &bad],
        &["hash", ODD],
        &["hash", &bad, "--json"],
        &["repair", &bad],
        &["repair", "--check"],
        &["add", ODD],
        &["init", "config", "--dry-run"],
        &["cache", "stats"],
        &["update", "--dry-run", "--json"],
        &["check", ODD],
    ] {
        for actions in [false, true] {
            let mut command = project.command(args);
            if actions {
                command.env("GITHUB_ACTIONS", "true");
            }
            let output = command.output().unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!text.is_empty(), "{args:?}");
            let odd: Vec<_> = text.lines().filter(|line| line.contains(is_odd)).collect();
            assert!(odd.is_empty(), "{args:?}: {odd:?}");
        }
    }
    // A patch that goes to a file or to git has the lines of the repository's file as they are, or nobody could apply it;
    // names are quoted. Only a terminal gets another text.
    let output = project.run(&["update", "--dry-run"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let headers: Vec<_> = text
        .lines()
        .filter(|line| ["diff ", "--- ", "+++ ", "@@ "].iter().any(|start| line.starts_with(start)))
        .collect();
    assert!(headers.iter().any(|line| line.contains("\\342\\200\\256")), "{text:?}");
    assert!(headers.iter().all(|line| !line.contains(is_odd)), "{headers:?}");
    assert!(text.lines().all(|line| line.starts_with(['d', '-', '+', '@', ' ', '\\'])), "{text:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains(is_odd), "{stderr:?}");
}
