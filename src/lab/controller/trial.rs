//! What the controller learns of a version from its pods themselves: their
//! metrics, and whether they answer golden prompts right.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    fleet::{Controller, url},
    scrape::{label, sample},
};
use crate::{
    lab::{api::Role, golden},
    units::{PodName, Version},
};

/// Golden prompts that a canary is asked at each look.
const QUESTIONS: usize = 3;

/// What a pod's metrics say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PodFigures {
    /// Gaps between tokens: sum in seconds, and how many.
    pub(super) gaps: (f64, f64),
    /// Share of the memory for keys and values that is taken, 0–1.
    pub(super) memory: f64,
    /// Answers by their tokens: cumulative counts by upper bound.
    pub(super) lengths: BTreeMap<u64, f64>,
    /// Tokens of all answers.
    pub(super) tokens: f64,
}

impl PodFigures {
    /// Reads a page of metrics; lines that are not of interest are passed over.
    pub(super) fn read(text: &str) -> Self {
        let mut figures = Self::default();
        for (name, labels, value) in text.lines().filter_map(sample) {
            match (name, label(labels, "le")) {
                ("vllm:inter_token_latency_seconds_sum", _) => figures.gaps.0 += value,
                ("vllm:inter_token_latency_seconds_count", _) => figures.gaps.1 += value,
                ("vllm:kv_cache_usage_perc", _) => figures.memory = value,
                ("vllm:request_generation_tokens_sum", _) => figures.tokens += value,
                ("vllm:request_generation_tokens_bucket", Some(bound)) => {
                    let bound = bound.parse::<f64>().ok().filter(|bound| bound.is_finite());
                    *figures.lengths.entry(bound.map_or(u64::MAX, |bound| bound as u64)).or_default() +=
                        value;
                }
                _ => {}
            }
        }
        figures
    }
}

/// All pods of the versions that are compared.
pub(super) type Trial = BTreeMap<Version, BTreeMap<PodName, PodFigures>>;

/// Asks all of them. One that does not answer is left out.
pub(super) async fn look(controller: &Controller) -> Trial {
    let pods = controller.pods_by_role().into_iter();
    let asked = pods.filter(|(role, pod)| *role != Role::Fallback && pod.ready).filter_map(|(_, pod)| {
        let address = pod.address?;
        Some(async move {
            let text = controller.metrics(address).await.ok()?;
            Some((pod.version, pod.name, PodFigures::read(&text)))
        })
    });
    let mut trial = Trial::new();
    for (version, pod, figures) in futures::future::join_all(asked).await.into_iter().flatten() {
        trial.entry(version).or_default().insert(pod, figures);
    }
    trial
}

/// How many golden prompts a version was asked, and how many it got wrong.
pub(super) async fn examine(controller: &Controller, version: &Version) -> (usize, usize) {
    let pods = controller.pods_by_role().into_iter();
    let pod = pods.filter(|(_, pod)| pod.version == *version && pod.ready).find_map(|(_, pod)| pod.address);
    let Some(address) = pod else { return (0, 0) };
    let asked = golden::GOLDEN.iter().take(QUESTIONS).map(|(question, right)| {
        let body =
            json!({"model": "demo", "max_tokens": 32, "messages": [{"role": "user", "content": question}]});
        let post = controller.http.post(url(address, "/v1/chat/completions")).json(&body);
        async move {
            let answer: Value = post.send().await.ok()?.error_for_status().ok()?.json().await.ok()?;
            let said = answer.pointer("/choices/0/message/content")?.as_str()?.to_owned();
            Some(said.contains(right))
        }
    });
    // What got no answer tells of errors, which the gateway counts.
    let answers: Vec<bool> = futures::future::join_all(asked).await.into_iter().flatten().collect();
    (answers.len(), answers.iter().filter(|right| !**right).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_the_rest_passed_over() {
        let figures = PodFigures::read(concat!(
            "# TYPE vllm:kv_cache_usage_perc gauge\n",
            "vllm:kv_cache_usage_perc{model_name=\"m\"} 0.25\n",
            "vllm:inter_token_latency_seconds_sum{model_name=\"m\"} 1.5\n",
            "vllm:inter_token_latency_seconds_count{model_name=\"m\"} 100\n",
            "vllm:request_generation_tokens_bucket{model_name=\"m\",le=\"10\"} 3\n",
            "vllm:request_generation_tokens_bucket{model_name=\"m\",le=\"+Inf\"} 4\n",
            "vllm:request_generation_tokens_sum{model_name=\"m\"} 44\n",
            "firedrill_lab_steps_total 9\nnonsense\n",
        ));
        let lengths = BTreeMap::from([(10, 3.0), (u64::MAX, 4.0)]);
        assert_eq!(figures, PodFigures { gaps: (1.5, 100.0), memory: 0.25, lengths, tokens: 44.0 });
    }
}
