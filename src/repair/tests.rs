use std::fmt::Write as _;

use npm_tarballs::integrity::ContentId;

use super::*;

fn fill(resolved: Option<&str>, integrity: Option<&str>) -> Fill {
    Fill { resolved: resolved.map(str::to_owned), integrity: integrity.map(str::to_owned) }
}

/// The text with both fields put into every entry that lacks them.
fn filled(text: &str) -> String {
    let entries = entries::entries(text).unwrap();
    let fills: Vec<_> = entries
        .iter()
        .map(|entry| {
            let resolved = entry.resolved.is_none().then_some("https://r/x.tgz");
            (entry, fill(resolved, entry.integrity.is_none().then_some("sha512-x")))
        })
        .collect();
    edit::apply(text, &fills).unwrap()
}

const COMPLETE: &str = r#"{
  "lockfileVersion": 2,
  "packages": {
    "": {
      "version": "1.0.0"
    },
    "node_modules/@s/a": {
      "name": "real",
      "version": "1.0.0",
      "resolved": "https://r/x.tgz",
      "integrity": "sha512-x",
      "dev": true,
      "engines": {
        "node": ">=1"
      }
    },
    "node_modules/b": {
      "version": "2.0.0",
      "resolved": "https://r/x.tgz",
      "integrity": "sha512-x"
    }
  },
  "dependencies": {
    "@s/a": {
      "version": "npm:real@1.0.0",
      "resolved": "https://r/x.tgz",
      "integrity": "sha512-x",
      "dependencies": {
        "b": {
          "version": "2.0.0",
          "resolved": "https://r/x.tgz",
          "integrity": "sha512-x",
          "requires": {
            "c": "1"
          }
        }
      }
    }
  }
}
"#;

/// A text without the lines of one field.
fn without(text: &str, field: &str) -> String {
    let opening = format!("\"{field}\"");
    let kept = text.lines().filter(|line| !line.trim_start().starts_with(&opening));
    let text = kept.fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    });
    // What was last in its object had no comma behind it.
    regex_lite::Regex::new(r",(\s*\})").unwrap().replace_all(&text, "$1").into_owned()
}

#[test]
fn fields_go_where_npm_writes_them_and_every_other_byte_stays() {
    let (no_resolved, no_integrity) = (without(COMPLETE, "resolved"), without(COMPLETE, "integrity"));
    let neither = without(&no_resolved, "integrity");
    for incomplete in [&no_resolved, &no_integrity, &neither] {
        assert_ne!(*incomplete, COMPLETE);
        assert_eq!(filled(incomplete), COMPLETE);
        for (from, to) in [
            ("\n", "\r\n"),
            ("  ", "\t"),
            ("}\n}\n", "}\n}"),
            ("\": ", "\" :  "),
            ("\"dev\"", "\"d\\u0065v\""),
        ] {
            assert_eq!(filled(&incomplete.replace(from, to)), COMPLETE.replace(from, to), "{from:?} {to:?}");
        }
    }
    let minified =
        |text: &str| serde_json::from_str::<indexmap::IndexMap<String, serde_json::Value>>(text).is_ok();
    assert!(minified(COMPLETE));
    let one_line = r#"{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0"}, "node_modules/b": { "version": "1.0.0", "dev": true }}}"#;
    assert_eq!(
        filled(one_line),
        r#"{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0","resolved":"https://r/x.tgz","integrity":"sha512-x"}, "node_modules/b": { "version": "1.0.0", "resolved": "https://r/x.tgz", "integrity": "sha512-x", "dev": true }}}"#
    );
    assert_eq!(filled(COMPLETE), COMPLETE);
}

#[test]
fn a_field_that_is_there_without_a_text_is_replaced() {
    let text = r#"{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0","integrity":"","resolved":null}}}"#;
    let entries = entries::entries(text).unwrap();
    let new = edit::apply(text, &[(&entries[0], fill(Some("https://r/x.tgz"), Some("sha512-x")))]).unwrap();
    assert_eq!(new, text.replace("\"\"", "\"sha512-x\"").replace("null", "\"https://r/x.tgz\""));
}

#[test]
fn what_is_no_tarball_is_no_entry() {
    let text = r#"{"lockfileVersion":2,"packages":{"":{},"w":{"version":"1"},"node_modules/w":{"resolved":"w","link":true},
        "node_modules/g":{"version":"1","resolved":"git+ssh://git@github.com/a/b.git#c"},"node_modules/f":{"version":"1","resolved":"file:f.tgz"},
        "node_modules/x/node_modules/y":{"version":"1","inBundle":true},"node_modules/never":{"optional":true}},
        "dependencies":{"g":{"version":"git+ssh://git@github.com/a/b.git#c"},"s":{"version":"github:a/b#c"},"w":{"version":"file:w"},
        "b":{"version":"1","bundled":true,"dependencies":{"c":{"version":"1"}}}}}"#;
    assert!(entries::entries(text).unwrap().is_empty());
}

#[test]
fn a_conflict_in_a_lockfile_is_called_that() {
    let error = repair(&[b"{\n<<<<<<< HEAD\n"], None, Thoroughness::default()).pop().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "line 2: unsolved merge conflict");
}

#[test]
fn without_a_registry_only_a_complete_lockfile_is_right() {
    let results = repair(
        &[COMPLETE.as_bytes(), without(COMPLETE, "resolved").as_bytes()],
        None,
        Thoroughness::default(),
    );
    let [Ok(whole), Err(RepairError::Offline)] = &results[..] else { panic!("{results:?}") };
    assert_eq!((whole.bytes.as_slice(), whole.filled.len()), (COMPLETE.as_bytes(), 0));
}

fn entry(resolved: Option<&str>, integrity: Option<&str>) -> String {
    let field = |name: &str, value: Option<&str>| {
        value.map(|value| format!(",\"{name}\":\"{value}\"")).unwrap_or_default()
    };
    format!(
        "{{\"lockfileVersion\":3,\"packages\":{{\"node_modules/a\":{{\"version\":\"1.0.0\"{}{}}}}}}}",
        field("resolved", resolved),
        field("integrity", integrity)
    )
}

#[test]
fn only_the_release_that_is_locked_may_be_asked_about() {
    let version = |resolved: Option<&str>| {
        let text = entry(resolved, None);
        let entries = entries::entries(&text).unwrap();
        published_version(&entries[0])
    };
    assert_eq!(version(None).as_deref(), Some("1.0.0"));
    assert_eq!(version(Some("https://mirror/npm/a/-/a-1.0.0.tgz")).as_deref(), Some("1.0.0"));
    assert_eq!(version(Some("https://r/a/-/a-1.0.1.tgz")), None, "another version");
    assert_eq!(version(Some("https://r/b/-/b-1.0.0.tgz")), None, "another package");
    assert_eq!(version(Some("https://example.com/a.tgz")), None, "no registry's");
}

#[test]
fn weak_integrities_lack_something_only_for_who_asks() {
    let weak = ContentId::new(Algorithm::Sha1, &[7; 20]).unwrap().sri();
    let text = entry(Some("https://r/a/-/a-1.0.0.tgz"), Some(&weak));
    let entries = entries::entries(&text).unwrap();
    assert!(!lacks(&entries[0], Thoroughness::default()));
    assert!(lacks(&entries[0], Thoroughness { strengthen: true }));
}
