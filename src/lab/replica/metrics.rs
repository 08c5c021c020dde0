//! Counters and histograms under vLLM's names, in Prometheus' text format.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

/// Upper bounds in seconds, for latencies of whole requests.
const REQUEST_BOUNDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0];
/// Upper bounds in seconds, between two tokens.
const TOKEN_BOUNDS: &[f64] =
    &[0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 1.0, 2.5];
/// Upper bounds of the number of tokens of an answer.
const LENGTH_BOUNDS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];

/// A cumulative histogram.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
    count: u64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len()], sum: 0.0, count: 0 }
    }

    pub(super) fn observe(&mut self, value: Duration) {
        self.observe_value(value.as_secs_f64());
    }

    pub(super) fn observe_value(&mut self, value: f64) {
        if let Some(at) = self.bounds.iter().position(|bound| value <= *bound) {
            self.counts[at] += 1;
        }
        self.sum += value;
        self.count += 1;
    }

    fn render(&self, out: &mut String, name: &str, labels: &str) {
        header(out, name, "histogram");
        let mut below = 0;
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            below += count;
            line(out, &format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), below);
        }
        line(out, &format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), self.count);
        line(out, &format!("{name}_sum"), labels, self.sum);
        line(out, &format!("{name}_count"), labels, self.count);
    }
}

/// Everything that a replica counts.
#[derive(Debug)]
pub(super) struct Metrics {
    // Gauges, as of the last step.
    pub(super) running: usize,
    pub(super) waiting: usize,
    pub(super) kv_use: f64,
    // Counters.
    pub(super) prompt_tokens: u64,
    pub(super) generation_tokens: u64,
    pub(super) preemptions: u64,
    pub(super) prefix_queries: u64,
    pub(super) prefix_hits: u64,
    pub(super) steps: u64,
    pub(super) step_seconds: f64,
    /// Requests by `finished_reason`.
    pub(super) finished: BTreeMap<&'static str, u64>,
    /// Answers by HTTP status.
    pub(super) by_status: BTreeMap<u16, u64>,
    pub(super) ttft: Histogram,
    pub(super) inter_token: Histogram,
    pub(super) e2e: Histogram,
    pub(super) queue_time: Histogram,
    /// Tokens of each answer.
    pub(super) output_tokens: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            running: 0,
            waiting: 0,
            kv_use: 0.0,
            prompt_tokens: 0,
            generation_tokens: 0,
            preemptions: 0,
            prefix_queries: 0,
            prefix_hits: 0,
            steps: 0,
            step_seconds: 0.0,
            finished: ["abort", "length", "stop"].into_iter().map(|reason| (reason, 0)).collect(),
            by_status: BTreeMap::new(),
            ttft: Histogram::new(REQUEST_BOUNDS),
            inter_token: Histogram::new(TOKEN_BOUNDS),
            e2e: Histogram::new(REQUEST_BOUNDS),
            queue_time: Histogram::new(REQUEST_BOUNDS),
            output_tokens: Histogram::new(LENGTH_BOUNDS),
        }
    }
}

fn header(out: &mut String, name: &str, kind: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let labels = labels.trim_start_matches(',');
    let _ = if labels.is_empty() {
        writeln!(out, "{name} {value}")
    } else {
        writeln!(out, "{name}{{{labels}}} {value}")
    };
}

impl Metrics {
    /// In Prometheus' text format. `model` is what vLLM calls `model_name`.
    pub(super) fn render(&self, model: &str, slowdown: f64, in_flight: usize) -> String {
        let labels = format!("model_name=\"{model}\"");
        let mut out = String::with_capacity(8192);
        let mut single = |name: &str, kind: &str, labels: &str, value: f64| {
            header(&mut out, name, kind);
            line(&mut out, name, labels, value);
        };
        single("vllm:num_requests_running", "gauge", &labels, self.running as f64);
        single("vllm:num_requests_waiting", "gauge", &labels, self.waiting as f64);
        single("vllm:kv_cache_usage_perc", "gauge", &labels, self.kv_use);
        for (name, value) in [
            ("vllm:prompt_tokens_total", self.prompt_tokens),
            ("vllm:generation_tokens_total", self.generation_tokens),
            ("vllm:num_preemptions_total", self.preemptions),
            ("vllm:prefix_cache_queries_total", self.prefix_queries),
            ("vllm:prefix_cache_hits_total", self.prefix_hits),
        ] {
            single(name, "counter", &labels, value as f64);
        }
        single("firedrill_lab_steps_total", "counter", "", self.steps as f64);
        single("firedrill_lab_step_seconds_total", "counter", "", self.step_seconds);
        single("firedrill_lab_slowdown", "gauge", "", slowdown);
        single("firedrill_lab_in_flight", "gauge", "", in_flight as f64);
        header(&mut out, "vllm:request_success_total", "counter");
        for (reason, count) in &self.finished {
            let labels = format!("{labels},finished_reason=\"{reason}\"");
            line(&mut out, "vllm:request_success_total", &labels, count);
        }
        header(&mut out, "firedrill_lab_requests_total", "counter");
        for (status, count) in &self.by_status {
            line(&mut out, "firedrill_lab_requests_total", &format!("status=\"{status}\""), count);
        }
        self.ttft.render(&mut out, "vllm:time_to_first_token_seconds", &labels);
        self.inter_token.render(&mut out, "vllm:inter_token_latency_seconds", &labels);
        self.e2e.render(&mut out, "vllm:e2e_request_latency_seconds", &labels);
        self.queue_time.render(&mut out, "vllm:request_queue_time_seconds", &labels);
        self.output_tokens.render(&mut out, "vllm:request_generation_tokens", &labels);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_at_the_count() {
        let mut metrics = Metrics::default();
        for ms in [3, 12, 12, 60_000] {
            metrics.ttft.observe(Duration::from_millis(ms));
        }
        *metrics.by_status.entry(200).or_default() += 4;
        let text = metrics.render("demo", 2.0, 3);
        for expected in [
            "vllm:time_to_first_token_seconds_bucket{model_name=\"demo\",le=\"0.005\"} 1",
            "vllm:time_to_first_token_seconds_bucket{model_name=\"demo\",le=\"0.02\"} 3",
            "vllm:time_to_first_token_seconds_bucket{model_name=\"demo\",le=\"+Inf\"} 4",
            "vllm:time_to_first_token_seconds_count{model_name=\"demo\"} 4",
            "firedrill_lab_requests_total{status=\"200\"} 4",
            "firedrill_lab_slowdown 2",
            "firedrill_lab_in_flight 3",
        ] {
            assert!(text.lines().any(|line| line == expected), "no `{expected}` in\n{text}");
        }
    }
}
