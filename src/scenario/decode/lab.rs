//! The target, and the lab's configuration.

use serde::Serialize;

use super::{Context, Fields, kubernetes::kubernetes, scalars::unit};
use crate::{
    lab::config::{
        AutoscalingMode, BreakerMode, CacheMode, FailoverMode, FallbackMode, GatewayConfig, LabConfig,
        ModelPreset, PodMode, ProbeMode, RetryMode, RollbackMode, SheddingMode,
    },
    scenario::{
        model::Target,
        url::{ProxyUse, UrlTarget, names_user},
        yaml::{Node, Value},
    },
    units::{Rate, Span, Version},
};

const MODELS: [ModelPreset; 3] =
    [ModelPreset::Llama8bH100, ModelPreset::Llama70bH100x8, ModelPreset::Llama3bL40s];

pub(super) fn target(cx: &mut Context<'_>, node: &Node) -> Option<Target> {
    match node.text() {
        Some("lab") => return Some(Target::Lab(LabConfig::default())),
        Some(url) if url.starts_with("http") => {
            return cx.fail(
                &node.place,
                "a URL stands under `url:`",
                format!("write `target: {{ url: \"{url}\" }}`"),
            );
        }
        Some(_) | None => {}
    }
    if matches!(node.value, Value::List(_)) {
        let help = "workloads that go to other addresses have `at: \"http://…\"`";
        return cx.fail(&node.place, "expected one target, found a list", help);
    }
    if !matches!(node.value, Value::Map(_)) {
        return cx
            .mistyped(node, "a target: `lab`, `{ lab: { … } }`, `{ url: … }` or `{ kubernetes: { … } }`");
    }
    let mut fields = Fields::of(cx, node, "Target", "a target")?;
    let target = match fields.one_of(cx, &["lab", "url", "kubernetes"]) {
        Some(("lab", node)) => lab(cx, node).map(Target::Lab),
        Some(("url", node)) => url_target(cx, node).map(Target::Url),
        Some((_, node)) => kubernetes(cx, node).map(Target::Kubernetes),
        None => None,
    };
    let help = match &target {
        Some(Target::Url(UrlTarget { at, .. })) => format!("write `url: {{ at: \"{at}\", proxy: on }}`"),
        _ => "it stands under `url:`, beside `at:`, or under `kubernetes:`".to_owned(),
    };
    fields.elsewhere(cx, "proxy", &help);
    fields.finish(cx);
    target
}

fn url_target(cx: &mut Context<'_>, node: &Node) -> Option<UrlTarget> {
    if !matches!(node.value, Value::Map(_)) {
        return url(cx, node).map(UrlTarget::new);
    }
    let mut fields = Fields::of(cx, node, "ProxiedUrl", "an endpoint")?;
    let at = fields.required(cx, "at", "http://127.0.0.1:8000", url);
    let proxy = fields.or(cx, "proxy", ProxyUse::Off, |cx, node| {
        let what = "`on`, `off`, or the address of a fault proxy's admin API such as `127.0.0.1:9001`";
        let text = cx.text(node, what)?;
        match text.parse() {
            Ok(proxy) => Some(proxy),
            Err(()) => cx.fail(&node.place, format!("`{text}` is not {what}"), ""),
        }
    });
    fields.finish(cx);
    Some(UrlTarget { at: at?, proxy: proxy? })
}

pub(super) fn url(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = cx.text(node, "a URL such as `http://127.0.0.1:8000`")?;
    if names_user(&text) {
        let help = "leave them out: a workload says who asks by `auth: { bearer: { env: TOKEN } }`, and a source \
                    has to answer without";
        let message = "a user or a password in a URL would be in the plan and in every report";
        return cx.fail(&node.place, message, help);
    }
    if is_url(&text) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    let with_scheme = format!("http://{text}");
    let help = match text.contains(':') && is_url(&with_scheme) {
        true => format!("write `{with_scheme}`"),
        false => String::new(),
    };
    cx.fail(&node.place, format!("`{text}` is not a URL such as `http://127.0.0.1:8000`"), help)
}

fn is_url(text: &str) -> bool {
    let uri: Option<http::Uri> = text.parse().ok();
    uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}

fn lab(cx: &mut Context<'_>, node: &Node) -> Option<LabConfig> {
    let default = LabConfig::default();
    let mut fields = if node.is_null() {
        Fields::none("LabConfig", &node.place)
    } else {
        Fields::of(cx, node, "LabConfig", "the lab's configuration")?
    };
    let replicas = fields.or(cx, "replicas", default.replicas, |cx, node| {
        cx.number(node, "a number of replicas from 1 to 64", 1..=64)
    });
    let model =
        fields.or(cx, "model", default.model, |cx, node| cx.choice(node, "a model of the lab", &MODELS));
    let fallback_model = fields.or(cx, "fallback-model", default.fallback_model, |cx, node| {
        cx.choice(node, "a model of the lab", &MODELS)
    });
    let version = fields.or(cx, "version", default.version, |cx, node| {
        cx.identifier(node, "a version such as `v1`").map(Version)
    });
    let cold_start = fields.or(cx, "cold-start", default.cold_start, unit::<Span>);
    let error_rate =
        fields.or(cx, "error-rate", default.error_rate, |cx, node| cx.share(node).map(|ratio| ratio.0));
    let standby = fields.or(cx, "standby", default.standby, |cx, node| {
        cx.number(node, "a number of replicas from 0 to 64", 0..=64)
    });
    let max_replicas = fields.optional(cx, "max-replicas", |cx, node| {
        cx.number(node, "a number of replicas from 1 to 64", 1..=64)
    });
    let gateway = fields.or(cx, "gateway", default.gateway, gateway);
    let port =
        fields.optional(cx, "port", |cx, node| cx.number(node, "a port from 1 to 65535", 1..=65535_u16));
    fields.finish(cx);
    Some(LabConfig {
        replicas: replicas?,
        model: model?,
        fallback_model: fallback_model?,
        version: version?,
        cold_start: cold_start?,
        error_rate: error_rate?,
        standby: standby?,
        max_replicas: max_replicas?,
        gateway: gateway?,
        port: port?,
    })
}

fn gateway(cx: &mut Context<'_>, node: &Node) -> Option<GatewayConfig> {
    let default = GatewayConfig::default();
    let mut fields = Fields::of(cx, node, "GatewayConfig", "the gateway's configuration")?;
    let breaker =
        fields.or(cx, "breaker", default.breaker, |cx, node| mode(cx, node, MODE, BreakerMode::ALL));
    let cache = fields.or(cx, "cache", default.cache, |cx, node| mode(cx, node, MODE, CacheMode::ALL));
    let fallback =
        fields.or(cx, "fallback", default.fallback, |cx, node| mode(cx, node, MODE, FallbackMode::ALL));
    let shedding =
        fields.or(cx, "shedding", default.shedding, |cx, node| mode(cx, node, MODE, SheddingMode::ALL));
    let retries = fields.or(cx, "retries", default.retries, |cx, node| mode(cx, node, MODE, RetryMode::ALL));
    let rollback =
        fields.or(cx, "rollback", default.rollback, |cx, node| mode(cx, node, MODE, RollbackMode::ALL));
    let pods = fields.or(cx, "pods", default.pods, |cx, node| mode(cx, node, MODE, PodMode::ALL));
    let probes = fields.or(cx, "probes", default.probes, |cx, node| mode(cx, node, MODE, ProbeMode::ALL));
    let autoscaling = fields
        .or(cx, "autoscaling", default.autoscaling, |cx, node| mode(cx, node, MODE, AutoscalingMode::ALL));
    let failover =
        fields.or(cx, "failover", default.failover, |cx, node| mode(cx, node, MODE, FailoverMode::ALL));
    let replica_target = fields.or(cx, "replica-target", default.replica_target, |cx, node| {
        cx.number(node, "a number of requests from 1", 1..)
    });
    let max_in_flight = fields.or(cx, "max-in-flight", default.max_in_flight, |cx, node| {
        cx.number(node, "a number of requests from 1", 1..)
    });
    let upstream_timeout = fields.or(cx, "upstream-timeout", default.upstream_timeout, unit::<Span>);
    let breaker_open_for = fields.or(cx, "breaker-open-for", default.breaker_open_for, unit::<Span>);
    let cache_ttl = fields.or(cx, "cache-ttl", default.cache_ttl, unit::<Span>);
    let canary_interval = fields.or(cx, "canary-interval", default.canary_interval, unit::<Span>);
    let rate_limit = fields.optional(cx, "rate-limit", unit::<Rate>);
    fields.finish(cx);
    Some(GatewayConfig {
        breaker: breaker?,
        cache: cache?,
        fallback: fallback?,
        shedding: shedding?,
        retries: retries?,
        rollback: rollback?,
        pods: pods?,
        probes: probes?,
        autoscaling: autoscaling?,
        failover: failover?,
        replica_target: replica_target?,
        max_in_flight: max_in_flight?,
        upstream_timeout: upstream_timeout?,
        breaker_open_for: breaker_open_for?,
        cache_ttl: cache_ttl?,
        canary_interval: canary_interval?,
        rate_limit: rate_limit?,
    })
}

/// What a mitigation is set to.
const MODE: &str = "a mode of this mitigation";

/// One of some words. `on` and `off` are texts in YAML 1.2; many write `true`
/// and `false` all the same.
pub(super) fn mode<T: Serialize + Copy>(
    cx: &mut Context<'_>,
    node: &Node,
    what: &str,
    all: &[T],
) -> Option<T> {
    let named = match &node.value {
        Value::Scalar { text, plain: true } if text == "true" => Some("on"),
        Value::Scalar { text, plain: true } if text == "false" => Some("off"),
        Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
    };
    match named {
        Some(text) => {
            let value = Value::Scalar { text: text.to_owned(), plain: true };
            cx.choice(&Node { place: node.place.clone(), value }, what, all)
        }
        None => cx.choice(node, what, all),
    }
}
