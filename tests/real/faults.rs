//! Every fault at 1, 5, 20 and 100 %: `docs/faults.md`. The default run has 100 %.

#[path = "../it/network/matrix.rs"]
mod matrix;

use std::fmt::Write as _;
use std::process::Stdio;

use crate::archives;
use crate::support::project::Project;

/// `NPM_NIXHASH_MEASURE=1` waits as long as the program does, and writes the page.
#[test]
fn every_fault_at_every_rate_ends_as_the_table_says() {
    let rates = [1, 5, 20, 100];
    if crate::inherited("NPM_NIXHASH_MEASURE").is_some() {
        matrix::write(&matrix::run_all(&rates, matrix::Pace::Own));
    } else {
        matrix::run_all(&rates, matrix::Pace::Quick);
    }
}

/// A gzip archive of so many bytes, all zero, which takes next to none.
fn bomb(bytes: usize) -> Vec<u8> {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    let mut header = tar::Header::new_gnu();
    header.set_path("r/zeros").unwrap();
    header.set_mode(0o644);
    header.set_size(bytes as u64);
    header.set_cksum();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(header.as_bytes()).unwrap();
    let part = vec![0; 1 << 20];
    (0..bytes >> 20).for_each(|_| encoder.write_all(&part).unwrap());
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap()
}

/// Runs the program to its end; gives its report, and its peak of memory in MiB.
fn watched(project: &Project, arguments: &[&str]) -> (String, u64) {
    let mut command = project.command(arguments);
    for host in ["github.com", "codeload.github.com"] {
        command.arg(format!("--registry-override={host}={}", project.registry.url()));
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        peak = peak.max(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), peak)
}

#[test]
fn sources_together_stay_within_a_budget() {
    let zeros = [archives::Item::file("zeros", &"\0".repeat(300 << 20))];
    for archive in [bomb(300 << 20), archives::zip("r/", &zeros)] {
        let project = Project::new();
        let mut text = String::from("{ pkgs }: {\n");
        for n in 0..6 {
            project.registry.serve(&format!("/b{n}.tar.gz"), archive.clone());
            let url = format!("https://registry.npmjs.org/b{n}.tar.gz");
            let source = format!("pkgs.fetchzip {{ url = \"{url}\"; hash = \"\"; }}");
            let _ = writeln!(text, "s{n} = pkgs.buildNpmPackage {{ src = {source}; npmDepsHash = \"\"; }};");
        }
        project.write("default.nix", text + "}\n");
        let (report, peak) = watched(&project, &["check", "--no-cache", "--json"]);
        let told = report.matches("\"message\": \"the source has no lockfile\"").count();
        assert_eq!(told, 6, "{report}");
        assert!((300..900).contains(&peak), "six at once would take 1800 MiB: {peak}");
    }
}

#[test]
fn git_dependencies_together_stay_within_the_same_budget() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let project = Project::new();
    let archive = bomb(300 << 20);
    let entry = |n: usize| {
        project.registry.serve(&format!("/acme/b{n}/tar.gz/{commit}"), archive.clone());
        let resolved = format!("git+ssh://git@github.com/acme/b{n}.git#{commit}");
        (format!("node_modules/b{n}"), serde_json::json!({ "version": "1.0.0", "resolved": resolved }))
    };
    let packages: serde_json::Map<_, _> = (0..6).map(entry).collect();
    let lockfile = serde_json::json!({ "lockfileVersion": 3, "packages": packages });
    project.write("web/package-lock.json", lockfile.to_string());
    let (said, peak) = watched(&project, &["hash", "web", "--no-cache"]);
    assert!(said.contains("is missing or not text"), "{said}");
    assert!((300..1000).contains(&peak), "six at once would take 1800 MiB: {peak}");
}
