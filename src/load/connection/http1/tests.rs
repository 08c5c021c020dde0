//! A connection against a server that does as it is told, byte by byte.

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::load::connection::Shape;

/// Both ends of a connection.
async fn pair() -> (Http1, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (Http1::new(Stream::Plain(client.expect("a connection"))), server.expect("a connection").0)
}

fn shape(method: Method) -> Shape {
    Shape::new(method, "/".parse().expect("a URI"), HeaderMap::new())
}

async fn send(connection: &mut Http1, body: &'static [u8]) -> Result<Head, Failed> {
    let (shape, body) = (shape(Method::POST), Bytes::from_static(body));
    connection.send(&Outgoing { shape: &shape, uri: None, headers: [&[], &[]], body: &body }, false).await
}

async fn text(connection: &mut Http1) -> Result<String, End> {
    let mut all = Vec::new();
    while let Some(range) = connection.body().await? {
        all.extend_from_slice(connection.input(range));
    }
    Ok(String::from_utf8(all).expect("text"))
}

/// What is read of an answer, and whether another request may follow.
async fn answered(answer: &[u8]) -> (Result<String, End>, bool) {
    let (mut client, mut server) = pair().await;
    let serve = async {
        assert!(server.read(&mut [0; 1024]).await.expect("a request") > 0);
        server.write_all(answer).await.expect("it writes");
        server.shutdown().await.expect("it closes");
    };
    let ask = async {
        match send(&mut client, b"{}").await {
            Ok(_) => text(&mut client).await,
            Err(Failed::Broken(end)) => Err(end),
            Err(other) => panic!("{other:?}"),
        }
    };
    let ((), read) = tokio::join!(serve, ask);
    (read, client.is_free())
}

#[tokio::test]
async fn the_end_of_an_answer_is_told_apart_from_its_being_cut() {
    let ok = |text: &str, free| (Ok(text.to_owned()), free);
    let head = "HTTP/1.1 200 OK\r\n";
    let with = |rest: &str| format!("{head}{rest}").into_bytes();
    assert_eq!(answered(&with("content-length: 2\r\n\r\nab")).await, ok("ab", true));
    assert_eq!(
        answered(&with("transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")).await,
        ok("ab", true)
    );
    assert_eq!(answered(&with("\r\nab")).await, ok("ab", false), "its end is the connection's");
    assert_eq!(answered(&with("content-length: 2\r\n\r\nabc")).await, ok("ab", false), "more than it said");
    for cut in
        ["content-length: 3\r\n\r\nab", "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n", "content-le", ""]
    {
        let (read, free) = answered(&with(cut)).await;
        assert!(matches!(&read, Err(End::Cut(_))) && !free, "{cut:?}: {read:?}");
    }
    let (read, _) = answered(&with("transfer-encoding: chunked\r\n\r\n2\r\nabc")).await;
    assert!(matches!(&read, Err(End::Malformed(why)) if why.contains("line end")), "{read:?}");
    let (read, _) = answered(b"hello\r\n\r\n").await;
    assert!(matches!(&read, Err(End::Malformed(why)) if why.starts_with("not HTTP")), "{read:?}");
}

#[tokio::test]
async fn long_answers_come_whole() {
    let (mut client, mut server) = pair().await;
    let long: String = (0..50_000).map(|n| format!("{n},")).collect();
    let head =
        format!("HTTP/1.1 200 OK\r\nx-long: {}\r\ncontent-length: {}\r\n\r\n", "h".repeat(9000), long.len());
    let serve = async {
        assert!(server.read(&mut [0; 1024]).await.expect("a request") > 0);
        server.write_all(&[head.as_bytes(), long.as_bytes()].concat()).await.expect("it writes");
    };
    let ask = async {
        let head = send(&mut client, b"{}").await.expect("an answer");
        assert_eq!(head.headers["x-long"].len(), 9000);
        text(&mut client).await
    };
    let ((), read) = tokio::join!(serve, ask);
    assert_eq!(read, Ok(long));
    assert!(client.is_free());
}

#[tokio::test]
async fn what_was_closed_between_two_requests_sends_nothing() {
    let (mut client, server) = pair().await;
    drop(server);
    // The news is here when it can be read.
    while std::future::poll_fn(|cx| Poll::Ready(client.poll_read(cx))).await.is_pending() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(send(&mut client, b"{}").await, Err(Failed::NotSent)));
}

#[tokio::test]
async fn an_early_answer_to_a_long_request_counts() {
    let (mut client, mut server) = pair().await;
    static LONG: [u8; 32 << 20] = [b'x'; 32 << 20];
    let serve = async {
        assert!(server.read(&mut [0; 1024]).await.expect("a request") > 0);
        let answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig";
        server.write_all(answer).await.expect("it writes");
    };
    let ask = async {
        let head = send(&mut client, &LONG).await.expect("an answer");
        (head.status, text(&mut client).await)
    };
    let ((), answer) = tokio::join!(serve, ask);
    assert_eq!(answer, (413, Ok("big".to_owned())));
    assert!(!client.is_free(), "the rest of the request was not sent");
}
