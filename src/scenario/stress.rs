//! `StressChaos`: CPU and memory that are used up beside a pod's own work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chaos::Scope;
use crate::units::Span;

/// Spec of a `StressChaos`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StressChaos {
    /// What is used up.
    pub stressors: Stressors,
    /// Of which pods.
    #[serde(flatten)]
    pub scope: Scope,
    /// For how long. None: until recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// What is used up: one of them at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stressors {
    /// CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuStress>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStress>,
}

/// Threads that compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CpuStress {
    /// How many.
    pub workers: u16,
    /// How busy each is, in per cent of a core: 1 to 100.
    pub load: u8,
}

/// Memory that is held and touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryStress {
    /// How many hold as much.
    pub workers: u16,
    /// Bytes that each holds.
    pub bytes: u64,
}

impl MemoryStress {
    /// Bytes of all of them.
    pub fn total(self) -> u64 {
        self.bytes.saturating_mul(u64::from(self.workers))
    }
}

impl Stressors {
    /// `cpu`, `memory`, or both.
    pub fn action(self) -> &'static str {
        match (self.cpu, self.memory) {
            (Some(_), Some(_)) => "cpu-and-memory",
            (None, Some(_)) => "memory",
            (Some(_) | None, None) => "cpu",
        }
    }
}
