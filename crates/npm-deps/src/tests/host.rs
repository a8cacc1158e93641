//! A host in this process, which serves what a test gives it and remembers what it was asked for.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Default)]
struct State {
    files: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
}

/// Answers `GET` over HTTP/1.1: 200 with a file that it has, and 404.
pub struct Host {
    address: String,
    state: Arc<State>,
}

impl Host {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                // A client that hangs up ends its connection and nothing else.
                thread::spawn(move || answer(&state, &connection));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn serve(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.state.files.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    pub fn served(&self, path: &str) -> Vec<u8> {
        self.state.files.lock().unwrap()[path].clone()
    }

    /// The paths that were asked for, sorted.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.state.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

fn answer(state: &State, mut connection: &TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    while let Some(request) = lines.next().transpose()? {
        while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let file = state.files.lock().unwrap().get(&path).cloned();
        state.asked.lock().unwrap().push(path);
        let (status, body) = file.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
        write!(connection, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len())?;
        connection.write_all(&body)?;
    }
    Ok(())
}
