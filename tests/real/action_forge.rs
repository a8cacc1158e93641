//! The action's script before a forge: pull requests and comments, through the API, with git over HTTP. Every program that the
//! script starts is watched, so that the token is seen to stand in no argument.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::program::{Ran, Scratch, run, succeed};

const TOKEN: &str = "a-token-that-nobody-may-see";
/// `x-access-token:TOKEN` as git sends it.
const BASIC: &str = "eC1hY2Nlc3MtdG9rZW46YS10b2tlbi10aGF0LW5vYm9keS1tYXktc2Vl";
const RIGHT: &str = "sha256-fa2wR8uveAKgoRi1+XfEGFGnaUQtivOCjfPBkh+mhMk=";
const OWN: &str = "npm-nixhash/main";

/// The forge of the Renovate scenarios with `acme/demo`, whose branch `main` has a stale hash and takes no pushes but from
/// this machine itself; and a clone.
struct Forge {
    place: Scratch,
    server: Child,
    url: String,
}

impl Drop for Forge {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn flake(version: &str, hash: &str) -> String {
    format!(
        "{{ outputs = {{ nixpkgs, ... }}: {{ packages.x86_64-linux.web = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage {{\n\
         pname = \"web\"; version = \"{version}\"; src = ./.; forceEmptyCache = true;\nnpmDepsHash = \"{hash}\";\n}}; }}; }}\n"
    )
}

impl Forge {
    fn new() -> Self {
        let place = Scratch::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let lockfile = fs::read(root.join("fixtures/lockfiles/empty-v3/package-lock.json")).unwrap();
        place.write("work/package-lock.json", lockfile);
        place.write("work/flake.nix", flake("1", ""));
        place.write("shims/log", "");
        for name in ["git", "node", "env", "bash", "base64"] {
            let real = succeed(Command::new("sh").args(["-c", &format!("command -v {name}")]));
            let shim = format!(
                "#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >>'{}'\nexec '{real}' \"$@\"\n",
                place.path("shims/log").display()
            );
            let shim = place.write(&format!("shims/{name}"), shim);
            fs::set_permissions(shim, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let (srv, state) = (place.path("srv"), place.path("state"));
        let mut node = Command::new("node");
        node.arg(root.join("renovate/e2e/gitea/main.mjs")).arg("--root").arg(&srv).arg("--state").arg(&state);
        node.args(["--token", TOKEN]).stdout(Stdio::null());
        let mut forge = Self { server: node.spawn().unwrap(), url: String::new(), place };
        forge.git(".", &["init", "-q", "-b", "main", "work"]);
        forge.commit("first");
        forge.git(".", &["clone", "-q", "--bare", "work", "srv/acme/demo.git"]);
        // git-http-backend sets REMOTE_USER; a push through the file system, by this test, has none.
        let hook = "#!/bin/sh\n[ \"$1\" != refs/heads/main ] || [ -z \"$REMOTE_USER\" ] || { echo 'protected branch' >&2; exit 1; }\n";
        let hook = forge.place.write("srv/acme/demo.git/hooks/update", hook);
        fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
        let port = (0..100).find_map(|_| {
            sleep(Duration::from_millis(100));
            fs::read_to_string(state.join("port")).ok().filter(|port| !port.is_empty())
        });
        forge.url = format!("http://127.0.0.1:{}", port.expect("the forge starts"));
        forge
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.env("HOME", self.place.path("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        command.args(["-c", "user.name=me", "-c", "user.email=me@example.invalid"]);
        succeed(command.args(arguments).current_dir(self.place.path(folder)))
    }

    fn commit(&self, message: &str) {
        self.git("work", &["add", "-A"]);
        self.git("work", &["commit", "-qm", message]);
    }

    /// Sets a branch of the forge to what is checked out.
    fn publish(&self, branch: &str) {
        let bare = self.place.path("srv/acme/demo.git").display().to_string();
        self.git("work", &["push", "-qf", &bare, &format!("HEAD:refs/heads/{branch}")]);
    }

    /// The commit of a branch of the forge, if it is there.
    fn tip(&self, branch: &str) -> String {
        self.git(
            "srv/acme/demo.git",
            &["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{branch}")],
        )
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "-X",
            method,
            "-H",
            &format!("authorization: token {TOKEN}"),
            "-d",
            &body.to_string(),
        ]);
        let text = succeed(curl.arg(format!("{}/api/v1/repos/acme/demo/{path}", self.url)));
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method} {path}: {text}"))
    }

    fn pulls(&self) -> Vec<Value> {
        self.api("GET", "pulls", &Value::Null).as_array().unwrap().clone()
    }

    /// The action in the clone, of the branch that is checked out there.
    fn action(&self, mode: &str, given: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("action/run.sh"));
        command.current_dir(self.place.path("work")).env_clear().env("HOME", self.place.path("home"));
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.place.path("shims").display());
        let api = format!("{}/api/v1", self.url);
        let (summary, output) = (self.place.path("summary.md"), self.place.path("output"));
        for (name, value) in [
            ("PATH", path.as_str()),
            ("PROGRAM", env!("CARGO_BIN_EXE_npm-nixhash")),
            ("MODE", mode),
            ("SCOPE", "."),
            ("TOKEN", TOKEN),
            ("BRANCH", "main"),
            ("HEAD_REPOSITORY", "acme/demo"),
            ("GITHUB_REPOSITORY", "acme/demo"),
            ("GITHUB_SERVER_URL", self.url.as_str()),
            ("GITHUB_API_URL", api.as_str()),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
            ("GITHUB_OUTPUT", output.to_str().unwrap()),
        ] {
            command.env(name, value);
        }
        let ran = run(command.envs(given.iter().copied()));
        let started = fs::read_to_string(self.place.path("shims/log")).unwrap();
        let config = fs::read_to_string(self.place.path("work/.git/config")).unwrap();
        let masked = ran.stdout.replace(&format!("::add-mask::{BASIC}\n"), "");
        for text in [&masked, &ran.stderr, &started, &config, &self.read("summary.md"), &self.read("output")]
        {
            assert!(!text.contains(TOKEN) && !text.contains(BASIC), "{text}");
        }
        ran
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.place.path(name)).unwrap_or_default()
    }

    /// `main` again as the forge has it.
    fn fresh(&self) {
        let bare = self.place.path("srv/acme/demo.git").display().to_string();
        self.git("work", &["fetch", "-q", &bare, "main"]);
        self.git("work", &["checkout", "-q", "-B", "main", "FETCH_HEAD"]);
    }
}

fn expect(ran: &Ran, code: i32, said: &str) {
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, code, "{all}");
    assert!(all.contains(said), "{said}: {all}");
}

#[test]
fn a_protected_branch_gets_one_pull_request_which_follows_it_and_is_closed_when_it_is_right() {
    let forge = Forge::new();
    let before = forge.tip("main");
    expect(&forge.action("update", &[]), 2, "it is protected (mode: pull-request opens");
    forge.fresh();

    expect(&forge.action("pull-request", &[]), 0, "opened pull request 1");
    let first = forge.tip(OWN);
    assert_eq!(forge.tip("main"), before);
    let started = forge.read("shims/log");
    assert!(started.contains("git push ") && started.contains("node "), "the arguments were seen: {started}");
    assert_eq!(forge.git("srv/acme/demo.git", &["rev-parse", &format!("{OWN}~1")]), before);
    assert!(forge.git("srv/acme/demo.git", &["show", &format!("{OWN}:flake.nix")]).contains(RIGHT));
    let pull = &forge.pulls()[0];
    assert_eq!((&pull["title"], &pull["base"]["ref"]), (&json!("Update npmDepsHash"), &json!("main")));
    assert!(pull["body"].as_str().unwrap().contains(RIGHT), "{pull}");
    assert_eq!(forge.read("output"), format!("pull-request-url={}/acme/demo/pulls/1\n", forge.url));

    forge.fresh();
    expect(&forge.action("pull-request", &[]), 0, "pull request 1 is as it should be");
    assert_eq!(forge.tip(OWN), first, "nothing is pushed that is there");

    forge.fresh();
    forge.place.write("work/README", "more");
    forge.commit("main moves");
    forge.publish("main");
    expect(&forge.action("pull-request", &[("COMMIT_MESSAGE", "Hashes")]), 0, "updated pull request 1");
    assert_eq!(forge.git("srv/acme/demo.git", &["rev-parse", &format!("{OWN}~1")]), forge.tip("main"));
    assert_eq!((forge.pulls().len(), &forge.pulls()[0]["title"]), (1, &json!("Hashes")));

    forge.fresh();
    forge.place.write("work/flake.nix", flake("1", RIGHT));
    forge.commit("right");
    forge.publish("main");
    expect(&forge.action("pull-request", &[]), 0, "closed pull request 1");
    assert_eq!((&forge.pulls()[0]["state"], forge.tip(OWN).as_str()), (&json!("closed"), ""));
    expect(&forge.action("pull-request", &[]), 0, "nothing to commit");
}

#[test]
fn commits_of_others_on_its_branch_are_not_lost() {
    let forge = Forge::new();
    expect(&forge.action("pull-request", &[]), 0, "opened pull request 1");
    forge.place.write("work/extra", "by a person");
    forge.commit("a person's");
    forge.publish(OWN);
    let theirs = forge.tip(OWN);
    forge.fresh();
    expect(&forge.action("pull-request", &[]), 2, "has a commit of somebody else");
    forge.fresh();
    forge.place.write("work/flake.nix", flake("1", RIGHT));
    forge.commit("right");
    forge.publish("main");
    expect(&forge.action("pull-request", &[]), 2, "has a commit of somebody else");
    assert_eq!((forge.tip(OWN), &forge.pulls()[0]["state"]), (theirs, &json!("open")));
}

#[test]
fn a_pull_request_needs_a_branch_of_its_own_and_a_token_that_may() {
    let forge = Forge::new();
    for name in ["main", "-x", "a b"] {
        expect(&forge.action("pull-request", &[("PR_BRANCH", name)]), 2, "not the name of another branch");
    }
    let wrong = [("TOKEN", "another-token")];
    expect(&forge.action("pull-request", &wrong), 2, "branches/npm-nixhash/main: 401 token required");
    forge.git("work", &["reset", "-q", "--hard", "HEAD~1"]);
    let fork = [("HEAD_REPOSITORY", "somebody/demo")];
    expect(&forge.action("pull-request", &fork), 1, "::notice::the branch belongs to a fork");
    assert_eq!((forge.pulls().len(), forge.tip(OWN).as_str()), (0, ""));
    expect(&forge.action("pull-request", &[("PR_BRANCH", "bot/hashes")]), 0, "opened pull request 1");
    assert_ne!(forge.tip("bot/hashes"), "");
}

#[test]
fn the_patch_is_one_comment_edited_in_place_and_suggestions_on_the_lines() {
    let forge = Forge::new();
    forge.git("work", &["checkout", "-q", "-b", "bump"]);
    let push = |content: String| {
        forge.place.write("work/flake.nix", content);
        forge.commit("bump");
        forge.publish("bump");
        forge.git("work", &["rev-parse", "HEAD"])
    };
    let mut head = push(flake("2", "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    forge.api("POST", "pulls", &json!({ "title": "bump", "head": "bump", "base": "main" }));
    // Anybody can write our mark.
    let mark = "<!-- npm-nixhash .%20 -->";
    let stranger = json!({ "body": mark, "user": { "login": "stranger" } });
    forge.api("POST", "issues/1/comments", &stranger);
    let check = |head: &str, comment: &str, code: i32| {
        let given = [("BRANCH", "bump"), ("PULL_NUMBER", "1"), ("PULL_HEAD", head), ("COMMENT", comment)];
        let ran = forge.action("check", &given);
        expect(&ran, code, "");
        assert!(
            !ran.stdout.contains("::warning::") && !ran.stderr.contains("::warning::"),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
        let list = |path: &str| forge.api("GET", path, &Value::Null).as_array().unwrap().clone();
        (list("issues/1/comments"), list("pulls/1/comments"))
    };
    let (comments, lines) = check(&head, "true", 1);
    assert_eq!((comments.len(), lines.len()), (2, 0), "{comments:?}");
    assert_eq!(comments[0]["body"], mark);
    let body = comments[1]["body"].as_str().unwrap();
    assert!(
        body.starts_with(&format!("{mark}\n### npm-nixhash: 1 stale\n")) && body.contains(RIGHT),
        "{body}"
    );

    let (again, lines) = check(&head, "suggestions", 1);
    assert_eq!(again, comments);
    let suggestion = format!("{mark}\n```suggestion\nnpmDepsHash = \"{RIGHT}\";\n```");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["path"], &lines[0]["line"], &lines[0]["body"]),
        (&json!("flake.nix"), &json!(3), &json!(suggestion))
    );
    assert_eq!(check(&head, "suggestions", 1), (again, lines.clone()), "a second run changes nothing");

    // The line moves: the suggestion with it; what the comment says changes.
    head = push(format!("# moved\n{}", flake("2", "sha256-BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=")));
    let (comments, lines) = check(&head, "suggestions", 1);
    assert_eq!((comments.len(), lines.len(), &lines[0]["line"]), (2, 1, &json!(4)));
    assert!(comments[1]["body"].as_str().unwrap().contains("sha256-BBBB"), "{comments:?}");

    head = push(flake("2", RIGHT));
    let (comments, lines) = check(&head, "suggestions", 0);
    assert_eq!((comments.len(), lines.len()), (2, 0));
    assert_eq!(comments[1]["body"], format!("{mark}\n### npm-nixhash: 1 in sync\n"));
}

#[test]
fn a_right_pull_request_gets_no_comment_and_a_comment_that_cannot_be_made_fails_nothing() {
    let forge = Forge::new();
    let given = [("PULL_NUMBER", "9"), ("COMMENT", "true")];
    expect(&forge.action("check", &given), 1, "");
    let refused = [("PULL_NUMBER", "1"), ("COMMENT", "true"), ("TOKEN", "another-token")];
    expect(
        &forge.action("check", &refused),
        1,
        "::warning::no comment could be made: the token needs pull-requests: write",
    );
    expect(
        &forge.action("check", &[("PULL_NUMBER", "1"), ("COMMENT", "true"), ("TOKEN", "")]),
        1,
        "::notice::no comment: it needs",
    );
    expect(
        &forge.action("check", &[("COMMENT", "perhaps")]),
        2,
        "::error::comment is true, suggestions or false",
    );
    forge.place.write("work/flake.nix", flake("1", RIGHT));
    expect(&forge.action("check", &[("PULL_NUMBER", "2"), ("COMMENT", "true")]), 0, "1 in sync");
    let comments = forge.api("GET", "issues/2/comments", &Value::Null);
    assert_eq!(comments, json!([]));
}
