//! Random phases: what shell text does to a lockfile before it is hashed. Every command stays inside the build's folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::random_nix::{Dice, fresh_hash, put};

const LOCKS: u64 = 5;

/// The phases of one derivation, in the spelling of an indented string: six blanks before each line.
pub struct Drawn {
    /// The folder that is its source.
    pub tree: &'static str,
    /// Whether `sourceRoot` is its folder `sub`.
    pub below: bool,
    pub phases: Vec<(&'static str, String)>,
}

/// Writes one repository of many derivations, each with phases of its own on one of three trees.
pub struct PhaseWriter {
    dice: Dice,
}

impl PhaseWriter {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed) }
    }

    /// Writes the repository, and says what was drawn for each derivation.
    pub fn write(mut self, root: &Path, label: &str, count: u64) -> Vec<Drawn> {
        let mut text = "{ pkgs }:\n{\n".to_owned();
        let mut all = Vec::new();
        for at in 0..count {
            let hash = fresh_hash(&format!("{label}:{at}"));
            let tree = ["plain", "shrunk", "bare"][self.pick(3)];
            let phases = self.phases();
            let below = self.dice.below(5) == 0;
            let root = if below { format!(" sourceRoot = \"{tree}/sub\";") } else { String::new() };
            let shown: String = phases
                .iter()
                .flat_map(|(name, text)| ["    ", *name, " = ''\n", text.as_str(), "    '';\n"])
                .collect();
            let _ = write!(
                text,
                "  p{at} = pkgs.buildNpmPackage {{\n    name = \"p\"; src = ./{tree};{root}\n{shown}    npmDepsHash = \"{hash}\";\n  }};\n"
            );
            all.push(Drawn { tree, below, phases });
        }
        put(&root.join("default.nix"), &(text + "}\n"));
        trees(root, label);
        all
    }

    fn pick(&mut self, limit: u64) -> usize {
        usize::try_from(self.dice.below(limit)).expect("small")
    }

    fn phases(&mut self) -> Vec<(&'static str, String)> {
        let mut phases = Vec::new();
        for phase in ["prePatch", "postPatch"] {
            if phase == "prePatch" && self.dice.below(3) != 0 {
                continue;
            }
            let lines: Vec<String> =
                (0..=self.dice.below(3)).map(|_| format!("      {}\n", self.statement(2))).collect();
            phases.push((phase, lines.concat()));
        }
        phases
    }

    /// A lockfile that is to be copied: interpolated, or one of the tree.
    fn source(&mut self) -> String {
        let at = self.dice.below(LOCKS);
        match self.dice.below(6) {
            0 => format!("${{./f/f{at}}}/package-lock.json"),
            1 => "other.json".to_owned(),
            2 => format!("\"${{./l/l{at}.json}}\""),
            _ => format!("${{./l/l{at}.json}}"),
        }
    }

    fn target(&mut self) -> &'static str {
        [
            "package-lock.json",
            "package-lock.json",
            "package-lock.json",
            "./package-lock.json",
            "\"package-lock.json\"",
            "'package-lock.json'",
            "npm-shrinkwrap.json",
            "sub/package-lock.json",
            "../package-lock.json",
            "./sub/../package-lock.json",
            "package-lock.json.bak",
            "lock.tmp",
            "$lock",
            "\"$PWD/package-lock.json\"",
            "package\"-lock\".json",
            "$'package-lock.json'",
            "$'package\\x2dlock.json'",
            "$'\\160ackage-lock.json'",
            "$'notes\\t\\u0041\\q.json'",
            ".",
        ][self.pick(20)]
    }

    fn copy(&mut self) -> String {
        let (source, target) = (self.source(), self.target());
        match self.dice.below(24) {
            12 => format!("cp -u {source} {target}"),
            13 => format!("cp -n {source} {target}"),
            14 => format!("mv -n other.json {target}"),
            15 => format!("cp --update=none {source} {target}"),
            16 => format!("cp --no-clobber {source} {target}"),
            17 => format!("cp -b {source} {target}"),
            18 => format!("cp -T {source} {target}"),
            19 => format!("cp -- {source} {target}"),
            20 => format!("cp -vf --no-preserve=mode,ownership {source} {target}"),
            21 => format!("install -m 644 {source} {target}"),
            22 => format!("{{ cat {source}; }} > {target}"),
            23 => format!("rm -f {target}; cp {source} {target}"),
            0 => format!("ln -sf {source} {target}"),
            1 => format!("install -Dm644 {source} {target}"),
            2 => format!("cat {source} > {target}"),
            3 => format!("cp -f {source} \\\n        {target}"),
            4 => format!("cp --no-preserve=mode {source} {target}"),
            5 => format!("cp -rv {source} {target}"),
            6 => format!("cp -t . {source}"),
            _ => format!("cp {source} {target}"),
        }
    }

    fn statement(&mut self, depth: u32) -> String {
        let at = self.dice.below(LOCKS);
        let target = self.target();
        if depth == 0 {
            return self.copy();
        }
        match self.dice.below(83) {
            34 => format!("shopt -s nullglob\n      {}", self.copy()),
            35 => format!("set +e\n      cp nowhere.json {target}\n      {}", self.copy()),
            36 => format!("cp -r sub/* {}", ["./", ".", "out"][self.pick(3)]),
            37 => format!("cp -r ${{./f/f{at}}}/. ${{./f/f{at}}}/sub ."),
            38 => "mv sub/* .".to_owned(),
            39 => "rm -rf sub; mkdir sub; cp package-lock.json sub/".to_owned(),
            40 => "cp *.json sub/; cd sub".to_owned(),
            41 => "cp sub/*.json .".to_owned(),
            42 => format!("echo x > \"$TMPDIR/note\"; echo y > $out/x{at} || true"),
            43 => "name=package; echo x > \"notes-$name.json\"; cp other.json $name-lock.json".to_owned(),
            44 => format!("d=sub; cp ${{./l/l{at}.json}} $d/package-lock.json; cd $d"),
            45 => "for f in *.json; do echo \"$f\"; done".to_owned(),
            46 => "for f in *.json; do sed -i 's/left-pad/right-pad/' \"$f\"; done".to_owned(),
            47 => format!("for n in sub .; do cp ${{./l/l{at}.json}} $n/package-lock.json; done"),
            48 => format!("while read -r l; do cp ${{./l/l{at}.json}} package-lock.json; done < package.json"),
            49 => format!("case $name in a) {};; *) {};; esac", self.copy(), self.copy()),
            50 => format!("f() {{ {}; }}\n      f", self.copy()),
            51 => format!("f() {{ cp \"$1\" package-lock.json; }}\n      f ${{./l/l{at}.json}}"),
            52 => format!("cp ${{./l/l{at}.json}} {{package,other}}-lock.json || {}", self.copy()),
            53 => format!("cp ${{./l/l{at}.json}} package-lock.{{json,bak}} || true"),
            54 => format!("cd nowhere || {}", self.copy()),
            55 => format!("cd sub && {}", self.copy()),
            56 => format!("mkdir -p deep/er && cp ${{./l/l{at}.json}} deep/er/package-lock.json && cd deep/er"),
            57 => format!("rm -f package-lock.json && cp ${{./l/l{at}.json}} package-lock.json && chmod +w package-lock.json"),
            58 => format!("substituteInPlace {target} --replace-fail lockfileVersion other --replace nowhere x"),
            59 => format!("substituteInPlace {target} --replace-quiet {{ [ --replace-warn left-pad @pad@ --subst-var-by pad mid-pad"),
            60 => "substituteInPlace package.json other.json --replace-fail left-pad right-pad; cp other.json package-lock.json".to_owned(),
            61 => "substituteInPlace *.json --replace-quiet left-pad right-pad".to_owned(),
            62 => "x=$(cat package.json); echo \"$x\" > note.json".to_owned(),
            63 => format!("cp $(echo ${{./l/l{at}.json}}) package-lock.json"),
            64 => "cp -r . copy; cd copy".to_owned(),
            65 => "mkdir new; mv package-lock.json new/; cd new".to_owned(),
            66 => format!("if [ -f other.json ]; then {}; fi", self.copy()),
            67 => format!("if [ ! -d sub ]; then {}; elif [ -f package.json ]; then {}; fi", self.copy(), self.copy()),
            68 => format!("[ -e nowhere ] && {} || true", self.copy()),
            69 => format!("! false && {}", self.copy()),
            70 => format!("cat ${{./l/l{at}.json}} | cat > {target}"),
            71 => "set -f; rm -f *.json; set +f".to_owned(),
            72 => "find . -name '*.md' -exec rm {} +".to_owned(),
            73 => "find sub -type f -delete".to_owned(),
            74 => format!("touch {target}"),
            75 => format!("tr a b < package.json > {target}"),
            76 => format!("f() {{ cp \"$@\"; }}\n      f ${{./l/l{at}.json}} {target}"),
            77 => format!("f() {{ cp $@; }}\n      f ${{./l/l{at}.json}} package-lock.json"),
            78 => format!("f() {{ for a in \"$@\"; do rm -f \"$a\"; done; }}\n      f note.json 'package-lock.json' \"{at}\""),
            79 => format!("lock=other.json\n      f() {{ local lock=package-lock.json; cp ${{./l/l{at}.json}} $lock; }}\n      f\n      cp $lock note.json"),
            80 => "f() { lock=package-lock.json; local note=x; }\n      f\n      cp other.json $lock".to_owned(),
            81 => format!("files=(${{./l/l{at}.json}} other.json)\n      cp \"''${{files[@]}}\" sub/; cp \"''${{files[0]}}\" {target}"),
            82 => format!("set -- ${{./l/l{at}.json}} package-lock.json; cp \"$@\""),
            0 => format!("# {}", self.copy().replace('\n', " ")),
            1 => format!("echo \"{}\"", self.copy().replace(['"', '\n', '\\'], " ")),
            2 => "touch built; mkdir -p out/dir".to_owned(),
            3 => "substituteInPlace package.json --replace-fail left-pad right-pad".to_owned(),
            4 => "sed -i 's/left-pad/right-pad/' package.json".to_owned(),
            5 => format!("sed -i 's/left-pad/right-pad/' {target}"),
            6 => format!("substituteInPlace {target} --replace-fail left-pad right-pad"),
            7 => format!("rm -f {}", if target == "." { "lock.tmp" } else { target }),
            8 => "mv lock.tmp package-lock.json".to_owned(),
            9 => "mv package-lock.json old.json".to_owned(),
            10 => "mv other.json package-lock.json".to_owned(),
            11 => format!("lock=package-lock.json; {}", self.copy()),
            12 => format!("cd sub\n      {}\n      cd ..", self.statement(depth - 1)),
            13 => format!("cd sub\n      {}", self.statement(depth - 1)),
            14 => format!("(cd sub && {})", self.copy()),
            15 => {
                format!("pushd sub > /dev/null\n      {}\n      popd > /dev/null", self.statement(depth - 1))
            }
            16 => format!("if [ -e {target} ]; then\n        {}\n      fi", self.statement(depth - 1)),
            17 => format!("if false; then {}; else {}; fi", self.copy(), self.copy()),
            18 => format!("for f in package-lock.json note.json; do cp ${{./l/l{at}.json}} $f; done"),
            19 => format!("true && {}", self.copy()),
            20 => format!("false && {}", self.copy()),
            21 => format!("true || {}", self.copy()),
            // A copy that may fail is not asked for: `cp X package-lock.json || true` over a link into the store does.
            22 => "touch note || true".to_owned(),
            23 => format!("cp -r ${{./f/f{at}}}/. ."),
            24 => format!("cp -r ${{./f/f{at}}}/* ."),
            25 => format!("f() {{ {}; }}", self.copy()),
            26 => "cat > package-lock.json <<EOF\n      { \"lockfileVersion\": 3 }\n      EOF".to_owned(),
            27 => {
                format!("cat > note.txt <<'EOF'\n      cp ${{./l/l{at}.json}} package-lock.json\n      EOF")
            }
            28 => "chmod u+w package-lock.json".to_owned(),
            29 => "printf '{}' > package-lock.json".to_owned(),
            30 => format!("cat ${{./l/l{at}.json}} | tee package-lock.json > /dev/null"),
            31 => "find . -name package-lock.json -delete".to_owned(),
            32 => "rm -f *-lock.json".to_owned(),
            _ => self.copy(),
        }
    }
}

/// Three sources: with a lockfile, with a shrinkwrap as well, with neither; and the lockfiles to copy.
fn trees(root: &Path, label: &str) {
    let lock = |name: &str| {
        format!(
            "{{ \"name\": \"{label}-{name}\", \"lockfileVersion\": 3, \"packages\": {{ \"left-pad\": {{}} }} }}\n"
        )
    };
    for file in ["plain/package-lock.json", "shrunk/package-lock.json", "shrunk/npm-shrinkwrap.json"] {
        put(&root.join(file), &lock(file));
    }
    for tree in ["plain", "shrunk", "bare"] {
        put(&root.join(tree).join("package.json"), "{ \"name\": \"left-pad\" }\n");
        put(&root.join(tree).join("other.json"), &lock(&format!("{tree}-other")));
        put(&root.join(tree).join("sub/package-lock.json"), &lock(&format!("{tree}-sub")));
    }
    for at in 0..LOCKS {
        put(&root.join(format!("l/l{at}.json")), &lock(&format!("l{at}")));
        put(&root.join(format!("f/f{at}/package-lock.json")), &lock(&format!("f{at}")));
    }
    fs::create_dir_all(root.join("f")).expect("a folder");
}
