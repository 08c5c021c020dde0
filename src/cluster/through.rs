//! Requests to a pod's port through the API server, which knows who asks.

use http::{Method, Request};

use super::{Cluster, ClusterError, call};

/// The path at the API server that leads to a pod's port.
pub fn path(namespace: &str, pod: &str, port: u16) -> String {
    format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy")
}

/// Asks a pod. The answer's body.
pub async fn ask(
    cluster: &Cluster,
    method: Method,
    (namespace, pod, port): (&str, &str, u16),
    at: &str,
) -> Result<String, ClusterError> {
    let what = format!("ask pod {namespace}/{pod} on port {port}");
    let request = Request::builder().method(method).uri(format!("{}{at}", path(namespace, pod, port)));
    let request =
        request.body(Vec::new()).map_err(|error| ClusterError::Unfit(format!("{what}: {error}")))?;
    call(what, cluster.client().request_text(request)).await
}
