//! What is known of a cluster's pods and of a Service's endpoints, and what of
//! it is new: by UID, since a name may come back.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use k8s_openapi::api::{core::v1::Pod, discovery::v1::EndpointSlice};

use crate::{
    chaos::kubernetes::is_ready,
    journal::event::Signal,
    units::{PodName, Version, series},
};

/// Pods as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Pods {
    /// By UID: how new what is known is, and what that is.
    known: BTreeMap<String, (u64, Signal)>,
    /// UIDs that are gone: what is heard of them is old.
    gone: BTreeSet<String>,
}

impl Pods {
    /// All pods that there are, as of now.
    pub(super) fn all(&mut self, pods: &[Pod]) -> Vec<Signal> {
        let there: BTreeSet<&str> = pods.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
        let missing: Vec<String> =
            self.known.keys().filter(|uid| !there.contains(uid.as_str())).cloned().collect();
        let mut signals: Vec<Signal> = missing.iter().filter_map(|uid| self.forget(uid)).collect();
        signals.extend(pods.iter().filter_map(|pod| self.one(pod)));
        signals
    }

    /// A pod that is new or has changed.
    pub(super) fn one(&mut self, pod: &Pod) -> Option<Signal> {
        let uid = pod.metadata.uid.clone()?;
        if self.gone.contains(&uid) {
            return None;
        }
        // Opaque by the letter; a number in every API server that there is.
        let version =
            pod.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        let signal = of_pod(pod);
        match self.known.get(&uid) {
            Some((known, _)) if *known > version => return None,
            Some((_, last)) if *last == signal => {
                self.known.insert(uid, (version, signal));
                return None;
            }
            Some(_) | None => {}
        }
        self.known.insert(uid, (version, signal.clone()));
        Some(signal)
    }

    /// A pod that is gone.
    pub(super) fn gone(&mut self, pod: &Pod) -> Option<Signal> {
        self.forget(pod.metadata.uid.as_deref()?)
    }

    fn forget(&mut self, uid: &str) -> Option<Signal> {
        self.gone.insert(uid.to_owned());
        match self.known.remove(uid)?.1 {
            Signal::Pod { name, .. } => Some(Signal::PodGone { name }),
            _ => None,
        }
    }
}

/// A pod in the journal's terms.
fn of_pod(pod: &Pod) -> Signal {
    let meta = &pod.metadata;
    let status = pod.status.as_ref();
    let phase = match meta.deletion_timestamp {
        Some(_) => "Terminating".to_owned(),
        None => status.and_then(|status| status.phase.clone()).unwrap_or_default(),
    };
    let restarts = status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let restarts = restarts.map(|container| u32::try_from(container.restart_count).unwrap_or(0)).sum();
    Signal::Pod {
        name: PodName(meta.name.clone().unwrap_or_default()),
        phase,
        // On its way out it gets no traffic, whatever it says.
        ready: meta.deletion_timestamp.is_none() && is_ready(pod),
        version: version(pod),
        restarts,
    }
}

/// The version that a pod says it is, or else its template's hash.
fn version(pod: &Pod) -> Option<Version> {
    let labels = pod.metadata.labels.as_ref()?;
    let keys = ["version", "app.kubernetes.io/version", "pod-template-hash", "controller-revision-hash"];
    keys.iter().find_map(|key| labels.get(*key)).map(|value| Version(value.clone()))
}

/// The endpoints of a Service, as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    /// By slice: pods, and whether they get traffic.
    slices: BTreeMap<String, BTreeMap<String, bool>>,
    last: IndexMap<String, f64>,
}

impl Endpoints {
    /// All slices that there are. Some: what has changed.
    pub(super) fn all(&mut self, service: &str, slices: &[EndpointSlice]) -> Option<Signal> {
        self.slices = slices.iter().map(of_slice).collect();
        self.told(service)
    }

    /// A slice that is new or has changed.
    pub(super) fn one(&mut self, service: &str, slice: &EndpointSlice) -> Option<Signal> {
        let (name, pods) = of_slice(slice);
        self.slices.insert(name, pods);
        self.told(service)
    }

    /// A slice that is gone.
    pub(super) fn gone(&mut self, service: &str, slice: &EndpointSlice) -> Option<Signal> {
        self.slices.remove(slice.metadata.name.as_deref().unwrap_or_default());
        self.told(service)
    }

    /// A sample, if it is another than the last: 1 for each pod that gets
    /// traffic, 0 for each that gets none (any more).
    fn told(&mut self, service: &str) -> Option<Signal> {
        let key = |pod: &str| series::key("kubernetes_endpoint_ready", [("service", service), ("pod", pod)]);
        let mut values: IndexMap<String, f64> = self
            .last
            .keys()
            .filter(|key| key.starts_with("kubernetes_endpoint_ready"))
            .map(|key| (key.clone(), 0.0))
            .collect();
        for (pod, ready) in self.slices.values().flatten() {
            let value = values.entry(key(pod)).or_insert(0.0);
            *value = value.max(f64::from(u8::from(*ready)));
        }
        let ready = values.values().sum();
        values.insert(series::key("kubernetes_endpoints_ready", [("service", service)]), ready);
        if values == self.last {
            return None;
        }
        self.last.clone_from(&values);
        Some(Signal::Sample { source: "kubernetes".to_owned(), values })
    }
}

fn of_slice(slice: &EndpointSlice) -> (String, BTreeMap<String, bool>) {
    let pods = slice.endpoints.iter().filter_map(|endpoint| {
        let name = endpoint.target_ref.as_ref()?.name.clone()?;
        // Not said means ready, by the API's own words.
        let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
        Some((name, ready))
    });
    (slice.metadata.name.clone().unwrap_or_default(), pods.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, uid: &str, version: u64, ready: bool) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": name, "uid": uid, "resourceVersion": version.to_string(),
                "labels": { "pod-template-hash": "5d9" },
            },
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
                "containerStatuses": [
                    { "name": "a", "restartCount": 2, "image": "", "imageID": "", "ready": ready },
                ],
            },
        }))
        .expect("a pod")
    }

    fn name(signal: &Signal) -> String {
        match signal {
            Signal::Pod { name, ready, .. } => format!("{name} {ready}"),
            Signal::PodGone { name } => format!("{name} gone"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_name_that_comes_back_is_another_pod() {
        let mut pods = Pods::default();
        assert_eq!(pods.all(&[pod("web-0", "u1", 1, true)]).len(), 1);
        let again: Vec<_> = pods.all(&[pod("web-0", "u2", 5, false)]).iter().map(name).collect();
        assert_eq!(again, ["web-0 gone", "web-0 false"]);
        let ready: Vec<_> = pods.one(&pod("web-0", "u2", 6, true)).iter().map(name).collect();
        assert_eq!(ready, ["web-0 true"]);
    }

    #[test]
    fn what_is_old_or_known_is_no_news() {
        let mut pods = Pods::default();
        pods.all(&[pod("a", "u", 10, true)]);
        assert_eq!(pods.one(&pod("a", "u", 10, true)), None);
        assert_eq!(pods.one(&pod("a", "u", 9, false)), None, "heard late");
        assert!(pods.gone(&pod("a", "u", 11, true)).is_some());
        assert_eq!(pods.one(&pod("a", "u", 8, true)), None, "it is gone");
        assert_eq!(pods.gone(&pod("a", "u", 11, true)), None);
        assert_eq!(pods.all(&[]), []);
    }

    #[test]
    fn an_endpoint_that_is_gone_reads_zero() {
        let slice = |ready: &[(&str, bool)]| -> EndpointSlice {
            let endpoints: Vec<_> = ready
                .iter()
                .map(|(pod, ready)| {
                    json!({ "addresses": ["1.1.1.1"], "conditions": { "ready": ready },
                            "targetRef": { "kind": "Pod", "name": pod } })
                })
                .collect();
            serde_json::from_value(
                json!({ "metadata": { "name": "s" }, "addressType": "IPv4", "endpoints": endpoints, "ports": [] }),
            )
            .expect("a slice")
        };
        let mut endpoints = Endpoints::default();
        let values = |signal: Option<Signal>| match signal {
            Some(Signal::Sample { values, .. }) => values.values().copied().collect::<Vec<_>>(),
            _ => vec![],
        };
        assert_eq!(values(endpoints.one("web", &slice(&[("a", true), ("b", false)]))), [1.0, 0.0, 1.0]);
        assert_eq!(endpoints.one("web", &slice(&[("a", true), ("b", false)])), None);
        assert_eq!(values(endpoints.one("web", &slice(&[("b", true)]))), [0.0, 1.0, 1.0]);
        assert_eq!(values(endpoints.gone("web", &slice(&[]))), [0.0, 0.0, 0.0]);
    }
}
