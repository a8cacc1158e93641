//! Programs that are not copies: editors, archivers, `find`, and those that nobody knows.

use std::rc::Rc;

use nix_lang::value::source::Source;
use npm_lockfile::FILE_NAMES;

use super::cause::Cause;
use super::edit::LockfileEdit;
use super::expand::{Place, glob_segs};
use super::field::{Field, Pattern, Seg};
use super::is_lockfile;
use super::javascript;
use super::log::{Change, Key, Origin};
use super::look::Look;
use super::programs::{Effect, program};
use super::run::{Runner, State, Status};

impl Runner<'_> {
    /// A program rewrites files that it is given by name.
    pub(super) fn edits(&mut self, name: &Rc<str>, rest: &[Field], state: &mut State) -> Status {
        let cause = Cause::Tool(Rc::clone(name));
        // `gsed`, `gawk` and `mawk` as well.
        let script = name.contains("sed") || name.contains("awk") || name.as_ref() == "yq";
        let scripted = rest.iter().any(|word| brings_script(word.start()));
        let mut skip = script && !scripted;
        for word in rest {
            if word.start().starts_with('-') {
                continue;
            }
            // The first operand is the program.
            if std::mem::take(&mut skip) {
                continue;
            }
            self.write_near(word, &cause, state);
        }
        self.mentions(name, rest, state)
    }

    /// A program whose own files are not followed: what names the lockfile may be written.
    pub(super) fn mentions(&mut self, name: &Rc<str>, rest: &[Field], state: &mut State) -> Status {
        // The text of a program for sed or awk may name files: `w file`, `print > "file"`.
        let sed = name.contains("sed");
        let named = |word: &Field| {
            let text = word.spelt();
            let written = |lockfile: &&str| {
                text.contains(*lockfile)
                    && (text.contains([' ', '>', ';']) || sed && may_be_written(&text, lockfile))
            };
            FILE_NAMES.iter().any(written)
        };
        if rest.iter().any(named) {
            self.change(state, Change::Havoc(Cause::Tool(Rc::clone(name))));
        }
        Status::Unknown
    }

    /// A program that is in no table. One of a package or of `$PATH` that is given files by name, and neither the lockfile nor
    /// a folder that it could be in, has no reason to write it (fixture `shell-tool-on-other-files`). Without such names, with
    /// a word that may be a sub-command, or with text that is not known, it may do anything.
    pub(super) fn other(&mut self, name: &Rc<str>, rest: &[Field], state: &mut State) -> Status {
        if names_lockfile(rest) {
            return self.in_doubt_all(Cause::Tool(Rc::clone(name)), state);
        }
        let mut is_given_files = false;
        for word in rest {
            let value = match word.start().split_once('=') {
                // `--out=file`, `of=file`
                Some((option, _)) => {
                    let mut value = word.clone();
                    if let Some(Seg::Text(text)) = value.segs.first_mut() {
                        text.drain(..=option.len());
                    }
                    value
                }
                _ if word.start().starts_with('-') => {
                    // `-C.` and its like.
                    if word.spelt().contains(['.', '/']) {
                        return self.wild_call(name, state);
                    }
                    continue;
                }
                _ => word.clone(),
            };
            match self.is_other_file(&value, state) {
                Some(true) => is_given_files = true,
                Some(false) => {}
                None => return self.wild_call(name, state),
            }
        }
        if is_given_files { Status::Unknown } else { self.wild_call(name, state) }
    }

    /// Whether a word names a file that is no lockfile and no folder above one; `None` if it may be one, or a sub-command.
    pub(super) fn is_other_file(&mut self, word: &Field, state: &mut State) -> Option<bool> {
        match self.place(word, state) {
            Place::Store(_) => return Some(true),
            Place::Elsewhere => return Some(false),
            Place::Unknown => {
                let (folder, pattern) = Place::pattern(self, word, state)?;
                // A pattern that takes `a` takes any word, also one that is a sub-command.
                let reaches = FILE_NAMES.iter().any(|name| pattern.matches(name));
                return (!matches!(folder, Place::Unknown) && !reaches && !pattern.matches("a"))
                    .then_some(true);
            }
            Place::At(key) if key.path.is_empty() || key.path.starts_with("..") || is_lockfile(&key.path) => {
                return None;
            }
            Place::At(key) => match self.look(&key, state) {
                Look::File(_) => return Some(true),
                // A folder: the lockfile may be in it, if the build ends there.
                Look::Folder | Look::Unknown(_) => return None,
                Look::Absent | Look::Perhaps(_) => {}
            },
        }
        // A file that is made, or that only a fetched source has: it looks like one.
        let name = word.base_name()?;
        let (stem, ending) = name.rsplit_once('.')?;
        let plain =
            !stem.is_empty() && !ending.is_empty() && ending.chars().all(|c| c.is_ascii_alphanumeric());
        (plain && ending.chars().any(|c| c.is_ascii_alphabetic())).then_some(true)
    }

    pub(super) fn wild_call(&mut self, name: &Rc<str>, state: &mut State) -> Status {
        self.change(state, Change::Havoc(Cause::Wild(Rc::clone(name))));
        Status::Unknown
    }

    /// Programs that may write anything, but for the calls that are known to write nothing but manifests.
    pub(super) fn wild(&mut self, name: &Rc<str>, rest: &[Field], state: &mut State) -> Status {
        let words: Vec<Option<&str>> = rest.iter().map(Field::known).collect();
        let asks = matches!(words.as_slice(), [Some("--version" | "-v" | "-V" | "--help")]);
        let verb = words.first().copied().flatten().unwrap_or_default();
        let harmless = match name.as_ref() {
            "npm" => {
                matches!(verb, "config" | "pkg" | "set" | "get" | "view" | "root" | "prefix")
                    && words.iter().all(Option::is_some)
            }
            // What it prints, or what it does to the files that it is given: `perl -pi -e s/a/b/ file`.
            "perl" => return self.perl(name, rest, state),
            "node" if let Some(files) = written_by_node(rest) => {
                for file in &files {
                    self.write_near(file, &Cause::Tool(Rc::clone(name)), state);
                }
                return Status::Unknown;
            }
            _ => false,
        };
        if asks || harmless {
            return Status::Unknown;
        }
        if names_lockfile(rest) {
            return self.in_doubt_all(Cause::Tool(Rc::clone(name)), state);
        }
        let called = match name.as_ref() {
            "npm" => format!("npm {verb}").trim_end().into(),
            _ => Rc::clone(name),
        };
        self.wild_call(&called, state)
    }

    pub(super) fn in_doubt_all(&mut self, cause: Cause, state: &mut State) -> Status {
        self.change(state, Change::Havoc(cause));
        Status::Unknown
    }

    /// `perl -p -i -e 's/a/b/' file`: as `sed`, as long as the program is a replacement.
    pub(super) fn perl(&mut self, name: &Rc<str>, rest: &[Field], state: &mut State) -> Status {
        let mut files = Vec::new();
        let mut words = rest.iter();
        let (mut loops, mut plain) = (false, false);
        while let Some(word) = words.next() {
            let start = word.start();
            if !start.starts_with('-') {
                files.push(word.clone());
                continue;
            }
            loops |= start.contains(['p', 'n']);
            if start.ends_with('e') {
                plain = words.next().and_then(Field::known).is_some_and(|text| {
                    text.starts_with("s/")
                        || text.starts_with("s|")
                        || text.starts_with("s#")
                        || text.starts_with("s,")
                });
                plain &= !rest
                    .iter()
                    .any(|word| word.spelt().contains(['`', '{']) || word.spelt().ends_with("/e"));
            } else if !start[1..].chars().all(|c| "pni0w".contains(c) || c.is_ascii_digit()) {
                return self.wild_call(name, state);
            }
        }
        if !loops || !plain {
            return self.wild_call(name, state);
        }
        for file in &files {
            self.write_near(file, &Cause::Tool(Rc::clone(name)), state);
        }
        Status::Unknown
    }

    /// `substituteInPlace files... --replace-fail old new ...`
    pub(super) fn substitute(&mut self, rest: &[Field], state: &mut State) -> Status {
        let split = rest.iter().position(|word| word.start().starts_with("--")).unwrap_or(rest.len());
        let (files, options) = rest.split_at(split);
        let edits = if rest.iter().any(|word| word.loose) { None } else { edits(options) };
        for word in files {
            let (Place::At(key), Some(_)) = (self.place(word, state), &edits) else {
                self.write_near(word, &Cause::Tool("substituteInPlace".into()), state);
                continue;
            };
            let file = match self.look(&key, state) {
                Look::File(file) | Look::Perhaps(file) => file,
                Look::Absent => return Status::NonZero,
                Look::Folder | Look::Unknown(_) => {
                    self.change(state, Change::Doubt(key, Cause::Tool("substituteInPlace".into())));
                    continue;
                }
            };
            // Bytes that are not followed stay so, with the program that made them as the cause: that is what has to be mended.
            if let (Some(edits), false) = (&edits, matches!(file.origin, Origin::Other(_))) {
                let mut file = file;
                file.edits.extend(edits.iter().cloned());
                // It writes the file in place: where that worked, it could be written.
                file.writable = true;
                self.spend(edits.iter().map(|edit| edit.size() as u64).sum(), state);
                self.change(state, Change::File(key, file));
            }
        }
        Status::Unknown
    }

    /// An archive is unpacked, or packed.
    pub(super) fn unpack(&mut self, name: &Rc<str>, rest: &[Field], state: &mut State) -> Status {
        let zip = name.as_ref() == "unzip";
        let texts: Vec<&str> = rest.iter().map(Field::start).collect();
        let first = texts.first().copied().unwrap_or_default();
        // tar takes its first letters without a dash, too: `tar xf a.tgz`.
        let letters = if first.starts_with("--") { "" } else { first.trim_start_matches('-') };
        let extracts = zip
            || letters.contains('x')
            || texts.iter().any(|text| {
                *text == "--extract"
                    || *text == "--get"
                    || (text.starts_with('-') && !text.starts_with("--") && text.contains('x'))
            });
        let cause = if extracts { Cause::Archive } else { Cause::Tool(Rc::clone(name)) };
        let folder =
            texts.iter().position(|text| matches!(*text, "-C" | "--directory") || (zip && *text == "-d"));
        let joined = rest.iter().find_map(|word| word.known()?.strip_prefix("--directory=").map(Field::text));
        let target = joined.or_else(|| folder.and_then(|at| rest.get(at + 1)).cloned());
        let odd = rest.iter().any(|word| word.loose)
            || texts.iter().any(|text| text.contains("transform") || text.contains("absolute"));
        let place = match &target {
            Some(target) => self.place(target, state),
            None => state.folder.clone().map_or(Place::Unknown, Place::At),
        };
        match place {
            Place::At(key) if !odd && !key.path.starts_with("..") => {
                let change = if extracts {
                    Change::Unpacked(key, self.only_stored(rest, state), cause)
                } else {
                    Change::Doubt(key, cause)
                };
                self.change(state, change);
            }
            Place::Elsewhere if !odd => {}
            _ => self.change(state, Change::Havoc(cause)),
        }
        Status::Unknown
    }

    /// The only thing of the store that is named.
    fn only_stored(&self, words: &[Field], state: &State) -> Option<Rc<Source>> {
        let mut stored = words.iter().filter_map(|word| match self.place(word, state) {
            Place::Store(source) => Some(source),
            _ => None,
        });
        stored.next().filter(|_| stored.next().is_none())
    }

    /// `find`: it reads, unless it deletes, runs something or writes what it finds.
    pub(super) fn find(&mut self, rest: &[Field], state: &mut State) -> Status {
        let texts: Vec<&str> = rest.iter().map(Field::start).collect();
        let acts = |text: &&str| {
            text.starts_with("-exec")
                || text.starts_with("-ok")
                || text.starts_with("-delete")
                || text.starts_with("-f") && text.contains("pr")
                || *text == "-fls"
        };
        if !texts.iter().any(acts) && !rest.iter().any(|word| word.loose) {
            return Status::Unknown;
        }
        let cause = Cause::Tool("find".into());
        // `-fprint`, `-fprintf`, `-fls`: into a file of any name.
        let writes =
            texts.iter().any(|text| text.starts_with("-f") && *text != "-follow" && *text != "-false");
        if !runs_tame_programs(&texts) || writes || rest.iter().any(|word| word.loose) {
            return self.in_doubt_all(cause, state);
        }
        let starts: Vec<&Field> =
            rest.iter().take_while(|word| !word.start().starts_with(['-', '(', '!'])).collect();
        let pattern = name_pattern(rest, &texts);
        let keys: Vec<Option<Key>> = if starts.is_empty() {
            vec![state.folder.clone()]
        } else {
            starts
                .iter()
                .map(|word| if let Place::At(key) = self.place(word, state) { Some(key) } else { None })
                .collect()
        };
        // `-name web -exec rm -r {} +` takes the lockfile in `web` away, whatever the pattern says of its name.
        if pattern.is_some_and(|pattern| {
            !FILE_NAMES.iter().any(|name| pattern.matches(name)) && !pattern.matches(".")
        }) && !texts.iter().any(|text| text.contains("rm") || *text == "-delete")
        {
            return Status::Unknown;
        }
        for key in keys {
            match key {
                // `find ../source -delete`: that folder may be the tree.
                Some(key) if !key.path.starts_with("..") => {
                    self.change(state, Change::Doubt(key, cause.clone()));
                }
                _ => self.change(state, Change::Havoc(cause.clone())),
            }
        }
        Status::Unknown
    }

    /// `env`, `command` and others that run the rest of their line.
    pub(super) fn runs(&mut self, name: &Rc<str>, rest: &[Field], state: &mut State) -> Status {
        if rest.is_empty()
            || rest.first().and_then(Field::known).is_some_and(|word| matches!(word, "-v" | "-V"))
        {
            return Status::Unknown;
        }
        let assigns = |word: &Field| {
            word.start()
                .split_once('=')
                .is_some_and(|(name, _)| !name.starts_with('-') && !name.contains('/'))
        };
        // `env A=b program`: as in the shell, what has a `=` before the program is a variable for it.
        let skip =
            if name.as_ref() == "env" { rest.iter().take_while(|word| assigns(word)).count() } else { 0 };
        match rest[skip..].split_first() {
            Some((word, rest)) if !word.start().starts_with('-') && !word.loose => {
                self.dispatch(word, rest, state)
            }
            None => Status::Unknown,
            Some(_) => self.wild_call(name, state),
        }
    }
}

/// Whether an option of sed or awk is its program, or has it in itself, so that the first operand is a file: `-e`, `-es/a/b/`,
/// `-ne`, `--expression=s/a/b/`, and abbreviations of it.
fn brings_script(option: &str) -> bool {
    match option.strip_prefix("--") {
        Some(long) => {
            let long = long.split('=').next().unwrap_or_default();
            !long.is_empty() && ["expression", "file"].iter().any(|name| name.starts_with(long))
        }
        // Other letters with a value of their own (`-i.bak`, `-F:`) may hold one of these: then one operand more is taken as a
        // file.
        None => option.strip_prefix('-').is_some_and(|letters| letters.contains(['e', 'f'])),
    }
}

/// Whether `w` of sed may write a file of this name: `s/a/b/wpackage-lock.json`. What stands before the name is taken as a
/// command wherever it holds a `w`.
fn may_be_written(text: &str, lockfile: &str) -> bool {
    text.match_indices(lockfile).any(|(at, _)| {
        let way = text[..at].rsplit(|c: char| !(c.is_ascii_alphanumeric() || "./_-".contains(c))).next();
        !is_lockfile(text) && way.is_some_and(|way| way.contains(['w', 'W']))
    })
}

/// Whether `find` runs nothing but programs that touch only what they are given, which are names that it found.
fn runs_tame_programs(texts: &[&str]) -> bool {
    let is_tame = |name: &str| {
        matches!(
            program(name).map(|program| program.effect),
            Some(
                Effect::Reads
                    | Effect::Removes
                    | Effect::EditsWith(_)
                    | Effect::SubstitutesInPlace
                    | Effect::Touches
                    | Effect::EditsOperands
            )
        )
    };
    texts.windows(2).filter(|pair| pair[0].starts_with("-exec")).all(|pair| is_tame(pair[1]))
}

/// The pattern of the only `-name` of `find`, if nothing widens what it finds.
fn name_pattern(rest: &[Field], texts: &[&str]) -> Option<Pattern> {
    let at = texts.iter().position(|text| *text == "-name")?;
    let widens = texts.iter().any(|text| matches!(*text, "-o" | "-or" | "!" | "-not" | ","));
    let pattern = rest.get(at + 1)?.known().filter(|_| !widens)?;
    let segs = glob_segs(pattern);
    let plain = segs.iter().all(|seg| !matches!(seg, Seg::Gap(_)));
    plain.then(|| Pattern::of(&Field { segs, loose: false }))
}

/// The replacements of `substituteInPlace`; `None` if one is not a literal text.
fn edits(options: &[Field]) -> Option<Vec<LockfileEdit>> {
    let mut edits = Vec::new();
    let mut words = options.iter();
    while let Some(option) = words.next() {
        let name = option.known()?;
        let first = words.next()?.known()?;
        let (pattern, required) = match name {
            // nixpkgs' `substituteInPlace` fails for text that is not there with
            // `--replace-fail` only; the others warn at most.
            "--replace" | "--replace-warn" | "--replace-quiet" => (first.to_owned(), false),
            "--replace-fail" => (first.to_owned(), true),
            "--subst-var-by" => (format!("@{first}@"), false),
            _ => return None,
        };
        let replacement = words.next()?.known()?.to_owned();
        edits.push(LockfileEdit::Replace { pattern, replacement, required });
    }
    Some(edits)
}

/// The files that `node -e '...'` writes, where it is followed.
fn written_by_node(words: &[Field]) -> Option<Vec<Field>> {
    let [option, program, ..] = words else { return None };
    if !matches!(option.known(), Some("-e" | "--eval")) || program.has_gap() || program.is_pattern() {
        return None;
    }
    // Paths that are not known as texts.
    let mut paths = Vec::new();
    let mut text = String::new();
    for seg in &program.segs {
        match seg {
            // Those of its own could not be told from those that stand for a path.
            Seg::Text(known) if known.chars().any(is_private) => return None,
            Seg::Text(known) => text.push_str(known),
            path => {
                text.push(
                    char::from_u32(0xE000 + u32::try_from(paths.len()).ok()?).filter(|c| is_private(*c))?,
                );
                paths.push(path.clone());
            }
        }
    }
    let field = |name: &str| {
        let mut field = Field::default();
        for c in name.chars() {
            let path = is_private(c).then(|| paths[c as usize - 0xE000].clone());
            field.push(path.unwrap_or_else(|| Seg::Text(c.into())));
        }
        field
    };
    Some(javascript::written(&text)?.into_iter().map(field).collect())
}

/// Whether a character is of the private use area.
fn is_private(c: char) -> bool {
    ('\u{E000}'..='\u{F8FF}').contains(&c)
}

/// Whether a program is given the lockfile by name.
fn names_lockfile(words: &[Field]) -> bool {
    words.iter().any(|word| word.base_name().is_some_and(|name| is_lockfile(&name)))
}
