//! Where a Service is reached from outside the cluster.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Service, ServicePort};
use kube::{Api, api::ListParams};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{Cluster, ClusterError, call};
use crate::scenario::kubernetes::KubernetesTarget;

/// How long an address may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a Service that was just made may take to be known on the nodes.
const FORWARDED_WITHIN: Duration = Duration::from_secs(10);
/// Between two rounds of tries.
const PAUSE: Duration = Duration::from_millis(250);

/// The base URL for the load: what the target says, or the Service's load
/// balancer, or its node port at this machine or at a node that answers.
pub async fn address(cluster: &Cluster, target: &KubernetesTarget) -> Result<String, ClusterError> {
    if let Some(url) = &target.url {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let service = service(cluster, target).await?;
    let name = format!("service {}/{}", target.namespace, target.service);
    let port = port(&service, target, &name)?;
    if let Some(host) = balancer(&service) {
        return Ok(url(&host, port.port));
    }
    let Some(node_port) = port.node_port else {
        let kind = service.spec.and_then(|spec| spec.type_).unwrap_or_default();
        return Err(ClusterError::Unfit(format!(
            "{name} is a {kind}, which nobody outside can reach: make it a NodePort or a LoadBalancer, \
             or say `url:` in the target"
        )));
    };
    let here = cluster.is_local().then(|| "127.0.0.1".to_owned());
    let hosts = here.into_iter().chain(node_addresses(cluster).await?);
    let urls: Vec<String> = hosts.map(|host| url(&host, node_port)).collect();
    let deadline = Instant::now() + FORWARDED_WITHIN;
    loop {
        for url in &urls {
            if accepts(authority(url)).await {
                return Ok(url.clone());
            }
        }
        if Instant::now() >= deadline {
            let tried: Vec<&str> = urls.iter().map(|url| authority(url)).collect();
            return Err(ClusterError::Unfit(format!(
                "{name}: its node port accepts no connection from here (tried {} for {} s); say `url:` in the target",
                tried.join(", "),
                FORWARDED_WITHIN.as_secs()
            )));
        }
        sleep(PAUSE).await;
    }
}

/// The target's Service.
pub async fn service(cluster: &Cluster, target: &KubernetesTarget) -> Result<Service, ClusterError> {
    let services: Api<Service> = Api::namespaced(cluster.client(), &target.namespace);
    let what = format!("get service {}/{}", target.namespace, target.service);
    call(what, services.get(&target.service)).await
}

fn port<'a>(
    service: &'a Service,
    target: &KubernetesTarget,
    name: &str,
) -> Result<&'a ServicePort, ClusterError> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).collect::<Vec<_>>();
    let found = match (target.port, ports.as_slice()) {
        (Some(wanted), all) => all.iter().find(|port| port.port == i32::from(wanted)),
        (None, [only]) => Some(only),
        (None, all) => all.iter().find(|port| port.name.as_deref() == Some("http")),
    };
    let there = || ports.iter().map(|port| port.port.to_string()).collect::<Vec<_>>().join(", ");
    found.copied().ok_or_else(|| {
        ClusterError::Unfit(match target.port {
            Some(wanted) => format!("{name} has no port {wanted}; it has {}", there()),
            None => format!("{name} has several ports ({}): say `port:` in the target", there()),
        })
    })
}

fn balancer(service: &Service) -> Option<String> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
    ingress.hostname.clone().or_else(|| ingress.ip.clone())
}

/// Addresses of nodes, those for the outside first.
async fn node_addresses(cluster: &Cluster) -> Result<Vec<String>, ClusterError> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let nodes = call("list nodes", nodes.list(&ListParams::default())).await?;
    let mut all: Vec<(bool, String)> = nodes
        .items
        .into_iter()
        .flat_map(|node| node.status.and_then(|status| status.addresses).unwrap_or_default())
        .filter(|address| matches!(address.type_.as_str(), "ExternalIP" | "InternalIP"))
        .map(|address| (address.type_ != "ExternalIP", address.address))
        .collect();
    all.sort();
    Ok(all.into_iter().map(|(_, address)| address).collect())
}

async fn accepts(authority: &str) -> bool {
    matches!(timeout(PATIENCE, TcpStream::connect(authority)).await, Ok(Ok(_)))
}

/// Host and port of a URL that `url` made.
fn authority(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, authority)| authority)
}

fn url(host: &str, port: i32) -> String {
    let scheme = if port == 443 { "https" } else { "http" };
    if host.contains(':') {
        format!("{scheme}://[{host}]:{port}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(ports: serde_json::Value) -> Service {
        serde_json::from_value(json!({ "metadata": {}, "spec": { "ports": ports } })).expect("a service")
    }

    #[test]
    fn which_port_is_meant_must_be_plain() {
        let target = |port| KubernetesTarget { port, ..KubernetesTarget::new("a", "b") };
        let chosen =
            |service: &Service, wanted| port(service, &target(wanted), "s").map(|port| port.port).ok();
        let one = with(json!([{ "port": 80 }]));
        assert_eq!(chosen(&one, None), Some(80));
        assert_eq!(chosen(&one, Some(81)), None);
        let two = with(json!([{ "port": 9, "name": "metrics" }, { "port": 80, "name": "http" }]));
        assert_eq!(chosen(&two, None), Some(80));
        assert_eq!(chosen(&two, Some(9)), Some(9));
        assert_eq!(
            chosen(&with(json!([{ "port": 1, "name": "a" }, { "port": 2, "name": "b" }])), None),
            None
        );
    }

    #[test]
    fn a_load_balancer_gives_its_name_or_its_address() {
        let service = |ingress| {
            serde_json::from_value(
                json!({ "metadata": {}, "status": { "loadBalancer": { "ingress": ingress } } }),
            )
            .expect("a service")
        };
        assert_eq!(balancer(&service(json!([{ "ip": "192.0.2.1" }]))), Some("192.0.2.1".to_owned()));
        assert_eq!(balancer(&service(json!([{ "hostname": "lb.test" }]))), Some("lb.test".to_owned()));
        assert_eq!(balancer(&service(json!([]))), None);
        assert_eq!(url("2001:db8::1", 80), "http://[2001:db8::1]:80");
        assert_eq!(url("lb.test", 443), "https://lb.test:443");
    }
}
