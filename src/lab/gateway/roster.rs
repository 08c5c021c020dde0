//! Who is who behind the gateway's Services, from EndpointSlices and pods.

use std::{net::SocketAddr, sync::Arc};

use k8s_openapi::{
    api::{
        core::v1::Pod,
        discovery::v1::{Endpoint, EndpointSlice},
    },
    jiff::Timestamp,
};

use crate::{
    cluster::SERVICE_NAME_LABEL,
    lab::{
        api::{Role, Upstream},
        kubernetes::environment,
    },
    units::{PodName, Version},
};

/// The Services that the gateway sends to.
#[derive(Debug, Clone)]
pub(super) struct Services {
    /// The replicas'.
    pub(super) replicas: String,
    /// The smaller model's.
    pub(super) fallback: String,
}

/// Who may get requests, and how they are split.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Roster {
    /// In order of their pods' names.
    pub(super) upstreams: Vec<Upstream>,
    /// The version in force; none while no replica is ready.
    pub(super) stable: Option<Version>,
    /// The share of all other versions, which is their share of the replicas.
    pub(super) canary_weight: f64,
}

impl Roster {
    /// The versions of the replicas.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Version> {
        let replicas = self.upstreams.iter().filter(|upstream| upstream.role != Role::Fallback);
        replicas.map(|upstream| &upstream.version)
    }
}

/// What a ready endpoint is known by.
struct Found {
    pod: PodName,
    address: SocketAddr,
    fallback: bool,
    version: Option<Version>,
    /// Labelled `track: canary`.
    canary: bool,
    created: Option<Timestamp>,
}

/// All ready endpoints. Of several versions the one with the oldest replica
/// is the stable one: during a rolling update that is the one before.
pub(super) fn roster(services: &Services, slices: &[Arc<EndpointSlice>], pods: &[Arc<Pod>]) -> Roster {
    let mut found: Vec<Found> = slices.iter().flat_map(|slice| ready(services, slice, pods)).collect();
    found.sort_by(|a, b| a.pod.cmp(&b.pod));
    // An endpoint may be in two slices while it moves from one to the other.
    found.dedup_by(|a, b| a.pod == b.pod);
    let oldest = found
        .iter()
        .filter(|found| !found.fallback && found.version.is_some())
        .min_by_key(|found| (found.canary, found.created.unwrap_or(Timestamp::MAX)));
    let stable = oldest.and_then(|found| found.version.clone());
    let upstreams: Vec<Upstream> = found
        .into_iter()
        .map(|found| {
            let (role, version) = match (found.fallback, found.version, &stable) {
                (true, version, _) => (Role::Fallback, version.unwrap_or_else(unknown)),
                (false, Some(version), Some(stable)) if version != *stable => (Role::Canary, version),
                (false, Some(version), _) => (Role::Stable, version),
                // What its version is, its answers say.
                (false, None, stable) => (Role::Stable, stable.clone().unwrap_or_else(unknown)),
            };
            Upstream { pod: found.pod, address: found.address, version, role }
        })
        .collect();
    let count = |role| upstreams.iter().filter(|upstream| upstream.role == role).count();
    let (stables, canaries) = (count(Role::Stable), count(Role::Canary));
    let canary_weight = if canaries == 0 { 0.0 } else { canaries as f64 / (stables + canaries) as f64 };
    Roster { upstreams, stable, canary_weight }
}

fn unknown() -> Version {
    Version::from("unknown")
}

/// A slice's endpoints that may get requests.
fn ready<'a>(
    services: &'a Services,
    slice: &'a EndpointSlice,
    pods: &'a [Arc<Pod>],
) -> impl Iterator<Item = Found> + 'a {
    let labels = slice.metadata.labels.as_ref();
    let service = labels.and_then(|labels| labels.get(SERVICE_NAME_LABEL));
    let fallback = service == Some(&services.fallback);
    let known = fallback || service == Some(&services.replicas);
    let ports = slice.ports.as_deref().unwrap_or_default();
    let named = ports.iter().find(|port| port.name.as_deref() == Some("http"));
    let port = named.or(ports.first()).and_then(|port| u16::try_from(port.port?).ok());
    let endpoints = slice.endpoints.iter();
    endpoints.filter(move |endpoint| known && is_ready(endpoint)).filter_map(move |endpoint| {
        let address = SocketAddr::new(endpoint.addresses.first()?.parse().ok()?, port?);
        let name = endpoint.target_ref.as_ref().and_then(|target| target.name.clone());
        let pod = pods.iter().find(|pod| pod.metadata.name == name && name.is_some());
        let track = pod.and_then(|pod| pod.metadata.labels.as_ref()?.get("track"));
        Some(Found {
            pod: PodName(name.unwrap_or_else(|| address.to_string())),
            address,
            fallback,
            version: pod.and_then(|pod| version(pod)),
            canary: track.is_some_and(|track| track == "canary"),
            created: pod.and_then(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0)),
        })
    })
}

/// What is not said counts as ready, by the API's definition.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .is_none_or(|conditions| conditions.ready.unwrap_or(true) && !conditions.terminating.unwrap_or(false))
}

/// A pod's version: its environment's, else its label's, which a rollout by
/// environment alone leaves behind.
fn version(pod: &Pod) -> Option<Version> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut variables = containers.flat_map(|container| container.env.iter().flatten());
    let said = variables.find(|variable| variable.name == environment::VERSION);
    let label = || pod.metadata.labels.as_ref()?.get("version").cloned();
    said.and_then(|variable| variable.value.clone()).or_else(label).map(Version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn services() -> Services {
        Services { replicas: "llm".into(), fallback: "fallback".into() }
    }

    fn slice(service: &str, endpoints: serde_json::Value) -> Arc<EndpointSlice> {
        let slice = json!({
            "metadata": { "name": "s", "labels": { (SERVICE_NAME_LABEL): service } },
            "addressType": "IPv4",
            "ports": [{ "name": "metrics", "port": 9 }, { "name": "http", "port": 8000 }],
            "endpoints": endpoints,
        });
        Arc::new(serde_json::from_value(slice).expect("a slice"))
    }

    fn endpoint(pod: &str, at: u8, ready: bool) -> serde_json::Value {
        json!({
            "addresses": [format!("192.0.2.{at}")],
            "conditions": { "ready": ready },
            "targetRef": { "kind": "Pod", "name": pod },
        })
    }

    fn pod(name: &str, version: &str, track: &str, second: u8) -> Arc<Pod> {
        let pod = json!({
            "metadata": {
                "name": name,
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
                "labels": { "version": "v1", "track": track },
            },
            "spec": { "containers": [{ "name": "llm", "env": [{ "name": "LAB_VERSION", "value": version }] }] },
        });
        Arc::new(serde_json::from_value(pod).expect("a pod"))
    }

    fn in_words(roster: &Roster) -> Vec<String> {
        let words = |u: &Upstream| format!("{} {} {:?} {}", u.pod, u.version, u.role, u.address);
        roster.upstreams.iter().map(words).collect()
    }

    #[test]
    fn only_ready_endpoints_of_its_services_count() {
        let slices = [
            slice("llm", json!([endpoint("b", 2, true), endpoint("a", 1, true), endpoint("c", 3, false)])),
            slice("llm", json!([endpoint("b", 2, true)])),
            slice("fallback", json!([endpoint("f", 9, true)])),
            slice("other", json!([endpoint("o", 7, true)])),
        ];
        let pods =
            [pod("a", "v1", "stable", 1), pod("b", "v1", "stable", 2), pod("f", "fallback", "stable", 0)];
        let roster = roster(&services(), &slices, &pods);
        assert_eq!(
            in_words(&roster),
            [
                "a v1 Stable 192.0.2.1:8000",
                "b v1 Stable 192.0.2.2:8000",
                "f fallback Fallback 192.0.2.9:8000"
            ]
        );
        assert_eq!((roster.stable, roster.canary_weight), (Some("v1".into()), 0.0));
    }

    #[test]
    fn in_a_rolling_update_the_new_version_gets_its_share() {
        let slices = [slice(
            "llm",
            json!([
                endpoint("a", 1, true),
                endpoint("b", 2, true),
                endpoint("n", 3, true),
                endpoint("o", 4, true)
            ]),
        )];
        let old = [pod("a", "v1", "stable", 1), pod("b", "v1", "stable", 2)];
        let new = [pod("n", "v2", "stable", 3), pod("o", "v2", "stable", 4)];
        let both = roster(&services(), &slices, &[old.as_slice(), &new].concat());
        assert_eq!((both.stable, both.canary_weight), (Some("v1".into()), 0.5));
        assert_eq!(both.upstreams[2].role, Role::Canary);
        let slices = [slice("llm", json!([endpoint("n", 3, true)]))];
        let after = roster(&services(), &slices, &new);
        assert_eq!((after.stable, after.canary_weight), (Some("v2".into()), 0.0));
    }

    #[test]
    fn what_is_labelled_a_canary_is_never_stable_beside_others() {
        let slices = [slice("llm", json!([endpoint("a", 1, true), endpoint("c", 2, true)]))];
        let pods = [pod("a", "v1", "stable", 9), pod("c", "v2", "canary", 1)];
        assert_eq!(roster(&services(), &slices, &pods).stable, Some("v1".into()));
    }

    #[test]
    fn an_endpoint_without_a_known_pod_is_used_all_the_same() {
        let bare = json!([{ "addresses": ["192.0.2.8"], "conditions": {} }, endpoint("a", 1, true)]);
        let known = roster(&services(), &[slice("llm", bare.clone())], &[pod("a", "v3", "stable", 1)]);
        assert_eq!(
            in_words(&known),
            ["192.0.2.8:8000 v3 Stable 192.0.2.8:8000", "a v3 Stable 192.0.2.1:8000"]
        );
        let unknown = roster(&services(), &[slice("llm", bare)], &[]);
        assert_eq!((unknown.upstreams.len(), unknown.stable), (2, None));
    }

    #[test]
    fn a_terminating_endpoint_is_out_even_if_it_says_ready() {
        let ending =
            json!([{ "addresses": ["192.0.2.8"], "conditions": { "ready": true, "terminating": true } }]);
        assert!(roster(&services(), &[slice("llm", ending)], &[]).upstreams.is_empty());
    }
}
