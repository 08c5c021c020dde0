//! What a judge finds, and the two kinds of limit that most checks have.

use super::{model::Verdict, stats};
use crate::{
    journal::{Distribution, event::Evidence},
    units::{LatencyThreshold, RatioThreshold, Span},
};

/// What a judge finds: a check's verdict without its name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) observed: Option<f64>,
    pub(super) unit: &'static str,
    pub(super) error: Option<(f64, Option<f64>)>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) why: String,
}

impl Finding {
    fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Self { verdict, observed: None, unit: "", error: None, evidence: Vec::new(), why: why.into() }
    }

    pub(super) fn pass(why: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, why)
    }

    pub(super) fn fail(why: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, why)
    }

    pub(super) fn inconclusive(why: impl Into<String>) -> Self {
        Self::new(Verdict::Inconclusive, why)
    }

    /// The figure that was observed.
    pub(super) fn observed(mut self, observed: f64, unit: &'static str) -> Self {
        self.observed = Some(observed);
        self.unit = unit;
        self
    }

    /// What is known of the figure.
    pub(super) fn error(mut self, low: f64, high: Option<f64>) -> Self {
        self.error = Some((low, high));
        self
    }

    /// What it stands on.
    pub(super) fn on(mut self, source: impl Into<String>, what: impl Into<String>) -> Self {
        self.evidence.push(evidence(source, what));
        self
    }

    /// More that it stands on.
    pub(super) fn with(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }
}

/// A figure with its source.
pub(super) fn evidence(source: impl Into<String>, what: impl Into<String>) -> Evidence {
    Evidence { source: source.into(), what: what.into() }
}

/// How many samples a limit needs, and what fewer of them may still show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rigour {
    /// An SLO: too few samples is inconclusive, whatever they are. With a
    /// level, the whole interval must hold or must not.
    Objective(Option<f64>),
    /// A reaction: the samples are what the mechanism did, all of it. One
    /// beyond the quantile is enough; fewer can still show that the limit is
    /// broken, where their whole interval is beyond it.
    Reaction,
}

impl Rigour {
    fn level(self) -> f64 {
        match self {
            Self::Objective(level) => level.unwrap_or(stats::LEVEL),
            Self::Reaction => stats::LEVEL,
        }
    }
}

/// A count with its noun.
pub(super) fn counted(n: u64, noun: &str) -> String {
    let plural = if noun.ends_with("ss") { "es" } else { "s" };
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}{plural}") }
}

/// A share as people write it, with two decimals at most.
pub(super) fn percent(ratio: f64) -> String {
    let text = format!("{:.2}", ratio * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A latency as people write it, with three digits or so.
pub(super) fn ms(micros: u64) -> String {
    let step = match micros {
        100_000.. => 1_000,
        10_000.. => 100,
        _ => 10,
    };
    let rounded = micros.saturating_add(step / 2) / step * step;
    Span(std::time::Duration::from_micros(rounded)).to_string()
}

/// Judges `part` of `whole` against a limit on the ratio. `of` names the
/// samples: `request`.
pub(super) fn ratio(part: u64, whole: u64, limit: &RatioThreshold, of: &str, rigour: Rigour) -> Finding {
    if whole == 0 {
        return Finding::inconclusive(format!("there was no {of} to judge"));
    }
    let figure = part as f64 / whole as f64;
    let (low, high) = stats::wilson(part, whole, rigour.level());
    let [holds, low_holds, high_holds] = [figure, low, high].map(|x| limit.op.holds(x, limit.limit.0));
    let shown = format!("{} ({part} of {})", percent(figure), counted(whole, of));
    let needed = stats::enough_for_ratio(limit.limit.0);
    let few = || format!("{shown}: too few to tell from {}, which needs {needed}", limit.limit);
    let finding = match rigour {
        _ if whole < needed && (rigour != Rigour::Reaction || low_holds || high_holds) => {
            Finding::inconclusive(few())
        }
        Rigour::Objective(Some(level)) if low_holds != high_holds => Finding::inconclusive(format!(
            "{shown}, but at {} it may be {} to {}{}",
            percent(level),
            percent(low),
            percent(high),
            missing(part, whole, limit, level)
        )),
        _ if holds => Finding::pass(shown),
        _ => Finding::fail(format!("{shown}, not {limit}")),
    };
    finding.observed(figure, "ratio").error(low, Some(high))
}

/// How many more samples would have settled it at the same figure, in words.
fn missing(part: u64, whole: u64, limit: &RatioThreshold, level: f64) -> String {
    let settled = |times: u64| {
        let (low, high) = stats::wilson(part.saturating_mul(times), whole.saturating_mul(times), level);
        limit.op.holds(low, limit.limit.0) == limit.op.holds(high, limit.limit.0)
    };
    match (1..20).map(|power| 1u64 << power).find(|&times| settled(times)) {
        Some(times) => format!("; about {} more would settle it", whole.saturating_mul(times - 1)),
        None => String::new(),
    }
}

/// Judges a quantile of latencies against its limit, where `failures` further
/// requests count as endless. `of` names the samples.
pub(super) fn latency(
    latencies: &Distribution,
    failures: u64,
    limit: &LatencyThreshold,
    of: &str,
    rigour: Rigour,
) -> Finding {
    let n = latencies.len().saturating_add(failures);
    if n == 0 {
        return Finding::inconclusive(format!("there was no {of} to judge"));
    }
    let q = limit.quantile.0;
    let holds = |micros: Option<u64>| match micros {
        Some(micros) => limit.op.holds(micros as f64, limit.limit.micros() as f64),
        None => limit.op.holds(f64::INFINITY, limit.limit.micros() as f64),
    };
    let figure = latencies.quantile(q, failures);
    let (low_rank, high_rank) = stats::quantile_ranks(n, q, rigour.level());
    let low = if low_rank == 0 { Some(0) } else { latencies.at_rank(low_rank) };
    let high = latencies.at_rank(high_rank);
    let failed = if failures > 0 { format!(", {failures} of them failed") } else { String::new() };
    let shown = match figure {
        Some(micros) => format!("{} {} of {}{failed}", limit.quantile, ms(micros), counted(n, of)),
        None => format!("{} is among the failures: {failures} of {} failed", limit.quantile, counted(n, of)),
    };
    let needed = match rigour {
        Rigour::Objective(_) => stats::enough_for_quantile(q, 5.0),
        Rigour::Reaction => stats::enough_for_quantile(q, 1.0),
    };
    let finding = match rigour {
        _ if n < needed && (rigour != Rigour::Reaction || holds(low) || holds(high)) => {
            Finding::inconclusive(format!("{shown}: too few, {} needs {needed}", limit.quantile))
        }
        Rigour::Objective(Some(level)) if holds(low) != holds(high) => Finding::inconclusive(format!(
            "{shown}, but at {} it may be {} to {}",
            percent(level),
            low.map_or("endless".to_owned(), ms),
            high.map_or("endless".to_owned(), ms),
        )),
        _ if holds(figure) => Finding::pass(shown),
        _ => Finding::fail(format!("{shown}, not {} {}", limit.op, limit.limit)),
    };
    let finding = match figure {
        Some(micros) => finding.observed(micros as f64 / 1e3, "ms"),
        None => Finding { unit: "ms", ..finding },
    };
    match low {
        Some(low) => finding.error(low as f64 / 1e3, high.map(|high| high as f64 / 1e3)),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Distribution {
        let mut d = Distribution::default();
        values.iter().for_each(|&v| d.record(v));
        d
    }

    fn judge(part: u64, whole: u64, limit: &str, rigour: Rigour) -> Verdict {
        ratio(part, whole, &limit.parse().expect("a threshold"), "request", rigour).verdict
    }

    #[test]
    fn a_ratio_needs_enough_samples() {
        let objective = Rigour::Objective(None);
        assert_eq!(judge(99, 99, ">= 99%", objective), Verdict::Inconclusive);
        assert_eq!(judge(100, 100, ">= 99%", objective), Verdict::Pass);
        assert_eq!(judge(98, 100, ">= 99%", objective), Verdict::Fail);
        assert_eq!(judge(0, 50, ">= 99%", objective), Verdict::Inconclusive, "strict for SLOs");
        assert_eq!(judge(0, 0, ">= 99%", objective), Verdict::Inconclusive);
    }

    #[test]
    fn few_wrong_answers_can_show_a_defect_but_few_right_ones_no_health() {
        assert_eq!(judge(3, 40, "<= 1%", Rigour::Reaction), Verdict::Fail);
        assert_eq!(judge(1, 40, "<= 1%", Rigour::Reaction), Verdict::Inconclusive);
        assert_eq!(judge(0, 40, "<= 1%", Rigour::Reaction), Verdict::Inconclusive);
        assert_eq!(judge(0, 100, "<= 1%", Rigour::Reaction), Verdict::Pass);
        assert_eq!(judge(0, 10, "<= 0%", Rigour::Reaction), Verdict::Pass);
        assert_eq!(judge(1, 10, "<= 0%", Rigour::Reaction), Verdict::Fail);
    }

    #[test]
    fn confidence_asks_for_the_whole_interval() {
        let sure = Rigour::Objective(Some(0.95));
        assert_eq!(judge(995, 1000, ">= 99%", sure), Verdict::Inconclusive);
        assert_eq!(judge(19_950, 20_000, ">= 99%", sure), Verdict::Pass);
        assert_eq!(judge(900, 1000, ">= 99%", sure), Verdict::Fail);
        let finding = ratio(995, 1000, &">= 99%".parse().expect("a threshold"), "request", sure);
        assert!(finding.why.contains("1000 more"), "{}", finding.why);
    }

    #[test]
    fn failures_are_endless_latencies() {
        let d = of(&vec![10_000; 94]);
        let limit = "p95 < 500ms".parse().expect("a threshold");
        let objective = Rigour::Objective(None);
        assert_eq!(latency(&d, 6, &limit, "request", objective).verdict, Verdict::Fail);
        assert_eq!(latency(&d, 6, &limit, "request", objective).observed, None);
        assert_eq!(latency(&d, 4, &limit, "request", objective).verdict, Verdict::Inconclusive, "98 of 100");
        let d = of(&vec![10_000; 96]);
        let finding = latency(&d, 4, &limit, "request", objective);
        assert_eq!((finding.verdict, finding.error.map(|e| e.1)), (Verdict::Pass, Some(None)));
    }

    #[test]
    fn five_slow_rejections_break_a_p99() {
        let limit = "p99 < 50ms".parse().expect("a threshold");
        let slow = latency(&of(&[3_000_000; 5]), 0, &limit, "rejection", Rigour::Reaction);
        assert_eq!(slow.verdict, Verdict::Fail);
        let fast = latency(&of(&[1_000; 5]), 0, &limit, "rejection", Rigour::Reaction);
        assert_eq!(fast.verdict, Verdict::Inconclusive);
    }

    fn rank(verdict: Verdict) -> u8 {
        match verdict {
            Verdict::Pass => 2,
            Verdict::Inconclusive => 1,
            Verdict::Fail | Verdict::Aborted => 0,
        }
    }

    proptest! {
        #[test]
        fn a_failure_never_improves_availability(ok in 0u64..2000, failed in 0u64..500, target in 0.5..0.999f64) {
            let limit = RatioThreshold { op: crate::units::Comparison::AtLeast, limit: crate::units::Ratio(target) };
            let before = ratio(ok, ok + failed, &limit, "request", Rigour::Reaction);
            let after = ratio(ok, ok + failed + 1, &limit, "request", Rigour::Reaction);
            prop_assert!(after.observed.unwrap_or(0.0) <= before.observed.unwrap_or(1.0));
            prop_assert!(before.verdict != Verdict::Fail || rank(after.verdict) < 2);
        }

        #[test]
        fn a_failure_never_improves_a_quantile(values in prop::collection::vec(1u64..5_000_000, 1..400), failed in 0u64..100, q in 0.5..0.99f64) {
            let limit = LatencyThreshold {
                quantile: crate::units::Quantile(q), op: crate::units::Comparison::Below, limit: Span::secs(1),
            };
            let d = of(&values);
            let before = latency(&d, failed, &limit, "request", Rigour::Objective(None));
            let after = latency(&d, failed + 1, &limit, "request", Rigour::Objective(None));
            let endless = f64::INFINITY;
            prop_assert!(after.observed.unwrap_or(endless) >= before.observed.unwrap_or(endless));
            prop_assert!(before.verdict != Verdict::Fail || after.verdict == Verdict::Fail);
        }
    }
}
