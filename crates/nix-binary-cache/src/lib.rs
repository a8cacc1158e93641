//! Nix binary caches, written without Nix: fixed outputs, for clients that know nothing of who wrote them.
//!
//! A fixed output's path is computed from its content, so that a client takes it from any cache and checks it by itself,
//! with no signature at all. What a cache has to hold is small: `nix-cache-info`, `<hash>.narinfo`, and the NAR.
//!
//! * [`store_path`], [`narinfo`] and [`signing`] are text and arithmetic: no I/O.
//! * [`location`] says where a cache is and refuses what has a secret in it; [`credentials`] finds what opens it, where the
//!   users of each cloud have it.
//! * [`storage`] reads and writes objects: folders, S3, Google Cloud Storage, Azure, HTTP.
//! * [`cache`] puts them together: a NAR is compressed and uploaded while it is made; its narinfo goes last.

pub mod location;
pub mod narinfo;
pub mod signing;
pub mod store_path;

#[cfg(feature = "client")]
pub mod cache;
#[cfg(feature = "client")]
pub mod credentials;
#[cfg(feature = "client")]
pub mod storage;

#[cfg(feature = "client")]
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    /// A client that trusts nobody: the tests here ask no server.
    pub(crate) fn client() -> reqwest::Client {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap()
    }
}
