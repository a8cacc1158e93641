//! `npm-nixhash.toml`: what a team decided.

use super::{flake, listed};

#[test]
fn the_team_decides_what_fails_what_is_left_out_and_what_is_nobodys_business() {
    let project = flake(&["web", "legacy-api"]);
    project.write("docs/package-lock.json", "{}");
    project.write("npm-nixhash.toml", "deny = [\"uncovered\"]\nexclude = [\"legacy-*\", \"gone\"]\n");
    assert_eq!(listed(&project, &[]), ["web"]);
    let said = project.transcript(&["update"]);
    assert!(said.starts_with("exit 2\n") && said.contains("1 updated, 1 excluded in 1 file"), "{said}");
    assert!(said.ends_with("error: there are lockfiles that no npmDepsHash covers\n"), "{said}");
    let said = project.transcript(&["check"]);
    assert!(
        said.starts_with("exit 1\n--- stdout\n1 in sync, 1 excluded, 1 lockfile without a derivation\n"),
        "{said}"
    );
    project
        .write("npm-nixhash.toml", project.read("npm-nixhash.toml") + "ignore-lockfiles = [\"docs/**\"]\n");
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n1 in sync, 1 excluded\n");
}

#[test]
fn a_mistake_in_it_is_told_by_its_place() {
    let project = flake(&["web"]);
    project.write("npm-nixhash.toml", "# ours\nexlude = [\"web\"]\n");
    for command in ["check", "update", "list"] {
        assert_eq!(
            project.transcript(&[command]),
            "exit 2\n--- stderr\nerror: npm-nixhash.toml:2:1: unknown key `exlude`\n  hint: did you mean `exclude`?\n"
        );
    }
    project.write("npm-nixhash.toml", "deny = [\n");
    assert!(project.transcript(&["check"]).starts_with("exit 2\n--- stderr\nerror: npm-nixhash.toml:"));
    std::fs::remove_file(project.path("npm-nixhash.toml")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", project.path("npm-nixhash.toml")).unwrap();
    assert!(project.transcript(&["check"]).contains("  caused by: it is not a regular file\n"));
}

#[test]
fn a_stated_lockfile_settles_what_cannot_be_known_and_never_what_is_edited() {
    let project = flake(&["web", "api"]);
    let text = project.read("flake.nix");
    let text = text.replace("src = ./web;", "src = pkgs.someFunction ./web;");
    let text = text.replace("src = ./api;", "src = ./api; postPatch = \"sed -i s/1/2/ package-lock.json\";");
    project.write("flake.nix", text);
    project.write(
        "npm-nixhash.toml",
        "lockfiles = { \"packages.x86_64-linux.wbe\" = \"web/package-lock.json\" }\n",
    );
    let said = project.transcript(&["list"]);
    let unknown = "warning: npm-nixhash.toml:1:1: no npm derivation has the attribute path `packages.x86_64-linux.wbe`; did you mean \
                   `packages.x86_64-linux.web`?\n";
    assert!(said.contains(unknown), "{said}");
    let undecided = project.transcript(&["check"]);
    assert!(undecided.contains("2 undecided"), "{undecided}");
    project.write(
        "npm-nixhash.toml",
        "[lockfiles]\n\"packages.x86_64-linux.web\" = \"web/package-lock.json\"\n\"packages.x86_64-linux.api\" = \
         \"./api/package-lock.json\"\n",
    );
    let said = project.transcript(&["update"]);
    assert!(said.contains("1 updated, 1 undecided in 1 file"), "{said}");
    assert!(said.contains("packages.x86_64-linux.api is undecided"), "{said}");
    let explained = project.transcript(&["list", "web", "--explain"]);
    assert!(explained.contains("the repository's settings say which lockfile it has"), "{explained}");
}

#[test]
fn a_mirror_gets_requests_for_tarballs_and_no_credentials() {
    let project = flake(&["web"]);
    let url = project.registry.url();
    let mirror = format!("[registry-mirrors]\n\"registry.npmjs.org\" = \"{url}\"\n");
    project.write("npm-nixhash.toml", mirror);
    let mut command = project.command(&["update"]);
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    command.env_remove("NIX_NPM_REGISTRY_OVERRIDES");
    command
        .env("NIX_NPM_TOKENS", format!("{{\"{host}\": \"a-token\", \"registry.npmjs.org\": \"another\"}}"));
    let said = project.render(&command.output().unwrap());
    assert!(said.starts_with("exit 0\n") && said.contains("1 updated"), "{said}");
    let requests = format!("{:?}", project.registry.requests());
    assert!(requests.contains("left-1.0.0.tgz"), "{requests}");
    assert!(!requests.contains("token") && !requests.contains("another"), "{requests}");

    // A registry that wants one says why it did not get it.
    project.registry.require("/", "Bearer a-token");
    let mut command = project.command(&["hash", "web", "--no-cache"]);
    command.env_remove("NIX_NPM_REGISTRY_OVERRIDES");
    command.env("NIX_NPM_TOKENS", format!("{{\"http://{host}\": \"a-token\"}}"));
    let said = project.render(&command.output().unwrap());
    let why = "in NIX_NPM_TOKENS was not sent, because the repository's npm-nixhash.toml leads the request to this mirror";
    assert!(said.starts_with("exit 2\n") && said.contains(why), "{said}");
    // A user who configured the same registry is not kept out by the repository.
    command.env("npm_config_registry", &url);
    let said = project.render(&command.output().unwrap());
    assert!(said.starts_with("exit 0\n"), "{said}");
}

#[test]
fn init_writes_a_commented_one() {
    let project = flake(&["web"]);
    let written = project.transcript(&["init", "config", "--source", "acme/hashes@v1.2.3"]);
    assert!(written.starts_with("exit 0\n"), "{written}");
    let text = project.read("npm-nixhash.toml");
    assert!(
        text.starts_with(
            "#:schema https://raw.githubusercontent.com/acme/hashes/v1.2.3/docs/config.schema.json\n"
        ),
        "{text}"
    );
    assert!(project.transcript(&["list"]).starts_with("exit 0\n"));
}
