//! A server that speaks chat completions and can go wrong in every way. It
//! writes bytes itself, so that it can also write the wrong ones.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Chunks of an answer, each one token.
pub(crate) const TOKENS: usize = 8;

/// What is done to every 5th request below `/<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    None,
    /// Ends cleanly without finish reason and `[DONE]`.
    Truncated,
    /// Closes within a chunked body.
    Cut,
    InBandError,
    /// RST in the middle of the stream.
    Reset,
    /// RST before the answer.
    ResetFirst,
    Stall,
    /// Only keeps the connection alive, with comments.
    Ping,
    /// Never begins to answer.
    Silence,
    TooMany,
    RetryAfter,
    Unavailable,
    Forbidden,
    Short,
    Lost,
    Malformed,
    /// A stream was asked for, HTML comes.
    Html,
    /// A chunk's size that is no number.
    Garbled,
    /// Refuses, and says the `authorization` back.
    Echo,
}

impl Fault {
    pub(crate) const ALL: [Self; 18] = [
        Self::None,
        Self::Truncated,
        Self::Cut,
        Self::InBandError,
        Self::Reset,
        Self::ResetFirst,
        Self::Stall,
        Self::Ping,
        Self::Silence,
        Self::TooMany,
        Self::RetryAfter,
        Self::Unavailable,
        Self::Forbidden,
        Self::Short,
        Self::Lost,
        Self::Malformed,
        Self::Html,
        Self::Garbled,
    ];

    pub(crate) fn path(self) -> String {
        format!("/{self:?}")
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: serde_json::Value,
}

/// What the server does beside the faults.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    /// Closes each connection after its answer, without a word.
    pub(crate) closes: bool,
    /// Headers of each answer, as text.
    pub(crate) headers: &'static str,
    /// Waits before each first token.
    pub(crate) first_token: Duration,
}

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    manner: Manner,
    counts: Mutex<HashMap<String, u64>>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicU64,
    /// While true, nothing is answered.
    frozen: watch::Sender<bool>,
}

impl Server {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            manner,
            counts: Mutex::default(),
            requests: Mutex::default(),
            connections: AtomicU64::new(0),
            frozen: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        let server = shared.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                server.connections.fetch_add(1, Ordering::Relaxed);
                let server = server.clone();
                connections.spawn(async move {
                    // A client that leaves is no failure of the server.
                    let _ = server.serve(stream).await;
                });
            }
        });
        Self { address, shared, _tasks: tasks }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no panic").clone()
    }

    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn freeze(&self, frozen: bool) {
        self.shared.frozen.send_replace(frozen);
    }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn event(json: &str) -> String {
    chunk(&format!("data: {json}\n\n"))
}

fn token(text: &str) -> String {
    event(&format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#))
}

fn plain(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

impl Shared {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await? {
            let path = request.path.clone();
            let said = request.headers.get("authorization").cloned().unwrap_or_default();
            let whole = request.body["stream"] != true;
            self.requests.lock().expect("no panic").push(request);
            let number = {
                let mut counts = self.counts.lock().expect("no panic");
                let count = counts.entry(path.clone()).or_default();
                *count += 1;
                *count
            };
            let mut all = Fault::ALL.into_iter().chain([Fault::Echo]);
            let fault = all.find(|fault| fault.path() == path).unwrap_or(Fault::None);
            let fault = if number.is_multiple_of(5) { fault } else { Fault::None };
            let mut frozen = self.frozen.subscribe();
            frozen.wait_for(|frozen| !frozen).await.expect("the server holds it");
            if fault == Fault::Echo {
                stream.write_all(plain("401 Unauthorized", "", &format!("not {said}")).as_bytes()).await?;
                continue;
            }
            if !self.answer(&mut stream, fault, whole).await? || self.manner.closes {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the connection can go on.
    async fn answer(
        &self,
        io: &mut BufReader<TcpStream>,
        fault: Fault,
        whole: bool,
    ) -> std::io::Result<bool> {
        let headers = self.manner.headers;
        let refusal = match fault {
            Fault::TooMany => Some(plain("429 Too Many Requests", headers, "later")),
            Fault::RetryAfter => {
                Some(plain("503 Service Unavailable", &format!("retry-after: 1\r\n{headers}"), ""))
            }
            Fault::Unavailable => Some(plain("503 Service Unavailable", headers, "no upstream")),
            Fault::Forbidden => Some(plain("403 Forbidden", headers, "no")),
            Fault::Html => Some(plain("200 OK", "content-type: text/html\r\n", "<html>")),
            _ => None,
        };
        if let Some(refusal) = refusal {
            io.write_all(refusal.as_bytes()).await?;
            return Ok(true);
        }
        match fault {
            Fault::ResetFirst => {
                io.get_ref().set_zero_linger()?;
                return Ok(false);
            }
            Fault::Silence => std::future::pending().await,
            _ => {}
        }
        tokio::time::sleep(self.manner.first_token).await;
        if whole {
            let body = r#"{"choices":[{"message":{"content":"a b c d e f g h"},"finish_reason":"length"}],"usage":{"completion_tokens":8}}"#;
            let answer = plain("200 OK", headers, body);
            let cut = if fault == Fault::Cut { body.len() / 2 } else { 0 };
            io.write_all(&answer.as_bytes()[..answer.len() - cut]).await?;
            return Ok(cut == 0);
        }
        io.write_all(format!("{STREAM}{headers}\r\n").as_bytes()).await?;
        io.write_all(event(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#).as_bytes())
            .await?;
        let tokens = if fault == Fault::Short { TOKENS - 1 } else { TOKENS };
        for i in 0..tokens {
            if i == TOKENS / 2 {
                match fault {
                    Fault::Truncated => {
                        io.write_all(b"0\r\n\r\n").await?;
                        return Ok(true);
                    }
                    Fault::Cut => return Ok(false),
                    Fault::Reset => {
                        // The client must have read what came before.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        io.get_ref().set_zero_linger()?;
                        return Ok(false);
                    }
                    Fault::Stall => std::future::pending().await,
                    Fault::Ping => loop {
                        io.write_all(chunk(": ping\n\n").as_bytes()).await?;
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    },
                    Fault::InBandError => {
                        io.write_all(event(r#"{"error":{"message":"CUDA out of memory"}}"#).as_bytes())
                            .await?;
                        io.write_all(b"0\r\n\r\n").await?;
                        return Ok(true);
                    }
                    Fault::Malformed => io.write_all(event(r#"{"choices": [{"#).as_bytes()).await?,
                    Fault::Garbled => io.write_all(b"zz\r\n").await?,
                    Fault::Lost => continue,
                    _ => {}
                }
            }
            let text = if fault == Fault::Lost { format!("tok-{i} ") } else { "word ".to_owned() };
            io.write_all(token(&text).as_bytes()).await?;
        }
        let usage = format!(r#"{{"choices":[],"usage":{{"completion_tokens":{tokens}}}}}"#);
        let end =
            [event(r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#), event(&usage), event("[DONE]")];
        io.write_all(end.concat().as_bytes()).await?;
        io.write_all(b"0\r\n\r\n").await?;
        Ok(true)
    }
}

async fn read(io: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if io.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let path = lines[0].split(' ').nth(1).expect("a path").to_owned();
    let headers: HashMap<String, String> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers["content-length"].parse().expect("a length")];
    io.read_exact(&mut body).await?;
    let body = serde_json::from_slice(&body).expect("JSON");
    Ok(Some(Request { path, headers, body }))
}
