//! What the gateway counts, and its Prometheus text form.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::units::{PodName, Version};

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name {
            $($(#[$vdoc])* $variant),+
        }

        impl $name {
            const NAMES: &'static [&'static str] = &[$($text),+];
        }
    };
}

labels!(
    /// How a client's request ended.
    RequestEnd {
        /// Answered completely, under a status below 400.
        Ok = "ok",
        /// Answered with an error, or cut off.
        Error = "error",
        /// Refused for load.
        Shed = "shed",
        /// Refused because breakers are open.
        Rejected = "rejected",
        /// The client went away first.
        ClientGone = "client-gone",
    }
);

labels!(
    /// How an attempt on an upstream ended.
    AttemptEnd {
        /// Completely, under a status below 500.
        Ok = "ok",
        /// With a status of 429 or from 500 on.
        Error = "error",
        /// No first byte in time, or a pause too long between two chunks.
        Timeout = "timeout",
        /// No connection.
        Connect = "connect",
        /// The connection broke, or the answer ended before its end.
        Broken = "broken",
        /// Given up: the client went away, or another attempt was faster.
        Cancelled = "cancelled",
    }
);

labels!(
    /// What the cache did with a request.
    CacheEnd {
        /// Answered it.
        Hit = "hit",
        /// Had nothing.
        Miss = "miss",
        /// Let it share the answer to another one.
        Collapsed = "collapsed",
        /// Was told not to look, or could not.
        Bypass = "bypass",
    }
);

/// Upper bounds of the buckets of times to first byte, in seconds.
const BOUNDS: [f64; 22] = [
    0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0,
    1.5, 2.5, 5.0, 10.0,
];

#[derive(Debug, Default)]
struct Histogram {
    // One per bound; what is beyond the last is only in `count`.
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// All counters that are not a breaker's own.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: [AtomicU64; RequestEnd::NAMES.len()],
    cache: [AtomicU64; CacheEnd::NAMES.len()],
    attempts: Mutex<BTreeMap<(PodName, Version), [u64; AttemptEnd::NAMES.len()]>>,
    ttft: Mutex<BTreeMap<Version, Histogram>>,
    /// Attempts after the first one of a request, on the model itself.
    pub(super) retries: AtomicU64,
    /// Retries that the budget did not allow.
    pub(super) budget_exhausted: AtomicU64,
    /// Requests that were sent to the fallback.
    pub(super) fallback: AtomicU64,
    /// Requests refused for load.
    pub(super) shed: AtomicU64,
}

/// Figures stay figures, even if a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One more.
pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    /// A client's request has ended.
    pub(super) fn request(&self, end: RequestEnd) {
        add(&self.requests[end as usize]);
    }

    /// The cache was asked.
    pub(super) fn cache(&self, end: CacheEnd) {
        add(&self.cache[end as usize]);
    }

    /// An attempt on an upstream has ended.
    pub(super) fn attempt(&self, pod: &PodName, version: &Version, end: AttemptEnd) {
        let mut attempts = lock(&self.attempts);
        attempts.entry((pod.clone(), version.clone())).or_default()[end as usize] += 1;
    }

    /// An upstream's first byte came.
    pub(super) fn first_byte(&self, version: &Version, after: Duration) {
        let seconds = after.as_secs_f64();
        let mut ttft = lock(&self.ttft);
        if !ttft.contains_key(version) {
            ttft.insert(version.clone(), Histogram::default());
        }
        if let Some(histogram) = ttft.get_mut(version) {
            histogram.count += 1;
            histogram.sum += seconds;
            if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
                histogram.buckets[bucket] += 1;
            }
        }
    }

    /// Everything, in Prometheus' text form. `cache`: whether there is one.
    pub(super) fn render(&self, text: &mut Text, cache: bool) {
        text.family("gateway_requests_total", "counter", "Client requests under /v1 that have ended.");
        for (name, count) in RequestEnd::NAMES.iter().zip(&self.requests) {
            text.sample("gateway_requests_total", &[("outcome", name)], load(count));
        }
        text.family("gateway_upstream_requests_total", "counter", "Attempts on upstreams that have ended.");
        for ((pod, version), counts) in &*lock(&self.attempts) {
            for (name, count) in AttemptEnd::NAMES.iter().zip(counts) {
                let labels = [("pod", pod.as_str()), ("version", version.as_str()), ("outcome", name)];
                text.sample("gateway_upstream_requests_total", &labels, *count);
            }
        }
        self.render_ttft(text);
        if cache {
            text.family("gateway_cache_requests_total", "counter", "Requests by what the cache did.");
            for (name, count) in CacheEnd::NAMES.iter().zip(&self.cache) {
                text.sample("gateway_cache_requests_total", &[("result", name)], load(count));
            }
        }
        for (name, help, counter) in [
            ("gateway_retries_total", "Attempts after a request's first one.", &self.retries),
            ("gateway_retry_budget_exhausted_total", "Retries not made.", &self.budget_exhausted),
            ("gateway_fallback_requests_total", "Requests sent to the fallback.", &self.fallback),
            ("gateway_shed_total", "Requests refused for load.", &self.shed),
        ] {
            text.family(name, "counter", help);
            text.sample(name, &[], load(counter));
        }
    }

    fn render_ttft(&self, text: &mut Text) {
        const NAME: &str = "gateway_upstream_ttft_seconds";
        text.family(
            NAME,
            "histogram",
            "Time from an attempt's start to the first byte of its answer's body.",
        );
        for (version, histogram) in &*lock(&self.ttft) {
            let mut sum = 0;
            for (bound, count) in BOUNDS.iter().zip(histogram.buckets) {
                sum += count;
                let bound = bound.to_string();
                text.sample(
                    "gateway_upstream_ttft_seconds_bucket",
                    &[("version", version.as_str()), ("le", &bound)],
                    sum,
                );
            }
            let version = ("version", version.as_str());
            text.sample("gateway_upstream_ttft_seconds_bucket", &[version, ("le", "+Inf")], histogram.count);
            text.sample("gateway_upstream_ttft_seconds_sum", &[version], histogram.sum);
            text.sample("gateway_upstream_ttft_seconds_count", &[version], histogram.count);
        }
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Prometheus' text form being written.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// The head of a family.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_as_prometheus_reads_it() {
        let metrics = Metrics::default();
        metrics.request(RequestEnd::ClientGone);
        metrics.attempt(&"a\"b".into(), &"v1".into(), AttemptEnd::Broken);
        metrics.first_byte(&"v1".into(), Duration::from_millis(31));
        metrics.first_byte(&"v1".into(), Duration::from_secs(99));
        let mut text = Text::default();
        metrics.render(&mut text, true);
        let text = text.finish();
        for line in [
            "# TYPE gateway_requests_total counter",
            "gateway_requests_total{outcome=\"client-gone\"} 1",
            "gateway_requests_total{outcome=\"ok\"} 0",
            "gateway_upstream_requests_total{pod=\"a\\\"b\",version=\"v1\",outcome=\"broken\"} 1",
            "gateway_upstream_ttft_seconds_bucket{version=\"v1\",le=\"0.03\"} 0",
            "gateway_upstream_ttft_seconds_bucket{version=\"v1\",le=\"0.04\"} 1",
            "gateway_upstream_ttft_seconds_bucket{version=\"v1\",le=\"10\"} 1",
            "gateway_upstream_ttft_seconds_bucket{version=\"v1\",le=\"+Inf\"} 2",
            "gateway_upstream_ttft_seconds_sum{version=\"v1\"} 99.031",
            "gateway_upstream_ttft_seconds_count{version=\"v1\"} 2",
            "gateway_cache_requests_total{result=\"hit\"} 0",
            "gateway_retries_total 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }
}
