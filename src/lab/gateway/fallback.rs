//! When no replica of the model can answer: the smaller model. That it is
//! slow or talks nonsense is its own replicas' defect; the gateway passes on
//! what they say.

use std::time::Duration;

use super::{
    Gateway,
    asked::Asked,
    attempt::Begun,
    forward::{Tally, attempt, pick_fallback},
    metrics::add,
};
use crate::lab::config::FallbackMode;

/// Defect `slow`: what the gateway puts up with.
const PATIENCE: Duration = Duration::from_secs(15);

/// The fallback's answer, if there is one.
pub(super) async fn answer(gateway: &Gateway, asked: &Asked, tally: &mut Tally) -> Option<Begun> {
    let limit = match gateway.config.fallback {
        FallbackMode::Off => return None,
        // It is the last resort, so it may take longer.
        FallbackMode::On | FallbackMode::Garbage | FallbackMode::WrongModel => {
            2 * gateway.config.upstream_timeout.0
        }
        FallbackMode::Slow => PATIENCE,
    };
    let ticket = pick_fallback(gateway)?;
    add(&gateway.metrics.fallback);
    tally.attempts += 1;
    tally.fallback = true;
    attempt(gateway, asked, ticket, limit).await.ok()
}
