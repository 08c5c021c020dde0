//! The step loop of a continuous-batching server: running sequences first,
//! then waiting ones, within a budget of tokens a step.

use std::collections::VecDeque;

use super::blocks::{BLOCK_TOKENS, BlockHash, BlockId, BlockPool};

/// A sequence, by the caller's number.
pub(in super::super) type SequenceId = u64;

/// What the engine may do at once (vLLM's names and defaults).
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Limits {
    /// Sequences in a batch.
    pub max_num_seqs: usize,
    /// Tokens computed in a step, over all sequences.
    pub max_num_batched_tokens: u32,
    /// Sequences that may wait.
    pub max_waiting: usize,
    /// Blocks of the KV cache.
    pub kv_blocks: usize,
    /// Prompt tokens that one sequence gets through in a step: what spreads
    /// a long prompt over steps, so that others go on decoding.
    pub prefill_chunk: u32,
    /// A prompt's fixed cost, in prompt tokens.
    pub prefill_overhead: u32,
}

/// A prompt as the engine sees it.
#[derive(Debug, Clone)]
pub(in super::super) struct Prompt {
    /// Its length in tokens.
    tokens: u32,
    // One hash for each full block, each covering the blocks before it.
    hashes: Vec<BlockHash>,
}

impl Prompt {
    /// From the tokens' ids.
    pub(in super::super) fn new(tokens: &[u64]) -> Self {
        let mut running = 0;
        let hashes = tokens
            .chunks_exact(BLOCK_TOKENS as usize)
            .map(|block| {
                running = block.iter().fold(running, |hash, token| crate::lab::replica::mix(hash ^ token));
                running
            })
            .collect();
        Self { tokens: u32::try_from(tokens.len()).unwrap_or(u32::MAX).max(1), hashes }
    }

    pub(in super::super) fn tokens(&self) -> u32 {
        self.tokens
    }
}

#[derive(Debug)]
struct Sequence {
    id: SequenceId,
    prompt: Prompt,
    max_tokens: u32,
    generated: u32,
    // Tokens whose keys and values are in `blocks`.
    computed: u32,
    // Of the fixed cost, what is still to pay.
    overhead: u32,
    blocks: Vec<BlockId>,
}

impl Sequence {
    /// Tokens that are known: the prompt and what was generated.
    fn known(&self) -> u32 {
        self.prompt.tokens + self.generated
    }

    fn blocks_for(tokens: u32) -> usize {
        tokens.div_ceil(BLOCK_TOKENS) as usize
    }
}

/// A token that a step produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Emitted {
    /// Whose.
    pub id: SequenceId,
    /// The how-manieth of its sequence, from 0.
    pub index: u32,
    /// Whether its sequence is finished.
    pub last: bool,
}

/// What one step did.
#[derive(Debug, Default)]
pub(in super::super) struct Step {
    /// The tokens it produced.
    pub emitted: Vec<Emitted>,
    /// Sequences that left the queue.
    pub admitted: Vec<SequenceId>,
    /// Prompt tokens computed (again, after a preemption).
    pub prefill_tokens: u32,
    /// Sequences that lost their blocks and wait again.
    pub preempted: u32,
    /// Blocks of admitted prompts that were looked up in the prefix cache,
    /// in tokens.
    pub prefix_queries: u32,
    /// Those that were found, in tokens.
    pub prefix_hits: u32,
}

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct QueueFull;

/// The engine.
#[derive(Debug)]
pub(in super::super) struct Engine {
    limits: Limits,
    pool: BlockPool,
    waiting: VecDeque<Sequence>,
    // Oldest first.
    running: Vec<Sequence>,
}

impl Engine {
    pub(in super::super) fn new(limits: Limits) -> Self {
        Self { limits, pool: BlockPool::new(limits.kv_blocks), waiting: VecDeque::new(), running: Vec::new() }
    }

    /// The longest sequence (prompt and output) that can ever be served, in
    /// tokens: the watermark's blocks stay free.
    pub(in super::super) fn max_model_len(limits: &Limits) -> u32 {
        u32::try_from(limits.kv_blocks - Self::watermark(limits)).unwrap_or(u32::MAX) * BLOCK_TOKENS
    }

    fn watermark(limits: &Limits) -> usize {
        limits.kv_blocks.div_ceil(100)
    }

    pub(in super::super) fn running(&self) -> usize {
        self.running.len()
    }

    pub(in super::super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(in super::super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Share of the KV cache that sequences hold, 0–1.
    pub(in super::super) fn kv_use(&self) -> f64 {
        self.pool.used() as f64 / self.pool.total() as f64
    }

    /// Queues a sequence, which must fit [`Self::max_model_len`].
    pub(in super::super) fn submit(
        &mut self,
        id: SequenceId,
        prompt: Prompt,
        max_tokens: u32,
    ) -> Result<(), QueueFull> {
        if self.waiting.len() >= self.limits.max_waiting {
            return Err(QueueFull);
        }
        let overhead = self.limits.prefill_overhead;
        let blocks = Vec::new();
        self.waiting.push_back(Sequence {
            id,
            prompt,
            max_tokens: max_tokens.max(1),
            generated: 0,
            computed: 0,
            overhead,
            blocks,
        });
        Ok(())
    }

    /// Forgets a sequence, wherever it is, and frees its blocks.
    pub(in super::super) fn abort(&mut self, id: SequenceId) {
        self.waiting.retain(|sequence| sequence.id != id);
        if let Some(at) = self.running.iter().position(|sequence| sequence.id == id) {
            let sequence = self.running.remove(at);
            Self::free(&mut self.pool, sequence.blocks);
        }
    }

    // The tail first, so that a shared head is evicted last.
    fn free(pool: &mut BlockPool, blocks: Vec<BlockId>) {
        for block in blocks.into_iter().rev() {
            pool.release(block);
        }
    }

    /// One pass over the batch.
    pub(in super::super) fn step(&mut self) -> Step {
        let mut step = Step::default();
        let mut budget = self.limits.max_num_batched_tokens;
        let mut at = 0;
        while at < self.running.len() && budget > 0 {
            if !self.make_room(at, budget, &mut step) {
                break; // It was itself the newest, and is waiting again.
            }
            budget -= self.advance(at, budget, &mut step);
            at += 1;
        }
        if step.preempted == 0 {
            self.admit(budget, &mut step);
        }
        let pool = &mut self.pool;
        self.running.retain_mut(|sequence| {
            let goes_on = sequence.generated < sequence.max_tokens;
            if !goes_on {
                Self::free(pool, std::mem::take(&mut sequence.blocks));
            }
            goes_on
        });
        step
    }

    /// Preempts the newest sequences until the one `at` can take its next
    /// tokens. False: it had to go itself.
    fn make_room(&mut self, at: usize, budget: u32, step: &mut Step) -> bool {
        loop {
            let sequence = &self.running[at];
            let (_, tokens) = self.next_tokens(sequence, budget);
            let wanted = Sequence::blocks_for(sequence.computed + tokens) - sequence.blocks.len();
            if wanted <= self.pool.available() {
                return true;
            }
            let Some(mut newest) = self.running.pop() else { return false };
            Self::free(&mut self.pool, std::mem::take(&mut newest.blocks));
            newest.computed = 0;
            newest.overhead = self.limits.prefill_overhead;
            self.waiting.push_front(newest);
            step.preempted += 1;
            if self.running.len() == at {
                return false;
            }
        }
    }

    /// What a sequence does next: fixed cost to pay, and tokens to compute.
    fn next_tokens(&self, sequence: &Sequence, budget: u32) -> (u32, u32) {
        let chunk = self.limits.prefill_chunk;
        let overhead = sequence.overhead.min(chunk);
        let tokens = (sequence.known() - sequence.computed).min(chunk - overhead).min(budget);
        (overhead, tokens)
    }

    /// Computes the next tokens of the sequence `at`; returns how many.
    fn advance(&mut self, at: usize, budget: u32, step: &mut Step) -> u32 {
        let (overhead, tokens) = self.next_tokens(&self.running[at], budget);
        let sequence = &mut self.running[at];
        let decodes = sequence.generated > 0 && sequence.computed + 1 == sequence.known();
        sequence.overhead -= overhead;
        while sequence.blocks.len() < Sequence::blocks_for(sequence.computed + tokens) {
            let Some(block) = self.pool.allocate() else { return 0 };
            sequence.blocks.push(block);
        }
        let full_before = (sequence.computed / BLOCK_TOKENS) as usize;
        sequence.computed += tokens;
        let full = (sequence.computed / BLOCK_TOKENS) as usize;
        for index in full_before..full.min(sequence.prompt.hashes.len()) {
            self.pool.publish(sequence.blocks[index], sequence.prompt.hashes[index]);
        }
        if !decodes {
            step.prefill_tokens += tokens;
        }
        if sequence.computed == sequence.known() {
            let index = sequence.generated;
            sequence.generated += 1;
            let last = sequence.generated >= sequence.max_tokens;
            step.emitted.push(Emitted { id: sequence.id, index, last });
        }
        tokens
    }

    /// Lets waiting sequences in, first come first served.
    fn admit(&mut self, mut budget: u32, step: &mut Step) {
        while budget > 0 && self.running.len() < self.limits.max_num_seqs {
            let Some(sequence) = self.waiting.front() else { return };
            // One token at least must be computed to get the next one.
            let reusable = ((sequence.known() - 1) / BLOCK_TOKENS) as usize;
            let lookup = &sequence.prompt.hashes[..sequence.prompt.hashes.len().min(reusable)];
            let (hits, idle_hits) = self.pool.cached_prefix(lookup);
            let wanted = Sequence::blocks_for(sequence.known()) - hits + idle_hits;
            let reserve = if self.running.is_empty() { 0 } else { Self::watermark(&self.limits) };
            if wanted + reserve > self.pool.available() {
                return;
            }
            let Some(mut sequence) = self.waiting.pop_front() else { return };
            for index in 0..hits {
                sequence.blocks.extend(self.pool.share(sequence.prompt.hashes[index]));
            }
            sequence.computed = u32::try_from(hits).unwrap_or(0) * BLOCK_TOKENS;
            step.prefix_queries += sequence.prompt.tokens;
            step.prefix_hits += sequence.computed;
            step.admitted.push(sequence.id);
            self.running.push(sequence);
            budget -= self.advance(self.running.len() - 1, budget, step);
        }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
