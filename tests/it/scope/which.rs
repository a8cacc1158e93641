//! Names: attribute paths, their ends, packages, outputs, globs, and as Nix users type them.

use super::{flake, listed, seen_from};

#[test]
fn a_name_is_an_attribute_path_its_end_a_package_an_output_or_a_glob() {
    let project = flake(&["web", "web-admin", "api"]);
    let cases: [(&[&str], &[&str]); 11] = [
        (&["packages.x86_64-linux.api"], &["api"]),
        (&["x86_64-linux.api"], &["api"]),
        (&["api"], &["api"]),
        (&["api-service"], &["api"]),
        (&["api-service-1.0.0-npm-deps"], &["api"]),
        (&[".#api"], &["api"]),
        (&[".#packages.x86_64-linux.api"], &["api"]),
        (&["web*"], &["web", "web-admin"]),
        (&["web-{admin,user}", "api"], &["web-admin", "api"]),
        (&["--exclude", "api"], &["web", "web-admin"]),
        (&["web*", "--exclude", "*-admin"], &["web"]),
    ];
    for (arguments, expected) in cases {
        assert_eq!(listed(&project, arguments), expected, "{arguments:?}");
    }
    // Names are those of the whole repository, wherever one stands.
    let said = seen_from(&project, &project.path("web"), &["check", "api"]);
    assert!(said.ends_with("1 stale, 2 not chosen\n"), "{said}");
    assert!(project.transcript(&["check", "--exclude", "api"]).ends_with("2 stale, 1 excluded\n"));
}

#[test]
fn an_unknown_name_is_an_error_with_a_suggestion() {
    let project = flake(&["web", "worker"]);
    let unknown = |name: &str, hint: &str| {
        format!("exit 2\n--- stderr\nerror: no npm derivation is called `{name}`\n  hint: {hint}\n")
    };
    assert_eq!(project.transcript(&["update", "wroker"]), unknown("wroker", "did you mean `worker`?"));
    assert_eq!(project.transcript(&["update", ".#wbe"]), unknown("wbe", "did you mean `web`?"));
    assert_eq!(
        project.transcript(&["update", "--exclude", "wrker"]),
        unknown("wrker", "did you mean `worker`?")
    );
    assert_eq!(
        project.transcript(&["update", "database"]),
        unknown("database", "`npm-nixhash list` shows them all")
    );
    assert_eq!(project.transcript(&["update", "x["]).lines().next(), Some("exit 2"));
    assert_eq!(project.read("flake.nix").matches("npmDepsHash = \"\";").count(), 2);
}

#[test]
fn a_word_that_is_a_path_and_a_name_must_mean_one_thing() {
    let project = flake(&["web", "api"]);
    // Both mean the same here.
    assert_eq!(listed(&project, &["web"]), ["web"]);
    // Here they do not: the folder `api` has the source of another one, too.
    project.write("flake.nix", project.read("flake.nix").replace("src = ./web;", "src = ./api/web;"));
    std::fs::rename(project.path("web"), project.path("api/web")).unwrap();
    assert_eq!(
        project.transcript(&["list", "api"]),
        "exit 2\n--- stderr\nerror: `api` is a path and a name, which choose different derivations\n  hint: write ./api or \
         .#api\n"
    );
    assert_eq!(listed(&project, &["./api"]), ["web", "api"]);
    assert_eq!(listed(&project, &[".#api"]), ["api"]);
}

#[test]
fn what_shares_a_literal_with_what_is_chosen_comes_along() {
    let project = flake(&["web", "api"]);
    let text = project.read("flake.nix");
    let text = text
        .replace("let pkgs", "let shared = \"\"; pkgs")
        .replace("npmDepsHash = \"\"", "npmDepsHash = shared");
    project.write("flake.nix", text);
    let said = project.transcript(&["list", "web"]);
    assert!(said.contains("packages.x86_64-linux.api"), "a literal is never changed for one alone: {said}");
}
