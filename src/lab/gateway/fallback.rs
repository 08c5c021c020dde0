//! When no replica of the model can answer: the smaller model, and what is
//! wrong with it in each defect.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderValue;
use serde_json::json;

use super::{
    Gateway,
    asked::Asked,
    forward::{Answered, Tally, attempt, pick_fallback},
    metrics::add,
};
use crate::lab::{
    api::{Role, Upstream},
    config::FallbackMode,
};

/// Defect `slow`: how long it dawdles before it asks.
const SLOW: Duration = Duration::from_secs(3);
/// Output tokens where the request doesn't say.
const DEFAULT_TOKENS: u64 = 64;
/// Defect `garbage`: what it says.
const NONSENSE: [&str; 7] = ["zqx", "vlorp", "\u{fffd}\u{fffd}", "brrk", "0x0", "mmmf", "qwz"];

/// An answer that no model gave.
#[derive(Debug)]
pub(super) struct Made {
    /// The upstream that should have given it.
    pub(super) upstream: Arc<Upstream>,
    /// Its content type.
    pub(super) content_type: HeaderValue,
    /// All of its body.
    pub(super) body: Bytes,
}

/// The fallback's answer, if there is one.
pub(super) async fn answer(gateway: &Gateway, asked: &Asked, tally: &mut Tally) -> Option<Answered> {
    match gateway.config.fallback {
        FallbackMode::Off => return None,
        FallbackMode::On => {}
        FallbackMode::Slow => {
            gateway.fleet.first(Role::Fallback)?;
            tokio::time::sleep(SLOW).await;
        }
        FallbackMode::Garbage if asked.key.is_some() => {
            let upstream = gateway.fleet.first(Role::Fallback)?;
            add(&gateway.metrics.fallback);
            tally.fallback = true;
            return Some(Answered::Made(garbage(asked, upstream)));
        }
        FallbackMode::Garbage => {}
    }
    let ticket = pick_fallback(gateway)?;
    add(&gateway.metrics.fallback);
    tally.attempts += 1;
    tally.fallback = true;
    // It is the last resort, so it may take longer.
    let begun = attempt(gateway, asked, ticket, 2 * gateway.config.upstream_timeout.0).await;
    begun.ok().map(Answered::Begun)
}

/// Nonsense in the form that was asked for.
fn garbage(asked: &Asked, upstream: Arc<Upstream>) -> Made {
    let tokens = asked.max_tokens.unwrap_or(DEFAULT_TOKENS).max(1);
    let words = (0..tokens).map(|at| NONSENSE[(at % NONSENSE.len() as u64) as usize]);
    let usage = json!({"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1});
    let fingerprint = format!("fp_{}", upstream.version);
    if !asked.stream {
        let text: Vec<&str> = words.collect();
        let body = json!({
            "id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": asked.model,
            "system_fingerprint": fingerprint,
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": text.join(" ")},
                "finish_reason": "length",
            }],
            "usage": usage,
        });
        let content_type = HeaderValue::from_static("application/json");
        return Made { upstream, content_type, body: body.to_string().into() };
    }
    let mut body = String::new();
    let mut event = |choices: serde_json::Value, usage: Option<&serde_json::Value>| {
        let mut chunk = json!({
            "id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": asked.model,
            "system_fingerprint": fingerprint, "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage.clone();
        }
        body.push_str(&format!("data: {chunk}\n\n"));
    };
    let choice = |delta: serde_json::Value, finish: Option<&str>| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
    event(choice(json!({"role": "assistant", "content": ""}), None), None);
    for (at, word) in words.enumerate() {
        let last = at as u64 + 1 == tokens;
        event(choice(json!({"content": format!("{word} ")}), last.then_some("length")), None);
    }
    if asked.include_usage {
        event(json!([]), Some(&usage));
    }
    body.push_str("data: [DONE]\n\n");
    Made { upstream, content_type: HeaderValue::from_static("text/event-stream"), body: body.into() }
}
