//! Output that goes nowhere, and names that are too long for any screen.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::support::project::Project;

fn project() -> Project {
    let project = Project::new();
    let manifest = serde_json::json!({ "name": "left", "version": "1.0.0", "bin": "left.js" });
    let left = project.registry.publish_manifest(&manifest, &[("left.js", b"")]);
    project.lock("web", &[&left]);
    project.write(
        "default.nix",
        "{ pkgs }: { web = pkgs.buildNpmPackage { src = ./web; npmDepsHash = \"\"; }; }",
    );
    project
}

const COMMANDS: &[&[&str]] = &[
    &["hash", "web"],
    &["hash", "web", "--json"],
    &["hash", "web", "--nar", "-"],
    &["list"],
    &["list", "--json"],
    &["list", "--explain"],
    &["check"],
    &["check", "--json"],
    &["check", "--format", "github"],
    &["check", "--format", "markdown"],
    &["check", "--format", "codequality"],
    &["check", "--format", "sarif"],
    &["check", "--format", "patch"],
    &["update", "--dry-run"],
    &["update", "--dry-run", "--verbose"],
    &["explain"],
    &["explain", "--json"],
    &["repair", "--check"],
    &["repair", "--json"],
    &["cache", "dir"],
    &["cache", "stats"],
    &["cache", "stats", "--json"],
    &["cache", "prune", "--older-than", "1day"],
    &["completions", "bash"],
    &["man"],
    &["--help"],
    &["--version"],
    &["init", "gitlab", "--dry-run", "--source", "acme/hashes@v1.2.3"],
    &["init", "config", "--print"],
    &["update"],
];

#[test]
fn output_that_is_lost_is_a_failure() {
    let project = project();
    for args in COMMANDS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = project.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(
            stderr.contains("error: cannot write to standard output\n  caused by: "),
            "{args:?}: {stderr}"
        );
    }
}

#[test]
fn a_reader_that_went_away_had_what_it_wanted() {
    let project = project();
    for args in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = project.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        // What it has to say by its exit code it says all the same: that something is stale.
        let expected = i32::from(args[0] == "check");
        assert_eq!(output.status.code(), Some(expected), "{args:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("error"), "{args:?}: {stderr}");
    }
}

#[test]
fn a_path_of_any_length_is_reported() {
    let project = project();
    project.write(
        "default.nix",
        "let pkgs = import <nixpkgs> {}; a = builtins.replaceStrings [\"a\"] [\"aaaaaaaaaaaaaaaa\"];\n\
         in { w = pkgs.buildNpmPackage { src = ./. + \"/${a (a (a (a \"a\")))}\"; npmDepsHash = \"\"; };\n\
              web = pkgs.buildNpmPackage { src = ./web; npmDepsHash = \"\"; }; }",
    );
    for args in [&["list"][..], &["update", "--dry-run"], &["check"], &["check", "--format", "markdown"]] {
        let output = project.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            matches!(output.status.code(), Some(0..=2)) && !stderr.contains("panic"),
            "{args:?}: {stderr}"
        );
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.len() < 400_000, "{args:?}: {} bytes", stdout.len());
    }
}

#[test]
fn thousands_of_failures_with_one_cause_are_one_message() {
    let project = project();
    let entries: serde_json::Map<_, _> = (0..4_000)
        .map(|n| {
            let url = format!("https://registry.npmjs.org/p{n}/-/p{n}-1.0.0.tgz");
            let integrity = npm_tarballs::integrity::ContentId::sha512_of(&u32::to_le_bytes(n)).sri();
            (
                format!("node_modules/p{n}"),
                serde_json::json!({ "version": "1.0.0", "resolved": url, "integrity": integrity }),
            )
        })
        .collect();
    let lockfile = serde_json::json!({ "lockfileVersion": 3, "packages": entries });
    project.write("web/package-lock.json", lockfile.to_string());
    for args in [&["hash", "web", "--offline"][..], &["check", "--offline"]] {
        let output = project.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.len() < 4000 && stderr.lines().count() <= 20, "{} bytes", stderr.len());
        assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
        assert!(stderr.contains("more"), "{stderr}");
    }
}

#[test]
fn what_add_would_write_is_lost_with_its_output() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = project();
    let lockfile = r#"{"lockfileVersion":3,"packages":{"":{"name":"left","version":"1.0.0"}}}"#;
    project.write("../bin/npm", format!("#!/bin/sh\necho '{lockfile}' >package-lock.json\n"));
    std::fs::set_permissions(project.path("../bin/npm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = project.command(&["add", "left@1.0.0", "--dry-run"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", project.path("../bin").display()));
    let output = command.stdout(File::options().write(true).open("/dev/full").unwrap()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("error: cannot write to standard output\n"), "{stderr}");
}

/// Runs the program where a program of the repository has a name that is looked up.
fn with_repository_first(project: &Project, args: &[&str], name: &str) -> (String, bool) {
    use std::os::unix::fs::PermissionsExt as _;
    project.write(name, "#!/bin/sh\ntouch \"$HOME/run\"\n");
    std::fs::set_permissions(project.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command: Command = project.command(args);
    let output = command.env("PATH", ".:bin::/usr/bin:/bin").output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (text, project.path("../home/run").exists())
}

#[test]
fn a_program_is_never_found_through_a_relative_entry_of_path() {
    let project = project();
    for (args, name) in [
        (&["hash", "web", "--add-to-store", "x"][..], "nix-store"),
        (&["hash", "web", "--add-to-store", "x"], "bin/nix-store"),
        (&["add", "left@1.0.0"], "npm"),
    ] {
        let (text, ran) = with_repository_first(&project, args, name);
        assert!(!ran, "{args:?} ran {name}: {text}");
    }
}

/// Starts `add` with an npm that goes on for a minute, and returns once that is under way.
fn with_slow_npm(project: &Project, arguments: &[&str], trap: &str) -> std::process::Child {
    use std::os::unix::fs::PermissionsExt as _;
    let script =
        "#!/bin/sh\necho $$ >\"$OUT/pid\"\npwd >\"$OUT/pwd\"\nsh -c 'sleep 3; touch late' &\nsleep 60\n";
    let out = project.path("../out");
    std::fs::create_dir_all(&out).unwrap();
    project.write(
        "../bin/npm",
        script
            .replace("$OUT", &out.display().to_string())
            .replace("touch late", &format!("touch {}/late", out.display())),
    );
    std::fs::set_permissions(project.path("../bin/npm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(project.path("../tmp")).unwrap();
    let own = project.command(&[&["add", "left@1.0.0"], arguments].concat());
    // As `nohup` does it.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{trap}exec \"$0\" \"$@\"")]).arg(own.get_program()).args(own.get_args());
    command.env_clear().envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(project.root()).stdin(Stdio::null());
    command.env("PATH", format!("{}:/usr/bin:/bin", project.path("../bin").display()));
    command.env("TMPDIR", project.path("../tmp")).stdout(Stdio::null()).stderr(Stdio::piped());
    // A script that was just written may be "busy" while another test forks: then npm-nixhash ends, and is run again.
    let mut child = command.spawn().unwrap();
    for _ in 0..1000 {
        if out.join("pwd").exists() {
            break;
        }
        if child.try_wait().unwrap().is_some() {
            child = command.spawn().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child
}

#[test]
fn a_signal_ends_npm_and_removes_what_it_was_given() {
    use std::os::unix::process::ExitStatusExt as _;
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM, rustix::process::Signal::HUP]
    {
        let project = project();
        let mut child = with_slow_npm(&project, &[], "");
        assert!(std::fs::read_dir(project.path("../tmp")).unwrap().count() > 0, "npm has its folder");
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal.as_raw()), "it ends as the signal says");
        assert_eq!(std::fs::read_dir(project.path("../tmp")).unwrap().count(), 0, "{signal:?}");
        std::thread::sleep(std::time::Duration::from_secs(4));
        assert!(!project.path("../out/late").exists(), "{signal:?}: a child of npm went on");
    }
}

#[test]
fn npm_ends_when_the_time_of_the_run_is_over() {
    let project = project();
    let begun = std::time::Instant::now();
    let child = with_slow_npm(&project, &["--timeout", "8s"], "");
    let npm = std::fs::read_to_string(project.path("../out/pid")).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(begun.elapsed() < std::time::Duration::from_secs(40), "npm would take a minute");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("npm did not resolve the dependencies within "), "{stderr}");
    assert!(stderr.contains("or give the run longer with --timeout"), "{stderr}");
    assert_eq!(std::fs::read_dir(project.path("../tmp")).unwrap().count(), 0, "what it was given is gone");
    assert!(!std::path::Path::new("/proc").join(npm.trim()).exists(), "npm went on");
}

#[test]
fn a_signal_that_is_to_be_ignored_ends_nothing() {
    let project = project();
    let mut child = with_slow_npm(&project, &[], "trap '' HUP; ");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "nohup is undone");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(project.path("../tmp")).unwrap().count(), 0);
}
