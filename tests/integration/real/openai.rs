//! Chat completions of llama.cpp, alone and behind LiteLLM.

use firedrill::journal::{Event, event::Exemplar, interval::Outcome};

use super::{LITELLM_KEY, litellm, llama, llama_with};
use crate::{drill::Drilled, support::Folder};

/// Two workloads, streaming and not, of 40 requests each: `{input}` and
/// `{output}` tokens; `auth` is a line of a workload, or nothing. Each request
/// has a connection of its own: llama.cpp closes a kept one now and then right
/// after a stream, without a word, and what is sent on it then is a `reset`.
fn both(url: &str, auth: &str, input: &str, output: u32) -> String {
    let workload = |name: &str, stream: bool| {
        format!(
            "  {name}:\n    endpoint: {{ openai-chat: {{ model: tiny, stream: {stream} }} }}\n    prompts: {{ synthetic: {{ \
             input-tokens: {input}, output-tokens: {output} }} }}\n    connection: {{ reuse: none }}\n{auth}"
        )
    };
    format!(
        "version: 1\nname: real\nseed: 1\ntarget: {{ url: \"{url}\" }}\nworkloads:\n{}{}load:\n  - {{ name: a, workload: streamed, \
         closed: {{ users: 2, requests: 40 }} }}\n  - {{ name: b, workload: whole, closed: {{ users: 2, requests: 40 }} }}\nslos:\n  \
         - {{ availability: \">= 90%\" }}\n  - {{ ttft: \"p50 < 60s\", workload: streamed }}\n",
        workload("streamed", true),
        workload("whole", false),
    )
}

/// The line of a workload that takes `key` from a file, which is in the folder.
fn bearer(key: &str) -> (Folder, String) {
    let folder = Folder::new();
    let file = folder.write("key", key);
    let auth = format!("    auth: {{ bearer: {{ file: \"{}\" }} }}\n", file.display());
    (folder, auth)
}

fn exemplar(drilled: &Drilled, outcome: Outcome) -> &Exemplar {
    let exemplars = drilled.record.events.iter().filter_map(|record| match &record.event {
        Event::Exemplar(exemplar) => Some(exemplar),
        _ => None,
    });
    exemplars.into_iter().find(|exemplar| exemplar.outcome == outcome).expect("an exemplar")
}

fn all_is_well(drilled: &Drilled) {
    assert_eq!(drilled.code, 0, "{}", drilled.said);
    assert_eq!(Vec::from_iter(drilled.outcomes()), [(Outcome::Ok, 80)], "{}", drilled.said);
    let (streamed, whole) = (drilled.sum("streamed"), drilled.sum("whole"));
    assert_eq!((streamed.tokens, whole.tokens), (40 * 12, 40 * 12), "by the server's own count");
    assert_eq!(streamed.ttft.len(), 40);
    let first = streamed.service_ttft.quantile(0.0, 0).expect("samples");
    assert!(first > 0 && first <= streamed.service_e2e.max().expect("samples"), "{first}");
    assert!(streamed.itl.len() > 40, "tokens come in pieces: {}", streamed.itl.len());
    assert_eq!(whole.itl.len(), 0, "a whole answer has no pieces");
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn llama_answers_and_its_tokens_are_counted() {
    let server = llama();
    all_is_well(&Drilled::conclusive(|| Drilled::run(&both(&server.url, "", "16", 12))));
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn litellm_answers_and_its_tokens_are_counted() {
    let server = litellm();
    let (_folder, auth) = bearer(LITELLM_KEY);
    all_is_well(&Drilled::conclusive(|| Drilled::run(&both(&server.url, &auth, "16", 12))));
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn a_wrong_key_is_noticed_before_anything_is_sent() {
    let server = litellm();
    let (_folder, auth) = bearer("no");
    let drilled = Drilled::conclusive(|| Drilled::run(&both(&server.url, &auth, "16", 12)));
    assert_eq!(drilled.code, 2, "{}", drilled.said);
    assert!(drilled.said.contains("`http-4xx`: HTTP 40"), "{}", drilled.said);
}

/// Prompts that are longer than the context are refused: 400.
#[test]
#[ignore = "needs scripts/real-servers"]
fn prompts_that_are_too_long_are_refused_in_its_own_words() {
    let server = llama();
    let drilled = Drilled::conclusive(|| {
        Drilled::run(&both(&server.url, "", "{ lognormal: { median: 20, p99: 250 } }", 2))
    });
    let outcomes = drilled.outcomes();
    let count = |outcome| outcomes.get(&outcome).copied().unwrap_or_default();
    assert!(count(Outcome::Http4xx) > 0 && count(Outcome::Ok) > 0, "{outcomes:?} {}", drilled.said);
    assert_eq!(count(Outcome::Http4xx) + count(Outcome::Ok), 80, "{outcomes:?} {}", drilled.said);
    assert_eq!(drilled.code, 1, "{}", drilled.said);
    let detail = &exemplar(&drilled, Outcome::Http4xx).detail;
    assert!(detail.starts_with("HTTP 400") && detail.contains("context"), "{detail}");
}

/// Two slots that share a context which is too small for both: one of them
/// ends in the middle with an error under HTTP 200.
#[test]
#[ignore = "needs scripts/real-servers"]
fn an_error_in_the_middle_of_a_stream_is_noticed() {
    let server = llama_with("-c 256 --kv-unified");
    let drilled = Drilled::conclusive(|| Drilled::run(&both(&server.url, "", "12", 150)));
    let outcomes = drilled.outcomes();
    assert!(outcomes.get(&Outcome::InBandError).is_some_and(|n| *n > 0), "{outcomes:?} {}", drilled.said);
    assert_eq!(drilled.code, 1, "{}", drilled.said);
    let detail = &exemplar(&drilled, Outcome::InBandError).detail;
    assert!(detail.contains("Context size has been exceeded"), "{detail}");
}

/// A context that ends the answer before the tokens that were asked for.
#[test]
#[ignore = "needs scripts/real-servers"]
fn an_answer_that_the_context_cuts_is_short() {
    let server = llama();
    let drilled = Drilled::conclusive(|| {
        Drilled::run(&both(&server.url, "", "{ lognormal: { median: 12, p99: 60 } }", 120))
    });
    let outcomes = drilled.outcomes();
    assert!(outcomes.get(&Outcome::Short).is_some_and(|n| *n > 0), "{outcomes:?} {}", drilled.said);
    let detail = &exemplar(&drilled, Outcome::Short).detail;
    assert!(detail.contains("of 120 tokens"), "{detail}");
}
