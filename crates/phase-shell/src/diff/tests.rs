use std::process::Command;
use std::sync::Arc;

use super::{apply, touched};

type Files = [Option<Arc<[u8]>>; 2];

fn files(lock: &str) -> Files {
    [None, Some(Arc::from(lock.as_bytes()))]
}

fn patched(patch: &str, folder: &str, before: Files) -> Result<Files, &'static str> {
    let targets = ["npm-shrinkwrap.json", "package-lock.json"].map(|name| format!("ui/{name}"));
    let mut files = before;
    apply(patch.as_bytes(), 1, folder, &targets, &mut files)?;
    Ok(files)
}

fn lock(files: &Files) -> String {
    String::from_utf8(files[1].as_ref().unwrap().to_vec()).unwrap()
}

#[test]
fn what_diff_writes_is_what_is_applied() {
    let place = tempfile::tempdir().unwrap();
    let numbers = |skip: &[usize], end: &str| -> String {
        let line = |n: usize| if skip.contains(&n) { format!("new {n}\n") } else { format!("{n}\n") };
        (1..60).map(line).collect::<String>() + end
    };
    for (old, new) in [
        (numbers(&[], "\n"), numbers(&[1, 30, 31, 59], "\n")),
        (numbers(&[], "end"), numbers(&[2], "end\n")),
        (numbers(&[], "end\n"), numbers(&[2], "end")),
        (numbers(&[], ""), numbers(&[], "more\n")),
    ] {
        for (name, text) in [("a", &old), ("b", &new)] {
            std::fs::create_dir_all(place.path().join(name).join("ui")).unwrap();
            std::fs::write(place.path().join(name).join("ui/package-lock.json"), text).unwrap();
        }
        let mut diff = Command::new("diff");
        let diff = diff.args(["-ru", "a", "b"]).current_dir(place.path()).output().unwrap();
        let patch = String::from_utf8(diff.stdout).unwrap();
        assert_eq!(lock(&patched(&patch, "", files(&old)).unwrap()), new, "{patch}");
        assert!(patched(&patch, "", files(&old.replace('5', "five"))).is_err());
    }
}

#[test]
fn only_the_file_that_counts_is_touched() {
    let patch = |name: &str| format!("--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-1\n+2\n");
    let both = patch("ui/package.json") + &patch("ui/package-lock.json");
    assert_eq!(lock(&patched(&both, "", files("1\n")).unwrap()), "2\n");
    assert_eq!(lock(&patched(&patch("package-lock.json"), "", files("1\n")).unwrap()), "1\n");
    assert_eq!(lock(&patched(&patch("package-lock.json"), "ui", files("1\n")).unwrap()), "2\n");
    // A removed line that looks like a head is part of its hunk.
    let tricky =
        "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n--- a/ui/package-lock.json\n+++ b/ui/package-lock.json\n-1\n";
    assert_eq!(lock(&patched(tricky, "", files("1\n")).unwrap()), "1\n");
    // Here it would have a hunk that fits.
    let heads = "--- a/ui/package-lock.json\n+++ b/ui/package-lock.json\n";
    let tricky = format!("--- a/x\n+++ b/x\n@@ -1 +1 @@\n{heads}@@ -1 +1 @@\n-1\n+2\n");
    assert_eq!(lock(&patched(&tricky, "", files("1\n")).unwrap()), "1\n");
    // Hunks that only take away, only add, and have no line feed at their end, before the one that counts.
    for hunk in [
        "@@ -1,2 +1 @@\n-1\n 2\n",
        "@@ -1 +1,2 @@\n 1\n+2\n",
        "@@ -1 +0,0 @@\n-1\n\\ No newline at end of file\n",
        "@@ -1 +1 @@\n-1\n\\ No newline at end of file\n+2\n\\ No newline at end of file\n",
    ] {
        let both = format!("--- a/x\n+++ b/x\n{hunk}{}", patch("ui/package-lock.json"));
        assert_eq!(lock(&patched(&both, "", files("1\n")).unwrap()), "2\n", "{hunk}");
    }
    // Behind a hunk that ends with lines of one side comes another one of the same file.
    for first in ["@@ -1 +1,2 @@\n 1\n+2\n", "@@ -1,2 +0,0 @@\n-1\n-2\n", "@@ -0,0 +1,2 @@\n+1\n+2\n"] {
        let tricky = format!("--- a/x\n+++ b/x\n{first}@@ -9 +9 @@\n{heads}@@ -19 +19 @@\n-1\n+2\n");
        assert_eq!(lock(&patched(&tricky, "", files("1\n")).unwrap()), "1\n", "{first}");
    }
    // What moves other files is none of ours, nor is a name with too few parts.
    let others = "rename from x\nrename to y\n--- x\n+++ x\n@@ -1 +1 @@\n-1\n+2\n";
    assert_eq!(lock(&patched(others, "", files("1\n")).unwrap()), "1\n");
}

#[test]
fn lockfiles_are_made_and_removed() {
    let made = "--- /dev/null\n+++ b/ui/package-lock.json\n@@ -0,0 +1,2 @@\n+{\n+}\n";
    assert_eq!(lock(&patched(made, "", [None, None]).unwrap()), "{\n}\n");
    assert!(patched(made, "", files("{}\n")).is_err());
    let removed = "--- a/ui/npm-shrinkwrap.json\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n";
    let before = [Some(Arc::from(*b"1\n")), Some(Arc::from(*b"2\n"))];
    let after = patched(removed, "", before).unwrap();
    assert!(after[0].is_none() && after[1].is_some());
    let more = [Some(Arc::from(*b"1\n2\n")), None];
    assert_eq!(patched(removed, "", more), Err("removes a lockfile that holds more"));
}

#[test]
fn what_is_no_plain_diff_is_refused() {
    let of_lock = |hunk: &str| format!("--- a/ui/package-lock.json\n+++ b/ui/package-lock.json\n{hunk}");
    for (patch, why) in [
        ("rename from ui/package-lock.json\nrename to x\n".to_owned(), "is more than a plain unified diff"),
        ("GIT binary patch\nui/package-lock.json\n".to_owned(), "is more than a plain unified diff"),
        (
            "--- a/ui/package-lock.json\n+++ b/ui/npm-shrinkwrap.json\n@@ -1 +1 @@\n-1\n+2\n".to_owned(),
            "names two different files",
        ),
        (of_lock("@@ -1,9 +1 @@\n-1\n"), "is cut off"),
        (of_lock("@@ -7 +7 @@\n-1\n+2\n"), "does not fit the lockfile exactly"),
        (of_lock("@@ -1 +1 @@\n-0\n+2\n"), "does not fit the lockfile exactly"),
        (of_lock("@@ -1 +1 @@\n*1\n+2\n"), "is damaged"),
        (of_lock("@@ -1 +1 @@\n+2\n+3\n-1\n"), "is damaged"),
        (
            of_lock("@@ -1 +1 @@\n-1\n+2\n").replace("a/ui/package-lock.json", "\"a/ui/package-lock.json\""),
            "names its files in a way that is not understood",
        ),
    ] {
        assert_eq!(patched(&patch, "", files("1\n")), Err(why), "{patch}");
    }
}

#[test]
fn an_empty_line_is_context_that_a_mail_program_stripped() {
    let patch = "--- a/ui/package-lock.json\n+++ b/ui/package-lock.json\n@@ -1,3 +1,3 @@\n1\n\n-2\n+3\n";
    let patch = patch.replace("@@\n1", "@@\n 1");
    assert_eq!(lock(&patched(&patch, "", files("1\n\n2\n")).unwrap()), "1\n\n3\n");
}

fn names(text: &str, strip: Option<usize>) -> Vec<String> {
    touched(text, strip).into_iter().collect()
}

#[test]
fn paths_lose_their_first_part() {
    let diff = "diff --git a/ui/package-lock.json b/ui/package-lock.json\n--- a/ui/package-lock.json\n+++ b/ui/package-lock.json\n";
    assert_eq!(names(diff, Some(1)), ["ui/package-lock.json"]);
    assert_eq!(names("--- /dev/null\n+++ b/x.json\t2024-01-01\n package-lock.json\n", Some(1)), ["x.json"]);
    assert_eq!(
        names("rename from package-lock.json\nrename to old.json\n", Some(1)),
        ["old.json", "package-lock.json"]
    );
    assert_eq!(
        names("--- a/ui/package-lock.json\n", None),
        ["a/ui/package-lock.json", "package-lock.json", "ui/package-lock.json"]
    );
    let whole = "rename from ui/package-lock.json\ncopy to web/package-lock.json\n";
    assert_eq!(names(whole, Some(1)), ["ui/package-lock.json", "web/package-lock.json"]);
}

#[test]
fn as_many_parts_go_as_the_option_says() {
    let diff =
        "--- old/src/ui/package-lock.json\n+++ new/src/ui/package-lock.json\n@@ -1 +1 @@\n-old\n+new\n";
    assert_eq!(names(diff, Some(0)), ["new/src/ui/package-lock.json", "old/src/ui/package-lock.json"]);
    assert_eq!(names(diff, Some(2)), ["ui/package-lock.json"]);
    let targets = ["ui/npm-shrinkwrap.json".to_owned(), "ui/package-lock.json".to_owned()];
    for (strip, after) in [(1, "old\n"), (2, "new\n"), (3, "old\n")] {
        let mut both = files("old\n");
        assert_eq!(apply(diff.as_bytes(), strip, "", &targets, &mut both), Ok(()));
        assert_eq!(lock(&both), after, "-p{strip}");
    }
    let too_many = apply(diff.as_bytes(), 4, "", &targets, &mut files("old\n"));
    assert_eq!(too_many, Err("names a lockfile in fewer folders than `-p` takes away"));
}
