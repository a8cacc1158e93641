use super::*;

fn inserted(text: &str, path: &str) -> Result<String, InsertError> {
    let path = AttrPath::parse(path)?;
    InsertionPoint::find(text, &path)?.insert(text, "f {\n  x = 1;\n\n  y = ''\n    z\n  '';\n}")
}

#[test]
fn a_sibling_among_siblings() {
    let text = "{ pkgs }:\n{\n  # one\n  a = 1; # note\n\n  # end\n}\n";
    let expected = "{ pkgs }:\n{\n  # one\n  a = 1; # note\n  b = f {\n    x = 1;\n\n    y = ''\n      z\n    '';\n  };\n\n  # end\n}\n";
    assert_eq!(inserted(text, "b").unwrap(), expected);
    assert_eq!(inserted("\u{feff}{ }\r\n", "\"a b\"").unwrap().lines().nth(1), Some("  \"a b\" = f {"));
}

#[test]
fn an_assertion_gives_its_set_and_a_name_may_be_empty() {
    assert!(inserted("assert true; { }", "b").unwrap().starts_with("assert true; {\n  b = f {"));
    assert!(inserted("{ \"\" = { }; }", "\"\".b").unwrap().starts_with("{ \"\" = {\n  b = f {"));
}

#[test]
fn sets_on_one_line_and_empty_ones() {
    assert_eq!(
        inserted("  { a = 1; }", "b").unwrap(),
        "  { a = 1;\n    b = f {\n      x = 1;\n\n      y = ''\n        z\n      '';\n    };\n  }"
    );
    assert!(inserted("{}", "b").unwrap().ends_with("  };\n}"));
}

#[test]
fn paths_go_through_what_gives_a_set_and_nothing_else() {
    let flake = "{ outputs = { self, nixpkgs }: let pkgs = 1; in {\n    packages.x86_64-linux = {\n      a = 1;\n    };\n  }; }";
    assert!(inserted(flake, "packages.x86_64-linux.b").unwrap().contains("\n      b = f {\n        x = 1;"));
    assert!(inserted(flake, "outputs.packages.x86_64-linux.b").is_ok());
    let dotted = "{\n  packages.x.a = 1;\n  other = 2;\n}";
    assert!(inserted(dotted, "packages.x.b").unwrap().contains("other = 2;\n  packages.x.b = f {"));
    let dynamic = "{ packages.${system} = with pkgs; { }; }";
    assert!(inserted(dynamic, "packages.${system}.b").is_ok());
    let systems = "{ outputs = i: { packages = each (system: { a = 1; }); }; }";
    assert!(inserted(systems, "packages.b").is_ok());
    let parts = "{ outputs = i: lib.mkFlake { } { perSystem = { pkgs, ... }: { packages.a = 1; }; }; }";
    assert!(inserted(parts, "perSystem.packages.b").is_ok());
}

#[test]
fn what_is_there_or_not_literal_is_refused() {
    use InsertError::{Exists, Missing, NotASet};
    let error = |text: &str, path: &str| inserted(text, path).unwrap_err();
    assert_eq!(error("{ a = 1; }", "a"), Exists("a".into()));
    assert_eq!(error("{ a.b.c = 1; }", "a.b"), Exists("a.b".into()));
    assert_eq!(error("{ \"a\" = 1; }", "a"), Exists("a".into()));
    assert_eq!(error("{ inherit (x) a; }", "a"), Exists("a".into()));
    assert_eq!(error("{ a = b // { }; }", "a.c"), NotASet("a".into()));
    assert_eq!(error("{ a = f { }; }", "a.c"), NotASet("a".into()));
    assert_eq!(error("{ inherit a; }", "a.c"), NotASet("a".into()));
    assert_eq!(error("{ }", "a.c"), Missing("a".into()));
    assert!(matches!(error("{ a = ; }", "b"), InsertError::Unparsable(_)));
    assert!(matches!(inserted("x: y", "b"), Err(NotASet(_))));
    for path in ["", "a = 1; b", "a.", "a # b", "a /* */", "${x}", "a b", "a\n"] {
        assert!(matches!(AttrPath::parse(path), Err(InsertError::Path(_))), "{path}");
    }
}

#[test]
fn an_expression_cannot_break_out() {
    let path = AttrPath::parse("b").unwrap();
    for (text, expression) in [("{ a = 1; }", "1; c = 2"), ("{ a = 1; }", "1; } // { c = 2"), ("{ }", "\"")] {
        assert!(InsertionPoint::find(text, &path).unwrap().insert(text, expression).is_err(), "{expression}");
    }
}

#[test]
fn names_in_scope() {
    let text = "{ pkgs, lib ? 1, ... }@args: let inherit (pkgs) jq; x.y = 1; in { }";
    let slot = InsertionPoint::find(text, &AttrPath::parse("b").unwrap()).unwrap();
    for name in ["pkgs", "lib", "args", "jq", "x"] {
        assert!(slot.names(name), "{name}");
    }
    assert!(!slot.binds("y") && !slot.names("b"));
    let slot =
        InsertionPoint::find("with import <nixpkgs> { }; { }", &AttrPath::parse("b").unwrap()).unwrap();
    assert!(slot.binds("fetchurl") && !slot.names("fetchurl"));
}

#[test]
fn strings_and_keys_are_quoted() {
    assert_eq!(string("a\"b\\c${d}$e\n\t\0"), "\"a\\\"b\\\\c\\${d}$e\\n\\t\"");
    assert_eq!(
        (attribute("a-b"), attribute("in"), attribute("1")),
        ("a-b".into(), "\"in\"".into(), "\"1\"".into())
    );
}
