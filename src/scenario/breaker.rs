//! The kinds of circuit breaker. One word stands for three mechanisms, and a
//! drill of one of them must not be content with another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a circuit breaker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerKind {
    /// Closed, open, half-open: by the failures that it counts (Resilience4j,
    /// Traefik, the lab).
    StateMachine,
    /// Rejects what is too much at once, and has no state (Envoy's
    /// `circuit_breakers`, bulkheads).
    Capacity,
    /// Takes broken hosts out (Envoy's outlier detection, HAProxy's checks).
    Outlier,
}

impl BreakerKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::StateMachine, Self::Capacity, Self::Outlier];

    /// As a drill is titled.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::StateMachine => "state-machine",
            Self::Capacity => "capacity",
            Self::Outlier => "outlier",
        }
    }
}
