//! Fetches the URLs of a curl configuration file, 64 at once over two HTTP/2 connections, and throws the bodies away:
//! what receiving alone costs with the same client library, for `benches/run.sh`. Usage: `receive URLS`

use std::fs;

use futures::StreamExt as _;
use reqwest::Client;

const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 2;
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

fn main() {
    let list = std::env::args().nth(1).expect("a file of `url = \"...\"` lines");
    let list = fs::read_to_string(list).expect("a readable file");
    let urls: Vec<_> =
        list.lines().filter_map(|line| line.strip_prefix("url = \"")?.strip_suffix('"')).collect();
    rustls::crypto::ring::default_provider().install_default().expect("no provider yet");
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| client()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bodies = urls.iter().zip(clients.iter().cycle()).map(|(url, client)| {
            let (url, client) = ((*url).to_owned(), client.clone());
            async { tokio::spawn(receive(client, url)).await.expect("no panic").expect("a body") }
        });
        futures::stream::iter(bodies).buffer_unordered(IN_FLIGHT).for_each(|()| async {}).await;
    });
    // Dropping it would wait for lookups that nobody waits for.
    runtime.shutdown_background();
}

fn client() -> Client {
    Client::builder()
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .build()
        .expect("a client")
}

async fn receive(client: Client, url: String) -> reqwest::Result<()> {
    let mut answer = client.get(url).send().await?.error_for_status()?;
    while answer.chunk().await?.is_some() {}
    Ok(())
}
