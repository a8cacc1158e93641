//! Random small repositories whose meaning only an evaluator can tell: names are few, so that shadowing, `with`, `rec`,
//! `inherit`, defaults and overrides meet in all orders.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// What an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A folder with a lockfile.
    Path,
    /// A hash, from one literal.
    Hash,
    /// `{ src, hash }`.
    Record,
    /// A function from a folder to a folder.
    Function,
}

/// The names that a binding construct brings. A name without a kind is bound but must not be used yet: it would be its
/// own value.
struct Frame {
    with: bool,
    names: BTreeMap<&'static str, Option<Kind>>,
}

const NAMES: [&str; 6] = ["a", "b", "src", "hash", "x", "dir"];
const FOLDERS: u64 = 6;

/// A generator of pseudo-random numbers that is the same everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            dice.below(2);
        }
        dice
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// Writes one repository.
pub struct Writer {
    dice: Dice,
    scope: Vec<Frame>,
    literals: u64,
    data: Vec<String>,
    label: String,
    /// Where the expression stands: paths, imports and names differ.
    place: Place,
    /// A flake for two systems, or a `default.nix`.
    flake: bool,
    /// Package files, called by `callPackage`.
    packages: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Program,
    /// It neither imports itself nor reads the data file.
    Library,
    /// It has only the names that it asks for.
    Package,
}

impl Writer {
    pub fn new(label: &str, seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            scope: Vec::new(),
            literals: 0,
            data: Vec::new(),
            label: label.to_owned(),
            place: Place::Program,
            flake: false,
            packages: Vec::new(),
        }
    }

    /// Fills a folder with a `default.nix` of a few derivations, a library file, a data file and the lockfiles.
    pub fn write(mut self, root: &Path) {
        self.flake = self.dice.below(2) == 0;
        let library = self.library();
        let program = self.program();
        let data: Vec<String> =
            self.data.iter().enumerate().map(|(at, hash)| format!("  \"k{at}\": \"{hash}\"")).collect();
        put(&root.join(if self.flake { "flake.nix" } else { "default.nix" }), &program);
        for (at, package) in self.packages.iter().enumerate() {
            put(&root.join(format!("nix/p{at}.nix")), package);
        }
        put(&root.join("sub/lib.nix"), &library);
        put(&root.join("pins.json"), &format!("{{\n{}\n}}\n", data.join(",\n")));
        for parent in ["", "sub/", "nix/"] {
            for folder in 0..FOLDERS {
                for below in ["", "/ui"] {
                    let name = format!("{}-{parent}d{folder}{below}", self.label);
                    let lock =
                        format!("{{ \"name\": \"{name}\", \"lockfileVersion\": 3, \"packages\": {{}} }}\n");
                    put(&root.join(format!("{parent}d{folder}{below}/package-lock.json")), &lock);
                }
            }
        }
    }

    fn library(&mut self) -> String {
        self.place = Place::Library;
        let (src, hash) = (self.any(Kind::Path, 2), self.any(Kind::Hash, 2));
        let body = self.bound(&[("x", Kind::Path)], |w| w.any(Kind::Path, 2));
        self.place = Place::Program;
        format!("{{ lib }}:\n{{\n  src = {src};\n  hash = {hash};\n  f = x: {body};\n}}\n")
    }

    fn program(&mut self) -> String {
        let (bindings, count) = self.bindings(4);
        let head = if self.flake {
            "{\n  inputs.nixpkgs.url = \"nixpkgs\";\n  outputs = { self, nixpkgs }: let\n  inherit (nixpkgs) lib;\n  \
             systems = [ \"x86_64-linux\" \"aarch64-darwin\" ];\nin { packages = lib.genAttrs systems (system: let\n  \
             pkgs = nixpkgs.legacyPackages.${system};\n"
        } else {
            "{ pkgs }:\nlet\n  inherit (pkgs) lib;\n"
        };
        let mut text = format!("{head}{bindings}in\n{{\n");
        for at in 0..3 {
            let derivation = self.derivation(4);
            let _ = writeln!(text, "  drv{at} =\n    {derivation};");
        }
        self.scope.truncate(self.scope.len() - count);
        text + if self.flake { "}); };\n}\n" } else { "}\n" }
    }

    /// Bindings of a `let`, of which each sees the earlier ones; their names stay in scope.
    fn bindings(&mut self, depth: u32) -> (String, usize) {
        let mut names: Vec<&'static str> = NAMES.to_vec();
        let count = 1 + self.dice.below(3);
        let chosen: Vec<&'static str> = (0..count)
            .map(|_| names.swap_remove(usize::try_from(self.dice.below(names.len() as u64)).expect("small")))
            .collect();
        self.scope.push(Frame { with: false, names: chosen.iter().map(|name| (*name, None)).collect() });
        let mut text = String::new();
        for name in chosen {
            let kind = [Kind::Path, Kind::Hash, Kind::Record, Kind::Function][self.pick(4)];
            let value = self.any(kind, depth.saturating_sub(1));
            let _ = writeln!(text, "  {name} = {value};");
            self.scope.last_mut().expect("pushed above").names.insert(name, Some(kind));
        }
        (text, 1)
    }

    fn pick(&mut self, limit: u64) -> usize {
        usize::try_from(self.dice.below(limit)).expect("small")
    }

    fn bound(&mut self, names: &[(&'static str, Kind)], inside: impl FnOnce(&mut Self) -> String) -> String {
        let names = names.iter().map(|(name, kind)| (*name, Some(*kind))).collect();
        self.framed(false, names, inside)
    }

    fn framed(
        &mut self,
        with: bool,
        names: BTreeMap<&'static str, Option<Kind>>,
        inside: impl FnOnce(&mut Self) -> String,
    ) -> String {
        self.scope.push(Frame { with, names });
        let text = inside(self);
        self.scope.pop();
        text
    }

    /// A name of the kind that means what it says here: lexical names come before those of any `with`.
    fn variable(&mut self, kind: Kind) -> Option<&'static str> {
        let mut seen = BTreeSet::new();
        let mut fitting = Vec::new();
        for with in [false, true] {
            for frame in self.scope.iter().rev().filter(|frame| frame.with == with) {
                for (name, found) in &frame.names {
                    if seen.insert(*name) && *found == Some(kind) {
                        fitting.push(*name);
                    }
                }
            }
        }
        if fitting.is_empty() {
            return None;
        }
        let at = self.pick(fitting.len() as u64);
        Some(fitting[at])
    }

    /// A hash that occurs nowhere else.
    fn fresh(&mut self) -> String {
        self.literals += 1;
        fresh_hash(&format!("{}:{}", self.label, self.literals))
    }

    fn leaf(&mut self, kind: Kind) -> String {
        if self.dice.below(2) == 0
            && let Some(name) = self.variable(kind)
        {
            return name.to_owned();
        }
        let folder = self.dice.below(FOLDERS);
        match (kind, self.dice.below(4)) {
            (Kind::Path, 3) if self.flake && self.place == Place::Program => match self.dice.below(2) {
                0 => format!("\"${{self}}/d{folder}\""),
                _ => format!("(self + \"/d{folder}\")"),
            },
            (Kind::Path, 0) => format!("(./. + \"/d{folder}\")"),
            (Kind::Path, 1) => format!("./d${{toString {folder}}}"),
            (Kind::Path, _) => format!("./d{folder}"),
            (Kind::Hash, 0) if self.place == Place::Program => {
                let hash = self.fresh();
                self.data.push(hash);
                let key = self.data.len() - 1;
                format!("(builtins.fromJSON (builtins.readFile ./pins.json)).k{key}")
            }
            (Kind::Hash, _) => format!("\"{}\"", self.fresh()),
            (Kind::Record, _) => {
                let (src, hash) = (self.leaf(Kind::Path), self.leaf(Kind::Hash));
                format!("{{ src = {src}; hash = {hash}; }}")
            }
            (Kind::Function, _) => format!("(_: ./d{folder})"),
        }
    }

    fn condition(&mut self, depth: u32) -> String {
        match self.dice.below(10) {
            7.. => super::random_pure::condition(&mut self.dice),
            6 if self.flake && self.place == Place::Program => "pkgs.stdenv.hostPlatform.isDarwin".to_owned(),
            0 | 6 => "true".to_owned(),
            1 => "(1 == 2)".to_owned(),
            2 => "(\"a\" != \"b\" && !false)".to_owned(),
            3 => format!("({} ? hash)", self.any(Kind::Record, depth)),
            4 => format!("({} ? nothing.here)", self.any(Kind::Record, depth)),
            _ => "(builtins.elem 2 [ 1 3 ])".to_owned(),
        }
    }

    /// An expression of a kind.
    fn any(&mut self, kind: Kind, depth: u32) -> String {
        if depth == 0 {
            return self.leaf(kind);
        }
        let next = depth - 1;
        match self.dice.below(13) {
            0 => format!(
                "(if {} then {} else {})",
                self.condition(next),
                self.any(kind, next),
                self.any(kind, next)
            ),
            1 => {
                let (bindings, count) = self.bindings(next);
                let body = self.any(kind, next);
                self.scope.truncate(self.scope.len() - count);
                format!("(let {} in {body})", bindings.replace('\n', " "))
            }
            2 => self.within(kind, next),
            3 => {
                let index = self.dice.below(2);
                format!("(builtins.elemAt [ {} {} ] {index})", self.item(kind, next), self.item(kind, next))
            }
            4 => self.applied(kind, next),
            5 => self.called(kind, next),
            6 => format!("({}.nothing.at.all or {})", self.item(Kind::Record, next), self.item(kind, next)),
            7 => format!("(builtins.head (builtins.filter (_: true) [ {} ]))", self.item(kind, next)),
            8 => format!(
                "(lib.foldl' (acc: new: new) {} [ {} ])",
                self.item(kind, next),
                self.item(kind, next)
            ),
            _ => self.own(kind, next),
        }
    }

    /// In the place of a list's item, so with brackets.
    fn item(&mut self, kind: Kind, depth: u32) -> String {
        format!("({})", self.any(kind, depth))
    }

    fn within(&mut self, kind: Kind, depth: u32) -> String {
        let record = self.any(Kind::Record, depth);
        let names = BTreeMap::from([("src", Some(Kind::Path)), ("hash", Some(Kind::Hash))]);
        let body = self.framed(true, names, |w| w.any(kind, depth));
        format!("(with {record}; {body})")
    }

    /// `(x: ..) argument`.
    fn applied(&mut self, kind: Kind, depth: u32) -> String {
        let argument = [Kind::Path, Kind::Hash, Kind::Record][self.pick(3)];
        let name = NAMES[self.pick(6)];
        let value = self.item(argument, depth);
        let body = self.bound(&[(name, argument)], |w| w.any(kind, depth));
        format!("(({name}: {body}) {value})")
    }

    /// `({ src, b ? .., ... }@a: ..) record`.
    fn called(&mut self, kind: Kind, depth: u32) -> String {
        let record = self.item(Kind::Record, depth);
        let extra = self.any(kind, 0);
        let names = BTreeMap::from([("src", Some(Kind::Path)), ("b", None), ("a", Some(Kind::Record))]);
        let default = self.framed(false, names.clone(), |w| w.any(Kind::Hash, depth.min(1)));
        let mut all = names;
        all.insert("b", Some(Kind::Hash));
        let body = self.framed(false, all, |w| w.any(kind, depth));
        let given =
            if self.dice.below(2) == 0 { String::new() } else { format!(" // {{ unused = {extra}; }}") };
        format!("(({{ src, b ? {default}, ... }}@a: {body}) ({record}{given}))")
    }

    fn own(&mut self, kind: Kind, depth: u32) -> String {
        match kind {
            Kind::Path => self.path(depth),
            Kind::Hash => self.hash(depth),
            Kind::Record => self.record(depth),
            Kind::Function => {
                let name = NAMES[self.pick(6)];
                let body = self.bound(&[(name, Kind::Path)], |w| w.any(Kind::Path, depth));
                format!("({name}: {body})")
            }
        }
    }

    fn path(&mut self, depth: u32) -> String {
        let library = "(import ./sub/lib.nix { inherit lib; })";
        match self.dice.below(5) {
            0 => format!("({} {})", self.item(Kind::Function, depth), self.item(Kind::Path, depth)),
            1 if self.place == Place::Program => format!("{library}.src"),
            2 if self.place == Place::Program => format!("({library}.f {})", self.item(Kind::Path, depth)),
            3 => format!("({}.src)", self.item(Kind::Record, depth)),
            _ => format!("(builtins.getAttr \"src\" {})", self.item(Kind::Record, depth)),
        }
    }

    fn hash(&mut self, depth: u32) -> String {
        match self.dice.below(4) {
            0 if self.place == Place::Program => "(import ./sub/lib.nix { inherit lib; }).hash".to_owned(),
            1 => format!("(lib.attrByPath [ \"hash\" ] null {})", self.item(Kind::Record, depth)),
            2 => format!("(builtins.seq {} {})", self.item(Kind::Path, depth), self.item(Kind::Hash, depth)),
            _ => format!("({}.hash)", self.item(Kind::Record, depth)),
        }
    }

    fn record(&mut self, depth: u32) -> String {
        match self.dice.below(9) {
            0 => format!("({} // {})", self.item(Kind::Record, depth), self.item(Kind::Record, depth)),
            1 => format!(
                "({} // {{ src = {}; }})",
                self.item(Kind::Record, depth),
                self.any(Kind::Path, depth)
            ),
            2 => self.recursive(depth),
            3 => format!(
                "{{ inherit ({}) src; hash = {}; }}",
                self.any(Kind::Record, depth),
                self.any(Kind::Hash, depth)
            ),
            4 => format!(
                "(removeAttrs {} [ \"src\" ] // {{ src = {}; }})",
                self.item(Kind::Record, depth),
                self.any(Kind::Path, depth)
            ),
            5 => format!("(builtins.mapAttrs (_: v: v) {})", self.item(Kind::Record, depth)),
            6 => format!(
                "(builtins.listToAttrs [ {{ name = \"src\"; value = {}; }} {{ name = \"hash\"; value = {}; }} ])",
                self.any(Kind::Path, depth),
                self.any(Kind::Hash, depth)
            ),
            7 => format!(
                "(lib.recursiveUpdate {} {{ hash = {}; }})",
                self.item(Kind::Record, depth),
                self.any(Kind::Hash, depth)
            ),
            _ => format!("(lib.filterAttrs (n: _: n != \"no\") {})", self.item(Kind::Record, depth)),
        }
    }

    /// `rec { dir = ..; src = ..; hash = ..; }`, each after the one that it may use.
    fn recursive(&mut self, depth: u32) -> String {
        let mut names = BTreeMap::from([("dir", None), ("src", None), ("hash", None)]);
        let dir = self.framed(false, names.clone(), |w| w.any(Kind::Path, depth));
        names.insert("dir", Some(Kind::Path));
        let src = self.framed(false, names.clone(), |w| w.any(Kind::Path, depth));
        names.insert("src", Some(Kind::Path));
        let hash = self.framed(false, names, |w| w.any(Kind::Hash, depth));
        format!("rec {{ hash = {hash}; src = {src}; dir = {dir}; }}")
    }

    fn derivation(&mut self, depth: u32) -> String {
        let next = depth.saturating_sub(1);
        if depth == 0 {
            return self.plain(0);
        }
        match self.dice.below(15) {
            0 => self.overridden(next),
            1 => self.wrapped(next),
            2 => self.fixed_point(next),
            3 => self.own_dependencies(next),
            4 => self.overridable(next),
            5 => self.with_default(next),
            6 => {
                let condition = self.condition(next);
                format!("(if {condition} then {} else {})", self.derivation(next), self.derivation(next))
            }
            7 => self.rooted(next),
            8 => self.vendored(next),
            9 => self.mapped(next),
            10 => self.listed(next),
            11 if self.place == Place::Program => self.package_file(next),
            12 => self.filtered(next),
            _ => self.plain(next),
        }
    }

    fn fixed_point(&mut self, depth: u32) -> String {
        let (root, hash) = (self.any(Kind::Path, depth), self.any(Kind::Hash, depth));
        format!(
            "(pkgs.buildNpmPackage (fa: {{ name = \"n\"; root = {root}; src = fa.root; npmDepsHash = fa.deps; deps = {hash}; }}))"
        )
    }

    /// `npmDeps` is given, so the package's own hash is dead.
    fn own_dependencies(&mut self, depth: u32) -> String {
        let (given, hash) = (self.any(Kind::Path, depth), self.any(Kind::Hash, depth));
        let (dead, src) = (self.any(Kind::Hash, depth), self.any(Kind::Path, depth));
        format!(
            "(pkgs.buildNpmPackage {{ name = \"n\"; src = {src}; npmDepsHash = {dead}; \
             npmDeps = pkgs.fetchNpmDeps {{ src = {given}; hash = {hash}; }}; }})"
        )
    }

    fn overridable(&mut self, depth: u32) -> String {
        let (record, changed) = (self.item(Kind::Record, depth), self.any(Kind::Path, depth));
        let body = self.bound(&[("src", Kind::Path), ("hash", Kind::Hash)], |w| w.derivation(depth));
        format!(
            "((lib.makeOverridable ({{ src, hash, ... }}: {body}) {record}).override {{ src = {changed}; }})"
        )
    }

    fn with_default(&mut self, depth: u32) -> String {
        let default = self.framed(false, BTreeMap::from([("src", None)]), |w| w.any(Kind::Path, depth));
        let hash = self.bound(&[("src", Kind::Path)], |w| w.any(Kind::Hash, depth));
        let given = self.any(Kind::Path, depth);
        let arguments = if self.dice.below(2) == 0 { String::new() } else { format!(" src = {given};") };
        format!(
            "(pkgs.callPackage ({{ buildNpmPackage, src ? {default} }}: \
             buildNpmPackage {{ name = \"n\"; inherit src; npmDepsHash = {hash}; }}) {{{arguments} }})"
        )
    }

    fn rooted(&mut self, depth: u32) -> String {
        let (src, hash) = (self.item(Kind::Path, depth), self.any(Kind::Hash, depth));
        format!(
            "(pkgs.buildNpmPackage {{ name = \"n\"; src = builtins.path {{ path = {src}; name = \"s\"; }}; \
             sourceRoot = \"s/ui\"; npmDepsHash = {hash}; }})"
        )
    }

    fn vendored(&mut self, depth: u32) -> String {
        let (src, lock, hash) =
            (self.any(Kind::Path, depth), self.item(Kind::Path, depth), self.any(Kind::Hash, depth));
        format!(
            "(pkgs.buildNpmPackage {{ name = \"n\"; src = {src}; \
             postPatch = \"cp ${{{lock} + \"/ui/package-lock.json\"}} package-lock.json\"; npmDepsHash = {hash}; }})"
        )
    }

    fn mapped(&mut self, depth: u32) -> String {
        let (one, two) = (self.item(Kind::Record, depth), self.item(Kind::Record, depth));
        format!(
            "(builtins.mapAttrs (name: r: pkgs.buildNpmPackage {{ inherit name; inherit (r) src; npmDepsHash = r.hash; }}) \
             {{ p = {one}; q = {two}; }}).p"
        )
    }

    fn listed(&mut self, depth: u32) -> String {
        let (one, two) = (self.item(Kind::Record, depth), self.item(Kind::Record, depth));
        let body = self.bound(&[("x", Kind::Record)], |w| w.derivation(depth));
        format!("(lib.listToAttrs (map (x: {{ name = \"k\"; value = {body}; }}) [ {one} {two} ])).k")
    }

    fn filtered(&mut self, depth: u32) -> String {
        let (src, hash) = (self.item(Kind::Path, depth), self.any(Kind::Hash, depth));
        let filter = [
            "_: _: true",
            "p: t: t == \"directory\" || baseNameOf p != \"README\"",
            "p: _: !(lib.hasSuffix \".md\" p)",
        ][self.pick(3)];
        format!(
            "(pkgs.buildNpmPackage {{ name = \"n\"; src = lib.cleanSourceWith {{ src = {src}; filter = {filter}; }}; \
             sourceRoot = \"source/ui\"; npmDepsHash = {hash}; }})"
        )
    }

    fn plain(&mut self, depth: u32) -> String {
        match self.dice.below(3) {
            0 => {
                let record = self.any(Kind::Record, depth);
                format!(
                    "(let r = {record}; in pkgs.buildNpmPackage {{ name = \"n\"; inherit (r) src; npmDepsHash = r.hash; }})"
                )
            }
            1 => {
                let src = self.framed(false, BTreeMap::from([("src", None)]), |w| w.any(Kind::Path, depth));
                let hash = self.bound(&[("src", Kind::Path)], |w| w.any(Kind::Hash, depth));
                format!("(pkgs.buildNpmPackage rec {{ name = \"n\"; npmDepsHash = {hash}; src = {src}; }})")
            }
            _ if self.dice.below(3) == 0 => {
                let (src, hash) = (self.any(Kind::Path, depth), self.any(Kind::Hash, depth));
                let (version, force) = (self.condition(depth.min(1)), self.condition(depth.min(1)));
                format!(
                    "(pkgs.buildNpmPackage ({{ npmDepsFetcherVersion = if {version} then 2 else 1; }} // {{ name = \"n\"; src = {src}; forceGitDeps = {force}; npmDepsHash = {hash}; }}))"
                )
            }
            _ => {
                let (src, hash) = (self.any(Kind::Path, depth), self.any(Kind::Hash, depth));
                format!("(pkgs.buildNpmPackage {{ name = \"n\"; src = {src}; npmDepsHash = {hash}; }})")
            }
        }
    }

    /// A file of its own below `nix/`, whose paths are relative to it, called with some of its arguments.
    fn package_file(&mut self, depth: u32) -> String {
        let outer = std::mem::take(&mut self.scope);
        self.place = Place::Package;
        let blocked = BTreeMap::from([("src", None), ("hash", None)]);
        let src = self.framed(false, blocked.clone(), |w| w.any(Kind::Path, depth));
        let hash = self.framed(false, blocked, |w| w.any(Kind::Hash, depth));
        let body = self.bound(&[("src", Kind::Path), ("hash", Kind::Hash)], |w| {
            let (src, hash) = (w.any(Kind::Path, depth), w.any(Kind::Hash, depth));
            format!("buildNpmPackage {{ name = \"n\"; src = {src}; npmDepsHash = {hash}; }}")
        });
        self.packages.push(format!("{{ buildNpmPackage, lib, src ? {src}, hash ? {hash} }}:\n{body}\n"));
        self.place = Place::Program;
        self.scope = outer;
        let at = self.packages.len() - 1;
        let given = match self.dice.below(4) {
            0 => format!("src = {};", self.any(Kind::Path, depth)),
            1 => format!("hash = {};", self.any(Kind::Hash, depth)),
            2 => format!("src = {}; hash = {};", self.any(Kind::Path, depth), self.any(Kind::Hash, depth)),
            _ => String::new(),
        };
        format!("(pkgs.callPackage ./nix/p{at}.nix {{ {given} }})")
    }

    fn wrapped(&mut self, depth: u32) -> String {
        let record = self.item(Kind::Record, depth);
        let body = self.bound(&[("src", Kind::Path), ("hash", Kind::Hash), ("a", Kind::Record)], |w| {
            w.derivation(depth)
        });
        format!("(let mk = {{ src, hash, ... }}@a: {body}; in mk {record})")
    }

    fn overridden(&mut self, depth: u32) -> String {
        let base = self.derivation(depth);
        let (src, hash) = (self.any(Kind::Path, depth), self.any(Kind::Hash, depth));
        match self.dice.below(4) {
            0 => format!("({base}.overrideAttrs {{ src = {src}; }})"),
            1 => format!("({base}.overrideAttrs (old: {{ npmDepsHash = {hash}; }}))"),
            2 => format!(
                "({base}.overrideAttrs (old: rec {{ npmDepsHash = {hash}; npmDeps = pkgs.fetchNpmDeps {{ inherit (old) src; hash = npmDepsHash; }}; }}))"
            ),
            _ => format!(
                "({base}.overrideAttrs (final: prev: {{ root = {src}; npmDeps = pkgs.fetchNpmDeps {{ src = final.root; hash = {hash}; }}; }}))"
            ),
        }
    }
}

/// The hash of a text, in the spelling of a literal.
pub fn fresh_hash(text: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(text)))
}

pub fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
    fs::write(path, text).expect("the file is written");
}
