//! The proxy's toxics on real sockets.

use std::{
    future::Future,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use firedrill::{
    chaos::proxy::{
        ProxyConfig,
        api::{self, LinkStatus, NewLink, NewToxic, Stream, Toxic, ToxicStatus},
    },
    lab::api::Listening,
    process::{self, Child},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::support::exe;

/// How long a thing may take that must happen at all.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// A proxy process with one link to an upstream of the test.
struct Rig {
    _proxy: Child,
    http: reqwest::Client,
    admin: String,
    link: SocketAddr,
    upstream: TcpListener,
}

impl Rig {
    async fn start() -> Self {
        let (proxy, Listening { listening }) =
            process::spawn(exe(), api::COMMAND, &ProxyConfig {}, None).await.expect("the proxy starts");
        let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let new = NewLink {
            name: "pod".to_owned(),
            listen: None,
            upstream: upstream.local_addr().expect("an address"),
        };
        let http = reqwest::Client::new();
        let admin = format!("http://{listening}");
        let link: LinkStatus = http
            .post(format!("{admin}/links"))
            .json(&new)
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("a link");
        Self { _proxy: proxy, http, admin, link: link.listen, upstream }
    }

    /// A connection through the link: the client's end and the upstream's.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.link).await.expect("the link accepts");
        let (upstream, _) = soon("a connection upstream", self.upstream.accept()).await.expect("accepted");
        (client, upstream)
    }

    fn toxic_url(&self) -> String {
        format!("{}/links/pod/toxics/t", self.admin)
    }

    async fn put(&self, stream: Stream, toxic: Toxic) {
        self.put_for(stream, toxic, None).await;
    }

    async fn put_for(&self, stream: Stream, toxic: Toxic, ttl_ms: Option<u64>) {
        let toxic = NewToxic { stream, toxic, ttl_ms, seed: 1 };
        let answer = self.http.put(self.toxic_url()).json(&toxic).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
    }

    async fn take_back(&self) -> ToxicStatus {
        let answer = self.http.delete(self.toxic_url()).send().await.expect("an answer");
        answer.json().await.expect("the toxic's last status")
    }

    async fn status(&self) -> LinkStatus {
        let answer = self.http.get(format!("{}/links/pod", self.admin)).send().await.expect("an answer");
        answer.json().await.expect("the link's status")
    }

    async fn toxic(&self) -> ToxicStatus {
        self.status().await.toxics.into_iter().next().expect("a toxic is in place")
    }

    /// Polls until the toxic's figures satisfy `done`.
    async fn until(&self, what: &str, done: impl Fn(&ToxicStatus) -> bool) -> ToxicStatus {
        soon(what, async {
            loop {
                let toxic = self.toxic().await;
                if done(&toxic) {
                    return toxic;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 % 251) as u8).collect()
}

/// Sends all, then hangs up.
fn send_all(mut from: TcpStream, data: Vec<u8>) -> JoinHandle<TcpStream> {
    tokio::spawn(async move {
        from.write_all(&data).await.expect("sent");
        from.shutdown().await.expect("shut down");
        from
    })
}

async fn receive_all(to: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut got = Vec::new();
    soon("the end of the stream", to.read_to_end(&mut got)).await.map(|_| got)
}

async fn receive(to: &mut TcpStream, n: usize) -> Vec<u8> {
    let mut got = vec![0; n];
    soon("bytes", to.read_exact(&mut got)).await.expect("received");
    got
}

#[tokio::test]
async fn a_link_carries_every_byte_both_ways_and_counts_them() {
    let rig = Rig::start().await;
    let (client, mut upstream) = rig.connect().await;
    let data = bytes(3_000_000);
    let mut client = {
        let sending = send_all(client, data.clone());
        assert!(receive_all(&mut upstream).await.expect("all") == data);
        sending.await.expect("sent")
    };
    let sending = send_all(upstream, data.clone());
    assert!(receive_all(&mut client).await.expect("all") == data);
    sending.await.expect("sent");
    let status = rig.status().await;
    assert_eq!((status.connections, status.bytes_up, status.bytes_down), (1, 3_000_000, 3_000_000));
}

#[tokio::test]
async fn latency_delays_each_chunk_keeps_their_order_and_measures_itself() {
    let rig = Rig::start().await;
    let (mut client, mut upstream) = rig.connect().await;
    rig.put(Stream::Downstream, Toxic::Latency { latency_ms: 50, jitter_ms: 40, correlation: 0.0 }).await;
    let sent = Instant::now();
    for chunk in bytes(400).chunks(10) {
        upstream.write_all(chunk).await.expect("sent");
        tokio::task::yield_now().await;
    }
    assert_eq!(receive(&mut client, 400).await, bytes(400));
    assert!(sent.elapsed() >= Duration::from_millis(10));
    let toxic = rig.toxic().await;
    assert!(toxic.affected >= 1 && toxic.untouched == 0, "{toxic:?}");
    assert!(toxic.added_delay_us >= toxic.affected * 10_000, "{toxic:?}");
    assert!(toxic.first_affected_ms.is_some_and(|first| first <= toxic.age_ms), "{toxic:?}");

    // The other direction is not touched.
    client.write_all(b"up").await.expect("sent");
    assert_eq!(receive(&mut upstream, 2).await, b"up");
    assert_eq!(rig.toxic().await.affected, toxic.affected);
}

#[tokio::test]
async fn latency_never_delivers_early() {
    let rig = Rig::start().await;
    let (mut client, mut upstream) = rig.connect().await;
    rig.put(Stream::Upstream, Toxic::Latency { latency_ms: 60, jitter_ms: 0, correlation: 0.0 }).await;
    for _ in 0..5 {
        let sent = Instant::now();
        client.write_all(b"x").await.expect("sent");
        receive(&mut upstream, 1).await;
        assert!(sent.elapsed() >= Duration::from_millis(60));
    }
    let toxic = rig.toxic().await;
    assert_eq!(toxic.affected, 5);
    assert!(toxic.added_delay_us >= 300_000, "{toxic:?}");
}

#[tokio::test]
async fn a_partition_holds_bytes_and_connections_and_frees_them_when_it_ends() {
    let rig = Rig::start().await;
    for stream in [Stream::Upstream, Stream::Downstream] {
        let (mut client, mut upstream) = rig.connect().await;
        rig.put(stream, Toxic::Partition).await;
        let (from, to) = match stream {
            Stream::Upstream => (&mut client, &mut upstream),
            Stream::Downstream => (&mut upstream, &mut client),
        };
        from.write_all(b"held").await.expect("sent");
        rig.until("held bytes", |toxic| toxic.affected == 1).await;
        let mut second = TcpStream::connect(rig.link).await.expect("the kernel accepts");
        rig.until("a held connection", |toxic| toxic.affected == 2).await;
        assert_eq!(to.try_read(&mut [0; 9]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        second.write_all(b"hello").await.expect("sent");

        assert_eq!(rig.take_back().await.affected, 2);
        assert_eq!(receive(to, 4).await, b"held");
        let (mut other, _) = soon("the held connection", rig.upstream.accept()).await.expect("accepted");
        assert_eq!(receive(&mut other, 5).await, b"hello");
    }
}

#[tokio::test]
async fn taking_a_toxic_away_frees_what_it_holds_at_once() {
    let rig = Rig::start().await;
    for toxic in [
        Toxic::Latency { latency_ms: 3_600_000, jitter_ms: 0, correlation: 0.0 },
        Toxic::Bandwidth { bytes_per_second: 1 },
        Toxic::Loss { probability: 1.0, correlation: 0.0 },
    ] {
        let (client, mut upstream) = rig.connect().await;
        rig.put(Stream::Upstream, toxic).await;
        let data = bytes(200_000);
        let sending = send_all(client, data.clone());
        rig.until("an effect", |toxic| toxic.first_affected_ms.is_some()).await;
        rig.take_back().await;
        assert!(receive_all(&mut upstream).await.expect("all") == data);
        sending.await.expect("sent");
    }
}

#[tokio::test]
async fn a_toxic_ends_by_itself_when_nobody_takes_it_back() {
    let rig = Rig::start().await;
    let (mut client, mut upstream) = rig.connect().await;
    rig.put_for(Stream::Upstream, Toxic::Partition, Some(300)).await;
    client.write_all(b"held").await.expect("sent");
    assert_eq!(receive(&mut upstream, 4).await, b"held");
    assert_eq!(rig.status().await.toxics, []);
}

#[tokio::test]
async fn losses_come_late_but_come() {
    let rig = Rig::start().await;
    let (mut client, mut upstream) = rig.connect().await;
    rig.put(Stream::Upstream, Toxic::Loss { probability: 0.5, correlation: 0.0 }).await;
    let mut sent = 0;
    soon("both a loss and a passage", async {
        loop {
            let (since, before) = (Instant::now(), rig.toxic().await);
            client.write_all(&[sent]).await.expect("sent");
            assert_eq!(receive(&mut upstream, 1).await, [sent]);
            sent += 1;
            let after = rig.toxic().await;
            if after.affected > before.affected {
                assert!(since.elapsed() >= Duration::from_millis(200));
                assert!(after.added_delay_us - before.added_delay_us >= 200_000, "{after:?}");
            }
            if after.affected > 0 && after.untouched > 0 {
                break;
            }
        }
    })
    .await;
    assert_eq!(rig.toxic().await.affected + rig.toxic().await.untouched, u64::from(sent));
}

#[tokio::test]
async fn bandwidth_is_never_exceeded() {
    let rig = Rig::start().await;
    let (mut client, upstream) = rig.connect().await;
    rig.put(Stream::Downstream, Toxic::Bandwidth { bytes_per_second: 100_000 }).await;
    let sent = Instant::now();
    let sending = send_all(upstream, bytes(40_000));
    assert!(receive_all(&mut client).await.expect("all") == bytes(40_000));
    assert!(sent.elapsed() >= Duration::from_millis(400));
    sending.await.expect("sent");
}

#[tokio::test]
async fn a_reset_is_seen_as_a_reset_on_both_sides() {
    let rig = Rig::start().await;
    for after_ms in [0, 80] {
        let (mut client, mut upstream) = rig.connect().await;
        rig.put(Stream::Downstream, Toxic::ResetPeer { after_ms }).await;
        // Bytes of the request light no fuse.
        client.write_all(b"ask").await.expect("sent");
        assert_eq!(receive(&mut upstream, 3).await, b"ask");
        let sent = Instant::now();
        upstream.write_all(b"answer").await.expect("sent");
        let got = receive_all(&mut client).await.map_err(|error| error.kind());
        assert_eq!(got, Err(ErrorKind::ConnectionReset));
        assert!(sent.elapsed() >= Duration::from_millis(after_ms));
        let got = receive_all(&mut upstream).await.map_err(|error| error.kind());
        assert_eq!(got, Err(ErrorKind::ConnectionReset));
        assert_eq!(rig.take_back().await.affected, 1);
    }
}

#[tokio::test]
async fn limited_data_ends_cleanly_after_exactly_so_many_bytes() {
    let rig = Rig::start().await;
    let (mut client, mut upstream) = rig.connect().await;
    rig.put(Stream::Downstream, Toxic::LimitData { bytes: 100_000 }).await;
    client.write_all(b"ask").await.expect("sent");
    receive(&mut upstream, 3).await;
    let sending = tokio::spawn(async move {
        // It may break off: nobody wants the rest.
        let _ = upstream.write_all(&bytes(900_000)).await;
    });
    assert!(receive_all(&mut client).await.expect("a clean end") == bytes(100_000));
    assert_eq!(rig.toxic().await.affected, 1);
    drop(client);
    soon("the sender's end", sending).await.expect("ended");
}

#[tokio::test]
async fn slices_have_the_size_that_was_asked() {
    let rig = Rig::start().await;
    let (mut client, mut upstream) = rig.connect().await;
    rig.put(Stream::Downstream, Toxic::Slicer { average_size: 7, delay_ms: 40 }).await;
    let sent = Instant::now();
    upstream.write_all(&bytes(35)).await.expect("sent");
    let mut got = Vec::new();
    let mut reads = 0;
    while got.len() < 35 {
        let mut buffer = [0; 64];
        let n = soon("a slice", client.read(&mut buffer)).await.expect("read");
        got.extend_from_slice(&buffer[..n]);
        reads += 1;
    }
    assert_eq!(got, bytes(35));
    assert!(reads > 1 && sent.elapsed() >= Duration::from_millis(160), "{reads} reads");
    assert_eq!(rig.toxic().await.affected, 4);
}

#[tokio::test]
async fn a_dead_upstream_shows_as_a_reset_and_a_broken_one_too() {
    let Rig { _proxy: proxy, http, admin, link, upstream } = Rig::start().await;
    let mut client = TcpStream::connect(link).await.expect("the link accepts");
    let (broken, _) = soon("a connection", upstream.accept()).await.expect("accepted");
    broken.set_zero_linger().expect("set");
    drop(broken);
    let got = receive_all(&mut client).await.map_err(|error| error.kind());
    assert_eq!(got, Err(ErrorKind::ConnectionReset));

    drop(upstream);
    // The reset may come before the connection is even looked at.
    let got = match TcpStream::connect(link).await {
        Ok(mut client) => receive_all(&mut client).await,
        Err(error) => Err(error),
    };
    assert_eq!(got.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));

    let closed = http.delete(format!("{admin}/links/pod")).send().await.expect("an answer");
    assert!(closed.status().is_success());
    soon("the listener's end", async {
        while TcpStream::connect(link).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(http.get(format!("{admin}/links/pod")).send().await.expect("an answer").status(), 404);
    drop(proxy);
}

#[tokio::test]
async fn the_proxy_ends_with_its_parent() {
    let (proxy, Listening { listening }) =
        process::spawn(exe(), api::COMMAND, &ProxyConfig {}, None).await.expect("the proxy starts");
    let status = proxy.stop(PATIENCE).await.expect("it ends");
    assert!(status.success(), "{status}");
    assert!(TcpStream::connect(listening).await.is_err());
}
