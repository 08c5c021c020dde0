//! What a drill saw from outside, against what the systems wrote down for
//! themselves.

use std::process::Command;

use serde_json::Value;

use super::{Site, Told};
use crate::{
    real::servers::{envoy, resilience4j},
    support::seen,
};

fn get(url: &str) -> String {
    let out = Command::new("curl").args(["--silent", "--fail", url]).output().expect("curl starts");
    assert!(out.status.success(), "{url}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The states that the breaker `llm` went through after the first: when each
/// was seen, in seconds.
fn transitions(told: &Told) -> Vec<(String, (f64, f64))> {
    let all = told.events.1.iter().filter(|event| event["signal"] == "breaker" && event["name"] == "llm");
    all.skip(1).map(|event| (event["state"].as_str().expect("a state").to_owned(), seen(event))).collect()
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn resilience4j_changed_its_state_when_the_drill_says() {
    let site =
        Site::cut_off("resilience4j.yaml", |upstream| resilience4j(upstream, "window=10 rate=50 wait=1s"));
    let metrics = format!("{}/actuator/prometheus", site.url());
    let site = site.set("observe.front.resilience4j", metrics);
    let told = site.drill();
    let own = get(&format!("{}/actuator/circuitbreakerevents/llm/STATE_TRANSITION", site.url()));
    let own: Value = serde_json::from_str(&own).expect("JSON");
    let own: Vec<(String, f64)> = own["circuitBreakerEvents"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            // `2026-01-01T00:00:00.123Z[Etc/UTC]`
            let time = event["creationTime"].as_str().expect("a time").split('[').next().expect("a part");
            let at = humantime::parse_rfc3339(time).expect("a time").duration_since(told.events.0);
            let (_, to) =
                event["stateTransition"].as_str().expect("a step").rsplit_once("_TO_").expect("a state");
            (to.to_lowercase().replace('_', "-"), at.map_or(0.0, |at| at.as_secs_f64()))
        })
        .collect();
    let seen = transitions(&told);
    assert!(seen.len() >= 3, "{told}");
    for (state, (from, by)) in seen {
        // Both clocks are read to the millisecond.
        let fits = |(to, at): &&(String, f64)| *to == state && from - 0.002 <= *at && *at <= by + 0.002;
        assert!(own.iter().any(|one| fits(&one)), "{state} in {from}–{by} s is not among {own:?}: {told}");
    }
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn envoy_counted_as_many_ejections_as_the_drill() {
    let ejects = "outlier_detection: { consecutive_5xx: 3, consecutive_gateway_failure: 3, \
                  enforcing_consecutive_gateway_failure: 100, interval: 0.5s, base_ejection_time: 1s, \
                  max_ejection_time: 1s, max_ejection_percent: 100 }";
    let site = Site::cut_off("envoy-outliers.yaml", |upstream| envoy(upstream, ejects, "", ""));
    let admin = site.beside();
    let site = site.set("observe.front.envoy", admin.clone());
    let told = site.drill();
    let opened = transitions(&told).iter().filter(|(state, _)| state == "open").count();
    let stats = get(&format!("{admin}/stats?filter=outlier_detection.ejections_enforced_total"));
    let counted = stats.trim().rsplit(' ').next().and_then(|n| n.parse::<usize>().ok());
    assert_eq!(counted, Some(opened), "{stats}: {told}");
    // Its admin tells which host that was, and when it is back.
    let notes: Vec<_> = told.events.1.iter().filter(|event| event["signal"] == "note").collect();
    let host = format!("{} of cluster llm is ejected", site.up[1].address());
    let of = |reason: &str| notes.iter().filter(|note| note["reason"] == reason).collect::<Vec<_>>();
    let (out, back) = (of("Ejected"), of("LetBack"));
    assert!(!out.is_empty() && out.iter().all(|note| note["text"] == *host), "{notes:?}");
    assert!(
        back.len() == out.len() && back.iter().all(|note| note["text"] == *format!("{host} no more")),
        "{notes:?}"
    );
}
