//! Which credentials go where: situations of a user's `.npmrc` and a lockfile, what this program sends in each, and what
//! npm sends. `docs/credentials.md` shows the table; the real npm is asked in the real-parts run.
//!
//! Servers have the shapes of real ones: a GitLab that serves a group's packages under its projects, a `JFrog` whose virtual
//! registry serves those of a local one, a forward proxy with TLS and without, a server that asks for a client certificate.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::registry::{Fault, Received, Registry};

/// One situation. In its texts `A` and `B` in braces stand for `127.0.0.1:PORT` of two servers, `TLS_A` and `TLS_B` for
/// `localhost:PORT` over TLS, `OTHER` for B under another name, `CA`, `CERT` and `KEY` for PEM files, `OTHER_CERT` and `OTHER_KEY` for B's.
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
    /// The only `authorization` that the server takes; none if it takes all.
    pub requires: &'static str,
    /// Whether the server asks for a client certificate.
    pub asks_for_certificate: bool,
    /// What this program says where it fails.
    pub says: &'static str,
    /// The requests for tarballs, each with its `authorization`, and those to a proxy: of this program, and of npm.
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
    requires: "",
    asks_for_certificate: false,
    says: "",
    ours: "A Bearer t",
    npm: "A Bearer t",
};

const SCOPED: Situation =
    Situation { package: "@acme/ms", resolved: "http://{A}/files/ms-1.0.0.tgz", ..PLAIN };

/// GitLab: packages are asked for at the group, and served by the project that they are of.
const GITLAB: Situation = Situation {
    package: "@acme/ms",
    npmrc: "@acme:registry=http://{A}/api/v4/groups/7/-/packages/npm/\n//{A}/api/v4/groups/7/-/packages/npm/:_authToken=t",
    resolved: "http://{A}/api/v4/projects/42/packages/npm/@acme/ms/-/@acme/ms-1.0.0.tgz",
    requires: "Bearer t",
    ..PLAIN
};

/// `JFrog`: packages are asked for at a virtual registry, and may be served by a local one.
const JFROG: Situation = Situation {
    npmrc: "registry=http://{A}/artifactory/api/npm/npm-virtual/\n//{A}/artifactory/api/npm/npm-virtual/:_auth=dTpw",
    resolved: "http://{A}/artifactory/api/npm/npm-local/ms/-/ms-1.0.0.tgz",
    requires: "Basic dTpw",
    ours: "A Basic dTpw",
    npm: "A Basic dTpw",
    ..PLAIN
};

/// A registry over TLS, through a proxy that wants user and password.
const PROXIED: Situation = Situation {
    resolved: "https://{TLS_A}/npm/ms/-/ms-1.0.0.tgz",
    variables: &[("NODE_EXTRA_CA_CERTS", "{CA}")],
    requires: "Bearer t",
    ours: "A Bearer t; B CONNECT Basic dTpw",
    npm: "A Bearer t; B CONNECT Basic dTpw",
    ..PLAIN
};

/// A server that asks for a certificate.
const CERTIFIED: Situation = Situation {
    resolved: "https://{TLS_A}/npm/ms/-/ms-1.0.0.tgz",
    asks_for_certificate: true,
    ours: "A certificate -",
    npm: "A certificate -",
    ..PLAIN
};

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
        says: "needs the variable TOKEN, which is not set; nothing was sent",
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
    Situation { name: "GitLab: a group's registry, a project's tarball", ..GITLAB },
    Situation {
        name: "GitLab: the project's own token wins",
        npmrc: "@acme:registry=http://{A}/api/v4/groups/7/-/packages/npm/\n//{A}/api/v4/groups/7/-/packages/npm/:_authToken=no\n\
                //{A}/api/v4/projects/42/packages/npm/:_authToken=t",
        ..GITLAB
    },
    Situation {
        name: "GitLab: a token of the whole server",
        npmrc: "@acme:registry=http://{A}/api/v4/packages/npm/\n//{A}/api/v4/packages/npm/:_authToken=t",
        ..GITLAB
    },
    Situation {
        name: "GitLab: a redirect to its object storage",
        redirect: Some("http://{OTHER}/files/ms-1.0.0.tgz"),
        ours: "A Bearer t; B -",
        npm: "A Bearer t; B -",
        ..GITLAB
    },
    Situation {
        name: "GitLab: no credential",
        npmrc: "@acme:registry=http://{A}/api/v4/groups/7/-/packages/npm/",
        says: "no credential for ",
        ours: "A -",
        npm: "A -",
        ..GITLAB
    },
    Situation { name: "JFrog: a virtual registry, a local one's tarball", ..JFROG },
    Situation {
        name: "JFrog: username and _password of a virtual registry",
        npmrc: "registry=http://{A}/artifactory/api/npm/npm-virtual/\n//{A}/artifactory/api/npm/npm-virtual/:username=u\n\
                //{A}/artifactory/api/npm/npm-virtual/:_password=cA==",
        ..JFROG
    },
    Situation {
        name: "JFrog: a token of all registries, and none of another path",
        npmrc: "registry=http://{A}/artifactory/api/npm/npm-virtual/\n//{A}/artifactory/api/npm/:_authToken=t\n\
                //{A}/other/:_authToken=no",
        requires: "Bearer t",
        ours: "A Bearer t",
        npm: "A Bearer t",
        ..JFROG
    },
    Situation {
        name: "JFrog: a scope's virtual registry",
        npmrc: "@acme:registry=http://{A}/artifactory/api/npm/acme-virtual/\n//{A}/artifactory/api/npm/acme-virtual/:_auth=dTpw",
        package: "@acme/ms",
        ..JFROG
    },
    Situation {
        name: "JFrog: the public registry's address in the lockfile",
        npmrc: "registry=http://{A}/artifactory/api/npm/npm-virtual/\n//{A}/artifactory/api/npm/npm-virtual/:_auth=dTpw",
        resolved: "https://registry.npmjs.org/ms/-/ms-1.0.0.tgz",
        ..JFROG
    },
    Situation {
        name: "a proxy for a registry without TLS",
        npmrc: "proxy=http://u:p@{B}\nregistry=http://upstream.invalid/npm/\n//upstream.invalid/npm/:_authToken=t",
        resolved: "http://upstream.invalid/npm/ms/-/ms-1.0.0.tgz",
        ours: "B Bearer t, to the proxy Basic dTpw",
        npm: "B Bearer t, to the proxy Basic dTpw",
        ..PLAIN
    },
    Situation {
        name: "a proxy without TLS",
        npmrc: "https-proxy=http://u:p@{B}\nregistry=https://{TLS_A}/npm/\n//{TLS_A}/npm/:_authToken=t",
        ..PROXIED
    },
    Situation {
        name: "a proxy with TLS",
        npmrc: "https-proxy=https://u:p@{TLS_B}\nregistry=https://{TLS_A}/npm/\n//{TLS_A}/npm/:_authToken=t",
        ..PROXIED
    },
    Situation {
        name: "a proxy of the environment",
        npmrc: "registry=https://{TLS_A}/npm/\n//{TLS_A}/npm/:_authToken=t",
        variables: &[("NODE_EXTRA_CA_CERTS", "{CA}"), ("https_proxy", "http://u:p@{B}")],
        ..PROXIED
    },
    Situation {
        name: "a host that needs no proxy",
        npmrc: "https-proxy=http://u:p@{B}\nnoproxy=localhost\nregistry=https://{TLS_A}/npm/\n//{TLS_A}/npm/:_authToken=t",
        ours: "A Bearer t",
        npm: "A Bearer t",
        ..PROXIED
    },
    Situation {
        name: "a client certificate",
        npmrc: "cafile={CA}\nregistry=https://{TLS_A}/npm/\n//{TLS_A}/npm/:certfile={CERT}\n//{TLS_A}/npm/:keyfile={KEY}",
        ..CERTIFIED
    },
    Situation {
        name: "a client certificate beside a token",
        npmrc: "cafile={CA}\nregistry=https://{TLS_A}/npm/\n//{TLS_A}/npm/:certfile={CERT}\n//{TLS_A}/npm/:keyfile={KEY}\n\
                //{TLS_A}/npm/:_authToken=t",
        requires: "Bearer t",
        ours: "A certificate Bearer t",
        npm: "A certificate Bearer t",
        ..CERTIFIED
    },
    Situation {
        name: "a client certificate for another host",
        npmrc: "cafile={CA}\nregistry=https://{TLS_A}/npm/\n//{TLS_B}/:certfile={CERT}\n//{TLS_B}/:keyfile={KEY}",
        says: "the server asked for a client certificate, got none, and ended the connection",
        ours: "",
        npm: "",
        ..CERTIFIED
    },
    Situation {
        name: "a client certificate of another authority",
        npmrc: "cafile={CA}\nregistry=https://{TLS_A}/npm/\n//{TLS_A}/:certfile={OTHER_CERT}\n//{TLS_A}/:keyfile={OTHER_KEY}",
        // Why is a race: the server closes the connection right behind its word.
        says: "the server asked for a client certificate, ",
        ours: "",
        npm: "",
        ..CERTIFIED
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
        let a = if situation.asks_for_certificate {
            Registry::start_with_client_certificates()
        } else {
            Registry::start()
        };
        let scene = Self { a, b: Registry::start(), folder: tempfile::tempdir().unwrap() };
        let published = scene.a.publish("ms", "1.0.0", &[]);
        for server in [&scene.a, &scene.b] {
            for path in PATHS {
                server.serve(path, published.bytes.clone());
            }
        }
        if !situation.requires.is_empty() {
            scene.a.require("/", situation.requires);
        }
        if let Some(target) = situation.redirect {
            let address = scene.fill(situation.resolved);
            let path = address.splitn(4, '/').nth(3).unwrap();
            scene.a.fault(&format!("/{path}"), 99, Fault::Redirect(scene.fill(target)));
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
        let authorities = [&scene.a, &scene.b].map(|server| fs::read_to_string(server.ca_file()).unwrap());
        scene.write("ca.pem", &authorities.concat());
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
        let tls = |server: &Registry| server.tls_url().replace("https://", "");
        let (certificate, key) = self.a.client_identity();
        let (other_certificate, other_key) = self.b.client_identity();
        [
            ("{A}", host(&self.a)),
            ("{B}", host(&self.b)),
            ("{TLS_A}", tls(&self.a)),
            ("{TLS_B}", tls(&self.b)),
            ("{OTHER}", host(&self.b).replace("127.0.0.1", "localhost")),
            ("{CA}", self.path("ca.pem").display().to_string()),
            ("{CERT}", certificate.display().to_string()),
            ("{KEY}", key.display().to_string()),
            ("{OTHER_CERT}", other_certificate.display().to_string()),
            ("{OTHER_KEY}", other_key.display().to_string()),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// The requests for tarballs, each with its server and its `authorization`, and those to a proxy.
    pub fn requests(&self) -> String {
        let of = |name: &str, server: &Registry| {
            let requests = server.requests();
            requests
                .iter()
                .filter_map(|request| Some(format!("{name} {}", shown(request)?)))
                .collect::<Vec<_>>()
        };
        [of("A", &self.a), of("B", &self.b)].concat().join("; ")
    }
}

/// Where the servers have the package.
const PATHS: [&str; 6] = [
    "/npm/ms/-/ms-1.0.0.tgz",
    "/ms/-/ms-1.0.0.tgz",
    "/files/ms-1.0.0.tgz",
    "/api/v4/projects/42/packages/npm/@acme/ms/-/@acme/ms-1.0.0.tgz",
    "/artifactory/api/npm/npm-local/ms/-/ms-1.0.0.tgz",
    "/artifactory/api/npm/npm-virtual/ms/-/ms-1.0.0.tgz",
];

/// What a request brought along, if it is for a tarball, or to a proxy.
fn shown(request: &Received) -> Option<String> {
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    let to_proxy = header("proxy-authorization");
    if !request.path.starts_with('/') {
        return Some(format!("CONNECT {}", to_proxy.unwrap_or("-")));
    }
    Path::new(&request.path).extension().filter(|end| *end == "tgz")?;
    let certificate = if request.certificate { "certificate " } else { "" };
    let to_proxy = to_proxy.map(|sent| format!(", to the proxy {sent}")).unwrap_or_default();
    Some(format!("{certificate}{}{to_proxy}", header("authorization").unwrap_or("-")))
}

/// The table of the page.
pub fn table() -> String {
    let mut text = String::from("| situation | this program sends | npm sends |\n|---|---|---|\n");
    let shown = |sent: &str| match sent {
        "" => "no request".to_owned(),
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
