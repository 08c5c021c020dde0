//! Who gave an answer, by its headers: version, pod, cache, fallback, breaker,
//! upstream attempts.

use http::HeaderMap;

use super::{freshness, upstreams};
use crate::{
    journal::interval::{CacheUse, Served},
    scenario::breaker::BreakerKind,
    units::{PodName, Version},
};

/// What an answer's head says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// Who gave it.
    pub(crate) served: Served,
    /// Upstream attempts, if stated.
    pub(crate) attempts: Option<u64>,
    /// `Retry-After` is there.
    pub(crate) retry_after: bool,
    /// Its seconds, if it says some.
    pub(crate) retry_after_secs: Option<u64>,
    /// The model, if its head names one.
    named: Option<String>,
    /// How old it is, in seconds, if a cache gave it and says so.
    pub(crate) age: Option<u32>,
}

impl Labels {
    /// Reads the headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        // Most answers have none of them, and looking for each one costs.
        if !headers.keys().any(|name| is_label(name.as_str())) {
            return Self::default();
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
        let is = |name: &str, wanted: &str| text(name).is_some_and(|v| v.eq_ignore_ascii_case(wanted));
        let cache = cache_use(headers);
        // Envoy marks what is too much at once, and nothing else.
        let breaker = match () {
            () if is("x-circuit-breaker", "open") => Some(BreakerKind::StateMachine),
            () if is("x-envoy-overloaded", "true") => Some(BreakerKind::Capacity),
            () => None,
        };
        let nginx = upstreams::asked(headers);
        let by = text("x-served-by").filter(|by| !by.is_empty());
        // What a cache kept names who was asked once.
        let by = by.or(nginx.by.filter(|_| cache != CacheUse::Hit));
        let named = ["x-litellm-model-group", "x-litellm-model-id"].into_iter().find_map(text);
        Self {
            named: named.map(str::to_owned),
            age: number("age")
                .filter(|_| cache == CacheUse::Hit)
                .map(|age| age.try_into().unwrap_or(u32::MAX)),
            served: Served {
                version: text("x-model-version").filter(|v| !v.is_empty()).map(Version::new),
                pod: by.map(PodName::new),
                cache,
                freshness: freshness::of(headers, cache),
                model: None,
                fallback: is("x-fallback", "true")
                    || number("x-litellm-attempted-fallbacks").is_some_and(|n| n > 0),
                breaker_open: breaker.is_some(),
                breaker_kind: breaker,
            },
            // Of two proxies in a row each knows its own: there were at least as many.
            attempts: number("x-upstream-attempts")
                .or_else(|| number("x-envoy-attempt-count").max(nginx.attempts)),
            retry_after_secs: number("retry-after"),
            retry_after: headers.contains_key(http::header::RETRY_AFTER),
        }
    }

    /// Who stood in: the body's `model`, or else what the head names. Kept of
    /// fallbacks only, for that is where it matters.
    pub(crate) fn model(&mut self, of_body: Option<&str>) {
        if self.served.fallback {
            let of_body = of_body.filter(|name| !name.is_empty()).map(str::to_owned);
            self.served.model = of_body.or_else(|| self.named.take());
        }
    }

    /// The body's `system_fingerprint` names the version where no header does:
    /// `fp_v1` is v1, anything else itself.
    pub(crate) fn fingerprint(&mut self, fingerprint: Option<&str>) {
        if self.served.version.is_none()
            && let Some(text) = fingerprint.filter(|text| !text.is_empty())
        {
            self.served.version = Some(Version::new(text.strip_prefix("fp_").unwrap_or(text)));
        }
    }
}

/// Whether a header may be one that is read here.
fn is_label(name: &str) -> bool {
    name.starts_with("x-") || matches!(name, "age" | "cache-status" | "cf-cache-status" | "retry-after")
}

/// What a cache did: by `Cache-Status` (RFC 9211) or else by the marks of
/// Cloudflare and nginx, of many others (`X-Cache`), of Varnish and LiteLLM.
fn cache_use(headers: &HeaderMap) -> CacheUse {
    let all = |name: &str| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let standard =
        all("cache-status").flat_map(|value| split(value, ',')).map(member).reduce(|a, b| match (a, b) {
            // One hit answers; the caches behind it are history.
            (CacheUse::Hit, _) | (_, CacheUse::Hit) => CacheUse::Hit,
            (CacheUse::Collapsed, _) | (_, CacheUse::Collapsed) => CacheUse::Collapsed,
            (CacheUse::Miss, _) | (_, CacheUse::Miss) => CacheUse::Miss,
            (CacheUse::Bypass, _) | (_, CacheUse::Bypass) => CacheUse::Bypass,
            (CacheUse::Unknown, CacheUse::Unknown) => CacheUse::Unknown,
        });
    // nginx has no header of its own: these two are what people call it.
    let worded = ["cf-cache-status", "x-cache-status", "x-proxy-cache"].into_iter().flat_map(all);
    let mut worded = worded.map(|value| match value.trim() {
        "HIT" | "STALE" | "UPDATING" | "REVALIDATED" => CacheUse::Hit,
        "MISS" | "EXPIRED" => CacheUse::Miss,
        "BYPASS" | "DYNAMIC" | "NONE" | "NONE/UNKNOWN" => CacheUse::Bypass,
        _ => CacheUse::Unknown,
    });
    let worded = worded.find(|cache| *cache != CacheUse::Unknown);
    let common = all("x-cache").next().map(|value| {
        let value = value.to_ascii_lowercase();
        match () {
            () if value.contains("hit") || freshness::says_stale(&value) => CacheUse::Hit,
            () if value.contains("miss") => CacheUse::Miss,
            () if value.contains("pass") => CacheUse::Bypass,
            () => CacheUse::Unknown,
        }
    });
    let varnish = all("x-varnish").next().map(|value| match value.split_whitespace().count() {
        2 => CacheUse::Hit,
        1 => CacheUse::Miss,
        _ => CacheUse::Unknown,
    });
    // LiteLLM names a key on hits only, and the model on all.
    let litellm = match (all("x-litellm-cache-key").next(), all("x-litellm-model-id").next()) {
        (Some(_), _) => Some(CacheUse::Hit),
        (None, Some(_)) => Some(CacheUse::Miss),
        (None, None) => None,
    };
    [standard, worded, common, varnish, litellm]
        .into_iter()
        .flatten()
        .find(|cache| *cache != CacheUse::Unknown)
        .unwrap_or_default()
}

/// One cache's member of a `Cache-Status` list.
pub(super) fn member(text: &str) -> CacheUse {
    let mut forwarded = CacheUse::Unknown;
    let mut collapsed = false;
    let (mut stale, mut failed) = (false, false);
    for parameter in split(text, ';').skip(1) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, "?1"));
        match (key.trim(), value.trim()) {
            (_, "?0") => {}
            ("hit", _) => return CacheUse::Hit,
            ("collapsed", _) => collapsed = true,
            // The cache was told, or not able, to look.
            ("fwd", "bypass" | "method" | "request") => forwarded = CacheUse::Bypass,
            ("fwd", value) => (forwarded, stale) = (CacheUse::Miss, value == "stale"),
            ("fwd-status", status) => failed = status.len() == 3 && status.starts_with('5'),
            _ => {}
        }
    }
    // Nobody could renew it, so what was kept was served all the same.
    if stale && failed {
        return CacheUse::Hit;
    }
    if collapsed { CacheUse::Collapsed } else { forwarded }
}

/// Splits outside of quoted strings.
pub(super) fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c: char| {
        let splits = c == separator && !quoted;
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        splits
    })
    .map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn labels(headers: &[(&str, &str)]) -> Labels {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::try_from(*name).expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            );
        }
        Labels::of(&map)
    }

    #[test]
    fn cache_status_reads_as_rfc_9211_says() {
        for (value, cache) in [
            ("gw; hit", CacheUse::Hit),
            ("gw; hit; ttl=30", CacheUse::Hit),
            ("gw; hit=?0; fwd=miss", CacheUse::Miss),
            ("gw; fwd=uri-miss; stored", CacheUse::Miss),
            ("gw; fwd=stale; fwd-status=200", CacheUse::Miss),
            ("gw; fwd=stale; fwd-status=304", CacheUse::Miss),
            ("gw; fwd=stale; fwd-status=503", CacheUse::Hit),
            ("gw; fwd=miss; fwd-status=503", CacheUse::Miss),
            ("gw; fwd=miss; collapsed", CacheUse::Collapsed),
            ("gw; collapsed; fwd=miss", CacheUse::Collapsed),
            ("gw; fwd=miss; collapsed=?0", CacheUse::Miss),
            ("gw; fwd=bypass", CacheUse::Bypass),
            ("gw; fwd=method", CacheUse::Bypass),
            ("gw", CacheUse::Unknown),
            ("origin; fwd=uri-miss, edge; hit", CacheUse::Hit),
            ("edge; fwd=bypass, origin; fwd=miss", CacheUse::Miss),
            ("\"a, b; hit\"; fwd=miss", CacheUse::Miss),
            ("gw; fwd=miss; detail=\"x\\\"; hit\"", CacheUse::Miss),
        ] {
            assert_eq!(labels(&[("cache-status", value)]).served.cache, cache, "{value}");
        }
        assert_eq!(
            labels(&[("cache-status", "a; fwd=miss"), ("cache-status", "b; hit")]).served.cache,
            CacheUse::Hit
        );
    }

    #[test]
    fn other_caches_are_known_too() {
        for (name, value, cache) in [
            ("cf-cache-status", "HIT", CacheUse::Hit),
            ("cf-cache-status", "EXPIRED", CacheUse::Miss),
            ("cf-cache-status", "DYNAMIC", CacheUse::Bypass),
            ("x-cache-status", "STALE", CacheUse::Hit),
            ("x-proxy-cache", "EXPIRED", CacheUse::Miss),
            ("x-cache", "Hit from cloudfront", CacheUse::Hit),
            ("x-cache", "MISS", CacheUse::Miss),
            ("x-cache", "STALE", CacheUse::Hit),
            ("x-varnish", "32770 3", CacheUse::Hit),
            ("x-varnish", "32770", CacheUse::Miss),
            ("x-litellm-cache-key", "e66e", CacheUse::Hit),
            ("x-litellm-model-id", "d4f2", CacheUse::Miss),
            ("x-other", "hit", CacheUse::Unknown),
        ] {
            assert_eq!(labels(&[(name, value)]).served.cache, cache, "{name}: {value}");
        }
    }

    #[test]
    fn marks_are_read() {
        let seen = labels(&[
            ("x-served-by", "replica-1"),
            ("x-model-version", "v2"),
            ("x-fallback", "true"),
            ("x-circuit-breaker", "open"),
            ("x-upstream-attempts", "3"),
            ("retry-after", "1"),
        ]);
        assert_eq!(seen.served.pod, Some(PodName::from("replica-1")));
        assert_eq!(seen.served.version, Some(Version::from("v2")));
        assert!(seen.served.fallback && seen.served.breaker_open && seen.retry_after);
        assert_eq!(seen.served.breaker_kind, Some(BreakerKind::StateMachine));
        assert_eq!(seen.attempts, Some(3));
        let nginx = [("x-upstream-status", "502, 200"), ("x-upstream-addr", "10.0.0.1:80, 10.0.0.2:80")];
        let seen = labels(&nginx);
        assert_eq!((seen.attempts, seen.served.pod), (Some(2), Some(PodName::from("10.0.0.2:80"))));
        let seen = labels(&[nginx[0], nginx[1], ("x-served-by", "s2"), ("x-envoy-attempt-count", "1")]);
        assert_eq!((seen.attempts, seen.served.pod), (Some(2), Some(PodName::from("s2"))));
        let seen = labels(&[nginx[0], nginx[1], ("x-cache-status", "HIT"), ("x-upstream-attempts", "0")]);
        assert_eq!((seen.attempts, seen.served.pod), (Some(0), None));
        let other = labels(&[("x-litellm-attempted-fallbacks", "1"), ("x-envoy-overloaded", "true")]);
        assert!(other.served.fallback && other.served.breaker_open);
        assert_eq!(other.served.breaker_kind, Some(BreakerKind::Capacity));
        let none = labels(&[("x-litellm-attempted-fallbacks", "0"), ("x-circuit-breaker", "closed")]);
        assert_eq!(none.served, Served::default());
    }

    #[test]
    fn the_age_of_a_hit_is_read() {
        let age = |headers: &[(&str, &str)]| labels(headers).age;
        assert_eq!(age(&[("age", "17"), ("cache-status", "gw; hit")]), Some(17));
        assert_eq!(age(&[("age", "17"), ("x-varnish", "5 3")]), Some(17));
        assert_eq!(age(&[("age", "17")]), None, "nobody says that a cache gave it");
        assert_eq!(age(&[("age", "old"), ("cache-status", "gw; hit")]), None);
        assert_eq!(age(&[("age", "99999999999"), ("cache-status", "gw; hit")]), Some(u32::MAX));
    }

    #[test]
    fn a_fallback_is_known_by_its_model() {
        let model = |headers: &[(&str, &str)], body| {
            let mut seen = labels(headers);
            seen.model(body);
            seen.served.model
        };
        let (fallback, group) = (("x-fallback", "true"), ("x-litellm-model-group", "small"));
        let id = ("x-litellm-model-id", "d4f2");
        assert_eq!(model(&[fallback, group], Some("tiny")).as_deref(), Some("tiny"), "the body's word");
        assert_eq!(model(&[fallback, id, group], Some("")).as_deref(), Some("small"));
        assert_eq!(model(&[fallback, id], None).as_deref(), Some("d4f2"));
        assert_eq!(model(&[fallback], None), None);
        assert_eq!(model(&[group], Some("big")), None, "no fallback");
    }

    #[test]
    fn the_fingerprint_names_the_version() {
        let mut seen = Labels::default();
        seen.fingerprint(Some("fp_v1"));
        assert_eq!(seen.served.version, Some(Version::from("v1")));
        seen.fingerprint(Some("fp_v2"));
        assert_eq!(seen.served.version, Some(Version::from("v1")));
    }
}
