//! Azure and Google Cloud as binary caches and as shared memory: Azurite, which is Microsoft's own server for tests; and for Google
//! its XML interface, which is that of S3 but for the credentials, by moto behind a token that Google's endpoint gives out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;

use crate::binary_cache::{Scene, paths};
use crate::running::{Running, modules};
use crate::s3::{Server, forget, python};
use crate::support::program::{Ran, Scratch, run, succeed};
use crate::support::registry::closed_port;

const AZURITE: &str = "3.37.0";

/// What must show nowhere; a key of Azure's is base64.
const AZURE_KEY: &str =
    "cGw0bnRlZC1henVyZS1rZXktb2YtNjQtYnl0ZXMtMDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMw==";
const REFRESH_TOKEN: &str = "1//pl4nted-refresh-token";
const CLIENT_SECRET: &str = "pl4nted-client-secret";
const ACCESS_TOKEN: &str = "ya29.pl4nted-access-token";

/// Azurite's blob service.
fn azurite() -> PathBuf {
    const MAIN: &str = "azurite/dist/src/blob/main.js";
    modules("azurite", AZURITE, &json!({ "private": true }), MAIN).join(MAIN)
}

/// Runs, and sees that no secret shows.
fn quietly(command: &mut Command, secrets: &[&str]) -> Ran {
    let ran = run(command);
    for secret in secrets {
        assert!(!format!("{ran:?}").contains(secret), "{ran:?}");
    }
    ran
}

/// Publishes, builds from what was published, looks for it, and shares hashes and tarballs, with `run` as the program.
fn walk(scene: &Scene, url: &dyn Fn(&str) -> String, http: &str, run: &dyn Fn(&[&str]) -> Ran) {
    let outputs = url("npm");
    let update = run(&["update", "--publish", &outputs, "--json"]);
    assert_eq!(update.code, 0, "{}", update.stderr);
    let paths = paths(&update.stdout);
    let built = scene.build("store-1", http);
    assert_eq!(
        (built.code, built.stdout.lines().collect::<Vec<_>>()),
        (0, paths.iter().map(String::as_str).collect()),
        "{}",
        built.stderr
    );
    let again = run(&["update", "--publish", &outputs]);
    assert!(again.stdout.contains(": 2 there already\n"), "{}{}", again.stdout, again.stderr);
    assert_eq!(run(&["check", "--published", &outputs]).code, 0);
    let lacking = run(&["check", "--published", &url("other")]);
    assert!(
        lacking.code == 1 && lacking.stdout.contains(": 2 missing\n"),
        "{}{}",
        lacking.stdout,
        lacking.stderr
    );
    let shared = ["check", "--remote", &url("memory"), "--remote-tarballs"];
    forget(scene);
    assert_eq!(run(&shared).code, 0);
    forget(scene);
    let before = scene.project.registry.requests().len();
    let second = run(&shared);
    assert_eq!((second.code, second.stderr.as_str()), (0, ""));
    assert_eq!(scene.project.registry.requests().len(), before, "nothing was downloaded");
}

#[test]
fn azures_own_server_is_a_cache_and_a_memory() {
    let (scene, place, port) = (Scene::new(), Scratch::new(), closed_port());
    let mut command = Command::new("node");
    command.arg(azurite()).args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--silent"]);
    command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]);
    command.env("AZURITE_ACCOUNTS", format!("acme:{AZURE_KEY}")).current_dir(place.path("."));
    let _server = Running::start(&mut command, port);
    let mut make = Command::new("python3");
    make.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/azure.py"));
    let sas = succeed(make.args([&port.to_string(), "acme", AZURE_KEY, "cache"]));
    let (sas, signature) = (sas.trim(), sas.trim().rsplit("sig=").next().unwrap());
    let url =
        |prefix: &str| format!("az://cache/{prefix}?account=acme&endpoint=http://127.0.0.1:{port}/acme");
    let http = format!("http://127.0.0.1:{port}/acme/cache/npm");
    let with = |name: &str, value: &str, args: &[&str]| {
        quietly(scene.project.command(args).env(name, value), &[AZURE_KEY, signature, value])
    };
    walk(&scene, &url, &http, &|args| with("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY, args));
    // A shared access signature opens it as well, and a wrong key does not.
    let written = with("AZURE_STORAGE_SAS_TOKEN", sas, &["update", "--publish", &url("sas")]);
    assert_eq!(written.code, 0, "{}", written.stderr);
    let wrong = AZURE_KEY.replace("cGw0", "WGw0");
    let refused = with("AZURE_STORAGE_ACCOUNT_KEY", &wrong, &["update", "--publish", &url("refused")]);
    assert!(refused.code == 2 && refused.stderr.contains("(403)"), "{}", refused.stderr);
    let none = scene.run(&["check", "--published", &url("npm")]);
    assert!(none.code == 2 && none.stderr.contains("no credentials for Azure"), "{}", none.stderr);
    let gone = url("npm").replace("az://cache", "az://gone");
    let gone = with("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY, &["update", "--publish", &gone]);
    assert!(gone.code == 2 && gone.stderr.contains("there is no such bucket"), "{}", gone.stderr);
}

/// An authority, and the certificate of Google's endpoint for tokens that it signed, with its key.
fn certificates(folder: &Path) -> [PathBuf; 3] {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let own = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["accounts.google.com".to_owned()]).unwrap().signed_by(&key, &issuer);
    let texts = [("ca", own.pem()), ("leaf", leaf.unwrap().pem()), ("key", key.serialize_pem())];
    texts.map(|(name, text)| {
        let path = folder.join(format!("{name}.pem"));
        fs::write(&path, text).unwrap();
        path
    })
}

#[test]
fn googles_interface_is_a_cache_and_a_memory_for_who_has_its_token() {
    let (scene, server, place, port) = (Scene::new(), Server::start(), Scratch::new(), closed_port());
    server.rules(&json!({ "bearer": ACCESS_TOKEN }));
    let [authority, leaf, key] = certificates(&place.path("."));
    let log = place.write("log", "");
    let mut command = Command::new(python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/google.py")).args([&leaf, &key]);
    command.arg(port.to_string()).arg(&log).env_clear();
    command.env("REFRESH_TOKEN", REFRESH_TOKEN).env("CLIENT_SECRET", CLIENT_SECRET);
    let _google = Running::start(command.env("ACCESS_TOKEN", ACCESS_TOKEN), port);
    let credentials = |refresh_token: &str| {
        // As `gcloud auth application-default login` writes it.
        let text = json!({ "type": "authorized_user", "client_id": "id", "client_secret": CLIENT_SECRET, "refresh_token": refresh_token });
        place.write(&format!("{}.json", refresh_token.len()), text.to_string())
    };
    let (right, wrong) = (credentials(REFRESH_TOKEN), credentials("1//pl4nted-other-token"));
    let with = |file: &Path, args: &[&str]| {
        let mut command = scene.project.command(args);
        command.env("GOOGLE_APPLICATION_CREDENTIALS", file).env("SSL_CERT_FILE", &authority);
        command.env("https_proxy", format!("http://127.0.0.1:{port}")).env("no_proxy", "127.0.0.1");
        quietly(&mut command, &[REFRESH_TOKEN, CLIENT_SECRET, ACCESS_TOKEN, "pl4nted-other-token"])
    };
    let url = |prefix: &str| format!("gs://cache/{prefix}?endpoint=http://127.0.0.1:{}", server.port);
    walk(&scene, &url, &server.http("npm"), &|args| with(&right, args));
    assert!(server.requests().iter().any(|line| line.contains("partNumber=2")), "{:?}", server.requests());
    let token = json!({ "bearer": ACCESS_TOKEN });
    server.rules(&json!({}));
    assert_eq!(server.unfinished_uploads(), 0);
    server.rules(&token);
    let asked = fs::read_to_string(&log).unwrap();
    assert!(asked.lines().all(|line| line == "accounts.google.com:443 /o/oauth2/token 200 OK"), "{asked}");
    let refused = with(&wrong, &["check", "--published", &url("npm")]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let none = scene.run(&["check", "--published", &url("npm")]);
    assert!(
        none.code == 2 && none.stderr.contains("no credentials for Google Cloud Storage"),
        "{}",
        none.stderr
    );
}
