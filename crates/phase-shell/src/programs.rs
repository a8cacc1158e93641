//! The programs that phases call: what each does to files, and the options that it is known with.
//!
//! A new program is one row. An option that stands in no row is never ignored: what the program does is not known then.

use super::copy::CopyKind;
use super::field::Field;

/// What a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It reads, prints, or changes nothing that is looked at here; its options are its own matter.
    Reads,
    Copies(CopyKind),
    Removes,
    MakesFolders,
    /// It makes a file where none is.
    Touches,
    /// It rewrites the files that it is given, and only those.
    EditsOperands,
    /// It rewrites them with one of its options; the others only read.
    EditsWith(&'static [&'static str]),
    /// It writes the files that it is given.
    WritesOperands,
    SubstitutesInPlace,
    Patches,
    Unpacks,
    Finds,
    ChangesFolder,
    Prints,
    Tests,
    Shell(Builtin),
    /// It runs the rest of its line.
    Runs,
    /// It may write anything.
    Wild,
}

/// What the shell does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    PopFolder,
    Declare,
    Unset,
    Set,
    Shopt,
    Exit,
    /// It reads text into variables.
    Reads,
    /// Whatever it does decides what follows.
    Lost,
    True,
    False,
}

/// What an option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// Nothing that decides which bytes end where.
    Nothing,
    Recursive,
    Force,
    /// Existing files stay.
    Keep,
    /// Newer files stay.
    Newer,
    /// The value is the folder to copy into.
    Into,
    /// The target is not taken for a folder.
    Exact,
    /// The value is how many parts of names do not count.
    Strip,
    /// The value is a file that is read.
    Input,
    /// The copy can be written.
    Writable,
    /// Missing folders are made.
    Parents,
    /// Only folders are made.
    Folders,
    /// Links say where the target is by its name: what `ln` does without it is a second name for the same file.
    Symbolic,
}

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    No,
    Yes,
    /// Only behind `=`, one of these texts; the bare option is also fine.
    OneOf(&'static [&'static str]),
}

struct Opt(&'static [&'static str], Value, Means);

/// A program of the table.
pub(super) struct Program {
    pub name: &'static str,
    pub effect: Effect,
    options: &'static [Opt],
}

const fn row(name: &'static str, effect: Effect) -> Program {
    Program { name, effect, options: &[] }
}

const fn with(name: &'static str, effect: Effect, options: &'static [Opt]) -> Program {
    Program { name, effect, options }
}

const VERBOSE: Opt = Opt(&["-v", "--verbose"], Value::No, Means::Nothing);
const FORCE: Opt = Opt(&["-f", "--force"], Value::No, Means::Force);
const INTO: Opt = Opt(&["-t", "--target-directory"], Value::Yes, Means::Into);
const EXACT: Opt = Opt(&["-T", "--no-target-directory"], Value::No, Means::Exact);
const KEEP: Opt = Opt(&["-n", "--no-clobber"], Value::No, Means::Keep);
const NEWER: Opt = Opt(&["-u", "--update=older"], Value::No, Means::Newer);
const NONE: Opt = Opt(&["--update=none"], Value::No, Means::Keep);
const ALL: Opt = Opt(&["--update=all"], Value::No, Means::Nothing);
const MODE: Opt = Opt(&["-m", "--mode"], Value::Yes, Means::Nothing);

const ATTRIBUTES: &[&str] = &[
    "mode",
    "ownership",
    "timestamps",
    "mode,ownership",
    "mode,timestamps",
    "all",
    "context",
    "links",
    "xattr",
];

const COPY: &[Opt] = &[
    VERBOSE,
    FORCE,
    INTO,
    EXACT,
    KEEP,
    NEWER,
    NONE,
    ALL,
    Opt(&["-r", "-R", "--recursive"], Value::No, Means::Recursive),
    // Links in a source are followed, or kept: a lockfile that is a link into the same source is the same file.
    Opt(&["-a", "--archive"], Value::No, Means::Recursive),
    Opt(
        &["-p", "-L", "--dereference", "-P", "--no-dereference", "-d", "-H", "-x"],
        Value::No,
        Means::Nothing,
    ),
    Opt(&["--remove-destination"], Value::No, Means::Force),
    Opt(&["--no-preserve"], Value::OneOf(ATTRIBUTES), Means::Writable),
    Opt(&["--preserve"], Value::OneOf(ATTRIBUTES), Means::Nothing),
    Opt(&["--reflink"], Value::OneOf(&["auto", "never", "always"]), Means::Nothing),
    Opt(&["--sparse"], Value::OneOf(&["auto", "never", "always"]), Means::Nothing),
];

const MOVE: &[Opt] = &[VERBOSE, FORCE, INTO, EXACT, KEEP, NEWER, NONE, ALL];

const LINK: &[Opt] = &[
    VERBOSE,
    FORCE,
    INTO,
    EXACT,
    Opt(&["-s", "--symbolic"], Value::No, Means::Symbolic),
    // For a source in the store a relative link leads to the same place.
    Opt(&["-r", "--relative"], Value::No, Means::Nothing),
    // Only where the target is a link to a folder, which no lockfile is.
    Opt(&["-n", "--no-dereference"], Value::No, Means::Exact),
];

const INSTALL: &[Opt] = &[
    VERBOSE,
    INTO,
    EXACT,
    MODE,
    Opt(&["-o", "--owner", "-g", "--group"], Value::Yes, Means::Nothing),
    Opt(&["-p", "--preserve-timestamps", "-C", "--compare", "-c"], Value::No, Means::Nothing),
    Opt(&["-D"], Value::No, Means::Parents),
    Opt(&["-d", "--directory"], Value::No, Means::Folders),
];

const REMOVE: &[Opt] = &[
    VERBOSE,
    FORCE,
    Opt(&["-r", "-R", "--recursive"], Value::No, Means::Recursive),
    Opt(&["-d", "--dir", "--one-file-system", "--preserve-root"], Value::No, Means::Nothing),
];

const FOLDERS: &[Opt] = &[VERBOSE, MODE, Opt(&["-p", "--parents"], Value::No, Means::Parents)];

const TOUCH: &[Opt] = &[
    Opt(&["-a", "-m", "-f", "-h", "--no-dereference"], Value::No, Means::Nothing),
    Opt(&["-c", "--no-create"], Value::No, Means::Keep),
    Opt(&["-d", "--date", "-r", "--reference", "-t", "--time"], Value::Yes, Means::Nothing),
];

const TEE: &[Opt] = &[Opt(&["-a", "--append", "-i", "--ignore-interrupts", "-p"], Value::No, Means::Nothing)];

const FOLDER: &[Opt] = &[Opt(&["-P", "-L", "-e"], Value::No, Means::Nothing)];

/// What makes no difference where every hunk fits exactly. `-R` and `--merge` do.
const PATCH: &[Opt] = &[
    Opt(&["-d", "--directory"], Value::Yes, Means::Into),
    Opt(&["-p", "--strip"], Value::Yes, Means::Strip),
    Opt(&["-i", "--input"], Value::Yes, Means::Input),
    Opt(&["-F", "--fuzz"], Value::Yes, Means::Nothing),
    Opt(
        &["-s", "--silent", "--quiet", "-N", "--forward", "-u", "--unified", "--verbose", "--binary"],
        Value::No,
        Means::Nothing,
    ),
    Opt(
        &["-b", "--backup", "--no-backup-if-mismatch", "-f", "--force", "-E", "--remove-empty-files"],
        Value::No,
        Means::Nothing,
    ),
];

use Effect::{
    ChangesFolder, Copies, EditsOperands, EditsWith, Finds, MakesFolders, Patches, Prints, Reads, Removes,
    Runs, Shell, SubstitutesInPlace, Tests, Touches, Unpacks, Wild, WritesOperands,
};

/// All programs that are known, by name.
static PROGRAMS: &[Program] = &[
    with("cp", Copies(CopyKind::Copy), COPY),
    with("mv", Copies(CopyKind::Move), MOVE),
    with("ln", Copies(CopyKind::Link), LINK),
    with("install", Copies(CopyKind::Install), INSTALL),
    with("rm", Removes, REMOVE),
    with("mkdir", MakesFolders, FOLDERS),
    with("touch", Touches, TOUCH),
    with("tee", WritesOperands, TEE),
    with("sponge", WritesOperands, TEE),
    with("cd", ChangesFolder, FOLDER),
    with("pushd", ChangesFolder, &[]),
    row("popd", Shell(Builtin::PopFolder)),
    // `dirs -c` forgets them.
    row("dirs", Shell(Builtin::Lost)),
    row("substituteInPlace", SubstitutesInPlace),
    row("substituteAllInPlace", EditsOperands),
    row("dos2unix", EditsOperands),
    row("unix2dos", EditsOperands),
    row("gzip", EditsOperands),
    row("gunzip", EditsOperands),
    row("bzip2", EditsOperands),
    row("xz", EditsOperands),
    row("sed", EditsWith(&["-i", "--in-place"])),
    row("yq", EditsWith(&["-i", "--inplace", "--in-place"])),
    // gawk's `-i inplace`.
    row("awk", EditsWith(&["-i"])),
    row("gawk", EditsWith(&["-i"])),
    row("sort", EditsWith(&["-o", "--output"])),
    row("substitute", EditsOperands),
    row("substituteAll", EditsOperands),
    row("makeWrapper", EditsOperands),
    row("makeBinaryWrapper", EditsOperands),
    row("wrapProgram", EditsOperands),
    // `uniq in out` writes `out`, and so does `xxd`.
    row("uniq", EditsOperands),
    row("xxd", EditsOperands),
    row("icotool", EditsOperands),
    row("convert", EditsOperands),
    row("magick", EditsOperands),
    row("rsvg-convert", EditsWith(&["-o", "--output"])),
    row("tar", Unpacks),
    row("bsdtar", Unpacks),
    row("unzip", Unpacks),
    row("find", Finds),
    row("test", Tests),
    row("[", Tests),
    row("echo", Prints),
    row("printf", Prints),
    row("cat", Reads),
    // It has no option to write a file: who edits with it redirects its output.
    row("jq", Reads),
    row("ls", Reads),
    row("head", Reads),
    row("tail", Reads),
    row("grep", Reads),
    row("egrep", Reads),
    row("fgrep", Reads),
    row("diff", Reads),
    row("cmp", Reads),
    row("stat", Reads),
    row("du", Reads),
    row("wc", Reads),
    row("tr", Reads),
    row("cut", Reads),
    row("od", Reads),
    row("strings", Reads),
    row("md5sum", Reads),
    row("sha256sum", Reads),
    row("sha512sum", Reads),
    row("base64", Reads),
    row("basename", Reads),
    row("dirname", Reads),
    row("realpath", Reads),
    row("readlink", Reads),
    row("seq", Reads),
    row("date", Reads),
    row("sleep", Reads),
    row("uname", Reads),
    row("which", Reads),
    row("type", Reads),
    row("hash", Reads),
    row("pwd", Reads),
    row("umask", Reads),
    row("ulimit", Reads),
    row("chmod", Reads),
    row("chown", Reads),
    row("chgrp", Reads),
    // Only of an empty folder, in which there is no lockfile.
    row("rmdir", Reads),
    row("jobs", Reads),
    row("wait", Reads),
    // First lines of scripts, and programs in machine code: no JSON is either.
    row("patchShebangs", Reads),
    row("autoPatchelf", Reads),
    row("patchelf", Reads),
    row("strip", Reads),
    row("install_name_tool", Reads),
    row("codesign", Reads),
    row("runHook", Reads),
    row("nixLog", Reads),
    row("nixInfoLog", Reads),
    row("nixWarnLog", Reads),
    row("nixErrorLog", Reads),
    row("addToSearchPath", Reads),
    row("appendToVar", Reads),
    row("prependToVar", Reads),
    row("concatTo", Reads),
    // Both write below `$out` alone.
    row("installManPage", Reads),
    row("installShellCompletion", Reads),
    row(":", Shell(Builtin::True)),
    row("true", Shell(Builtin::True)),
    row("false", Shell(Builtin::False)),
    row("export", Shell(Builtin::Declare)),
    row("declare", Shell(Builtin::Declare)),
    row("typeset", Shell(Builtin::Declare)),
    row("local", Shell(Builtin::Declare)),
    row("readonly", Shell(Builtin::Declare)),
    row("unset", Shell(Builtin::Unset)),
    row("set", Shell(Builtin::Set)),
    row("shopt", Shell(Builtin::Shopt)),
    row("exit", Shell(Builtin::Exit)),
    row("read", Shell(Builtin::Reads)),
    row("mapfile", Shell(Builtin::Reads)),
    row("readarray", Shell(Builtin::Reads)),
    // A loop that holds one of these is not counted round by round.
    row("break", Shell(Builtin::True)),
    row("continue", Shell(Builtin::True)),
    row("return", Shell(Builtin::Lost)),
    row("shift", Shell(Builtin::Lost)),
    row("getopts", Shell(Builtin::Lost)),
    row("let", Shell(Builtin::Lost)),
    row("eval", Shell(Builtin::Lost)),
    row("source", Shell(Builtin::Lost)),
    row(".", Shell(Builtin::Lost)),
    row("exec", Shell(Builtin::Lost)),
    row("trap", Shell(Builtin::Lost)),
    row("alias", Shell(Builtin::Lost)),
    row("enable", Shell(Builtin::Lost)),
    row("command", Runs),
    row("builtin", Runs),
    row("env", Runs),
    row("nice", Runs),
    row("time", Runs),
    // A repository's scripts, compilers of everything, and package managers write what they like.
    row("npm", Wild),
    row("npx", Wild),
    row("yarn", Wild),
    row("pnpm", Wild),
    row("corepack", Wild),
    row("node", Wild),
    row("deno", Wild),
    row("bun", Wild),
    row("make", Wild),
    row("cmake", Wild),
    row("meson", Wild),
    row("ninja", Wild),
    row("just", Wild),
    row("task", Wild),
    row("gradle", Wild),
    row("mvn", Wild),
    row("cargo", Wild),
    row("go", Wild),
    row("python", Wild),
    row("python3", Wild),
    row("perl", Wild),
    row("ruby", Wild),
    row("php", Wild),
    row("composer", Wild),
    row("lua", Wild),
    row("sh", Wild),
    row("bash", Wild),
    row("dash", Wild),
    row("zsh", Wild),
    row("fish", Wild),
    row("nu", Wild),
    row("busybox", Wild),
    row("xargs", Wild),
    row("parallel", Wild),
    row("git", Wild),
    with("patch", Patches, PATCH),
    row("rsync", Wild),
    row("cpio", Wild),
    row("dd", Wild),
    row("ed", Wild),
    row("ex", Wild),
    row("vim", Wild),
    row("nix", Wild),
    row("nix-shell", Wild),
    row("nix-build", Wild),
    row("turbo", Wild),
    row("nx", Wild),
    row("lerna", Wild),
    row("tsc", Wild),
];

/// The program of that name.
pub(super) fn program(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == name)
}

/// Options and operands of a command.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub operands: Vec<Field>,
    options: Vec<(Means, Option<Field>)>,
}

impl Arguments {
    pub fn has(&self, means: Means) -> bool {
        self.options.iter().any(|(option, _)| *option == means)
    }

    pub fn value(&self, means: Means) -> Option<&Field> {
        self.options.iter().rev().find(|(option, _)| *option == means).and_then(|(_, value)| value.as_ref())
    }
}

impl Program {
    /// Sorts words into options and operands as `getopt` does.
    ///
    /// # Errors
    /// The option that is not known; abbreviations are none.
    pub fn arguments(&self, words: &[Field]) -> Result<Arguments, String> {
        let mut arguments = Arguments::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let start = word.start();
            if !start.starts_with('-') || word.known() == Some("-") {
                arguments.operands.push(word.clone());
                continue;
            }
            if word.known() == Some("--") {
                arguments.operands.extend(words.cloned());
                break;
            }
            if start.starts_with("--") {
                self.long(word, &mut words, &mut arguments)?;
            } else {
                self.short(word, &mut words, &mut arguments)?;
            }
        }
        Ok(arguments)
    }

    fn long<'a>(
        &self,
        word: &Field,
        rest: &mut impl Iterator<Item = &'a Field>,
        arguments: &mut Arguments,
    ) -> Result<(), String> {
        let spelt = word.spelt();
        let unknown = || spelt.clone();
        let find = |name: &str| self.options.iter().find(|Opt(names, ..)| names.contains(&name));
        if let Some(Opt(_, value, means)) = word.known().and_then(find) {
            let value = match value {
                Value::Yes => Some(rest.next().cloned().ok_or_else(unknown)?),
                Value::No | Value::OneOf(_) => None,
            };
            arguments.options.push((*means, value));
            return Ok(());
        }
        let (name, _) = word.start().split_once('=').ok_or_else(unknown)?;
        let mut value = word.clone();
        if let Some(super::field::Seg::Text(text)) = value.segs.first_mut() {
            text.drain(..=name.len());
        }
        match find(name) {
            Some(Opt(_, Value::Yes, means)) => arguments.options.push((*means, Some(value))),
            Some(Opt(_, Value::OneOf(texts), means))
                if value.known().is_some_and(|text| texts.contains(&text)) =>
            {
                // `--no-preserve=timestamps` leaves the mode as it is.
                let writable = value.known().is_some_and(|text| text.starts_with("mode") || text == "all");
                let means = if *means == Means::Writable && !writable { Means::Nothing } else { *means };
                arguments.options.push((means, None));
            }
            _ => return Err(spelt),
        }
        Ok(())
    }

    fn short<'a>(
        &self,
        word: &Field,
        rest: &mut impl Iterator<Item = &'a Field>,
        arguments: &mut Arguments,
    ) -> Result<(), String> {
        let start = word.start();
        for (at, letter) in start.char_indices().skip(1) {
            let name = format!("-{letter}");
            let Some(Opt(_, value, means)) =
                self.options.iter().find(|Opt(names, ..)| names.contains(&name.as_str()))
            else {
                return Err(name);
            };
            if *value == Value::No {
                arguments.options.push((*means, None));
                continue;
            }
            let mut attached = word.clone();
            if let Some(super::field::Seg::Text(text)) = attached.segs.first_mut() {
                text.drain(..at + letter.len_utf8());
            }
            let empty = attached.known() == Some("");
            let value = if empty { rest.next().cloned().ok_or(name)? } else { attached };
            arguments.options.push((*means, Some(value)));
            return Ok(());
        }
        if word.known().is_some() { Ok(()) } else { Err(word.spelt()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, words: &[&str]) -> Result<(Vec<String>, Vec<Means>), String> {
        let words: Vec<Field> = words.iter().map(|word| Field::text(word)).collect();
        let arguments = program(name).expect("it is in the table").arguments(&words)?;
        let operands = arguments.operands.iter().map(Field::spelt).collect();
        Ok((operands, arguments.options.into_iter().map(|(means, _)| means).collect()))
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            parsed("cp", &["-rfv", "a", "-n", "b"]),
            Ok((words(&["a", "b"]), vec![Means::Recursive, Means::Force, Means::Nothing, Means::Keep]))
        );
        assert_eq!(
            parsed("install", &["-Dm644", "a", "b"]),
            Ok((words(&["a", "b"]), vec![Means::Parents, Means::Nothing]))
        );
        assert_eq!(parsed("cp", &["-t", "d", "a"]), Ok((words(&["a"]), vec![Means::Into])));
        assert_eq!(parsed("cp", &["-rtd", "a"]), Ok((words(&["a"]), vec![Means::Recursive, Means::Into])));
        assert_eq!(parsed("cp", &["--", "-n", "b"]), Ok((words(&["-n", "b"]), vec![])));
        assert_eq!(
            parsed("cp", &["--no-preserve=timestamps", "a", "b"]),
            Ok((words(&["a", "b"]), vec![Means::Nothing]))
        );
    }

    #[test]
    fn no_option_is_ignored() {
        for words in [
            ["-b", "a", "b"],
            ["--backup", "a", "b"],
            ["--no-clob", "a", "b"],
            ["-Z", "a", "b"],
            ["--update=some", "a", "b"],
            ["--recursive=yes", "a", "b"],
        ] {
            assert!(parsed("cp", &words).is_err(), "{words:?}");
        }
        assert!(parsed("mv", &["-r", "a", "b"]).is_err());
        assert!(parsed("ln", &["-sb", "a", "b"]).is_err());
    }

    #[test]
    fn programs_stand_once_in_the_table() {
        for (at, program) in PROGRAMS.iter().enumerate() {
            assert!(!PROGRAMS[at + 1..].iter().any(|other| other.name == program.name), "{}", program.name);
        }
    }
}
