//! `add`, as its users see it. A script stands in for npm: it writes the lockfile that the test prepared for the version.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::registry::{Fault, Published};

/// A registry with a tool and its dependency, and a npm that resolves them.
struct World {
    project: Project,
    dependency: Published,
}

const FLAKE: &str = "{
  outputs = { self, nixpkgs }:
    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
    in
    {
      packages.x86_64-linux = {
        hello = pkgs.hello; # the other one
      };
    };
}
";

impl World {
    fn new() -> Self {
        let project = Project::new();
        let dependency = project.registry.publish("dep", "1.0.0", &[("index.js", b"1")]);
        let world = Self { project, dependency };
        let npm = world.project.path("../bin/npm");
        fs::create_dir_all(npm.parent().unwrap()).unwrap();
        let script = "#!/bin/sh\nset -e\ncp package.json \"${0%/*}/given.json\"\n\
                      v=$(sed -n 's/.*\"version\":\"\\([^\"]*\\)\".*/\\1/p' package.json)\n\
                      cp \"${0%/*}/lock-$v.json\" package-lock.json\n";
        fs::write(&npm, script).unwrap();
        fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).unwrap();
        world
    }

    /// Publishes versions of a package; the last one is `latest`.
    fn publish(&self, name: &str, versions: &[&str], more: &Value, signatures: &dyn Fn(&str) -> Value) {
        let mut entries = serde_json::Map::new();
        for version in versions {
            let mut manifest = json!({ "name": name, "version": version });
            manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let published =
                self.project.registry.publish_manifest(&manifest, &[("cli.js", b"#!/usr/bin/env node\n")]);
            let signed = format!("{name}@{version}:{}", published.integrity);
            manifest["dist"] = json!({ "tarball": published.url, "integrity": published.integrity,
                                       "signatures": signatures(&signed) });
            entries.insert((*version).to_owned(), manifest);
            self.prepare(name, version);
        }
        let document =
            json!({ "name": name, "dist-tags": { "latest": versions.last() }, "versions": entries });
        self.project.registry.serve(&format!("/{}", name.replace('/', "%2f")), document.to_string());
    }

    fn prepare(&self, name: &str, version: &str) {
        let dep = &self.dependency;
        let dep = json!({ "version": dep.version, "resolved": dep.url, "integrity": dep.integrity });
        let packages = json!({ "": { "name": name, "version": version }, "node_modules/dep": dep });
        let lockfile =
            json!({ "name": name, "version": version, "lockfileVersion": 3, "packages": packages });
        fs::write(self.project.path(&format!("../bin/lock-{version}.json")), format!("{lockfile:#}\n"))
            .unwrap();
    }

    fn tool() -> Self {
        let world = Self::new();
        let more = json!({
            "description": "A tool.", "homepage": "https://tool.example/", "license": "MIT OR Apache-2.0",
            "bin": { "tool": "./cli.js", "aux": "./cli.js" }, "engines": { "node": ">=22.1" },
            "scripts": { "build": "tsc", "postinstall": "node fetch.js" }, "dependencies": { "dep": "^1" },
            "devDependencies": { "private": "workspace:*" },
        });
        world.publish("@acme/tool", &["1.0.0", "1.1.0"], &more, &|_| json!([]));
        world
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let bin = self.project.path("../bin");
        let path = format!("{}:/usr/bin:/bin", bin.display());
        self.project.command(arguments).env("PATH", path).output().unwrap()
    }

    fn transcript(&self, arguments: &[&str]) -> String {
        self.project.render(&self.run(arguments))
    }

    /// Everything in the repository.
    fn files(&self) -> Vec<String> {
        let mut files: Vec<_> = ignore::WalkBuilder::new(self.project.root())
            .hidden(false)
            .build()
            .filter_map(|entry| {
                let path = entry.unwrap().into_path();
                let shown = path.strip_prefix(self.project.root()).unwrap().display().to_string();
                path.is_file().then_some(shown)
            })
            .collect();
        files.sort();
        files
    }
}

/// The value of an attribute that stands on a line of its own.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let start = text.find(&format!(" {name} = \"")).unwrap_or_else(|| panic!("no {name} in {text}"));
    text[start..].split('"').nth(1).unwrap()
}

#[test]
fn the_expression_is_printed_and_its_site_is_in_sync() {
    let world = World::tool();
    let output = world.run(&["add", "@acme/tool@1.0.0"]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (hash, deps) = (value(&text, "hash"), value(&text, "npmDepsHash"));
    let expected = format!(
        "exit 0
--- stdout
pkgs.buildNpmPackage (finalAttrs: {{
  pname = \"acme-tool\";
  # renovate: datasource=npm depName=@acme/tool
  version = \"1.0.0\";

  src = pkgs.fetchurl {{
    url = \"https://registry.npmjs.org/@acme/tool/-/tool-${{finalAttrs.version}}.tgz\";
    hash = \"{hash}\";
  }};

  postPatch = ''
    cp ${{./npm/acme-tool/package-lock.json}} package-lock.json
    ${{pkgs.jq}}/bin/jq 'del(.devDependencies)' package.json > package.json.new
    mv package.json.new package.json
  '';

  npmDepsHash = \"{deps}\";

  dontNpmBuild = true;
  npmFlags = [ \"--ignore-scripts\" ];
  nodejs = pkgs.nodejs_22;

  meta = {{
    description = \"A tool\";
    homepage = \"https://tool.example/\";
    license = [ pkgs.lib.licenses.mit pkgs.lib.licenses.asl20 ];
    mainProgram = \"tool\";
  }};
}})
--- stderr
warning: it has install scripts (postinstall), which npmFlags keeps from running
note: the registry publishes no signing keys
note: wrote npm/acme-tool/package-lock.json: let git track it, a flake sees nothing else
"
    );
    assert_eq!(world.project.render(&output), expected);
    assert_eq!(world.files(), ["npm/acme-tool/package-lock.json"]);
    let given = fs::read_to_string(world.project.path("../bin/given.json")).unwrap();
    assert!(!given.contains("devDependencies"), "what nothing needs is not resolved");
    world.project.write("default.nix", format!("{{ pkgs }}:\n{text}"));
    let check = world.transcript(&["check", "--json"]);
    assert!(check.starts_with("exit 0\n"), "{check}");
    assert!(check.contains("\"status\": \"in-sync\""), "{check}");
    let alone = world.run(&["hash", "npm/acme-tool"]);
    assert_eq!(String::from_utf8(alone.stdout).unwrap().trim(), deps);
}

#[test]
fn it_goes_into_a_flake_and_nothing_else_changes() {
    let world = World::tool();
    world.project.write("flake.nix", FLAKE);
    let at = ["--into", "flake.nix", "--attr", "packages.x86_64-linux.tool"];
    let add = |package: &'static str, more: &[&'static str]| {
        world.transcript(&[&["add", package], &at[..], more].concat())
    };
    let dry = add("@acme/tool@1.0.0", &["--dry-run"]);
    assert!(dry.contains("+        tool = pkgs.buildNpmPackage (finalAttrs: {\n"), "{dry}");
    assert_eq!(world.files(), ["flake.nix"], "--dry-run writes nothing");
    assert_eq!(world.project.read("flake.nix"), FLAKE);
    let added = add("@acme/tool@1.0.0", &[]);
    assert!(
        added.starts_with("exit 0\n--- stdout\nadded @acme/tool 1.0.0 to flake.nix, 1 packages\n"),
        "{added}"
    );
    let text = world.project.read("flake.nix");
    let (before, after) = FLAKE.split_once(" # the other one\n").unwrap();
    let start = format!(
        "{before} # the other one\n        tool = pkgs.buildNpmPackage (finalAttrs: {{\n          pname"
    );
    assert!(text.starts_with(&start) && text.ends_with(after), "{text}");
    assert!(text.contains("            cp ${./npm/acme-tool/package-lock.json} package-lock.json\n"));
    assert!(world.transcript(&["check"]).starts_with("exit 0\n"));
    let again = add("@acme/tool@1.0.0", &[]);
    assert_eq!(
        again,
        "exit 2\n--- stderr\nerror: flake.nix: the attribute packages.x86_64-linux.tool exists already\n  \
         hint: bump its `version` and run `npm-nixhash update`\n"
            .replace("flake.nix:", "[ROOT]/flake.nix:")
    );
    assert_eq!(world.project.read("flake.nix"), text);
}

#[test]
fn a_bumped_version_is_made_right_by_one_update() {
    let world = World::tool();
    world.project.write("flake.nix", FLAKE);
    let at = ["--into", "flake.nix", "--attr", "packages.x86_64-linux.tool"];
    assert!(world.run(&[&["add", "@acme/tool"], &at[..]].concat()).status.success());
    let wanted = world.project.read("flake.nix");
    let wanted_lockfile = world.project.read("npm/acme-tool/package-lock.json");
    fs::remove_dir_all(world.project.path("npm")).unwrap();
    world.project.write("flake.nix", FLAKE);
    assert!(world.run(&[&["add", "@acme/tool@1.0.0"], &at[..]].concat()).status.success());
    let old = world.project.read("flake.nix");
    assert_ne!(old, wanted);
    world.project.write("flake.nix", old.replace("\"1.0.0\"", "\"1.1.0\""));
    assert!(world.transcript(&["check"]).starts_with("exit 1\n"));
    let update = world.transcript(&["update"]);
    assert!(update.starts_with("exit 0\n"), "{update}");
    assert_eq!(world.project.read("flake.nix"), wanted);
    assert_eq!(world.project.read("npm/acme-tool/package-lock.json"), wanted_lockfile);
    assert!(world.transcript(&["check"]).starts_with("exit 0\n"));
}

#[test]
fn what_stands_in_the_way_is_said_and_nothing_is_written() {
    let world = World::tool();
    world.project.write("flake.nix", FLAKE);
    let into = |attr: &'static str| ["add", "@acme/tool", "--into", "flake.nix", "--attr", attr];
    let cases: &[(&[&str], &str)] = &[
        (&["add", "../evil"], "error: not the name of an npm package: `../evil`"),
        (&["add", "nothing"], "error: the registry has no package nothing\n  hint: check the name"),
        (&["add", "@acme/tool@^7"], "no release is in the range `^7`"),
        (&["add", "@acme/tool@1.5.0"], "error: the registry has no @acme/tool@1.5.0"),
        (&["add", "@acme/tool", "--offline"], "error: a package that is new has to be fetched"),
        (
            &["add", "@acme/tool", "--require-signatures"],
            "@acme/tool@1.1.0: the registry publishes no signing keys",
        ),
        (
            &["add", "@acme/tool", "--dir", "a b"],
            "error: the path ./a b/acme-tool/package-lock.json cannot be written",
        ),
        (&into("packages.x86_64-linux.hello"), "the attribute packages.x86_64-linux.hello exists already"),
        (
            &into("packages.x86_64-linux.hello.x"),
            "packages.x86_64-linux.hello is not an attribute set that is written out",
        ),
        (&into("packages.other.tool"), "there is no attribute packages.other"),
        (&into("x = 1; y"), "error: not an attribute path: `x = 1; y`"),
        (&["add", "@acme/tool", "--into", "none.nix", "--attr", "x"], "error: cannot read [ROOT]/none.nix"),
    ];
    for (arguments, part) in cases {
        let transcript = world.transcript(arguments);
        assert!(transcript.starts_with("exit 2\n--- stderr\n"), "{arguments:?}: {transcript}");
        assert!(transcript.contains(part), "{arguments:?}: {transcript}");
    }
    fs::remove_file(world.project.path("../bin/lock-1.1.0.json")).unwrap();
    let failing = world.transcript(&["add", "@acme/tool"]);
    assert!(failing.contains("error: npm cannot resolve the dependencies of @acme/tool@1.1.0"), "{failing}");
    let without_npm = world.project.command(&["add", "@acme/tool"]).env("PATH", "/nonexistent").output();
    let missing = world.project.render(&without_npm.unwrap());
    assert!(missing.contains("`npm` cannot be found\n  hint: install Node.js"), "{missing}");
    world.project.registry.fault("/@acme/tool/-/tool-1.0.0.tgz", 2, Fault::WrongBytes);
    let other = world.transcript(&["add", "@acme/tool@1.0.0", "--no-cache"]);
    assert!(other.contains("caused by: integrity mismatch: expected sha512-"), "{other}");
    assert_eq!(world.files(), ["flake.nix"]);
    assert_eq!(world.project.read("flake.nix"), FLAKE);
}

#[test]
fn names_that_are_not_in_scope_are_not_used() {
    let world = World::tool();
    world.project.write("a.nix", "{ }: { }\n");
    let refused = world.transcript(&["add", "@acme/tool", "--into", "a.nix", "--attr", "tool"]);
    assert!(refused.contains("neither `pkgs` nor `buildNpmPackage` can be used"), "{refused}");
    world.project.write("a.nix", "{ buildNpmPackage, fetchurl, jq, lib, nodejs_22 }:\n{\n}\n");
    let added = world.transcript(&["add", "@acme/tool", "--into", "a.nix", "--attr", "tool"]);
    assert!(added.starts_with("exit 0\n"), "{added}");
    let text = world.project.read("a.nix");
    assert!(text.contains("tool = buildNpmPackage (") && text.contains("${jq}/bin/jq"), "{text}");
    assert!(text.contains("[ lib.licenses.mit lib.licenses.asl20 ]"), "{text}");
}

#[test]
fn a_manifest_cannot_break_out_of_the_expression() {
    let world = World::new();
    let evil = "\"; x = builtins.abort \"${y}\"; '' \\";
    let more = json!({ "description": evil, "homepage": "https://h/${z}\"", "license": evil,
                       "bin": { "a\"b${c}": "cli.js" }, "engines": { "node": evil } });
    world.publish("evil", &["1.0.0"], &more, &|_| json!([]));
    let output = world.run(&["add", "evil", "--json"]);
    assert!(output.status.success(), "{}", world.project.render(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expression = json["expression"].as_str().unwrap();
    let parsed = rnix::Root::parse(expression);
    assert!(parsed.errors().is_empty(), "{expression}");
    assert!(expression.contains("mainProgram = \"a\\\"b\\${c}\";"), "{expression}");
    let interpolations: Vec<_> = expression.match_indices("${").collect();
    let escaped = expression.match_indices("\\${").count();
    assert_eq!(interpolations.len() - escaped, 3, "the version, the lockfile, jq: {expression}");
}

/// A registry's key, and what it signs.
struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
        Self { pair, random }
    }

    fn keys(&self) -> String {
        let start = BASE64.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=").unwrap();
        let key = BASE64.encode([&start[..], self.pair.public_key().as_ref()].concat());
        json!({ "keys": [{ "keyid": "SHA256:mine", "scheme": "ecdsa-sha2-nistp256", "expires": null, "key": key }] })
            .to_string()
    }

    fn sign(&self, message: &str) -> Value {
        let signature = self.pair.sign(&self.random, message.as_bytes()).unwrap();
        json!([{ "keyid": "SHA256:mine", "sig": BASE64.encode(signature.as_ref()) }])
    }
}

#[test]
fn signatures_are_reported_and_bad_ones_refused() {
    let world = World::new();
    let signer = Signer::new();
    world.project.registry.serve("/-/npm/v1/keys", signer.keys());
    let more = json!({ "bin": "cli.js", "license": "MIT" });
    world.publish("good", &["1.0.0"], &more, &|message| signer.sign(message));
    world.publish("bad", &["1.0.0"], &more, &|_| signer.sign("good@1.0.0:sha512-other"));
    world.publish("bare", &["1.0.0"], &more, &|_| json!([]));
    let good = world.run(&["add", "good", "--require-signatures", "--json", "--dry-run"]);
    let json: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!((good.status.code(), json["signature"].as_str()), (Some(0), Some("verified")));
    assert_eq!(json["created_files"], json!(["npm/good/package-lock.json"]));
    assert!(
        String::from_utf8_lossy(&good.stderr).contains("note: signed by the registry with key SHA256:mine")
    );
    let bad = world.transcript(&["add", "bad"]);
    assert!(bad.starts_with("exit 2\n"), "{bad}");
    assert!(
        bad.contains("error: bad@1.0.0: the registry's signature with key SHA256:mine is not good"),
        "{bad}"
    );
    assert!(world.transcript(&["add", "bare", "--dry-run"]).starts_with("exit 0\n"));
    let required = world.transcript(&["add", "bare", "--require-signatures"]);
    assert!(required.contains("error: bare@1.0.0: the registry did not sign this release"), "{required}");
    assert!(world.files().is_empty());
}
