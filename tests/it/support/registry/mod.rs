//! A registry in this process: HTTP/1.1 and h2c on one port, TLS with HTTP/2 on another, both on 127.0.0.1.
//!
//! It serves what a test publishes, misbehaves on demand, and remembers every request. Lockfiles hold the public
//! registry's URLs, so tests send requests here by a registry override or npm's `registry` setting.

mod archive;
mod serve;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use archive::tgz;
use bytes::Bytes;
use npm_tarballs::cacache::IndexEntry;
use npm_tarballs::integrity::{ContentId, hex};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The host of the URLs that [`Registry::publish`] hands out, as lockfiles have them.
pub const PUBLIC: &str = "registry.npmjs.org";

/// One way to misbehave.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers with this status and a short text.
    Status(u16),
    /// Answers with this status and a `retry-after` header.
    RetryAfter(u16, String),
    /// Announces the whole body, sends so many bytes, and breaks the connection (the stream in HTTP/2).
    Truncate(usize),
    /// Sends so many bytes of the body and then nothing.
    Stall(usize),
    /// Never answers.
    Silence,
    /// Answers after this pause.
    Delay(Duration),
    /// Sends other bytes of the same length.
    WrongBytes,
    /// Redirects there with status 302.
    Redirect(String),
    /// Closes the connection (resets the stream in HTTP/2) without an answer.
    Close,
    /// Claims `content-encoding: gzip`, with the bytes as they are.
    ClaimGzip,
    /// Sends the body a byte at a time, with this pause between.
    Trickle(Duration),
    /// Sends a body of unknown length that never ends.
    Endless,
    /// Answers 200 with this text as `text/html`.
    Page(String),
    /// Answers 401 with this `www-authenticate`.
    Challenge(String),
    /// Sends the body compressed, with `content-encoding: gzip`.
    Gzip,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub version: String,
    pub headers: HashMap<String, String>,
    /// Which connection it came over.
    pub peer: SocketAddr,
    /// Whether a client certificate was shown on it.
    pub certificate: bool,
}

/// A published package version, as a lockfile would name it.
#[derive(Debug, Clone)]
pub struct Published {
    pub name: String,
    pub version: String,
    /// The path on this server.
    pub path: String,
    /// The public registry's URL.
    pub url: String,
    pub integrity: String,
    pub bytes: Bytes,
}

impl Published {
    pub fn id(&self) -> ContentId {
        ContentId::sha512_of(&self.bytes)
    }
}

#[derive(Default)]
struct State {
    files: HashMap<String, Bytes>,
    packuments: HashMap<String, Value>,
    faults: HashMap<String, VecDeque<(usize, Fault)>>,
    /// Of a hundred requests for tarballs so many meet this.
    rate: Option<(u32, Fault)>,
    tokens: HashMap<String, String>,
    delay: Duration,
    log: Vec<Received>,
}

/// What a server wants to see of its clients in the handshake of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// A certificate, but it lets everybody in.
    Optionally,
    /// A certificate.
    Insists,
    /// The same, and it speaks no newer TLS than 1.2.
    InsistsInTls12,
}

/// What the connections share with the test.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running server; it stops when this is dropped.
pub struct Registry {
    plain: SocketAddr,
    tls: SocketAddr,
    folder: tempfile::TempDir,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    /// Starts an empty registry on two free ports.
    pub fn start() -> Self {
        Self::start_asking(Asks::Nothing)
    }

    /// The same, and over TLS only for who shows the certificate of [`Registry::client_identity`].
    pub fn start_with_client_certificates() -> Self {
        Self::start_asking(Asks::Insists)
    }

    /// The same, with what it wants in the handshake of TLS.
    pub fn start_asking(asks: Asks) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::default();
        let (stop, stopped) = oneshot::channel();
        let listening = serve::Listening::new(folder.path(), asks);
        let (plain, tls) = (listening.plain_address(), listening.tls_address());
        let state = shared.clone();
        let thread = std::thread::spawn(move || listening.run(&state, stopped));
        Self { plain, tls, folder, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.plain)
    }

    /// `https://localhost:port`.
    pub fn tls_url(&self) -> String {
        format!("https://localhost:{}", self.tls.port())
    }

    /// The PEM file of the authority that signed the server's certificate, for `SSL_CERT_FILE`.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The PEM files of a certificate and its key that the same authority signed.
    pub fn client_identity(&self) -> (PathBuf, PathBuf) {
        (self.folder.path().join("client.pem"), self.folder.path().join("key.pem"))
    }

    /// Serves `bytes` at `path`.
    pub fn serve(&self, path: &str, bytes: impl Into<Bytes>) {
        self.shared.lock().files.insert(path.to_owned(), bytes.into());
    }

    /// Publishes a version of a package with these files besides its `package.json`: tarball and packument.
    pub fn publish(&self, name: &str, version: &str, files: &[(&str, &[u8])]) -> Published {
        let manifest = json!({ "name": name, "version": version });
        self.publish_manifest(&manifest, files)
    }

    /// Publishes a version with this `package.json`.
    pub fn publish_manifest(&self, manifest: &Value, files: &[(&str, &[u8])]) -> Published {
        let text = manifest.to_string();
        let mut all = vec![("package.json", text.as_bytes())];
        all.extend_from_slice(files);
        let (name, version) = (manifest["name"].as_str().unwrap(), manifest["version"].as_str().unwrap());
        let published = self.publish_bytes(name, version, tgz(&all));
        let mut entry = manifest.clone();
        entry["dist"] = json!({ "tarball": published.url, "integrity": published.integrity });
        self.add_to_packument(name, version, entry);
        published
    }

    /// Publishes these bytes as a tarball, without a packument.
    pub fn publish_bytes(&self, name: &str, version: &str, bytes: impl Into<Bytes>) -> Published {
        let bytes = bytes.into();
        let base = name.rsplit('/').next().unwrap();
        let path = format!("/{name}/-/{base}-{version}.tgz");
        self.serve(&path, bytes.clone());
        Published {
            name: name.to_owned(),
            version: version.to_owned(),
            url: format!("https://{PUBLIC}{path}"),
            integrity: ContentId::sha512_of(&bytes).sri(),
            path,
            bytes,
        }
    }

    fn add_to_packument(&self, name: &str, version: &str, entry: Value) {
        let path = format!("/{}", name.replace('/', "%2f"));
        let mut state = self.shared.lock();
        let packument =
            state.packuments.entry(path).or_insert_with(|| json!({ "name": name, "versions": {} }));
        packument["versions"][version] = entry;
    }

    /// Misbehaves at `path` for the next `times` requests; faults of one path follow each other.
    pub fn fault(&self, path: &str, times: usize, fault: Fault) {
        self.shared.lock().faults.entry(path.to_owned()).or_default().push_back((times, fault));
    }

    /// Misbehaves at so many of a hundred requests for tarballs: which ones is the same each time.
    pub fn fault_rate(&self, rate: u32, fault: Fault) {
        self.shared.lock().rate = Some((rate, fault));
    }

    /// Answers 401 below `prefix` unless this `authorization` header comes.
    pub fn require(&self, prefix: &str, authorization: &str) {
        self.shared.lock().tokens.insert(prefix.to_owned(), authorization.to_owned());
    }

    /// Delays every answer.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.lock().log.clone()
    }

    /// How many requests came for `path`.
    pub fn count(&self, path: &str) -> usize {
        self.shared.lock().log.iter().filter(|received| received.path == path).count()
    }

    /// The values of a header in the requests for `path`.
    pub fn headers(&self, path: &str, name: &str) -> Vec<Option<String>> {
        let requests = self.requests().into_iter().filter(|received| received.path == path);
        requests.map(|received| received.headers.get(name).cloned()).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A port of 127.0.0.1 where nobody listens, and where no server of another test will: systems hand out ports from 32768 on
/// to those who do not ask for one. (Such a server once answered in place of one that was about to start.)
pub fn closed_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 6_000).expect("below 6,000");
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Adds a tarball to a folder as npm's cache has it.
pub fn npm_cache(folder: &Path, package: &Published) {
    let add = |kind: &str, hex: &str, bytes: &[u8]| {
        let place = folder.join("_cacache").join(kind).join(&hex[..2]).join(&hex[2..4]);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join(&hex[4..]), bytes).unwrap();
    };
    let content = package.id();
    let entry =
        IndexEntry { url: package.url.clone(), integrity: package.integrity.clone(), content, accept: None };
    add("content-v2/sha512", &content.hex(), &package.bytes);
    add(
        "index-v5",
        &hex(&entry.bucket()),
        format!("\n{}", entry.line(package.bytes.len() as u64)).as_bytes(),
    );
}
