//! One connection through a link: bytes both ways, through a line each.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Notify, watch},
    time::{sleep_until, timeout},
};

use super::{
    api::{Stream, Toxic},
    line::{Head, Line, Payload, Toxics},
    link::Link,
    toxic::ActiveToxic,
};

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;
/// Bytes that may be on their way in one direction; the sender feels it when
/// there are more.
const MOST_HELD: usize = 256 * 1024;
/// How long a client that got its last byte may take to hang up.
const HANG_UP_WITHIN: Duration = Duration::from_secs(1);

/// Why a connection ends before both sides have finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// One side broke it, or a toxic does: both sides get a reset.
    Reset,
    /// A limit on this direction: its receiver gets a clean end.
    Limit(Stream),
}

/// Carries a client's connection until it ends.
pub(super) async fn carry(link: &Link, mut client: TcpStream) {
    let open = async {
        link.passable().await;
        TcpStream::connect(link.upstream()).await.ok()
    };
    let upstream = tokio::select! {
        upstream = open => upstream,
        () = link.closed() => None,
    };
    let Some(mut upstream) = upstream else {
        reset(&client);
        return;
    };
    // Small chunks must not wait for each other. A socket that can't do this
    // is closed already, which the first read will tell.
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));

    let (from_client, to_client) = client.split();
    let (from_upstream, to_upstream) = upstream.split();
    let fuse = Fuse::default();
    let both = async {
        tokio::try_join!(
            pump(link, Stream::Upstream, from_client, to_upstream, &fuse),
            pump(link, Stream::Downstream, from_upstream, to_client, &fuse),
        )
    };
    let ended = tokio::select! {
        ended = both => ended.map(|_| ()),
        cut = fuse.burn(link.toxics()) => Err(cut),
        () = link.closed() => Err(Cut::Reset),
    };
    match ended {
        Ok(()) => {}
        Err(Cut::Reset) => {
            reset(&client);
            reset(&upstream);
        }
        Err(Cut::Limit(stream)) => {
            let mut receiver = match stream {
                Stream::Upstream => upstream,
                Stream::Downstream => client,
            };
            // Closing over unread bytes would be a reset, and lose the last
            // ones. Whatever the receiver still says goes nowhere.
            let mut nowhere = tokio::io::sink();
            let _ = timeout(HANG_UP_WITHIN, tokio::io::copy(&mut receiver, &mut nowhere)).await;
        }
    }
}

/// Makes the socket's close a reset.
fn reset(socket: &TcpStream) {
    // It fails only on a socket that is gone.
    let _ = socket.set_zero_linger();
}

/// Copies one direction until its end.
async fn pump(
    link: &Link,
    stream: Stream,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    fuse: &Fuse,
) -> Result<(), Cut> {
    let mut changes = link.toxics();
    let mut line = Line::new(stream);
    let mut buffer = vec![0; CHUNK];
    let mut ended = false;
    loop {
        let toxics = Arc::clone(&changes.borrow_and_update());
        let head = line.head(&toxics);
        if matches!(head, Head::Due(due) if due <= Instant::now()) {
            let payload = line.pop(Instant::now());
            if deliver(link, stream, payload, &mut to).await? {
                return Ok(());
            }
            continue;
        }
        let due = async {
            match head {
                Head::Due(due) => sleep_until(due.into()).await,
                Head::Empty | Head::Held => std::future::pending().await,
            }
        };
        let received = tokio::select! {
            received = from.read(&mut buffer), if !ended && line.bytes() < MOST_HELD => received,
            () = due => continue,
            // Where nothing is on its way, the next bytes will see the change.
            changed = changes.changed(), if !line.is_empty() => match changed {
                Ok(()) => continue,
                Err(_) => return Err(Cut::Reset),
            },
        };
        let toxics = Arc::clone(&changes.borrow_and_update());
        match received {
            Ok(n) if n > 0 && line.is_free(&toxics) => {
                to.write_all(&buffer[..n]).await.map_err(|_| Cut::Reset)?;
                link.delivered(stream, n);
            }
            Ok(n) if n > 0 => {
                let now = Instant::now();
                fuse.light(stream, &toxics, now)?;
                line.push(Payload::Data(Bytes::copy_from_slice(&buffer[..n])), &toxics, now);
            }
            end => {
                ended = true;
                let end = if end.is_ok() { Payload::Eof } else { Payload::Broken };
                line.push(end, &toxics, Instant::now());
            }
        }
    }
}

/// Hands over what came out of a line. True: that was the end.
async fn deliver(
    link: &Link,
    stream: Stream,
    payload: Option<Payload>,
    to: &mut WriteHalf<'_>,
) -> Result<bool, Cut> {
    match payload {
        None => Ok(false),
        Some(Payload::Data(bytes)) => {
            to.write_all(&bytes).await.map_err(|_| Cut::Reset)?;
            link.delivered(stream, bytes.len());
            Ok(false)
        }
        Some(Payload::Eof) => {
            to.shutdown().await.map_err(|_| Cut::Reset)?;
            Ok(true)
        }
        Some(Payload::Broken) => Err(Cut::Reset),
        Some(Payload::Limit) => {
            to.shutdown().await.map_err(|_| Cut::Reset)?;
            Err(Cut::Limit(stream))
        }
    }
}

/// A reset that is due some time after a byte.
#[derive(Debug, Default)]
struct Fuse {
    lit: Mutex<Vec<(Instant, Arc<ActiveToxic>)>>,
    news: Notify,
}

impl Fuse {
    fn lit(&self) -> MutexGuard<'_, Vec<(Instant, Arc<ActiveToxic>)>> {
        self.lit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes have come: starts the time of resets that wait for the first.
    fn light(&self, stream: Stream, toxics: &Toxics, now: Instant) -> Result<(), Cut> {
        for toxic in toxics.iter().filter(|toxic| toxic.acts_on(stream) && toxic.is_active()) {
            let Toxic::ResetPeer { after_ms } = toxic.spec.toxic else { continue };
            if self.lit().iter().any(|(_, lit)| lit.serial == toxic.serial) {
                continue;
            }
            if after_ms == 0 {
                toxic.noticed(now);
                toxic.affected();
                return Err(Cut::Reset);
            }
            toxic.untouched();
            self.lit().push((now + Duration::from_millis(after_ms), Arc::clone(toxic)));
            self.news.notify_one();
        }
        Ok(())
    }

    /// Waits for the first reset whose toxic is still there when it is due.
    async fn burn(&self, mut changes: watch::Receiver<Toxics>) -> Cut {
        loop {
            let first = {
                let mut lit = self.lit();
                lit.retain(|(_, toxic)| toxic.is_active());
                lit.iter().min_by_key(|(at, _)| *at).cloned()
            };
            let due = async {
                match &first {
                    Some((at, _)) => sleep_until((*at).into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {
                    if let Some((at, toxic)) = first.as_ref().filter(|(_, toxic)| toxic.is_active()) {
                        toxic.noticed(*at);
                        toxic.affected();
                        return Cut::Reset;
                    }
                }
                () = self.news.notified() => {}
                changed = changes.changed() => if changed.is_err() { return Cut::Reset },
            }
        }
    }
}
