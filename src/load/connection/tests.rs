//! Real sockets, real TLS, and servers of HTTP/2 that go wrong.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Version, header};
use http_body_util::Full;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer, server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Barrier,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::scenario::model::Tls;

/// A certificate authority of its own, and what it signed, as files.
struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an issuer");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("it writes");
        Self { folder, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (params.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }

    /// Files of a client's certificate.
    fn client(&self) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.sign("client");
        let paths = (self.path("client.pem"), self.path("client-key.pem"));
        std::fs::write(&paths.0, certificate.pem()).expect("it writes");
        std::fs::write(&paths.1, key.serialize_pem()).expect("it writes");
        paths
    }

    /// A server for `name`; it wants a client's certificate of `clients`.
    fn acceptor(&self, name: &str, clients: bool, alpn: &[&str]) -> TlsAcceptor {
        let (certificate, key) = self.sign(name);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("a server");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server that answers with the version of HTTP and what it was asked.
/// Dropping it ends it.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// `together`: no answer before so many requests are there.
    async fn start(tls: Option<TlsAcceptor>, http2: bool, together: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let barrier = Arc::new(Barrier::new(together));
        let mut tasks = JoinSet::new();
        let count = connections.clone();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (tls, barrier) = (tls.clone(), barrier.clone());
                serving.spawn(async move {
                    match tls {
                        None => serve(stream, http2, barrier).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                                serve(stream, http2, barrier).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve<S>(stream: S, http2: bool, barrier: Arc<Barrier>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            let host = match request.version() {
                Version::HTTP_2 => request.uri().authority().map(ToString::to_string),
                _ => request.headers().get("host").map(|host| host.to_str().expect("text").to_owned()),
            };
            let text = format!("{:?} {} {}", request.version(), request.uri().path(), host.expect("a host"));
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        }
    });
    // A client that leaves is no failure of the server.
    if http2 {
        let _ =
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}

fn connections(scheme: &str, address: SocketAddr, settings: Connection) -> Connections {
    let base = Base::of(&format!("{scheme}://{address}").parse::<http::Uri>().expect("a URI").into())
        .expect("a base");
    Connections::to(base, &settings, Duration::from_secs(10), false).expect("connections")
}

fn settings(http: HttpVersion) -> Connection {
    Connection { http, ..Connection::default() }
}

fn trusting(tls: Tls) -> Connection {
    Connection { tls: Some(tls), ..Connection::default() }
}

async fn ask(seat: &Seat) -> Result<String, End> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_static("host"));
    let shape = Shape::new(Method::POST, "/v1".parse().expect("a URI"), headers);
    let body = Bytes::from_static(b"{}");
    let request = Outgoing { shape: &shape, uri: None, headers: [&[], &[]], body: &body };
    let (_, mut reply) = seat.send(&request, |_| ()).await?;
    let mut text = Vec::new();
    while let Some(part) = reply.next().await? {
        if let Part::Data(data) = part {
            text.extend_from_slice(data);
        }
    }
    Ok(String::from_utf8(text).expect("text"))
}

fn refused(asked: Result<String, End>, word: &str) {
    match asked {
        Err(End::ConnectRefused(why)) => assert!(why.contains("TLS") && why.contains(word), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn clear_text_speaks_what_it_is_told() {
    let server = Server::start(None, false, 1).await;
    let one = connections("http", server.address, settings(HttpVersion::Auto));
    let seat = one.seat();
    assert_eq!(ask(&seat).await, Ok("HTTP/1.1 /v1 host".to_owned()));
    assert_eq!(ask(&one.seat()).await, Ok("HTTP/1.1 /v1 host".to_owned()));
    assert_eq!(server.connections(), 1, "any user takes an idle connection");
    let server = Server::start(None, true, 1).await;
    let two = connections("http", server.address, settings(HttpVersion::Http2));
    let said = Ok(format!("HTTP/2.0 /v1 {}", server.address));
    assert_eq!((ask(&two.seat()).await, ask(&two.seat()).await), (said.clone(), said));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn alpn_chooses_the_version() {
    let authority = Authority::new();
    for (alpn, version) in
        [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let server = Server::start(Some(authority.acceptor("127.0.0.1", false, alpn)), false, 1).await;
        let tls = Tls { ca: Some(authority.path("ca.pem")), ..Tls::default() };
        let all = connections("https", server.address, trusting(tls));
        for _ in 0..3 {
            let said = ask(&all.seat()).await.expect("an answer");
            assert!(said.starts_with(version), "{said}");
        }
        assert_eq!(server.connections(), 1, "{alpn:?}");
    }
}

#[tokio::test]
async fn a_server_must_be_who_it_should() {
    let authority = Authority::new();
    let server = Server::start(Some(authority.acceptor("gateway.internal", false, &[])), false, 1).await;
    let ca = Some(authority.path("ca.pem"));
    let with = async |tls: Tls| ask(&connections("https", server.address, trusting(tls)).seat()).await;
    let other = Authority::new();
    refused(with(Tls { ca: Some(other.path("ca.pem")), ..Tls::default() }).await, "invalid peer certificate");
    refused(with(Tls { ca: ca.clone(), ..Tls::default() }).await, "not valid for name");
    let name = Some("gateway.internal".to_owned());
    assert!(with(Tls { ca, server_name: name, ..Tls::default() }).await.is_ok());
    assert!(with(Tls { insecure: true, ..Tls::default() }).await.is_ok());
    let plain = Server::start(None, false, 1).await;
    let tls = Tls { insecure: true, ..Tls::default() };
    refused(ask(&connections("https", plain.address, trusting(tls)).seat()).await, "");
}

#[tokio::test]
async fn a_server_may_ask_who_we_are() {
    let authority = Authority::new();
    let server = Server::start(Some(authority.acceptor("127.0.0.1", true, &["h2"])), false, 1).await;
    let (cert, key) = authority.client();
    let ca = Some(authority.path("ca.pem"));
    let known = Tls { ca: ca.clone(), cert: Some(cert), key: Some(key), ..Tls::default() };
    assert!(ask(&connections("https", server.address, trusting(known)).seat()).await.is_ok());
    let unknown = Tls { ca, ..Tls::default() };
    let asked = ask(&connections("https", server.address, trusting(unknown)).seat()).await;
    assert!(
        matches!(&asked, Err(End::ConnectRefused(why)) if why.contains("CertificateRequired"))
            // Where the server's RST overtook its alert.
            || matches!(&asked, Err(End::Reset(_))),
        "{asked:?}"
    );
}

#[test]
fn files_that_are_none_are_refused() {
    let authority = Authority::new();
    let why = |tls: Tls| {
        let base =
            Base::of(&"https://127.0.0.1".parse::<http::Uri>().expect("a URI").into()).expect("a base");
        let made = Connections::to(base, &trusting(tls), Duration::from_secs(1), false);
        made.expect_err("it can't be used").to_string()
    };
    let empty = authority.path("empty.pem");
    std::fs::write(&empty, "nothing").expect("it writes");
    assert!(why(Tls { ca: Some(empty), ..Tls::default() }).contains("holds no certificate"));
    let (cert, _) = authority.client();
    let other = authority.path("ca.pem");
    assert!(why(Tls { cert: Some(cert), key: Some(other), ..Tls::default() }).contains("no private key"));
}

#[tokio::test]
async fn streams_share_connections_up_to_their_number() {
    let server = Server::start(None, true, 6).await;
    let two = Connection { streams_per_connection: 2, ..settings(HttpVersion::Http2) };
    let all = Arc::new(connections("http", server.address, two));
    // No answer before all six are there: two on each connection.
    let mut asking = JoinSet::new();
    for _ in 0..6 {
        let seat = all.seat();
        asking.spawn(async move { ask(&seat).await });
    }
    while let Some(asked) = asking.join_next().await {
        assert!(asked.expect("no panic").is_ok());
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn connections_are_used_again_as_told() {
    for (reuse, opened) in [(Reuse::Pooled, 1), (Reuse::PerUser, 2), (Reuse::None, 4)] {
        for http in [HttpVersion::Http1, HttpVersion::Http2] {
            let server = Server::start(None, http == HttpVersion::Http2, 1).await;
            let all = connections("http", server.address, Connection { reuse, ..settings(http) });
            let (one, other) = (all.seat(), all.seat());
            for seat in [&one, &other, &one, &other] {
                assert!(ask(seat).await.is_ok());
            }
            assert_eq!(server.connections(), opened, "{reuse:?} {http:?}");
        }
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;

/// Answers the first request of each connection with frames of `answers`,
/// the last ones again and again, and closes the connection.
async fn raw(answers: Vec<Vec<u8>>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut answers = answers.into_iter();
        let mut answer = answers.next().expect("an answer");
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            read_request(&mut stream).await;
            stream.write_all(&answer).await.expect("it writes");
            stream.shutdown().await.expect("it closes");
            // Closing with bytes unread would be a reset.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            answer = answers.next().unwrap_or(answer);
        }
    });
    (address, tasks)
}

async fn read_request(stream: &mut TcpStream) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.expect("a preface");
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.expect("it writes");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("short")];
        stream.read_exact(&mut payload).await.expect("a payload");
        if head[3] == HEADERS {
            return;
        }
    }
}

const STATUS_200: u8 = 0x88;

fn goaway(last: u32, reason: u32) -> Vec<u8> {
    frame(7, 0, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat())
}

fn reset(reason: u32) -> Vec<u8> {
    frame(3, 0, 1, &reason.to_be_bytes())
}

fn answer(end: bool, data: &str) -> Vec<u8> {
    [frame(HEADERS, 4, 1, &[STATUS_200]), frame(0, u8::from(end), 1, data.as_bytes())].concat()
}

async fn asked_raw(answers: Vec<Vec<u8>>) -> Result<String, End> {
    let (address, _tasks) = raw(answers).await;
    ask(&connections("http", address, settings(HttpVersion::Http2)).seat()).await
}

#[tokio::test]
async fn what_was_not_looked_at_is_sent_again() {
    let good = || answer(true, "good");
    assert_eq!(asked_raw(vec![goaway(0, 0), good()]).await, Ok("good".to_owned()));
    assert_eq!(asked_raw(vec![reset(7), good()]).await, Ok("good".to_owned()), "REFUSED_STREAM");
    let never = asked_raw(vec![goaway(0, 0)]).await;
    assert!(matches!(&never, Err(End::Reset(why)) if why.contains("GOAWAY")), "{never:?}");
}

#[tokio::test]
async fn what_may_have_been_looked_at_is_not() {
    let good = || answer(true, "good");
    // Its last stream is ours: it was looked at.
    let seen = asked_raw(vec![goaway(1, 0), good()]).await;
    assert!(matches!(seen, Err(End::Cut(_) | End::Reset(_))), "{seen:?}");
    let internal = asked_raw(vec![reset(2), good()]).await;
    assert!(matches!(&internal, Err(End::Reset(why)) if why == "RST_STREAM INTERNAL_ERROR"), "{internal:?}");
    let broken = asked_raw(vec![[answer(false, "half"), reset(2)].concat(), good()]).await;
    assert!(matches!(&broken, Err(End::Reset(why)) if why == "RST_STREAM INTERNAL_ERROR"), "{broken:?}");
    let cut = asked_raw(vec![answer(false, "half"), good()]).await;
    assert!(matches!(&cut, Err(End::Cut(why)) if why.contains("stream's end")), "{cut:?}");
}
