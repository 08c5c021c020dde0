//! What is drilled, once it is up: the lab's processes, a URL, or a service on
//! a cluster.

use std::path::{Path, PathBuf};

use http::{Uri, uri::InvalidUri};

use super::RunError;
use crate::{
    chaos::{
        KubernetesDriver, LabDriver, NothingDriver, Outside, ProxyDriver,
        kubernetes::{
            Gaps, Reach, gaps,
            interposed::{InterposeError, Interposed},
            needs,
        },
        proxy::{
            ProxyClient,
            own::{OwnProxy, OwnProxyError},
        },
    },
    cluster::{Cluster, ClusterError, address, offset},
    journal::RunFolder,
    lab::{Lab, LabError, api::Addresses},
    load::Destination,
    observe::kubernetes::Watched,
    plan::{Plan, model::PlannedAction},
    scenario::{
        kubernetes::KubernetesTarget,
        model::Target,
        url::{ProxyUse, UrlTarget},
    },
    units::FaultId,
};

/// A target that is up.
#[derive(Debug)]
pub(super) enum Running {
    /// The lab, ours to start and stop.
    Lab(Lab),
    /// Somebody else's service.
    Url(Service),
    /// A service on a cluster.
    Kubernetes(Box<OnCluster>),
}

/// What injects faults.
#[derive(Debug)]
pub(super) enum Drivers {
    /// Nothing there can.
    Url(Outside<NothingDriver>),
    /// The lab's own parts.
    Lab(Outside<LabDriver>),
    /// A fault proxy.
    Proxy(Outside<ProxyDriver>),
    /// A cluster's API server.
    Kubernetes(Box<Outside<KubernetesDriver>>),
}

/// Somebody else's service, and what stands before it.
#[derive(Debug)]
pub(super) struct Service {
    url: Uri,
    proxy: Proxy,
}

#[derive(Debug)]
enum Proxy {
    None,
    /// Ours: the load goes through it.
    Own(OwnProxy),
    Running(ProxyClient),
}

/// A service on a cluster, and how it is reached.
#[derive(Debug)]
pub(super) struct OnCluster {
    pub(super) cluster: Cluster,
    pub(super) target: KubernetesTarget,
    pub(super) url: String,
    /// The fault proxy, once it stands.
    proxied: Option<Interposed>,
}

/// Why a target is not up.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error("target: {0}")]
    Cluster(#[from] ClusterError),
    #[error("target: the fault proxy: {0}")]
    Proxy(#[from] OwnProxyError),
    #[error("target: {0}")]
    Url(String),
    #[error("target: what the account may do there is not known: {0}")]
    Review(ClusterError),
    #[error(
        "target: {gaps}\n    `firedrill rbac {}`, with the same options, prints the role that allows it",
        .scenario.display()
    )]
    Rights { gaps: Gaps, scenario: PathBuf },
}

impl Running {
    /// Starts what is ours to start. `scenario` is the file that the plan is
    /// of.
    pub(super) async fn start(
        plan: &Plan,
        scenario: &Path,
        exe: &Path,
        logs: &Path,
    ) -> Result<Self, StartError> {
        Ok(match &plan.target {
            Target::Lab(config) => Self::Lab(Lab::start(config, plan.seed, exe, logs).await?),
            Target::Url(target) => Self::Url(Service::start(target, exe, logs).await?),
            Target::Kubernetes(target) => {
                let cluster = Cluster::connect(target).await?;
                // Before anything else is asked for, so that what is missing
                // is told at once and as a right.
                match gaps(&cluster, &needs(plan, target)).await.map_err(StartError::Review)? {
                    None => {}
                    Some(gaps) => return Err(StartError::Rights { gaps, scenario: scenario.to_owned() }),
                }
                let url = address::address(&cluster, target).await?;
                let on = OnCluster { cluster, target: target.clone(), url, proxied: None };
                Self::Kubernetes(Box::new(on))
            }
        })
    }

    /// Sets up what the faults of a run need, when everything else is right.
    pub(super) async fn set_up(&mut self, folder: &RunFolder) -> Result<(), InterposeError> {
        let Self::Kubernetes(on) = self else { return Ok(()) };
        on.proxied = Interposed::start(&on.cluster, &on.target, &folder.id(), folder.path()).await?;
        Ok(())
    }

    /// Where the load goes.
    pub(super) fn destination(&self) -> Result<Destination, RunError> {
        let url = match self {
            Self::Lab(lab) => format!("http://{}", lab.addresses().gateway),
            Self::Url(service) => return Ok(service.destination()),
            Self::Kubernetes(on) => on.url.clone(),
        };
        let uri: Result<Uri, _> = url.parse();
        uri.map(Destination::from).map_err(|source| RunError::Url { url, source })
    }

    /// What injects the faults of a plan there, for the run of this name.
    pub(super) fn driver(&self, plan: &Plan, run: &str) -> Result<Drivers, RunError> {
        Ok(match self {
            Self::Lab(lab) => Drivers::Lab(Outside::beside(LabDriver::new(*lab.addresses())?)),
            Self::Url(service) => match &service.proxy {
                Proxy::None => Drivers::Url(Outside::beside(NothingDriver)),
                Proxy::Own(proxy) => Drivers::Proxy(Outside::beside(ProxyDriver::new(proxy.client()))),
                Proxy::Running(client) => Drivers::Proxy(Outside::beside(ProxyDriver::new(client.clone()))),
            },
            Self::Kubernetes(on) => {
                let OnCluster { cluster, target, proxied, .. } = on.as_ref();
                let driver = KubernetesDriver::new(cluster.clone(), target.clone(), plan, run);
                Drivers::Kubernetes(Box::new(Outside::beside(match proxied {
                    Some(proxy) => driver.through(ProxyDriver::new(proxy.client()?), proxy.upstream()),
                    None => driver,
                })))
            }
        })
    }

    /// The cluster, if it is one that is not on this machine.
    pub(super) fn remote_cluster(&self) -> Option<&Cluster> {
        match self {
            Self::Kubernetes(on) if !on.cluster.is_local() => Some(&on.cluster),
            Self::Lab(_) | Self::Url(_) | Self::Kubernetes(_) => None,
        }
    }

    /// What is watched there for a plan, if it is on a cluster.
    pub(super) fn on_cluster(&self, plan: &Plan) -> Option<Watched> {
        let Self::Kubernetes(on) = self else { return None };
        let OnCluster { cluster, target, proxied, .. } = on.as_ref();
        let reach = Reach::of(plan, target);
        let namespaces = reach.namespaces.into_iter().collect();
        let mut target = target.clone();
        // Whose endpoints the pods are.
        if let Some(proxy) = proxied {
            target.lead_to(proxy.upstream());
        }
        let deploys = plan.timeline.iter().filter_map(|act| match &act.action {
            PlannedAction::Deploy(deploy) => Some(deploy.clone()),
            PlannedAction::Fault(_) | PlannedAction::Command(_) => None,
        });
        let deploys = deploys.collect();
        Some(Watched { cluster: cluster.clone(), target, namespaces, nodes: reach.nodes, deploys })
    }

    /// The lab's parts, if it is the lab.
    pub(super) fn lab(&self) -> Option<Addresses> {
        match self {
            Self::Lab(lab) => Some(*lab.addresses()),
            Self::Url(_) | Self::Kubernetes(_) => None,
        }
    }

    /// What a run on a cluster has to say of it, for `environment.json`.
    pub(super) async fn facts(&self) -> Option<serde_json::Value> {
        let Self::Kubernetes(on) = self else { return None };
        let at = on.cluster.at();
        // What can't be found out is not there: these are no conditions.
        let version = on.cluster.version().await.ok();
        let offset = offset::estimate(&on.cluster).await.ok().flatten();
        Some(serde_json::json!({
            "context": at.context, "server": at.server, "uid": at.uid, "version": version, "url": on.url,
            "clock-offset": offset.map(|offset| offset.to_string()),
        }))
    }

    /// Stops what is ours. What could not be taken away, in words.
    pub(super) async fn stop(self) -> Option<(FaultId, String)> {
        match self {
            Self::Kubernetes(on) => {
                if let Some(proxy) = on.proxied {
                    return proxy.stop().await.err();
                }
            }
            Self::Lab(lab) => lab.stop().await,
            Self::Url(Service { proxy: Proxy::Own(proxy), .. }) => proxy.stop().await,
            Self::Url(_) => {}
        }
        None
    }
}

impl Service {
    async fn start(target: &UrlTarget, exe: &Path, logs: &Path) -> Result<Self, StartError> {
        let wrong = |why: String| StartError::Url(format!("`{}`: {why}", target.at));
        let url: Uri = target.at.parse().map_err(|error: InvalidUri| wrong(error.to_string()))?;
        let proxy = match target.proxy {
            ProxyUse::Off => Proxy::None,
            ProxyUse::Own => {
                let apart = Destination::from(url.clone()).host_and_port();
                let (host, port) = apart.map_err(|error| wrong(error.to_string()))?;
                Proxy::Own(OwnProxy::start(exe, logs, &host, port).await?)
            }
            ProxyUse::Running(at) => Proxy::Running(ProxyClient::new(at).map_err(OwnProxyError::from)?),
        };
        Ok(Self { url, proxy })
    }

    fn destination(&self) -> Destination {
        let via = match &self.proxy {
            Proxy::Own(proxy) => Some(proxy.listen()),
            Proxy::None | Proxy::Running(_) => None,
        };
        Destination { url: self.url.clone(), via }
    }
}
