//! The pods that the lab starts with, known before it starts.

use super::model::Pod;
use crate::{lab::config::LabConfig, units::PodName};

/// Nodes that the lab spreads its pods over.
const NODES: usize = 3;

/// The lab's pods at the start: its replicas in the namespace `default`, and
/// the fallback's in `fallback`.
pub fn lab_pods(lab: &LabConfig) -> Vec<Pod> {
    let pod = |name: &str, at: usize, [namespace, app, version, track]: [&str; 4]| {
        let labels = [("app", app), ("version", version), ("track", track)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let node = format!("node-{}", at % NODES);
        Pod { node, ..Pod::running(namespace, PodName(format!("{name}-{at}")), labels) }
    };
    let version = lab.version.as_str();
    let of = |name: &'static str, count: u16, track: &'static str| {
        (0..usize::from(count)).map(move |at| pod(name, at, ["default", "llm", version, track]))
    };
    let fallback = pod("fallback", 0, ["fallback", "fallback", "fallback", "stable"]);
    of("replica", lab.replicas, "stable")
        .chain(of("standby", lab.standby, "standby"))
        .chain([fallback])
        .collect()
}
