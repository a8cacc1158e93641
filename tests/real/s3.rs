//! A real S3 server, moto's, as binary cache and as shared memory: slow, failing, half-written, written by two at once, and
//! full.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::binary_cache::{Scene, paths};
use crate::running::Running;
use crate::support::program::{Ran, Scratch, run, succeed};
use crate::support::registry::closed_port;

const VERSION: &str = "5.2.5";

/// What must show nowhere.
const SECRETS: [&str; 2] = ["pl4nted-s3cret-key", "pl4nted-s3ssion-token"];

/// Python with moto, installed once.
pub fn python() -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/ci-tools/moto"));
    if !folder.join("bin/moto_server").exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let mut pip = Command::new(folder.join("bin/pip"));
        succeed(pip.args(["install", "--quiet", &format!("moto[server]=={VERSION}")]));
    }
    folder.join("bin/python")
}

/// The running server; it ends when this is dropped.
pub struct Server {
    _running: Running,
    place: Scratch,
    pub port: u16,
}

impl Server {
    pub fn start() -> Self {
        let (place, port) = (Scratch::new(), closed_port());
        place.write("rules.json", "{}");
        place.write("log", "");
        let mut command = Command::new(python());
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/s3_server.py"));
        command.args([place.path("rules.json"), place.path("log")]).arg(port.to_string());
        let server = Self { _running: Running::start(command.env_clear(), port), place, port };
        server.curl(&["-X", "PUT"], "cache");
        server
    }

    fn curl(&self, arguments: &[&str], path: &str) -> String {
        let user = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "x:y"];
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        succeed(
            Command::new("curl")
                .args(["-sS", "--fail", "--max-time", "60"])
                .args(user)
                .args(arguments)
                .arg(url),
        )
    }

    pub fn rules(&self, rules: &Value) {
        // Replaced at once: the server reads it at each request.
        self.place.write("rules.new", rules.to_string());
        fs::rename(self.place.path("rules.new"), self.place.path("rules.json")).unwrap();
    }

    fn forget_requests(&self) {
        self.place.write("log", "");
    }

    pub fn requests(&self) -> Vec<String> {
        fs::read_to_string(self.place.path("log")).unwrap().lines().map(str::to_owned).collect()
    }

    fn url(&self, prefix: &str) -> String {
        format!("s3://cache/{prefix}?endpoint=http://127.0.0.1:{}&region=us-east-1", self.port)
    }

    /// The same objects for a client that signs nothing.
    pub fn http(&self, prefix: &str) -> String {
        format!("http://127.0.0.1:{}/cache/{prefix}", self.port)
    }

    pub fn keys(&self, prefix: &str) -> BTreeSet<String> {
        let text = self.curl(&[], &format!("cache?list-type=2&prefix={prefix}"));
        text.split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    }

    pub fn unfinished_uploads(&self) -> usize {
        self.curl(&[], "cache?uploads").matches("<UploadId>").count()
    }
}

/// Runs with credentials, which must not be seen afterwards.
fn with_keys(scene: &Scene, args: &[&str]) -> Ran {
    let mut command = scene.project.command(args);
    command.env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE").env("AWS_SECRET_ACCESS_KEY", SECRETS[0]);
    let ran = run(command.env("AWS_SESSION_TOKEN", SECRETS[1]));
    for secret in SECRETS {
        assert!(!format!("{ran:?}").contains(secret), "{ran:?}");
    }
    ran
}

#[test]
fn nix_takes_what_was_published_to_s3_and_what_is_there_costs_one_head() {
    let (server, scene) = (Server::start(), Scene::new());
    let url = server.url("npm");
    let update = with_keys(&scene, &["update", "--publish", &url, "--json"]);
    assert_eq!(update.code, 0, "{}", update.stderr);
    let paths = paths(&update.stdout);
    let built = scene.build("store-1", &server.http("npm"));
    assert_eq!(
        (built.code, built.stdout.lines().collect::<Vec<_>>()),
        (0, paths.iter().map(String::as_str).collect()),
        "{}",
        built.stderr
    );
    // The larger one went in parts.
    assert!(server.requests().iter().filter(|line| line.contains("partNumber=")).count() >= 2);
    assert_eq!(server.unfinished_uploads(), 0);
    server.forget_requests();
    let again = with_keys(&scene, &["update", "--publish", &url, "--json", "--offline"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    let requests = server.requests();
    assert!(requests.len() == 2 && requests.iter().all(|line| line.starts_with("HEAD ")), "{requests:?}");
    let check = with_keys(&scene, &["check", "--published", &url]);
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);
    let lacking = with_keys(&scene, &["check", "--published", &server.url("other")]);
    assert_eq!(lacking.code, 1, "{}{}", lacking.stdout, lacking.stderr);
    // No credentials, and a bucket that is not there.
    let none = scene.run(&["check", "--published", &url]);
    assert!(none.code == 2 && none.stderr.contains("no credentials for S3"), "{}", none.stderr);
    let gone = with_keys(&scene, &["update", "--publish", &url.replace("s3://cache", "s3://gone")]);
    assert!(gone.code == 2, "{}", gone.stderr);
}

#[test]
fn an_upload_survives_busy_answers_and_one_that_fails_leaves_nothing_to_believe() {
    let (server, scene) = (Server::start(), Scene::new());
    let busy = |method: &str, contains: &str, times: u32| json!({ "method": method, "contains": contains, "times": times, "status": 503 });
    server.rules(&json!({ "latency": 0.1, "fail": [busy("PUT", "partNumber=1", 2), busy("HEAD", "narinfo", 1), busy("PUT", "narinfo", 1)] }));
    let update = with_keys(&scene, &["update", "--publish", &server.url("busy"), "--json"]);
    assert_eq!(update.code, 0, "{}", update.stderr);
    assert_eq!(scene.build("store-1", &server.http("busy")).code, 0);

    // The second part never arrives: nothing of that output is there, not even an upload that was begun.
    let refuse = json!({ "method": "PUT", "contains": "partNumber=2", "times": 1000, "status": 403 });
    server.rules(&json!({ "fail": [refuse] }));
    let partial = with_keys(&scene, &["update", "--publish", &server.url("partial"), "--json"]);
    assert_eq!(partial.code, 2, "{}", partial.stderr);
    assert!(partial.stderr.contains("403"), "{}", partial.stderr);
    let states: Value = serde_json::from_str(&partial.stdout).unwrap();
    let states: Vec<_> = states["sites"]
        .as_array()
        .unwrap()
        .iter()
        .map(|site| site["published"][0]["state"].clone())
        .collect();
    assert_eq!(states, ["published", "failed"]);
    let narinfos = server.keys("partial").into_iter().filter(|key| key.ends_with(".narinfo")).count();
    assert_eq!((narinfos, server.keys("partial").len(), server.unfinished_uploads()), (1, 3, 0));
    // The narinfo is refused: the NAR may be there, and nobody believes in it.
    let refuse = json!({ "method": "PUT", "contains": "narinfo", "times": 1000, "status": 403 });
    server.rules(&json!({ "fail": [refuse] }));
    assert_eq!(with_keys(&scene, &["update", "--publish", &server.url("no-info")]).code, 2);
    assert!(!server.keys("no-info").iter().any(|key| key.ends_with(".narinfo")));
    server.rules(&json!({}));
    assert_ne!(scene.build("store-2", &server.http("partial")).code, 0);
    // And the next run completes both.
    for prefix in ["partial", "no-info"] {
        assert_eq!(with_keys(&scene, &["update", "--publish", &server.url(prefix)]).code, 0);
        assert_eq!(scene.build(prefix, &server.http(prefix)).code, 0);
    }
}

#[test]
fn a_run_that_is_killed_leaves_nothing_to_believe() {
    let (server, scene) = (Server::start(), Scene::new());
    server.rules(&json!({ "latency": 0.5 }));
    let mut command = scene.project.command(&["update", "--publish", &server.url("killed")]);
    command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !server.requests().iter().any(|line| line.contains("partNumber=1")) {
        assert!(began.elapsed() < Duration::from_mins(1), "nothing was uploaded");
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    server.rules(&json!({}));
    let large: Vec<_> = server.keys("killed/nar").into_iter().collect();
    assert!(large.len() <= 1, "{large:?}");
    assert_ne!(scene.build("store-1", &server.http("killed")).code, 0);
    assert_eq!(with_keys(&scene, &["update", "--publish", &server.url("killed")]).code, 0);
    assert_eq!(scene.build("store-2", &server.http("killed")).code, 0);
}

#[test]
fn two_writers_at_once_leave_one_whole_cache() {
    let (server, scene) = (Server::start(), Scene::new());
    assert_eq!(scene.run(&["update"]).code, 0);
    server.rules(&json!({ "latency": 0.05 }));
    let url = server.url("two");
    let codes: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| with_keys(&scene, &["update", "--publish", &url]).code)).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(codes, [0, 0]);
    assert_eq!(scene.build("store-1", &server.http("two")).code, 0);
    assert_eq!(server.keys("two").len(), 5, "{:?}", server.keys("two"));
}

#[test]
fn a_server_that_takes_put_is_a_cache_as_well() {
    let (server, scene) = (Server::start(), Scene::new());
    // A large NAR is put aside first, and put again after a busy answer.
    let busy = json!({ "method": "PUT", "contains": "/nar/", "times": 2, "status": 503 });
    server.rules(&json!({ "fail": [busy] }));
    let url = server.http("web");
    let update = scene.run(&["update", "--publish", &url, "--json"]);
    assert_eq!(update.code, 0, "{}", update.stderr);
    assert_eq!(scene.build("store-1", &url).code, 0);
    assert_eq!(scene.run(&["check", "--published", &url]).code, 0);
    assert_eq!(scene.run(&["check", "--published", &server.http("none")]).code, 1);
    server.rules(&json!({ "fail": [{ "method": "PUT", "contains": "", "times": 1000, "status": 405 }] }));
    let refused = scene.run(&["update", "--publish", &server.http("other")]);
    assert!(
        refused.code == 2 && refused.stderr.contains("this server takes no uploads"),
        "{}",
        refused.stderr
    );
}

/// A new machine: nothing on its disk.
pub fn forget(scene: &Scene) {
    let _ = fs::remove_dir_all(scene.project.cache());
}

#[test]
fn a_machine_that_never_saw_a_lockfile_asks_one_small_object() {
    let (server, scene) = (Server::start(), Scene::new());
    let remote = server.url("memory");
    let first = with_keys(&scene, &["update", "--remote", &remote]);
    assert_eq!((first.code, first.stderr.as_str()), (0, ""), "{}", first.stdout);
    assert_eq!(server.keys("memory/hashes-v1").len(), 2);
    let downloads = scene.project.registry.requests().len();
    forget(&scene);
    server.forget_requests();
    let second = with_keys(&scene, &["check", "--remote", &remote]);
    assert_eq!((second.code, second.stderr.as_str()), (0, ""), "{}", second.stdout);
    assert_eq!(scene.project.registry.requests().len(), downloads, "nothing was downloaded");
    assert_eq!(server.requests().len(), 2, "{:?}", server.requests());
    // Who believes nobody computes, and asks nobody.
    forget(&scene);
    server.forget_requests();
    for args in [
        &["check", "--remote", &remote, "--paranoid"][..],
        &["check", "--no-remote"],
        &["check", "--remote", &remote, "--remote-mode", "write"],
    ] {
        forget(&scene);
        let before = scene.project.registry.requests().len();
        assert_eq!(with_keys(&scene, args).code, 0);
        assert!(scene.project.registry.requests().len() > before, "{args:?}");
    }
    assert!(!server.requests().iter().any(|line| line.starts_with("GET ")), "{:?}", server.requests());
}

#[test]
fn a_memory_that_is_down_slow_or_full_is_a_warning_and_costs_no_two_seconds() {
    let (server, scene) = (Server::start(), Scene::new());
    let remote = server.url("memory");
    forget(&scene);
    let began = Instant::now();
    assert_eq!(with_keys(&scene, &["update"]).code, 0);
    let alone = began.elapsed();
    let full = |status: u16| json!({ "fail": [{ "method": "PUT", "contains": "", "times": 1000, "status": status }] });
    let busy = json!({ "fail": [{ "method": "GET", "contains": "", "times": 1000, "status": 503 }] });
    let down = format!("s3://cache/m?endpoint=http://127.0.0.1:{}&region=us-east-1", closed_port());
    let cases = [
        (json!({ "latency": 30 }), &remote, "is too slow"),
        (busy, &remote, "it answered 503"),
        (full(507), &remote, "did not take what was computed"),
        (full(403), &remote, "--remote-mode read only reads"),
        (json!({}), &down, "cannot connect"),
    ];
    for (rules, remote, said) in cases {
        server.rules(&rules);
        forget(&scene);
        let began = Instant::now();
        let ran = with_keys(&scene, &["check", "--remote", remote]);
        let took = began.elapsed();
        assert_eq!(ran.code, 0, "{rules}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(said), "{rules}: {}", ran.stderr);
        // What starting the program costs on a busy machine is allowed for.
        assert!(took < alone * 2 + Duration::from_millis(2500), "{rules}: {took:?} instead of {alone:?}");
    }
}

/// Runs on new machines until the bucket has every tarball: what is not written when a run ends, the next one writes.
fn fill(server: &Server, scene: &Scene, remote: &str, prefix: &str) {
    for _ in 0..20 {
        forget(scene);
        let ran =
            with_keys(scene, &["hash", "api", "--nar", "../nar", "--remote", remote, "--remote-tarballs"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        if server.keys(&format!("{prefix}/tarballs-v1")).len() == 2 {
            return;
        }
    }
    panic!("{:?}", server.keys(prefix));
}

#[test]
fn a_runner_with_a_lockfile_that_nobody_computed_finds_its_tarballs_in_the_bucket() {
    let (server, scene) = (Server::start(), Scene::new());
    let remote = server.url("memory");
    fill(&server, &scene, &remote, "memory");
    // The large one went in parts.
    assert!(server.requests().iter().any(|line| line.contains("partNumber=2")), "{:?}", server.requests());
    assert_eq!(server.unfinished_uploads(), 0);
    let compute = ["hash", "api", "--nar", "../nar", "--remote", &remote, "--remote-tarballs"];
    let alone = with_keys(&scene, &["hash", "api", "--nar", "../right", "--no-remote"]);
    forget(&scene);
    server.forget_requests();
    // Without a registry, so that it is known where they come from even if this machine is too busy for patience.
    let mut command = scene.project.command(&compute);
    let nobody = json!({ "registry.npmjs.org": format!("http://127.0.0.1:{}", closed_port()) });
    command.env("NIX_NPM_REGISTRY_OVERRIDES", nobody.to_string());
    command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y");
    let ran = run(&mut command);
    assert_eq!((ran.code, ran.stderr.as_str(), ran.stdout), (0, "", alone.stdout.clone()));
    assert!(
        fs::read(scene.project.path("../nar")).unwrap() == fs::read(scene.project.path("../right")).unwrap()
    );
    let tarballs = server.requests().into_iter().filter(|line| line.contains("tarballs-v1"));
    assert!(tarballs.clone().count() == 2 && tarballs.clone().all(|line| line.starts_with("GET ")));
    // Other bytes under both names.
    for key in &server.keys("memory/tarballs-v1") {
        server.curl(&["-X", "PUT", "-d", "other bytes"], &format!("cache/{key}"));
    }
    forget(&scene);
    let ran = with_keys(&scene, &compute);
    assert_eq!((ran.code, ran.stdout), (0, alone.stdout.clone()));
    assert!(ran.stderr.contains("with other bytes than their names say"), "{}", ran.stderr);
    // Two new machines at once, until both tarballs are right again.
    let healed = || {
        let runs = thread::scope(|scope| {
            let run = |_| scope.spawn(|| with_keys(&scene, &compute));
            (0..2).map(run).collect::<Vec<_>>().into_iter().map(|ran| ran.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(runs.iter().all(|ran| (ran.code, &ran.stdout) == (0, &alone.stdout)), "{runs:?}");
        forget(&scene);
        !runs.iter().any(|ran| ran.stderr.contains("other bytes"))
    };
    assert!((0..20).any(|_| healed()));
}

#[test]
fn tarballs_that_are_slow_or_refused_are_one_warning_and_cost_no_two_seconds() {
    let (server, scene) = (Server::start(), Scene::new());
    let remote = server.url("memory");
    fill(&server, &scene, &remote, "memory");
    forget(&scene);
    let began = Instant::now();
    let right = with_keys(&scene, &["hash", "api", "--nar", "../nar"]);
    let alone = began.elapsed();
    let tarballs = |method: &str, status: u16| json!({ "fail": [{ "method": method, "contains": "tarballs-v1", "times": 1000, "status": status }] });
    let empty = server.url("empty");
    let cases = [
        (json!({ "slow": [{ "contains": "tarballs-v1", "latency": 30 }] }), &remote, ""),
        (tarballs("GET", 503), &remote, "it answered 503"),
        (tarballs("GET", 403), &remote, "does not allow that"),
        (tarballs("PUT", 507), &empty, "did not take what was computed"),
        (tarballs("POST", 403), &empty, "--remote-mode read only reads"),
        (json!({ "slow": [{ "contains": "empty/tarballs-v1", "latency": 0.3 }] }), &empty, ""),
    ];
    for (rules, remote, said) in cases {
        server.rules(&rules);
        forget(&scene);
        let began = Instant::now();
        let ran =
            with_keys(&scene, &["hash", "api", "--nar", "../nar", "--remote", remote, "--remote-tarballs"]);
        let took = began.elapsed();
        assert_eq!((ran.code, &ran.stdout), (0, &right.stdout), "{rules}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(said) && ran.stderr.matches("warning: ").count() <= 1,
            "{rules}: {}",
            ran.stderr
        );
        // What starting the program costs on a busy machine is allowed for.
        assert!(took < alone * 2 + Duration::from_millis(2500), "{rules}: {took:?} instead of {alone:?}");
    }
}

/// Runs to the end, and gives the most memory that was seen to be in use, in MiB.
fn peak(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        most = most.max(kilobytes.unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return most >> 10;
        }
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn tarballs_that_wait_to_be_written_take_no_memory() {
    let (server, scene) = (Server::start(), Scene::new());
    let noise = crate::binary_cache::noise(40 << 20);
    let small = noise.chunks(900 << 10).take(40);
    let registry = &scene.project.registry;
    let mut published: Vec<_> = small
        .enumerate()
        .map(|(n, bytes)| registry.publish_bytes(&format!("p{n}"), "1.0.0", bytes.to_vec()))
        .collect();
    let large = |name: &str| registry.publish_bytes(name, "1.0.0", [&noise, name.as_bytes()].concat());
    published.extend(["a", "b"].map(large));
    scene.project.lock("big", &published.iter().collect::<Vec<_>>());
    // Nothing is written before the end of the run.
    server.rules(&json!({ "slow": [{ "contains": "memory/tarballs-v1", "latency": 20 }] }));
    let remote = server.url("memory");
    let measured = |more: &[&str]| {
        forget(&scene);
        let mut command = scene.project.command(&[&["hash", "big"], more].concat());
        peak(command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y"))
    };
    let alone = measured(&["--no-remote"]);
    let shared = measured(&["--remote", &remote, "--remote-tarballs", "--remote-mode", "write"]);
    println!("peak of memory: {alone} MiB alone, {shared} MiB with 116 MiB of tarballs to write");
    assert!(shared <= alone + 40, "{shared} MiB instead of {alone}");
}

#[test]
fn ten_thousand_objects_make_it_no_slower() {
    let (server, scene) = (Server::start(), Scene::new());
    let fill = "import sys, boto3, concurrent.futures as f
s3 = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='x', aws_secret_access_key='y')
with f.ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda n: s3.put_object(Bucket='cache', Key=f'full/hashes-v1/{n % 256:02x}/{n:062x}.json', Body=b'{}'), range(10000)))";
    succeed(Command::new(python()).env_clear().args([
        "-c",
        fill,
        &format!("http://127.0.0.1:{}", server.port),
    ]));
    let remote = server.url("full");
    assert_eq!(with_keys(&scene, &["update", "--remote", &remote, "--publish", &remote]).code, 0);
    forget(&scene);
    server.forget_requests();
    let check = with_keys(&scene, &["check", "--remote", &remote, "--published", &remote]);
    assert_eq!((check.code, check.stderr.as_str()), (0, ""));
    // Two remembered hashes; two narinfos with their NARs: what else is there was not looked at.
    assert_eq!(server.requests().len(), 6, "{:?}", server.requests());
    assert_eq!(scene.build("store-1", &server.http("full")).code, 0);
}
