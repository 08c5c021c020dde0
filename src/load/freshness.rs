//! Whether a cache's answer had outlived its time, by what its head says.

use http::HeaderMap;

use super::served::{member, split};
use crate::journal::interval::{CacheUse, Freshness};

/// Whether a hit is fresh. None: nothing tells, or it is no hit.
pub(super) fn of(headers: &HeaderMap, cache: CacheUse) -> Option<Freshness> {
    if cache != CacheUse::Hit {
        return None;
    }
    worded(headers).or_else(|| standard(headers)).or_else(|| warned(headers)).or_else(|| by_age(headers))
}

fn all<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// Whether the word of an `X-Cache` (in lower case) is that of a stale answer:
/// Squid's and Akamai's `TCP_STALE_HIT`, `TCP_REFRESH_FAIL_HIT`, and others'.
pub(super) fn says_stale(word: &str) -> bool {
    ["stale", "updating", "refresh_fail"].iter().any(|mark| word.contains(mark))
}

/// By one word: Cloudflare's and nginx's tell all, `X-Cache` only of stale ones.
fn worded(headers: &HeaderMap) -> Option<Freshness> {
    let names = ["cf-cache-status", "x-cache-status", "x-proxy-cache"];
    let mut words = names.into_iter().flat_map(|name| all(headers, name));
    let found = words.find_map(|word| match word.trim() {
        "HIT" | "REVALIDATED" => Some(Freshness::Fresh),
        "STALE" | "UPDATING" => Some(Freshness::Stale),
        _ => None,
    });
    let stale = || all(headers, "x-cache").next().is_some_and(|word| says_stale(&word.to_ascii_lowercase()));
    found.or_else(|| stale().then_some(Freshness::Stale))
}

/// By `Cache-Status` (RFC 9211): a time to live that is over, or a renewal that
/// failed.
fn standard(headers: &HeaderMap) -> Option<Freshness> {
    let mut members = all(headers, "cache-status").flat_map(|value| split(value, ','));
    members.find_map(|text| {
        // What the others did is history.
        if member(text) != CacheUse::Hit {
            return None;
        }
        let parameters = || split(text, ';').skip(1).filter_map(|one| one.split_once('='));
        if parameters().any(|(key, _)| key.trim() == "fwd") {
            return Some(Freshness::Stale);
        }
        let ttl = parameters().find(|(key, _)| key.trim() == "ttl");
        let left: i64 = ttl.and_then(|(_, seconds)| seconds.trim().parse().ok())?;
        Some(if left < 0 { Freshness::Stale } else { Freshness::Fresh })
    })
}

/// `Warning: 110`, "Response is Stale": obsolete since RFC 9111, and still said.
fn warned(headers: &HeaderMap) -> Option<Freshness> {
    all(headers, "warning").any(|value| value.trim_start().starts_with("110 ")).then_some(Freshness::Stale)
}

/// By `Age` beside the lifetime that the origin gave it: Varnish's grace shows so.
fn by_age(headers: &HeaderMap) -> Option<Freshness> {
    let age: u64 = all(headers, "age").next()?.trim().parse().ok()?;
    let lifetime = |wanted: &str| {
        let directives = all(headers, "cache-control").flat_map(|value| split(value, ','));
        directives.filter_map(|directive| directive.split_once('=')).find_map(|(name, seconds)| {
            let seconds = seconds.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case(wanted).then(|| seconds.parse::<u64>().ok())?
        })
    };
    let lifetime = lifetime("s-maxage").or_else(|| lifetime("max-age"))?;
    // In whole seconds: one that is just over may be of this second.
    Some(if age > lifetime { Freshness::Stale } else { Freshness::Fresh })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::{Freshness::*, *};

    fn fresh(headers: &[(&str, &str)]) -> Option<Freshness> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        of(&map, CacheUse::Hit)
    }

    #[test]
    fn caches_say_it_in_their_own_ways() {
        for (name, value, found) in [
            ("x-cache-status", "HIT", Some(Fresh)),
            ("x-cache-status", "STALE", Some(Stale)),
            ("x-proxy-cache", "UPDATING", Some(Stale)),
            ("cf-cache-status", "REVALIDATED", Some(Fresh)),
            ("cf-cache-status", "STALE", Some(Stale)),
            ("x-cache", "TCP_STALE_HIT", Some(Stale)),
            ("x-cache", "TCP_REFRESH_FAIL_HIT from a", Some(Stale)),
            ("x-cache", "HIT", None),
            ("x-varnish", "32770 3", None),
            ("cache-status", "gw; hit; ttl=30", Some(Fresh)),
            ("cache-status", "gw; hit; ttl=-3", Some(Stale)),
            ("cache-status", "gw; ttl=-3; hit", Some(Stale)),
            ("cache-status", "gw; hit", None),
            ("cache-status", "gw; fwd=stale; fwd-status=503; ttl=9", Some(Stale)),
            ("cache-status", "gw; fwd=miss; ttl=9, edge; hit; ttl=-1", Some(Stale)),
            ("cache-status", "gw; fwd=stale; fwd-status=200, edge; hit; ttl=4", Some(Fresh)),
            ("warning", "110 - \"Response is Stale\"", Some(Stale)),
            ("warning", "113 - \"Heuristic Expiration\"", None),
        ] {
            assert_eq!(fresh(&[(name, value)]), found, "{name}: {value}");
        }
    }

    #[test]
    fn an_age_beyond_the_lifetime_is_stale() {
        let varnish = |age, control| fresh(&[("x-varnish", "5 3"), ("age", age), ("cache-control", control)]);
        assert_eq!(varnish("11", "public, max-age=10"), Some(Stale));
        assert_eq!(varnish("10", "max-age=10"), Some(Fresh));
        assert_eq!(varnish("20", "max-age=10, s-maxage=\"60\""), Some(Fresh), "a shared cache's own");
        assert_eq!(varnish("20", "no-store"), None);
        assert_eq!(varnish("old", "max-age=10"), None);
        assert_eq!(
            fresh(&[("age", "99"), ("cache-control", "max-age=1"), ("x-cache-status", "HIT")]),
            Some(Fresh)
        );
    }

    #[test]
    fn only_hits_are_fresh_or_stale() {
        let mut map = HeaderMap::new();
        map.insert("cache-status", HeaderValue::from_static("gw; fwd=stale; fwd-status=200"));
        assert_eq!(of(&map, CacheUse::Miss), None);
    }
}
