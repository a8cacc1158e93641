//! Publishes a NAR into a folder: `publish file:///tmp/cache hello-1.0 hello.nar`, as `nix-store --dump` writes it.

use std::error::Error;
use std::fs::File;
use std::io;
use std::sync::Arc;

use nix_binary_cache::cache::{Cache, Upload};
use nix_binary_cache::credentials::Surroundings;
use nix_binary_cache::location::CacheLocation;
use nix_binary_cache::storage::{RetryLimits, Storage};
use nix_binary_cache::store_path::{DerivationName, FixedOutput};
use sha2::{Digest as _, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let [_, location, name, file] =
        std::env::args().collect::<Vec<_>>().try_into().map_err(|_| "publish URL NAME FILE")?;
    let location: CacheLocation = location.parse()?;
    // Folders need neither; a program that writes to S3 looks up variables here, and has a client with its certificates.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls).build()?;
    let around = Surroundings { variable: &|_| None, home: None, authorization: &|_| None, http };
    let cache = Arc::new(Cache::new(Storage::open(&location, &around, RetryLimits::default(), true)?));

    let mut hash = Hashing(Sha256::new());
    io::copy(&mut File::open(&file)?, &mut hash)?;
    let output = FixedOutput::new(DerivationName::parse(&name)?, hash.0.finalize().into());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut upload = Upload::begin(output.clone(), &[cache], None, runtime.handle().clone())?;
    io::copy(&mut File::open(&file)?, &mut upload)?;
    for published in upload.finish() {
        published.result?;
    }
    io::Write::write_all(&mut io::stdout(), format!("{}\n", output.path()).as_bytes())?;
    Ok(())
}

struct Hashing(Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
