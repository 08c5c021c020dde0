//! `observe:`: sources of signals beside those that a target brings with it.

use std::{
    fmt,
    net::{Ipv6Addr, SocketAddr},
    str::FromStr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ParseUnitError, Span};

/// A source of signals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Observed {
    /// Its name, unique: what it says is told under it.
    pub name: String,
    /// What it is, and where. In YAML the variant's key stands beside `name`.
    #[serde(flatten)]
    pub system: System,
    /// Between two looks: 250 ms of states, 1 s of figures alone.
    pub every: Span,
}

/// States are looked at more often than figures have to be kept.
const KEPT: Span = Span::secs(1);

impl Observed {
    /// Between two samples that it leaves in the journal. None: it leaves
    /// none.
    pub fn period(&self) -> Option<Span> {
        match self.system.tells() {
            Tells::Breakers => Some(self.every.max(KEPT)),
            Tells::Figures => Some(self.every),
            Tells::Alerts => None,
        }
    }
}

/// Systems whose own figures are understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// The address of any Prometheus exposition: samples, and nothing more.
    Prometheus(String),
    /// A Prometheus server's address, and beside it in `query:` what it is
    /// asked in PromQL: a sample of each series that comes out.
    PrometheusQuery(PromQuery),
    /// Envoy's admin address: by cluster outlier ejection and who is ejected,
    /// the capacity breaker, retries.
    Envoy(String),
    /// The address of HAProxy's Prometheus exporter, or of its statistics page
    /// as CSV (`…/stats;csv`): servers that are down.
    Haproxy(String),
    /// The address of a Resilience4j application's Prometheus exposition: its
    /// circuit breakers.
    Resilience4j(String),
    /// The address of Traefik's Prometheus exposition: circuit breakers, by
    /// service.
    Traefik(String),
    /// The address of LiteLLM's metrics (`…/metrics`): deployments that it
    /// leaves alone for a while.
    Litellm(String),
    /// Redis: the figures of its `INFO`, and that it was restarted.
    Redis(HostPort),
    /// The address of nginx' `stub_status`: its figures.
    Nginx(String),
    /// The name of a Varnish instance, or its working directory: counters by
    /// `varnishstat`, which has to be on this machine.
    Varnish(String),
    /// A Prometheus server's address: the alerts of its rules.
    PrometheusAlerts(String),
    /// An Alertmanager's address: its alerts.
    Alertmanager(String),
    /// Where the run itself listens for an Alertmanager's webhook: the alerts
    /// that reach people.
    AlertWebhook(SocketAddr),
}

/// A question to a Prometheus server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PromQuery {
    /// The server's address.
    pub at: String,
    /// In PromQL: an instant vector or a scalar.
    pub query: String,
}

/// What a source tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// Figures, and breakers where there are some.
    Breakers,
    /// Figures.
    Figures,
    /// Alerts.
    Alerts,
}

impl System {
    /// What it tells of.
    pub fn tells(&self) -> Tells {
        match self {
            Self::PrometheusAlerts(_) | Self::Alertmanager(_) | Self::AlertWebhook(_) => Tells::Alerts,
            Self::PrometheusQuery(_) | Self::Redis(_) | Self::Nginx(_) | Self::Varnish(_) => Tells::Figures,
            Self::Prometheus(_)
            | Self::Envoy(_)
            | Self::Haproxy(_)
            | Self::Resilience4j(_)
            | Self::Traefik(_)
            | Self::Litellm(_) => Tells::Breakers,
        }
    }

    /// Whether nobody is asked, and the run waits to be told: then silence may
    /// also be that of a way that does not work.
    pub fn waits(&self) -> bool {
        match self {
            Self::AlertWebhook(_) => true,
            Self::Prometheus(_)
            | Self::PrometheusQuery(_)
            | Self::Envoy(_)
            | Self::Haproxy(_)
            | Self::Resilience4j(_)
            | Self::Traefik(_)
            | Self::Litellm(_)
            | Self::Redis(_)
            | Self::Nginx(_)
            | Self::Varnish(_)
            | Self::PrometheusAlerts(_)
            | Self::Alertmanager(_) => false,
        }
    }

    /// Default of [`Observed::every`].
    pub fn usual_period(&self) -> Span {
        match self.tells() {
            Tells::Figures => KEPT,
            Tells::Breakers | Tells::Alerts => Span::millis(250),
        }
    }
}

/// A host and a port: `127.0.0.1:6379`, `redis.shop:6379`, `[::1]:6379`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HostPort(String);

impl HostPort {
    /// As it is connected to.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads `redis://HOST[:6379][/]`, too. Nothing secret: a text with a user or
/// a password is refused.
impl FromStr for HostPort {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError::new(text, "an address such as `127.0.0.1:6379`");
        let (authority, port) = match text.trim().strip_prefix("redis://") {
            Some(rest) => (rest.trim_end_matches('/'), Some(6379)),
            None => (text.trim(), None),
        };
        let authority: http::uri::Authority = authority.parse().map_err(|_| error())?;
        let port = authority.port_u16().or(port).filter(|port| *port > 0).ok_or_else(error)?;
        let host = authority.host();
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains(['[', ']', ':']),
        };
        if !is_host || authority.as_str().contains('@') {
            return Err(error());
        }
        Ok(Self(format!("{host}:{port}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        let of = |text: &str| text.parse::<HostPort>().map(|at| at.0).ok();
        assert_eq!(of("127.0.0.1:6379").as_deref(), Some("127.0.0.1:6379"));
        assert_eq!(of("redis://store.shop/").as_deref(), Some("store.shop:6379"));
        assert_eq!(of("redis://[::1]:7000").as_deref(), Some("[::1]:7000"));
        for text in [
            "",
            "store",
            "store:",
            ":6379",
            "store:0",
            "redis://:secret@store:6379",
            "http://a:1",
            "redis://a/1",
            "redis://.[:]",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(redis://)?[a-z.:@\\[\\]]{0,6}:?[0-9]{0,6}/?|\\PC*") {
            if let Ok(at) = text.parse::<HostPort>() {
                prop_assert_eq!(at.as_str().parse(), Ok(at));
            }
        }
    }
}
