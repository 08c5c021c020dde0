//! The response cache: whole answers by version and request, and what is
//! wrong with it in each defect.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderValue;
use moka::sync::Cache;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::{lab::config::CacheMode, units::Version};

/// More answers than a drill has prompts.
const CAPACITY: u64 = 20_000;
/// Defect `stampede`: answers expire so soon that every hot key floods.
const STAMPEDE_TTL: Duration = Duration::from_secs(2);
/// Defect `stale-after-rollback`: longer than any drill.
const STALE_TTL: Duration = Duration::from_secs(3600);
/// Defect `serves-stale`: for so much longer.
const STALE_FOR: Duration = Duration::from_secs(60);
/// Defect `wrong-answer`: this share of the hits.
const WRONG: f64 = 0.2;
/// So many answers are at hand to be confused with each other.
const CONFUSABLE: usize = 32;

/// What an answer is stored under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    space: Space,
    request: Arc<str>,
}

/// Answers of different spaces are never mixed up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Space {
    /// Those of a version, since it was last purged so many times.
    Version(Version, u64),
    /// Those of any version: a defect.
    Shared,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its content type.
    pub(super) content_type: Option<HeaderValue>,
    /// The version that gave it.
    pub(super) version: Version,
    /// All of its body.
    pub(super) body: Bytes,
    /// How long that took.
    took: Duration,
    /// When it was whole.
    at: Instant,
    request: Arc<str>,
}

/// An answer from the cache.
#[derive(Debug)]
pub(super) struct Hit {
    /// The answer.
    pub(super) entry: Arc<Entry>,
    /// Seconds since it was stored.
    pub(super) age: u64,
    /// Seconds for which it stays fresh; below 0 it is stale.
    pub(super) ttl: i64,
    /// How long it takes to find it.
    pub(super) takes: Duration,
}

/// The cache.
#[derive(Debug)]
pub(super) struct ResponseCache {
    mode: CacheMode,
    ttl: Duration,
    entries: Cache<Key, Arc<Entry>>,
    /// How often each version was purged. Old keys find nothing, also for
    /// answers that were under way during the purge.
    purges: Mutex<HashMap<Version, u64>>,
    recent: Mutex<VecDeque<Arc<Entry>>>,
    chance: Mutex<ChaCha8Rng>,
}

impl ResponseCache {
    /// A cache with this mode; none if it is off.
    pub(super) fn new(mode: CacheMode, ttl: Duration, seed: u64) -> Option<Self> {
        let ttl = match mode {
            CacheMode::Off => return None,
            CacheMode::On
            | CacheMode::WrongAnswer
            | CacheMode::IgnoresParameters
            | CacheMode::SlowHits
            | CacheMode::ServesStale => ttl,
            CacheMode::StaleAfterRollback | CacheMode::NeverExpires => STALE_TTL.max(ttl),
            CacheMode::Stampede => STAMPEDE_TTL.min(ttl),
        };
        let kept = if matches!(mode, CacheMode::ServesStale) { ttl + STALE_FOR } else { ttl };
        Some(Self {
            mode,
            ttl,
            entries: Cache::builder().max_capacity(CAPACITY).time_to_live(kept).build(),
            purges: Mutex::default(),
            recent: Mutex::default(),
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
        })
    }

    /// Whether concurrent misses of one key share an answer.
    pub(super) fn coalesces(&self) -> bool {
        !matches!(self.mode, CacheMode::Stampede)
    }

    /// What the answer of `version` to `request` is looked up under.
    pub(super) fn key(&self, version: &Version, canary: bool, request: &Arc<str>) -> Key {
        let space = match self.mode {
            CacheMode::StaleAfterRollback if !canary => Space::Shared,
            CacheMode::StaleAfterRollback => Space::Version(version.clone(), 0),
            CacheMode::On
            | CacheMode::Off
            | CacheMode::WrongAnswer
            | CacheMode::IgnoresParameters
            | CacheMode::Stampede
            | CacheMode::NeverExpires
            | CacheMode::SlowHits
            | CacheMode::ServesStale => {
                let purges = self.purges.lock().unwrap_or_else(PoisonError::into_inner);
                Space::Version(version.clone(), purges.get(version).copied().unwrap_or(0))
            }
        };
        let request = match self.mode {
            CacheMode::IgnoresParameters => without_parameters(request),
            _ => Arc::clone(request),
        };
        Key { space, request }
    }

    /// Looks an answer up.
    pub(super) fn get(&self, key: &Key) -> Option<Hit> {
        let mut entry = self.entries.get(key)?;
        let serves_stale = matches!(self.mode, CacheMode::ServesStale);
        // Its time began a little before the store's count of it did.
        if !serves_stale && entry.at.elapsed() >= self.ttl {
            return None;
        }
        if matches!(self.mode, CacheMode::WrongAnswer)
            && let Some(other) = self.confuse(&entry)
        {
            entry = other;
        }
        let age = entry.at.elapsed();
        let left = (self.ttl.as_secs_f64() - age.as_secs_f64()).floor() as i64;
        let ttl = if serves_stale { left } else { left.max(0) };
        let takes = if matches!(self.mode, CacheMode::SlowHits) { entry.took } else { Duration::ZERO };
        Some(Hit { age: age.as_secs(), ttl, takes, entry })
    }

    /// Now and then, the answer to something else.
    fn confuse(&self, right: &Entry) -> Option<Arc<Entry>> {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        if chance.random::<f64>() >= WRONG {
            return None;
        }
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let others: Vec<_> = recent
            .iter()
            // The wrong form would be noticed by any client.
            .filter(|other| other.request != right.request && other.content_type == right.content_type)
            .collect();
        if others.is_empty() {
            return None;
        }
        Some(Arc::clone(others[chance.random_range(0..others.len())]))
    }

    /// Stores an answer, if it is whole. `since`: when somebody first looked for
    /// it.
    pub(super) fn put(
        &self,
        key: &Key,
        content_type: Option<HeaderValue>,
        version: Version,
        body: Bytes,
        since: Instant,
    ) {
        if !is_whole(content_type.as_ref(), &body) {
            return;
        }
        let request = Arc::clone(&key.request);
        let at = Instant::now();
        let took = at.saturating_duration_since(since);
        let entry = Arc::new(Entry { content_type, version, body, took, at, request });
        match self.mode {
            CacheMode::StaleAfterRollback if key.space != Space::Shared => {
                let shared = Key { space: Space::Shared, request: Arc::clone(&key.request) };
                self.entries.insert(shared, Arc::clone(&entry));
            }
            CacheMode::WrongAnswer => {
                let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
                recent.truncate(CONFUSABLE - 1);
                recent.push_front(Arc::clone(&entry));
            }
            CacheMode::On
            | CacheMode::Off
            | CacheMode::IgnoresParameters
            | CacheMode::StaleAfterRollback
            | CacheMode::Stampede
            | CacheMode::NeverExpires
            | CacheMode::SlowHits
            | CacheMode::ServesStale => {}
        }
        self.entries.insert(key.clone(), entry);
    }

    /// Drops the answers of `version`, also those under way.
    pub(super) fn purge(&self, version: &Version) {
        // The defect `stale-after-rollback` has no purged keys to bump.
        let mut purges = self.purges.lock().unwrap_or_else(PoisonError::into_inner);
        *purges.entry(version.clone()).or_default() += 1;
    }
}

/// Defect `ignores-parameters`: what is left of a request's key. Its form is, as
/// the wrong one would be noticed by any client.
fn without_parameters(request: &str) -> Arc<str> {
    const KEPT: [&str; 6] = ["model", "messages", "prompt", "input", "stream", "stream_options"];
    let Some((path, body)) = request.split_once(' ') else { return request.into() };
    let Ok(Value::Object(mut body)) = serde_json::from_str(body) else { return request.into() };
    body.retain(|name, _| KEPT.contains(&name.as_str()));
    format!("{path} {}", Value::Object(body)).into()
}

/// Whether an answer has a finish reason, no error, and its stream's end.
fn is_whole(content_type: Option<&HeaderValue>, body: &[u8]) -> bool {
    let sse = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let Ok(text) = std::str::from_utf8(body) else { return false };
    if !sse {
        return serde_json::from_str(text).is_ok_and(|answer| finish(&answer) == Some(true));
    }
    let (mut finished, mut done) = (false, false);
    for data in text.lines().filter_map(|line| line.strip_prefix("data:")) {
        match data.trim() {
            "[DONE]" => done = true,
            json => match serde_json::from_str(json).ok().as_ref().and_then(finish) {
                Some(this) => finished |= this,
                None => return false,
            },
        }
    }
    finished && done
}

/// Whether a chunk or an answer carries a finish reason; none if it is an
/// error, or something else altogether.
fn finish(chunk: &Value) -> Option<bool> {
    if chunk.get("error").is_some_and(|error| !error.is_null()) {
        return None;
    }
    let choices = chunk.get("choices")?.as_array()?;
    Some(choices.iter().any(|choice| choice.get("finish_reason").is_some_and(Value::is_string)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSE: HeaderValue = HeaderValue::from_static("text/event-stream");
    const TTL: Duration = Duration::from_secs(20);

    fn cache(mode: CacheMode) -> ResponseCache {
        ResponseCache::new(mode, TTL, 7).expect("a cache")
    }

    fn answer(word: &str) -> Bytes {
        let token = format!(r#"{{"choices":[{{"delta":{{"content":"{word}"}},"finish_reason":null}}]}}"#);
        let stop = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        format!("data: {token}\n\ndata: {stop}\n\ndata: [DONE]\n\n").into()
    }

    fn put(cache: &ResponseCache, version: &str, canary: bool, request: &str) {
        let key = cache.key(&version.into(), canary, &request.into());
        cache.put(&key, Some(SSE), version.into(), answer(&format!("{version} {request}")), Instant::now());
    }

    fn get(cache: &ResponseCache, version: &str, canary: bool, request: &str) -> Option<Arc<Entry>> {
        Some(cache.get(&cache.key(&version.into(), canary, &request.into()))?.entry)
    }

    #[test]
    fn it_answers_what_was_asked_of_the_version_that_was_asked() {
        let cache = cache(CacheMode::On);
        put(&cache, "v1", false, "a");
        put(&cache, "v2", true, "a");
        assert_eq!(get(&cache, "v1", false, "a").expect("a hit").body, answer("v1 a"));
        assert_eq!(get(&cache, "v2", true, "a").expect("a hit").body, answer("v2 a"));
        assert!(get(&cache, "v1", false, "b").is_none() && get(&cache, "v3", false, "a").is_none());
        let hit = cache.get(&cache.key(&"v1".into(), false, &"a".into())).expect("a hit");
        assert!(hit.age == 0 && (19..=20).contains(&hit.ttl));
    }

    #[test]
    fn a_purge_takes_one_version_and_what_is_under_way() {
        let cache = cache(CacheMode::On);
        put(&cache, "v1", false, "a");
        put(&cache, "v2", true, "a");
        let under_way = cache.key(&"v2".into(), true, &"b".into());
        cache.purge(&"v2".into());
        cache.put(&under_way, Some(SSE), "v2".into(), answer("late"), Instant::now());
        assert!(get(&cache, "v2", true, "a").is_none() && get(&cache, "v2", true, "b").is_none());
        assert!(get(&cache, "v1", false, "a").is_some());
        put(&cache, "v2", true, "a");
        assert!(get(&cache, "v2", true, "a").is_some(), "it may come back");
    }

    #[test]
    fn only_whole_answers_are_stored() {
        let whole = String::from_utf8(answer("x").to_vec()).expect("text");
        let json = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"#;
        assert!(is_whole(Some(&SSE), whole.as_bytes()) && is_whole(None, json.as_bytes()));
        for broken in [
            whole.replace("data: [DONE]\n\n", ""),
            whole.replace("\"stop\"", "null"),
            whole.replace("data: [DONE]", "data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]"),
            whole.replace("\"choices\"", "\"x\""),
            String::new(),
        ] {
            assert!(!is_whole(Some(&SSE), broken.as_bytes()), "{broken}");
        }
        assert!(!is_whole(None, json.replace("\"stop\"", "null").as_bytes()));
        assert!(!is_whole(None, br#"{"error":{}}"#));
    }

    #[test]
    fn defect_ignores_parameters_knows_prompts_only() {
        let hits = |mode, other: &str| {
            let cache = cache(mode);
            let key = |request: &str| cache.key(&"v1".into(), false, &request.into());
            let asked = r#"/v1/chat/completions {"messages":["a"],"temperature":0.1}"#;
            cache.put(&key(asked), Some(SSE), "v1".into(), answer("x"), Instant::now());
            cache.get(&key(other)).is_some()
        };
        let warmer = r#"/v1/chat/completions {"messages":["a"],"temperature":0.9}"#;
        assert!(hits(CacheMode::IgnoresParameters, warmer) && !hits(CacheMode::On, warmer));
        for other in [warmer.replace("\"a\"", "\"b\""), warmer.replace("chat/", "")] {
            assert!(!hits(CacheMode::IgnoresParameters, &other), "{other}");
        }
    }

    #[test]
    fn defect_wrong_answer_is_wrong_now_and_then() {
        let wrong = |mode| {
            let cache = cache(mode);
            let requests = ["a", "b", "c"];
            requests.iter().for_each(|request| put(&cache, "v1", false, request));
            let is_wrong = |n: &usize| {
                let request = requests[n % 3];
                get(&cache, "v1", false, request).expect("a hit").body != answer(&format!("v1 {request}"))
            };
            (0..300).filter(is_wrong).count()
        };
        assert_eq!(wrong(CacheMode::On), 0);
        assert!((30..90).contains(&wrong(CacheMode::WrongAnswer)));
    }

    #[test]
    fn defect_stale_after_rollback_serves_the_withdrawn_version() {
        for (mode, serves) in [(CacheMode::On, "v1 a"), (CacheMode::StaleAfterRollback, "v2 a")] {
            let cache = cache(mode);
            put(&cache, "v1", false, "a");
            assert!(get(&cache, "v2", true, "a").is_none(), "the canary answers itself");
            put(&cache, "v2", true, "a");
            cache.purge(&"v2".into());
            assert_eq!(get(&cache, "v1", false, "a").expect("a hit").body, answer(serves), "{mode:?}");
        }
    }

    #[test]
    fn defect_slow_hits_takes_as_long_as_the_miss_did() {
        for (mode, slow) in [(CacheMode::On, false), (CacheMode::SlowHits, true)] {
            let cache = cache(mode);
            let key = cache.key(&"v1".into(), false, &"a".into());
            let since = Instant::now() - Duration::from_millis(300);
            cache.put(&key, Some(SSE), "v1".into(), answer("a"), since);
            let takes = cache.get(&key).expect("a hit").takes;
            assert_eq!(takes >= Duration::from_millis(300), slow, "{mode:?}: {takes:?}");
        }
    }

    #[test]
    fn defect_serves_stale_says_so() {
        for (mode, serves) in [(CacheMode::On, false), (CacheMode::ServesStale, true)] {
            let cache = ResponseCache::new(mode, Duration::ZERO, 7).expect("a cache");
            put(&cache, "v1", false, "a");
            let hit = cache.get(&cache.key(&"v1".into(), false, &"a".into()));
            assert_eq!(hit.is_some_and(|hit| hit.ttl < 0), serves, "{mode:?}");
        }
    }

    #[test]
    fn defect_stampede_neither_coalesces_nor_keeps() {
        assert!(cache(CacheMode::On).coalesces() && !cache(CacheMode::Stampede).coalesces());
        assert!(cache(CacheMode::Stampede).ttl < cache(CacheMode::On).ttl);
        assert!(ResponseCache::new(CacheMode::Off, TTL, 7).is_none());
    }
}
