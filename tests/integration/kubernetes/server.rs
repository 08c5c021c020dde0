//! The service under test: answers every request with its version. Compiled by
//! the tests with nothing but rustc, so that its image is small.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};

fn main() {
    let listener = TcpListener::bind("0.0.0.0:8000").expect("a port");
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
}

/// One connection, kept alive until its client is done.
fn serve(stream: TcpStream) -> Option<()> {
    let version = std::env::var("VERSION").unwrap_or_else(|_| "v1".to_owned());
    let fails = std::env::var("FAIL").is_ok();
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let (status, body) =
            if fails { ("500 Oops", "{}".to_owned()) } else { ("200 OK", format!("{{\"version\":\"{version}\"}}")) };
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        writer.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).ok()?;
    }
}
