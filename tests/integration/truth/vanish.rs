//! What can't be done to every 5th request: servers that go away for good
//! after the 40th, and a person who gives up.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use firedrill::journal::interval::Outcome;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    case::{Case, TOKENS},
    write::{head_with, stream},
};
use crate::{
    drill::{Drilled, command},
    support::Folder,
};

/// Requests that are answered.
const ANSWERED: u32 = 40;

fn scenario(address: SocketAddr, name: &str, users: u32, timeout: &str) -> String {
    format!(
        "version: 1\nname: truth\nseed: 1\ntarget: {{ url: \"http://{address}\" }}\nworkloads:\n  {name}:\n    endpoint: {{ \
         openai-chat: {{ model: demo, stream: true }} }}\n    timeout: {timeout}\n    idle-timeout: {timeout}\n    prompts: {{ \
         synthetic: {{ input-tokens: 8, output-tokens: {TOKENS} }} }}\nload:\n  - {{ name: a, workload: {name}, closed: {{ users: \
         {users}, requests: 50 }} }}\nslos:\n  - {{ availability: \">= 90%\" }}\n"
    )
}

/// Reads one request. Whether it is the load's; None: the client went away.
fn read(stream: &mut TcpStream) -> Option<bool> {
    let mut io = BufReader::new(stream);
    let (mut length, mut probe) = (0, false);
    loop {
        let mut line = String::new();
        if io.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().expect("a length"),
            Some(("x-firedrill-probe", _)) => probe = true,
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    io.read_exact(&mut vec![0; length]).ok()?;
    Some(!probe)
}

/// Answers as it should be, and announces that the connection ends.
fn answer(client: &mut TcpStream) {
    let answer = head_with("connection: close\r\n") + &stream();
    // A client that went away is counted by its own side.
    drop(client.write_all(answer.as_bytes()));
}

/// The server answers one request after the other, 40 of them. Before the
/// last answer, it closes its port, or lets its backlog run full, so that the
/// last ten are refused or never accepted.
pub(super) fn gone(outcome: Outcome) -> (Case, Drilled) {
    let refused = outcome == Outcome::ConnectRefused;
    let (name, how, timeout) = if refused {
        ("refused", "the port is closed after 40 of 50 requests", "10s")
    } else {
        ("backlog", "nobody accepts after 40 of 50 requests, and the backlog is full", "2s")
    };
    let drilled = Drilled::conclusive(|| {
        let listener = impatient_listener();
        let address = listener.local_addr().expect("an address");
        let server = thread::spawn(move || serve_some(listener, address, refused));
        let drilled = Drilled::run(&scenario(address, name, 1, timeout));
        // What it holds is let go; where the run ended before it began, it
        // still waits for a connection.
        drop(server);
        drilled
    });
    (Case::stream(name, how, (outcome, ""), Vec::new()), drilled)
}

/// What keeps the port from being free, or from accepting.
type Held = (Option<TcpListener>, Vec<TcpStream>);

fn serve_some(listener: TcpListener, address: SocketAddr, refused: bool) -> Held {
    let mut held: Held = (Some(listener), Vec::new());
    let mut answered = 0;
    while let Some(listener) = &held.0 {
        let (mut stream, _) = listener.accept().expect("a connection");
        let Some(counts) = read(&mut stream) else { continue };
        answered += u32::from(counts);
        if answered < ANSWERED {
            answer(&mut stream);
            continue;
        }
        if refused {
            held.0 = None;
        } else {
            while let Ok(one) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
                held.1.push(one);
            }
        }
        answer(&mut stream);
        break;
    }
    held
}

/// A backlog of one, which std can't ask for. Needs a runtime around it.
fn impatient_listener() -> TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(1).expect("it listens").into_std().expect("a listener");
    listener.set_nonblocking(false).expect("a listener");
    listener
}

/// 50 users, one request each: every 5th gets no end. Once the others have
/// theirs, the run is interrupted as Ctrl-C does.
pub(super) fn given_up() -> (Case, Drilled) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let folder = Folder::new();
    let child = command(&folder, &scenario(address, "given-up", 50, "300s")).spawn().expect("it starts");
    let pid = child.id();
    thread::spawn(move || serve(&listener, pid));
    let out = Child::wait_with_output(child).expect("it ends");
    let how = "every 5th gets no end; SIGINT once the others have theirs";
    (Case::stream("given-up", how, (Outcome::Cancelled, ""), Vec::new()), Drilled::of(folder, &out))
}

fn serve(listener: &TcpListener, pid: u32) {
    let (asked, over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    while let Ok((mut stream, _)) = listener.accept() {
        let (asked, over) = (asked.clone(), over.clone());
        thread::spawn(move || {
            let Some(counts) = read(&mut stream) else { return };
            let hangs = counts && (asked.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(5);
            if !hangs {
                answer(&mut stream);
                drop(stream.shutdown(std::net::Shutdown::Write));
            }
            if counts && !hangs {
                // The client closes once it has read all.
                drop(stream.read(&mut [0]));
                over.fetch_add(1, Ordering::SeqCst);
            }
            if asked.load(Ordering::SeqCst) == 50 && over.load(Ordering::SeqCst) == ANSWERED {
                kill(Pid::from_raw(pid.cast_signed()), Signal::SIGINT).expect("it is there");
            }
            if hangs {
                drop(stream.read(&mut [0]));
            }
        });
    }
}
