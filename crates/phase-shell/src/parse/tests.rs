//! What the parser takes apart, what it leaves alone, and that hostile text stays cheap.

use super::*;
use crate::script::Part;

fn symbols(text: &str) -> Vec<Symbol> {
    text.chars().map(Symbol::Char).collect()
}

fn words(text: &str) -> Vec<Vec<String>> {
    let list = parse(&symbols(text)).expect("it is a script");
    let shown = |word: &Word| {
        word.0
            .iter()
            .map(|part| match &part.what {
                Piece::Text(text) => text.clone(),
                Piece::Star => "*".to_owned(),
                Piece::Variable(name) => format!("${name}"),
                other => format!("<{other:?}>"),
            })
            .collect::<String>()
    };
    let simple = |command: &Command| match &command.kind {
        Kind::Simple { words, .. } => words.iter().map(shown).collect(),
        other => vec![format!("{other:?}")],
    };
    list.0
        .iter()
        .flat_map(|item| std::iter::once(&item.first).chain(item.rest.iter().map(|(_, pipeline)| pipeline)))
        .flat_map(|pipeline| pipeline.commands.iter().map(simple))
        .collect()
}

#[test]
fn words_and_commands_are_told_apart() {
    assert_eq!(
        words("cp 'a b' \"c\" && rm x; # no\nls \\\n y | wc"),
        [vec!["cp", "a b", "c"], vec!["rm", "x"], vec!["ls", "y"], vec!["wc"]]
    );
    assert_eq!(words("cp a{b,c}d *.json '*'"), [vec!["cp", "abd", "acd", "*.json", "*"]]);
    assert_eq!(words("echo \"\\$x $y\" '$z' {} a#b"), [vec!["echo", "$x $y", "$z", "{}", "a#b"]]);
    assert_eq!(words("x=1 cp a b 2>&1 >/dev/null <in"), [vec!["cp", "a", "b"]]);
}

#[test]
fn documents_are_no_commands() {
    assert_eq!(words("cat > x <<EOF\nrm y\nEOF\nls"), [vec!["cat"], vec!["ls"]]);
    assert_eq!(words("cat <<-'E' > x\n\t$(rm y)\n\tE\nls"), [vec!["cat"], vec!["ls"]]);
    assert_eq!(words("cat <<EOF\n EOF\nrm y"), [vec!["cat"]], "the delimiter has to be the whole line");
    assert_eq!(parse(&symbols("cat <<EOF\n$(rm y)\nEOF\n")), Err(ParseError::Syntax), "it runs commands");
}

#[test]
fn quotes_are_remembered() {
    let list = parse(&symbols("rm \"*\" *")).expect("it is a script");
    let Kind::Simple { words, .. } = &list.0[0].first.commands[0].kind else { panic!("a simple command") };
    assert!(!words[1].0.iter().any(|part| part.what == Piece::Star));
    assert_eq!(words[2].0, [Part { what: Piece::Star, quoted: false }]);
}

#[test]
fn escapes_are_those_of_bash() {
    let text = r#"rm $'\a\b\t\n\v\f\r\e\E\\\'\"\?\q'"#;
    assert_eq!(words(text), [["rm", "\x07\x08\t\n\x0b\x0c\r\x1b\x1b\\'\"?\\q"]]);
    assert_eq!(words(r"rm $'\0411\x2dd\u002dd\61x'"), [["rm", "!1-d-d1x"]]);
}

/// What an interpolation holds may be more digits.
#[test]
fn a_number_ends_before_an_interpolation_only_if_it_is_complete() {
    for (digits, is_known) in
        [("\\x2", false), ("\\x2d", true), ("\\05", false), ("\\055", true), ("\\u02d", false)]
    {
        let mut text = symbols(&format!("rm $'{digits}"));
        text.extend([Symbol::Hole(0), Symbol::Char('\'')]);
        let list = parse(&text).expect("it is a script");
        let Kind::Simple { words, .. } = &list.0[0].first.commands[0].kind else {
            panic!("a simple command")
        };
        assert_eq!(!words[1].0.iter().any(|part| part.what == Piece::Opaque), is_known, "{digits}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for text in [
        "cp 'a",
        "if a; then b",
        "a )",
        "x=${y:=1}",
        "for x in a; do",
        "case a in b) c;;",
        "a &&",
        "`a\\`",
        "select x in a; do b; done",
    ] {
        assert_eq!(parse(&symbols(text)), Err(ParseError::Syntax), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in
        [("(", ")"), ("{ ", "; }"), ("if a; then ", "; fi"), ("echo $(", ")"), ("! ", ""), ("x=`", "`")]
    {
        let text = format!("{}a{}", open.repeat(20_000), close.repeat(20_000));
        let started = std::time::Instant::now();
        let _ = parse(&symbols(&text));
        assert!(started.elapsed().as_secs() < 5, "{open}");
    }
    assert_eq!(
        parse(&symbols(&format!("{}a{}", "{ ".repeat(100), "; }".repeat(100)))),
        Err(ParseError::TooDeep)
    );
}

#[test]
fn long_text_of_one_kind_stays_cheap() {
    for part in ["[", "a[", "{a,b}", "<<E ", "$", "${", "\\", "'\"", "a\n", "a|", "~"] {
        let started = std::time::Instant::now();
        let _ = parse(&symbols(&part.repeat(100_000 / part.len())));
        assert!(started.elapsed().as_secs() < 5, "{part}");
    }
}
