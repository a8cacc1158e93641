//! What is read out of a lockfile, held against what nixpkgs' fetcher reads out of it.

use npm_tarballs::integrity::{ContentId, IntegrityError};

use super::*;

const SHA1: &str = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=";
const COMMIT: &str = "506fc771d40702d5bf158ae35b9f783a38b6b848";
const URL: &str = "https://r.example/a/-/a-1.0.0.tgz";

fn sha512(bytes: &[u8]) -> String {
    ContentId::sha512_of(bytes).sri()
}

fn read(text: &str) -> Lockfile {
    Lockfile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// A lockfile of version 3 with these entries, whose fields are JSON.
fn flat(entries: &[(&str, &str)]) -> Lockfile {
    let entries: Vec<_> = entries.iter().map(|(path, entry)| format!(r#""{path}":{{{entry}}}"#)).collect();
    read(&format!(r#"{{"lockfileVersion":3,"packages":{{{}}}}}"#, entries.join(",")))
}

/// A lockfile of version 1 with these entries.
fn nested(entries: &str) -> Lockfile {
    read(&format!(r#"{{"lockfileVersion":1,"dependencies":{{{entries}}}}}"#))
}

/// The fields of an entry that is fetched from a URL.
fn from(url: &str, integrity: &str, more: &str) -> String {
    format!(r#""resolved":"{url}","integrity":"{integrity}"{more}"#)
}

fn fetched(lockfile: &Lockfile) -> Vec<(&str, &str, &str)> {
    let dependencies = lockfile.dependencies.iter();
    dependencies.map(|one| (one.place.as_str(), one.name.as_str(), one.url.as_str())).collect()
}

fn problems(lockfile: &Lockfile) -> Vec<(&str, ProblemKind)> {
    lockfile.problems.iter().map(|problem| (problem.place.as_str(), problem.kind.clone())).collect()
}

fn wrong_type(field: &'static str, found: &'static str) -> ProblemKind {
    let expected = if field == "bundled" { "a boolean" } else { "a string" };
    ProblemKind::WrongType { field, expected, found }
}

#[test]
fn of_entries_with_one_url_the_strongest_integrity_counts_with_its_name_and_version() {
    let strong = sha512(b"a");
    let weak = ("node_modules/b", from(URL, SHA1, r#","version":"1.0.0","cpu":["x64"]"#));
    let best = ("node_modules/x/node_modules/a", from(URL, &strong, r#","version":"1.0.0-a""#));
    let bare = ("node_modules/y/node_modules/a", format!(r#""resolved":"{URL}""#));
    for order in [[&weak, &best, &bare], [&bare, &weak, &best], [&best, &bare, &weak]] {
        let lockfile = flat(&order.map(|(path, entry)| (*path, entry.as_str())));
        assert_eq!(problems(&lockfile), [], "what the others lack is no fault");
        let [one] = lockfile.dependencies.as_slice() else { panic!("one URL is fetched once") };
        assert_eq!((one.place.as_str(), one.name.as_str()), (best.0, "a"));
        assert_eq!((one.version.as_deref(), one.rivals.len()), (Some("1.0.0-a"), 0));
        assert!(one.platform_specific, "because one of them is");
        let DependencySource::Tarball(integrity) = &one.source else { panic!("a tarball") };
        assert_eq!(integrity.text(), strong);
    }
}

#[test]
fn equally_strong_entries_of_other_names_or_versions_are_rivals() {
    let version = |version: &str| from(URL, SHA1, &format!(r#","version":"{version}""#));
    let (one, two, none) = (version("1.0.0"), version("2.0.0"), from(URL, SHA1, ""));
    let entries = [
        ("node_modules/a", one.as_str()),
        ("node_modules/x/node_modules/a", &one),
        ("node_modules/b", &one),
        ("node_modules/x/node_modules/b", &one),
        ("node_modules/y/node_modules/a", &two),
        ("node_modules/c", &none),
    ];
    let named = |name: &str, version: Option<&str>| (name.to_owned(), version.map(str::to_owned));
    let rivals = [named("b", Some("1.0.0")), named("a", Some("2.0.0")), named("c", None)];
    assert_eq!(flat(&entries).dependencies[0].rivals, rivals);
    let bare_first = flat(&[("node_modules/c", none.as_str()), ("node_modules/a", &one)]);
    assert_eq!(bare_first.dependencies[0].rivals, [named("a", Some("1.0.0"))]);
    // Without versions nixpkgs looks at no names.
    let bare = flat(&[("node_modules/c", none.as_str()), ("node_modules/a", &none)]);
    assert_eq!(bare.dependencies[0].rivals, []);
    let strong = from(URL, &sha512(b"a"), r#","version":"1.0.0""#);
    let outdone = flat(&[entries[0], entries[2], ("node_modules/d", &strong)]);
    assert_eq!((outdone.dependencies[0].name.as_str(), outdone.dependencies[0].rivals.len()), ("d", 0));
}

#[test]
fn two_integrities_of_one_strength_for_one_url_are_told_as_a_conflict() {
    let (one, other) = (sha512(b"1"), sha512(b"2"));
    let lockfile =
        flat(&[("node_modules/a", &from(URL, &one, "")), ("node_modules/b", &from(URL, &other, ""))]);
    assert_eq!(fetched(&lockfile), []);
    let conflict = ProblemKind::Integrity(IntegrityError::Conflict { one, other });
    assert_eq!(problems(&lockfile), [("node_modules/a", conflict)]);
}

#[test]
fn what_cannot_be_fetched_or_checked_is_a_problem() {
    let url: CanonicalUrl = URL.parse().unwrap();
    let ftp: CanonicalUrl = "ftp://r.example/a.tgz".parse().unwrap();
    let broken = ProblemKind::Integrity(IntegrityError::Malformed("sha512-AAAA".to_owned()));
    let unknown = ProblemKind::Integrity(IntegrityError::Algorithm { algorithm: "md5".to_owned() });
    for (entry, kind) in [
        (format!(r#""resolved":"{URL}""#), ProblemKind::NoIntegrity(url)),
        (from(ftp.as_str(), SHA1, ""), ProblemKind::Scheme(ftp.clone())),
        (from(URL, "sha512-AAAA", ""), broken),
        (from(URL, "md5-AAAA", ""), unknown),
        (from("../a.tgz", SHA1, ""), ProblemKind::NotAUrl("../a.tgz".to_owned())),
    ] {
        let lockfile = flat(&[("node_modules/a", &entry)]);
        assert_eq!((fetched(&lockfile), problems(&lockfile)), (vec![], vec![("node_modules/a", kind)]));
    }
    let plain: CanonicalUrl = "http://r.example/a.tgz".parse().unwrap();
    assert_eq!(flat(&[("node_modules/a", &from(plain.as_str(), SHA1, ""))]).dependencies[0].url, plain);
}

#[test]
fn what_is_fetched_stands_in_the_order_of_its_urls_and_an_archive_once() {
    let git = |scheme: &str| format!(r#""resolved":"git+{scheme}://git@github.com/acme/tool.git#{COMMIT}""#);
    let (ssh, https, branch) = (git("ssh"), git("https"), r#""resolved":"git://github.com/a/b#main""#);
    let lockfile = flat(&[
        ("node_modules/b", &from("https://r.example/b.tgz", SHA1, "")),
        ("node_modules/a", &from("https://r.example/a.tgz", SHA1, "")),
        ("node_modules/ssh", &ssh),
        ("node_modules/https", &https),
        ("node_modules/branch", branch),
    ]);
    let archive = format!("https://codeload.github.com/acme/tool/tar.gz/{COMMIT}");
    assert_eq!(
        fetched(&lockfile),
        [
            ("node_modules/https", "https", archive.as_str()),
            ("node_modules/branch", "branch", "https://codeload.github.com/a/b/tar.gz/main"),
            ("node_modules/a", "a", "https://r.example/a.tgz"),
            ("node_modules/b", "b", "https://r.example/b.tgz"),
        ]
    );
    assert_eq!(lockfile.dependencies[0].source, DependencySource::GitArchive { pinned: true });
    assert_eq!(lockfile.dependencies[1].source, DependencySource::GitArchive { pinned: false });
}

#[test]
fn only_packages_that_an_install_asks_the_registry_for_lack_a_url() {
    let version = r#""version":"1.0.0""#;
    for (path, entry, skipped) in [
        ("node_modules/a", version, true),
        ("packages/web/node_modules/a", version, true),
        ("packages/web", version, false),
        ("my_node_modules/a", version, false),
        ("", version, false),
        ("node_modules/a", r#""link":true"#, false),
        ("node_modules/a", r#""inBundle":true"#, false),
        ("node_modules/a", r#""optional":true"#, false),
        ("node_modules/a", r#""optional":true,"version":"1.0.0""#, true),
        ("node_modules/a", r#""link":false,"inBundle":false,"optional":false"#, true),
        ("node_modules/a", r#""link":"true","inBundle":1,"optional":{"a":[1]}"#, true),
        ("node_modules/a", r#""link":-1,"inBundle":1.5,"optional":null"#, true),
    ] {
        let lockfile = flat(&[(path, entry)]);
        let lacks: Vec<_> = lockfile.skipped.iter().map(|skipped| skipped.place.as_str()).collect();
        assert_eq!(lacks, if skipped { vec![path] } else { vec![] }, "{path}: {entry}");
        assert_eq!((lockfile.dependencies.len(), lockfile.problems.len()), (0, 0));
    }
    assert_eq!(flat(&[("node_modules/a", version)]).skipped[0].version.as_deref(), Some("1.0.0"));
}

#[test]
fn a_file_of_the_project_is_not_fetched_and_a_link_may_name_a_folder() {
    let lockfile = flat(&[
        ("node_modules/a", r#""resolved":"file:a.tgz","integrity":"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=""#),
        ("node_modules/b", r#""resolved":"packages/b","link":true"#),
        ("", r#""resolved":"https://r.example/a.tgz""#),
    ]);
    assert_eq!((fetched(&lockfile), problems(&lockfile)), (vec![], vec![]));
    assert_eq!(lockfile.skipped, []);
}

#[test]
fn an_entry_is_called_what_it_says_or_else_what_its_path_ends_with() {
    for (path, more, name) in [
        ("node_modules/a", "", "a"),
        ("node_modules/@s/a", "", "@s/a"),
        ("packages/x/node_modules/@s/a/node_modules/@t/b", "", "@t/b"),
        ("node_modules/a", r#","name":"real""#, "real"),
        ("node_modules/a", r#","name":"@s/real""#, "@s/real"),
        ("vendor/a", "", "vendor/a"),
    ] {
        let lockfile = flat(&[(path, &from(URL, SHA1, more))]);
        assert_eq!(fetched(&lockfile), [(path, name, URL)]);
    }
    let alias = flat(&[("node_modules/a", &from(URL, SHA1, r#","name":"real""#))]);
    assert_eq!(alias.dependencies[0].installed_as(), "a");
}

#[test]
fn an_entry_is_platform_specific_if_it_names_a_system_or_a_processor() {
    for (more, expected) in [
        ("", false),
        (r#","os":["linux"]"#, true),
        (r#","cpu":["x64"]"#, true),
        (r#","os":["linux"],"cpu":["x64"]"#, true),
        (r#","os":"linux""#, false),
    ] {
        let lockfile = flat(&[("node_modules/a", &from(URL, SHA1, more))]);
        assert_eq!(lockfile.dependencies[0].platform_specific, expected, "{more}");
    }
}

#[test]
fn version_1_is_read_to_its_bottom_but_for_what_is_bundled() {
    let (a, b) = (from("https://r.example/a.tgz", SHA1, ""), from("https://r.example/b.tgz", SHA1, ""));
    let lockfile = nested(&format!(
        r#""b":{{"version":"1.0.0",{b},"dependencies":{{"a":{{"version":"2.0.0",{a}}}}}}},
           "p":{{"version":"1.0.0","bundled":true,{b},"dependencies":{{"c":{{"version":1}},"d":{{"version":"1.0.0"}}}}}},
           "n":{{"version":"1.0.0","bundled":false}}"#
    ));
    let expected = [("b > a", "a", "https://r.example/a.tgz"), ("b", "b", "https://r.example/b.tgz")];
    assert_eq!(fetched(&lockfile), expected);
    assert!(lockfile.dependencies.iter().all(|one| one.version.is_none()), "nixpkgs looks at none");
    assert_eq!(lockfile.dependencies[0].installed_as(), "a");
    assert_eq!(problems(&lockfile), [("p > c", wrong_type("version", "a number"))]);
    assert_eq!(lockfile.skipped, [Skipped { place: "n".to_owned(), version: Some("1.0.0".to_owned()) }]);
}

#[test]
fn a_version_that_is_a_url_is_where_version_1_fetches_from() {
    let archive = |host: &str| match host {
        "github" => format!("https://codeload.github.com/acme/tool/tar.gz/{COMMIT}"),
        _ => format!("https://bitbucket.org/acme/tool/get/{COMMIT}.tar.gz"),
    };
    for (version, resolved, url) in [
        ("https://t.example/a.tgz", None, "https://t.example/a.tgz".to_owned()),
        ("https://t.example/a.tgz", Some(URL), "https://t.example/a.tgz".to_owned()),
        ("npm:real@1.0.0", Some(URL), URL.to_owned()),
        ("1.0.0", Some(URL), URL.to_owned()),
        (&format!("github:acme/tool#{COMMIT}"), None, archive("github")),
        (&format!("github:acme/tool.git#{COMMIT}"), None, archive("github")),
        (&format!("github:/acme/tool#{COMMIT}"), None, archive("github")),
        (&format!("bitbucket:acme/tool#{COMMIT}"), None, archive("bitbucket")),
    ] {
        let resolved = resolved.map(|url| format!(r#","resolved":"{url}""#)).unwrap_or_default();
        let entry = format!(r#""a":{{"version":"{version}","integrity":"{SHA1}"{resolved}}}"#);
        assert_eq!(fetched(&nested(&entry)), [("a", "a", url.as_str())], "{version}");
    }
    let file = nested(&format!(r#""a":{{"version":"file:a.tgz",{}}}"#, from(URL, SHA1, "")));
    assert_eq!((fetched(&file), problems(&file), file.skipped.len()), (vec![], vec![], 0));
}

#[test]
fn what_version_1_cannot_fetch_is_a_problem() {
    let git: url::Url = format!("git+ssh://git@gitlab.com/acme/tool.git#{COMMIT}").parse().unwrap();
    let alias = ProblemKind::AliasWithoutUrl("npm:real@1.0.0".to_owned());
    for (entry, kind) in [
        (r#""version":"npm:real@1.0.0""#, alias.clone()),
        (r#""version":"npm:real@1.0.0","resolved":"../a""#, alias),
        (r#""version":"1.0.0","resolved":"../a""#, ProblemKind::NotAUrlInVersion1("../a".to_owned())),
        (r#""resolved":"https://r.example/a.tgz""#, ProblemKind::NoVersion),
        (r#""version":null"#, ProblemKind::NoVersion),
        (
            &format!(r#""version":"gitlab:acme/tool#{COMMIT}""#),
            ProblemKind::Git(GitUrlError::UnsupportedHost(git)),
        ),
    ] {
        let lockfile = nested(&format!(r#""a":{{{entry}}}"#));
        assert_eq!((fetched(&lockfile), problems(&lockfile)), (vec![], vec![("a", kind)]), "{entry}");
    }
}

#[test]
fn a_field_of_another_type_is_told_with_what_it_is() {
    for (value, found) in [
        ("true", "a boolean"),
        ("1", "a number"),
        ("-1", "a number"),
        ("1.5", "a number"),
        ("[1,[2]]", "a list"),
        (r#"{"a":{"b":1}}"#, "an object"),
    ] {
        for field in ["name", "version", "resolved", "integrity"] {
            let lockfile = flat(&[("node_modules/a", &format!(r#""{field}":{value}"#))]);
            assert_eq!(problems(&lockfile), [("node_modules/a", wrong_type(field, found))], "{value}");
        }
        if found != "a boolean" {
            let lockfile = nested(&format!(r#""a":{{"version":"1","bundled":{value}}}"#));
            assert_eq!(problems(&lockfile), [("a", wrong_type("bundled", found))], "{value}");
        }
    }
    for (value, found) in [(r#""true""#, "a string"), (r#""\u0074rue""#, "a string"), ("null", "null")] {
        let lockfile = nested(&format!(r#""a":{{"version":"1","bundled":{value}}}"#));
        assert_eq!(problems(&lockfile), [("a", wrong_type("bundled", found))], "{value}");
    }
    let null = r#""name":null,"version":null,"resolved":null,"integrity":null"#;
    assert_eq!(problems(&flat(&[("node_modules/a", null), ("", null)])), [], "null is no field");
    let several = flat(&[("", r#""version":1,"integrity":"md5-A""#)]);
    let md5 = ProblemKind::Integrity(IntegrityError::Algorithm { algorithm: "md5".to_owned() });
    let root = "the root package";
    assert_eq!(problems(&several), [(root, wrong_type("version", "a number")), (root, md5)]);
}

#[test]
fn the_map_that_decides_nothing_is_read_for_mistakes_alone() {
    let two = read(
        r#"{"lockfileVersion":2,"packages":{},"dependencies":{
            "a":{"version":"1.0.0","resolved":"https://r.example/a.tgz","dependencies":{"b":{}}}}}"#,
    );
    assert_eq!((fetched(&two), problems(&two)), (vec![], vec![("a > b", ProblemKind::NoVersion)]));
    assert_eq!(two.problems[0].aside, Some("dependencies"));
    let one = read(
        r#"{"lockfileVersion":1,"packages":{
            "node_modules/a":{"resolved":"https://r.example/a.tgz"},"node_modules/b":{"name":1}}}"#,
    );
    let problem = ("node_modules/b", wrong_type("name", "a number"));
    assert_eq!((fetched(&one), problems(&one)), (vec![], vec![problem]));
    assert_eq!(one.problems[0].aside, Some("packages"));
    assert_eq!((one.version, two.version, flat(&[]).version), (Version::V1, Version::V2, Version::V3));
    assert_eq!(flat(&[("node_modules/a", r#""name":1"#)]).problems[0].aside, None);
}

#[test]
fn of_a_key_that_stands_twice_the_last_value_counts_and_all_are_looked_at() {
    let entry = from(URL, SHA1, "");
    let twice = flat(&[("node_modules/a", r#""version":1"#), ("node_modules/a", &entry)]);
    assert_eq!(fetched(&twice), [("node_modules/a", "a", URL)]);
    assert_eq!(problems(&twice), [("node_modules/a", wrong_type("version", "a number"))]);
    let twice = nested(&format!(
        r#""b":{{"version":"1.0.0"}},"a":{{"version":1}},"a":{{"version":"1.0.0",{entry}}}"#
    ));
    assert_eq!(fetched(&twice), [("a", "a", URL)]);
    assert_eq!(problems(&twice), [("a", wrong_type("version", "a number"))]);
}

#[test]
fn what_is_no_lockfile_is_refused_with_its_line() {
    let refused = |text: &[u8]| Lockfile::parse(text).expect_err("it is none");
    for (text, expected) in [(b"\xff".as_slice(), 1), (b"{\n\n  \"a\xff\"\n}", 3), (b"{\n\xff", 2)] {
        assert!(matches!(refused(text), LockfileError::Utf8 { line } if line == expected));
    }
    let conflict = refused(b"{\n<<<<<<< ours\n\"a\":1\n=======\n\"a\":2\n>>>>>>> theirs\n}\n");
    assert!(matches!(conflict, LockfileError::Conflict { line: 2 }));
    assert_eq!(
        conflict.advice().as_deref(),
        Some("resolve the conflict with `npm install --package-lock-only`, then run this again")
    );
    for text in ["", "[3]", "{}", r#"{"lockfileVersion":"3"}"#, r#"{"lockfileVersion":3,"packages":[]}"#] {
        let error = refused(text.as_bytes());
        assert!(matches!(error, LockfileError::Json(_)), "{text}");
        assert_eq!(error.advice(), None);
    }
    let newer = refused(br#"{"lockfileVersion":4}"#);
    assert!(matches!(newer, LockfileError::Version(4)));
    assert!(newer.advice().is_some_and(|advice| advice.contains("--lockfile-version 3")));
}

#[test]
fn places_of_a_lockfile_in_a_dependency_are_said_to_be_inside_it() {
    let lockfile = flat(&[
        ("node_modules/a", &from(URL, SHA1, "")),
        ("node_modules/b", r#""version":"1.0.0""#),
        ("node_modules/c", r#""version":1"#),
    ])
    .inside("node_modules/g");
    assert_eq!(lockfile.dependencies[0].place, "node_modules/g > node_modules/a");
    assert_eq!(lockfile.dependencies[0].installed_as(), "a");
    assert_eq!(lockfile.skipped[0].place, "node_modules/g > node_modules/b");
    assert_eq!(lockfile.problems[0].place, "node_modules/g > node_modules/c");
}

#[test]
fn line_ends_are_changed_and_nothing_else() {
    use line_ends::{has_crlf, with_crlf, with_line_feeds};
    let (unix, dos) = (b"a\nb\rc\n\n".as_slice(), b"a\r\nb\rc\r\n\r\n".as_slice());
    assert_eq!((with_crlf(unix).as_slice(), with_line_feeds(dos).as_slice()), (dos, unix));
    assert_eq!(with_line_feeds(b"a\r\r\n\r"), b"a\r\n\r");
    assert_eq!([dos, unix, b"\r", b"\n\r", b"\r\n"].map(has_crlf), [true, false, false, false, true]);
}

#[test]
fn the_other_fetcher_version_is_asked_for_with_the_same_options() {
    use options::HashOptions;
    let one = HashOptions { force_git_deps: true, ..HashOptions::default() };
    let two = HashOptions { fetcher_version: 2, ..one };
    assert_eq!((one.with_other_version(), two.with_other_version()), (two, one));
}
