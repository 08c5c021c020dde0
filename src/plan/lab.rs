//! The pods that the lab starts with, known before it starts.

use super::model::Pod;
use crate::{lab::config::LabConfig, units::PodName};

/// Nodes that the lab spreads its pods over.
const NODES: usize = 3;

/// The lab's pods at the start: its replicas in the namespace `default`, and
/// the fallback's in `fallback`.
pub fn lab_pods(lab: &LabConfig) -> Vec<Pod> {
    let pod = |name: &str, at: usize, [namespace, app, version]: [&str; 3]| {
        let labels = [("app", app), ("version", version), ("track", "stable")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let node = format!("node-{}", at % NODES);
        Pod { node, ..Pod::running(namespace, PodName(format!("{name}-{at}")), labels) }
    };
    let replicas =
        (0..usize::from(lab.replicas)).map(|at| pod("replica", at, ["default", "llm", lab.version.as_str()]));
    replicas.chain([pod("fallback", 0, ["fallback", "fallback", "fallback"])]).collect()
}
