//! A server that plays scripts on raw sockets. What is asked for below
//! `/<case>/` is answered as it should be, but for every 5th request.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    case::{Ask, Case, Step},
    write::{LAST_CHUNK, WHOLE, chunk, head, plain, stream},
};

/// A running server. Dropping it ends it.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
}

struct Shared {
    cases: HashMap<&'static str, Case>,
    /// By path: whoever adds to it has a count of their own.
    counts: Mutex<HashMap<String, u64>>,
}

impl Wire {
    pub(super) async fn start(cases: Vec<Case>) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), cases).await
    }

    pub(super) async fn start_at(address: SocketAddr, cases: Vec<Case>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            cases: cases.into_iter().map(|case| (case.name, case)).collect(),
            counts: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket");
                let shared = shared.clone();
                // A client that goes away ends its connection, and no more.
                connections.spawn(async move { drop(shared.serve(stream).await) });
            }
        });
        Self { address, _tasks: tasks }
    }

    /// Until it is ended from outside.
    pub(super) async fn serve_forever(mut self) {
        self._tasks.join_next().await;
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut io = BufReader::new(stream);
        while let Some(request) = read(&mut io).await? {
            let goes_on = match self.cases.get(request.case()) {
                // What clients ask before they begin.
                _ if request.method == "GET" => {
                    let models = r#"{"object":"list","data":[{"id":"demo","object":"model"}]}"#;
                    play(
                        &mut io,
                        &[Step::Send(plain("200 OK", "content-type: application/json\r\n", models).into())],
                    )
                    .await?
                }
                Some(case) if !request.probe && self.count(&request.path).is_multiple_of(5) => {
                    play(&mut io, &case.script).await?
                }
                case => {
                    let whole = case.is_some_and(|case| case.ask == Ask::Whole);
                    play(&mut io, &right(whole)).await?
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
        Ok(())
    }

    fn count(&self, path: &str) -> u64 {
        let mut counts = self.counts.lock().expect("no panic");
        let count = counts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    }
}

/// An answer as it should be.
fn right(whole: bool) -> Vec<Step> {
    if whole {
        return vec![Step::Send(plain("200 OK", "content-type: application/json\r\n", WHOLE).into())];
    }
    let mut bytes = head().into_bytes();
    stream().split_inclusive("\n\n").for_each(|event| bytes.extend(chunk(event)));
    bytes.extend(LAST_CHUNK);
    vec![Step::Send(bytes)]
}

/// Plays a script. Whether the connection goes on.
pub(super) async fn play(io: &mut BufReader<TcpStream>, script: &[Step]) -> std::io::Result<bool> {
    for step in script {
        match step {
            Step::Send(bytes) => io.write_all(bytes).await?,
            Step::Trickle(bytes) => {
                for byte in bytes {
                    io.write_all(&[*byte]).await?;
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            }
            Step::Pause(time) => tokio::time::sleep(*time).await,
            Step::Forever(bytes, every) => loop {
                io.write_all(bytes).await?;
                tokio::time::sleep(*every).await;
            },
            Step::Close => return Ok(false),
            Step::Reset => {
                io.get_ref().set_zero_linger()?;
                return Ok(false);
            }
            // Until the client goes away.
            Step::Hang => return io.fill_buf().await.map(|_| false),
        }
    }
    Ok(true)
}

/// A request, as far as it matters.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// It is no part of the load.
    pub(super) probe: bool,
}

impl Request {
    fn case(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }
}

/// The next request of a connection. None: the client closed it.
pub(super) async fn read(io: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut first = String::new();
    if io.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut words = first.split(' ').map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        probe: false,
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        io.read_line(&mut line).await?;
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().expect("a length"),
            Some(("x-firedrill-probe", _)) => request.probe = true,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    io.read_exact(&mut body).await?;
    Ok(Some(request))
}
