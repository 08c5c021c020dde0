//! `observe:`: sources of signals beside those that a target brings with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// A source of signals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Observed {
    /// Its name, unique: what it says is told under it.
    pub name: String,
    /// What it is, and where. In YAML the variant's key stands beside `name`.
    #[serde(flatten)]
    pub system: System,
    /// Between two looks.
    #[serde(default = "default_every")]
    pub every: Span,
}

/// Default of [`Observed::every`].
pub fn default_every() -> Span {
    Span::millis(250)
}

/// Systems whose own figures are understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// The address of any Prometheus exposition: samples, and nothing more.
    Prometheus(String),
    /// Envoy's admin address: outlier ejection, by cluster.
    Envoy(String),
    /// The address of HAProxy's Prometheus exporter: servers that are down.
    Haproxy(String),
    /// The address of a Resilience4j application's Prometheus exposition: its
    /// circuit breakers.
    Resilience4j(String),
    /// The address of Traefik's Prometheus exposition: circuit breakers, by
    /// service.
    Traefik(String),
    /// A Prometheus server's address: the alerts of its rules.
    PrometheusAlerts(String),
    /// An Alertmanager's address: its alerts.
    Alertmanager(String),
}

impl System {
    /// Whether it tells of alerts, and not of figures.
    pub fn has_alerts(&self) -> bool {
        match self {
            Self::PrometheusAlerts(_) | Self::Alertmanager(_) => true,
            Self::Prometheus(_)
            | Self::Envoy(_)
            | Self::Haproxy(_)
            | Self::Resilience4j(_)
            | Self::Traefik(_) => false,
        }
    }

    /// Where its exposition is.
    pub fn url(&self) -> String {
        match self {
            Self::Prometheus(url) | Self::Haproxy(url) | Self::Resilience4j(url) | Self::Traefik(url) => {
                url.clone()
            }
            Self::PrometheusAlerts(at) => format!("{}/api/v1/alerts", at.trim_end_matches('/')),
            Self::Alertmanager(at) => format!("{}/api/v2/alerts", at.trim_end_matches('/')),
            Self::Envoy(admin) => format!("{}/stats/prometheus", admin.trim_end_matches('/')),
        }
    }
}
