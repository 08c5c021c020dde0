//! HTTP/1 connections that the users own: opened, kept alive, and closed here.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::AbortHandle};

use super::{LoadError, classify::End, grpc::Channel};

/// A name or address with a port, and a path that all paths are below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    host: String,
    port: u16,
    /// The `Host` header.
    pub(crate) authority: String,
    /// Without a slash at its end.
    path: String,
}

impl Base {
    /// Takes an `http://` URL apart.
    pub(crate) fn of(url: &Uri) -> Result<Self, LoadError> {
        let wrong = |why: &'static str| LoadError::Url { url: url.to_string(), why };
        match url.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(wrong("https is not supported yet")),
            _ => return Err(wrong("it must begin with http://")),
        }
        let authority = url.authority().ok_or_else(|| wrong("it names no host"))?;
        // Brackets belong to the URL, not to the address.
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
            path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The URI of `path` below this base, as a request line has it.
    pub(crate) fn uri(&self, path: &str) -> Result<Uri, LoadError> {
        let joined = format!("{}/{}", self.path, path.trim_start_matches('/'));
        joined.parse().map_err(|_| LoadError::Workload(format!("`{path}` is not a path")))
    }
}

impl Base {
    /// The URI of `path`, with the authority, as HTTP/2 wants it.
    pub(crate) fn absolute(&self, path: &str) -> Result<Uri, LoadError> {
        let path = self.uri(path)?;
        format!("http://{}{path}", self.authority)
            .parse()
            .map_err(|_| LoadError::Workload(format!("`{path}` is not a path")))
    }

    /// Opens a TCP connection, within `limit`.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<TcpStream, End> {
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match tokio::time::timeout(limit, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
                return Err(End::ConnectTimeout);
            }
            Ok(Err(error)) => return Err(End::ConnectRefused(format!("connect: {error}"))),
            Err(_) => return Err(End::ConnectTimeout),
        };
        stream.set_nodelay(true).map_err(|error| End::Reset(format!("connect: {error}")))?;
        Ok(stream)
    }
}

/// An open connection. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The request did not leave this machine.
#[derive(Debug)]
pub(crate) struct NotSent(Box<Request<Full<Bytes>>>);

impl Connection {
    async fn open(base: &Base, limit: Duration) -> Result<Self, End> {
        let stream = base.connect(limit).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| ended(&e))?;
        // Its errors come out of the request, too.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self { sender, driver })
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Result<Response<Incoming>, NotSent>, End> {
        if self.sender.ready().await.is_err() {
            return Ok(Err(NotSent(Box::new(request))));
        }
        match self.sender.try_send_request(request).await {
            Ok(response) => Ok(Ok(response)),
            Err(mut error) => match error.take_message() {
                Some(request) => Ok(Err(NotSent(Box::new(request)))),
                None => Err(ended(error.error())),
            },
        }
    }
}

/// The idle connections of one load stream. The last one back is the first
/// one out, so that there are as many as requests at once, not as users.
#[derive(Debug)]
pub(crate) struct Connections {
    /// Where to.
    pub(crate) base: Base,
    /// The connection that gRPC calls share.
    pub(crate) grpc: Channel,
    idle: Mutex<Vec<Connection>>,
}

impl Connections {
    /// None open yet.
    pub(crate) fn to(base: Base) -> Self {
        Self { base, grpc: Channel::default(), idle: Mutex::default() }
    }

    /// Sends a request on an idle connection or a new one. A request that an
    /// idle connection did not take (the server had closed it) goes out on a
    /// new one; one that may have been sent is never sent again. `opening`
    /// is told when the opening of a new connection begins and ends.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        connect_limit: Duration,
        mut opening: impl FnMut(bool),
    ) -> Result<(Connection, Response<Incoming>), End> {
        let mut request = request;
        while let Some(mut connection) = self.take() {
            match connection.send(request).await? {
                Ok(response) => return Ok((connection, response)),
                Err(NotSent(unsent)) => request = *unsent,
            }
        }
        opening(true);
        let mut connection = Connection::open(&self.base, connect_limit).await?;
        opening(false);
        match connection.send(request).await? {
            Ok(response) => Ok((connection, response)),
            Err(_) => Err(End::Reset("the connection was closed before the request was sent".to_owned())),
        }
    }

    /// Takes back a connection whose answer was read to its end.
    pub(crate) fn keep(&self, connection: Connection) {
        if !connection.sender.is_closed() {
            self.lock().push(connection);
        }
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.sender.is_closed())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an error of the connection means. An early end of the body is told
/// apart from a connection that broke.
pub(crate) fn ended(error: &hyper::Error) -> End {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut text = error.to_string();
    let mut io = None;
    while let Some(cause) = source {
        text = cause.to_string();
        io = io.or(cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
        source = cause.source();
    }
    match io {
        // A chunk's size that is none, and the like.
        Some(std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData) => {
            End::Malformed(format!("not HTTP: {text}"))
        }
        Some(std::io::ErrorKind::UnexpectedEof) => End::Cut(format!("the body ended early: {text}")),
        Some(_) => End::Reset(text),
        None if error.is_parse() => End::Malformed(format!("not HTTP: {error}")),
        None if error.is_incomplete_message() => {
            End::Cut("the connection was closed before the answer's end".to_owned())
        }
        None => End::Reset(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Result<Base, LoadError> {
        Base::of(&url.parse().expect("a URI"))
    }

    #[test]
    fn urls_are_taken_apart() {
        let plain = base("http://127.0.0.1:8000").expect("a base");
        assert_eq!((plain.host.as_str(), plain.port), ("127.0.0.1", 8000));
        assert_eq!(plain.uri("/v1/chat/completions").expect("a URI"), "/v1/chat/completions");
        let deep = base("http://[::1]/serving/").expect("a base");
        assert_eq!((deep.host.as_str(), deep.port), ("::1", 80));
        assert_eq!(deep.uri("v1").expect("a URI"), "/serving/v1");
    }

    #[test]
    fn other_schemes_are_refused() {
        assert!(base("https://example.org").is_err_and(|e| e.to_string().contains("not supported yet")));
        assert!(base("/v1").is_err());
        assert!(base("ftp://example.org").is_err());
    }
}
