//! Any endpoint as the target, and what stands before it.

use std::{fmt, net::SocketAddr, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An endpoint. In YAML a URL, or a map with the URL `at`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Form", into = "Form")]
#[schemars(with = "Form")]
pub struct UrlTarget {
    /// `http://host:port` or `https://host`.
    pub at: String,
    /// What stands before it.
    pub proxy: ProxyUse,
}

impl UrlTarget {
    /// An endpoint that is gone to directly.
    pub fn new(at: impl Into<String>) -> Self {
        Self { at: at.into(), proxy: ProxyUse::Off }
    }
}

/// Whether a URL says who asks, in a place that everybody reads.
pub fn names_user(url: &str) -> bool {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

/// The fault proxy, on which NetworkChaos and LinkChaos can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyUse {
    /// There is none, so that nothing can be broken.
    #[default]
    Off,
    /// The run starts one, and sends its load through it.
    Own,
    /// One that runs already, by the address of its admin API (`firedrill
    /// proxy`). Whose traffic goes through it is for its user to say.
    Running(SocketAddr),
}

impl fmt::Display for ProxyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Own => f.write_str("on"),
            Self::Running(at) => at.fmt(f),
        }
    }
}

impl FromStr for ProxyUse {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "off" => Ok(Self::Off),
            "on" => Ok(Self::Own),
            address => address.parse().map(Self::Running).map_err(drop),
        }
    }
}

/// A URL, or what stands before it, too.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "UrlTarget")]
enum Form {
    /// `http://host:port` or `https://host`.
    Plain(String),
    /// With a fault proxy.
    With(With),
}

/// An endpoint with a fault proxy before it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProxiedUrl")]
#[serde(deny_unknown_fields)]
struct With {
    /// `http://host:port` or `https://host`.
    at: String,
    /// `on`: the run starts a fault proxy, and its load goes through it. Or
    /// the address of the admin API of one that runs already.
    #[serde(default = "off")]
    proxy: String,
}

fn off() -> String {
    ProxyUse::Off.to_string()
}

impl From<Form> for UrlTarget {
    fn from(form: Form) -> Self {
        match form {
            Form::Plain(at) => Self::new(at),
            Form::With(With { at, proxy }) => Self { at, proxy: proxy.parse().unwrap_or_default() },
        }
    }
}

impl From<UrlTarget> for Form {
    fn from(target: UrlTarget) -> Self {
        match target.proxy {
            ProxyUse::Off => Self::Plain(target.at),
            proxy => Self::With(With { at: target.at, proxy: proxy.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_alone_is_written_as_such() {
        let at = |proxy| UrlTarget { at: "http://h".to_owned(), proxy };
        let running = ProxyUse::Running(([127, 0, 0, 1], 9001).into());
        for (proxy, text) in [
            (ProxyUse::Off, r#""http://h""#),
            (ProxyUse::Own, r#"{"at":"http://h","proxy":"on"}"#),
            (running, r#"{"at":"http://h","proxy":"127.0.0.1:9001"}"#),
        ] {
            assert_eq!(serde_json::to_string(&at(proxy)).expect("JSON"), text);
            assert_eq!(serde_json::from_str::<UrlTarget>(text).expect("a target"), at(proxy));
        }
    }
}
