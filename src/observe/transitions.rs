//! When Resilience4j's circuit breakers changed their state, by their own
//! record: `/actuator/circuitbreakerevents/NAME/STATE_TRANSITION` beside the
//! exposition. It is only read: the same endpoint of Spring's also writes.
//!
//! That record has the application's clock, which need not be ours. So a time of
//! its is taken only where it lies within the interval of the look that showed
//! the change: it can narrow that, and never move it.

use std::collections::HashMap;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use crate::{
    clock::Clock,
    journal::event::BreakerState,
    scenario::observe::System,
    units::{RunTime, Seen},
};

/// What is before that in the exposition's address.
const EXPOSITION: &str = "/prometheus";
/// Times are told in ms, and so is the clock's zero.
const ROUNDING: i64 = 1_000;

/// One change, in µs on the run's clock; it may lie before its zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Transition {
    at: i64,
    to: BreakerState,
}

/// The records of one application's breakers.
#[derive(Debug)]
pub(super) struct Transitions {
    /// Up to the breaker's name.
    url: String,
    /// Up to when each breaker's record was told, in µs on the run's clock.
    told: HashMap<String, i64>,
    /// Whether it was said that there is none.
    missed: bool,
}

/// What a record makes of a change that a look showed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Narrowed {
    /// All that happened since the last look, each when it did.
    To(Vec<(Seen, BreakerState)>),
    /// It puts the change where it can't have been.
    Elsewhere(String),
    /// It does not know of the change.
    Unknown,
}

impl Transitions {
    /// None: the system keeps no such record, or it is not clear where.
    pub(super) fn of(system: &System) -> Option<Self> {
        let System::Resilience4j(exposition) = system else { return None };
        let base = exposition.trim_end_matches('/').strip_suffix(EXPOSITION)?;
        let url = format!("{base}/circuitbreakerevents");
        Some(Self { url, told: HashMap::new(), missed: false })
    }

    /// Where a breaker's record is.
    pub(super) fn url(&self, name: &str) -> Option<String> {
        let mut url = reqwest::Url::parse(&self.url).ok()?;
        url.path_segments_mut().ok()?.extend([name, "STATE_TRANSITION"]);
        Some(url.into())
    }

    /// That there is no record; the first time only.
    pub(super) fn missing(&mut self) -> bool {
        !std::mem::replace(&mut self.missed, true)
    }

    /// What the record says of the change to `state` that was seen of `name`.
    pub(super) fn narrow(
        &mut self,
        record: &str,
        clock: Clock,
        (name, state): (&str, BreakerState),
        seen: Seen,
    ) -> Result<Narrowed, String> {
        let zero = clock.zero_by_the_wall();
        let zero: Timestamp = zero.parse().map_err(|error| format!("{zero}: {error}"))?;
        let events = parse(record, zero)?;
        let told = self.told.entry(name.to_owned()).or_insert(i64::MIN);
        let (narrowed, until) = narrow(&events, *told, state, seen);
        *told = until.max(*told);
        Ok(narrowed)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    circuit_breaker_events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    creation_time: String,
    state_transition: Option<String>,
}

/// The changes of a record, in order. States that guard nothing are none.
fn parse(record: &str, zero: Timestamp) -> Result<Vec<Transition>, String> {
    let record: Record = serde_json::from_str(record).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for event in record.circuit_breaker_events {
        let to = event.state_transition.as_deref().and_then(|step| step.rsplit_once("_TO_"));
        let (true, Some((_, to))) = (event.kind == "STATE_TRANSITION", to) else { continue };
        let to = match to {
            "CLOSED" => BreakerState::Closed,
            "OPEN" | "FORCED_OPEN" => BreakerState::Open,
            "HALF_OPEN" => BreakerState::HalfOpen,
            _ => continue,
        };
        // Java's `ZonedDateTime`: `2026-01-01T01:00:00.123+01:00[Europe/Berlin]`.
        let time = event.creation_time.split('[').next().unwrap_or_default();
        let at: Timestamp = time.parse().map_err(|error| format!("`{time}`: {error}"))?;
        all.push(Transition { at: at.as_microsecond().saturating_sub(zero.as_microsecond()), to });
    }
    all.sort_by_key(|one| one.at);
    Ok(all)
}

/// What of the changes after `told` fits to a look that showed `state`, and up to
/// when they are told then.
fn narrow(events: &[Transition], told: i64, state: BreakerState, seen: Seen) -> (Narrowed, i64) {
    let micros = |time: RunTime| i64::try_from(time.0).unwrap_or(i64::MAX);
    let (from, by) = (micros(seen.not_before), micros(seen.by));
    let fresh = || events.iter().filter(|one| one.at > told);
    let inside: Vec<&Transition> = fresh().filter(|one| (from..=by).contains(&one.at)).collect();
    if let Some(last) = inside.last().filter(|last| last.to == state) {
        // Rounded, it may be a little earlier or later, but not beyond the look.
        let on_clock = |at: i64| RunTime(u64::try_from(at.clamp(from, by)).unwrap_or(0));
        let exactly = |at: i64| Seen {
            not_before: on_clock(at.saturating_sub(ROUNDING)),
            by: on_clock(at.saturating_add(ROUNDING)),
        };
        return (Narrowed::To(inside.iter().map(|one| (exactly(one.at), one.to)).collect()), last.at);
    }
    // The nearest is the one that was meant.
    let beyond = |one: &&Transition| (from.saturating_sub(one.at)).max(one.at.saturating_sub(by));
    match fresh().filter(|one| one.to == state).min_by_key(beyond) {
        Some(one) => {
            let at = one.at as f64 / 1e6;
            let why = format!(
                "its record puts that at {at:.3} s, and it was seen from {} to {}",
                seen.not_before, seen.by
            );
            (Narrowed::Elsewhere(why), one.at)
        }
        None => (Narrowed::Unknown, told),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BreakerState::*, *};

    fn zero() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("a time")
    }

    fn record(events: &[(&str, &str)]) -> String {
        let events = events.iter().map(|(time, step)| {
            format!(
                r#"{{"circuitBreakerName":"llm","type":"STATE_TRANSITION","creationTime":"{time}","errorMessage":null,"durationInMs":null,"stateTransition":"{step}"}}"#
            )
        });
        format!(r#"{{"circuitBreakerEvents":[{}]}}"#, events.collect::<Vec<_>>().join(","))
    }

    fn seen(from_ms: u64, by_ms: u64) -> Seen {
        Seen { not_before: RunTime(from_ms * 1000), by: RunTime(by_ms * 1000) }
    }

    fn at(ms: i64, to: BreakerState) -> Transition {
        Transition { at: ms * 1000, to }
    }

    #[test]
    fn the_actuators_record_is_read() {
        let read = |events: &[(&str, &str)]| parse(&record(events), zero());
        let events = read(&[
            ("2026-01-01T00:00:02.500Z[Etc/UTC]", "CLOSED_TO_OPEN"),
            ("2026-01-01T01:00:03.250123+01:00[Europe/Berlin]", "OPEN_TO_HALF_OPEN"),
            ("2026-01-01T00:00:04Z", "HALF_OPEN_TO_CLOSED"),
            ("2026-01-01T00:01Z", "CLOSED_TO_FORCED_OPEN"),
            ("2026-01-01T00:02Z", "OPEN_TO_DISABLED"),
        ]);
        let half_open = Transition { at: 3_250_123, to: HalfOpen };
        assert_eq!(events, Ok(vec![at(2500, Open), half_open, at(4000, Closed), at(60_000, Open)]));
        assert_eq!(read(&[]), Ok(vec![]));
        assert!(read(&[("yesterday", "CLOSED_TO_OPEN")]).is_err());
        assert!(parse("<html>", zero()).is_err());
        let other =
            record(&[("2026-01-01T00:00:02Z", "CLOSED_TO_OPEN")]).replace("STATE_TRANSITION", "RESET");
        assert_eq!(parse(&other, zero()), Ok(vec![]));
    }

    #[test]
    fn a_time_within_the_looks_interval_narrows_it() {
        let events = [at(500, Open), at(2_100, Open)];
        let (narrowed, told) = narrow(&events, 500_000, Open, seen(2_000, 2_250));
        assert_eq!(narrowed, Narrowed::To(vec![(seen(2_099, 2_101), Open)]));
        assert_eq!(told, 2_100_000);
        // It was told already.
        assert_eq!(narrow(&events, told, Open, seen(2_000, 2_250)).0, Narrowed::Unknown);
        // At the very edge it does not go beyond.
        assert_eq!(
            narrow(&[at(2_000, Open)], 0, Open, seen(2_000, 2_250)).0,
            Narrowed::To(vec![(seen(2_000, 2_001), Open)])
        );
    }

    #[test]
    fn what_two_looks_did_not_show_is_told() {
        let events = [at(2_050, Open), at(2_100, HalfOpen), at(2_200, Closed), at(2_300, Open)];
        let (narrowed, _) = narrow(&events, 0, Closed, seen(2_000, 2_250));
        let states = match narrowed {
            Narrowed::To(all) => all.into_iter().map(|(_, state)| state).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(states, [Open, HalfOpen, Closed], "and not what came after the look");
    }

    #[test]
    fn another_clock_is_not_believed() {
        for ms in [1_500, 2_400] {
            let (narrowed, _) = narrow(&[at(ms, Open)], i64::MIN, Open, seen(2_000, 2_250));
            assert!(matches!(narrowed, Narrowed::Elsewhere(_)), "{ms}: {narrowed:?}");
        }
        assert_eq!(narrow(&[at(2_100, Closed)], i64::MIN, Open, seen(2_000, 2_250)).0, Narrowed::Unknown);
        assert_eq!(narrow(&[], i64::MIN, Open, seen(2_000, 2_250)).0, Narrowed::Unknown);
    }

    #[test]
    fn the_record_is_beside_the_exposition() {
        let url = |exposition: &str, name: &str| {
            Transitions::of(&System::Resilience4j(exposition.to_owned())).and_then(|one| one.url(name))
        };
        assert_eq!(
            url("http://a:1/actuator/prometheus", "llm v2/x").as_deref(),
            Some("http://a:1/actuator/circuitbreakerevents/llm%20v2%2Fx/STATE_TRANSITION")
        );
        assert_eq!(url("http://a:1/metrics", "llm"), None, "who knows where");
        assert!(Transitions::of(&System::Traefik("http://a:1/actuator/prometheus".to_owned())).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", time in "\\PC{0,30}", step in "[A-Z_]{0,20}") {
            let _ = parse(&text, zero());
            let quoted = |text: &str| serde_json::to_string(text).expect("JSON");
            let event = format!(
                r#"{{"circuitBreakerEvents":[{{"type":"STATE_TRANSITION","creationTime":{},"stateTransition":{}}}]}}"#,
                quoted(&time), quoted(&step)
            );
            let _ = parse(&event, zero());
        }

        /// However wrong their clock is: a change is never put outside of the
        /// look's interval, and ends in the state that was seen.
        #[test]
        fn a_record_never_moves_a_change(
            mut events in prop::collection::vec((any::<i64>(), 0..3u8), 0..8),
            near in prop::collection::vec((0..3_000_000i64, 0..3u8), 0..8),
            told in any::<i64>(),
            from in 0..2_000_000u64,
            length in 0..1_000_000u64,
            state in 0..3u8,
        ) {
            let state_of = |n: u8| [Closed, Open, HalfOpen][usize::from(n)];
            events.extend(near);
            let mut events: Vec<Transition> =
                events.into_iter().map(|(at, to)| Transition { at, to: state_of(to) }).collect();
            events.sort_by_key(|one| one.at);
            let seen = Seen { not_before: RunTime(from), by: RunTime(from + length) };
            if let (Narrowed::To(all), until) = narrow(&events, told, state_of(state), seen) {
                prop_assert_eq!(all.last().map(|(_, state)| *state), Some(state_of(state)));
                prop_assert!(until > told);
                for (one, _) in &all {
                    prop_assert!(seen.not_before <= one.not_before && one.not_before <= one.by && one.by <= seen.by);
                    prop_assert!(one.by.0 - one.not_before.0 <= 2 * ROUNDING as u64);
                }
                prop_assert!(all.windows(2).all(|pair| pair[0].0.by <= pair[1].0.by));
            }
        }
    }
}
