//! Opens connections: TCP, TLS, and the version of HTTP.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{base::Base, ended::before_head, http1::Http1, tls, wire::Http2};
use crate::{
    load::{LoadError, classify::End},
    scenario::model::{Connection, HttpVersion},
};

/// Knows how to get to a target.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) base: Base,
    tls: Option<tls::Ready>,
    http: HttpVersion,
    limit: Duration,
}

/// A connection that was opened, by what it speaks.
#[derive(Debug)]
pub(super) enum Opened {
    Http1(Http1),
    Http2(Http2),
}

impl Dialer {
    /// Reads the files that TLS needs. An opening may take `limit` at most.
    pub(super) fn new(base: Base, settings: &Connection, limit: Duration) -> Result<Self, LoadError> {
        let tls = match base.is_tls() {
            true => {
                let given = settings.tls.clone().unwrap_or_default();
                Some(tls::ready(&given, &base.host, settings.http)?)
            }
            false => None,
        };
        Ok(Self { base, tls, http: settings.http, limit })
    }

    /// What it will speak, as far as that is known before it has asked.
    pub(super) fn version(&self) -> HttpVersion {
        match (self.http, &self.tls) {
            (HttpVersion::Auto, None) => HttpVersion::Http1,
            (version, _) => version,
        }
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<Opened, End> {
        match tokio::time::timeout(self.limit, self.dial()).await {
            Ok(opened) => opened,
            Err(_) => Err(End::ConnectTimeout),
        }
    }

    async fn dial(&self) -> Result<Opened, End> {
        let tcp = match self.base.via {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((self.base.host.as_str(), self.base.port)).await,
        };
        let tcp = tcp.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => End::ConnectTimeout,
            _ => End::ConnectRefused(format!("connect: {error}")),
        })?;
        tcp.set_nodelay(true).map_err(|error| End::Reset(format!("connect: {error}")))?;
        let Some(ready) = &self.tls else {
            return match self.http {
                HttpVersion::Http2 => http2(Stream::Plain(tcp)).await,
                HttpVersion::Http1 | HttpVersion::Auto => Ok(http1(Stream::Plain(tcp))),
            };
        };
        let tls = ready.connector.connect(ready.name.clone(), tcp).await;
        let tls = tls.map_err(|error| End::ConnectRefused(format!("TLS: {error}")))?;
        let speaks_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        match (speaks_http2, self.http) {
            (true, _) => http2(Stream::Tls(Box::new(tls))).await,
            (false, HttpVersion::Http1 | HttpVersion::Auto) => Ok(http1(Stream::Tls(Box::new(tls)))),
            (false, HttpVersion::Http2) => {
                Err(End::ConnectRefused("TLS: the server does not speak HTTP/2".to_owned()))
            }
        }
    }
}

fn http1(stream: Stream) -> Opened {
    Opened::Http1(Http1::new(stream))
}

async fn http2(stream: Stream) -> Result<Opened, End> {
    let handshake = http2::Builder::new(TokioExecutor::new())
        // Many streams with a slow reader must not wait for each other.
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .handshake(TokioIo::new(stream));
    let (sender, driver) = handshake.await.map_err(|error| before_head(&error))?;
    // Its errors come out of the requests, too.
    let driver = tokio::spawn(async move { drop(driver.await) }).abort_handle();
    Ok(Opened::Http2(Http2::new(sender, driver)))
}

/// Bytes, encrypted or not.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }
}
