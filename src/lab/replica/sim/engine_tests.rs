//! The engine's invariants, under any order of arrivals, aborts and steps.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn limits(kv_blocks: usize) -> Limits {
    Limits {
        max_num_seqs: 8,
        max_num_batched_tokens: 128,
        max_waiting: 16,
        kv_blocks,
        prefill_chunk: 48,
        prefill_overhead: 60,
    }
}

fn prompt(kind: u64, tokens: usize) -> Prompt {
    Prompt::new(&(0..tokens as u64).map(|at| kind * 10_000 + at).collect::<Vec<_>>())
}

/// Steps until nothing is left; each sequence's tokens, in order.
fn drain(engine: &mut Engine) -> HashMap<SequenceId, Vec<u32>> {
    let mut tokens: HashMap<SequenceId, Vec<u32>> = HashMap::new();
    for _ in 0..10_000 {
        if engine.is_idle() {
            return tokens;
        }
        for emitted in engine.step().emitted {
            tokens.entry(emitted.id).or_default().push(emitted.index);
        }
    }
    panic!("the engine never ends: {engine:?}");
}

#[test]
fn a_lone_prompt_takes_its_fixed_cost_and_its_chunks_then_a_token_a_step() {
    let mut engine = Engine::new(limits(64));
    engine.submit(1, prompt(1, 100), 3).expect("room");
    // (60 + 100) / 48 → the fourth step ends the prompt and gives a token.
    let per_step: Vec<usize> = (0..6).map(|_| engine.step().emitted.len()).collect();
    assert_eq!(per_step, [0, 0, 0, 1, 1, 1]);
    assert!(engine.is_idle());
    assert_eq!(engine.kv_use(), 0.0);
}

#[test]
fn a_repeated_prompt_is_found_in_the_prefix_cache() {
    let mut engine = Engine::new(limits(64));
    engine.submit(1, prompt(1, 100), 1).expect("room");
    drain(&mut engine);
    engine.submit(2, prompt(1, 100), 1).expect("room");
    let step = engine.step();
    assert_eq!((step.prefix_queries, step.prefix_hits), (100, 96));
    assert_eq!(engine.step().emitted.len(), 1, "96 of 100 tokens need not be computed");
}

#[test]
fn the_newest_is_preempted_and_is_recomputed_without_losing_a_token() {
    let mut engine = Engine::new(limits(12));
    engine.submit(1, prompt(1, 64), 80).expect("room");
    engine.submit(2, prompt(2, 64), 80).expect("room");
    let mut preempted = 0;
    let mut tokens: HashMap<SequenceId, Vec<u32>> = HashMap::new();
    while !engine.is_idle() {
        let step = engine.step();
        preempted += step.preempted;
        if step.preempted > 0 {
            assert!(step.admitted.is_empty(), "nobody is let in where somebody had to go");
            assert!(engine.running.iter().all(|sequence| sequence.id == 1));
        }
        for emitted in step.emitted {
            tokens.entry(emitted.id).or_default().push(emitted.index);
        }
    }
    assert!(preempted > 0);
    for id in [1, 2] {
        assert_eq!(tokens[&id], (0..80).collect::<Vec<_>>());
    }
}

#[test]
fn the_queue_has_an_end() {
    let mut engine = Engine::new(limits(64));
    for id in 0..16 {
        engine.submit(id, prompt(id, 10), 1).expect("room");
    }
    assert_eq!(engine.submit(16, prompt(16, 10), 1), Err(QueueFull));
}

#[test]
fn running_sequences_come_before_waiting_ones() {
    let mut engine = Engine::new(Limits { max_num_batched_tokens: 48, prefill_overhead: 0, ..limits(64) });
    engine.submit(1, prompt(1, 96), 1).expect("room");
    engine.submit(2, prompt(2, 48), 1).expect("room");
    assert_eq!(engine.step().admitted, [1]);
    assert_eq!(engine.step().admitted, [] as [u64; 0]);
    assert_eq!(engine.step().admitted, [2]);
}

#[derive(Debug, Clone)]
enum Act {
    Submit { kind: u64, tokens: usize, max_tokens: u32 },
    Abort { back: u64 },
    Step,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..4_u64, 1..120_usize, 1..40_u32).prop_map(|(kind, tokens, max_tokens)| Act::Submit {
            kind,
            tokens,
            max_tokens
        }),
        (0..6_u64).prop_map(|back| Act::Abort { back }),
        Just(Act::Step),
        Just(Act::Step),
        Just(Act::Step),
    ];
    prop::collection::vec(act, 1..200)
}

proptest! {
    #[test]
    fn whatever_happens_every_sequence_gets_its_tokens_once_and_no_block_is_lost(acts in acts(), kv_blocks in 11..40_usize) {
        let mut engine = Engine::new(limits(kv_blocks));
        let mut asked: HashMap<SequenceId, u32> = HashMap::new();
        let mut got: HashMap<SequenceId, Vec<u32>> = HashMap::new();
        let mut next = 0;
        for act in acts {
            match act {
                Act::Submit { kind, tokens, max_tokens } => {
                    next += 1;
                    if engine.submit(next, prompt(kind, tokens), max_tokens).is_ok() {
                        asked.insert(next, max_tokens);
                    }
                }
                Act::Abort { back } => {
                    let id = next.saturating_sub(back);
                    engine.abort(id);
                    asked.remove(&id);
                }
                Act::Step => {
                    let step = engine.step();
                    prop_assert!(step.prefill_tokens <= 128);
                    for emitted in step.emitted {
                        got.entry(emitted.id).or_default().push(emitted.index);
                        prop_assert_eq!(emitted.last, asked.get(&emitted.id) == Some(&(emitted.index + 1)));
                    }
                }
            }
            prop_assert!(engine.running() <= 8 && engine.waiting() <= 16 + 8);
            let held: usize = engine.running.iter().map(|sequence| sequence.blocks.len()).sum();
            prop_assert!(held >= engine.pool.used(), "shared blocks are counted once, none is lost");
        }
        for (id, tokens) in drain(&mut engine) {
            got.entry(id).or_default().extend(tokens);
        }
        prop_assert_eq!(engine.pool.used(), 0);
        for (id, max_tokens) in asked {
            prop_assert_eq!(got.get(&id), Some(&(0..max_tokens).collect::<Vec<_>>()));
        }
    }
}
