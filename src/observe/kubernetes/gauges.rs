//! Figures that a cluster's own controllers say of workloads, autoscalers and
//! nodes, as samples in the names that kube-state-metrics gives them.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::Node,
};
use kube::ResourceExt as _;

use super::Change;
use crate::{journal::event::Signal, units::series};

/// A figure's name and value.
type Figure = (&'static str, f64);

/// What has figures.
pub(super) trait Figured {
    /// The label that names it.
    const LABEL: &'static str;
    /// Its figures.
    fn figures(&self) -> Vec<Figure>;
}

fn number(value: Option<i32>) -> f64 {
    f64::from(value.unwrap_or(0))
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

impl Figured for Deployment {
    const LABEL: &'static str = "deployment";

    fn figures(&self) -> Vec<Figure> {
        let status = self.status.clone().unwrap_or_default();
        let conditions = status.conditions.iter().flatten();
        // It stays where it is: nothing is rolled back by this.
        let stuck =
            conditions.filter(|one| one.reason.as_deref() == Some("ProgressDeadlineExceeded")).count();
        vec![
            ("kube_deployment_spec_replicas", number(self.spec.as_ref().and_then(|spec| spec.replicas))),
            ("kube_deployment_status_replicas", number(status.replicas)),
            ("kube_deployment_status_replicas_ready", number(status.ready_replicas)),
            ("kube_deployment_status_replicas_updated", number(status.updated_replicas)),
            ("kube_deployment_status_replicas_unavailable", number(status.unavailable_replicas)),
            ("kubernetes_deployment_progress_deadline_exceeded", flag(stuck > 0)),
        ]
    }
}

impl Figured for StatefulSet {
    const LABEL: &'static str = "statefulset";

    fn figures(&self) -> Vec<Figure> {
        let status = self.status.clone().unwrap_or_default();
        vec![
            ("kube_statefulset_replicas", number(self.spec.as_ref().and_then(|spec| spec.replicas))),
            ("kube_statefulset_status_replicas_ready", number(status.ready_replicas)),
            ("kube_statefulset_status_replicas_updated", number(status.updated_replicas)),
        ]
    }
}

impl Figured for ReplicaSet {
    const LABEL: &'static str = "replicaset";

    fn figures(&self) -> Vec<Figure> {
        let status = self.status.clone().unwrap_or_default();
        vec![
            ("kube_replicaset_spec_replicas", number(self.spec.as_ref().and_then(|spec| spec.replicas))),
            ("kube_replicaset_status_ready_replicas", number(status.ready_replicas)),
        ]
    }
}

impl Figured for HorizontalPodAutoscaler {
    const LABEL: &'static str = "horizontalpodautoscaler";

    fn figures(&self) -> Vec<Figure> {
        let status = self.status.clone().unwrap_or_default();
        let limits =
            self.spec.as_ref().map_or((0, 0), |spec| (spec.min_replicas.unwrap_or(1), spec.max_replicas));
        let conditions = status.conditions.iter().flatten();
        // It can't tell how many there should be: nobody says what the pods use, for one.
        let blind = conditions.filter(|one| one.type_ == "ScalingActive" && one.status == "False").count();
        vec![
            ("kube_horizontalpodautoscaler_spec_min_replicas", f64::from(limits.0)),
            ("kube_horizontalpodautoscaler_spec_max_replicas", f64::from(limits.1)),
            ("kube_horizontalpodautoscaler_status_current_replicas", number(status.current_replicas)),
            ("kube_horizontalpodautoscaler_status_desired_replicas", f64::from(status.desired_replicas)),
            ("kubernetes_horizontalpodautoscaler_blind", flag(blind > 0)),
        ]
    }
}

impl Figured for Node {
    const LABEL: &'static str = "node";

    fn figures(&self) -> Vec<Figure> {
        let cordoned = self.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        let conditions = self.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let ready = conditions.filter(|one| one.type_ == "Ready" && one.status == "True").count();
        vec![("kubernetes_node_ready", flag(ready > 0)), ("kube_node_spec_unschedulable", flag(cordoned))]
    }
}

/// The figures of all objects of a kind in a namespace.
#[derive(Debug)]
pub(super) struct Gauges {
    source: String,
    /// By the object's name.
    known: BTreeMap<String, Vec<Figure>>,
    last: IndexMap<String, f64>,
}

impl Gauges {
    pub(super) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), known: BTreeMap::new(), last: IndexMap::new() }
    }

    /// Takes what was heard. Some: a sample, if it is another than the last.
    pub(super) fn heard<K: Figured + kube::Resource>(&mut self, change: Change<'_, K>) -> Option<Signal> {
        match change {
            Change::All(all) => self.known = all.iter().map(|one| (one.name_any(), one.figures())).collect(),
            Change::One(one) => drop(self.known.insert(one.name_any(), one.figures())),
            Change::Gone(one) => drop(self.known.remove(&one.name_any())),
        }
        let figures =
            self.known.iter().flat_map(|(name, figures)| figures.iter().map(move |figure| (name, figure)));
        let values: IndexMap<String, f64> = figures
            .map(|(name, (metric, value))| (series::key(metric, [(K::LABEL, name.as_str())]), *value))
            .collect();
        if values == self.last {
            return None;
        }
        self.last.clone_from(&values);
        Some(Signal::Sample { source: self.source.clone(), values })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(ready: i32, reason: &str) -> Deployment {
        serde_json::from_value(json!({
            "metadata": { "name": "llm" }, "spec": { "replicas": 3, "selector": {}, "template": {} },
            "status": {
                "replicas": 3, "readyReplicas": ready,
                "conditions": [{ "type": "Progressing", "status": "False", "reason": reason }],
            },
        }))
        .expect("a Deployment")
    }

    #[test]
    fn only_what_is_new_is_told_and_what_is_gone_is_left_out() {
        let mut gauges = Gauges::new("kubernetes deployments");
        let values = |signal: Option<Signal>| match signal {
            Some(Signal::Sample { values, .. }) => Some(values),
            _ => None,
        };
        let first =
            values(gauges.heard(Change::All(&[deployment(3, "NewReplicaSetAvailable")]))).expect("news");
        assert_eq!(first[r#"kube_deployment_status_replicas_ready{deployment="llm"}"#], 3.0);
        assert_eq!(values(gauges.heard(Change::One(&deployment(3, "NewReplicaSetAvailable")))), None);
        let stuck =
            values(gauges.heard(Change::One(&deployment(2, "ProgressDeadlineExceeded")))).expect("news");
        assert_eq!(stuck[r#"kubernetes_deployment_progress_deadline_exceeded{deployment="llm"}"#], 1.0);
        assert_eq!(values(gauges.heard::<Deployment>(Change::All(&[]))), Some(IndexMap::new()));
    }
}
