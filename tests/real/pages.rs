//! The commands of README.md and docs/ that need the network.

use crate::support::pages::{Demo, PICTURES, bin, pages, root, shell, transcripts};

#[test]
fn the_pages_show_what_a_reader_gets_with_the_public_registry() {
    Demo::real().agrees();
    let (wrong, commands) = transcripts(Demo::real, false);
    assert!(commands > 15, "{commands}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (name, lines) = PICTURES[0];
    let picture = std::fs::read_to_string(root().join(name)).unwrap();
    assert!(Demo::real().picture(bin().path(), lines) == picture, "{name} is of another time");
}

#[test]
fn what_needs_the_network_runs_and_prints_what_the_page_says() {
    let (bin, home) = (bin(), tempfile::tempdir().unwrap());
    let mut commands = 0;
    for page in pages() {
        for block in page.of("network") {
            for step in page.steps(block) {
                let line = step.command.replace("cargo run --release --", "npm-nixhash");
                let mut command = shell(&line, bin.path());
                let output = command.current_dir(root()).env("HOME", home.path()).output().unwrap();
                let text = String::from_utf8(output.stdout).unwrap();
                assert!(output.status.success(), "{}: {line}\n{text}", page.name());
                if block.info.starts_with("console") {
                    assert_eq!(text, step.output, "{}: {line}", page.name());
                }
                commands += 1;
            }
        }
    }
    assert!(commands > 0);
}
