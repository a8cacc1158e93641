//! What a server can do wrong, and how a run ends: `docs/faults.md` as a test.
//!
//! Each kind of fault, at several rates, meets a run of its own process, so that its time and its peak of memory are its own.
//! The usual runs wait for half a second where the program waits for half a minute. With `NPM_NIXHASH_MEASURE=1` the
//! real-parts run waits as long as the program does, for some minutes, and writes what it measured into the page.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use npm_deps::supply::Supply;
use npm_deps::{HashRequest, Outputs, Settings, compute};
use npm_lockfile::options::HashOptions;
use npm_registry::{Client, Options, Roots, Secret, Timeouts};

use crate::support::pages::{holds_table, table_of, write_table};
use crate::support::project::lockfile;
use crate::support::registry::{Fault, PUBLIC, Published, Registry, closed_port};
use crate::support::runtime;

/// Packages of a run.
const PACKAGES: usize = 40;

/// What a run with these may take, in MiB: the program itself, its threads, and bodies under way.
const MEBIBYTES: u64 = 96;

/// How long the machine may take for everything but waiting, be it ever so busy.
const SLACK: Duration = Duration::from_secs(30);

/// The limit of a download in these runs.
const LARGEST: u64 = 1 << 20;

struct Kind {
    name: String,
    trouble: Trouble,
    /// At 100 %: the hash is right (empty), or what the message says.
    whole: &'static str,
    /// At lower rates.
    part: &'static str,
    longest: Longest,
}

#[derive(Clone)]
enum Trouble {
    /// The server answers so.
    Fault(Fault),
    /// The connection says this, and is closed, or kept open without another word.
    Raw(&'static [u8], bool),
    /// All requests go there.
    Elsewhere(fn(&Registry) -> String),
    /// Through this proxy.
    Proxy(fn(&Registry) -> String),
    /// The server's certificate is another authority's.
    Untrusted,
}

/// How long a run may take with given timeouts, if the machine has time for it.
#[derive(Clone, Copy)]
enum Longest {
    /// No waiting.
    AtOnce,
    /// Pauses between attempts.
    Pauses,
    /// Every attempt times out, and so do those of others that are under way when the host is given up.
    Stalls,
    /// Two attempts do, and those of others.
    TwoStalls,
    /// Nobody can be reached.
    Connect,
    /// The server asks for pauses of a second.
    Seconds,
}

impl Longest {
    fn of(self, timeouts: &Timeouts) -> Duration {
        let pauses = timeouts.backoff * (4 + 8 + 16 + 32);
        match self {
            Self::AtOnce => Duration::from_secs(1),
            Self::Pauses => pauses,
            Self::Stalls => timeouts.stall * 6 + pauses,
            Self::TwoStalls => timeouts.stall * 3 + pauses,
            Self::Connect => timeouts.unreachable + timeouts.connect,
            Self::Seconds => Duration::from_secs(15) + pauses,
        }
    }
}

/// How long the program waits.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Half a second: for the usual runs.
    Quick,
    /// As long as it does for its users.
    Own,
}

impl Pace {
    fn timeouts(self) -> Timeouts {
        match self {
            Self::Quick => quick(),
            Self::Own => Timeouts::default(),
        }
    }

    fn at_once(self) -> u32 {
        match self {
            Self::Quick => 8,
            Self::Own => 24,
        }
    }
}

fn quick() -> Timeouts {
    Timeouts {
        connect: Duration::from_millis(500),
        stall: Duration::from_millis(500),
        // Longer than a run takes: the target of a redirect that stays away is given up after this.
        unreachable: Duration::from_secs(5),
        backoff: Duration::from_millis(5),
        retry_after: Duration::from_secs(2),
        run: Duration::from_mins(2),
    }
}

fn kind(
    name: impl Into<String>,
    trouble: Trouble,
    whole: &'static str,
    part: &'static str,
    longest: Longest,
) -> Kind {
    Kind { name: name.into(), trouble, whole, part, longest }
}

fn statuses() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let permanent = [
        (300, "300"),
        (304, "304"),
        (400, "400"),
        (401, "401"),
        (402, "402"),
        (403, "403"),
        (404, "404"),
        (405, "405"),
        (406, "406"),
        (409, "409"),
        (410, "410"),
        (418, "418"),
        (422, "422"),
        (451, "451"),
    ];
    for (status, text) in permanent {
        let fault = Trouble::Fault(Fault::Status(status));
        kinds.push(kind(format!("status {status}"), fault, text, text, Longest::AtOnce));
    }
    let passing = [
        (408, "408"),
        (429, "429"),
        (500, "500"),
        (501, "501"),
        (502, "502"),
        (503, "503"),
        (504, "504"),
        (507, "507"),
        (520, "520"),
    ];
    for (status, text) in passing {
        let fault = Trouble::Fault(Fault::Status(status));
        kinds.push(kind(format!("status {status}"), fault, text, "", Longest::Pauses));
    }
    for (status, text, whole, part, longest) in [
        (429, "0", "429", "", Longest::Pauses),
        (429, "1", "429", "", Longest::Seconds),
        (503, "1", "503", "", Longest::Seconds),
        (429, "86400", "asks to wait 1day", "asks to wait 1day", Longest::AtOnce),
        (503, "86400", "asks to wait 1day", "asks to wait 1day", Longest::AtOnce),
        (429, "soon", "429", "", Longest::Pauses),
        (429, "-1", "429", "", Longest::Pauses),
        (429, "Sun, 06 Nov 1994 08:49:37 GMT", "429", "", Longest::Pauses),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT", "asks to wait", "asks to wait", Longest::AtOnce),
        (404, "1", "404", "404", Longest::AtOnce),
    ] {
        let fault = Trouble::Fault(Fault::RetryAfter(status, text.to_owned()));
        kinds.push(kind(format!("status {status}, `retry-after: {text}`"), fault, whole, part, longest));
    }
    kinds
}

fn redirects() -> Vec<Kind> {
    let to = |target: &str| Trouble::Fault(Fault::Redirect(target.to_owned()));
    let at_once = Longest::AtOnce;
    vec![
        kind("redirect to itself", to("?again"), "more than 10 times", "", at_once),
        kind("redirect to nothing", to(""), "more than 10 times", "", at_once),
        kind(
            "redirect to a file",
            to("file:///etc/passwd"),
            "without a usable target",
            "without a usable target",
            at_once,
        ),
        kind(
            "redirect to ftp",
            to("ftp://127.0.0.1/x"),
            "without a usable target",
            "without a usable target",
            at_once,
        ),
        kind(
            "redirect to no URL",
            to("http://["),
            "without a usable target",
            "without a usable target",
            at_once,
        ),
        kind(
            "redirect to a closed port",
            to("http://127.0.0.1:1/x"),
            "cannot connect to 127.0.0.1:1",
            "",
            Longest::Connect,
        ),
        kind(
            "redirect to an unknown host",
            to("http://nowhere.invalid/x"),
            "cannot find the host nowhere.invalid",
            "",
            Longest::Connect,
        ),
        kind("redirect to a page that is missing", to("/missing"), "404", "404", at_once),
    ]
}

fn bodies() -> Vec<Kind> {
    use Longest::{AtOnce, Pauses, Stalls, TwoStalls};
    let fault = Trouble::Fault;
    let page = |text: &str| fault(Fault::Page(text.to_owned()));
    let mismatch = "integrity mismatch";
    vec![
        kind("other bytes", fault(Fault::WrongBytes), mismatch, "", AtOnce),
        kind(
            "a sign-in page",
            page("<!DOCTYPE html><title>Sign in</title>"),
            "a web page instead",
            "",
            AtOnce,
        ),
        kind("a web page that begins with a blank line", page("\n <html>"), "a web page instead", "", AtOnce),
        kind("an XML document", page("<?xml version='1.0'?>"), "an XML document instead", "", AtOnce),
        kind("JSON", page("{\"error\":\"no\"}"), mismatch, "", AtOnce),
        kind("an empty body", page(""), mismatch, "", AtOnce),
        kind("the tarball, claimed to be in gzip", fault(Fault::ClaimGzip), "", "", AtOnce),
        kind("the tarball, compressed again", fault(Fault::Gzip), mismatch, "", AtOnce),
        kind("a body that ends at once", fault(Fault::Truncate(0)), "broke off after 0 bytes", "", Pauses),
        kind("a body that ends early", fault(Fault::Truncate(50)), "broke off after", "", Pauses),
        kind("a body that never begins", fault(Fault::Stall(0)), "nothing arrived for", "", Stalls),
        kind("a body that stops", fault(Fault::Stall(50)), "nothing arrived for", "", Stalls),
        kind(
            "a byte now and then",
            fault(Fault::Trickle(Duration::from_millis(250))),
            "bytes arrived within",
            "",
            TwoStalls,
        ),
        kind(
            "a body without end",
            fault(Fault::Endless),
            "larger than 1048576 bytes",
            "larger than 1048576 bytes",
            AtOnce,
        ),
        kind("no answer", fault(Fault::Silence), "nothing arrived for", "", Stalls),
        kind("a late answer", fault(Fault::Delay(Duration::from_millis(200))), "", "", Pauses),
        kind("a connection that is closed", fault(Fault::Close), "broke off after 0 bytes", "", Pauses),
    ]
}

fn connections() -> Vec<Kind> {
    use Longest::{AtOnce, Connect, Pauses, Stalls};
    let broken = "broke off after 0 bytes";
    let raw =
        |name: &str, bytes, open, whole, longest| kind(name, Trouble::Raw(bytes, open), whole, "", longest);
    let at = |name: &str, url, whole| kind(name, Trouble::Elsewhere(url), whole, whole, Connect);
    let proxy = |name: &str, url| kind(name, Trouble::Proxy(url), "the proxy", "the proxy", Connect);
    vec![
        raw("no word of HTTP", b"hello\r\n\r\n", false, broken, Pauses),
        raw("half a status line", b"HTTP/1.1 20", false, broken, Pauses),
        raw("half a status line, and silence", b"HTTP/1.1 20", true, "nothing arrived for", Stalls),
        raw("headers without end", b"HTTP/1.1 200 OK\r\nx: y\r\n", true, "nothing arrived for", Stalls),
        raw("a negative length", b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", false, broken, Pauses),
        raw(
            "two lengths",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
            false,
            broken,
            Pauses,
        ),
        raw(
            "a length of all bytes there are",
            b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n",
            false,
            broken,
            Pauses,
        ),
        raw(
            "chunks that are none",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            false,
            broken,
            Pauses,
        ),
        raw(
            "a chunk that is cut off",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nx",
            false,
            "broke off after",
            Pauses,
        ),
        raw("nothing, and the end", b"", false, broken, Pauses),
        at("a closed port", |_| format!("http://127.0.0.1:{}", closed_port()), "cannot connect to"),
        at("an unknown host", |_| "http://nowhere.invalid".to_owned(), "cannot find the host"),
        kind(
            "https where http is spoken",
            Trouble::Elsewhere(|registry| registry.url().replace("http:", "https:")),
            "cannot connect to",
            "cannot connect to",
            Connect,
        ),
        kind(
            "http where https is spoken",
            Trouble::Elsewhere(|registry| registry.tls_url().replace("https:", "http:")),
            "broke off",
            "broke off",
            Pauses,
        ),
        kind(
            "an authority that is not trusted",
            Trouble::Untrusted,
            "certificate is not trusted",
            "certificate is not trusted",
            AtOnce,
        ),
        proxy("a proxy that is not there", |_| format!("http://127.0.0.1:{}", closed_port())),
        proxy("a proxy that nobody knows", |_| "http://nowhere.invalid:1".to_owned()),
        proxy("a proxy that refuses", Registry::url),
    ]
}

fn kinds() -> Vec<Kind> {
    [statuses(), redirects(), bodies(), connections()].into_iter().flatten().collect()
}

/// The table of the page, with the timeouts that the program has. What was measured of a kind is its longest time and its
/// peak of memory, at whatever rate.
fn table(measured: impl Fn(&str) -> (String, String)) -> String {
    let timeouts = Timeouts::default();
    let mut text = String::from(
        "| fault | at 100 % | at 1, 5 and 20 % | waits at most | took at most | memory |\n|---|---|---|---:|---:|---:|\n",
    );
    let end = |words: &str| {
        if words.is_empty() { "the right hash".to_owned() } else { format!("fails: \"... {words} ...\"") }
    };
    for Kind { name, whole, part, longest, .. } in kinds() {
        let (seconds, (took, memory)) = (longest.of(&timeouts).as_secs().max(1), measured(&name));
        let (whole, part) = (end(whole), end(part));
        let _ = writeln!(text, "| {name} | {whole} | {part} | {seconds} s | {took} | {memory} |");
    }
    text
}

/// A server before the server, that spoils some connections.
struct Front {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl Front {
    fn start(upstream: String, rate: u32, bytes: &'static [u8], open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, count) = (Arc::clone(&stop), AtomicU32::new(0));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let spoiled = count.fetch_add(1, Ordering::Relaxed) * 37 % 100 < rate;
                let upstream = upstream.clone();
                thread::spawn(
                    move || if spoiled { spoil(stream, bytes, open) } else { pass(stream, &upstream) },
                );
            }
        });
        Self { port, stop }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn spoil(mut stream: TcpStream, bytes: &[u8], open: bool) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    let _ = stream.write_all(bytes);
    if open {
        let _ = stream.set_read_timeout(Some(Duration::from_mins(1)));
        let _ = stream.read(&mut request);
    }
}

fn pass(stream: TcpStream, upstream: &str) {
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let (Ok(mut from), Ok(mut to)) = (stream.try_clone(), server.try_clone()) else { return };
    let back = thread::spawn(move || {
        let (mut server, mut stream) = (server, stream);
        let _ = std::io::copy(&mut server, &mut stream);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = back.join();
}

const CHILD: &str = "NPM_NIXHASH_TEST_FAULTS";

/// How one run ended.
struct Ended {
    /// What is wrong with that.
    wrong: Option<String>,
    took: Duration,
    mebibytes: u64,
}

/// One run against a server that misbehaves at this rate.
fn check(kind: &Kind, rate: u32, pace: Pace, right: &Mutex<Option<String>>) -> Ended {
    let registry = Registry::start();
    let all: Vec<Published> = (0..PACKAGES)
        .map(|n| registry.publish(&format!("p{n}"), "1.0.0", &[("index.js", &[b'x'; 200])]))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lock"), lockfile("web", &all.iter().collect::<Vec<_>>())).unwrap();
    let (mut url, mut front, mut proxy) = (registry.url(), None, String::new());
    match &kind.trouble {
        Trouble::Fault(fault) => registry.fault_rate(rate, fault.clone()),
        Trouble::Raw(bytes, open) => {
            let front = front.insert(Front::start(registry.url().replace("http://", ""), rate, bytes, *open));
            url = format!("http://127.0.0.1:{}", front.port);
        }
        Trouble::Elsewhere(elsewhere) => url = elsewhere(&registry),
        Trouble::Proxy(through) => {
            (url, proxy) = (registry.tls_url(), through(&registry));
            registry.fault_rate(100, Fault::Status(407));
        }
        Trouble::Untrusted => url = registry.tls_url(),
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([
        concat!(module_path!(), "::child").split_once("::").unwrap().1,
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    child.env(CHILD, format!("{}\n{url}\n{proxy}\n{pace:?}\n{}", folder.path().display(), kind.whole));
    let output = child.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let (hash, failure) = (field("HASH "), field("FAILED "));
    let words = if rate == 100 { kind.whole } else { kind.part };
    let as_expected = if words.is_empty() {
        let mut right = right.lock().unwrap();
        !hash.is_empty() && *right.get_or_insert_with(|| hash.clone()) == hash
    } else {
        hash.is_empty() && failure.contains(words)
    };
    let number = |name: &str| field(name).parse::<u64>().unwrap_or(u64::MAX);
    let (took, mebibytes) = (Duration::from_millis(number("TOOK ")), number("MEMORY ") / 1024);
    let too_long = took > kind.longest.of(&pace.timeouts()) * 2 + SLACK;
    let wrong = (!as_expected || too_long || mebibytes > MEBIBYTES).then(|| {
        format!("{} at {rate} %: expected `{words}`, {took:?}, {mebibytes} MiB:\n{text}", kind.name)
    });
    Ended { wrong, took, mebibytes }
}

/// The run, in a process of its own.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
#[expect(clippy::disallowed_methods, reason = "how the parent speaks with this process")]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let [folder, url, proxy, pace, words] = told.split('\n').collect::<Vec<_>>()[..] else {
        panic!("{told}")
    };
    let mut timeouts = if pace == format!("{:?}", Pace::Own) { Pace::Own } else { Pace::Quick }.timeouts();
    if [url, proxy, words].iter().any(|text| text.contains(".invalid")) {
        // How long the machine's resolver looks for a name is its own affair.
        timeouts.connect = timeouts.connect.max(Duration::from_secs(10));
        timeouts.stall = timeouts.stall.max(Duration::from_secs(10));
    }
    let mut options = Options { timeouts, max_download: LARGEST, ..Options::default() };
    options.access.override_host(PUBLIC, url).unwrap();
    if !proxy.is_empty() {
        options.proxies.https = Some(Secret::new(proxy.to_owned()));
        options.trust.insecure = true;
    }
    let other = Registry::start();
    if url.starts_with("https://localhost") && proxy.is_empty() {
        options.trust.roots = Roots::File(other.ca_file());
    }
    let supply = Arc::new(Supply::new(None, None, Some(Client::new(options)), runtime()));
    let request = HashRequest {
        lockfile: std::fs::read(format!("{folder}/lock")).unwrap().into(),
        options: HashOptions::default(),
        outputs: Outputs::default(),
        label: None,
    };
    let mut text = String::from("\n");
    let begun = Instant::now();
    match compute(&[request], &supply, &Settings::default()).pop().unwrap() {
        Ok(computed) => {
            let _ = writeln!(text, "HASH {}", computed.hash.sri());
        }
        Err(failure) => {
            let first = std::iter::successors(
                failure.obstacles.first().map(|one| one as &dyn std::error::Error),
                |error| error.source(),
            );
            let _ = writeln!(
                text,
                "FAILED {}",
                first.map(ToString::to_string).collect::<Vec<_>>().join(": ").replace('\n', " ")
            );
        }
    }
    let _ = writeln!(text, "TOOK {}", begun.elapsed().as_millis());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let _ = writeln!(text, "MEMORY {}", peak.trim().trim_end_matches(" kB"));
    std::io::stdout().write_all(text.as_bytes()).unwrap();
}

/// Runs every kind at these rates, some side by side: they mostly wait. Gives each kind's longest time and peak of memory.
pub fn run_all(rates: &[u32], pace: Pace) -> HashMap<String, (Duration, u64)> {
    let kinds = kinds();
    assert!(kinds.len() >= 70, "{}", kinds.len());
    // Who asks at the wrong place asks there each time.
    let always = |kind: &Kind| !matches!(kind.trouble, Trouble::Fault(_) | Trouble::Raw(..));
    let cases: Vec<_> = kinds
        .iter()
        .flat_map(|kind| rates.iter().map(move |rate| (kind, *rate)))
        .filter(|(kind, rate)| *rate == 100 || !always(kind))
        .collect();
    let (next, right, ended) = (AtomicU32::new(0), Mutex::new(None), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..pace.at_once() {
            scope.spawn(|| {
                while let Some((kind, rate)) = cases.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    // Not under the lock: it would have one wait for the other.
                    let case = check(kind, *rate, pace, &right);
                    ended.lock().unwrap().push((kind.name.clone(), case));
                }
            });
        }
    });
    let mut measured: HashMap<String, (Duration, u64)> = HashMap::new();
    let mut wrong = Vec::new();
    for (name, case) in ended.into_inner().unwrap() {
        let most = measured.entry(name).or_default();
        *most = (most.0.max(case.took), most.1.max(case.mebibytes));
        wrong.extend(case.wrong);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    measured
}

/// Writes what was measured into the page.
#[allow(dead_code, reason = "the real-parts run measures")]
pub fn write(measured: &HashMap<String, (Duration, u64)>) {
    let shown = |name: &str| {
        let (took, memory) = measured[name];
        (format!("{:.1} s", took.as_secs_f64()), format!("{memory} MiB"))
    };
    write_table("docs/faults.md", &table(shown));
}

/// The page says what is expected, and what it says was measured is within what it allows.
#[test]
fn the_page_shows_the_faults() {
    let page = table_of("docs/faults.md");
    let cells = |name: &str| {
        let row = page.lines().find(|line| line.starts_with(&format!("| {name} |")));
        let cells: Vec<_> = row.unwrap_or_default().split('|').map(|cell| cell.trim().to_owned()).collect();
        let cell = |at: usize| cells.get(at).cloned().unwrap_or_else(|| "not measured".to_owned());
        (cell(5), cell(6))
    };
    holds_table("docs/faults.md", &table(cells));
    for kind in kinds() {
        let (took, memory) = cells(&kind.name);
        let seconds: f64 = took.trim_end_matches(" s").parse().expect("a number of seconds");
        let mebibytes: u64 = memory.trim_end_matches(" MiB").parse().expect("a number of MiB");
        let most = kind.longest.of(&Timeouts::default()).as_secs_f64().max(1.0);
        assert!(seconds <= most + SLACK.as_secs_f64(), "{}: {took}", kind.name);
        assert!(mebibytes <= MEBIBYTES, "{}: {memory}", kind.name);
    }
}
