//! The language and the modelled functions in this world, against answers that real Nix gave.

use std::path::PathBuf;
use std::process::Command;

use nix_lang::eval::Eval;
use nix_lang::files::Files;
use nix_lang::syntax::ast::{Location, Span};
use nix_lang::value::{Kind, Value};
use serde_json::{Value as Json, json};

use super::*;

/// Expressions and what they are, as `nix-instantiate --eval --strict --json` prints it.
const PURE: &[(&str, &str)] = &[
    ("1 + 2 * 3", "7"),
    ("7 / 2 - 1", "2"),
    ("-3 + 5", "2"),
    ("1 < 2 && !(2 <= 1) || false", "true"),
    ("false -> (1 / 0 == 0)", "true"),
    ("[ 1 ] ++ [ 2 3 ]", "[1,2,3]"),
    ("{ a = 1; b = 2; } // { b = 3; c = 4; }", r#"{"a":1,"b":3,"c":4}"#),
    ("rec { a = b; b = 2; }", r#"{"a":2,"b":2}"#),
    ("let a = 1; b = a + 1; in { inherit a b; }", r#"{"a":1,"b":2}"#),
    ("let x = 1; in let x = 2; y = x; in y", "2"),
    ("let s = { a = 1; }; in { inherit (s) a; }", r#"{"a":1}"#),
    ("let x = 1; in rec { inherit x; y = x; }", r#"{"x":1,"y":1}"#),
    ("with { a = 1; b = 2; }; a + b", "3"),
    ("let a = 1; in with { a = 2; }; a", "1"),
    ("with { a = 1; }; with { a = 2; }; a", "2"),
    ("let { body = x; x = 5; }", "5"),
    ("{ a.b.c = 1; a.b.d = 2; a.e = 3; }", r#"{"a":{"b":{"c":1,"d":2},"e":3}}"#),
    ("{ a = { b = 1; }; a.c = 2; }", r#"{"a":{"b":1,"c":2}}"#),
    (r#"{ "x y" = 1; ${"z"} = 2; ${null} = 3; }"#, r#"{"x y":1,"z":2}"#),
    (r#"let n = "k"; in { ${n}.v = 1; }.k.v"#, "1"),
    ("{ a = 1; }.b or 2", "2"),
    ("{ a.b = 1; }.a.b or 2", "1"),
    ("{ a = 1; }.a.b or 2", "2"),
    ("{ a.b = 1; } ? a.b", "true"),
    ("{ a = 1; } ? a.b", "false"),
    (r#"{ a = 1; } ? "a""#, "true"),
    ("(x: y: x - y) 5 3", "2"),
    ("({ a, b ? a + 1 }: a * b) { a = 2; }", "6"),
    ("({ a, b ? a + 1, ... }@args: args ? b) { a = 2; c = 1; }", "false"),
    ("(args@{ a, ... }: args.c) { a = 2; c = 1; }", "1"),
    ("let f = { __functor = self: x: x + self.n; n = 4; }; in f 3", "7"),
    ("if 1 == 1 then \"a\" else \"b\"", r#""a""#),
    ("assert true; 1", "1"),
    (r#""a${"b"}c" + "d""#, r#""abcd""#),
    (r#""${toString 3}-${toString true}-${toString [ 1 2 ]}""#, r#""3-1-1 2""#),
    ("''\n  a\n    b\n  c\n''", r#""a\n  b\nc\n""#),
    ("''\n  a ${\"x\"}\n   b''", r#""a x\n b""#),
    (r"''a''${b} ''' \n''", r#""a${b} '' \\n""#),
    (r#""\${a} $${b} \n\t\"""#, r#""${a} $${b} \n\t\"""#),
    ("{ __toString = self: \"s\"; } + \"\" ", r#""s""#),
    ("[ 1 2 ] == [ 1 2 ]", "true"),
    ("{ a = 1; } == { a = 2; }", "false"),
    ("\"a\" < \"b\"", "true"),
    ("map (x: x + 1) [ 1 2 ]", "[2,3]"),
    ("builtins.filter (x: x > 1) [ 1 2 3 ]", "[2,3]"),
    ("builtins.foldl' (a: b: a + b) 0 [ 1 2 3 ]", "6"),
    ("builtins.concatLists [ [ 1 ] [ 2 ] ]", "[1,2]"),
    ("builtins.concatMap (x: [ x x ]) [ 1 2 ]", "[1,1,2,2]"),
    ("builtins.genList (i: i * i) 4", "[0,1,4,9]"),
    ("builtins.elem 2 [ 1 2 ]", "true"),
    ("builtins.elemAt [ 1 2 ] 1", "2"),
    ("builtins.head [ 1 2 ] + builtins.length (builtins.tail [ 1 2 3 ])", "3"),
    ("builtins.all (x: x > 0) [ 1 2 ] && builtins.any (x: x > 1) [ 1 2 ]", "true"),
    ("builtins.attrNames { b = 1; a = 2; }", r#"["a","b"]"#),
    ("builtins.attrValues { b = 1; a = 2; }", "[2,1]"),
    ("builtins.mapAttrs (n: v: n + toString v) { a = 1; }", r#"{"a":"a1"}"#),
    ("builtins.listToAttrs [ { name = \"a\"; value = 1; } { name = \"a\"; value = 2; } ]", r#"{"a":1}"#),
    ("builtins.removeAttrs { a = 1; b = 2; } [ \"a\" \"z\" ]", r#"{"b":2}"#),
    ("builtins.intersectAttrs { a = 1; } { a = 2; b = 3; }", r#"{"a":2}"#),
    ("builtins.catAttrs \"a\" [ { a = 1; } { b = 2; } { a = 3; } ]", "[1,3]"),
    ("builtins.hasAttr \"a\" { a = 1; } && builtins.getAttr \"a\" { a = true; }", "true"),
    ("builtins.functionArgs ({ a, b ? 1 }: a)", r#"{"a":false,"b":true}"#),
    ("builtins.replaceStrings [ \"a\" \"b\" ] [ \"b\" \"c\" ] \"aabbx\"", r#""bbccx""#),
    ("builtins.substring 1 2 \"abcd\" + builtins.substring 2 (-1) \"abcd\"", r#""bccd""#),
    ("builtins.stringLength \"abc\"", "3"),
    ("builtins.concatStringsSep \", \" [ \"a\" \"b\" ]", r#""a, b""#),
    ("builtins.baseNameOf \"/a/b.nix\" + builtins.dirOf \"/a/b\"", r#""b.nix/a""#),
    ("builtins.typeOf 1 + builtins.typeOf [ ] + builtins.typeOf (x: x)", r#""intlistlambda""#),
    (
        "builtins.isAttrs { } && builtins.isList [ ] && builtins.isString \"\" && builtins.isFunction map",
        "true",
    ),
    (
        "builtins.fromJSON \"{\\\"a\\\": [1, 2.5, null, true, \\\"x\\\\u00e9\\\"]}\"",
        r#"{"a":[1,2.5,null,true,"xé"]}"#,
    ),
    ("(builtins.tryEval (throw \"x\")).success", "false"),
    ("builtins.seq 1 2 + builtins.deepSeq [ 1 ] 3", "5"),
    ("let fix = f: let x = f x; in x; in (fix (self: { a = self.b + 1; b = 1; })).a", "2"),
    ("let f = n: if n == 0 then 0 else n + f (n - 1); in f 50", "1275"),
    ("let xs = [ 1 2 3 ]; in builtins.length xs == 3 && builtins.elemAt xs 2 == 3", "true"),
    ("(import ./sub.nix) { x = 20; }", "42"),
    ("(import ./folder).y", r#""folder""#),
    ("builtins.readFile ./text.txt", r#""hello\n""#),
    ("builtins.pathExists ./text.txt && !(builtins.pathExists ./none)", "true"),
    ("builtins.attrNames (builtins.readDir ./folder)", r#"["default.nix"]"#),
    ("builtins.fromTOML \"a = 1\\n[b]\\nc = 'x'\\n\"", r#"{"a":1,"b":{"c":"x"}}"#),
];

/// Functions of `lib`, whose answers follow from their documentation.
const LIBRARY: &[(&str, &str)] = &[
    ("lib.optional true 1 ++ lib.optionals false [ 2 ]", "[1]"),
    ("lib.optionalString true \"a\" + lib.optionalString false \"b\"", r#""a""#),
    ("lib.optionalAttrs false { a = 1; } // lib.optionalAttrs true { b = 2; }", r#"{"b":2}"#),
    ("lib.genAttrs [ \"a\" \"b\" ] (n: n + \"!\")", r#"{"a":"a!","b":"b!"}"#),
    ("lib.genAttrs' [ \"a\" \"b\" ] (n: lib.nameValuePair (n + \"!\") n)", r#"{"a!":"a","b!":"b"}"#),
    ("lib.mapAttrs' (n: v: lib.nameValuePair (n + \"x\") v) { a = 1; }", r#"{"ax":1}"#),
    ("lib.mapAttrsToList (n: v: n + toString v) { a = 1; b = 2; }", r#"["a1","b2"]"#),
    ("lib.filterAttrs (n: v: v > 1) { a = 1; b = 2; }", r#"{"b":2}"#),
    ("lib.recursiveUpdate { a.b = 1; a.c = 2; } { a.b = 3; }", r#"{"a":{"b":3,"c":2}}"#),
    ("lib.concatMapAttrs (n: v: { ${n + \"1\"} = v; }) { a = 1; }", r#"{"a1":1}"#),
    ("lib.mergeAttrsList [ { a = 1; } { b = 2; } ]", r#"{"a":1,"b":2}"#),
    ("lib.attrByPath [ \"a\" \"b\" ] 0 { a.b = 1; } + lib.attrByPath [ \"z\" ] 5 { }", "6"),
    ("lib.setAttrByPath [ \"a\" \"b\" ] 1", r#"{"a":{"b":1}}"#),
    ("lib.removePrefix \"a\" (lib.removeSuffix \"c\" \"abc\")", r#""b""#),
    ("lib.trim \" \\n a b \\n\"", r#""a b""#),
    ("lib.splitString \".\" \"a.b.c\"", r#"["a","b","c"]"#),
    ("lib.concatMapStringsSep \",\" toString [ 1 2 ]", r#""1,2""#),
    ("lib.flatten [ 1 [ 2 [ 3 ] ] ]", "[1,2,3]"),
    ("lib.unique [ 1 2 1 ]", "[1,2]"),
    ("lib.range 1 3", "[1,2,3]"),
    ("lib.imap0 (i: v: i + v) [ 10 20 ]", "[10,21]"),
    ("lib.foldr (a: b: a - b) 0 [ 5 3 ]", "2"),
    ("lib.pipe 1 [ (x: x + 1) (x: x * 3) ]", "6"),
    ("(lib.fix (self: { a = 1; b = self.a; })).b", "1"),
    ("(lib.fix (lib.extends (final: prev: { a = prev.a + 1; }) (self: { a = 1; b = self.a; }))).b", "2"),
    ("(lib.makeOverridable ({ a, b ? 1 }: { s = a + b; }) { a = 1; }).s", "2"),
    ("((lib.makeOverridable ({ a, b ? 1 }: { s = a + b; }) { a = 1; }).override { b = 5; }).s", "6"),
    ("lib.hasPrefix \"a\" \"ab\" && lib.hasSuffix \"b\" \"ab\" && lib.hasInfix \"b\" \"abc\"", "true"),
    ("lib.fileContents ./text.txt", r#""hello""#),
    ("lib.lists.last [ 1 2 ] + lib.lists.findFirst (x: x > 1) 0 [ 1 3 ]", "5"),
    ("lib.versions.majorMinor \"1.2.3\"", r#""1.2""#),
    ("lib.zipListsWith (a: b: a + b) [ 1 2 ] [ 3 4 ]", "[4,6]"),
    ("lib.foldlAttrs (acc: n: v: acc + v) 0 { a = 1; b = 2; }", "3"),
];

fn folder(name: &str) -> PathBuf {
    let root = std::env::temp_dir().join(format!("npm-nixhash-eval-{name}-{}", std::process::id()));
    std::fs::create_dir_all(root.join("folder")).expect("a folder of our own");
    for (file, text) in [
        ("sub.nix", "{ x }: x * 2 + 2"),
        ("folder/default.nix", "{ y = baseNameOf ./.; }"),
        ("text.txt", "hello\n"),
    ] {
        std::fs::write(root.join(file), text).expect("a file of our own");
    }
    root.canonicalize().expect("a folder that is there")
}

fn evaluate(root: &Path, expression: &str) -> Json {
    let path = root.join("case.nix");
    std::fs::write(&path, expression).expect("a file of our own");
    let mut ev = Eval::new(Files::new(root.to_path_buf()), &Nixpkgs, Rc::new(()));
    ev.budget.begin();
    let file = ev.files.read(&path).expect("a file that is there");
    let at = Location { file, span: Span { start: 0, end: 0 } };
    let value = ev.import_path(&path, at);
    let value = match &value.kind {
        // The library is an argument.
        Kind::Lambda(_) => ev.apply_value(&value, packages::lib(), at),
        _ => value,
    };
    to_json(&mut ev, &value)
}

fn to_json(ev: &mut Eval, value: &Value) -> Json {
    match &value.kind {
        Kind::Null => Json::Null,
        Kind::Bool(flag) => json!(flag),
        Kind::Int(number) => json!(number),
        Kind::Float(number) => json!(number),
        Kind::Str(_) => value.known_text().map_or_else(|| json!("unknown text"), |text| json!(text.as_ref())),
        Kind::List(list) => list
            .items
            .iter()
            .map(|item| {
                let item = ev.force(*item);
                to_json(ev, &item)
            })
            .collect(),
        Kind::Attrs(attrs) => attrs
            .map
            .iter()
            .filter(|(name, _)| name.as_ref() != "override")
            .map(|(name, attr)| {
                let inner = ev.force(attr.thunk);
                (name.to_string(), to_json(ev, &inner))
            })
            .collect(),
        Kind::Unknown(unknown) => json!(format!("unknown: {}", unknown.message)),
        _ => json!(value.type_name()),
    }
}

fn parsed(text: &str) -> Json {
    serde_json::from_str(text).expect("an expectation is JSON")
}

#[test]
fn the_language_means_what_nix_means_by_it() {
    let root = folder("pure");
    for (expression, expected) in PURE {
        assert_eq!(evaluate(&root, expression), parsed(expected), "{expression}");
    }
    let _ = std::fs::remove_dir_all(root);
}

#[test]
fn the_library_does_what_it_documents() {
    let root = folder("library");
    for (expression, expected) in LIBRARY {
        assert_eq!(evaluate(&root, &format!("lib: {expression}")), parsed(expected), "{expression}");
    }
    let _ = std::fs::remove_dir_all(root);
}

/// Where Nix is installed, it confirms the table.
#[test]
fn nix_itself_agrees_with_the_table() {
    let root = folder("nix");
    for (expression, expected) in PURE {
        let path = root.join("oracle.nix");
        std::fs::write(&path, expression).expect("a file of our own");
        let run = Command::new("nix-instantiate").args(["--eval", "--strict", "--json"]).arg(&path).output();
        let Ok(output) = run else { return };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(serde_json::from_str::<Json>(&text).ok(), Some(parsed(expected)), "{expression}");
    }
    let _ = std::fs::remove_dir_all(root);
}

#[test]
fn every_function_has_one_row() {
    let mut names: Vec<&str> = rows().map(|native| native.name).collect();
    names.sort_unstable();
    let doubled: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert_eq!(doubled, Vec::<&[&str]>::new());
}

#[test]
fn functions_are_known_where_nix_knows_them() {
    let is_function = |value: Option<Value>| value.is_some_and(|value| value.is_function());
    for (name, everywhere, in_builtins) in [
        ("map", true, true),
        ("toString", true, true),
        ("filter", false, true),
        ("fetchTarball", true, true),
        ("fetchurl", false, true),
        ("optional", false, false),
        ("makeScope", false, false),
    ] {
        assert_eq!(is_function(Nixpkgs.global(name)), everywhere, "{name}");
        assert_eq!(is_function(Some(Nixpkgs.builtin(name))), in_builtins, "builtins.{name}");
    }
    assert!(is_function(Nixpkgs.global("__filter")));
    assert!(Nixpkgs.global("__optional").is_some_and(|value| value.as_unknown().is_some()));
}
