//! The TLS configuration: which certificates are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WantsClientCert};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::credentials::ClientIdentity;
use super::options::{Roots, Trust};

/// Why there are no trusted certificates.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A PEM file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        #[source]
        source: pem::Error,
    },
    /// A PEM file holds no certificate.
    #[error("no certificate in {}", .0.display())]
    NoCertificate(PathBuf),
    /// A PEM text of the npm configuration is broken.
    #[error("cannot read the certificate in npm's setting `ca`")]
    Text(#[source] pem::Error),
    /// TLS refuses a client certificate, or its key.
    #[error("cannot use the client certificate in {}", path.display())]
    Identity {
        /// The certificate.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// TLS refuses the certificates.
    #[error("cannot use the trusted certificates")]
    Tls(#[from] rustls::Error),
}

/// The TLS configuration for HTTP/2 and HTTP/1.1; loading the system's trust store takes milliseconds, so it is made once and on demand.
pub(super) fn tls_config(
    trust: &Trust,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, TrustError> {
    let verifying = verifying(trust)?;
    let mut config = match identity {
        None => verifying.with_no_client_auth(),
        Some(identity) => {
            let chain = read_file(&identity.certfile)?;
            let unreadable = |source| TrustError::File { path: identity.keyfile.clone(), source };
            let key = PrivateKeyDer::from_pem_file(&identity.keyfile).map_err(unreadable)?;
            let refused = |source| TrustError::Identity { path: identity.certfile.clone(), source };
            verifying.with_client_auth_cert(chain, key).map_err(refused)?
        }
    };
    config.client_auth_cert_resolver = Arc::new(Witness(config.client_auth_cert_resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

tokio::task_local! {
    /// Where it is noted that a server asked for a client certificate: in the task that makes the connection, for TLS does
    /// not tell the resolver which host it is.
    pub(super) static ASKED: Arc<AtomicBool>;
}

/// Notes that a server asked for a client certificate. One that then hangs up takes its reason along more often than not.
#[derive(Debug)]
struct Witness(Arc<dyn ResolvesClientCert>);

impl ResolvesClientCert for Witness {
    fn resolve(&self, roots: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let _ = ASKED.try_with(|asked| asked.store(true, Ordering::Release));
        self.0.resolve(roots, schemes)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.0.only_raw_public_keys()
    }

    fn has_certs(&self) -> bool {
        self.0.has_certs()
    }
}

fn verifying(trust: &Trust) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TrustError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    if trust.insecure {
        let verifier = Arc::new(BelieveAll(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier));
    }
    let extra = extra_certificates(trust)?;
    Ok(match &trust.roots {
        Roots::System => {
            let verifier = Arc::new(Verifier::new_with_extra_roots(extra, provider)?);
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
        Roots::File(path) => {
            let mut roots = RootCertStore::empty();
            // A bundle may hold certificates that webpki cannot parse; the others still count, as with OpenSSL.
            roots.add_parsable_certificates(read_file(path)?.into_iter().chain(extra));
            if roots.is_empty() {
                return Err(TrustError::NoCertificate(path.clone()));
            }
            builder.with_root_certificates(roots)
        }
    })
}

fn extra_certificates(trust: &Trust) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let mut extra = Vec::new();
    for path in &trust.extra_files {
        extra.extend(read_file(path)?);
    }
    for text in &trust.extra_pem {
        let certificates = CertificateDer::pem_slice_iter(text.as_bytes());
        extra.extend(certificates.collect::<Result<Vec<_>, _>>().map_err(TrustError::Text)?);
    }
    Ok(extra)
}

fn read_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let failed = |source| TrustError::File { path: path.to_owned(), source };
    CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

/// Believes every certificate. Signatures are still checked, so that the peer at least holds its key.
#[derive(Debug)]
struct BelieveAll(Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
