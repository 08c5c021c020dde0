//! Request coalescing: of concurrent misses of one key only the first goes
//! upstream; the others read along from its answer as it comes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Instant,
};

use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::watch;

use super::cache::Key;
use crate::units::{PodName, Version};

/// What those who read along need of an answer's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SharedHead {
    /// Its content type.
    pub(super) content_type: Option<HeaderValue>,
    /// The version that gives it.
    pub(super) version: Version,
    /// The pod that gives it.
    pub(super) pod: PodName,
    /// Whether that is a fallback.
    pub(super) fallback: bool,
}

/// An answer so far.
#[derive(Debug, Default)]
struct Progress {
    head: Option<SharedHead>,
    chunks: Vec<Bytes>,
    whole: bool,
}

type Live = watch::Sender<Progress>;

/// The answers under way.
#[derive(Debug, Default)]
pub(super) struct Coalescing {
    // Weak: an answer is under way as long as someone brings it.
    live: Mutex<HashMap<Key, Weak<Live>>>,
}

/// What a miss becomes.
#[derive(Debug)]
pub(super) enum Role {
    /// The one that goes upstream.
    Leader(Publisher),
    /// One that reads along.
    Follower(Follower),
}

impl Coalescing {
    /// Joins the answer under way for `key`, or becomes the one to bring it.
    pub(super) fn join(self: &Arc<Self>, key: &Key) -> Role {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = live.get(key).and_then(Weak::upgrade) {
            return Role::Follower(Follower { progress: sender.subscribe(), next: 0 });
        }
        let publisher = Publisher {
            key: key.clone(),
            since: Instant::now(),
            live: Arc::new(watch::Sender::new(Progress::default())),
            table: Some(Arc::clone(self)),
        };
        live.insert(key.clone(), Arc::downgrade(&publisher.live));
        Role::Leader(publisher)
    }
}

/// The leader's end. Dropped before the answer is whole, it has failed.
#[derive(Debug)]
pub(super) struct Publisher {
    key: Key,
    since: Instant,
    live: Arc<Live>,
    table: Option<Arc<Coalescing>>,
}

impl Publisher {
    /// One that nobody reads along with.
    pub(super) fn alone(key: Key) -> Self {
        Self {
            key,
            since: Instant::now(),
            live: Arc::new(watch::Sender::new(Progress::default())),
            table: None,
        }
    }

    /// What the answer is for.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// When somebody first looked for it.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// The answer has begun.
    pub(super) fn head(&self, head: SharedHead) {
        self.live.send_modify(|progress| progress.head = Some(head));
    }

    /// It goes on.
    pub(super) fn chunk(&self, chunk: &Bytes) {
        self.live.send_modify(|progress| progress.chunks.push(chunk.clone()));
    }

    /// It is whole. Call it once it can be found in the cache.
    pub(super) fn whole(&self) {
        self.live.send_modify(|progress| progress.whole = true);
    }

    /// All of the body so far.
    pub(super) fn body(&self) -> Bytes {
        self.live.borrow().chunks.concat().into()
    }

    /// Whether someone waits for the rest.
    pub(super) fn is_followed(&self) -> bool {
        self.live.receiver_count() > 0
    }

    /// Resolves when nobody does any more.
    pub(super) fn abandoned(&self) -> impl Future<Output = ()> + Send + use<> {
        let live = Arc::clone(&self.live);
        async move { live.closed().await }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            let mut live = table.live.lock().unwrap_or_else(PoisonError::into_inner);
            // Its place may have been taken by a later one.
            if live.get(&self.key).is_some_and(|weak| std::ptr::eq(weak.as_ptr(), Arc::as_ptr(&self.live))) {
                live.remove(&self.key);
            }
        }
    }
}

/// The leader failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer that was read along broke off")]
pub(super) struct LeaderFailed;

/// The end of one that reads along.
#[derive(Debug)]
pub(super) struct Follower {
    progress: watch::Receiver<Progress>,
    next: usize,
}

impl Follower {
    /// Waits for the first byte; the head of the answer then.
    pub(super) async fn head(&mut self) -> Result<SharedHead, LeaderFailed> {
        let ready = |progress: &Progress| progress.head.is_some() && !progress.chunks.is_empty();
        let progress = self.progress.wait_for(ready).await.map_err(|_| LeaderFailed)?;
        progress.head.clone().ok_or(LeaderFailed)
    }

    /// What came since the last call, waiting for some; none at the end.
    pub(super) async fn more(&mut self) -> Result<Option<Bytes>, LeaderFailed> {
        let next = self.next;
        let news = |progress: &Progress| progress.chunks.len() > next || progress.whole;
        let progress = self.progress.wait_for(news).await.map_err(|_| LeaderFailed)?;
        let chunks = &progress.chunks[next..];
        let more = match chunks {
            [] => None,
            [chunk] => Some(chunk.clone()),
            chunks => Some(chunks.concat().into()),
        };
        self.next = progress.chunks.len();
        Ok(more)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lab::{config::CacheMode, gateway::cache::ResponseCache};

    fn key(request: &str) -> Key {
        let cache = ResponseCache::new(CacheMode::On, Duration::from_secs(1), 0).expect("a cache");
        cache.key(&"v1".into(), false, &request.into())
    }

    fn head() -> SharedHead {
        SharedHead { content_type: None, version: "v1".into(), pod: "r-0".into(), fallback: false }
    }

    fn leader(role: Role) -> Publisher {
        match role {
            Role::Leader(publisher) => publisher,
            Role::Follower(_) => panic!("a follower"),
        }
    }

    fn follower(role: Role) -> Follower {
        match role {
            Role::Follower(follower) => follower,
            Role::Leader(_) => panic!("a leader"),
        }
    }

    #[tokio::test]
    async fn one_leads_and_the_others_get_every_byte() {
        let table = Arc::new(Coalescing::default());
        let publisher = leader(table.join(&key("a")));
        let mut early = follower(table.join(&key("a")));
        let _other_key = leader(table.join(&key("b")));
        assert!(publisher.is_followed());
        publisher.head(head());
        publisher.chunk(&Bytes::from_static(b"x"));
        publisher.chunk(&Bytes::from_static(b"y"));
        let mut late = follower(table.join(&key("a")));
        assert_eq!(early.head().await, Ok(head()));
        assert_eq!(late.more().await, Ok(Some(Bytes::from_static(b"xy"))));
        publisher.chunk(&Bytes::from_static(b"z"));
        publisher.whole();
        assert_eq!(publisher.body(), "xyz");
        drop(publisher);
        assert_eq!(early.more().await, Ok(Some(Bytes::from_static(b"xyz"))));
        assert_eq!(early.more().await, Ok(None));
        assert_eq!(late.more().await, Ok(Some(Bytes::from_static(b"z"))));
        assert_eq!(late.more().await, Ok(None));
    }

    #[tokio::test]
    async fn a_leader_that_fails_is_noticed_and_replaced() {
        let table = Arc::new(Coalescing::default());
        let publisher = leader(table.join(&key("a")));
        let mut waiting = follower(table.join(&key("a")));
        drop(publisher);
        assert_eq!(waiting.head().await, Err(LeaderFailed));
        let publisher = leader(table.join(&key("a")));
        let mut reading = follower(table.join(&key("a")));
        publisher.head(head());
        publisher.chunk(&Bytes::from_static(b"x"));
        assert_eq!(reading.head().await, Ok(head()));
        assert_eq!(reading.more().await, Ok(Some(Bytes::from_static(b"x"))));
        drop(publisher);
        assert_eq!(reading.more().await, Err(LeaderFailed));
    }

    #[test]
    fn nobody_joins_one_that_is_alone() {
        let table = Arc::new(Coalescing::default());
        let _alone = Publisher::alone(key("a"));
        leader(table.join(&key("a")));
        leader(table.join(&key("a")));
    }
}
