//! Random conditions over texts, versions and lists: what is plain data must mean the same to both.

use super::random_nix::Dice;

const TEXTS: [&str; 12] = [
    "1.9",
    "1.10",
    "1.10.2",
    "2.0pre3",
    "2.0",
    "2.0-rc1",
    "v10",
    "web-ui",
    "web_ui-9",
    "a/b/c.json",
    "",
    "web",
];
const PATTERNS: [&str; 9] = [
    "([0-9]+)[.]([0-9]+).*",
    "v?([0-9.]*)",
    "[a-z]+-(.*)",
    "(web|api)[-_]ui.*",
    ".*/([^/]*)",
    "([a-z]*)(-[a-z]*)?",
    "[[:alnum:]]+",
    "web",
    "([0-9]*)([0-9]+).*",
];
const SEPARATORS: [&str; 6] = ["-", "/", "[.]", "([0-9]+)", "[a-z]+", "e"];
const COMPARISONS: [&str; 4] = ["<", "<=", ">", "=="];

/// A Nix expression for a Boolean that only an evaluator can tell.
pub fn condition(dice: &mut Dice) -> String {
    let (a, b) = (text(dice), text(dice));
    let list = format!("[ {} {} {} ]", text(dice), text(dice), text(dice));
    let (pattern, separator) = (of(dice, &PATTERNS), of(dice, &SEPARATORS));
    let compare = of(dice, &COMPARISONS);
    let number = dice.below(4);
    let inside = match dice.below(17) {
        0 => format!("builtins.compareVersions {a} {b} {compare} 0"),
        1 => format!("builtins.head (builtins.sort (x: y: builtins.compareVersions x y < 0) {list}) == {a}"),
        2 => format!("builtins.elemAt (builtins.sort builtins.lessThan {list}) 2 == {a}"),
        3 => format!("builtins.match \"{pattern}\" {a} == null"),
        4 => format!(
            "let m = builtins.match \"{pattern}\" {a}; in m != null && m != [ ] && builtins.head m == {b}"
        ),
        5 => format!("builtins.length (builtins.split \"{separator}\" {a}) > {number}"),
        6 => format!("builtins.head (builtins.split \"{separator}\" {a}) == {b}"),
        7 => format!("builtins.substring {number} 3 {a} {compare} builtins.substring 0 {number} {b}"),
        8 => format!("builtins.replaceStrings [ \"1\" \"we\" \"-\" ] [ \"2\" \"\" \"_\" ] {a} {compare} {b}"),
        9 => format!("builtins.stringLength {a} {compare} builtins.stringLength {b}"),
        10 => format!("builtins.concatStringsSep \".\" (builtins.splitVersion {a}) == {b}"),
        11 => format!("baseNameOf {a} {compare} {b}"),
        12 => format!("builtins.elem {a} {list}"),
        13 => format!("builtins.length (builtins.filter (x: x {compare} {b}) {list}) == {number}"),
        14 => format!(
            "builtins.foldl' (n: x: n + builtins.stringLength x) 0 {list} {compare} builtins.mul {number} 5"
        ),
        15 => format!("builtins.head (builtins.attrNames {{ {a} = 1; \"z\" = 2; }} ) == {b}"),
        _ => format!("builtins.sub (builtins.div (builtins.add {number} 9) 2) 4 {compare} {number}"),
    };
    format!("({inside})")
}

fn text(dice: &mut Dice) -> String {
    format!("\"{}\"", of(dice, &TEXTS))
}

fn of<'a>(dice: &mut Dice, from: &[&'a str]) -> &'a str {
    let count = u64::try_from(from.len()).expect("short");
    from[usize::try_from(dice.below(count)).expect("small")]
}
