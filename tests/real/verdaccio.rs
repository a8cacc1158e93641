//! A real registry that asks for credentials: Verdaccio, from npm, behind a path prefix, with a scope.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::running::{Running, modules};
use crate::support::program::{Ran, Scratch, run, succeed};
use crate::support::registry::closed_port;

const VERSION: &str = "6.8.0";

/// Its modules.
fn installed() -> PathBuf {
    // It names a tag of one dependency, which a registry need not have.
    let manifest = json!({ "private": true, "overrides": { "node-fetch": "2.6.13" } });
    modules("verdaccio", VERSION, &manifest, ".bin/verdaccio")
}

/// Verdaccio leaves it to a proxy to take its prefix off: here that is done in its own process.
const SERVER: &str = "const [config, port] = process.argv.slice(1);
require('verdaccio').runServer(config).then((server) => {
  server.prependListener('request', (request) => {
    request.url = request.url.startsWith('/repo/') ? request.url.slice('/repo'.length) : '/nothing-outside-of-the-prefix';
  });
  server.listen(Number(port), '127.0.0.1');
});";

/// The running registry; it ends when this is dropped.
struct Verdaccio {
    _running: Running,
    place: Scratch,
    port: u16,
    token: String,
}

impl Verdaccio {
    fn start() -> Self {
        let (place, port) = (Scratch::new(), closed_port());
        let config = "storage: ./storage\nurl_prefix: /repo/\nauth: { htpasswd: { file: ./htpasswd, max_users: 10 } }\nuplinks: {}\n\
                      packages: { '**': { access: $authenticated, publish: $authenticated } }\nlog: { type: stdout, level: warn }\n";
        let config = place.write("config.yaml", config);
        let mut command = Command::new("node");
        command.args(["-e", SERVER]).arg(config).arg(port.to_string()).env("NODE_PATH", installed());
        let mut registry =
            Self { _running: Running::start(&mut command, port), place, port, token: String::new() };
        let user = json!({ "name": "me", "password": "s3cret-pw" }).to_string();
        let answer = registry.curl(
            &["-X", "PUT", "-d", &user, "-H", "content-type: application/json"],
            "-/user/org.couchdb.user:me",
        );
        answer["token"].as_str().unwrap_or_else(|| panic!("{answer}")).clone_into(&mut registry.token);
        registry
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/repo/", self.port)
    }

    fn nerf(&self) -> String {
        self.url().replace("http:", "")
    }

    fn curl(&self, arguments: &[&str], path: &str) -> Value {
        let text = succeed(
            Command::new("curl").args(["-sS", "--max-time", "30"]).args(arguments).arg(self.url() + path),
        );
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
    }

    /// Publishes a package with the real npm; gives the address of its tarball, and its integrity.
    fn publish(&self, name: &str) -> (String, String) {
        self.place.write("package/package.json", json!({ "name": name, "version": "1.0.0" }).to_string());
        let npmrc = format!("registry={}\n{}:_authToken={}\n", self.url(), self.nerf(), self.token);
        self.place.write("package/.npmrc", npmrc);
        let mut npm = Command::new("npm");
        npm.args(["publish", "--loglevel=error"]).current_dir(self.place.path("package"));
        succeed(npm.env("HOME", self.place.path("home")).env("npm_config_cache", self.place.path("cache")));
        let authorization = format!("authorization: Bearer {}", self.token);
        let packument = self.curl(&["-H", &authorization], &name.replace('/', "%2f"));
        let dist = &packument["versions"]["1.0.0"]["dist"];
        let text = |field: &str| dist[field].as_str().unwrap_or_else(|| panic!("{packument}")).to_owned();
        (text("tarball"), text("integrity"))
    }
}

/// A project that has this package in its lockfile, and this `~/.npmrc`.
fn project(name: &str, (url, integrity): &(String, String), npmrc: &str) -> Scratch {
    let place = Scratch::new();
    let entry = json!({ "version": "1.0.0", "resolved": url, "integrity": integrity });
    let root = json!({ "name": "web", "version": "1.0.0", "dependencies": { name: "1.0.0" } });
    let packages = json!({ "": root, format!("node_modules/{name}"): entry });
    let lockfile = json!({ "name": "web", "version": "1.0.0", "lockfileVersion": 3, "packages": packages });
    place.write("web/package.json", root.to_string());
    place.write("web/package-lock.json", lockfile.to_string());
    place.write("home/.npmrc", npmrc);
    place
}

fn hash(place: &Scratch, tokens: &str) -> Ran {
    let mut command = place.npm_nixhash(["hash", "web", "--no-cache"]);
    run(command.env("NIX_NPM_TOKENS", tokens))
}

/// Whether the real npm installs it.
fn npm_installs(place: &Scratch) -> bool {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]);
    npm.current_dir(place.path("web")).env_clear().env("PATH", crate::inherited("PATH").unwrap());
    npm.env("HOME", place.path("home")).env("npm_config_cache", place.path("npm-cache"));
    npm.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn verdaccio_is_asked_with_what_npmrc_has() {
    let registry = Verdaccio::start();
    let (url, nerf, token) = (registry.url(), registry.nerf(), registry.token.clone());
    let plain = ("left", registry.publish("left"));
    let scoped = ("@acme/left", registry.publish("@acme/left"));
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode("me:s3cret-pw")
    };
    let default = format!("registry={url}\n");
    let host = format!("http://127.0.0.1:{}", registry.port);
    for (name, published) in [&plain, &scoped] {
        for (npmrc, tokens) in [
            (format!("{default}{nerf}:_authToken={token}\n"), "{}".to_owned()),
            (format!("{default}//127.0.0.1:{}/:_authToken={token}\n", registry.port), "{}".to_owned()),
            (format!("{default}{nerf}:_auth={basic}\n"), "{}".to_owned()),
            (format!("{default}{nerf}:username=me\n{nerf}:_password={}\n", "czNjcmV0LXB3"), "{}".to_owned()),
            (String::new(), json!({ host.as_str(): token }).to_string()),
            (String::new(), json!({ host.as_str(): "me:s3cret-pw" }).to_string()),
        ] {
            let place = project(name, published, &npmrc);
            let ran = hash(&place, &tokens);
            assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
            // npm knows nothing of NIX_NPM_TOKENS.
            assert!(npmrc.is_empty() || npm_installs(&place), "{name}: {npmrc}");
        }
        let place = project(name, published, &default);
        let none = hash(&place, "{}");
        assert!(none.code == 2 && none.stderr.contains("no credential for"), "{}", none.stderr);
        assert!(!npm_installs(&place));
        let place = project(name, published, &format!("{default}{nerf}:_authToken=wrong\n"));
        let wrong = hash(&place, "{}");
        let said = wrong.stderr.contains("_authToken` in .npmrc was sent");
        assert!(wrong.code == 2 && said, "{}", wrong.stderr);
        assert!(!npm_installs(&place));
    }
    let scope = format!("@acme:registry={url}\n{nerf}:_authToken={token}\n");
    let place = project(scoped.0, &scoped.1, &scope);
    assert!(hash(&place, "{}").code == 0 && npm_installs(&place));
}
