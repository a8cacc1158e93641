use serde_json::{Value, json};

use super::*;

const SRI: &str =
    "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";

fn v3(root: &Value, packages: &Value) -> Completeness {
    let mut all = packages.as_object().unwrap().clone();
    all.insert(String::new(), root.clone());
    let lockfile = json!({ "lockfileVersion": 3, "packages": all });
    LockedTree::read(lockfile.to_string().as_bytes()).unwrap().completeness(None)
}

fn whole(name: &str) -> Value {
    json!({ "version": "1.0.0", "resolved": format!("https://r/{name}/-/{name}-1.0.0.tgz"), "integrity": SRI })
}

fn told(completeness: &Completeness, systems: &[&str]) -> Option<String> {
    let paths: Vec<String> = systems.iter().map(|system| format!("packages.{system}.web")).collect();
    let systems = System::named_in(paths.iter().map(String::as_str));
    completeness.incomplete(&systems).map(|incomplete| incomplete.to_string())
}

#[test]
fn what_is_missing_is_named_once_for_each_package() {
    let root = json!({ "dependencies": { "a": "1", "b": "1", "c": "1", "d": "1" } });
    let bare = json!({ "version": "1.0.0" });
    let without = |field: &str| {
        let mut entry = whole("x");
        entry.as_object_mut().unwrap().remove(field);
        entry
    };
    let one = v3(&root, &json!({ "node_modules/a": whole("a"), "node_modules/b": bare }));
    assert_eq!(told(&one, &[]).unwrap(), "1 of 2 packages has no `resolved` and no `integrity`: b@1.0.0");
    let different = v3(
        &root,
        &json!({ "node_modules/a": without("resolved"), "node_modules/b": without("integrity"),
                 "node_modules/c": { "name": "real", "version": "1.0.0", "integrity": SRI },
                 "node_modules/c/node_modules/a": without("resolved") , "node_modules/d": whole("d")}),
    );
    assert_eq!(
        told(&different, &[]).unwrap(),
        "2 of 5 packages have no `resolved`: a@1.0.0, real@1.0.0; 1 of 5 packages has no `integrity`: b@1.0.0"
    );
    let many = v3(
        &root,
        &json!({ "node_modules/a": bare, "node_modules/b": bare, "node_modules/c": bare, "node_modules/d": bare }),
    );
    assert_eq!(
        told(&many, &[]).unwrap(),
        "4 of 4 packages have no `resolved` and no `integrity`: a@1.0.0, b@1.0.0, c@1.0.0 and 1 more"
    );
}

#[test]
fn what_is_not_downloaded_lacks_nothing() {
    let root = json!({ "dependencies": { "a": "1", "b": "1", "f": "file:f.tgz", "g": "me/g", "w": "1" }, "workspaces": ["w"] });
    let completeness = v3(
        &root,
        &json!({
            "node_modules/a": whole("a"),
            "node_modules/a/node_modules/inside": { "version": "1.0.0", "inBundle": true },
            "node_modules/f": { "version": "1.0.0", "resolved": "file:f.tgz", "integrity": SRI },
            "node_modules/g": { "version": "1.0.0", "resolved": "git+ssh://git@github.com/me/g.git#c" },
            "node_modules/w": { "resolved": "w", "link": true },
            "w": { "version": "1.0.0", "dependencies": { "b": "1" } },
            "node_modules/never-published": { "optional": true },
            "node_modules/b": whole("b"),
        }),
    );
    assert_eq!((completeness.packages, completeness.gaps.len()), (3, 0));
    let workspace = v3(
        &json!({}),
        &json!({ "w": { "devDependencies": { "b": "1" } }, "w/node_modules/b": { "version": "1.0.0" } }),
    );
    assert!(told(&workspace, &[]).is_some(), "a workspace needs its development dependencies");
}

#[test]
fn what_nothing_leads_to_is_pruned_before_it_is_downloaded() {
    let lockfile = json!({ "lockfileVersion": 3, "packages": {
        "": { "dependencies": { "a": "1" } },
        "node_modules/a": { "version": "1.0.0", "resolved": "https://r/a.tgz", "integrity": SRI, "peerDependencies": { "p": "1" } },
        "node_modules/p": { "version": "1.0.0" },
        "node_modules/idle": { "version": "1.0.0" },
    } })
    .to_string();
    let of = |manifest: Option<&str>| {
        LockedTree::read(lockfile.as_bytes()).unwrap().completeness(manifest.map(str::as_bytes))
    };
    assert_eq!(
        told(&of(None), &[]).unwrap(),
        "1 of 3 packages has no `resolved` and no `integrity`: p@1.0.0"
    );
    let asks = of(Some(r#"{ "devDependencies": { "idle": "1" } }"#));
    assert!(told(&asks, &[]).unwrap().starts_with("2 of 3 packages"), "the manifest wants it");
    let silent = lockfile.replace(r#"{"dependencies":{"a":"1"}}"#, "{}");
    let silent = LockedTree::read(silent.as_bytes()).unwrap().completeness(None);
    assert!(told(&silent, &[]).unwrap().starts_with("2 of 3 packages"), "nobody says what is needed");
    assert_eq!(silent.passed_over(), None);
    let passed_over = of(None).passed_over().unwrap().to_string();
    assert_eq!(passed_over, "1 of 3 packages has no `resolved` and no `integrity`: p@1.0.0");
}

#[test]
fn an_optional_package_for_another_platform_is_no_failure() {
    let root = json!({ "dependencies": { "a": "1" }, "optionalDependencies": { "x": "1" } });
    let with = |entry: Value| v3(&root, &json!({ "node_modules/a": whole("a"), "node_modules/x": entry }));
    let darwin = with(json!({ "version": "1.0.0", "optional": true, "os": ["darwin"], "cpu": ["arm64"] }));
    assert_eq!(told(&darwin, &[]), None, "no system is known");
    assert_eq!(told(&darwin, &["x86_64-linux", "x86_64-darwin"]), None);
    assert!(told(&darwin, &["x86_64-linux", "aarch64-darwin"]).is_some());
    let musl =
        json!({ "version": "1.0.0", "optional": true, "os": ["linux"], "cpu": ["!arm"], "libc": ["musl"] });
    assert_eq!(told(&with(musl.clone()), &["x86_64-linux"]), None);
    assert!(
        told(&with(json!({ "version": "1.0.0", "optional": true, "os": "!win32" })), &["x86_64-linux"])
            .is_some()
    );
    assert!(
        told(&with(json!({ "version": "1.0.0", "optional": true })), &["x86_64-linux"]).is_some(),
        "no limits"
    );
    assert!(
        told(&with(json!({ "version": "1.0.0", "os": ["darwin"] })), &["x86_64-linux"]).is_some(),
        "not optional"
    );
    let mut unchecked = musl;
    unchecked["resolved"] = json!("https://r/x/-/x-1.0.0.tgz");
    assert!(told(&with(unchecked), &[]).is_some(), "nixpkgs' fetcher refuses a URL without integrity");
}

#[test]
fn one_url_needs_one_integrity_but_importing_takes_each_entry_by_itself() {
    let root = json!({ "dependencies": { "a": "1", "b": "1" } });
    let url = "https://r/a/-/a-1.0.0.tgz";
    let twins = v3(
        &root,
        &json!({ "node_modules/b": { "version": "1.0.0", "resolved": url }, "node_modules/a": whole("a") }),
    );
    assert_eq!(told(&twins, &[]), None);
    let import = twins.incomplete_for_import(&[]).unwrap().to_string();
    assert_eq!(import, "1 of 2 packages has no `integrity`: b@1.0.0");
    let left_over = json!({ "node_modules/b": whole("b"), "node_modules/c": { "version": "1.0.0" } });
    let root = json!({ "dependencies": { "b": "1" } });
    assert_eq!(v3(&root, &left_over).incomplete_for_import(&[]), None, "nothing wants it");
}

#[test]
fn version_1_says_it_in_its_own_way() {
    let lockfile = json!({ "lockfileVersion": 1, "dependencies": {
        "a": { "version": "1.0.0" , "dependencies": { "b": { "version": "2.0.0", "resolved": "https://r/b.tgz" } } },
        "alias": { "version": "npm:@s/real@3.0.0", "integrity": SRI },
        "bundled": { "version": "1.0.0", "bundled": true, "dependencies": { "x": { "version": "1.0.0" } } },
        "file": { "version": "file:x.tgz" },
        "git": { "version": "git+ssh://git@github.com/me/g.git#c" },
        "short": { "version": "github:me/g#c" },
        "url": { "version": "https://r/u.tgz", "integrity": SRI },
    } });
    let completeness = LockedTree::read(lockfile.to_string().as_bytes()).unwrap().completeness(None);
    let gaps: Vec<_> = completeness
        .gaps
        .iter()
        .map(|gap| (gap.place.as_str(), gap.spec(), gap.no_resolved, gap.no_integrity))
        .collect();
    assert_eq!(
        gaps,
        [
            ("a > b", "b@2.0.0".to_owned(), false, true),
            ("a", "a@1.0.0".to_owned(), true, true),
            ("alias", "@s/real@3.0.0".to_owned(), true, false),
        ]
    );
    assert_eq!(completeness.packages, 6);
}

#[test]
fn urls_that_the_standard_writes_otherwise_are_noted() {
    let at = |url: &str| {
        let completeness = v3(
            &json!({}),
            &json!({ "node_modules/a": { "version": "1.0.0", "resolved": url, "integrity": SRI } }),
        );
        completeness.respelled.into_iter().map(|odd| odd.canonical.to_string()).next()
    };
    assert_eq!(at("https://r:443/a.tgz").as_deref(), Some("https://r/a.tgz"));
    assert_eq!(at("HTTPS://Registry/a b.tgz").as_deref(), Some("https://registry/a%20b.tgz"));
    assert_eq!(at("https://r:8443/a%2fb.tgz"), None);
}
