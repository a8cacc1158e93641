//! Binary caches that this tool wrote, with real Nix as their client: a store of the test's own that believes to be
//! /nix/store and wants signatures of everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::program::{Ran, run, succeed};
use crate::support::project::Project;

/// `buildNpmPackage` down to its fixed-output derivation, whose builder cannot do anything.
const PKGS: &str = r#"
{
  buildNpmPackage = { pname, version, src, npmDepsHash }: derivation {
    name = "${pname}-${version}-npm-deps";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "echo this builder ran >&2; exit 1" ];
    outputHash = npmDepsHash;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  };
}
"#;

const SITES: &str = r#"{ pkgs }:
{
  web = pkgs.buildNpmPackage { pname = "web"; version = "1.0.0"; src = ./web; npmDepsHash = ""; };
  api = pkgs.buildNpmPackage { pname = "api"; version = "2.0.0"; src = ./api; npmDepsHash = ""; };
}
"#;

/// A repository, its cache, and a Nix store.
pub struct Scene {
    pub project: Project,
}

impl Scene {
    pub fn new() -> Self {
        let project = Project::new();
        let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
        // Large enough to be uploaded in several parts: what does not compress stays as long as it is.
        let noise: Vec<u8> = noise(14 << 20);
        let large = project.registry.publish("large", "1.0.0", &[("data", &noise)]);
        project.lock("web", &[&left]);
        project.lock("api", &[&left, &large]);
        project.write("default.nix", SITES);
        project.write("../pkgs.nix", PKGS);
        Self { project }
    }

    fn top(&self) -> PathBuf {
        self.project.root().parent().unwrap().to_owned()
    }

    pub fn folder(&self) -> String {
        format!("file://{}", self.top().join("binary-cache").display())
    }

    /// A program of Nix that knows a store of its own, an empty one for each `store`.
    pub fn nix(&self, program: &str, store: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.project.root()).env_clear().env("HOME", self.project.path("../home"));
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("NIX_REMOTE", self.top().join(store));
        // Nix keeps what it learned of caches below the home folder, and would not ask again.
        command.env("XDG_CACHE_HOME", self.top().join(format!("{store}-cache")));
        command
    }

    /// Options that make a cache the only source, and a signature the only recommendation.
    pub fn only_from<'a>(command: &'a mut Command, url: &str) -> &'a mut Command {
        for (option, value) in [
            ("substituters", url),
            ("require-sigs", "true"),
            ("trusted-public-keys", ""),
            ("sandbox", "false"),
            ("build-users-group", ""),
            ("extra-experimental-features", "nix-command"),
        ] {
            command.args(["--option", option, value]);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.project.command(args))
    }

    /// `nix-build` of both sites in a new store.
    pub fn build(&self, store: &str, url: &str) -> Ran {
        let mut command = self.nix("nix-build", store);
        command.args(["--no-out-link", "default.nix", "-A", "web", "-A", "api", "--arg", "pkgs"]);
        command.arg(format!("import \"{}\"", self.top().join("pkgs.nix").display()));
        run(Self::only_from(&mut command, url))
    }
}

/// Bytes that no compressor makes fewer.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// The store paths that a report names, in the order of its sites.
pub fn paths(report: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(report).unwrap();
    let path = |site: &Value| site["published"][0]["store_path"].as_str().unwrap().to_owned();
    report["sites"].as_array().unwrap().iter().map(path).collect()
}

fn narinfo(folder: &Path, path: &str) -> PathBuf {
    folder.join(format!("{}.narinfo", &path["/nix/store/".len()..][..32]))
}

#[test]
fn nix_takes_what_was_published_unsigned_and_no_builder_runs() {
    let scene = Scene::new();
    let url = scene.folder();
    // Without the cache the builders run, and fail (in such a store even the shell is missing): the witnesses of what follows.
    assert_eq!(scene.run(&["update"]).code, 0);
    let empty = scene.top().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    let alone = scene.build("store-0", &format!("file://{}", empty.display()));
    assert!(alone.code != 0 && alone.stderr.contains("building '/nix/store/"), "{}", alone.stderr);

    let update = scene.run(&["update", "--publish", &url, "--json"]);
    assert_eq!(update.code, 0, "{}", update.stderr);
    let paths = paths(&update.stdout);
    let built = scene.build("store-1", &url);
    assert_eq!(built.code, 0, "{}", built.stderr);
    assert_eq!(built.stdout.lines().collect::<Vec<_>>(), paths);
    assert!(!built.stderr.contains("building '"), "{}", built.stderr);

    for path in &paths {
        let mut realise = scene.nix("nix-store", "store-2");
        succeed(Scene::only_from(realise.args(["-r", path]), &url));
        succeed(scene.nix("nix-store", "store-2").args(["--verify-path", path]));
        let mut copy = scene.nix("nix", "store-3");
        succeed(Scene::only_from(copy.args(["copy", "--from", &url, path]), &url));
        let mut info = scene.nix("nix", "store-4");
        let text = succeed(Scene::only_from(info.args(["path-info", "--json", "--store", &url, path]), &url));
        let info: Value = serde_json::from_str(&text).unwrap();
        assert!(info[0]["ca"].as_str().unwrap().starts_with("fixed:r:sha256:"), "{info}");
        assert_eq!(info[0]["references"], serde_json::json!([]));
        // The content itself, in the cache and in the store it was copied to.
        for of in [&*url, &*scene.top().join("store-3").display().to_string()] {
            let mut verify = scene.nix("nix", "store-4");
            succeed(Scene::only_from(verify.args(["store", "verify", "--store", of, path]), &url));
        }
        // What Nix wrote of the file and of the NAR is what they are.
        let text = fs::read_to_string(narinfo(&scene.top().join("binary-cache"), path)).unwrap();
        let field =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
        let file = scene.top().join("binary-cache").join(field("URL: "));
        let hash = |command: &mut Command| format!("sha256:{}", succeed(command));
        let flat = ["--flat", "--type", "sha256", "--base32"];
        assert_eq!(hash(scene.nix("nix-hash", "store-4").args(flat).arg(&file)), field("FileHash: "));
        assert_eq!(fs::metadata(&file).unwrap().len().to_string(), field("FileSize: "));
        let tree = scene.top().join("store-3").join(&path[1..]);
        assert_eq!(hash(scene.nix("nix-hash", "store-4").args(&flat[1..]).arg(&tree)), field("NarHash: "));
        let dump = scene.nix("nix-store", "store-4").arg("--dump").arg(&tree).output().unwrap();
        assert_eq!(dump.stdout.len().to_string(), field("NarSize: "));
    }
}

#[test]
fn nix_refuses_what_was_changed_in_the_cache_and_check_says_what_is_missing() {
    let scene = Scene::new();
    let url = scene.folder();
    let update = scene.run(&["update", "--publish", &url, "--json"]);
    assert_eq!(update.code, 0, "{}", update.stderr);
    let paths = paths(&update.stdout);
    let folder = scene.top().join("binary-cache");
    let realise = |store: &str, path: &str| {
        let mut command = scene.nix("nix-store", store);
        run(Scene::only_from(command.args(["-r", path]), &url))
    };
    // The other output's NAR under this one's name.
    let text = fs::read_to_string(narinfo(&folder, &paths[0])).unwrap();
    let other = fs::read_to_string(narinfo(&folder, &paths[1])).unwrap();
    let line = |text: &str| text.lines().find(|line| line.starts_with("URL: ")).unwrap().to_owned();
    fs::write(narinfo(&folder, &paths[0]), text.replace(&line(&text), &line(&other))).unwrap();
    let wrong = realise("store-1", &paths[0]);
    assert!(wrong.code != 0 && wrong.stderr.contains("hash mismatch"), "{}", wrong.stderr);
    // Its narinfo under this one's name: the path is another one.
    fs::write(narinfo(&folder, &paths[0]), &other).unwrap();
    assert_ne!(realise("store-2", &paths[0]).code, 0);
    let check = scene.run(&["check", "--published", &url]);
    assert_eq!(check.code, 1, "{}{}", check.stdout, check.stderr);
    assert!(check.stdout.contains("-web-1.0.0-npm-deps: the narinfo is that of "), "{}", check.stdout);
    assert!(!check.stdout.contains("-api-2.0.0-npm-deps: "), "{}", check.stdout);
    // Half a cache.
    fs::write(narinfo(&folder, &paths[0]), &text).unwrap();
    assert_eq!(scene.run(&["check", "--published", &url]).code, 0);
    fs::remove_file(folder.join(line(&text).trim_start_matches("URL: "))).unwrap();
    let check = scene.run(&["check", "--published", &url]);
    assert!(
        check.code == 1 && check.stdout.contains("the NAR that its narinfo names is not there"),
        "{}",
        check.stdout
    );
}

#[test]
fn a_signature_is_one_that_nix_accepts() {
    let scene = Scene::new();
    let url = scene.folder();
    let (secret, public) = (scene.top().join("secret"), scene.top().join("public"));
    let mut generate = scene.nix("nix-store", "store-0");
    succeed(generate.args(["--generate-binary-cache-key", "test-1"]).args([&secret, &public]));
    let key = fs::read_to_string(&public).unwrap();
    let args = ["update", "--publish", &url, "--sign-key", secret.to_str().unwrap(), "--json"];
    let update = scene.run(&args);
    assert_eq!(update.code, 0, "{}", update.stderr);
    let secret = fs::read_to_string(&secret).unwrap();
    assert!(!format!("{update:?}").contains(secret.split(':').nth(1).unwrap().trim()));
    for path in paths(&update.stdout) {
        // Without its content address only the signature speaks for it.
        let file = narinfo(&scene.top().join("binary-cache"), &path);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(
            &file,
            text.lines()
                .filter(|line| !line.starts_with("CA: "))
                .fold(String::new(), |all, line| all + line + "\n"),
        )
        .unwrap();
        let realise = |store: &str, keys: &str| {
            let mut command = scene.nix("nix-store", store);
            Scene::only_from(command.args(["-r", &path]), &url);
            run(command.args(["--option", "trusted-public-keys", keys]))
        };
        let refused = realise("store-1", "");
        assert_ne!(refused.code, 0, "{}", refused.stderr);
        let taken = realise("store-2", key.trim());
        assert_eq!(taken.code, 0, "{}", taken.stderr);
    }
}
