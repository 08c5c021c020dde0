//! How long a step takes on a simulated accelerator.
//!
//! Sources: llm-d's published latencies a model (fixed and per-token cost of
//! a prompt, inter-token latency with its spread), and the shape of the step
//! time that NVIDIA Dynamo's mocker fits (prompt tokens in the batch, and a
//! fuller KV cache, slow everybody's step).

use rand::Rng;
use rand_distr::{Distribution, Normal};

use super::engine::{Limits, Step};
use crate::lab::config::ModelPreset;

/// Milliseconds that each prompt token adds to the step it is computed in.
const PREFILL_MS_PER_TOKEN: f64 = 0.015;
/// A step over a full KV cache takes this much longer than over an empty one.
const FULL_CACHE_COST: f64 = 2.0;
/// Prompts longer than a chunk are spread over steps, so the token budget
/// binds only in a crowd.
const MAX_NUM_BATCHED_TOKENS: u32 = 8192;

/// Timings of a model.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Timing {
    // Of a lone prompt.
    prefill_base_ms: f64,
    prefill_token_ms: f64,
    itl_mean_ms: f64,
    itl_sd_ms: f64,
    // Fewer than real cards have: a drill on a laptop must be able to fill them.
    kv_blocks: usize,
}

impl Timing {
    pub(in super::super) fn of(model: ModelPreset) -> Self {
        let (prefill_base_ms, prefill_token_ms, itl_mean_ms, itl_sd_ms, kv_blocks) = match model {
            ModelPreset::Llama8bH100 => (30.0, 0.25, 12.0, 2.0, 4096),
            ModelPreset::Llama70bH100x8 => (80.0, 0.5, 25.0, 4.0, 8192),
            ModelPreset::Llama3bL40s => (20.0, 0.35, 15.0, 2.0, 2048),
        };
        Self { prefill_base_ms, prefill_token_ms, itl_mean_ms, itl_sd_ms, kv_blocks }
    }

    /// The engine's limits. A lone prompt passes at one chunk a step, so a
    /// chunk is what the model computes in the time of one.
    pub(in super::super) fn limits(&self) -> Limits {
        let in_tokens = |ms: f64| (ms / self.prefill_token_ms).round() as u32;
        Limits {
            max_num_seqs: 256,
            max_num_batched_tokens: MAX_NUM_BATCHED_TOKENS,
            max_waiting: 512,
            kv_blocks: self.kv_blocks,
            prefill_chunk: in_tokens(self.itl_mean_ms).max(1),
            prefill_overhead: in_tokens(self.prefill_base_ms),
        }
    }

    /// Milliseconds of a step on an unhurt accelerator.
    pub(in super::super) fn step_ms(&self, step: &Step, kv_use: f64, random: &mut impl Rng) -> f64 {
        // A finite mean and a positive spread: always a distribution.
        let jitter = Normal::new(0.0, self.itl_sd_ms).map_or(0.0, |normal| normal.sample(random));
        let reach = 3.0 * self.itl_sd_ms;
        let base = self.itl_mean_ms + jitter.clamp(-reach, reach);
        base.max(1.0) * (1.0 + FULL_CACHE_COST * kv_use)
            + PREFILL_MS_PER_TOKEN * f64::from(step.prefill_tokens)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::lab::replica::sim::{Engine, Prompt};

    /// Time to first token of a lone prompt of `tokens`, in ms.
    fn lone_ttft(model: ModelPreset, tokens: u64) -> f64 {
        let timing = Timing::of(model);
        let mut engine = Engine::new(timing.limits());
        let mut random = ChaCha8Rng::seed_from_u64(1);
        engine.submit(1, Prompt::new(&(0..tokens).collect::<Vec<_>>()), 1).expect("room");
        let mut ms = 0.0;
        while !engine.is_idle() {
            let step = engine.step();
            ms += timing.step_ms(&step, engine.kv_use(), &mut random);
        }
        ms
    }

    #[test]
    fn a_lone_prompt_takes_about_what_the_preset_says() {
        for (model, tokens, expected) in [
            (ModelPreset::Llama8bH100, 220, 85.0),
            (ModelPreset::Llama8bH100, 1800, 480.0),
            (ModelPreset::Llama70bH100x8, 220, 190.0),
            (ModelPreset::Llama3bL40s, 220, 97.0),
        ] {
            let ms = lone_ttft(model, tokens);
            // Whole steps, jitter, and the cost of the tokens themselves.
            assert!((ms - expected).abs() < 0.3 * expected, "{model:?} {tokens}: {ms} ms, not {expected}");
        }
    }

    #[test]
    fn a_full_cache_and_other_prompts_slow_a_step() {
        let timing = Timing { itl_sd_ms: 0.0, ..Timing::of(ModelPreset::Llama8bH100) };
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let empty = timing.step_ms(&Step::default(), 0.0, &mut random);
        assert_eq!(empty, 12.0);
        assert_eq!(timing.step_ms(&Step::default(), 1.0, &mut random), 36.0);
        let busy = Step { prefill_tokens: 1000, ..Step::default() };
        assert_eq!(timing.step_ms(&busy, 0.0, &mut random), 27.0);
    }
}
