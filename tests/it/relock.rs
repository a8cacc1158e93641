//! Resolving with npm: what it is given, and what becomes of what it says. A script stands in for npm here; the real one
//! is in the real-parts run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use error_advice::advice_on;
use npm_nixhash::relock::npmrc::Passed;
use npm_nixhash::relock::{Ahead, NpmClient, RelockError, RelockRequest, Running, relock};
use npm_registry::npmrc::Npmrc;
use npm_registry::{Access, Client, Options};
use npm_tarballs::integrity::{ContentId, hex};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::registry::{PUBLIC, Registry};
use crate::support::runtime;

/// A folder with a program named `npm` in it.
struct StandIn(tempfile::TempDir);

impl StandIn {
    /// `script` runs in npm's folder; `$OUT` is a folder that the test can see.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        fs::create_dir(&out).unwrap();
        let program = folder.path().join("npm");
        fs::write(&program, format!("#!/bin/sh\nOUT={}\n{script}\n", out.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn npm(&self) -> NpmClient {
        NpmClient {
            program: "npm".into(),
            path: format!("{}:/usr/bin:/bin", self.0.path().display()).into(),
            variables: vec![("https_proxy".to_owned(), "http://me:hunter2@proxy:1".into())],
            npmrc: Passed::of("//corp/:_authToken=${NPM_TOKEN}\nregistry=https://corp/\n", None, &|name| {
                Some(format!("value-of-{name}"))
            }),
            access: access(),
            running: Running::default(),
            timeout: Duration::from_secs(20),
            deadline: None,
            ahead: None,
        }
    }

    fn out(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join("out").join(name)).unwrap()
    }
}

/// A user's registry, as `.npmrc` has it.
fn access() -> Access {
    let (mut npmrc, mut options) = (Npmrc::default(), Options::default());
    npmrc.layer("registry=https://corp/", &|_| None);
    npmrc.apply(&mut options, None, Path::new("/")).unwrap();
    options.access
}

fn manifest() -> Value {
    json!({ "name": "tool", "version": "2.0.0", "dependencies": { "b": "1" }, "devDependencies": { "c": "1" } })
}

fn lockfile(version: &str) -> String {
    let entry = json!({ "version": "1.0.0", "resolved": "https://r/b/-/b-1.0.0.tgz",
                        "integrity": ContentId::sha512_of(b"").sri() });
    let packages = json!({ "": { "name": "tool", "version": version }, "node_modules/b": entry });
    format!(
        "{:#}\n",
        json!({ "name": "tool", "version": version, "lockfileVersion": 3, "packages": packages })
    )
}

fn run(npm: &NpmClient, existing: Option<&str>) -> Result<Vec<u8>, RelockError> {
    let manifest = manifest().to_string();
    let request = RelockRequest {
        package_json: manifest.as_bytes(),
        shrinkwrap: None,
        existing: existing.map(str::as_bytes),
        omit_dev: false,
    };
    relock(npm, &request)
}

fn everything(error: &RelockError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{error}\n{source}\n{}", advice_on(error).unwrap_or_default())
}

#[test]
fn npm_gets_the_old_lockfile_and_a_clean_environment() {
    let keep = "stat -c %a \"$npm_config_userconfig\" .. > $OUT/modes; cp package.json package-lock.json \"$npm_config_userconfig\" $OUT; env > $OUT/env; echo \"$@\" > $OUT/args
                pwd > $OUT/pwd; find .. -type f | sort > $OUT/files";
    let new = lockfile("2.0.0");
    let stand_in = StandIn::new(&format!("{keep}\ncat > package-lock.json <<'EOF'\n{new}EOF"));
    let old = lockfile("1.0.0");
    assert_eq!(run(&stand_in.npm(), Some(&old)).unwrap(), new.into_bytes());
    assert_eq!(stand_in.out("package-lock.json"), old);
    assert_eq!(stand_in.out("args"), "install --package-lock-only --ignore-scripts --no-audit --no-fund\n");
    assert!(!stand_in.out("package.json").contains("devDependencies"), "the old lockfile has none");
    assert_eq!(stand_in.out("npmrc"), "//corp/:_authToken=${NPM_TOKEN}\nregistry=https://corp/\n");
    let env = stand_in.out("env");
    let names: std::collections::BTreeSet<_> =
        env.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // `PWD`, `OLDPWD`, `SHLVL` and `_` are the shell's own.
    let own = ["PWD", "OLDPWD", "SHLVL", "_"];
    let names: Vec<_> = names.into_iter().filter(|name| !own.contains(name)).collect();
    assert_eq!(
        names,
        [
            "HOME",
            "LANG",
            "NPM_TOKEN",
            "PATH",
            "TMPDIR",
            "https_proxy",
            "npm_config_cache",
            "npm_config_globalconfig",
            "npm_config_omit_lockfile_registry_resolved",
            "npm_config_prefer_offline",
            "npm_config_strict_ssl",
            "npm_config_update_notifier",
            "npm_config_userconfig",
        ]
    );
    assert!(env.contains("NPM_TOKEN=value-of-NPM_TOKEN\n"));
    assert_eq!(stand_in.out("modes"), "600\n700\n");
    let place = stand_in.out("pwd");
    assert!(!Path::new(place.trim()).exists(), "the temporary folder is gone");
    let files = stand_in.out("files");
    assert_eq!(files, "../npmrc\n../project/package-lock.json\n../project/package.json\n../stderr\n");
}

/// npm asks about one package after the other; so what it will ask is asked before, each question once, and lies in its cache.
#[test]
fn what_npm_will_ask_is_in_its_cache_unless_it_has_a_lockfile_to_go_by() {
    let registry = Registry::start();
    let publish = |name: &str, version: &str, dependencies: Value| {
        let manifest = json!({ "name": name, "version": version, "dependencies": dependencies });
        registry.publish_manifest(&manifest, &[]);
    };
    publish("b", "1.0.0", json!({}));
    publish("b", "1.2.0", json!({ "@s/c": "^1", "gone": "1", "elsewhere": "git+ssh://host/r" }));
    publish("b", "2.0.0", json!({ "unwanted": "1" }));
    publish("@s/c", "1.0.0", json!({ "b": "^1", "d": "npm:e@1" }));
    publish("e", "1.0.0", json!({}));
    let stand_in = StandIn::new(
        "cp -r $npm_config_cache/_cacache $OUT/ 2>/dev/null; [ -e package-lock.json ] || cp $OUT/made package-lock.json",
    );
    fs::write(stand_in.0.path().join("out/made"), lockfile("2.0.0")).unwrap();
    let mut options = Options { retries: 0, ..Options::default() };
    options.access.override_host(PUBLIC, &registry.url()).unwrap();
    let ahead = Ahead { client: Client::new(options), runtime: runtime() };
    let npm = NpmClient { ahead: Some(ahead), ..stand_in.npm() };
    run(&npm, Some(&lockfile("1.0.0"))).unwrap_err();
    assert_eq!(registry.requests().len(), 0, "with a lockfile npm asks about little");
    run(&npm, None).unwrap();
    let mut asked: Vec<_> = registry.requests().into_iter().map(|request| request.path).collect();
    asked.sort();
    assert_eq!(asked, ["/@s%2fc", "/b", "/c", "/e", "/gone"]);
    for name in ["b", "@s%2fc", "e"] {
        let url = format!("{}/{name}", registry.url());
        let key = Sha256::digest(format!("make-fetch-happen:request-cache:{url}"));
        let key = hex(&key);
        let index = format!("_cacache/index-v5/{}/{}/{}", &key[..2], &key[2..4], &key[4..]);
        let lines = stand_in.out(&index);
        assert_eq!(lines.matches("\"accept\":\"application/json\"").count(), 1, "{name}: {lines}");
        assert_eq!(lines.matches("install-v1+json").count(), 1, "{name}: {lines}");
    }
}

#[test]
fn an_override_is_npms_registry_too() {
    let new = lockfile("2.0.0").replace("https://r/", "http://127.0.0.1:9/m/");
    let stand_in = StandIn::new(&format!("env > $OUT/env\ncat > package-lock.json <<'EOF'\n{new}EOF"));
    let mut npm = stand_in.npm();
    let public = npm.access.registry_url(None, "");
    npm.access.override_host(public.host_str().unwrap(), "http://127.0.0.1:9/m").unwrap();
    let written = String::from_utf8(run(&npm, None).unwrap()).unwrap();
    assert!(stand_in.out("env").contains("npm_config_registry=http://127.0.0.1:9/m/\n"));
    assert!(written.contains(&format!("{public}b/-/b-1.0.0.tgz")), "{written}");
}

#[test]
fn a_shrinkwrap_is_what_npm_goes_by() {
    let stand_in = StandIn::new("ls > $OUT/ls; sed -i s/1.9.9/2.0.0/ npm-shrinkwrap.json");
    let (manifest, shrinkwrap, old) = (manifest().to_string(), lockfile("1.9.9"), lockfile("1.0.0"));
    let request = RelockRequest {
        package_json: manifest.as_bytes(),
        shrinkwrap: Some(shrinkwrap.as_bytes()),
        existing: Some(old.as_bytes()),
        omit_dev: false,
    };
    assert_eq!(relock(&stand_in.npm(), &request).unwrap(), lockfile("2.0.0").into_bytes());
    assert_eq!(stand_in.out("ls"), "npm-shrinkwrap.json\npackage.json\n");
}

#[test]
fn what_npm_says_is_passed_on_without_secrets() {
    let stand_in = StandIn::new(
        "echo npm warn noise >&2; echo npm error code E401 >&2
         echo npm error Unable to authenticate: $NPM_TOKEN via $https_proxy >&2
         echo \"npm error A complete log of this run can be found in: $HOME/.npm/_logs/x-debug-0.log\" >&2; exit 1",
    );
    let error = run(&stand_in.npm(), None).unwrap_err();
    let text = everything(&error);
    assert_eq!(
        text,
        "npm cannot resolve the dependencies of tool@2.0.0\n\
         code E401; Unable to authenticate: *** via http://***@proxy:1\n\
         try `npm install --package-lock-only --ignore-scripts` on the unpacked tarball"
    );
    let silent = StandIn::new("exit 3");
    assert!(everything(&run(&silent.npm(), None).unwrap_err()).contains("exit status: 3"));
}

#[test]
fn no_npm_is_said_clearly() {
    let stand_in = StandIn::new("");
    let npm = NpmClient { path: "/nonexistent".into(), ..stand_in.npm() };
    let error = run(&npm, None).unwrap_err();
    assert!(matches!(error, RelockError::NoNpm(_)));
    assert!(
        everything(&error).contains("`npm` cannot be found\n\ninstall Node.js"),
        "{}",
        everything(&error)
    );
}

#[test]
fn npm_and_its_children_end_with_their_time() {
    let stand_in = StandIn::new("(sleep 2; touch $OUT/late) & sleep 60");
    let npm = NpmClient { timeout: Duration::from_millis(300), ..stand_in.npm() };
    let begun = Instant::now();
    let error = run(&npm, None).unwrap_err();
    assert_eq!(error.to_string(), "npm did not resolve the dependencies within 300ms");
    assert!(begun.elapsed() < Duration::from_secs(10));
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!stand_in.0.path().join("out/late").exists(), "its child went on");
    let npm = NpmClient { deadline: Some(Instant::now() + Duration::from_millis(300)), ..stand_in.npm() };
    let begun = Instant::now();
    assert!(matches!(run(&npm, None), Err(RelockError::TooSlow(_))), "the run is over");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_runs_can_be_ended_from_elsewhere() {
    let stand_in = StandIn::new("pwd > $OUT/pwd; (sleep 2; touch $OUT/late) & sleep 60");
    let npm = stand_in.npm();
    let running = npm.running.clone();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&npm, None));
        while !stand_in.0.path().join("out/pwd").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(50));
        running.end();
        assert!(!Path::new(stand_in.out("pwd").trim()).exists(), "the folder is gone before anything else");
        assert!(run.join().unwrap().is_err());
    });
    assert!(began.elapsed() < Duration::from_secs(20));
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!stand_in.0.path().join("out/late").exists(), "its child went on");
    assert!(run(&npm, None).is_err(), "nothing begins any more");
}

#[test]
fn what_npm_wrote_is_looked_at() {
    let writing = |text: &str| StandIn::new(&format!("cat > package-lock.json <<'EOF'\n{text}\nEOF"));
    for (text, part) in [
        ("{".to_owned(), "cannot be read"),
        (lockfile("1.9.9"), "of version 1.9.9 for version 2.0.0"),
        (lockfile("2.0.0").replace("\"resolved\"", "\"other\""), "without the addresses of node_modules/b"),
    ] {
        let error = run(&writing(&text).npm(), None).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let nothing = StandIn::new("exit 0");
    assert!(matches!(run(&nothing.npm(), None), Err(RelockError::Nothing(_))));
    assert!(matches!(run(&nothing.npm(), Some("<<<<<<<")), Err(RelockError::Existing(_))));
}
