//! What a package says of itself, as far as an expression needs it.

use std::collections::BTreeMap;

use npm_lockfile::in_step::is_optional_peer;
use npm_registry::packages::Release;
use npm_tarballs::package::{Contents, RunBy};
use serde_json::{Map, Value};

use super::{PackagingError, engines, license};

/// Scripts that npm runs when the package is installed.
const INSTALL: [&str; 3] = ["preinstall", "install", "postinstall"];

/// Scripts that npm runs when nixpkgs asks it what to install (`npm pack`), or on the way there.
const PACK: [&str; 5] = ["prepublish", "prepare", "prepack", "postpack", "preprepare"];

/// The longest description that is taken over, in characters.
const DESCRIPTION: usize = 160;

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// One line.
    pub description: Option<String>,
    /// A web address.
    pub homepage: Option<String>,
    /// The names of `lib.licenses`, where they are known.
    pub licenses: Vec<&'static str>,
    /// The licence as written.
    pub license: Option<String>,
    /// The program that the package is run by.
    pub main_program: Option<String>,
    /// All its programs.
    pub programs: Vec<Program>,
    /// The attribute of nixpkgs, such as `nodejs_22`.
    pub nodejs: Option<String>,
    /// The range that it was chosen for.
    pub engines: Option<String>,
    /// Whether it has to be built first: it has a build script, and its programs are not there without.
    pub needs_build: bool,
    /// Its own install scripts.
    pub install_scripts: Vec<String>,
    /// Scripts that would be run when it is packed.
    pub pack_scripts: Vec<String>,
    /// Whether it has native code that node-gyp compiles.
    pub gyp: bool,
    /// Dependencies that its tarball brings along.
    pub bundled: Vec<String>,
    /// What has to be installed besides it: dependencies that its tarball does not hold, peers that are not optional.
    pub dependencies: Vec<String>,
    /// Its optional dependencies that its tarball does not hold, and what it wants of them.
    pub optional: BTreeMap<String, String>,
    /// The folder that holds it, where the tarball has several.
    pub source_root: Option<String>,
}

/// A program of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What it is called by.
    pub name: String,
    /// The file in the package, below its folder.
    pub file: String,
    /// What runs that file; none if the tarball does not hold it.
    pub kind: Option<RunBy>,
}

impl Manifest {
    /// Reads the manifest in the tarball, which is the one that counts.
    ///
    /// # Errors
    /// There is none, or it is that of another package.
    pub(super) fn of(release: &Release, contents: &Contents) -> Result<Self, PackagingError> {
        let package = || format!("{}@{}", release.name, release.version);
        let wrong = |problem| PackagingError::Manifest { package: package(), problem };
        let bytes = contents.manifest.as_deref().ok_or_else(|| wrong("is missing"))?;
        let fields: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|_| wrong("is not a JSON object"))?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        // A registry takes what it says of a release from whoever published it, and does not compare that with the
        // tarball.
        if text("name") != Some(release.name.as_str()) || text("version") != Some(&release.version) {
            return Err(wrong("is that of another package"));
        }
        let programs = programs(&fields, release.name.base(), contents);
        let (dependencies, optional) = dependencies(&fields, contents);
        let scripts = fields.get("scripts").and_then(Value::as_object);
        let has = |name: &&str| scripts.is_some_and(|scripts| scripts.contains_key(*name));
        let named =
            |names: &[&str]| names.iter().copied().filter(|name| has(name)).map(str::to_owned).collect();
        let engines = fields.get("engines").and_then(|engines| engines.get("node")).and_then(Value::as_str);
        let license = license_text(&fields);
        let several = contents.tops.len() > 1;
        Ok(Self {
            description: text("description").and_then(one_line),
            homepage: text("homepage").filter(|url| is_web(url)).map(str::to_owned),
            licenses: license.as_deref().map(license::names).unwrap_or_default(),
            license,
            main_program: main_program(&programs, release.name.base()),
            nodejs: engines.and_then(engines::nodejs),
            engines: engines.map(|range| range.chars().take(80).collect()),
            needs_build: has(&"build") && !programs.iter().all(|program| program.kind.is_some()),
            install_scripts: named(&INSTALL),
            pack_scripts: named(&PACK),
            gyp: contents.files.contains_key("binding.gyp")
                || fields.get("gypfile") == Some(&Value::Bool(true)),
            bundled: bundled(&fields),
            dependencies,
            optional,
            source_root: several.then(|| "package".to_owned()),
            programs,
        })
    }

    /// Whether the lockfile leaves out `devDependencies`: nothing is built, so nothing needs them. That there are none
    /// now says nothing about the next version, which the same expression has to serve.
    #[must_use]
    pub(crate) fn drops_dev(&self) -> bool {
        !self.needs_build
    }
}

/// Installed packages that have install scripts, by their place in a lockfile.
pub(super) fn install_scripts(lockfile: &[u8]) -> Vec<String> {
    let lockfile: Value = serde_json::from_slice(lockfile).unwrap_or_default();
    let packages = lockfile["packages"].as_object();
    let scripted = |(place, entry): (&String, &Value)| {
        let has = !place.is_empty() && entry["hasInstallScript"] == Value::Bool(true);
        has.then(|| place.rsplit("node_modules/").next().unwrap_or(place).to_owned())
    };
    let mut names: Vec<_> = packages.into_iter().flatten().filter_map(scripted).collect();
    names.sort();
    names.dedup();
    names
}

/// The programs of `bin`; npm takes a single file as one under the package's name.
fn programs(fields: &Map<String, Value>, base: &str, contents: &Contents) -> Vec<Program> {
    let program = |name: &str, file: &str| {
        let file = file.trim_start_matches("./").trim_start_matches('/');
        let found = ["", ".js", "/index.js"].iter().find_map(|ending| {
            let file = format!("{file}{ending}");
            contents.files.get(&file).map(|kind| (file, *kind))
        });
        let (file, kind) = found.map_or((file.to_owned(), None), |(file, kind)| (file, Some(kind)));
        Program { name: name.to_owned(), file, kind }
    };
    match fields.get("bin") {
        Some(Value::String(file)) => vec![program(base, file)],
        Some(Value::Object(files)) => {
            let one = |(name, file): (&String, &Value)| {
                // npm links the last part of the name alone; a path in it would lead out of `bin`.
                let name = name.rsplit('/').next().unwrap_or(name);
                Some(program(name, file.as_str()?))
            };
            files.iter().filter_map(one).collect()
        }
        _ => Vec::new(),
    }
}

/// What an install of a package brings besides it, and what it brings where that can be had. As npm reads it: what is named
/// as both is optional; peers are installed unless they are optional.
fn dependencies(fields: &Map<String, Value>, contents: &Contents) -> (Vec<String>, BTreeMap<String, String>) {
    let named = |field: &str| fields.get(field).and_then(Value::as_object).into_iter().flatten();
    let is_held = |name: &String| contents.files.contains_key(&format!("node_modules/{name}/package.json"));
    let optional: BTreeMap<String, String> = named("optionalDependencies")
        .filter(|(name, _)| !is_held(name))
        .map(|(name, range)| (name.clone(), range.as_str().unwrap_or_default().to_owned()))
        .collect();
    let peers =
        named("peerDependencies").map(|(name, _)| name).filter(|name| !is_optional_peer(fields, name));
    let mut needed: Vec<String> = named("dependencies")
        .map(|(name, _)| name)
        .chain(peers)
        .filter(|name| !is_held(name) && !optional.contains_key(*name))
        .map(|name| name.escape_debug().to_string())
        .collect();
    needed.sort();
    needed.dedup();
    (needed, optional)
}

fn bundled(fields: &Map<String, Value>) -> Vec<String> {
    let found = fields.get("bundleDependencies").or_else(|| fields.get("bundledDependencies"));
    let names = found.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    names.map(|name| name.escape_debug().to_string()).collect()
}

/// As `npx` chooses: the only one, or that of the package's name; else the first.
fn main_program(programs: &[Program], base: &str) -> Option<String> {
    let own = programs.iter().find(|program| program.name == base);
    own.or(programs.first()).map(|program| program.name.clone())
}

/// The licence, in the forms that npm had over the years.
fn license_text(fields: &Map<String, Value>) -> Option<String> {
    let old = || fields.get("licenses")?.as_array()?.first();
    let found = fields.get("license").or_else(old)?;
    found.as_str().or_else(|| found.get("type")?.as_str()).map(|text| text.chars().take(120).collect())
}

fn is_web(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        && !url.contains(char::is_whitespace)
}

/// A text as nixpkgs wants descriptions: one line, no full stop.
fn one_line(text: &str) -> Option<String> {
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let mut line: String = words.join(" ");
    if line.chars().count() > DESCRIPTION {
        let short: String = line.chars().take(DESCRIPTION).collect();
        line = short.rsplit_once(' ').map_or(short.clone(), |(whole, _)| whole.to_owned()) + " ...";
    } else {
        line.truncate(line.trim_end_matches('.').len());
    }
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use npm_registry::packages::{PackageName, Packument};
    use serde_json::json;

    use super::*;

    fn manifest(fields: &Value, files: &[&str]) -> Result<Manifest, PackagingError> {
        let sri = npm_tarballs::integrity::ContentId::sha512_of(b"").sri();
        let entry = json!({ "name": "@s/tool", "version": "1.0.0",
                            "dist": { "tarball": "https://r/t.tgz", "integrity": sri } });
        let document = json!({ "versions": { "1.0.0": entry } }).to_string();
        let name = PackageName::parse("@s/tool").unwrap();
        let release = Packument::parse(&name, document.as_bytes()).unwrap().release("1.0.0").unwrap();
        let mut own = json!({ "name": "@s/tool", "version": "1.0.0" });
        own.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let contents = Contents {
            tops: ["package".to_owned()].into(),
            files: files.iter().map(|&file| (file.to_owned(), RunBy::Other)).collect(),
            manifest: Some(own.to_string().into_bytes()),
            shrinkwrap: None,
        };
        Manifest::of(&release, &contents)
    }

    #[test]
    fn programs_as_npx_chooses() {
        let main = |bin: Value| manifest(&json!({ "bin": bin }), &[]).unwrap().main_program;
        assert_eq!(main(json!("cli.js")).as_deref(), Some("tool"));
        assert_eq!(main(json!({ "a": "a.js", "tool": "b.js" })).as_deref(), Some("tool"));
        assert_eq!(main(json!({ "b": "b.js", "c": "c.js" })).as_deref(), Some("b"));
        assert_eq!(main(json!(null)), None);
    }

    #[test]
    fn what_is_built_already_needs_no_build() {
        let fields = json!({ "bin": "./dist/cli", "scripts": { "build": "tsc", "prepack": "tsc" },
                             "devDependencies": { "typescript": "5" } });
        let shipped = manifest(&fields, &["dist/cli.js"]).unwrap();
        assert!(!shipped.needs_build && shipped.drops_dev());
        assert_eq!(shipped.pack_scripts, ["prepack"]);
        let bare = manifest(&fields, &["src/cli.ts"]).unwrap();
        assert!(bare.needs_build && !bare.drops_dev());
    }

    #[test]
    fn native_code_and_scripts_are_seen() {
        let found = manifest(&json!({ "scripts": { "postinstall": "x", "test": "y" } }), &["binding.gyp"]);
        let found = found.unwrap();
        assert!(found.gyp);
        assert_eq!(found.install_scripts, ["postinstall"]);
        let lockfile = json!({ "packages": { "": { "hasInstallScript": true },
            "node_modules/a": { "hasInstallScript": true }, "node_modules/b/node_modules/a": { "hasInstallScript": true },
            "node_modules/c": {} } });
        assert_eq!(install_scripts(lockfile.to_string().as_bytes()), ["a"]);
    }

    #[test]
    fn texts_are_made_fit() {
        let found = manifest(
            &json!({ "description": "does\n\tthings.", "homepage": "javascript:x", "license": { "type": "MIT" } }),
            &[],
        );
        let found = found.unwrap();
        assert_eq!(found.description.as_deref(), Some("does things"));
        assert_eq!((found.homepage, found.licenses), (None, vec!["mit"]));
        let long = one_line(&"word ".repeat(100)).unwrap();
        assert!(long.len() <= DESCRIPTION + 4 && long.ends_with("word ..."));
    }

    #[test]
    fn a_manifest_of_another_package_is_refused() {
        let error = manifest(&json!({ "version": "2.0.0" }), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the package.json in the tarball of @s/tool@1.0.0 is that of another package"
        );
    }
}
