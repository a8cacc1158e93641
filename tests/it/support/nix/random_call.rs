//! Random calls of the functions of `builtins` and `lib`, with arguments of the right types and of every odd shape.

use super::random_nix::Dice;

/// Writes expressions; one seed is one sequence.
pub struct CallWriter {
    dice: Dice,
}

const TEXTS: &[&str] = &[
    "",
    "a",
    "b",
    "ab",
    "a-b",
    "foo-1.2.3",
    "foo-bar-2.0pre1",
    "-",
    "--1",
    "x/y",
    "/x/y/",
    "@x/y",
    "..a",
    "ü",
    "naïve-é",
    "a b",
    "it's",
    "$x",
    "a.b.c",
    "1.10",
    "1.9",
    "1.0.0-rc1",
    "20240101123456",
    "Ab-Z",
    " a\\n",
    "\\n",
    "\\\\",
    "<&>",
    "100%",
    "a,b,,c",
    "aaa",
    "[x]",
    "(a|b)*",
    "${\"\"}z",
    "~+=_?",
    "#",
    "\\t",
    "4",
    "-7",
];

/// `{t}` a text, `{n}` a small number, `{i}` an integer, `{b}` a boolean, `{l}` a list of texts, `{k}` a list of integers,
/// `{s}` a set of texts, `{c}` a list of characters, `{m}` a function of texts, `{p}` a predicate of texts, `{r}` a
/// regular expression, `{j}` a JSON document, `{d}` a nested set.
const TEXT: &[&str] = &[
    "({t} + {t})",
    "\"<${{t}}>\"",
    "(toString {t})",
    "(toString {i})",
    "(toString {b})",
    "(toString {l})",
    "(toString [ {l} {k} [ ] {t} null {b} ])",
    "(builtins.substring {n} {i} {t})",
    "(builtins.replaceStrings [ {t1} {t1} ] [ {t} {t} ] {t})",
    "(builtins.concatStringsSep {t} {l})",
    "(lib.removePrefix {t} {t})",
    "(lib.removeSuffix {t} {t})",
    "(lib.toLower {t})",
    "(lib.toUpper {t})",
    "(lib.trim {t})",
    "(lib.escapeShellArg {t})",
    "(lib.escapeShellArgs {l})",
    "(lib.escapeRegex {t})",
    "(lib.escape {c} {t})",
    "(lib.escapeNixString {t})",
    "(lib.strings.sanitizeDerivationName {t})",
    "(lib.escapeURL {t})",
    "(lib.escapeXML {t})",
    "(lib.concatMapStringsSep {t} {m} {l})",
    "(lib.concatMapStrings {m} {l})",
    "(lib.concatLines {l})",
    "(lib.optionalString {b} {t})",
    "(builtins.baseNameOf {t})",
    "(builtins.dirOf {t})",
    "(lib.versions.major \"4.{n}-x\")",
    "(lib.versions.majorMinor {t})",
    "(lib.versions.minor \"4.{n}\")",
    "(lib.getName {t})",
    "(lib.getVersion {t})",
    "(lib.getName { name = {t}; })",
    "(lib.getVersion { name = {t}; })",
    "(builtins.parseDrvName {t}).name",
    "(builtins.parseDrvName {t}).version",
    "(lib.boolToString {b})",
    "(lib.concatStrings {l})",
    "(if {b} then {t} else {t})",
    "(lib.foldl' (a: x: a + x) {t} {l})",
    "(lib.foldr (x: a: x + a) {t} {l})",
    "(lib.attrByPath [ \"a\" \"b\" ] {t} {d})",
    "(builtins.typeOf {j})",
    "(lib.defaultTo {t} null)",
    "(lib.pipe {t} [ {m} {m} ])",
    "(lib.findFirst {p} {t} {l})",
    "(builtins.head ([ {t} ] ++ {l}))",
    "(lib.last ({l} ++ [ {t} ]))",
    "(builtins.elemAt [ {t} {t} {t} ] {n2})",
    "(lib.foldlAttrs (a: n: v: a + n + v) {t} {s})",
    "(builtins.unsafeDiscardStringContext {t})",
    "(lib.flip (a: b: a + b) {t} {t})",
    "(lib.fix (self: { a = {t}; b = self.a; })).b",
    "(builtins.getAttr \"a\" { a = {t}; })",
    "({s}.a or {t})",
    "(lib.id {t})",
    "(builtins.seq {i} {t})",
];
const INT: &[&str] = &[
    "{i}",
    "(builtins.stringLength {t})",
    "(builtins.length {l})",
    "(builtins.compareVersions {t} {t})",
    "({i} + {i})",
    "({i} - {i})",
    "({i} * {n})",
    "(lib.min {i} {i})",
    "(lib.max {i} {i})",
    "(builtins.foldl' builtins.add 0 {k})",
    "(builtins.length (builtins.attrNames {s}))",
    "({i} / 3)",
    "(builtins.sub {i} {n})",
    "(builtins.mul {i} {n})",
    "(builtins.div {i} 2)",
];
const BOOL: &[&str] = &[
    "true",
    "false",
    "(lib.hasPrefix {t} {t})",
    "(lib.hasSuffix {t} {t})",
    "(lib.hasInfix {t} {t})",
    "(builtins.elem {t} {l})",
    "(lib.versionOlder {t} {t})",
    "(lib.versionAtLeast {t} {t})",
    "({t} == {t})",
    "({i} < {i})",
    "({t} < {t})",
    "({l} == {l})",
    "({s} == {s})",
    "(builtins.any {p} {l})",
    "(builtins.all {p} {l})",
    "(builtins.hasAttr {t} {s})",
    "(builtins.match {r} {t} == null)",
    "(lib.hasAttrByPath [ \"a\" \"b\" ] {d})",
    "(!{b})",
    "({b} && {b})",
    "({b} -> {b})",
    "(builtins.isString {t})",
    "(builtins.isList {s})",
    "(lib.isDerivation {s})",
    "(lib.isDerivation { type = {t}; })",
    "(builtins.isAttrs {d})",
    "({s} ? a)",
    "(lib.isFunction {m})",
    "(builtins.tryEval (throw \"x\")).success",
    "(builtins.lessThan {i} {i})",
    "(lib.mutuallyUnknown or {b})",
];
const LIST: &[&str] = &[
    "[ ]",
    "[ {t} {t} {t} ]",
    "[ {t} ]",
    "(lib.splitString {t1} {t})",
    "(map {m} {l})",
    "(builtins.filter {p} {l})",
    "(builtins.sort (a: b: a < b) {l})",
    "(builtins.sort (a: b: builtins.stringLength a < builtins.stringLength b) {l})",
    "(lib.unique {l})",
    "(lib.take {n} {l})",
    "(lib.drop {n} {l})",
    "(lib.reverseList {l})",
    "(lib.subtractLists {l} {l})",
    "(lib.remove {t} {l})",
    "(builtins.attrNames {s})",
    "(builtins.attrValues {s})",
    "(builtins.concatMap (x: [ x {t} ]) {l})",
    "(lib.flatten [ {l} [ {t} [ {t} ] ] ])",
    "(lib.stringToCharacters {t})",
    "(builtins.splitVersion {t})",
    "(builtins.genList (i: toString i) {n})",
    "(lib.imap0 (i: x: toString i + x) {l})",
    "(lib.imap1 (i: x: x + toString i) {l})",
    "(lib.zipListsWith (a: b: a + b) {l} {l})",
    "(builtins.tail ([ {t} ] ++ {l}))",
    "(lib.init ({l} ++ [ {t} ]))",
    "({l} ++ {l})",
    "(lib.optional {b} {t})",
    "(lib.optionals {b} {l})",
    "(lib.toList {t})",
    "(lib.singleton {t})",
    "(builtins.concatLists [ {l} {l} ])",
    "(map toString (lib.range {i} {n}))",
    "(lib.mapAttrsToList (n: v: n + v) {s})",
    "(lib.catAttrs \"a\" [ {s} { } { a = {t}; } ])",
    "(builtins.filter builtins.isString (builtins.split {r} {t}))",
    "(lib.concatLists (map (x: if builtins.isList x then [ (toString x) ] else [ x ]) (builtins.split {r} {t})))",
    "(map toString (let m = builtins.match {r} {t}; in if m == null then [ ] else m))",
    "(lib.attrVals [ \"a\" ] ({ a = {t}; } // {s}))",
    "(lib.forEach {l} {m})",
    "(map toString (builtins.sort builtins.lessThan {k}))",
];
const SET: &[&str] = &[
    "{ }",
    "{ a = {t}; }",
    "{ a = {t}; b = {t}; }",
    "{ b = {t}; \"x y\" = {t}; }",
    "(builtins.listToAttrs (map (x: lib.nameValuePair x {t}) {l}))",
    "(builtins.mapAttrs (n: v: n + v) {s})",
    "(lib.filterAttrs (n: v: {p} n) {s})",
    "(builtins.removeAttrs {s} {l})",
    "({s} // {s})",
    "(builtins.intersectAttrs {s} {s})",
    "(lib.genAttrs {l} {m})",
    "(lib.genAttrs' {l} (x: lib.nameValuePair (x + \"!\") ({m} x)))",
    "(lib.mapAttrs' (n: v: lib.nameValuePair (v + n) n) {s})",
    "(lib.optionalAttrs {b} {s})",
    "(lib.getAttrs [ \"a\" ] ({ a = {t}; } // {s}))",
    "(lib.concatMapAttrs (key: v: { ${key} = v; ${v} = key; }) {s})",
    "(lib.mergeAttrsList [ {s} {s} {s} ])",
    "(lib.filterAttrs (n: v: builtins.isString v) (lib.recursiveUpdate {d} {s}))",
];
const NESTED: &[&str] = &[
    "{s}",
    "{ a = {s}; }",
    "{ a.b = {t}; c = {i}; }",
    "(lib.recursiveUpdate {d} {d})",
    "(lib.setAttrByPath [ {t} \"b\" ] {t})",
    "{ a = {l}; }",
    "(lib.recursiveUpdate { a = {s}; } { a.b.c = {b}; })",
];
const REGEXES: &[&str] = &[
    "a",
    "[a-z]+",
    "([a-z]+)-(.*)",
    "(.*)\\\\.(.*)",
    "[^0-9]*",
    "([0-9]+)\\\\.([0-9]+)",
    "x?y",
    "(a|ab)(c|bcd)*",
    "[[:alnum:]]+",
    "[[:space:]]*([^[:space:]]*).*",
    ".*",
    "a{2}",
    "[a,]",
    "-|/",
    "(-)",
    "\\\\.",
];
const DOCUMENTS: &[&str] = &[
    "{\\\"a\\\":1}",
    "[1,2.5,null,true]",
    "\\\"x\\\\u00e9\\\\n\\\"",
    "{\\\"a\\\":1,\\\"a\\\":{\\\"b\\\":\\\"c\\\"}}",
    " [ ] ",
    "-0",
    "1e3",
    "[-12]",
    "\\\"\\\\/\\\"",
    "{\\\"\\\":\\\"\\\"}",
];

impl CallWriter {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed) }
    }

    /// An expression of some type.
    pub fn expression(&mut self) -> String {
        let kind = ['t', 't', 'l', 'l', 's', 'd', 'i', 'b', 'j'][self.pick(9)];
        self.of(kind, 3)
    }

    fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.dice.below(count as u64)).expect("a small number")
    }

    fn one(&mut self, rows: &[&str]) -> String {
        rows[self.pick(rows.len())].to_owned()
    }

    fn text(&mut self) -> String {
        format!("\"{}\"", self.one(TEXTS))
    }

    fn of(&mut self, kind: char, depth: u32) -> String {
        let rows = match kind {
            _ if depth == 0 => return self.plain(kind),
            't' if self.pick(3) == 0 => return self.plain('t'),
            't' => TEXT,
            'i' => INT,
            'b' => BOOL,
            'l' => LIST,
            's' => SET,
            'd' => NESTED,
            other => return self.plain(other),
        };
        let row = self.one(rows);
        self.filled(&row, depth - 1)
    }

    /// The row with its holes filled.
    fn filled(&mut self, row: &str, depth: u32) -> String {
        let mut out = String::new();
        let mut rest = row;
        while let Some(start) = rest.find('{') {
            let hole = rest[start + 1..].split_once('}').map(|(name, _)| name);
            let known = hole.filter(|name| {
                matches!(
                    *name,
                    "t" | "t1" | "n" | "n2" | "i" | "b" | "l" | "k" | "s" | "c" | "m" | "p" | "r" | "j" | "d"
                )
            });
            let Some(name) = known else {
                out.push_str(&rest[..=start]);
                rest = &rest[start + 1..];
                continue;
            };
            out.push_str(&rest[..start]);
            rest = &rest[start + name.len() + 2..];
            out.push_str(&match name {
                // A text that is not empty, and a place in a list of three.
                "t1" => format!("\"{}\"", TEXTS[1 + self.pick(TEXTS.len() - 1)]),
                "n2" => self.pick(3).to_string(),
                name => self.of(name.chars().next().unwrap_or('t'), depth),
            });
        }
        out + rest
    }

    fn plain(&mut self, kind: char) -> String {
        match kind {
            'n' => self.pick(6).to_string(),
            'i' => format!("({})", i64::try_from(self.pick(14)).expect("a small number") - 4),
            'b' => self.one(&["true", "false"]),
            'l' => format!("[ {} {} ]", self.text(), self.text()),
            'k' => format!("[ {} ({}) 3 ]", self.pick(9), -1),
            's' | 'd' => format!("{{ a = {}; }}", self.text()),
            'c' => self.one(&["[ \"a\" \"$\" ]", "[ ]", "[ \"\\\\\" \"'\" \"/\" ]"]),
            'm' => self.one(&[
                "(x: x + \"!\")",
                "lib.toUpper",
                "(x: \"a\")",
                "(lib.removePrefix \"a\")",
                "toString",
            ]),
            'p' => self.one(&[
                "(x: x == \"a\")",
                "(lib.hasPrefix \"a\")",
                "(x: true)",
                "(x: builtins.stringLength x > 2)",
            ]),
            'r' => format!("\"{}\"", self.one(REGEXES)),
            'j' => format!("(builtins.fromJSON \"{}\")", self.one(DOCUMENTS)),
            _ => self.text(),
        }
    }
}
