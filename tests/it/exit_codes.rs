//! The table of exit codes in `docs/exit-codes.md` is what the program does: each row is run.
//! `NPM_NIXHASH_WRITE_PAGES=1 cargo test --test it exit_codes` writes what it does now into the page.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::project::Project;
use crate::support::registry::Fault;

const START: &str = "<!-- Made by tests/it/exit_codes.rs -->\n";
const END: &str = "<!-- End of the table -->\n";

/// A situation: what it is called, how it comes about, and what the commands are told.
type Row = (&'static str, fn(&Project), &'static [&'static str]);

const ROWS: &[Row] = &[
    ("every hash is right", in_sync, &[]),
    ("a hash is stale or a placeholder", |_| {}, &[]),
    ("a derivation is undecided", undecided, &[]),
    ("the same with `--deny undecided`", undecided, &["--deny", "undecided"]),
    ("a placeholder stays, with `--deny fake`", undecided, &["--deny", "fake"]),
    ("a lockfile that no hash covers", uncovered, &[]),
    ("the same with `--deny uncovered`", uncovered, &["--deny", "uncovered"]),
    ("lockfiles, and no derivation at all", nothing, &[]),
    ("neither lockfiles nor derivations", empty, &[]),
    ("a hash cannot be computed (a download fails)", failing, &[]),
    ("the same with `--all-or-nothing`", failing, &["--all-or-nothing"]),
    ("a lockfile lacks `resolved` or `integrity`", incomplete, &[]),
    ("the same with `--allow incomplete`", incomplete, &["--allow", "incomplete"]),
    ("a `package.json` asks for what its lockfile does not hold", out_of_step, &[]),
    ("a lockfile is missing", missing, &[]),
    ("a Nix file cannot be parsed", unparsable, &[]),
    ("a mistake in `npm-nixhash.toml`", misconfigured, &[]),
    ("a path that is not there", in_sync, &["./no/such/path"]),
    ("a path that chooses nothing", in_sync, &["./elsewhere"]),
    ("a name that nothing has", in_sync, &["wbe"]),
    ("wrong usage", in_sync, &["--frobnicate"]),
];

fn site(name: &str, source: &str) -> String {
    format!(
        "  {name} = pkgs.buildNpmPackage {{ pname = \"{name}\"; src = {source}; npmDepsHash = \"\"; }};\n"
    )
}

fn write(project: &Project, sites: &[String]) {
    project.write("default.nix", format!("{{ pkgs }}:\n{{\n{}}}\n", sites.concat()));
}

/// One service, whose hash is a placeholder.
fn project() -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    project.lock("web", &[&left]);
    project.write("elsewhere/README", "");
    write(&project, &[site("web", "./web")]);
    project
}

fn in_sync(project: &Project) {
    assert!(project.run(&["update"]).status.success());
}

fn undecided(project: &Project) {
    in_sync(project);
    let decided = project.read("default.nix");
    let other = site("far", "pkgs.someFunction ./web");
    project.write("default.nix", decided.trim_end().trim_end_matches('}').to_owned() + &other + "}\n");
}

fn uncovered(project: &Project) {
    in_sync(project);
    project.write("old/package-lock.json", "{}");
}

fn nothing(project: &Project) {
    write(project, &[]);
}

fn empty(project: &Project) {
    write(project, &[]);
    fs::remove_dir_all(project.path("web")).unwrap();
}

fn failing(project: &Project) {
    let gone = project.registry.publish("gone", "1.0.0", &[]);
    project.registry.fault(&gone.path, 99, Fault::Status(403));
    project.lock("gone", &[&gone]);
    write(project, &[site("web", "./web"), site("gone", "./gone")]);
}

/// One package lacks both fields; the hash is what nixpkgs' fetcher makes of it.
fn incomplete(project: &Project) {
    let text = project.read("web/package-lock.json");
    let bare = "\"node_modules/bare\": { \"version\": \"1.0.0\" },\n    \"node_modules/left\"";
    project.write("web/package-lock.json", text.replace("\"node_modules/left\"", bare));
    assert!(project.run(&["update", "--allow", "incomplete"]).status.success());
}

fn out_of_step(project: &Project) {
    in_sync(project);
    project.write("web/package.json", r#"{ "dependencies": { "left": "^2" } }"#);
}

fn missing(project: &Project) {
    in_sync(project);
    fs::remove_file(project.path("web/package-lock.json")).unwrap();
}

fn unparsable(project: &Project) {
    in_sync(project);
    project.write("broken.nix", "{ npmDepsHash = ; }\n");
}

fn misconfigured(project: &Project) {
    in_sync(project);
    project.write("npm-nixhash.toml", "denny = []\n");
}

/// The exit code of a command, or a dash where it does not know what it is told.
fn code(command: &str, row: &Row) -> String {
    let (_, make, arguments) = row;
    let knows = |argument: &&str| match command {
        "list" => !matches!(*argument, "--allow" | "--deny" | "--all-or-nothing"),
        "check" => *argument != "--all-or-nothing",
        _ => true,
    };
    if !arguments.iter().all(knows) {
        return "-".to_owned();
    }
    let project = project();
    make(&project);
    let output = project.run(&[&[command], *arguments].concat());
    output.status.code().unwrap().to_string()
}

#[expect(clippy::disallowed_methods, reason = "a test is its own shell")]
#[test]
fn the_table_of_exit_codes_is_what_the_program_does() {
    let mut table = String::from("| situation | `check` | `update` | `list` |\n|---|---|---|---|\n");
    for row in ROWS {
        let [check, update, list] = ["check", "update", "list"].map(|command| code(command, row));
        let _ = writeln!(table, "| {} | {check} | {update} | {list} |", row.0);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/exit-codes.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(START).expect("the page has the table's start");
    let (written, after) = rest.split_once(END).expect("the page has the table's end");
    if std::env::var_os("NPM_NIXHASH_WRITE_PAGES").is_some() {
        fs::write(&file, [before, START, &table, END, after].concat()).unwrap();
    } else {
        assert_eq!(written, table);
    }
}
