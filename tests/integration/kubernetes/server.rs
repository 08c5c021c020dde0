//! The service under test: answers every request with its version. Compiled by
//! the tests with nothing but rustc, so that its image is small.
//!
//! `VERSION` is what it says that it is; with `FAIL` it answers 500, and with
//! `NEVER_READY` it is never ready. For `COLD_MS` it is not ready, and answers
//! 503. `WORK` is how many millions of rounds an answer takes to compute, one
//! after another, and none for who has gone meanwhile. With `UNSOLD` its good
//! answers sell nothing. Each answer names its pod.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Requests that were answered, well and badly.
static GOOD: AtomicU64 = AtomicU64::new(0);
static BAD: AtomicU64 = AtomicU64::new(0);
/// Good answers that sold something.
static SOLD: AtomicU64 = AtomicU64::new(0);

static STARTED: OnceLock<Instant> = OnceLock::new();

/// Whether it has just begun.
fn is_cold() -> bool {
    let cold = std::env::var("COLD_MS").ok().and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    cold.is_some_and(|cold| STARTED.get_or_init(Instant::now).elapsed() < cold)
}

fn main() {
    STARTED.get_or_init(Instant::now);
    let listener = TcpListener::bind("0.0.0.0:8000").expect("a port");
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
}

/// Keeps a core busy, for about a millisecond with each million rounds.
fn work(millions: u64) {
    let rounds = 0..millions * 1_000_000;
    std::hint::black_box(rounds.fold(1u64, |state, i| std::hint::black_box(state.wrapping_mul(i | 1))));
}

/// Whether whom an answer was worked for is still there: overload is over
/// once there is less to do, and not when all that was ever asked is done.
fn worked(client: &TcpStream) -> bool {
    static ONE: Mutex<()> = Mutex::new(());
    let Some(millions) = std::env::var("WORK").ok().and_then(|n| n.parse().ok()) else {
        return true;
    };
    let _turn = ONE.lock();
    let gone = client.set_nonblocking(true).is_err() || matches!(client.peek(&mut [0]), Ok(0));
    if gone || client.set_nonblocking(false).is_err() {
        return false;
    }
    work(millions);
    true
}

/// Status and body of an answer, if somebody waits for it.
fn answer(path: &str, version: &str, client: &TcpStream) -> Option<(&'static str, String)> {
    let answer = match path {
        "/metrics" => {
            let [good, bad, sold] = [&GOOD, &BAD, &SOLD].map(|n| n.load(Ordering::Relaxed));
            let requests =
                format!("requests_total{{status=\"200\"}} {good}\nrequests_total{{status=\"500\"}} {bad}\n");
            ("200 OK", format!("{requests}sold_total {sold}\n"))
        }
        "/ready" if std::env::var("NEVER_READY").is_ok() || is_cold() => ("503 Not Yet", String::new()),
        "/startup" | "/ready" | "/health" => ("200 OK", String::new()),
        _ if is_cold() => ("503 Not Yet", "{}".to_owned()),
        _ if std::env::var("FAIL").is_ok() => {
            BAD.fetch_add(1, Ordering::Relaxed);
            ("500 Oops", "{}".to_owned())
        }
        _ => {
            if !worked(client) {
                return None;
            }
            GOOD.fetch_add(1, Ordering::Relaxed);
            if std::env::var("UNSOLD").is_err() {
                SOLD.fetch_add(1, Ordering::Relaxed);
            }
            ("200 OK", format!("{{\"version\":\"{version}\"}}"))
        }
    };
    Some(answer)
}

/// One connection, kept alive until its client is done.
fn serve(stream: TcpStream) -> Option<()> {
    let version = std::env::var("VERSION").unwrap_or_else(|_| "v1".to_owned());
    let pod = std::env::var("HOSTNAME").unwrap_or_default();
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut path = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if path.is_empty() {
                path = line.split(' ').nth(1)?.to_owned();
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let (status, body) = answer(&path, &version, &writer)?;
        let kind = if path == "/metrics" { "text/plain" } else { "application/json" };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nx-model-version: {version}\r\nx-served-by: {pod}\r\ncontent-length: {}",
            body.len()
        );
        writer.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).ok()?;
    }
}
