//! Where users of Nix have the tokens of code hosts: files and variables. Of the variables only those named here are read.

use std::fs;
use std::path::{Path, PathBuf};

use npm_nixhash::source::tokens::{NixConf, grant};
use npm_registry::{Access, Credential, Secret, netrc};

use super::env::Environment;

/// Files of nix.conf that include others, at most: a file may include itself.
const INCLUDES: usize = 16;

/// Reads everything and grants it to the hosts it is for.
pub(super) fn add(access: &mut Access, environment: &Environment, github_token: bool) {
    let conf = nix_conf(environment);
    conf.apply(access);
    add_private(access, environment);
    if github_token {
        add_github_token(access, environment);
    }
    let home = environment.home();
    let own = environment.path("NETRC").or_else(|| Some(home?.join(".netrc")));
    let of_nix = conf.netrc_file.map_or_else(|| conf_folder(environment).join("netrc"), PathBuf::from);
    // The first one that knows a host wins: a user's before the machine's.
    for file in own.into_iter().chain([of_nix]) {
        if let Ok(text) = fs::read_to_string(&file) {
            netrc::apply(&text, &file.display().to_string(), access);
        }
    }
}

fn conf_folder(environment: &Environment) -> PathBuf {
    environment.path("NIX_CONF_DIR").unwrap_or_else(|| "/etc/nix".into())
}

/// The system's file, then the user's (the first of several wins), then `NIX_CONFIG`.
fn nix_conf(environment: &Environment) -> NixConf {
    let mut conf = NixConf::default();
    let mut files = vec![conf_folder(environment).join("nix.conf")];
    if let Some(list) = environment.path("NIX_USER_CONF_FILES") {
        let mut own: Vec<_> = std::env::split_paths(&list).collect();
        // It names the one that wins first, and what is layered last wins here.
        own.reverse();
        files.extend(own);
    } else {
        let below_home = || environment.home().map(|home| home.join(".config"));
        let folder = environment.path("XDG_CONFIG_HOME").or_else(below_home);
        files.extend(folder.map(|folder| folder.join("nix/nix.conf")));
    }
    let mut left = INCLUDES;
    for file in files {
        read(&mut conf, &file, &mut left);
    }
    if let Some(text) = environment.text("NIX_CONFIG") {
        conf.layer(text);
    }
    conf
}

fn read(conf: &mut NixConf, file: &Path, left: &mut usize) {
    let Ok(text) = fs::read_to_string(file) else { return };
    conf.layer(&text);
    for include in std::mem::take(&mut conf.includes) {
        if *left > 0 {
            *left -= 1;
            read(conf, &file.parent().unwrap_or(file).join(include), left);
        }
    }
}

/// What nixpkgs' fetchers take for `private = true`. There they go to whatever host the call names; here to the public one
/// alone, because anybody who can change the repository could name another.
fn add_private(access: &mut Access, environment: &Environment) {
    if let Some(password) = environment.text("NIX_GITHUB_PRIVATE_PASSWORD") {
        let user = environment.text("NIX_GITHUB_PRIVATE_USERNAME").unwrap_or_default();
        let credential = Credential::pair(user.as_bytes(), password.as_bytes());
        grant(access, "github.com", &credential, "NIX_GITHUB_PRIVATE_PASSWORD");
    }
    if let Some(password) = environment.text("NIX_GITLAB_PRIVATE_PASSWORD") {
        let credential = Credential::PrivateToken(Secret::new(password.to_owned()));
        grant(access, "gitlab.com", &credential, "NIX_GITLAB_PRIVATE_PASSWORD");
    }
}

/// `GITHUB_TOKEN` goes to the server that a workflow says it runs on, and only if the user asked for it.
fn add_github_token(access: &mut Access, environment: &Environment) {
    let Some(token) = environment.text("GITHUB_TOKEN") else { return };
    let server = environment.text("GITHUB_SERVER_URL").unwrap_or("https://github.com");
    let host = server.trim_start_matches("https://").trim_end_matches('/');
    grant(access, host, &Credential::Bearer(Secret::new(token.to_owned())), "GITHUB_TOKEN");
}
