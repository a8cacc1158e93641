//! The program under the name of nixpkgs' own tool.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::program::{Ran, Scratch, overrides_json, run, succeed};
use crate::support::registry::{Fault, Registry};
use crate::support::truth::{Row, rows_of, serve_all};

/// What Nix and nixpkgs set in the builder of a fixed output, on a machine without certificates.
fn in_builder<'a>(command: &'a mut Command, registry_url: &str) -> &'a mut Command {
    command
        .env("HOME", "/homeless-shelter")
        .env("NIX_BUILD_TOP", "/build")
        .env("NIX_BUILD_CORES", "2")
        .env("SSL_CERT_FILE", "/no-cert-file.crt")
        .env("NIX_SSL_CERT_FILE", "/no-cert-file.crt")
        .env("outputHash", "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        .env("NIX_NPM_TOKENS", "")
        .env("NIX_NPM_REGISTRY_OVERRIDES", overrides_json(registry_url))
}

fn row(case: &str, fetcher_version: &str) -> Row {
    rows_of(case)
        .into_iter()
        .find(|row| row.fetcher_version == fetcher_version && row.hash.is_some())
        .unwrap()
}

#[test]
fn it_prints_the_hash_and_nothing_else() {
    let registry = serve_all();
    for row in [row("tiny-v3", "1"), row("tiny-v3", "2"), row("git-scripted-v3", "1"), row("empty-v3", "2")] {
        let place = Scratch::new();
        let mut command = place.prefetch_npm_deps([row.lockfile()]);
        let ran = run(in_builder(&mut command, &registry.url()).envs(row.variables()));
        let stdout = format!("{}\n", row.hash.unwrap());
        assert_eq!(ran, Ran { code: 0, stdout, stderr: String::new() });
    }
}

#[test]
fn it_writes_the_tree_and_prints_nothing() {
    let registry = serve_all();
    let row = row("tiny-v1", "2");
    for existed in [false, true] {
        let place = Scratch::new();
        if existed {
            fs::create_dir(place.path("out")).unwrap();
        }
        let lockfile = row.lockfile();
        let mut command = place.prefetch_npm_deps([lockfile.as_path(), Path::new("out")]);
        let ran = run(in_builder(&mut command, &registry.url()).envs(row.variables()));
        assert_eq!(ran, Ran { code: 0, stdout: String::new(), stderr: String::new() });
        assert_eq!(place.names("out"), [".fetcher-version", "_cacache", "package-lock.json"]);
        assert_eq!(fs::read(place.path("out/package-lock.json")).unwrap(), fs::read(&lockfile).unwrap());
        assert_eq!(place.names("."), ["home", "out", "prefetch-npm-deps"]);
        assert!(place.names("home").is_empty(), "nothing is kept inside a builder");
    }
}

#[test]
fn a_failure_is_said_on_standard_error_and_leaves_no_tree() {
    let registry = serve_all();
    registry.fault("/is-number/-/is-number-6.0.0.tgz", 9, Fault::Status(403));
    let place = Scratch::new();
    let lockfile = row("tiny-v3", "1").lockfile();
    let mut command = place.prefetch_npm_deps([lockfile.as_path(), Path::new("out")]);
    let ran = run(in_builder(&mut command, &registry.url()));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    assert!(!place.path("out").exists());
    for (name, value) in [
        ("NIX_BUILD_CORES", "many"),
        ("NPM_FETCHER_VERSION", "two"),
        ("NIX_NPM_TOKENS", "[]"),
        ("NIX_NPM_REGISTRY_OVERRIDES", "{\"a\":1}"),
    ] {
        let mut command = place.prefetch_npm_deps([&lockfile]);
        let ran = run(in_builder(&mut command, &registry.url()).env(name, value));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.starts_with(&format!("error: {name} is not")), "{}", ran.stderr);
    }
    let ran = run(&mut place.prefetch_npm_deps(["no-such-file"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
}

#[test]
fn without_arguments_it_says_how_it_is_used() {
    let place = Scratch::new();
    let mut command = place.prefetch_npm_deps([""; 0]);
    let program = command.get_program().to_str().unwrap().to_owned();
    let stdout = format!(
        "usage: {program} <path/to/package-lock.json>\n\nPrefetches npm dependencies for usage by fetchNpmDeps.\n"
    );
    assert_eq!(run(&mut command), Ran { code: 1, stdout, stderr: String::new() });
}

#[test]
fn certificates_go_unchecked_in_a_fixed_output_build_and_nowhere_else() {
    let registry = serve_all();
    let row = row("tiny-v3", "1");
    let attempt = |change: &dyn Fn(&mut Command) -> &mut Command| {
        let place = Scratch::new();
        let mut command = place.prefetch_npm_deps([row.lockfile()]);
        run(change(in_builder(&mut command, &registry.tls_url())))
    };
    let hash = format!("{}\n", row.hash.clone().unwrap());
    assert_eq!(attempt(&|command| command).stdout, hash);
    let other = Registry::start();
    let refused: [&dyn Fn(&mut Command) -> &mut Command; 4] = [
        &|command| command.env_remove("outputHash"),
        &|command| command.env_remove("SSL_CERT_FILE"),
        &|command| command.env("SSL_CERT_FILE", ""),
        &|command| command.env("SSL_CERT_FILE", other.ca_file()),
    ];
    for change in refused {
        let ran = attempt(change);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(is_mistrust(&ran), "{}", ran.stderr);
    }
    // With the right authority it needs no exception, wherever it is named.
    for name in ["SSL_CERT_FILE", "NIX_SSL_CERT_FILE"] {
        let ran = attempt(&|command| command.env_remove("outputHash").env(name, registry.ca_file()));
        assert_eq!(ran.stdout, hash, "{}", ran.stderr);
    }
    // Under its own name the program knows no exception.
    let place = Scratch::new();
    let mut command = place.npm_nixhash(["hash", row.lockfile().to_str().unwrap()]);
    let ran = run(in_builder(&mut command, &registry.tls_url()));
    assert_eq!(ran.code, 2);
    assert!(is_mistrust(&ran), "{}", ran.stderr);
}

/// Whether the server was not believed, or nobody would have been, for want of certificates.
fn is_mistrust(ran: &Ran) -> bool {
    ["certificate is not trusted", "cannot use the trusted certificates"]
        .iter()
        .any(|text| ran.stderr.contains(text))
}

#[test]
fn tokens_and_mirrors_come_from_the_reference_tools_variables_and_npms_configuration_does_not() {
    let registry = serve_all();
    registry.require("/mirror/", "Bearer s3cret");
    let host = registry.url().replace("http://", "");
    for path in ["/is-number/-/is-number-6.0.0.tgz", "/left-pad/-/left-pad-1.2.0.tgz"] {
        let bytes =
            fs::read(format!("{}/fixtures/archives/registry.npmjs.org{path}", env!("CARGO_MANIFEST_DIR")));
        registry.serve(&format!("/mirror{path}"), bytes.unwrap());
    }
    let row = row("tiny-v3", "1");
    let place = Scratch::new();
    place.write("home/.npmrc", "registry=http://127.0.0.1:9/\n");
    let mut command = place.prefetch_npm_deps([row.lockfile()]);
    let mirror = format!("{}/mirror", registry.url());
    in_builder(&mut command, &mirror).env("HOME", place.path("home"));
    command.env("NIX_NPM_TOKENS", json!({ host: "s3cret" }).to_string());
    assert_eq!(succeed(&mut command), row.hash.unwrap());
    assert_eq!(registry.count("/is-number/-/is-number-6.0.0.tgz"), 0);
}

#[test]
fn outside_a_builder_the_store_is_used() {
    let registry = serve_all();
    let row = row("tiny-v3", "1");
    let place = Scratch::new();
    for _ in 0..2 {
        let mut command = place.prefetch_npm_deps([row.lockfile()]);
        command.env("NIX_NPM_REGISTRY_OVERRIDES", overrides_json(&registry.url()));
        assert_eq!(Some(succeed(&mut command)), row.hash);
    }
    assert_eq!(registry.requests().len(), 2, "the second run fetched nothing");
}

#[test]
fn the_cache_is_mapped_and_the_lockfile_fixed_up() {
    let registry = serve_all();
    let place = Scratch::new();
    let row = row("duplicate-url-v1", "2");
    let mut command = place.prefetch_npm_deps([row.lockfile().as_path(), Path::new("deps")]);
    succeed(in_builder(&mut command, &registry.url()).envs(row.variables()));

    let silent = Ran { code: 0, stdout: String::new(), stderr: String::new() };
    let map = || fs::read_to_string(place.path("map.json")).unwrap();
    let mut by_argument = place.prefetch_npm_deps(["--map-cache", "deps"]);
    assert_eq!(run(by_argument.env("CACHE_MAP_PATH", "map.json")), silent);
    let first = map();
    let mut by_variable = place.prefetch_npm_deps(["--map-cache"]);
    assert_eq!(run(by_variable.env("CACHE_MAP_PATH", "map.json").env("npmDeps", place.path("deps"))), silent);
    assert_eq!(map(), first);
    let parsed: std::collections::BTreeMap<String, String> = serde_json::from_str(&first).unwrap();
    assert!(parsed.values().all(|integrity| integrity.starts_with("sha512-")), "{parsed:?}");
    assert_eq!(parsed.len(), fs::read_dir(place.path("deps/_cacache/index-v5")).unwrap().count());

    // The case has one URL twice, once with a sha1: it gets the sha512 that the cache has.
    let before = fs::read_to_string(row.lockfile()).unwrap();
    assert!(before.contains("sha1-"));
    place.write("package-lock.json", &before);
    let fixup = || {
        run(place
            .prefetch_npm_deps(["--fixup-lockfile", "package-lock.json"])
            .env("CACHE_MAP_PATH", "map.json"))
    };
    assert_eq!(fixup(), Ran { stdout: "Fixing lockfile\n".to_owned(), ..silent });
    let after = fs::read_to_string(place.path("package-lock.json")).unwrap();
    let mut expected: Value = serde_json::from_str(&before).unwrap();
    replace_integrities(&mut expected, &parsed);
    assert_eq!(after, expected.to_string());
    assert_eq!(fixup().stdout, "", "a second time there is nothing to fix");
    assert_eq!(fs::read_to_string(place.path("package-lock.json")).unwrap(), after);
}

fn replace_integrities(value: &mut Value, map: &std::collections::BTreeMap<String, String>) {
    let Value::Object(fields) = value else { return };
    if let Some(integrity) = fields.get("resolved").and_then(Value::as_str).and_then(|url| map.get(url)) {
        fields.insert("integrity".to_owned(), integrity.as_str().into());
    }
    fields.values_mut().for_each(|field| replace_integrities(field, map));
}

#[test]
fn the_helpers_say_what_is_missing() {
    let place = Scratch::new();
    place.write("map.json", "{}");
    let entry = json!({ "resolved": "https://host/a.tgz", "integrity": "sha512-x" });
    let lockfile = json!({ "lockfileVersion": 3, "packages": { "node_modules/a": entry } }).to_string();
    place.write("package-lock.json", &lockfile);
    for (arguments, map, expected) in [
        (vec!["--map-cache"], Some("map.json"), "--map-cache needs the path of a cache"),
        (vec!["--map-cache", "deps"], None, "CACHE_MAP_PATH must be set"),
        (vec!["--map-cache", "deps"], Some("map.json"), "cannot read "),
        (vec!["--fixup-lockfile"], None, "--fixup-lockfile needs the path of a lockfile"),
        (vec!["--fixup-lockfile", "absent.json"], None, "cannot read "),
        (vec!["--fixup-lockfile", "package-lock.json"], Some("absent.json"), "cannot read "),
        (vec!["--fixup-lockfile", "package-lock.json"], Some("package-lock.json"), "is not a map from URL"),
        (
            vec!["--fixup-lockfile", "package-lock.json"],
            Some("map.json"),
            "node_modules/a: the cache holds nothing for",
        ),
    ] {
        let mut command = place.prefetch_npm_deps(&arguments);
        let ran = run(command.envs(map.map(|map| ("CACHE_MAP_PATH", map))));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(
            ran.stderr.starts_with("error: ") && ran.stderr.contains(expected),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
    let ran = run(&mut place.prefetch_npm_deps(["--fixup-lockfile", "package-lock.json"]));
    assert_eq!(ran, Ran { code: 0, stdout: String::new(), stderr: String::new() });
    assert_eq!(fs::read_to_string(place.path("package-lock.json")).unwrap(), lockfile);
}
