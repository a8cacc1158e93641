//! `-v`, `-vv` and `NPM_NIXHASH_LOG`: what the program does, on standard error, in any detail that is wanted and no other.

use std::process::Output;

use crate::support::project::Project;
use crate::support::registry::{Fault, Published};

/// Two services that share a package; one has a name that plays with the terminal.
fn project() -> (Project, Published) {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let right = project.registry.publish("right", "1.0.0", &[("index.js", b"2")]);
    project.lock("web", &[&left]);
    project.lock("odd", &[&left, &right]);
    let call = |folder: &str| {
        format!("pkgs.buildNpmPackage {{ pname = \"{folder}\"; src = ./{folder}; npmDepsHash = \"\"; }}")
    };
    project.write(
        "default.nix",
        format!("{{ pkgs }}: {{ web = {}; \"o\u{1b}[2Jdd\" = {}; }}\n", call("web"), call("odd")),
    );
    (project, right)
}

fn ran(project: &Project, args: &[&str], log: Option<&str>) -> (i32, String, String) {
    let mut command = project.command(args);
    command.envs(log.map(|log| ("NPM_NIXHASH_LOG", log)));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Lines of the log, without their times, and what else there is.
fn log_of(stderr: &str) -> (Vec<&str>, Vec<&str>) {
    let entry = |line: &'_ str| {
        let (time, rest) = line.trim_start().split_once("s ")?;
        let levels = ["error ", "warn ", "info ", "debug ", "trace "];
        (time.parse::<f64>().is_ok() && levels.iter().any(|level| rest.starts_with(level))).then_some(())
    };
    let (log, other): (Vec<&str>, Vec<&str>) = stderr.lines().partition(|line| entry(line).is_some());
    (log.into_iter().map(|line| line.split_once("s ").unwrap().1).collect(), other)
}

#[test]
fn nothing_is_logged_unless_somebody_wants_it() {
    let (project, _) = project();
    let (code, stdout, stderr) = ran(&project, &["check"], None);
    assert_eq!((code, log_of(&stderr).0), (1, vec![]));
    for (args, log) in [
        (&["check"][..], "off"),
        (&["check"], ""),
        (&["check", "-q"], "trace"),
        (
            &["check"],
            "debug,nix_lang=off,nix_sites=off,npm_deps=off,npm_nixhash=off,npm_registry=off,npm_tarballs=off,repository_files=off",
        ),
    ] {
        let silent = ran(&project, args, Some(log));
        assert_eq!((silent.0, &silent.1, log_of(&silent.2).0), (code, &stdout, vec![]), "{args:?} {log}");
    }
    assert_eq!(log_of(&ran(&project, &["check", "-vv"], Some("off")).2).0, Vec::<&str>::new());
    assert_eq!(log_of(&ran(&project, &["check", "-vv", "-q"], None).2).0, Vec::<&str>::new());
}

#[test]
fn v_tells_steps_and_vv_requests_caches_and_files() {
    let (project, right) = project();
    let (_, details, stderr) = ran(&project, &["check", "-v", "--no-memo"], None);
    let (log, other) = log_of(&stderr);
    assert!(log.iter().all(|line| line.starts_with("info ")), "{log:?}");
    for step in [
        "nix_sites: surveyed the repository root=",
        "npm_deps: what was not on disk is here tarballs=2 took=",
        "npm_deps: hashes are computed lockfiles=2 failed=0 took=",
    ] {
        assert!(log.iter().any(|line| line.contains(step)), "{step}: {log:?}");
    }
    let (_, stdout, without) = ran(&project, &["check", "-v", "--no-memo"], Some("off"));
    assert_eq!(stdout, details, "the log is not part of the data");
    assert_eq!(without.lines().collect::<Vec<_>>(), other, "nor does it change what is said besides");

    let (_, stdout, stderr) = ran(&project, &["check", "-vv", "--no-cache"], None);
    assert_eq!(stdout, details);
    let (log, _) = log_of(&stderr);
    let url = format!("{}{}", project.registry.url(), right.path);
    for what in [
        format!("debug npm_registry: GET url={url} status=200 bytes="),
        "debug npm_deps: a tarball package=right from=\"the network\" bytes=".to_owned(),
        format!("debug nix_lang: parsed file={} whole=true took=", project.path("default.nix").display()),
        format!("debug nix_sites: evaluated file={} took=", project.path("default.nix").display()),
        "debug repository_files: git ".to_owned(),
        "debug npm_deps: a hash of=o\\u{1b}[2Jdd from=\"its tarballs\" packages=2 ".to_owned(),
    ] {
        assert!(log.iter().any(|line| line.starts_with(&what)), "{what}: {log:#?}");
    }
    assert!(!log.iter().any(|line| line.starts_with("trace ")), "{log:#?}");
    assert!(!stderr.contains('\u{1b}'), "{stderr}");
}

#[test]
fn the_log_tells_which_cache_answered() {
    let (project, _) = project();
    ran(&project, &["check"], None);
    let told = |args: &[&str]| ran(&project, args, Some("npm_deps=trace,npm-registry=trace")).2;
    let remembered = told(&["check"]);
    assert_eq!(remembered.matches(" npm_deps: a hash of=").count(), 2, "{remembered}");
    assert_eq!(remembered.matches(" from=\"remembered here\" ").count(), 2, "{remembered}");
    let stored = told(&["check", "--no-memo"]);
    assert!(stored.contains(" npm_deps: a tarball package=left from=\"the store\" bytes="), "{stored}");
    assert!(!stored.contains("npm_registry") && !stored.contains("nix_"), "{stored}");
    let nowhere = told(&["check", "--no-cache", "--offline"]);
    assert!(nowhere.contains("trace npm_deps: a tarball that is not on disk package=left"), "{nowhere}");
}

#[test]
fn a_wish_that_makes_no_sense_is_an_error() {
    let (project, _) = project();
    for (log, why) in [
        ("loud", "error: NPM_NIXHASH_LOG: `loud` is not a level\n  hint: one of off, error, warn, "),
        ("npm_registry=", "error: NPM_NIXHASH_LOG: `` is not a level\n  hint: "),
        ("hyper=trace", "error: NPM_NIXHASH_LOG: nothing is called `hyper`\n  hint: one of nix_lang, "),
    ] {
        let (code, stdout, stderr) = ran(&project, &["check"], Some(log));
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(stderr.starts_with(why), "{stderr}");
    }
}

#[test]
fn no_secret_of_a_redirect_or_a_credential_is_logged() {
    let (project, right) = project();
    let host = project.registry.url().replace("http://", "");
    project.write(
        "../home/.npmrc",
        format!("registry={}\n//{host}/:_authToken=hunter2\n", project.registry.url()),
    );
    let target = project.registry.url().replace("//", "//me:hunter2@") + &right.path + "?sig=hunter2#hunter2";
    project.registry.fault(&right.path, 1, Fault::Redirect(target));
    let (_, _, stderr) = ran(&project, &["check", "-vvv", "--no-cache"], None);
    assert!(!stderr.contains("hunter2"), "{stderr}");
    let redirected = format!(" to={}{}?***\n", project.registry.url().replace("//", "//***@"), right.path);
    assert!(stderr.contains(&redirected), "{stderr}");
    let credential = stderr.lines().find(|line| line.contains("GET url=") && line.contains("right-1.0.0"));
    assert!(
        credential.unwrap().contains(" credential=\"") && credential.unwrap().contains("_authToken"),
        "{stderr}"
    );
}
