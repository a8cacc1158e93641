//! The server's plumbing: listeners, certificates, and one answer per request.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::{DEFAULT_VERSIONS, RootCertStore, ServerConfig};

use super::{Asks, Fault, Received, Shared};

type Body = StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>;

/// Bound, not yet served.
pub struct Listening {
    plain: TcpListener,
    tls: TcpListener,
    config: ServerConfig,
}

impl Listening {
    pub fn new(folder: &Path, asks: Asks) -> Self {
        let bind = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        Self { plain: bind(), tls: bind(), config: tls_config(folder, asks) }
    }

    pub fn plain_address(&self) -> SocketAddr {
        self.plain.local_addr().unwrap()
    }

    pub fn tls_address(&self) -> SocketAddr {
        self.tls.local_addr().unwrap()
    }

    /// Serves until `stopped`.
    pub fn run(self, shared: &Shared, stopped: oneshot::Receiver<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let plain = tokio::net::TcpListener::from_std(self.plain).unwrap();
            let tls = tokio::net::TcpListener::from_std(self.tls).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(self.config));
            tokio::select! {
                _ = stopped => {}
                () = accept(plain, None, shared) => {}
                () = accept(tls, Some(acceptor), shared) => {}
            }
        });
    }
}

/// A certificate for localhost, signed by a new authority whose certificate goes to `ca.pem`, beside a client's.
fn tls_config(folder: &Path, asks: Asks) -> ServerConfig {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A name of its own: OpenSSL takes a certificate whose issuer has its name for one that signed itself.
    // And it takes two authorities of one name for one, whose signatures then fail.
    let key = KeyPair::generate().unwrap();
    let number = npm_tarballs::integrity::ContentId::sha512_of(&key.serialize_der()).hex();
    params.distinguished_name.push(DnType::CommonName, format!("test authority {}", &number[..16]));
    let own = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("ca.pem"), own.pem()).unwrap();
    let authority = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let client_key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    std::fs::write(folder.join("client.pem"), client.signed_by(&client_key, &authority).unwrap().pem())
        .unwrap();
    std::fs::write(folder.join("key.pem"), client_key.serialize_pem()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let versions = if asks == Asks::InsistsInTls12 { &[&TLS12] } else { DEFAULT_VERSIONS };
    let builder = builder.with_protocol_versions(versions).unwrap();
    let builder = if asks == Asks::Nothing {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        roots.add(own.der().clone()).unwrap();
        let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if asks == Asks::Optionally {
            verifier = verifier.allow_unauthenticated();
        }
        builder.with_client_cert_verifier(verifier.build().unwrap())
    };
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key.into()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

async fn accept(listener: tokio::net::TcpListener, acceptor: Option<TlsAcceptor>, shared: &Shared) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (shared, acceptor) = (shared.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => connection(stream, Peer { address: peer, certificate: false }, shared).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let certificate = stream.get_ref().1.peer_certificates().is_some();
                        connection(stream, Peer { address: peer, certificate }, shared).await;
                    }
                }
            }
        });
    }
}

/// Who asks.
#[derive(Clone, Copy)]
struct Peer {
    address: SocketAddr,
    certificate: bool,
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    shared: Shared,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let shared = shared.clone();
        async move {
            if request.method() == Method::CONNECT {
                return Ok(tunnel(request, peer, &shared));
            }
            answer(&request, peer, &shared).await
        }
    });
    // A client that goes away, or a fault that breaks the connection, is not a failure of the server.
    let builder = Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

/// What a forward proxy does: a way to another server, for bytes that it does not understand.
fn tunnel(request: Request<Incoming>, peer: Peer, shared: &Shared) -> Response<Body> {
    let mut state = shared.lock();
    state.log.push(Received { path: request.uri().to_string(), ..received(&request, peer) });
    if let Some((_, fault)) = &state.rate {
        let Fault::Status(status) = fault else { panic!("a proxy has statuses only") };
        return short(*status);
    }
    let target = request.uri().authority().unwrap().to_string();
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let Ok(mut server) = tokio::net::TcpStream::connect(target).await else { return };
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut server).await;
    });
    Response::new(StreamBody::new(stream::empty().boxed()))
}

async fn answer(request: &Request<Incoming>, peer: Peer, shared: &Shared) -> io::Result<Response<Body>> {
    let path = request.uri().path().to_owned();
    let (fault, delay, refused, body) = {
        let mut state = shared.lock();
        state.log.push(received(request, peer));
        let fault = state.faults.get_mut(&path).and_then(|queue| {
            let (times, fault) = queue.front_mut()?;
            let fault = fault.clone();
            *times -= 1;
            if *times == 0 {
                queue.pop_front();
            }
            Some(fault)
        });
        let fault = fault.or_else(|| by_rate(&state, &path));
        let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let refused = state.tokens.iter().any(|(at, token)| path.starts_with(at) && given != Some(token));
        let packument = state.packuments.get(&path).map(|packument| packument.to_string().into());
        (fault, state.delay, refused, state.files.get(&path).cloned().or(packument))
    };
    tokio::time::sleep(delay).await;
    match (fault, body) {
        (Some(fault), body) => misbehave(fault, body.unwrap_or_default()).await,
        (None, _) if refused => Ok(short(401)),
        (None, Some(body)) => Ok(whole(body)),
        (None, None) => Ok(short(404)),
    }
}

/// The fault of a server that misbehaves at times, if this is one of the times.
fn by_rate(state: &super::State, path: &str) -> Option<Fault> {
    let (rate, fault) = state
        .rate
        .as_ref()
        .filter(|_| Path::new(path).extension().is_some_and(|extension| extension == "tgz"))?;
    let attempt = state.log.iter().filter(|received| received.path == path).count();
    // The first tarball that is asked for meets it whatever the rate is: 1 % of 40 paths may be none.
    let first = state.log.iter().find(|received| received.path.rsplit('.').next() == Some("tgz"));
    let place = if first.is_some_and(|first| first.path == path) {
        100 - 37
    } else {
        path.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
    };
    // Attempts at one path are far from each other, so that not all of them meet it.
    let number = place.wrapping_add(u32::try_from(attempt).unwrap() * 37) % 100;
    (number < *rate).then(|| fault.clone())
}

fn received(request: &Request<Incoming>, peer: Peer) -> Received {
    let headers = request.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Received {
        path: request.uri().path().to_owned(),
        version: format!("{:?}", request.version()),
        headers: headers.collect(),
        peer: peer.address,
        certificate: peer.certificate,
    }
}

async fn misbehave(fault: Fault, body: Bytes) -> io::Result<Response<Body>> {
    let len = body.len();
    Ok(match fault {
        Fault::Status(status) => short(status),
        Fault::RetryAfter(status, text) => with(short(status), RETRY_AFTER, &text),
        Fault::Redirect(target) => with(short(302), LOCATION, &target),
        Fault::ClaimGzip => with(whole(body), CONTENT_ENCODING, "gzip"),
        Fault::Gzip => with(whole(gzipped(&body)), CONTENT_ENCODING, "gzip"),
        Fault::WrongBytes => whole(vec![b'x'; len].into()),
        Fault::Truncate(sent) => {
            let sent = sent.min(len);
            let broken = stream::once(async { Err(io::Error::other("broken on purpose")) });
            announced(len, data(body.slice(..sent)).chain(broken).boxed())
        }
        Fault::Stall(sent) => {
            announced(len, data(body.slice(..sent.min(len))).chain(stream::pending()).boxed())
        }
        Fault::Trickle(pause) => {
            let bytes = stream::iter(body).then(move |byte| async move {
                tokio::time::sleep(pause).await;
                Ok(Frame::data(Bytes::from(vec![byte])))
            });
            announced(len, bytes.boxed())
        }
        Fault::Endless => {
            let part = Bytes::from(vec![b'x'; 64 << 10]);
            let parts = stream::repeat_with(move || Ok(Frame::data(part.clone())));
            Response::new(StreamBody::new(parts.boxed()))
        }
        Fault::Page(text) => with(whole(text.into()), CONTENT_TYPE, "text/html; charset=utf-8"),
        Fault::Challenge(text) => with(short(401), WWW_AUTHENTICATE, &text),
        Fault::Delay(delay) => {
            tokio::time::sleep(delay).await;
            whole(body)
        }
        Fault::Silence => std::future::pending::<Result<_, Infallible>>().await.unwrap(),
        Fault::Close => return Err(io::Error::other("closed on purpose")),
    })
}

fn gzipped(body: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap().into()
}

fn data(bytes: Bytes) -> BoxStream<'static, io::Result<Frame<Bytes>>> {
    stream::once(async move { Ok(Frame::data(bytes)) }).boxed()
}

fn announced(len: usize, body: BoxStream<'static, io::Result<Frame<Bytes>>>) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(body));
    response.headers_mut().insert(CONTENT_LENGTH, len.into());
    response
}

fn whole(body: Bytes) -> Response<Body> {
    announced(body.len(), data(body))
}

fn short(status: u16) -> Response<Body> {
    let mut response = whole(Bytes::from_static(b"{\"error\":\"on purpose\"}"));
    *response.status_mut() = status.try_into().unwrap();
    response
}

fn with(mut response: Response<Body>, name: hyper::header::HeaderName, value: &str) -> Response<Body> {
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}
