//! `add`, as its users see it. A script stands in for npm: it writes the lockfile that the test prepared for the version.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
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
note: a lockfile fits: it has dependencies to install (dep)
note: wrote npm/acme-tool/package-lock.json: add it to git: a flake sees nothing else
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

const AT: [&str; 4] = ["--into", "flake.nix", "--attr", "packages.x86_64-linux.tool"];

#[test]
fn a_bundled_program_is_its_tarball_and_a_wrapper() {
    let world = World::new();
    let more = json!({ "description": "A tool.", "license": "MIT", "bin": { "tool": "./cli.js" },
                       "engines": { "node": ">=22.1" } });
    world.publish("@acme/tool", &["1.0.0", "1.1.0"], &more, &|_| json!([]));
    world.project.write("flake.nix", FLAKE);
    // Neither npm nor a lockfile has a part in it.
    fs::remove_file(world.project.path("../bin/npm")).unwrap();
    let added = world.transcript(&[&["add", "@acme/tool@1.0.0", "--bundled"], &AT[..]].concat());
    assert_eq!(
        added,
        "exit 0\n--- stdout\nadded @acme/tool 1.0.0 to flake.nix, its tarball\n--- stderr\n\
         note: the registry publishes no signing keys\n\
         note: no lockfile is needed: it has a program, and no dependencies to install\n"
    );
    assert_eq!(world.files(), ["flake.nix"]);
    let text = world.project.read("flake.nix");
    let hash = value(&text, "hash");
    let (before, after) = FLAKE.split_once(" # the other one\n").unwrap();
    let expected = format!(
        "{before} # the other one
        tool = pkgs.stdenvNoCC.mkDerivation (finalAttrs: {{
          pname = \"acme-tool\";
          # renovate: datasource=npm depName=@acme/tool
          version = \"1.0.0\";

          src = pkgs.fetchurl {{
            url = \"https://registry.npmjs.org/@acme/tool/-/tool-${{finalAttrs.version}}.tgz\";
            hash = \"{hash}\";
          }};

          nativeBuildInputs = [ pkgs.makeWrapper ];
          dontConfigure = true;
          dontBuild = true;

          installPhase = ''
            runHook preInstall
            package=$out/lib/node_modules/@acme/tool
            mkdir -p $package
            cp -R . $package
            makeWrapper ${{pkgs.nodejs_22}}/bin/node $out/bin/tool --add-flags $package/cli.js
            runHook postInstall
          '';

          meta = {{
            description = \"A tool\";
            license = pkgs.lib.licenses.mit;
            mainProgram = \"tool\";
          }};
        }});
{after}"
    );
    assert_eq!(text, expected);
    let list = world.transcript(&["list"]);
    assert!(list.contains("resolved  tool  flake.nix:16:20  tool-1.0.0.tgz\n"), "{list}");
    let check = world.transcript(&["check"]);
    assert!(check.starts_with("exit 0\n") && check.contains("1 in sync"), "{check}");
    world.project.write("flake.nix", text.replace("\"1.0.0\"", "\"1.1.0\""));
    assert!(world.transcript(&["check"]).starts_with("exit 1\n"));
    let update = world.transcript(&["update"]);
    assert!(update.starts_with("exit 0\n"), "{update}");
    let other = world.run(&["add", "@acme/tool@1.1.0", "--bundled", "--json"]);
    let other: Value = serde_json::from_slice(&other.stdout).unwrap();
    let new = other["source_hash"].as_str().unwrap();
    assert_eq!(world.project.read("flake.nix"), text.replace("\"1.0.0\"", "\"1.1.0\"").replace(hash, new));
    assert_eq!(
        (&other["shape"], &other["npm_deps_hash"], &other["packages"], &other["fits"]["shape"]),
        (&json!("bundled"), &Value::Null, &json!(0), &json!("bundled"))
    );
}

/// A program with a package for each of four machines, and one for musl; one name is taken from another package.
fn fast(world: &World, versions: &[&str]) {
    let machines = [
        ("@acme/fast-linux-x64", "linux", "x64", None),
        ("@acme/fast-linux-x64-musl", "linux", "x64", Some("musl")),
        ("@acme/fast-darwin-arm64", "darwin", "arm64", None),
        ("@acme/fast-win32-x64", "win32", "x64", None),
    ];
    for (name, os, cpu, libc) in machines {
        let more = json!({ "os": [os], "cpu": [cpu], "libc": libc, "license": "MIT" });
        world.publish(name, versions, &more, &|_| json!([]));
    }
    let mut entries = serde_json::Map::new();
    for version in versions {
        let optional: serde_json::Map<String, Value> =
            machines.iter().map(|(name, ..)| ((*name).to_owned(), json!(version))).collect();
        let mut optional = Value::Object(optional);
        optional["@acme/fast-sunos-x64"] = json!(version);
        let other = format!("{version}-linux-arm64");
        optional["@acme/fast-linux-arm64"] = json!(format!("npm:fast@{other}"));
        let manifests = [
            json!({ "name": "fast", "version": version, "license": "MIT", "bin": "cli.js", "optionalDependencies": optional }),
            json!({ "name": "fast", "version": other, "license": "MIT", "os": ["linux"], "cpu": ["arm64"] }),
        ];
        for mut manifest in manifests {
            let own =
                world.project.registry.publish_manifest(&manifest, &[("cli.js", b"#!/usr/bin/env node\n")]);
            manifest["dist"] = json!({ "tarball": own.url, "integrity": own.integrity });
            entries.insert(manifest["version"].as_str().unwrap().to_owned(), manifest);
        }
    }
    let document = json!({ "name": "fast", "dist-tags": { "latest": versions.last() }, "versions": entries })
        .to_string();
    world.project.registry.serve("/fast", document);
}

#[test]
fn a_program_with_a_package_for_each_system_has_a_hash_for_each() {
    let world = World::new();
    fast(&world, &["1.0.0", "1.1.0"]);
    world.project.write("flake.nix", FLAKE);
    let added = world.transcript(&[&["add", "fast@1.0.0", "--platforms"], &AT[..]].concat());
    assert_eq!(
        added,
        "exit 0\n--- stdout\nadded fast 1.0.0 to flake.nix, its tarball and those of 3 systems\n--- stderr\n\
         warning: the registry has no release of optional dependencies: @acme/fast-sunos-x64\n\
         note: the registry publishes no signing keys\n\
         note: no lockfile is needed: its optional dependencies are packages for one kind of machine each, 3 of them for \
         systems of nixpkgs\n"
    );
    let text = world.project.read("flake.nix");
    let expected = "          passthru.platforms = {
            x86_64-linux = {
              name = \"@acme/fast-linux-x64\";
              src = pkgs.fetchurl {
                url = \"https://registry.npmjs.org/@acme/fast-linux-x64/-/fast-linux-x64-${finalAttrs.version}.tgz\";
                hash = \"sha512-";
    assert!(text.contains(expected), "{text}");
    let arm = "              name = \"@acme/fast-linux-arm64\";
              src = pkgs.fetchurl {
                url = \"https://registry.npmjs.org/fast/-/fast-${finalAttrs.version}-linux-arm64.tgz\";
";
    assert!(text.contains(arm) && !text.contains("musl") && !text.contains("win32"), "{text}");
    let check = world.transcript(&["check"]);
    assert!(check.starts_with("exit 0\n") && check.contains("4 in sync"), "{check}");
    world.project.write("flake.nix", text.replace("\"1.0.0\"", "\"1.1.0\""));
    let update = world.transcript(&["update"]);
    assert!(update.starts_with("exit 0\n") && update.contains("4 updated"), "{update}");
    let bumped = world.project.read("flake.nix");
    world.project.write("flake.nix", FLAKE);
    assert!(world.run(&[&["add", "fast", "--platforms"], &AT[..]].concat()).status.success());
    assert_eq!(world.project.read("flake.nix"), bumped, "update leaves what add would write");
    // Two `add`, `check` and `update`: each asks once, although two of the tarballs are releases of one package.
    assert_eq!(world.project.registry.count("/fast"), 4);
}

#[test]
fn the_shape_that_does_not_fit_is_refused_and_the_one_that_does_is_named() {
    let world = World::tool();
    fast(&world, &["1.0.0"]);
    world.publish("lib", &["1.0.0"], &json!({ "license": "MIT" }), &|_| json!([]));
    let cases: &[(&[&str], &str)] = &[
        (
            &["add", "@acme/tool", "--bundled"],
            "error: @acme/tool@1.1.0 cannot be written down as its tarball alone: it has dependencies to install (dep)\n  \
             hint: run it without --bundled and --platforms: a lockfile fits\n",
        ),
        (
            &["add", "@acme/tool", "--platforms"],
            "cannot be written down as a tarball for each system: it has dependencies to install (dep)",
        ),
        (&["add", "lib", "--bundled"], "it has no programs (`bin`) that could be wrapped"),
        (&["add", "lib", "--platforms"], "it has no programs (`bin`) that could be wrapped"),
        (&["add", "@acme/tool", "--bundled", "--dir", "x"], "cannot be used with"),
    ];
    for (arguments, part) in cases {
        let transcript = world.transcript(arguments);
        assert!(transcript.starts_with("exit 2\n"), "{arguments:?}: {transcript}");
        assert!(transcript.contains(part), "{arguments:?}: {transcript}");
    }
    let parts = world.transcript(&["add", "fast", "--bundled", "--dry-run"]);
    assert!(
        parts.contains("warning: optional dependencies are left out: @acme/fast-darwin-arm64, "),
        "{parts}"
    );
    assert!(world.files().is_empty());
    // With a lockfile, it is npm that tells what the optional dependencies are for.
    let lockfile = json!({ "name": "fast", "version": "1.0.0", "lockfileVersion": 3, "packages": {
        "": { "name": "fast", "version": "1.0.0" },
        "node_modules/@acme/fast-linux-x64": {
            "version": "1.0.0", "resolved": world.dependency.url, "integrity": world.dependency.integrity,
            "os": ["linux"], "cpu": ["x64"], "optional": true } } });
    fs::write(world.project.path("../bin/lock-1.0.0.json"), lockfile.to_string()).unwrap();
    let plain = world.transcript(&["add", "fast", "--dry-run"]);
    assert!(
        plain.contains(
            "note: --platforms fits, without a lockfile: its optional dependencies are packages for one kind of machine \
             each, 1 of them for systems of nixpkgs\n"
        ),
        "{plain}"
    );
}

#[test]
fn a_tarball_inside_of_a_script_moves_with_its_lockfile() {
    let world = World::tool();
    let of = |version: &str| {
        let output = world.run(&["add", &format!("@acme/tool@{version}"), "--json"]);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let lockfile = world.project.read("npm/acme-tool/package-lock.json");
        fs::remove_dir_all(world.project.path("npm")).unwrap();
        let text = format!(
            "{{ pkgs }}:
pkgs.buildNpmPackage rec {{
  pname = \"tool\";
  version = \"{version}\";
  src = pkgs.runCommand \"source\" {{ nativeBuildInputs = [ pkgs.jq ]; }} ''
    mkdir $out
    tar -xzf ${{pkgs.fetchurl {{
      url = \"https://registry.npmjs.org/@acme/tool/-/tool-${{version}}.tgz\";
      hash = \"{}\";
    }}}} --strip-components=1 -C $out
    cp ${{./lock.json}} $out/package-lock.json
    jq 'del(.devDependencies)' $out/package.json > $out/new.json
    mv $out/new.json $out/package.json
  '';
  npmDepsHash = \"{}\";
}}
",
            said["source_hash"].as_str().unwrap(),
            said["npm_deps_hash"].as_str().unwrap()
        );
        (text, lockfile)
    };
    let (old, new) = (of("1.0.0"), of("1.1.0"));
    world.project.write("default.nix", &old.0);
    world.project.write("lock.json", &old.1);
    let check = world.transcript(&["check"]);
    assert!(check.starts_with("exit 0\n") && check.contains("1 in sync"), "{check}");
    world.project.write("default.nix", old.0.replace("\"1.0.0\"", "\"1.1.0\""));
    let update = world.transcript(&["update"]);
    assert!(update.starts_with("exit 0\n") && update.contains("1 updated"), "{update}");
    assert_eq!(world.project.read("default.nix"), new.0);
    assert_eq!(world.project.read("lock.json"), new.1);
}
