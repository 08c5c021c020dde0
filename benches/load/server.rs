//! A server that costs as little as it can, to measure clients against: HTTP/1
//! with keep-alive, answers made beforehand.
//!
//! | path | answer |
//! | --- | --- |
//! | `/plain` | 5 bytes |
//! | `/json` | a chat completion of one token |
//! | `/sse` | a stream of 32 tokens, a write for each, without a pause |
//! | `/burst` | the same in one write |
//! | `/slow` | a stream of 30 tokens, one a second |

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Tokens of a stream without pauses.
const TOKENS: usize = 32;
/// Tokens of `/slow`.
const SLOW_TOKENS: usize = 30;

struct Answers {
    plain: String,
    json: String,
    /// The head, the chunks of tokens, the end.
    stream: (String, String, String),
}

impl Answers {
    fn new() -> Self {
        let whole = |kind: &str, body: &str| {
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        let chunk = |json: &str| {
            let event = format!("data: {json}\n\n");
            format!("{:x}\r\n{event}\r\n", event.len())
        };
        let json = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"length"}],"usage":{"completion_tokens":1}}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let token = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"demo","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}"#;
        let last = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#;
        let end = format!("{}{}0\r\n\r\n", chunk(last), chunk("[DONE]"));
        Self {
            plain: whole("text/plain", "hello"),
            json: whole("application/json", json),
            stream: (head.to_owned(), chunk(token), end),
        }
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:18999".to_owned());
    let listener = TcpListener::bind(&address).await?;
    let answers = Arc::new(Answers::new());
    loop {
        let (stream, _) = listener.accept().await?;
        let answers = answers.clone();
        tokio::spawn(async move {
            // A client that leaves is no failure of the server.
            let _ = serve(stream, &answers).await;
        });
    }
}

async fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (head, token, end) = &answers.stream;
    let burst = format!("{head}{}{end}", token.repeat(TOKENS));
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let Some(path) = request(&mut stream, &mut buffer).await? else { return Ok(()) };
        match path {
            Path::Plain => stream.write_all(answers.plain.as_bytes()).await?,
            Path::Json => stream.write_all(answers.json.as_bytes()).await?,
            Path::Burst => stream.write_all(burst.as_bytes()).await?,
            Path::Sse | Path::Slow => {
                stream.write_all(head.as_bytes()).await?;
                let slow = path == Path::Slow;
                for _ in 0..if slow { SLOW_TOKENS } else { TOKENS } {
                    stream.write_all(token.as_bytes()).await?;
                    if slow {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
                stream.write_all(end.as_bytes()).await?;
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Plain,
    Json,
    Sse,
    Burst,
    Slow,
}

/// Reads one request, its body too. None: the client has left.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Path>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = std::str::from_utf8(&buffer[..end]).map_err(io::Error::other)?;
            let path = match head.split(' ').nth(1).unwrap_or_default() {
                path if path.starts_with("/json") => Path::Json,
                path if path.starts_with("/sse") => Path::Sse,
                path if path.starts_with("/burst") => Path::Burst,
                path if path.starts_with("/slow") => Path::Slow,
                _ => Path::Plain,
            };
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.trim().parse().ok())
                .unwrap_or(0);
            let whole = end + 4 + length;
            while buffer.len() < whole {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            buffer.drain(..whole);
            return Ok(Some(path));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
