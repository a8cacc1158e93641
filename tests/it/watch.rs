//! `check --watch`: a line for each change, from the same check.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::support::project::Project;
use crate::support::registry::Published;

/// A run that watches, and what it prints.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

/// A busy machine is given this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What comes after this is taken not to come.
const SILENCE: Duration = Duration::from_millis(1500);

fn read(stream: impl Read + Send + 'static, tell: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if tell.send(line).is_err() {
                return;
            }
        }
    });
}

impl Watching {
    /// Begins, and waits until what is there was told.
    fn start(project: &Project, args: &[&str]) -> (Self, Vec<String>) {
        let mut command = project.command(&[&["check", "--watch"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, lines) = channel();
        read(child.stdout.take().unwrap(), tell.clone());
        read(child.stderr.take().unwrap(), tell);
        let watching = Self { child, lines };
        let mut first = Vec::new();
        while !first.iter().any(|line: &String| line.starts_with("note: watching ")) {
            first.push(watching.next());
        }
        // The second look, after the folders are watched, has nothing new; the two streams come as they like.
        first.extend(watching.rest());
        first.sort();
        assert_eq!(first.len(), 2, "{first:?}");
        (watching, first)
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    /// All lines that come until nothing does for a while.
    fn rest(&self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            match self.lines.recv_timeout(SILENCE) {
                Ok(line) => all.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return all,
            }
        }
    }

    /// What `act` leads to, in the order of the alphabet, without hashes.
    fn after(&self, act: impl FnOnce()) -> Vec<String> {
        act();
        let first = self.next();
        let mut all: Vec<String> = [vec![first], self.rest()].concat();
        for line in &mut all {
            let words = line.split(' ').map(|word| if word.starts_with("sha256-") { "HASH" } else { word });
            *line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        }
        all.sort();
        all
    }

    fn interrupt(mut self) -> (Option<i32>, Vec<String>) {
        use std::os::unix::process::ExitStatusExt as _;
        let kill = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let since = Instant::now();
        let status = self.child.wait().unwrap();
        assert!(since.elapsed() < Duration::from_secs(5));
        (status.signal(), self.rest())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn services(names: &[&str]) -> (Project, Published) {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    for name in names {
        project.lock(name, &[&left]);
    }
    write_sites(&project, names);
    project.run(&["update"]);
    (project, left)
}

fn write_sites(project: &Project, names: &[&str]) {
    let call = |name: &&str| {
        format!(
            "  {name} = pkgs.buildNpmPackage {{ pname = \"{name}\"; src = ./{name}; npmDepsHash = \"\"; }};\n"
        )
    };
    project
        .write("default.nix", format!("{{ pkgs }}:\n{{\n{}}}\n", names.iter().map(call).collect::<String>()));
}

/// Adds a line feed to a lockfile: another hash, of the same packages.
/// As npm and editors save: a file that is cut short and then written is seen empty in between on a busy machine.
fn touch(project: &Project, name: &str) {
    let lockfile = format!("{name}/package-lock.json");
    let (saved, new) = (project.path(&lockfile), project.path(&format!("{lockfile}.new")));
    fs::write(&new, project.read(&lockfile) + "\n").expect("a file beside it");
    fs::rename(&new, &saved).expect("the lockfile");
}

#[test]
fn a_saved_lockfile_is_one_line_and_so_is_the_way_back() {
    let (project, _) = services(&["web", "api"]);
    let before = project.read("web/package-lock.json");
    let (watching, first) = Watching::start(&project, &[]);
    assert_eq!(first, ["2 in sync", "note: watching 4 folders; Ctrl-C ends it"]);
    let stale = ["stale web HASH -> HASH default.nix:3:74"];
    assert_eq!(watching.after(|| touch(&project, "web")), stale);
    assert_eq!(watching.after(|| touch(&project, "web")), stale, "another hash is another line");
    assert_eq!(
        watching.after(|| project.write("web/package-lock.json", &before)),
        ["in sync web HASH default.nix:3:74"]
    );
    // What makes no difference is not a line: the same text again, and a file of no one.
    project.write("web/package-lock.json", &before);
    project.write("web/index.js", "1");
    project.write("default.nix", format!("# a comment\n{}", project.read("default.nix")));
    assert_eq!(watching.rest(), [""; 0]);
    // The right hash is written: nothing else was checked than what `check` checks.
    touch(&project, "api");
    assert!(watching.next().starts_with("stale  api"));
    project.run(&["update"]);
    assert!(watching.next().starts_with("in sync  api"));
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n2 in sync\n");
    assert_eq!(watching.interrupt(), (Some(2), Vec::new()), "Ctrl-C ends it, without a word");
}

#[test]
fn files_are_saved_deleted_and_moved_in_every_way() {
    let (project, left) = services(&["web", "api"]);
    let (watching, _) = Watching::start(&project, &[]);
    // As editors and npm save: another file takes the name.
    let renamed = watching.after(|| {
        project.write("web/.package-lock.json.swp", project.read("web/package-lock.json") + "\n");
        fs::rename(project.path("web/.package-lock.json.swp"), project.path("web/package-lock.json"))
            .unwrap();
    });
    assert_eq!(renamed, ["stale web HASH -> HASH default.nix:3:74"]);
    let text = project.read("web/package-lock.json");
    let deleted = watching.after(|| fs::remove_file(project.path("web/package-lock.json")).unwrap());
    assert_eq!(deleted[1], "failed web default.nix:3:74", "{deleted:?}");
    assert!(deleted[0].starts_with("error: there is no lockfile at web/package-lock.json"), "{deleted:?}");
    let back = watching.after(|| project.write("web/package-lock.json", &text));
    assert_eq!(back, ["stale web HASH -> HASH default.nix:3:74"]);
    // A folder goes, and comes back under its name; what happens in it then is seen.
    let moved = watching.after(|| fs::rename(project.path("api"), project.path("away")).unwrap());
    assert!(moved.contains(&"failed api default.nix:4:74".to_owned()), "{moved:?}");
    let back = watching.after(|| {
        fs::create_dir(project.path("api")).unwrap();
        project.lock("api", &[&left]);
    });
    assert_eq!(back, ["in sync api HASH default.nix:4:74"]);
    assert_eq!(watching.after(|| touch(&project, "api")), ["stale api HASH -> HASH default.nix:4:74"]);
    // A new service in a new folder, and then a change in that folder.
    let new = watching.after(|| {
        project.lock("deep/in/new", &[&left]);
        let call =
            "new = pkgs.buildNpmPackage { pname = \"new\"; src = ./deep/in/new; npmDepsHash = \"\"; };\n}";
        let text = project.read("default.nix");
        project.write("default.nix", text.trim_end().strip_suffix('}').unwrap().to_owned() + call);
    });
    assert_eq!(new, ["stale new placeholder -> HASH default.nix:5:80"]);
    let again = watching.after(|| touch(&project, "deep/in/new"));
    assert_eq!(again, ["stale new placeholder -> HASH default.nix:5:80"]);
    // A Nix file that is half written loses nothing, and a service that is taken out is gone.
    let whole = project.read("default.nix");
    let broken = watching.after(|| project.write("default.nix", whole.strip_suffix('}').unwrap()));
    assert!(broken[0].starts_with("error: default.nix:"), "{broken:?}");
    assert!(!broken.iter().any(|line| line.starts_with("gone")), "{broken:?}");
    project.write("default.nix", &whole);
    assert_eq!(watching.rest(), [""; 0]);
    let fewer: String = whole.split_inclusive('\n').filter(|line| !line.contains("new = ")).collect();
    assert_eq!(watching.after(|| project.write("default.nix", &fewer)), ["gone new"]);
    assert_eq!(watching.interrupt().0, Some(2));
}

#[test]
fn many_files_at_once_are_one_check_and_a_line_each() {
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (project, _) = services(&names);
    let (watching, _) = Watching::start(&project, &[]);
    let all = watching.after(|| names.iter().for_each(|name| touch(&project, name)));
    let stale = |name: &&str| all.iter().any(|line| line.starts_with(&format!("stale {name} ")));
    assert!(names.iter().all(stale), "{all:?}");
    // Somebody who never stops saving is told of the last state.
    for number in 0..200 {
        project.write("s0/README.md", number.to_string());
        touch(&project, "s1");
    }
    let last = watching.rest();
    assert!(last.iter().all(|line| line.starts_with("stale  s1 ")), "{last:?}");
    let hash = String::from_utf8(project.run(&["hash", "s1"]).stdout).unwrap();
    assert!(last.last().unwrap().contains(hash.trim()), "{last:?}");
    assert!(last.len() < 200, "{}", last.len());
}

#[test]
fn where_the_system_does_not_tell_it_looks() {
    let (project, _) = services(&["web", "api"]);
    let (watching, first) = Watching::start(&project, &["--poll", "50ms"]);
    assert_eq!(first[1], "note: watching 4 folders, looking every 50ms; Ctrl-C ends it");
    assert_eq!(watching.after(|| touch(&project, "web")), ["stale web HASH -> HASH default.nix:3:74"]);
    let deleted = watching.after(|| fs::remove_file(project.path("api/package-lock.json")).unwrap());
    assert_eq!(deleted[1], "failed api default.nix:4:74", "{deleted:?}");
    assert_eq!(watching.interrupt(), (Some(2), Vec::new()));
}

#[test]
fn a_run_that_nobody_reads_ends() {
    let (project, _) = services(&["web"]);
    let mut command = project.command(&["check", "--watch"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "1 in sync\n");
    drop(reader);
    let since = Instant::now();
    let status = loop {
        touch(&project, "web");
        thread::sleep(Duration::from_millis(200));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(since.elapsed() < PATIENCE);
    };
    assert!(status.success(), "{status}");
    assert!(!project.run(&["check", "--watch", "--json"]).status.success(), "it is for people alone");
}
