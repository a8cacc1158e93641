//! Programs that stand in a phase as an argument of `node -e`: which files they write.
//!
//! Nearly all of them take something out of `package.json` (fixture `phase-node-on-package-json`), and the lockfile is not
//! their matter. A program is followed where every file that it writes is written down in it, and where nothing in it
//! leads to other means of writing; of all else nothing is said.

use std::collections::{HashMap, HashSet};

/// Modules that write no files, but for [`FILES`].
const HARMLESS: [&str; 5] = ["path", "os", "util", "crypto", "assert"];
/// The module of files.
const FILES: &str = "fs";
/// What that module has that only looks.
const LOOKS: [&str; 6] = ["readFileSync", "existsSync", "statSync", "lstatSync", "readdirSync", "accessSync"];
/// What writes the file that it is given first.
const WRITES: [&str; 2] = ["writeFileSync", "appendFileSync"];
/// What of `process` changes nothing.
const OF_PROCESS: [&str; 7] = ["env", "argv", "exit", "exitCode", "stdout", "stderr", "version"];
/// Names that lead anywhere, also as those of attributes.
const ANYWHERE: [&str; 6] = ["constructor", "__proto__", "prototype", "mainModule", "binding", "dlopen"];
/// Names that lead to other code or to other means of writing, unless they are those of attributes.
const ELSEWHERE: [&str; 24] = [
    "eval",
    "Function",
    "import",
    "globalThis",
    "global",
    "module",
    "exports",
    "this",
    "Reflect",
    "Proxy",
    "WebAssembly",
    "async_hooks",
    "child_process",
    "cluster",
    "dgram",
    "inspector",
    "net",
    "repl",
    "sqlite",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// A string without escapes, or one with them.
    Text(Option<&'a str>),
    Number,
    Sign(char),
}

/// The names of all files that a program writes, as it spells them; `None` where it may write others, or is not followed.
/// Characters of the private use area stand for text that is not known; they may be in strings only.
pub(super) fn written(program: &str) -> Option<Vec<&str>> {
    let tokens = Scanner { rest: program, tokens: Vec::new() }.scan()?;
    NodeProgram::new(&tokens).written()
}

struct Scanner<'a> {
    rest: &'a str,
    tokens: Vec<Token<'a>>,
}

impl<'a> Scanner<'a> {
    fn scan(mut self) -> Option<Vec<Token<'a>>> {
        while let Some(first) = self.rest.chars().next() {
            match first {
                _ if first.is_ascii_whitespace() => self.take(1),
                '/' if self.rest.starts_with("//") => {
                    self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
                }
                '/' if self.rest.starts_with("/*") => self.take(self.rest[2..].find("*/")? + 4),
                '/' if !self.ends_value()? => self.pattern()?,
                '\'' | '"' | '`' => self.text(first)?,
                _ if is_of_word(first) => {
                    let length = self.rest.find(|c| !is_of_word(c)).unwrap_or(self.rest.len());
                    let (word, _) = self.rest.split_at(length);
                    let is_number = first.is_ascii_digit();
                    self.tokens.push(if is_number { Token::Number } else { Token::Word(word) });
                    self.take(length);
                }
                _ if first.is_ascii_punctuation() && first != '\\' && first != '#' => {
                    self.tokens.push(Token::Sign(first));
                    self.take(1);
                }
                _ => return None,
            }
        }
        Some(self.tokens)
    }

    fn take(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }

    fn text(&mut self, quote: char) -> Option<()> {
        let mut is_escaped = false;
        let mut has_escapes = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            if std::mem::take(&mut is_escaped) {
                continue;
            }
            match c {
                '\\' => (is_escaped, has_escapes) = (true, true),
                '\n' if quote != '`' => return None,
                // `${...}` in a template is code.
                '$' if quote == '`' => return None,
                _ if c == quote => {
                    self.tokens.push(Token::Text((!has_escapes).then_some(&self.rest[1..at])));
                    self.take(at + 1);
                    return Some(());
                }
                _ => {}
            }
        }
        None
    }

    /// `/pattern/flags`, where a value is looked for.
    fn pattern(&mut self) -> Option<()> {
        let (mut is_escaped, mut in_class) = (false, false);
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if is_escaped => is_escaped = false,
                '\n' => return None,
                '\\' => is_escaped = true,
                '[' => in_class = true,
                ']' => in_class = false,
                '/' if !in_class => {
                    self.tokens.push(Token::Text(None));
                    self.take(at + 1);
                    let flags = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
                    self.take(flags);
                    return Some(());
                }
                _ => {}
            }
        }
        None
    }

    /// Whether a slash behind this divides; `None` where only a parser could tell. A pattern that is taken for a division may
    /// begin a text with a quote in it, and hide what writes a file.
    fn ends_value(&self) -> Option<bool> {
        match self.tokens.last() {
            Some(Token::Word(word)) => Some(!matches!(
                *word,
                "return" | "typeof" | "case" | "in" | "of" | "delete" | "else" | "do" | "void"
            )),
            Some(Token::Text(_) | Token::Number | Token::Sign(']')) => Some(true),
            Some(Token::Sign(')')) => Some(!self.closes_head()?),
            Some(Token::Sign('}')) => None,
            _ => Some(false),
        }
    }

    /// Whether the last bracket closes the head of a statement: `if (a) /b/.test(c)`.
    fn closes_head(&self) -> Option<bool> {
        let mut depth = 0_usize;
        let open = self.tokens.iter().rposition(|token| {
            match token {
                Token::Sign(')') => depth += 1,
                Token::Sign('(') => depth -= 1,
                _ => {}
            }
            depth == 0
        })?;
        let before = self.tokens[..open].last();
        Some(matches!(before, Some(Token::Word("if" | "while" | "for" | "with"))))
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$')
}

/// Names that are given one text, once and for all: `const file = 'package.json';`. Where such a name is not only handed to a
/// function that is known, it may be that of something else, such as an argument.
fn constants<'a>(tokens: &[Token<'a>]) -> HashMap<&'a str, &'a str> {
    let declared_as = |at: usize| match (&tokens[..at], &tokens[at + 1..]) {
        ([.., Token::Word("const")], [Token::Sign('='), Token::Text(Some(text)), after @ ..]) => {
            matches!(after.first(), None | Some(Token::Sign(';') | Token::Word(_))).then_some(*text)
        }
        _ => None,
    };
    let is_handed_on = |at: usize| {
        let after = matches!(tokens.get(at + 1), Some(Token::Sign(',' | ')')));
        let before = matches!(&tokens[..at], [.., Token::Word(function), Token::Sign('(')]
            if LOOKS.contains(function) || WRITES.contains(function));
        before && after
    };
    let (mut all, mut others) = (HashMap::new(), HashSet::new());
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(name) = token else { continue };
        let is_known = match declared_as(at) {
            Some(text) => all.insert(*name, text).is_none(),
            None => is_handed_on(at),
        };
        if !is_known {
            others.insert(*name);
        }
    }
    all.retain(|name, _| !others.contains(name));
    all
}

/// What one use of a name writes.
enum Writes<'a> {
    Nothing,
    File(&'a str),
}

impl<'a> Writes<'a> {
    fn file(self) -> Option<&'a str> {
        if let Self::File(file) = self { Some(file) } else { None }
    }
}

struct NodeProgram<'a, 't> {
    tokens: &'t [Token<'a>],
    constants: HashMap<&'a str, &'a str>,
    /// The names of the module of files, and of functions taken out of it.
    modules: HashSet<&'a str>,
    functions: HashSet<&'a str>,
}

impl<'a, 't> NodeProgram<'a, 't> {
    fn new(tokens: &'t [Token<'a>]) -> Self {
        let none =
            Self { constants: constants(tokens), tokens, modules: HashSet::new(), functions: HashSet::new() };
        let (modules, functions) = none.imports();
        Self { modules, functions, ..none }
    }

    fn written(&self) -> Option<Vec<&'a str>> {
        let mut files = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            // `...name` is none.
            let is_attribute = matches!(&self.tokens[..at], [before @ .., Token::Sign('.')]
                if before.last() != Some(&Token::Sign('.')));
            match token {
                Token::Text(Some(text)) if ANYWHERE.contains(text) => return None,
                Token::Word(word) if ANYWHERE.contains(word) => return None,
                Token::Word(word) if !is_attribute => files.extend(self.word(word, at)?.file()),
                _ => {}
            }
        }
        Some(files)
    }

    /// The file that is written with the name at this place, which is that of no attribute; `None` where that is not followed.
    fn word(&self, word: &str, at: usize) -> Option<Writes<'a>> {
        let rest = &self.tokens[at + 1..];
        let is_declared = || self.is_declared(at);
        match word {
            "process" => {
                let [Token::Sign('.'), Token::Word(own), ..] = rest else { return None };
                OF_PROCESS.contains(own).then_some(Writes::Nothing)
            }
            "require" => {
                let [Token::Sign('('), Token::Text(Some(module)), Token::Sign(')'), rest @ ..] = rest else {
                    return None;
                };
                match module {
                    _ if is_harmless(module) || is_files(module) && self.is_bound(at) => {
                        Some(Writes::Nothing)
                    }
                    _ if is_files(module) => self.call(rest),
                    _ => None,
                }
            }
            _ if self.modules.contains(word) => {
                if is_declared() {
                    Some(Writes::Nothing)
                } else {
                    self.call(rest)
                }
            }
            _ if self.functions.contains(word) => {
                if is_declared() {
                    Some(Writes::Nothing)
                } else {
                    self.called(word, rest)
                }
            }
            _ => (!ELSEWHERE.contains(&word)).then_some(Writes::Nothing),
        }
    }

    /// The names of the module of files, which `node -e` gives one itself, and of functions taken out of it.
    fn imports(&self) -> (HashSet<&'a str>, HashSet<&'a str>) {
        let (mut modules, mut functions) = (HashSet::from([FILES]), HashSet::new());
        for (at, token) in self.tokens.iter().enumerate() {
            if *token != Token::Word("require") || !self.is_bound(at) {
                continue;
            }
            match &self.tokens[..at - 1] {
                [.., Token::Word(name)] => {
                    // Of what is harmless nothing needs to be known.
                    if matches!(self.tokens.get(at + 2), Some(Token::Text(Some(module))) if is_files(module))
                    {
                        modules.insert(name);
                    }
                }
                before => {
                    let names = before.iter().rev().take_while(|token| **token != Token::Sign('{'));
                    functions.extend(names.filter_map(|token| match token {
                        Token::Word(name) => Some(*name),
                        _ => None,
                    }));
                }
            }
        }
        (modules, functions)
    }

    /// Whether the `require` at this place stands as a whole behind `const name =` or `const { names } =`.
    fn is_bound(&self, require: usize) -> bool {
        let ends =
            matches!(self.tokens.get(require + 4), None | Some(Token::Sign(';' | ',') | Token::Word(_)));
        let before = &self.tokens[..require];
        let is_declaration = |token: Option<&Token<'_>>| {
            matches!(token, Some(Token::Word("const" | "let" | "var") | Token::Sign(',')))
        };
        let begins = match before {
            [rest @ .., Token::Word(_), Token::Sign('=')] => is_declaration(rest.last()),
            [rest @ .., Token::Sign('}'), Token::Sign('=')] => {
                let open = rest.iter().rposition(|token| *token == Token::Sign('{'));
                open.is_some_and(|open| {
                    is_declaration(rest[..open].last())
                        && rest[open + 1..]
                            .iter()
                            .all(|token| matches!(token, Token::Word(_) | Token::Sign(',')))
                })
            }
            _ => false,
        };
        ends && begins
    }

    /// Whether a name stands where it is declared: before `= require(...)`, or in the braces before it.
    fn is_declared(&self, at: usize) -> bool {
        let rest = &self.tokens[at + 1..];
        let inside =
            rest.iter().take_while(|token| matches!(token, Token::Word(_) | Token::Sign(','))).count();
        let rest = match &rest[inside..] {
            [Token::Sign('}'), rest @ ..] => rest,
            _ => rest,
        };
        matches!(rest, [Token::Sign('='), Token::Word("require"), ..])
            && self.is_bound(self.tokens.len() - rest.len() + 1)
    }

    /// `.method(...)` of the module of files.
    fn call(&self, rest: &[Token<'a>]) -> Option<Writes<'a>> {
        let [Token::Sign('.'), Token::Word(method), rest @ ..] = rest else { return None };
        self.called(method, rest)
    }

    /// `(...)` behind a function of the module of files.
    fn called(&self, method: &str, rest: &[Token<'a>]) -> Option<Writes<'a>> {
        let [Token::Sign('('), rest @ ..] = rest else { return None };
        if LOOKS.contains(&method) {
            return Some(Writes::Nothing);
        }
        let file = match rest {
            [Token::Text(Some(file)), Token::Sign(','), ..] => file,
            [Token::Word(name), Token::Sign(','), ..] => self.constants.get(name)?,
            _ => return None,
        };
        WRITES.contains(&method).then_some(Writes::File(file))
    }
}

fn is_files(module: &str) -> bool {
    module.strip_prefix("node:").unwrap_or(module) == FILES
}

/// Whether to load it writes nothing: a module that is known for that, or a file of data.
fn is_harmless(module: &str) -> bool {
    HARMLESS.contains(&module.strip_prefix("node:").unwrap_or(module))
        || module.rsplit_once('.').is_some_and(|(_, ending)| ending == "json")
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn files_are_named_where_they_are_written() {
        for (program, files) in [
            (
                "require('fs').writeFileSync('package.json', JSON.stringify(p, null, 2));",
                &["package.json"][..],
            ),
            (
                "const fs = require('node:fs'); const f = \"a/b.json\"; fs.writeFileSync(f, fs.readFileSync(f))",
                &["a/b.json"],
            ),
            ("fs.appendFileSync('x', 'y')", &["x"]),
            (
                "const { readFileSync, writeFileSync } = require(\"fs\")\nwriteFileSync('x', readFileSync('y'))",
                &["x"],
            ),
            (
                "const fs = require('fs'), path = require('path'); fs.writeFileSync('x', path.join('a', 'b'))",
                &["x"],
            ),
            (
                "const p = require('./package.json'); delete p.module; delete p.exports.import; console.log(p)",
                &[],
            ),
            ("s = s.replace(/'|\"|[/]\\//g, '') / 2; // require('child_process')", &[]),
            (
                "for (const k of Object.keys(p)) { if (k.startsWith('@a/')) delete p[k]; } process.exit(1)",
                &[],
            ),
            ("console.log(`a\n'b`, 'it\\'s', fs.existsSync('x'))", &[]),
            ("/* a/b' */ fs.writeFileSync('$x', '')", &["$x"]),
            ("const n = a / 2; fs.writeFileSync('x', /b/g / '1')", &["x"]),
            ("s.replace(/\\/'/, 'b'); fs.writeFileSync('x', '')", &["x"]),
            ("fs.writeFileSync('x', /b/ / '1')", &["x"]),
            ("const { writeFileSync } = require('fs'); writeFileSync('x', '')", &["x"]),
            ("s.replace(/a/, 'b'); fs.writeFileSync('x', '')", &["x"]),
            ("if (a) /'/.test(c); fs.writeFileSync(\"x\", ''); if (a(b)) /'/.test(c)", &["x"]),
            ("else /'/.test(c); fs.writeFileSync(\"x\", ''); n = (a + b) / 2", &["x"]),
        ] {
            assert_eq!(written(program).as_deref(), Some(files), "{program}");
        }
    }

    #[test]
    fn of_other_programs_nothing_is_said() {
        for program in [
            "fs.writeFileSync(process.argv[1], '')",
            "fs.writeFileSync('a' + 'b', '')",
            "const f = 'a' + b; fs.writeFileSync(f, '')",
            "const f = 'a'; { const f = 'b'; fs.writeFileSync(f, '') }",
            "let f = 'a'; f = 'b'; fs.writeFileSync(f, '')",
            "const f = 'a'; const w = (f) => fs.writeFileSync(f, ''); w('b')",
            "const f = 'a'; for (const f of x) fs.writeFileSync(f, '')",
            "/*/ fs.writeFileSync(x, '') /*/ fs.writeFileSync(x, '')",
            "fs.renameSync('a', 'b')",
            "fs['writeFileSync']('a', '')",
            "fs.promises.writeFile('a', '')",
            "const w = fs.writeFileSync; w('a', '')",
            "const g = { ...fs }; g.writeFileSync('a', '')",
            "const g = fs; g.writeFileSync('a', '')",
            "const { writeFileSync: w } = require('fs'); w('a', '')",
            "const { writeFileSync } = require('fs'); const w = writeFileSync; w('a', '')",
            "const g = require('fs').promises; g.writeFile('a', '')",
            "let g; g = require('fs'); g.writeFileSync('a', '')",
            "require('child_process').execSync('npm i')",
            "child_process.execSync('npm i')",
            "const r = require; r('fs')",
            "require(x)",
            "require('./script')",
            "require('graceful-fs').writeFileSync('a', '')",
            "x = { writeFileSync } = require('fs'); writeFileSync('a', '')",
            "const { writeFileSync: readFileSync } = require('fs'); readFileSync('a', '')",
            "import('fs')",
            "eval(x)",
            "new Function(x)()",
            "[].constructor.constructor(x)()",
            "[]['constructor']",
            "process.chdir('a')",
            "process['chdir']('a')",
            "`${x}`",
            "'a",
            "'a\nb'",
            "/a",
            "/a\nb/",
            "\u{e000}",
            "fs",
            "\\u0065val(x)",
            "if (a) { b() } /'/.test(c); fs.writeFileSync(\"package-lock.json\", ''); /'/.test(c)",
            "x = { a: 1 } / 2",
        ] {
            assert_eq!(written(program), None, "{program}");
        }
    }
}
