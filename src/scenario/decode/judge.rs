//! What must hold and what must react.

pub(super) use super::after::{ENTRY, after};
use super::{
    ActKind, Context, Fields,
    after::{act, example},
    breaker, fit,
    metric::metric,
    mitigations,
    scalars::{as_percentage, unit},
    serving,
};
use crate::{
    scenario::{
        alert::AlertExpectation,
        diagnostic::Diagnostic,
        model::{
            BreakerExpectation, CacheExpectation, Expectation, FallbackExpectation, Objective,
            PodExpectation, RecoveryExpectation, RetryExpectation, RollbackExpectation, SheddingExpectation,
            Slo,
        },
        source::Place,
        yaml::Node,
    },
    units::{FaultId, LatencyThreshold, PhaseName, Ratio, RatioThreshold, Span, Version, WorkloadName},
};

const INDICATORS: [&str; 7] = ["ttft", "itl", "tpot", "e2e", "availability", "goodput", "accuracy"];
const MECHANISMS: [&str; 14] = [
    "circuit-breaker",
    "cache",
    "rollback",
    "fallback",
    "shedding",
    "retries",
    "pods",
    "recovery",
    "alert",
    "probes",
    "autoscaling",
    "failover",
    "drift",
    "metric",
];

pub(super) fn slo(cx: &mut Context<'_>, node: &Node) -> Option<Slo> {
    let mut fields = Fields::of(cx, node, "Slo", "an SLO such as `{ ttft: \"p95 < 500ms\" }`")?;
    let objective = fields.one_of(cx, &INDICATORS).and_then(|(indicator, node)| match indicator {
        "ttft" => latency(cx, node).map(Objective::Ttft),
        "itl" => latency(cx, node).map(Objective::Itl),
        "tpot" => latency(cx, node).map(Objective::Tpot),
        "e2e" => latency(cx, node).map(Objective::E2e),
        "availability" => share_threshold(cx, node).map(Objective::Availability),
        "goodput" => share_threshold(cx, node).map(Objective::Goodput),
        _ => share_threshold(cx, node).map(Objective::Accuracy),
    });
    let phase = fields.optional(cx, "in", phase);
    let known = cx.names.workloads.clone();
    let workload = fields.optional(cx, "workload", |cx, node| cx.reference(node, "workload", &known));
    let confidence = fields.optional(cx, "confidence", |cx, node| {
        let level: Ratio = cx.unit(node)?;
        let right = (0.5..1.0).contains(&level.0);
        if right {
            Some(level)
        } else {
            cx.fail(&node.place, "a confidence lies between 50% and 100%, such as 95%", "")
        }
    });
    fields.finish(cx);
    Some(Slo {
        objective: objective?,
        phase: phase?,
        workload: workload?.map(WorkloadName),
        confidence: confidence?,
    })
}

fn latency(cx: &mut Context<'_>, node: &Node) -> Option<LatencyThreshold> {
    let threshold: LatencyThreshold = cx.unit(node)?;
    if threshold.limit == Span::default() {
        return cx.fail(&node.place, "no latency is below 0s", "");
    }
    if !threshold.op.is_ceiling() {
        cx.report(Diagnostic::warning(&node.place, "this demands that latency is high").help("write `<`"));
    }
    Some(threshold)
}

/// A limit on a share: between 0 and 1.
pub(super) fn share_threshold(cx: &mut Context<'_>, node: &Node) -> Option<RatioThreshold> {
    let threshold: RatioThreshold = cx.unit(node)?;
    if (0.0..=1.0).contains(&threshold.limit.0) {
        return Some(threshold);
    }
    let help = as_percentage(threshold.limit, node).map(|right| format!("write `{} {right}`", threshold.op));
    let message = format!("{} is not a share between 0% and 100%", threshold.limit.percent());
    cx.fail(&node.place, message, help.unwrap_or_default())
}

pub(super) fn phase(cx: &mut Context<'_>, node: &Node) -> Option<PhaseName> {
    let known: Vec<String> = cx.names.phases.iter().map(|(name, _)| name.clone()).collect();
    cx.reference(node, "phase", &known).map(PhaseName)
}

pub(super) fn expectation(cx: &mut Context<'_>, node: &Node) -> Option<Expectation> {
    let mut fields =
        Fields::of(cx, node, "Expectation", "an expectation such as `{ recovery: { within: 20s } }`")?;
    let found = fields.one_of(cx, &MECHANISMS);
    let place = found.and_then(|(name, _)| fields.key(name)).map(|key| key.place.clone());
    fields.finish(cx);
    let ((mechanism, node), place) = found.zip(place)?;
    match mechanism {
        "circuit-breaker" => breaker(cx, node, &place).map(Expectation::CircuitBreaker),
        "cache" => cache(cx, node, &place).map(Expectation::Cache),
        "rollback" => rollback(cx, node, &place).map(Expectation::Rollback),
        "fallback" => fallback(cx, node, &place).map(Expectation::Fallback),
        "shedding" => shedding(cx, node, &place).map(Expectation::Shedding),
        "retries" => retries(cx, node, &place).map(Expectation::Retries),
        "pods" => pods(cx, node, &place).map(Expectation::Pods),
        "alert" => alert(cx, node, &place).map(Expectation::Alert),
        "probes" => serving::probes(cx, node, &place).map(Expectation::Probes),
        "autoscaling" => serving::autoscaling(cx, node, &place).map(Expectation::Autoscaling),
        "failover" => serving::failover(cx, node, &place).map(Expectation::Failover),
        "drift" => serving::drift(cx, node, &place).map(Expectation::Drift),
        "metric" => metric(cx, node, &place).map(Expectation::Metric),
        _ => recovery(cx, node, &place).map(Expectation::Recovery),
    }
}

/// An expectation must demand something.
pub(super) fn demands(cx: &mut Context<'_>, place: &Place, any: bool, example: &str) -> Option<()> {
    if any {
        Some(())
    } else {
        cx.fail(place, "this expectation demands nothing", format!("add `{example}`"))
    }
}

fn breaker(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<BreakerExpectation> {
    let mut fields = Fields::of(cx, node, "BreakerExpectation", "what a circuit breaker must do")?;
    let timed = node.get("opens-within").is_some() || node.get("closes-within").is_some();
    let after = after(cx, &mut fields, ActKind::Fault, timed, place);
    let (kind, name, probes) = breaker::fields(cx, &mut fields);
    let opens_within = fields.optional(cx, "opens-within", unit::<Span>);
    let fails_fast = fields.optional(cx, "fails-fast", latency);
    let leaks = fields.optional(cx, "leaks", share_threshold);
    let closes_within = fields.optional(cx, "closes-within", unit::<Span>);
    let quiet_in = fields.optional(cx, "quiet-in", phase);
    fields.elsewhere(cx, "half-open", "what a half-open one lets through is limited by `probes: \"<= 5\"`");
    fields.elsewhere(cx, "sheds", "what an open one lets through is limited by `leaks: \"<= 5%\"`");
    let known = fields.finish(cx);
    let expectation = BreakerExpectation {
        after: after?,
        kind: kind?,
        name: name?,
        probes: probes?,
        opens_within: opens_within?,
        fails_fast: fails_fast?,
        leaks: leaks?,
        closes_within: closes_within?,
        quiet_in: quiet_in?,
    };
    let any = breaker::demands(&expectation);
    if timed {
        fit::notices(cx, "circuit breaker", place);
    }
    demands(cx, place, any || !known, "opens-within: 5s").map(|()| expectation)
}

fn alert(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<AlertExpectation> {
    let mut fields = Fields::of(cx, node, "AlertExpectation", "what an alert must do")?;
    let name = fields.required(cx, "name", "HighErrorRate", |cx, node| cx.text(node, "an alert's name"));
    let timed = node.get("fires-within").is_some() || node.get("resolves-within").is_some();
    let after = after(cx, &mut fields, ActKind::Fault, timed, place);
    let fires_within = fields.optional(cx, "fires-within", unit::<Span>);
    let resolves_within = fields.optional(cx, "resolves-within", unit::<Span>);
    let quiet_in = fields.optional(cx, "quiet-in", phase);
    let known = fields.finish(cx);
    let expectation = AlertExpectation {
        name: name?,
        after: after?,
        fires_within: fires_within?,
        resolves_within: resolves_within?,
        quiet_in: quiet_in?,
    };
    let any = timed || expectation.quiet_in.is_some();
    demands(cx, place, any || !known, "fires-within: 30s")?;
    if cx.names.tells_of_alerts {
        return Some(expectation);
    }
    let help =
        "add `observe: [{ name: alerts, prometheus-alerts: \"http://127.0.0.1:9090\" }]`, or `alertmanager:`";
    cx.fail(place, "no source in `observe:` tells of alerts", help)
}

fn cache(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<CacheExpectation> {
    let mut fields = Fields::of(cx, node, "CacheExpectation", "what a cache must do")?;
    let hit_ratio = fields.optional(cx, "hit-ratio", share_threshold);
    let hit = fields.optional(cx, "hit", latency);
    let speed_up = fields.optional(cx, "speed-up", mitigations::speed_up);
    let stale = fields.optional(cx, "stale", mitigations::stale);
    let of_stale = node.get("stale").is_some();
    let phase_of_stale =
        fields.optional(cx, "in", |cx, node| mitigations::phase_of_stale(cx, node, of_stale));
    let serves_during = fields.optional(cx, "serves-during", phase);
    let wrong = fields.optional(cx, "wrong", share_threshold);
    let differs = fields.optional(cx, "differs", share_threshold);
    let max_age = fields.optional(cx, "max-age", unit::<Span>);
    let fresh_after = fields.optional(cx, "fresh-after", |cx, node| act(cx, node, ActKind::Rollout));
    let overlapping_misses = fields.optional(cx, "overlapping-misses", share_threshold);
    let known = fields.finish(cx);
    let expectation = CacheExpectation {
        hit_ratio: hit_ratio?,
        hit: hit?,
        speed_up: speed_up?,
        stale: stale?,
        phase: phase_of_stale?,
        serves_during: serves_during?,
        wrong: wrong?,
        differs: differs?,
        max_age: max_age?,
        fresh_after: fresh_after?,
        overlapping_misses: overlapping_misses?,
    };
    let any = CacheExpectation { phase: None, ..expectation.clone() } != CacheExpectation::default();
    demands(cx, place, any || !known, "hit-ratio: \">= 30%\"").map(|()| expectation)
}

fn rollback(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<RollbackExpectation> {
    let mut fields = Fields::of(cx, node, "RollbackExpectation", "what a rollback must do")?;
    let after = after(cx, &mut fields, ActKind::Rollout, true, place);
    let detects_within = fields.optional(cx, "detects-within", unit::<Span>);
    let completes_within = fields.optional(cx, "completes-within", unit::<Span>);
    let promotes_within = fields.optional(cx, "promotes-within", unit::<Span>);
    let exposure = fields.optional(cx, "exposure", share_threshold);
    let to = fields.optional(cx, "to", |cx, node| cx.word(node, "a version such as `v1`").map(Version));
    let known = fields.finish(cx);
    let expectation = RollbackExpectation {
        promotes_within: promotes_within?,
        exposure: exposure?,
        after: after?,
        detects_within: detects_within?,
        completes_within: completes_within?,
        to: to?,
    };
    let any = RollbackExpectation { after: None, ..expectation.clone() } != RollbackExpectation::default();
    demands(cx, place, any || !known, "completes-within: 20s").map(|()| expectation)
}

fn fallback(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<FallbackExpectation> {
    let mut fields = Fields::of(cx, node, "FallbackExpectation", "what a fallback must do")?;
    let timed = node.get("engages-within").is_some() || node.get("disengages-within").is_some();
    let after = after(cx, &mut fields, ActKind::Fault, timed, place);
    let engages_within = fields.optional(cx, "engages-within", unit::<Span>);
    let to = fields.optional(cx, "to", |cx, node| cx.text(node, "the name of the fallback's model"));
    let ttft = fields.optional(cx, "ttft", latency);
    let wrong = fields.optional(cx, "wrong", share_threshold);
    let disengages_within = fields.optional(cx, "disengages-within", unit::<Span>);
    let known = fields.finish(cx);
    let expectation = FallbackExpectation {
        after: after?,
        engages_within: engages_within?,
        to: to?,
        ttft: ttft?,
        wrong: wrong?,
        disengages_within: disengages_within?,
    };
    let any = FallbackExpectation { after: None, ..expectation.clone() } != FallbackExpectation::default();
    if timed {
        fit::notices(cx, "fallback", place);
    }
    demands(cx, place, any || !known, "engages-within: 3s").map(|()| expectation)
}

fn shedding(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<SheddingExpectation> {
    let mut fields = Fields::of(cx, node, "SheddingExpectation", "what shedding must do")?;
    let phase = fields.optional(cx, "in", phase);
    let ratio = fields.optional(cx, "ratio", share_threshold);
    let rejects = fields.optional(cx, "rejects", latency);
    let admitted = fields.optional(cx, "admitted", latency);
    let known = fields.finish(cx);
    let expectation =
        SheddingExpectation { phase: phase?, ratio: ratio?, rejects: rejects?, admitted: admitted? };
    // `in` alone is a demand: there must be shedding.
    let any = expectation != SheddingExpectation::default();
    demands(cx, place, any || !known, "rejects: \"p99 < 50ms\"").map(|()| expectation)
}

fn retries(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<RetryExpectation> {
    let mut fields = Fields::of(cx, node, "RetryExpectation", "what retries must do")?;
    let of_fault = node.get("absorbs").is_some() || node.get("settles-within").is_some();
    let after = after(cx, &mut fields, ActKind::Fault, of_fault, place);
    let absorbs = fields.optional(cx, "absorbs", share_threshold);
    let settles_within = fields.optional(cx, "settles-within", unit::<Span>);
    let amplification = fields.optional(cx, "amplification", unit::<RatioThreshold>);
    let phase = fields.optional(cx, "in", phase);
    let name = fields.optional(cx, "name", |cx, node| cx.text(node, "a cluster's name, as Envoy has it"));
    let known = fields.finish(cx);
    let expectation = RetryExpectation {
        after: after?,
        absorbs: absorbs?,
        settles_within: settles_within?,
        amplification: amplification?,
        phase: phase?,
        name: name?,
    };
    let any = expectation.amplification.is_some()
        || expectation.absorbs.is_some()
        || expectation.settles_within.is_some();
    demands(cx, place, any || !known, "amplification: \"<= 1.5\"").map(|()| expectation)
}

fn pods(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<PodExpectation> {
    let mut fields = Fields::of(cx, node, "PodExpectation", "what must become of pods")?;
    let after = after(cx, &mut fields, ActKind::PodFault, true, place);
    let replaced_within = fields.optional(cx, "replaced-within", unit::<Span>);
    let removed_within = fields.optional(cx, "removed-within", unit::<Span>);
    let cold_failures = fields.optional(cx, "cold-failures", share_threshold);
    let known = fields.finish(cx);
    let expectation = PodExpectation {
        after: after?,
        replaced_within: replaced_within?,
        removed_within: removed_within?,
        cold_failures: cold_failures?,
    };
    let any = PodExpectation { after: None, ..expectation.clone() } != PodExpectation::default();
    demands(cx, place, any || !known, "replaced-within: 30s").map(|()| expectation)
}

fn recovery(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<RecoveryExpectation> {
    let mut fields = Fields::of(cx, node, "RecoveryExpectation", "how the service must recover")?;
    let acts = cx.names.acts.clone();
    let after = fields.optional(cx, "after", |cx, node| cx.reference(node, ENTRY, &acts));
    let within = fields.optional(cx, "within", unit::<Span>);
    let known = fields.finish(cx);
    if acts.is_empty() && !cx.names.timeline_broken {
        let help = example(cx, ActKind::Fault);
        return cx.fail(place, "there is nothing to recover from: `chaos:` is empty", help);
    }
    let expectation = RecoveryExpectation { after: after?.map(FaultId), within: within? };
    demands(cx, place, expectation.within.is_some() || !known, "within: 20s").map(|()| expectation)
}
