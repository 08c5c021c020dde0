//! A link: a listener, where its bytes go, and the toxics on it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    api::{LinkStatus, NewLink, NewToxic, Stream, ToxicStatus},
    line::Toxics,
    pump,
    toxic::ActiveToxic,
};

/// Pause after a connection could not be accepted (out of descriptors).
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);

/// A link in service.
#[derive(Debug)]
pub(super) struct Link {
    new: NewLink,
    listen: SocketAddr,
    connections: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
    serials: AtomicU64,
    toxics: watch::Sender<Toxics>,
    closed: CancellationToken,
}

impl Link {
    /// Listens and carries what comes.
    pub(super) async fn open(new: NewLink) -> std::io::Result<Arc<Self>> {
        let listener = TcpListener::bind(new.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into())).await?;
        let link = Arc::new(Self {
            new,
            listen: listener.local_addr()?,
            connections: AtomicU64::new(0),
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
            serials: AtomicU64::new(0),
            toxics: watch::Sender::new(Toxics::from([])),
            closed: CancellationToken::new(),
        });
        tokio::spawn(Arc::clone(&link).accept(listener));
        Ok(link)
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.closed.cancelled() => return,
            };
            match accepted {
                Ok((client, _)) => {
                    self.connections.fetch_add(1, Ordering::Relaxed);
                    let link = Arc::clone(&self);
                    tokio::spawn(async move { pump::carry(&link, client).await });
                }
                Err(_) => sleep(ACCEPT_AGAIN).await,
            }
        }
    }

    /// Listens no more and breaks its connections.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Resolves when the link is closed.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(super) fn upstream(&self) -> SocketAddr {
        self.new.upstream
    }

    /// The toxics, now and as they change.
    pub(super) fn toxics(&self) -> watch::Receiver<Toxics> {
        self.toxics.subscribe()
    }

    /// Counts bytes that were handed over.
    pub(super) fn delivered(&self, stream: Stream, bytes: usize) {
        let count = match stream {
            Stream::Upstream => &self.bytes_up,
            Stream::Downstream => &self.bytes_down,
        };
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Waits while a connection can't be set up: a handshake needs both ways.
    pub(super) async fn passable(&self) {
        let mut changes = self.toxics();
        let started = Instant::now();
        let mut held = Vec::<Arc<ActiveToxic>>::new();
        loop {
            let gates: Vec<_> = changes
                .borrow_and_update()
                .iter()
                .filter(|toxic| toxic.is_gate() && toxic.is_active())
                .map(Arc::clone)
                .collect();
            if gates.is_empty() {
                break;
            }
            for gate in gates {
                if !held.iter().any(|known| known.serial == gate.serial) {
                    gate.noticed(Instant::now());
                    gate.affected();
                    held.push(gate);
                }
            }
            if changes.changed().await.is_err() {
                break;
            }
        }
        held.iter().for_each(|gate| gate.delayed(started.elapsed()));
    }

    /// Puts a toxic in place, over one with the same id.
    pub(super) fn put(self: &Arc<Self>, id: &str, spec: NewToxic) -> ToxicStatus {
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let ttl = spec.ttl_ms;
        let toxic = Arc::new(ActiveToxic::new(id.to_owned(), serial, spec, Instant::now()));
        let status = toxic.status();
        self.swap(|other| other.id == id, Some(toxic));
        if let Some(ttl) = ttl {
            let link = Arc::clone(self);
            tokio::spawn(async move {
                tokio::select! {
                    () = sleep(Duration::from_millis(ttl)) => drop(link.swap(|t| t.serial == serial, None)),
                    () = link.closed() => {}
                }
            });
        }
        status
    }

    /// Takes a toxic away. Says what it did.
    pub(super) fn take_back(&self, id: &str) -> Option<ToxicStatus> {
        self.swap(|toxic| toxic.id == id, None).first().map(|toxic| toxic.status())
    }

    /// Replaces the toxics that `out` picks by `new`. Returns them.
    fn swap(
        &self,
        out: impl Fn(&ActiveToxic) -> bool,
        new: Option<Arc<ActiveToxic>>,
    ) -> Vec<Arc<ActiveToxic>> {
        let mut removed = Vec::new();
        self.toxics.send_modify(|toxics| {
            let (gone, stay): (Vec<_>, Vec<_>) = toxics.iter().cloned().partition(|toxic| out(toxic));
            *toxics = stay.into_iter().chain(new).collect();
            removed = gone;
            removed.iter().for_each(|toxic| toxic.remove());
        });
        removed
    }

    pub(super) fn status(&self) -> LinkStatus {
        LinkStatus {
            name: self.new.name.clone(),
            listen: self.listen,
            upstream: self.new.upstream,
            connections: self.connections.load(Ordering::Relaxed),
            bytes_up: self.bytes_up.load(Ordering::Relaxed),
            bytes_down: self.bytes_down.load(Ordering::Relaxed),
            toxics: self.toxics.borrow().iter().map(|toxic| toxic.status()).collect(),
        }
    }
}
