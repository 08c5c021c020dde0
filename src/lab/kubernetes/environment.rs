//! What a pod's environment says: variables that begin with `LAB_`.

use std::{fmt::Display, str::FromStr, time::Duration};

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::PodError;
use crate::{
    lab::{
        api::ReplicaConfig,
        config::{GatewayConfig, ModelPreset, VersionDefect},
    },
    units::{PodName, Span, Version},
};

const PREFIX: &str = "LAB_";
/// The variable that names the version of a replica.
pub const VERSION: &str = "LAB_VERSION";
/// Time in which an endpoint that was taken away is still used by some.
const DRAIN: Duration = Duration::from_secs(2);

/// A process that serves in a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Serving<C> {
    /// Its configuration.
    pub config: C,
    /// The port to listen on, on all addresses.
    pub port: u16,
    /// How long it goes on accepting requests after SIGTERM: as long as it
    /// takes until nobody sends it any.
    pub drain: Duration,
}

/// The gateway in a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayPod {
    /// Mitigations and limits.
    pub gateway: GatewayConfig,
    /// The seed of its randomness.
    pub seed: u64,
    /// The Service of the replicas.
    pub service: String,
    /// The Service of the smaller model.
    pub fallback_service: String,
}

/// The variables of this process.
pub fn variables() -> IndexMap<String, String> {
    let utf8 = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((key.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    std::env::vars_os().filter_map(utf8).collect()
}

/// A replica's configuration, or all that is wrong with it.
pub fn replica(variables: &IndexMap<String, String>) -> Result<Serving<ReplicaConfig>, PodError> {
    let mut read = Reader::new(variables);
    let cold_start: Span = read.parsed("LAB_COLD_START", Span::secs(4));
    let extra_delay: Span = read.parsed("LAB_EXTRA_DELAY", Span::secs(0));
    let error_rate: f64 = read.parsed("LAB_ERROR_RATE", 0.0);
    if !(0.0..=1.0).contains(&error_rate) {
        read.wrong("LAB_ERROR_RATE", "it must be between 0 and 1");
    }
    let config = ReplicaConfig {
        pod: PodName(read.text("LAB_POD", "replica")),
        version: Version(read.text(VERSION, "v1")),
        defect: read.word("LAB_DEFECT", VersionDefect::None),
        model: read.word("LAB_MODEL", ModelPreset::Llama8bH100),
        seed: read.parsed("LAB_SEED", 0),
        cold_start_ms: cold_start.micros() / 1000,
        ready_before_warm: read.parsed("LAB_READY_BEFORE_WARM", false),
        garbage: read.parsed("LAB_GARBAGE", false),
        named: read.take("LAB_NAMED").map(str::to_owned),
        extra_delay_ms: extra_delay.micros() / 1000,
        error_rate,
        request_log: None,
        port: None,
    };
    read.serving(config, 8000)
}

/// The gateway's configuration, or all that is wrong with it.
pub fn gateway(variables: &IndexMap<String, String>) -> Result<Serving<GatewayPod>, PodError> {
    let mut read = Reader::new(variables);
    // The pod's own name is every container's, and not needed here.
    let _ = read.take("LAB_POD");
    let config = GatewayPod {
        gateway: read.json("LAB_GATEWAY"),
        seed: read.parsed("LAB_SEED", 0),
        service: read.text("LAB_SERVICE", "llm"),
        fallback_service: read.text("LAB_FALLBACK_SERVICE", "fallback"),
    };
    read.serving(config, 8080)
}

/// Takes variables one by one; those that nobody took are mistakes.
struct Reader<'a> {
    left: IndexMap<&'a str, &'a str>,
    errors: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(variables: &'a IndexMap<String, String>) -> Self {
        let ours = variables.iter().filter(|(key, _)| key.starts_with(PREFIX));
        Self { left: ours.map(|(key, value)| (key.as_str(), value.as_str())).collect(), errors: Vec::new() }
    }

    fn take(&mut self, name: &str) -> Option<&'a str> {
        self.left.shift_remove(name)
    }

    fn wrong(&mut self, name: &str, why: impl Display) {
        self.errors.push(format!("{name}: {why}"));
    }

    fn text(&mut self, name: &str, default: &str) -> String {
        self.take(name).unwrap_or(default).to_owned()
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> T {
        let Some(text) = self.take(name) else { return default };
        text.trim().parse().unwrap_or_else(|why| {
            self.wrong(name, format!("`{text}`: {why}"));
            default
        })
    }

    /// One of an enum's words.
    fn word<T: DeserializeOwned>(&mut self, name: &str, default: T) -> T {
        let Some(text) = self.take(name) else { return default };
        serde_json::from_value(Value::String(text.trim().to_owned())).unwrap_or_else(|why| {
            self.wrong(name, why);
            default
        })
    }

    fn json<T: DeserializeOwned + Default>(&mut self, name: &str) -> T {
        let Some(text) = self.take(name) else { return T::default() };
        serde_json::from_str(text).unwrap_or_else(|why| {
            self.wrong(name, why);
            T::default()
        })
    }

    fn serving<C>(mut self, config: C, port: u16) -> Result<Serving<C>, PodError> {
        let port = self.parsed("LAB_PORT", port);
        let drain: Span = self.parsed("LAB_DRAIN", Span(DRAIN));
        for name in std::mem::take(&mut self.left).into_keys() {
            self.wrong(name, "there is no such setting");
        }
        if self.errors.is_empty() {
            Ok(Serving { config, port, drain: drain.0 })
        } else {
            Err(PodError::Environment(self.errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::config::BreakerMode;

    fn variables(pairs: &[(&str, &str)]) -> IndexMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_bad_version_is_two_variables() {
        let said = variables(&[
            ("PATH", "/bin"),
            ("LAB_POD", "llm-7d-x"),
            ("LAB_VERSION", "v2"),
            ("LAB_DEFECT", "wrong-answers"),
            ("LAB_COLD_START", "1.5s"),
            ("LAB_PORT", "9000"),
            ("LAB_DRAIN", "0s"),
        ]);
        let serving = replica(&said).expect("valid");
        assert_eq!((serving.port, serving.drain), (9000, Duration::ZERO));
        let config = serving.config;
        assert_eq!((config.pod.as_str(), config.version.as_str()), ("llm-7d-x", "v2"));
        assert_eq!((config.defect, config.cold_start_ms), (VersionDefect::WrongAnswers, 1500));
    }

    #[test]
    fn the_gateways_settings_are_a_scenarios() {
        let said = variables(&[("LAB_GATEWAY", r#"{"breaker":"leaks","upstream-timeout":"2s"}"#)]);
        let gateway = gateway(&said).expect("valid").config;
        assert_eq!(gateway.gateway.breaker, BreakerMode::Leaks);
        assert_eq!(gateway.gateway.upstream_timeout, Span::secs(2));
        assert_eq!((gateway.service.as_str(), gateway.fallback_service.as_str()), ("llm", "fallback"));
    }

    #[test]
    fn all_mistakes_are_told_at_once_and_none_is_ignored() {
        let said = variables(&[
            ("LAB_DEFECT", "eror"),
            ("LAB_DEFECTS", "errors"),
            ("LAB_ERROR_RATE", "2"),
            ("LAB_COLD_START", "soon"),
        ]);
        let PodError::Environment(errors) = replica(&said).expect_err("four mistakes") else {
            panic!("another error");
        };
        for name in ["LAB_DEFECT:", "LAB_DEFECTS: there is no", "LAB_ERROR_RATE: it must", "LAB_COLD_START:"]
        {
            assert!(errors.iter().any(|error| error.starts_with(name)), "{name} in {errors:?}");
        }
        assert_eq!(errors.len(), 4);
    }
}
