//! How a workload's requests get to the target: connections, TLS, secrets,
//! timeouts, retries. Secrets are named here, and never held.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// How a workload's requests get to the target. Its keys are the workload's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Transport {
    /// Where its requests go, if not to the target: the second of two clusters or
    /// zones, `http://host:port`. Faults act on the target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// HTTP version, reuse of connections, TLS.
    #[serde(default)]
    pub connection: Connection,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// What is sent again. None: nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// No connection (TCP and TLS) within this is a `connect-timeout`.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Span,
    /// No token within this from sending is a `timeout`. None: the workload's
    /// `timeout` alone counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_timeout: Option<Span>,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            at: None,
            connection: Connection::default(),
            auth: None,
            retries: None,
            connect_timeout: default_connect_timeout(),
            first_token_timeout: None,
        }
    }
}

/// Default of [`Transport::connect_timeout`].
pub fn default_connect_timeout() -> Span {
    Span::secs(10)
}

/// A workload's connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Connection {
    /// The HTTP version.
    #[serde(default)]
    pub http: HttpVersion,
    /// Who uses a connection again.
    #[serde(default)]
    pub reuse: Reuse,
    /// Requests at once on a connection of HTTP/2; the server may allow fewer.
    #[serde(default = "default_streams")]
    pub streams_per_connection: u32,
    /// For `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            http: HttpVersion::default(),
            reuse: Reuse::default(),
            streams_per_connection: default_streams(),
            tls: None,
        }
    }
}

/// Default of [`Connection::streams_per_connection`].
pub fn default_streams() -> u32 {
    100
}

/// The version of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[serde(rename = "1")]
    Http1,
    /// HTTP/2: by ALPN with `https://`, with prior knowledge with `http://`.
    #[serde(rename = "2")]
    Http2,
    /// What ALPN says with `https://`, HTTP/1.1 with `http://`.
    #[default]
    #[serde(rename = "auto")]
    Auto,
}

/// Who uses a connection again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reuse {
    /// Whoever sends next: as many connections as requests at once.
    #[default]
    Pooled,
    /// The user who opened it, as a client of its own would.
    PerUser,
    /// Nobody: a connection for each request.
    None,
}

/// TLS of `https://`. Files hold PEM.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Tls {
    /// Certificates that are trusted in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The client's certificate, its issuers after it (mTLS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// The private key of `cert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The name that the server's certificate must be for, in place of the
    /// URL's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Any certificate will do. The report says so.
    #[serde(default)]
    pub insecure: bool,
}

/// A header that says who asks. Its value is read when the run starts, and is
/// in no file of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// Any header, such as `x-api-key`.
    Header(SecretHeader),
}

impl Auth {
    /// Where its secret is.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Bearer(secret) => secret,
            Self::Header(header) => &header.value,
        }
    }
}

/// A header whose value is a secret. Exactly one of `env` and `file` in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SecretHeader {
    /// Its name.
    pub name: String,
    /// Where its value is. In YAML the variant's key stands beside `name`.
    #[serde(flatten)]
    pub value: Secret,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    /// In this variable of the environment.
    Env(String),
    /// In this file; white space around it is no part of it.
    File(PathBuf),
}

/// What is sent again when it failed, and how often. Nothing is after a
/// stream's first byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Retries {
    /// How often a request is sent at most, the first time included.
    pub attempts: u32,
    /// After which outcomes.
    #[serde(default = "default_retry_on")]
    pub on: Vec<RetryOn>,
    /// The pause before the second attempt; it doubles with each further one.
    #[serde(default = "default_backoff")]
    pub backoff: Span,
    /// An answer's `Retry-After` (in seconds) is waited for, if it is longer.
    #[serde(default)]
    pub honour_retry_after: bool,
}

/// Default of [`Retries::on`].
pub fn default_retry_on() -> Vec<RetryOn> {
    vec![RetryOn::ConnectRefused, RetryOn::ConnectTimeout, RetryOn::Reset, RetryOn::Http5xx, RetryOn::Shed]
}

/// Default of [`Retries::backoff`].
pub fn default_backoff() -> Span {
    Span::millis(100)
}

/// An outcome after which a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    /// Nobody listens, the name does not resolve, or TLS failed.
    ConnectRefused,
    /// No connection in time.
    ConnectTimeout,
    /// The connection broke before an answer began.
    Reset,
    /// 5xx other than a shed request.
    #[serde(rename = "http-5xx")]
    Http5xx,
    /// 429, or 503 with `Retry-After` or a breaker's mark.
    Shed,
}
