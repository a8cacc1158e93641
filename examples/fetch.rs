//! Downloads and verifies what a list names (`URL <tab> integrity` lines on stdin); prints wall and CPU seconds.
//! Usage: `fetch [--jobs N] [--connections N] [--store DIR] [--roots PEM] [--override HOST=URL]... < list`

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt as _;
use npm_nixhash::integrity::Integrity;
use npm_nixhash::npm_deps::supply::{Supply, Want};
use npm_nixhash::registry::{Client, Options, Roots};
use npm_nixhash::store::Store;

fn main() {
    let mut options = Options::default();
    let mut store = None;
    let mut arguments = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        match name.as_str() {
            "--jobs" => options.jobs = value.parse().expect("a number"),
            "--connections" => options.connections = value.parse().expect("a number"),
            "--store" => store = Some(Store::at(value.into())),
            "--roots" => options.trust.roots = Roots::File(value.into()),
            "--override" => {
                let (host, mirror) = value.split_once('=').expect("HOST=URL");
                options.access.override_host(host, mirror).expect("a mirror");
            }
            other => panic!("{other}?"),
        }
    }
    let mut list = String::new();
    std::io::stdin().read_to_string(&mut list).expect("a list");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let started = Instant::now();
    let jobs = options.jobs;
    let supply = Arc::new(Supply::new(store, None, Some(Client::new(options))));
    let (bytes, failed) = runtime.block_on(async {
        let wants: Vec<_> = list.lines().map(want).collect();
        let tasks = wants.into_iter().map(|want| {
            let supply = Arc::clone(&supply);
            async move {
                tokio::spawn(async move { supply.obtain(&want).await.map(|tarball| tarball.len()) }).await
            }
        });
        let mut running = futures::stream::iter(tasks).buffer_unordered(jobs);
        let (mut bytes, mut failed) = (0, 0);
        while let Some(done) = running.next().await {
            match done.expect("no panic") {
                Ok(len) => bytes += len,
                Err(error) => {
                    failed += 1;
                    let _ = writeln!(std::io::stderr(), "{error}: {:?}", std::error::Error::source(&error));
                }
            }
        }
        (bytes, failed)
    });
    let _ = writeln!(
        std::io::stdout(),
        "{:.3} s, {bytes} bytes, {failed} failed",
        started.elapsed().as_secs_f64()
    );
    runtime.shutdown_background();
}

fn want(line: &str) -> Want {
    let (url, integrity) = line.split_once('\t').expect("URL <tab> integrity");
    let integrity = Integrity::strongest_of(integrity).expect("an integrity");
    Want { package: url.to_owned(), url: url.parse().expect("a URL"), id: integrity.id(), early: false }
}
