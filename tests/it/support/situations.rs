//! Which credentials go where: situations of a user's `.npmrc` and a lockfile, what this program sends in each, and what
//! npm sends. `docs/credentials.md` shows the table; the real npm is asked in the real-parts run.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::registry::{Fault, Registry};

/// One situation. In its texts `A` and `B` in braces stand for `127.0.0.1:PORT` of two servers.
pub struct Situation {
    pub name: &'static str,
    /// `~/.npmrc`.
    pub npmrc: &'static str,
    /// Where the package is installed, and its address.
    pub package: &'static str,
    pub resolved: &'static str,
    /// Variables of the environment.
    pub variables: &'static [(&'static str, &'static str)],
    /// The `.npmrc` of the repository.
    pub project: &'static str,
    /// Where the server redirects to.
    pub redirect: Option<&'static str>,
    /// The requests for tarballs, each with its `authorization`: of this program, and of npm.
    pub ours: &'static str,
    pub npm: &'static str,
}

const PLAIN: Situation = Situation {
    name: "",
    npmrc: "",
    package: "ms",
    resolved: "http://{A}/npm/ms/-/ms-1.0.0.tgz",
    variables: &[],
    project: "",
    redirect: None,
    ours: "A Bearer t",
    npm: "A Bearer t",
};

const SCOPED: Situation =
    Situation { package: "@acme/ms", resolved: "http://{A}/files/ms-1.0.0.tgz", ..PLAIN };

/// The scope has its registry.
const ACME: &str = "@acme:registry=http://{A}/npm/\n//{A}/npm/:_authToken=t\n";

pub const SITUATIONS: &[Situation] = &[
    Situation {
        name: "a token of the registry's path",
        npmrc: "registry=http://{A}/npm/\n//{A}/npm/:_authToken=t",
        ..PLAIN
    },
    Situation {
        name: "a token of the host",
        npmrc: "registry=http://{A}/npm/\n//{A}/:_authToken=t",
        ..PLAIN
    },
    Situation {
        name: "the nearest path wins",
        npmrc: "registry=http://{A}/\n//{A}/:_authToken=no\n//{A}/npm/:_authToken=t",
        ..PLAIN
    },
    Situation {
        name: "a prefix ends at a slash",
        npmrc: "registry=http://{A}/\n//{A}/:_authToken=t\n//{A}/np/:_authToken=no",
        ..PLAIN
    },
    Situation {
        name: "a prefix without a final slash",
        npmrc: "registry=http://{A}/npm/\n//{A}/npm:_authToken=t",
        ..PLAIN
    },
    Situation {
        name: "no credential for this host",
        npmrc: "registry=http://{B}/\n//{B}/:_authToken=no",
        ours: "A -",
        npm: "A -",
        ..PLAIN
    },
    Situation {
        name: "another path of the default registry's host",
        npmrc: "registry=http://{A}/group/\n//{A}/group/:_authToken=t",
        ..PLAIN
    },
    Situation { name: "another path of the scope's registry's host", npmrc: ACME, ..SCOPED },
    Situation {
        name: "the scope's registry is elsewhere, the default one is here",
        npmrc: "registry=http://{A}/npm/\n//{A}/npm/:_authToken=no\n@acme:registry=http://{B}/",
        ours: "A -",
        npm: "A -",
        ..SCOPED
    },
    Situation {
        name: "a scope without a registry of its own",
        npmrc: "registry=http://{A}/npm/\n//{A}/npm/:_authToken=t",
        ..SCOPED
    },
    Situation {
        name: "a scope's credential is not for other packages",
        npmrc: ACME,
        resolved: "http://{A}/files/ms-1.0.0.tgz",
        ours: "A -",
        npm: "A -",
        ..PLAIN
    },
    Situation {
        name: "an alias of a scoped package",
        npmrc: ACME,
        package: "alias=@acme/ms",
        resolved: "http://{A}/files/ms-1.0.0.tgz",
        ours: "A -",
        npm: "A -",
        ..PLAIN
    },
    Situation {
        name: "a scoped alias",
        npmrc: ACME,
        package: "@acme/alias=ms",
        resolved: "http://{A}/files/ms-1.0.0.tgz",
        ..PLAIN
    },
    Situation {
        name: "another port",
        npmrc: "registry=http://{A}/\n//127.0.0.1:1/:_authToken=no\n//127.0.0.1/:_authToken=no",
        ours: "A -",
        npm: "A -",
        ..PLAIN
    },
    Situation {
        name: "_auth",
        npmrc: "registry=http://{A}/\n//{A}/:_auth=dTpw",
        ours: "A Basic dTpw",
        npm: "A Basic dTpw",
        ..PLAIN
    },
    Situation {
        name: "username and _password",
        npmrc: "registry=http://{A}/\n//{A}/:username=u\n//{A}/:_password=cA==",
        ours: "A Basic dTpw",
        npm: "A Basic dTpw",
        ..PLAIN
    },
    Situation {
        name: "a token wins over _auth",
        npmrc: "registry=http://{A}/\n//{A}/:_auth=dTpw\n//{A}/:_authToken=t",
        ..PLAIN
    },
    Situation {
        name: "_auth wins over username and _password",
        npmrc: "registry=http://{A}/\n//{A}/:username=x\n//{A}/:_password=cA==\n//{A}/:_auth=dTpw",
        ours: "A Basic dTpw",
        npm: "A Basic dTpw",
        ..PLAIN
    },
    Situation {
        name: "a username alone is none",
        npmrc: "registry=http://{A}/\n//{A}/npm/:username=u\n//{A}/:_authToken=t",
        ..PLAIN
    },
    Situation {
        name: "a variable",
        npmrc: "registry=http://{A}/\n//{A}/:_authToken=${TOKEN}",
        variables: &[("TOKEN", "t")],
        ..PLAIN
    },
    Situation {
        name: "a variable that is not set",
        npmrc: "registry=http://{A}/\n//{A}/:_authToken=${TOKEN}",
        ours: "",
        npm: "A Bearer ${TOKEN}",
        ..PLAIN
    },
    Situation {
        name: "a variable that may be unset",
        npmrc: "registry=http://{A}/\n//{A}/:_authToken=${TOKEN?}",
        ours: "A -",
        npm: "A -",
        ..PLAIN
    },
    Situation {
        name: "a setting of the environment",
        npmrc: "registry=http://{A}/",
        variables: &[("npm_config_//{A}/:_authToken", "t")],
        ..PLAIN
    },
    Situation { name: "a quoted token", npmrc: "registry=http://{A}/\n//{A}/:_authToken=\"t\"", ..PLAIN },
    Situation {
        name: "a comment behind the token",
        npmrc: "registry=http://{A}/\n//{A}/:_authToken=t ; of bob",
        ..PLAIN
    },
    Situation {
        name: "a token in a section",
        npmrc: "registry=http://{A}/\n[x]\n//{A}/:_authToken=no",
        ours: "A -",
        npm: "A -",
        ..PLAIN
    },
    Situation {
        name: "the public registry's address, and a configured registry",
        npmrc: "registry=http://{A}/npm/\n//{A}/npm/:_authToken=t",
        resolved: "https://registry.npmjs.org/ms/-/ms-1.0.0.tgz",
        ..PLAIN
    },
    Situation {
        name: "replace-registry-host=always",
        npmrc: "registry=http://{A}/\nreplace-registry-host=always\n//{A}/:_authToken=t\n//{B}/:_authToken=no",
        resolved: "http://{B}/npm/ms/-/ms-1.0.0.tgz",
        ..PLAIN
    },
    Situation {
        name: "a redirect to another path",
        npmrc: "registry=http://{A}/\n//{A}/npm/:_authToken=t",
        redirect: Some("/files/ms-1.0.0.tgz"),
        ours: "A Bearer t; A Bearer t",
        npm: "A Bearer t; A Bearer t",
        ..PLAIN
    },
    Situation {
        name: "a redirect to another port",
        npmrc: "registry=http://{A}/\n//{A}/:_authToken=t\n//{B}/:_authToken=no",
        redirect: Some("http://{B}/files/ms-1.0.0.tgz"),
        ours: "A Bearer t; B -",
        npm: "A Bearer t; B Bearer t",
        ..PLAIN
    },
    Situation {
        name: "the user never named this server unencrypted",
        npmrc: "//{A}/:_authToken=no",
        ours: "A -",
        npm: "A Bearer no",
        ..PLAIN
    },
    Situation {
        name: "the registry is https, and the lockfile says http",
        npmrc: "registry=https://{A}/npm/\n//{A}/npm/:_authToken=no",
        ours: "A -",
        npm: "A Bearer no",
        ..PLAIN
    },
    Situation {
        name: "the repository's .npmrc has the token",
        npmrc: "registry=http://{A}/",
        project: "//{A}/:_authToken=no",
        ours: "A -",
        npm: "A Bearer no",
        ..PLAIN
    },
    Situation {
        name: "the repository's .npmrc names another registry",
        npmrc: "registry=http://{A}/\n//{A}/:_authToken=t",
        resolved: "https://registry.npmjs.org/ms/-/ms-1.0.0.tgz",
        project: "registry=http://{B}/",
        npm: "B -",
        ..PLAIN
    },
    Situation {
        name: "user and password in the address",
        npmrc: "registry=http://{A}/",
        resolved: "http://u:p@{A}/npm/ms/-/ms-1.0.0.tgz",
        ours: "A Basic dTpw",
        npm: "A Basic dTpw",
        ..PLAIN
    },
];

/// Two servers with the package at every address, and a project in a home.
pub struct Scene {
    a: Registry,
    b: Registry,
    pub folder: tempfile::TempDir,
}

impl Scene {
    pub fn of(situation: &Situation) -> Self {
        let scene = Self { a: Registry::start(), b: Registry::start(), folder: tempfile::tempdir().unwrap() };
        let published = scene.a.publish("ms", "1.0.0", &[]);
        for server in [&scene.a, &scene.b] {
            for path in ["/npm/ms/-/ms-1.0.0.tgz", "/ms/-/ms-1.0.0.tgz", "/files/ms-1.0.0.tgz"] {
                server.serve(path, published.bytes.clone());
            }
        }
        if let Some(target) = situation.redirect {
            scene.a.fault("/npm/ms/-/ms-1.0.0.tgz", 99, Fault::Redirect(scene.fill(target)));
        }
        let (installed, real) = situation.package.split_once('=').unwrap_or((situation.package, ""));
        let mut entry = json!({ "version": "1.0.0", "resolved": scene.fill(situation.resolved), "integrity": published.integrity });
        let mut range = "1.0.0".to_owned();
        if !real.is_empty() {
            entry["name"] = real.into();
            range = format!("npm:{real}@1.0.0");
        }
        let root = json!({ "name": "web", "version": "1.0.0", "dependencies": { installed: range } });
        let place = format!("node_modules/{installed}");
        let lockfile = json!({ "name": "web", "version": "1.0.0", "lockfileVersion": 3, "packages": { "": root, place: entry } });
        for folder in ["home", "web"] {
            fs::create_dir(scene.folder.path().join(folder)).unwrap();
        }
        scene.write("home/.npmrc", &scene.fill(situation.npmrc));
        scene.write("web/package.json", &root.to_string());
        scene.write("web/package-lock.json", &lockfile.to_string());
        if !situation.project.is_empty() {
            scene.write("web/.npmrc", &scene.fill(situation.project));
        }
        scene
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn fill(&self, text: &str) -> String {
        let host = |server: &Registry| server.url().replace("http://", "");
        text.replace("{A}", &host(&self.a)).replace("{B}", &host(&self.b))
    }

    /// The requests for tarballs, each with its server and its `authorization`.
    pub fn requests(&self) -> String {
        let of = |name: &str, server: &Registry| {
            let requests = server
                .requests()
                .into_iter()
                .filter(|request| Path::new(&request.path).extension().is_some_and(|end| end == "tgz"));
            requests
                .map(|request| {
                    format!("{name} {}", request.headers.get("authorization").map_or("-", String::as_str))
                })
                .collect::<Vec<_>>()
        };
        [of("A", &self.a), of("B", &self.b)].concat().join("; ")
    }
}

/// The table of the page.
pub fn table() -> String {
    let mut text = String::from("| situation | this program sends | npm sends |\n|---|---|---|\n");
    let shown = |sent: &str| match sent {
        "" => "nothing, and says why".to_owned(),
        sent => format!("`{}`", sent.replace(" -", " nothing")),
    };
    for Situation { name, ours, npm, .. } in SITUATIONS {
        let differs = if ours == npm { "" } else { " **" };
        let _ = writeln!(
            text,
            "| {name} | {} | {}{}{} |",
            shown(ours),
            differs.trim(),
            shown(npm),
            differs.trim()
        );
    }
    text
}
