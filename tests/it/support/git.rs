//! The real git, for histories that the program then reads by itself.

use std::path::Path;
use std::process::{Command, Output};

use super::project::Project;

/// git in a folder, with nobody's configuration.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(args).current_dir(folder);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_EDITOR", "true");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "t").env(format!("GIT_{who}_EMAIL"), "t@example.org");
    }
    command
}

pub fn run(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

/// A command that has to succeed; its standard output without white space at the end.
pub fn git(folder: &Path, args: &[&str]) -> String {
    let done = run(folder, args);
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}

/// Makes a repository of the project's folder, without a commit.
pub fn init(project: &Project) {
    std::fs::remove_dir_all(project.path(".git")).unwrap();
    git(&project.root(), &["init", "-q", "-b", "main"]);
}

/// Commits everything; gives the commit.
pub fn commit(project: &Project, message: &str) -> String {
    git(&project.root(), &["add", "-A"]);
    git(&project.root(), &["commit", "-q", "-m", message]);
    git(&project.root(), &["rev-parse", "HEAD"])
}
