//! Alerts that a drill has to set off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{FaultId, PhaseName, Span};

/// An alert must tell people of a fault, and stop when it is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AlertExpectation {
    /// Its name (the label `alertname`).
    pub name: String,
    /// The fault that it must tell of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Fault's effect → it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fires_within: Option<Span>,
    /// Fault's end → it fires no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolves_within: Option<Span>,
    /// It must not fire in this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_in: Option<PhaseName>,
}
