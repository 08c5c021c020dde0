//! A fault proxy between a Service and its pods, for the time of a drill: the
//! Service's selector is switched to a Deployment of the proxy, which leads to
//! a second Service that selects as the first one did; and back.

mod admin;
mod objects;

use std::{path::Path, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::{
    admin::Way,
    objects::{Parts, Port},
};
use super::{
    Change, Mark,
    edit::{Edit, Place},
    is_ready, look, workload,
};
use crate::{
    api_client::ClientError,
    chaos::{
        driver::ChaosError,
        proxy::ProxyClient,
        undo::{Undo, take_back},
        wal::{Step, Wal},
    },
    cluster::{
        Cluster, ClusterError, PROXY_LABEL, call,
        custom::{CustomRef, Doing},
        object::Kind,
        run_label,
    },
    scenario::kubernetes::KubernetesTarget,
    units::FaultId,
};

/// Its name among the faults of a run.
const ID: &str = "proxy";
/// How long it may take until it stands.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// Why it does not stand; what was done of it is taken back.
#[derive(Debug, thiserror::Error)]
#[error("the fault proxy before the service {service}: {why}{}", .left.as_ref().map(|left| format!("; {left}")).unwrap_or_default())]
pub struct InterposeError {
    service: String,
    why: ChaosError,
    /// What could not be taken back, with what to do by hand.
    pub left: Option<String>,
}

/// A proxy that stands.
#[derive(Debug)]
pub struct Interposed {
    way: Way,
    upstream: String,
    undo: Vec<Undo>,
    wal: Wal,
}

impl Interposed {
    /// Puts it there, if the target wants one. What is done is written down
    /// before in the run's folder.
    pub async fn start(
        cluster: &Cluster,
        target: &KubernetesTarget,
        run: &str,
        folder: &Path,
    ) -> Result<Option<Self>, InterposeError> {
        let (Some(image), Some(service)) = (&target.image, target.proxied()) else { return Ok(None) };
        let failed = |why: ChaosError| InterposeError { service: service.to_owned(), why, left: None };
        let plan = Plan::of(cluster, &target.namespace, image, service, run).await.map_err(failed)?;
        let undo = plan.undo(cluster);
        let wal = Wal::open(folder).map_err(|error| failed(error.into()))?;
        let id = FaultId::from(ID);
        wal.write(&id, Step::SetUp { undo: undo.clone() }).await.map_err(|error| failed(error.into()))?;
        match plan.put(cluster).await {
            Ok(way) => {
                // What is written down already is enough to take it away.
                let _ = wal.write(&id, Step::Injected).await;
                Ok(Some(Self { way, upstream: plan.parts.upstream().name, undo, wal }))
            }
            Err(why) => {
                let left = taken_back(&wal, &undo).await.err();
                Err(InterposeError { left, ..failed(why) })
            }
        }
    }

    /// A client of its admin API.
    pub fn client(&self) -> Result<ProxyClient, ClientError> {
        ProxyClient::new(self.way.at)
    }

    /// The Service that leads to the pods.
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Takes it away. The error says what is left, and what to do by hand.
    pub async fn stop(self) -> Result<(), (FaultId, String)> {
        taken_back(&self.wal, &self.undo).await.map_err(|why| (FaultId::from(ID), why))
    }
}

async fn taken_back(wal: &Wal, undo: &[Undo]) -> Result<(), String> {
    let taken = take_back(undo, Duration::ZERO).await;
    // If this can't be written, `firedrill recover` finds nothing left to do.
    let _ = wal.write(&FaultId::from(ID), Step::taken_back(&taken)).await;
    taken.map(drop)
}

/// What will be done.
struct Plan {
    parts: Parts,
    switch: Change,
}

impl Plan {
    async fn of(
        cluster: &Cluster,
        namespace: &str,
        image: &str,
        name: &str,
        run: &str,
    ) -> Result<Self, ChaosError> {
        let service = workload::object(cluster, Kind::Service, Some(namespace), name).await?;
        let selector = workload::selector(&service);
        let unfit = |why: String| ChaosError::Unfit(why);
        let Some(key) = selector.keys().next().cloned() else {
            return Err(unfit(workload::NO_SELECTOR.to_owned()));
        };
        let pods = workload::selected(cluster, namespace, &selector).await?;
        let ports = ports(&service.read, &pods).map_err(unfit)?;
        let mark = Mark { run: run_label(run), fault: ID.into() };
        let word = format!("firedrill-{:08x}", rand::rng().random::<u32>());
        let mut switched = selector.clone();
        switched.insert(key.clone(), word.clone());
        let place = Place::Selector { key };
        let edit = Edit { from: place.read(Kind::Service, &service.read), place, to: json!(word) };
        let switch = Change { object: service.at, edits: vec![edit] };
        let token = format!("{:032x}", rand::rng().random::<u128>());
        let (namespace, service, image) = (namespace.to_owned(), name.to_owned(), image.to_owned());
        Ok(Self {
            parts: Parts { mark, namespace, service, selector, switched, ports, image, token },
            switch,
        })
    }

    /// The Service first: nobody must be led to a proxy that goes.
    fn undo(&self, cluster: &Cluster) -> Vec<Undo> {
        let (at, mark) = (cluster.at(), &self.parts.mark);
        let created = |object| Undo::Created { cluster: at.clone(), mark: mark.clone(), object };
        vec![
            Undo::Object { cluster: at.clone(), mark: mark.clone(), change: self.switch.clone() },
            created(self.parts.deployment()),
            created(self.parts.upstream()),
        ]
    }

    async fn put(&self, cluster: &Cluster) -> Result<Way, ChaosError> {
        let Parts { mark, namespace, token, .. } = &self.parts;
        let (upstream, deployment) = (self.parts.upstream(), self.parts.deployment());
        upstream.create(cluster, &self.parts.upstream_body(), Doing::Really).await?;
        let read = upstream.get(cluster).await?.unwrap_or_default();
        let Some(address) = read.pointer("/spec/clusterIP").and_then(Value::as_str) else {
            return Err(ChaosError::Unfit(format!("{upstream} got no address")));
        };
        let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        deployment.create(cluster, &self.parts.deployment_body(&address), Doing::Really).await?;
        let pod = until("its pod is ready", || self.pod(cluster, &deployment)).await?;
        until("the pods are endpoints of its other Service", || async {
            let ready = endpoints(cluster, namespace, &upstream.name).await?;
            Ok((!ready.is_empty()).then_some(()))
        })
        .await?;
        let way = admin::open(cluster.clone(), namespace, &pod, token).await?;
        let client = ProxyClient::new(way.at)?;
        until("its admin API answers", || async {
            Ok(client.links().await.ok().filter(|links| !links.is_empty()))
        })
        .await?;
        self.switch.apply(cluster, mark).await?;
        let service = &self.parts.service;
        until("the Service leads to it and to nothing else", || async {
            let ready = endpoints(cluster, namespace, service).await?;
            Ok((ready.len() == 1 && ready[0] == pod).then_some(()))
        })
        .await?;
        Ok(way)
    }

    /// The proxy's pod, once it is ready.
    async fn pod(&self, cluster: &Cluster, of: &CustomRef) -> Result<Option<String>, ClusterError> {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), &self.parts.namespace);
        let how = ListParams::default().labels(&format!("{PROXY_LABEL}={}", of.name));
        let listed = call("list the proxy's pods", pods.list(&how)).await?.items;
        Ok(listed.into_iter().find(is_ready).and_then(|pod| pod.metadata.name))
    }
}

/// Asks until there is an answer.
async fn until<T, F>(what: &str, mut ask: impl FnMut() -> F) -> Result<T, ChaosError>
where
    F: Future<Output = Result<Option<T>, ClusterError>>,
{
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let last = match ask().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) if error.is_passing() => Some(error),
            Err(error) => return Err(error.into()),
        };
        if Instant::now() >= deadline {
            let why = last.map(|error| format!(": {error}")).unwrap_or_default();
            return Err(ChaosError::Unfit(format!("waited {READY_WITHIN:?} until {what}{why}")));
        }
        sleep(LOOK).await;
    }
}

/// The pods that a Service sends to.
async fn endpoints(cluster: &Cluster, namespace: &str, service: &str) -> Result<Vec<String>, ClusterError> {
    let serving = look::endpoints(cluster, namespace, service).await?.into_iter().filter(|endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    });
    Ok(serving.filter_map(|endpoint| endpoint.target_ref?.name).collect())
}

/// A Service's ports, with those of its pods that it asks for by name.
fn ports(service: &Value, pods: &[Pod]) -> Result<Vec<Port>, String> {
    let given = service.pointer("/spec/ports").and_then(Value::as_array);
    given.into_iter().flatten().map(|port| of_port(port, pods)).collect()
}

fn of_port(port: &Value, pods: &[Pod]) -> Result<Port, String> {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    if protocol != "TCP" {
        return Err(format!("its port {} is {protocol}, and the proxy speaks TCP", port["port"]));
    }
    let small = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    let number = small(&port["port"]).ok_or("it has a port without a number")?;
    let (target, target_name) = match &port["targetPort"] {
        Value::String(name) => {
            let containers = pods.iter().flat_map(|pod| pod.spec.iter().flat_map(|spec| &spec.containers));
            let mut named = containers.flat_map(|container| container.ports.iter().flatten());
            let found = named.find(|port| port.name.as_deref() == Some(name));
            let found = found.and_then(|port| u16::try_from(port.container_port).ok());
            (found.ok_or_else(|| format!("no pod has a port named {name}"))?, Some(name.clone()))
        }
        value => (small(value).unwrap_or(number), None),
    };
    let name = port["name"].as_str().map(str::to_owned);
    Ok(Port { name, port: number, target, target_name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_asked_for_by_name_are_those_of_the_pods() {
        let pod: Pod = serde_json::from_value(json!({ "spec": { "containers": [
            { "name": "a", "ports": [{ "containerPort": 9000, "name": "web" }] },
        ] } }))
        .expect("a pod");
        let service = |ports: Value| json!({ "spec": { "ports": ports } });
        let found = ports(
            &service(json!([{ "name": "http", "port": 80, "targetPort": "web" }, { "port": 81, "targetPort": 81 }])),
            std::slice::from_ref(&pod),
        )
        .expect("ports");
        let told: Vec<_> =
            found.iter().map(|port| (port.port, port.target, port.target_name.as_deref())).collect();
        assert_eq!(told, [(80, 9000, Some("web")), (81, 81, None)]);
        for (wrong, why) in [
            (json!([{ "port": 53, "protocol": "UDP" }]), "speaks TCP"),
            (json!([{ "port": 80, "targetPort": "grpc" }]), "no pod has a port named grpc"),
        ] {
            let said = ports(&service(wrong), std::slice::from_ref(&pod)).expect_err("it can't");
            assert!(said.contains(why), "{said}");
        }
    }
}
