use serde_json::json;

use super::*;

fn lockfile() -> String {
    json!({ "lockfileVersion": 3, "packages": {
        "": { "name": "web", "workspaces": ["packages/*"], "dependencies": { "ms": "2.1.3" }, "peerDependencies": { "react": "18" }, "optionalDependencies": { "gone": "1" } },
        "node_modules/ms": { "version": "2.1.3", "resolved": "https://r/ms/-/ms-2.1.3.tgz" },
        "node_modules/pre": { "version": "2.0.0-rc.1" },
        "node_modules/alias": { "name": "real", "version": "3.1.0" },
        "node_modules/local": { "resolved": "libs/local", "link": true },
        "libs/local": { "version": "1.0.0" },
        "node_modules/w": { "resolved": "packages/w", "link": true },
        "packages/w": { "version": "0.1.0", "dependencies": { "ms": "^1" } },
        "packages/w/node_modules/ms": { "version": "1.0.0" },
        "node_modules/packed": { "version": "1.0.0", "resolved": "file:packed.tgz" },
        "node_modules/git": { "version": "1.0.0", "resolved": "git+ssh://git@github.com/me/it.git#0123456789012345678901234567890123456789" },
        "node_modules/url": { "version": "1.0.0", "resolved": "https://example.com/url.tgz" },
    } })
    .to_string()
}

fn told(folder: &str, manifest: &Value) -> Vec<String> {
    let manifests = [
        ManifestFile {
            folder: folder.to_owned(),
            bytes: manifest.to_string().into(),
            is_workspace: !folder.is_empty(),
        },
        ManifestFile {
            folder: String::new(),
            bytes: json!({ "overrides": { "over@1": "2", "@s/over": "3" } }).to_string().into(),
            is_workspace: false,
        },
    ];
    let lockfile = lockfile();
    let tree = LockedTree::read(lockfile.as_bytes()).unwrap();
    let found = tree.disagreements(&manifests[..if folder.is_empty() { 1 } else { 2 }]);
    found
        .into_iter()
        .map(|one| format!("{} {} {}", one.name, one.wanted, one.locked.unwrap_or_else(|| "-".to_owned())))
        .collect()
}

/// What is said of one dependency of the project.
fn root(name: &str, spec: &str) -> Option<String> {
    told("", &json!({ "dependencies": { name: spec } })).pop()
}

#[test]
fn ranges_are_read_as_npm_reads_them() {
    for spec in ["2.1.3", "^2", "", "*", "latest", "x", ">=2 <3 || 9", "=v2.1.3", "~2.1", "1 - 2"] {
        assert_eq!(root("ms", spec), None, "{spec}");
    }
    for spec in ["2.0.0", "^3", "<2", "~2.0.0"] {
        assert_eq!(root("ms", spec), Some(format!("ms {spec} 2.1.3")), "{spec}");
    }
    assert_eq!(root("left-pad", "1.3.0").as_deref(), Some("left-pad 1.3.0 -"));
    assert_eq!(root("pre", "^2.0.0-rc.0"), None);
    assert_eq!(
        root("pre", ">=1").as_deref(),
        Some("pre >=1 2.0.0-rc.1"),
        "npm takes no pre-release for that"
    );
    assert_eq!(root("alias", "npm:real@^3"), None);
    assert_eq!(root("alias", "npm:@s/real@4").as_deref(), Some("alias npm:@s/real@4 3.1.0"));
}

#[test]
fn places_and_repositories_have_to_be_the_locked_ones() {
    assert_eq!(root("local", "file:libs/local"), None);
    assert_eq!(root("local", "./libs/x/../local/"), None);
    assert_eq!(root("local", "file:libs/other").as_deref(), Some("local file:libs/other libs/local"));
    assert_eq!(root("packed", "file:./packed.tgz"), None);
    assert!(root("ms", "file:ms.tgz").is_some());
    for spec in [
        "me/it",
        "github:me/it#main",
        "git+https://github.com/Me/it.git#semver:^1",
        "git@github.com:me/it.git",
    ] {
        assert_eq!(root("git", spec), None, "{spec}");
    }
    assert!(root("git", "me/other").is_some() && root("ms", "me/it").is_some());
    assert!(root("git", "me/it#1123456789012345678901234567890123456789").is_some(), "another commit");
    assert_eq!(root("url", "https://example.com/url.tgz"), None);
    assert!(root("url", "https://example.com/other.tgz").is_some());
    for spec in ["workspace:*", "catalog:", "git+https://example.com/x.git", "https://example.com/x"] {
        assert_eq!(root("ms", spec), None, "{spec} is not judged");
    }
}

#[test]
fn workspaces_have_their_own() {
    assert!(told("packages/w", &json!({ "dependencies": { "ms": "^1", "w": "0.1.0" }, "devDependencies": { "pre": "2.0.0-rc.1" } })).is_empty());
    assert_eq!(told("packages/w", &json!({ "dependencies": { "ms": "2" } })), ["ms 2 1.0.0"]);
    assert!(
        told("packages/w", &json!({ "dependencies": { "over": "1", "@s/over": "1" } })).is_empty(),
        "overridden"
    );
    assert_eq!(
        told("packages/new", &json!({ "name": "@s/new", "dependencies": { "ms": "9" } })),
        ["@s/new file:packages/new -"]
    );
    assert_eq!(told("packages/w", &json!({ "name": "renamed" })), ["renamed file:packages/w -"]);
}

#[test]
fn manifests_are_those_of_the_project_of_workspaces_and_of_folders_that_they_depend_on() {
    let folders = |root: &Value, workspaces: &[&str]| -> Vec<(String, bool)> {
        let read = |folder: &str| match folder {
            "" => Some(root.to_string().into_bytes()),
            "packages/w" => Some(br#"{ "dependencies": { "local": "file:../../libs/local" } }"#.to_vec()),
            "libs/local" => Some(b"{}".to_vec()),
            _ => None,
        };
        let workspaces = workspaces.iter().map(|folder| (*folder).to_owned());
        let lockfile = lockfile();
        let all = LockedTree::read(lockfile.as_bytes()).unwrap().manifests(workspaces, read);
        all.into_iter().map(|manifest| (manifest.folder, manifest.is_workspace)).collect()
    };
    let own = (String::new(), false);
    assert_eq!(
        folders(&json!({}), &[]),
        std::slice::from_ref(&own),
        "a workspace that is none any more is not looked at"
    );
    let (w, local) = (("packages/w".to_owned(), true), ("libs/local".to_owned(), false));
    assert_eq!(folders(&json!({}), &["packages/w", "gone"]), [own.clone(), local.clone(), w]);
    assert_eq!(folders(&json!({ "dependencies": { "local": "file:libs/local" } }), &[]), [own, local]);
    assert_eq!(workspace_globs(br#"{ "workspaces": ["a", "!b"] }"#), ["a", "!b"]);
    assert_eq!(workspace_globs(br#"{ "workspaces": { "packages": ["a/*"], "nohoist": [] } }"#), ["a/*"]);
    assert!(workspace_globs(b"{}").is_empty() && workspace_globs(b"").is_empty());
}

#[test]
fn an_override_of_one_name_holds_for_all_that_depend_on_it() {
    let of =
        |overrides: Value| told("", &json!({ "dependencies": { "ms": "2.1.3" }, "overrides": overrides }));
    assert_eq!(of(json!({ "ms": "2.1.3" })), ["ms 2.1.3 1.0.0"], "that of the workspace is another one");
    assert_eq!(of(json!({ "ms": "$ms" })), ["ms 2.1.3 1.0.0"]);
    for accepted in
        [json!({ "ms": ">=1" }), json!({ "ms@1": "3" }), json!({ "w": { "ms": "3" } }), json!({ "pre": "9" })]
    {
        assert!(of(accepted.clone()).is_empty(), "{accepted}");
    }
}

#[test]
fn what_the_lockfile_was_made_for_may_be_left_out_of_it() {
    assert!(
        told("", &json!({ "peerDependencies": { "react": "18" }, "optionalDependencies": { "gone": "1" } }))
            .is_empty()
    );
    assert_eq!(
        told("", &json!({ "peerDependencies": { "react": "19" }, "optionalDependencies": { "gone": "2" } })),
        ["gone 2 -", "react 19 -"]
    );
    let optional = json!({ "peerDependencies": { "react": "19" }, "peerDependenciesMeta": { "react": { "optional": true } } });
    assert!(told("", &optional).is_empty());
    assert_eq!(
        told("", &json!({ "dependencies": { "ms": "2" }, "devDependencies": { "ms": "1" } })),
        ["ms 1 2.1.3"],
        "the last one counts"
    );
}

#[test]
fn version_1_is_looked_up_by_name() {
    let lockfile = json!({ "lockfileVersion": 1, "dependencies": {
        "ms": { "version": "2.1.3" }, "alias": { "version": "npm:@s/real@3.1.0" }, "local": { "version": "file:libs/local" },
    } })
    .to_string();
    let manifest = json!({ "dependencies": { "ms": "^2", "alias": "npm:@s/real@^3", "local": "file:libs/local" }, "peerDependencies": { "react": "18" } });
    let of = |manifest: &Value| {
        let manifest =
            ManifestFile { folder: String::new(), bytes: manifest.to_string().into(), is_workspace: false };
        LockedTree::read(lockfile.as_bytes()).unwrap().disagreements(&[manifest]).len()
    };
    assert_eq!(of(&manifest), 0);
    assert_eq!(
        of(
            &json!({ "dependencies": { "ms": "^1", "alias": "npm:@s/real@2", "local": "file:libs/x", "more": "1" } })
        ),
        4
    );
}
