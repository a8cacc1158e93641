//! Random repositories whose flags, platforms and arguments decide which hash goes with which lockfile.
//!
//! Flags stand in a TOML file, as the default of an argument, and in what nixpkgs says of the platform; conditions of up to
//! three of them choose hashes, sources, whole arguments, wrappers and calls, each in its own place.

use std::path::Path;

use super::random_nix::{Dice, fresh_hash, put};

/// The values that the flags of one configuration have.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
pub struct Flags {
    pub a: bool,
    pub b: bool,
    pub c: bool,
    pub full: bool,
}

impl Flags {
    /// All of them.
    pub fn every() -> impl Iterator<Item = Self> {
        (0..16).map(|n| Self { a: n & 1 > 0, b: n & 2 > 0, c: n & 4 > 0, full: n & 8 > 0 })
    }

    pub fn toml(self) -> String {
        let Self { a, b, c, full } = self;
        format!("mode = \"{}\"\na = {a}\nb = {b}\nc = {c}\n", if full { "full" } else { "slender" })
    }
}

/// The files of one repository, but for its lockfiles and `flags.toml`.
pub struct Program {
    pub default: String,
    pub wrappers: String,
    pub hashes: String,
    /// The flags of today.
    pub flags: Flags,
}

impl Program {
    pub fn put(&self, root: &Path, flags: Flags) {
        put(&root.join("default.nix"), &self.default);
        put(&root.join("wrappers.nix"), &self.wrappers);
        put(&root.join("hashes.json"), &self.hashes);
        put(&root.join("flags.toml"), &flags.toml());
    }
}

/// The folders that have a lockfile.
pub fn folders() -> impl Iterator<Item = String> {
    (0..FOLDERS).flat_map(|n| [format!("s{n}"), format!("sub/s{n}")])
}

const FOLDERS: u64 = 5;

/// Writes one repository.
pub struct FlagWriter {
    dice: Dice,
    seed: u64,
    names: u64,
    variables: Vec<String>,
    data: Vec<String>,
}

impl FlagWriter {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), seed, names: 0, variables: Vec::new(), data: Vec::new() }
    }

    pub fn program(mut self) -> Program {
        let mut flag = || self.dice.below(2) == 0;
        let flags = Flags { a: flag(), b: flag(), c: flag(), full: flag() };
        let given = flag();
        let mut variables = String::new();
        for n in 0..self.dice.below(3) {
            let hash = self.hash(1);
            variables.push_str(&format!("  h{n} = {hash};\n"));
            self.variables.push(format!("h{n}"));
        }
        let body = self.packages(2);
        let chosen = self.condition(2);
        let wrappers = WRAPPERS.replace("CONDITION", &chosen);
        let default = format!(
            "{{ pkgs, extra ? {given} }}:\nlet\n  inherit (pkgs) lib;\n  cfg = builtins.fromTOML (builtins.readFile ./flags.toml);\n  \
             hashes = builtins.fromJSON (builtins.readFile ./hashes.json);\n  \
             make = import ./wrappers.nix {{ inherit pkgs cfg extra; }};\n{variables}in\n{body}\n"
        );
        Program { default, wrappers, hashes: format!("{{{}}}\n", self.data.join(", ")), flags }
    }

    fn condition(&mut self, depth: u32) -> String {
        let flag = ["a", "b", "c"][usize::try_from(self.dice.below(3)).expect("small")];
        let die = self.dice.below(16);
        let mut inner = || self.condition(depth - 1);
        match die {
            0 | 1 if depth > 0 => format!("({} && {})", inner(), inner()),
            2 if depth > 0 => format!("({} || {})", inner(), inner()),
            3 if depth > 0 => format!("({} -> {})", inner(), inner()),
            4 if depth > 0 => format!("(!{})", inner()),
            5 => "(cfg.mode == \"full\")".to_owned(),
            6 => "pkgs.stdenv.hostPlatform.isDarwin".to_owned(),
            7 => "extra".to_owned(),
            8 => format!("(cfg.{flag} or false)"),
            12 if depth > 0 => format!("([ {} {} ] == [ true false ])", inner(), inner()),
            13 if depth > 0 => {
                format!("(builtins.length (builtins.filter (x: x) [ {} {} ]) > 1)", inner(), inner())
            }
            14 => "(builtins.stringLength cfg.mode > 4)".to_owned(),
            15 => format!("(\"${{cfg.mode}}-${{builtins.toJSON cfg.{flag}}}\" == \"full-true\")"),
            _ => format!("cfg.{flag}"),
        }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("p{}", self.names)
    }

    fn literal(&mut self) -> String {
        let name = self.name();
        let hash = fresh_hash(&format!("{}:{name}", self.seed));
        if self.dice.below(5) > 0 {
            return format!("\"{hash}\"");
        }
        self.data.push(format!("\"{name}\": \"{hash}\""));
        format!("hashes.{name}")
    }

    fn hash(&mut self, depth: u32) -> String {
        match self.dice.below(10) {
            0 | 1 if depth > 0 => {
                format!(
                    "(if {} then {} else {})",
                    self.condition(2),
                    self.hash(depth - 1),
                    self.hash(depth - 1)
                )
            }
            2 if !self.variables.is_empty() => {
                let at = usize::try_from(self.dice.below(self.variables.len() as u64)).expect("small");
                self.variables[at].clone()
            }
            _ => self.literal(),
        }
    }

    fn source(&mut self, depth: u32) -> String {
        let folder = self.dice.below(FOLDERS);
        match self.dice.below(10) {
            0 | 1 if depth > 0 => {
                format!(
                    "(if {} then {} else {})",
                    self.condition(2),
                    self.source(depth - 1),
                    self.source(depth - 1)
                )
            }
            2 => format!("(./. + \"/s{folder}\")"),
            3 => format!("(./. + \"/${{lib.optionalString {} \"sub/\"}}s{folder}\")", self.condition(2)),
            _ => format!("./s{folder}"),
        }
    }

    fn arguments(&mut self, depth: u32) -> String {
        match self.dice.below(10) {
            0 | 1 if depth > 0 => {
                format!(
                    "({} // lib.optionalAttrs {} {})",
                    self.arguments(depth - 1),
                    self.condition(2),
                    self.part()
                )
            }
            2 | 3 if depth > 0 => {
                format!(
                    "(if {} then {} else {})",
                    self.condition(2),
                    self.arguments(depth - 1),
                    self.arguments(depth - 1)
                )
            }
            _ => format!("{{ src = {}; npmDepsHash = {}; }}", self.source(1), self.hash(1)),
        }
    }

    fn part(&mut self) -> String {
        match self.dice.below(3) {
            0 => format!("{{ src = {}; }}", self.source(1)),
            1 => format!("{{ npmDepsHash = {}; }}", self.hash(1)),
            _ => format!("{{ src = {}; npmDepsHash = {}; }}", self.source(1), self.hash(1)),
        }
    }

    fn call(&mut self, name: &str, depth: u32) -> String {
        match self.dice.below(10) {
            0..=2 => format!("pkgs.buildNpmPackage ({{ name = \"{name}\"; }} // {})", self.arguments(1)),
            3 | 4 if depth > 0 => {
                format!(
                    "(if {} then {} else {})",
                    self.condition(2),
                    self.call(name, depth - 1),
                    self.call(name, depth - 1)
                )
            }
            5 | 6 => format!("make.plain ({{ name = \"{name}\"; }} // {})", self.arguments(1)),
            7 | 8 => format!(
                "make.chosen {{ name = \"{name}\"; one = {}; two = {}; }}",
                self.arguments(0),
                self.arguments(0)
            ),
            _ => {
                let second = ["", "second = true; ", "second = false; "]
                    [usize::try_from(self.dice.below(3)).expect("small")];
                format!(
                    "make.flagged {{ name = \"{name}\"; {second}src = {}; npmDepsHash = {}; other = ./s{}; }}",
                    self.source(1),
                    self.hash(1),
                    self.dice.below(FOLDERS)
                )
            }
        }
    }

    fn packages(&mut self, depth: u32) -> String {
        let name = self.name();
        match self.dice.below(10) {
            0 | 1 if depth > 0 => {
                format!(
                    "({} // lib.optionalAttrs {} {})",
                    self.packages(depth - 1),
                    self.condition(2),
                    self.packages(depth - 1)
                )
            }
            2 if depth > 0 => {
                format!(
                    "(if {} then {} else {})",
                    self.condition(2),
                    self.packages(depth - 1),
                    self.packages(depth - 1)
                )
            }
            3 if depth > 0 => format!(
                "{{ {name} = lib.optionals {} [ ({}) ] ++ lib.optional {} ({}); }}",
                self.condition(2),
                self.call(&name, 2),
                self.condition(2),
                self.call(&name, 2)
            ),
            4 => format!("{{ {name} = {}; }}", self.call(&name, 2)),
            _ => {
                let other = self.name();
                format!("{{ {name} = {}; {other} = {}; }}", self.call(&name, 2), self.call(&other, 2))
            }
        }
    }
}

const WRAPPERS: &str = r"{ pkgs, cfg, extra }:
let
  inherit (pkgs) lib;
in
{
  plain = { name, ... }@args: pkgs.buildNpmPackage { inherit name; inherit (args) src npmDepsHash; };
  chosen = { name, one, two }: pkgs.buildNpmPackage ({ inherit name; } // (if CONDITION then one else two));
  flagged = { name, src, npmDepsHash, other, second ? false }: pkgs.buildNpmPackage {
    inherit name npmDepsHash;
    src = if second then other else src;
  };
}
";
