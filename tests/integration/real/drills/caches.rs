//! Caches, while the way to their origin is cut for six seconds.

use firedrill::verdict::model::Verdict::{self, Fail, Inconclusive, Pass};

use super::{Site, Told, tell_apart};
use crate::real::servers::{
    LITELLM_KEY, Real, litellm_cached, llama, nginx_with, redis, redis_tools, store_by_haproxy, varnish,
    varnish_instance, way,
};

/// What is judged, by the names of this table.
const CHECKS: [&str; 3] = ["slo.availability.fault", "cache.hit-ratio", "cache.wrong"];

/// How old hits may be.
const AGE: &str = "cache.max-age";

/// A set-up, with the verdicts on [`CHECKS`].
type Case<'a> = (&'a str, [Verdict; 3]);

fn told_apart(scenario: &'static str, cases: &[Case<'_>], front: impl Fn(&str, &str) -> Real) {
    let start = |(set_up, _): &Case<'_>| {
        let site = Site::cut_off(scenario, |upstream| front(upstream, set_up));
        // A cache that mixes answers up is not steady, and is drilled all the same.
        site.set("unless-steady", "continue")
    };
    tell_apart(cases, start, judged);
}

fn judged((set_up, verdicts): &Case<'_>, told: &Told) {
    let wanted: Vec<_> = CHECKS.into_iter().zip(*verdicts).collect();
    told.must(set_up, &wanted);
    // A cache with one entry for all of them asks its origin once, and that before
    // the load: there is nothing to hold its hits against.
    let differs = if verdicts[2] == Pass { Pass } else { Inconclusive };
    told.must(set_up, &[("cache.differs", differs)]);
    if *verdicts == [Pass; 3] {
        told.must(set_up, &[("cache.hit", Pass), ("cache.serves-during.fault", Pass)]);
    }
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn nginx_that_serves_what_is_stale_and_right_is_told_from_one_that_does_not() {
    let key = "proxy_cache_key $uri$is_args$args;";
    let stale = "proxy_cache_use_stale error timeout updating http_502; proxy_cache_background_update on;";
    let kept =
        "proxy_cache kept; proxy_cache_lock on; add_header X-Cache-Status $upstream_cache_status always;";
    let well = format!("{kept} {key} {stale}");
    let forgets = format!("{kept} {key}");
    let mixes = format!("{kept} proxy_cache_key $uri; {stale}");
    let cases =
        [(well.as_str(), [Pass, Pass, Pass]), (&forgets, [Fail, Pass, Pass]), (&mixes, [Fail, Pass, Fail])];
    told_apart("nginx-cache.yaml", &cases, |upstream, directives| {
        let http = "  proxy_cache_path @here@/kept keys_zone=kept:1m use_temp_path=off;";
        nginx_with(
            http,
            &format!(
                "    location / {{ proxy_pass http://{upstream}; proxy_connect_timeout 1s; {directives} }}"
            ),
        )
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn varnish_with_grace_and_a_whole_key_is_told_from_one_without() {
    let cases = [
        ("sub vcl_backend_response { set beresp.grace = 1m; }", [Pass, Pass, Pass]),
        ("sub vcl_backend_response { set beresp.grace = 0s; }", [Fail, Pass, Pass]),
        // The question is no part of the key.
        (
            "sub vcl_backend_response { set beresp.grace = 1m; }\n\
             sub vcl_hash { hash_data(regsub(req.url, \"\\?.*\", \"\")); return (lookup); }",
            [Fail, Pass, Fail],
        ),
        // Nothing is kept at all.
        (
            "sub vcl_backend_response { set beresp.uncacheable = true; return (deliver); }",
            [Fail, Fail, Inconclusive],
        ),
    ];
    let start = |(vcl, _): &Case<'_>| {
        let mut own = None;
        let site = Site::cut_off("varnish.yaml", |upstream| {
            let front = varnish(upstream, vcl);
            own = Some(varnish_instance(&front));
            front
        });
        let (instance, env) = own.expect("it was started");
        let site = site.set("unless-steady", "continue").set("observe.edge.varnish", instance);
        env.iter().fold(site, |site, (name, value)| site.env(name, value))
    };
    tell_apart(&cases, start, |case, told| {
        judged(case, told);
        // Its own counter tells which of them served what had run out.
        let (vcl, verdicts) = case;
        let stale = if vcl.contains("1m") { Pass } else { Fail };
        told.must(vcl, &[("metric.edge.grows.fault", stale)]);
        if *verdicts == [Pass; 3] {
            told.must(vcl, &[(AGE, Pass)]);
        }
    });
    // It keeps for an hour what is good for a second.
    let hour = ("sub vcl_backend_response { set beresp.ttl = 1h; }", [Pass; 3]);
    start(&hour)
        .drill()
        .must(hour.0, &[(AGE, Fail), ("cache.hit-ratio", Pass), ("slo.availability.fault", Pass)]);
    let why = start(&cases[0]).set("observe.edge.varnish", "/no/such/instance").refused();
    assert!(why.contains("varnishstat -n /no/such/instance"), "{why}");
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn litellm_that_does_not_wait_for_redis_is_told_from_one_that_does() {
    let (ratio, fast) = ("cache.hit-ratio", "slo.e2e.fault");
    let cases = [
        (
            "cache: true",
            "socket_timeout: 0.2, socket_connect_timeout: 0.2",
            vec![(ratio, Pass), (fast, Pass)],
        ),
        // It waits, and its users with it.
        ("cache: true", "socket_timeout: 4, socket_connect_timeout: 4", vec![(ratio, Pass), (fast, Fail)]),
        ("cache: false", "socket_timeout: 0.2", vec![(ratio, Fail), (fast, Pass)]),
    ];
    let start = |(cache, patience, _): &(&str, &str, _)| {
        let (model, store) = (llama(), redis());
        let way = way(&store);
        let (host, port) = way.address().split_once(':').expect("an address has a port");
        let cache = format!(
            "{cache}, cache_params: {{ type: redis, host: {host}, port: {port}, ttl: 600, {patience} }}"
        );
        let front = litellm_cached(model.address(), &cache);
        let site = Site::behind("litellm-redis.yaml", front, way).with(store).with(model);
        site.env("LITELLM_KEY", LITELLM_KEY)
    };
    tell_apart(&cases, start, |(cache, patience, wanted), told| {
        told.must(&format!("{cache} {patience}"), wanted)
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn litellm_whose_redis_is_killed_is_told_from_one_that_waits_for_it() {
    let (ratio, fast, acts) = ("cache.hit-ratio", "slo.e2e.fault", "fault.killed");
    let availability = "slo.availability.fault";
    let (before, after) = ("cache.serves-during.baseline", "cache.serves-during.recovery");
    let brief = "socket_timeout: 0.2, socket_connect_timeout: 0.2";
    let cases = [
        (
            "cache: true",
            brief,
            false,
            vec![
                (ratio, Pass),
                (fast, Pass),
                (availability, Pass),
                (acts, Pass),
                (before, Pass),
                (after, Pass),
            ],
        ),
        (
            "cache: false",
            brief,
            false,
            vec![(ratio, Fail), (fast, Pass), (acts, Pass), (before, Fail), (after, Fail)],
        ),
        // Who stands before Redis holds connections to it, in hope that it comes back, and LiteLLM waits with its users.
        (
            "cache: true",
            "socket_timeout: 4, socket_connect_timeout: 4",
            true,
            vec![(fast, Fail), (acts, Pass), (before, Pass), (after, Pass)],
        ),
    ];
    let start = |(cache, patience, by_haproxy, _): &(&str, &str, bool, _)| {
        let (model, store) = (llama(), redis());
        let tools = redis_tools(&store);
        let way = by_haproxy.then(|| store_by_haproxy(&store));
        let at = way.as_ref().unwrap_or(&store).address();
        let port = at.split_once(':').expect("an address has a port").1;
        let cache = format!(
            "{cache}, cache_params: {{ type: redis, host: 127.0.0.1, port: {port}, ttl: 600, {patience} }}"
        );
        let front = litellm_cached(model.address(), &cache);
        let site = way.into_iter().fold(Site::new("redis-restart.yaml", front), Site::with);
        let site = site.with(store).with(model);
        site.env("LITELLM_KEY", LITELLM_KEY).set("chaos.killed.command", tools)
    };
    // Three of them are much for a small machine.
    for cases in cases.chunks(2) {
        tell_apart(cases, start, |(cache, patience, _, wanted), told| {
            told.must(&format!("{cache} {patience}"), wanted);
        });
    }
    // A proof that proves nothing is found out before anything is broken.
    let mut site = start(&("cache: true", brief, false, vec![]));
    site = site.set("chaos.killed.command.proof", "[\"true\"]");
    let why = site.refused();
    assert!(why.contains("succeeds before `killed` has broken anything"), "{why}");
}
