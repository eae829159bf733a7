//! TLS, and what ALPN settles on.
//!
//! The certificate is given to the client as `SSL_CERT_FILE` would: the client's roots are its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use perfhost_upstream::{Client, UpstreamError};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{Rig, chunk, post};

struct Secure {
    url: String,
    roots: RootCertStore,
    connections: Arc<AtomicUsize>,
}

/// What the server saw, as the answer's body.
async fn describe(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let seen = format!("{:?} {} {:?} {body:?}", head.version, head.uri, head.headers.get("host"));
    Ok(Response::new(Full::from(seen)))
}

impl Secure {
    async fn start(protocols: &[&str]) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("certificate");
        let certificate: CertificateDer<'static> = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("server");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let (stream, service) = (TokioIo::new(stream), service_fn(describe));
                    let _ = if is_http2 {
                        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                            .serve_connection(stream, service)
                            .await
                    } else {
                        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
                    };
                });
            }
        });
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("root");
        Self { url: format!("https://localhost:{port}"), roots, connections }
    }

    fn rig(&self, roots: RootCertStore) -> Rig {
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut rig = Rig::new(&format!("{}/base/v1", self.url));
        rig.client = Client::new(Arc::new(config));
        rig
    }
}

async fn text(rig: &Rig) -> (bool, String) {
    let (is_reused, body) = rig.fetch().await.expect("answer");
    (is_reused, String::from_utf8(body).expect("text"))
}

#[tokio::test]
async fn http2_is_spoken_where_offered_and_its_connection_shared() {
    let server = Secure::start(&["h2", "http/1.1"]).await;
    let rig = server.rig(server.roots.clone());
    let expected = format!("HTTP/2.0 {}/base/v1/chat/completions None b\"{{}}\"", server.url);
    assert_eq!(text(&rig).await, (false, expected.clone()));
    let mut under_way = rig.send(post("/v1/chat/completions", "{}")).await.expect("answer");
    assert_eq!(text(&rig).await, (true, expected));
    assert!(under_way.is_reused);
    while chunk(under_way.response.body_mut()).await.is_some() {}
    assert_eq!((server.connections.load(Ordering::SeqCst), rig.provider.in_flight()), (1, 0));
}

#[tokio::test]
async fn a_burst_of_first_requests_opens_one_http2_connection() {
    let server = Secure::start(&["h2"]).await;
    let rig = server.rig(server.roots.clone());
    let (one, two, three) = tokio::join!(rig.fetch(), rig.fetch(), rig.fetch());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_idle_http2_connection_expires() {
    let server = Secure::start(&["h2"]).await;
    let rig = server.rig(server.roots.clone());
    rig.fetch().await.expect("answer");
    rig.client.trim();
    assert_eq!(rig.idle(), 1);
    tokio::time::pause();
    tokio::time::advance(rig.settings.pool_idle).await;
    rig.client.trim();
    tokio::time::resume();
    assert_eq!(rig.idle(), 0);
}

#[tokio::test]
async fn http1_is_spoken_where_nothing_else_is_offered() {
    let server = Secure::start(&["http/1.1"]).await;
    let rig = server.rig(server.roots.clone());
    let host = server.url.strip_prefix("https://").expect("host");
    let expected = format!("HTTP/1.1 /base/v1/chat/completions Some(\"{host}\") b\"{{}}\"");
    assert_eq!(text(&rig).await, (false, expected.clone()));
    assert_eq!(text(&rig).await, (true, expected));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let server = Secure::start(&["h2"]).await;
    let rig = server.rig(RootCertStore::empty());
    let error = rig.fetch().await.expect_err("refused");
    assert!(matches!(error, UpstreamError::Tls { .. }) && error.is_connect(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_at_an_endpoint_that_never_answers_fails_as_one() {
    // Connections are accepted by the system, and nobody ever says a word on them.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("https://localhost:{}", listener.local_addr().expect("address").port());
    let rig = Rig::new(&url);
    let started = tokio::time::Instant::now();
    let ask = || rig.send(post("/v1/chat/completions", "{}"));
    let (one, two, three, four) = tokio::join!(ask(), ask(), ask(), ask());
    for outcome in [one, two, three, four] {
        let error = outcome.expect_err("nobody answers");
        assert!(matches!(error, UpstreamError::Timeout { phase: "connect", .. }), "{error}");
    }
    // In the time of the test, which stands still while anything runs.
    assert!(started.elapsed() < Duration::from_secs(6), "one waits no longer than another: {:?}", started.elapsed());
}
