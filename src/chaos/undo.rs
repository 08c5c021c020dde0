//! How a fault is taken back, as data: it is written down before the fault is
//! injected, and can be done by another process later.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    driver::{ChaosError, evidence},
    kubernetes::{
        self, Change, Mark,
        custom::{self, Handed},
        stress::{self, Stressed},
    },
    lab::proof,
    outside::{alias, programs},
    proxy::{self, ProxyClient},
};
use crate::{
    cluster::{Cluster, ClusterRef, custom::CustomRef},
    journal::event::Evidence,
    lab::{
        api::{Addresses, PodStatus},
        client::{ClientError, LabClient},
    },
    scenario::outside::{MlflowAlias, Program},
    units::{PodName, Version},
};

/// How long a pod may take to have a process again.
const PROCESS_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two tries to take something back.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// How long a cluster's API server is waited for.
const CLUSTER_WITHIN: Duration = Duration::from_secs(60);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// One thing to take back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "kebab-case")]
pub enum Undo {
    /// Take a toxic off a link.
    Toxic {
        /// The proxy's admin API.
        proxy: SocketAddr,
        /// The link.
        link: String,
        /// The toxic, whose id no other run uses.
        id: String,
    },
    /// Let a pod serve again.
    Failure {
        /// The lab.
        lab: Addresses,
        /// The pod.
        pod: PodName,
    },
    /// Give a pod its speed back.
    Slowdown {
        /// The lab.
        lab: Addresses,
        /// The pod.
        pod: PodName,
        /// Where it listens, over restarts: a pod of this name elsewhere is
        /// another lab's.
        address: SocketAddr,
    },
    /// Take back what was changed of an object on a cluster.
    Object {
        /// The cluster.
        cluster: ClusterRef,
        /// Whose change it is.
        #[serde(flatten)]
        mark: Mark,
        /// The change.
        #[serde(flatten)]
        change: Change,
    },
    /// End the stress in a pod.
    Stress {
        /// The cluster.
        cluster: ClusterRef,
        /// The container.
        #[serde(flatten)]
        stressed: Stressed,
    },
    /// Delete a helper of our own.
    Created {
        /// The cluster.
        cluster: ClusterRef,
        /// Whose it is.
        #[serde(flatten)]
        mark: Mark,
        /// The object.
        object: CustomRef,
    },
    /// Run a program of the user's.
    Program {
        /// It.
        run: Program,
        /// What fails when it has done its work.
        proof: Option<Program>,
    },
    /// Turn an alias of MLflow's registry back.
    Alias {
        /// The alias.
        alias: MlflowAlias,
        /// What it was. None: there was none.
        from: Option<Version>,
        /// What it was turned to.
        to: Version,
    },
    /// Delete what was created for a tool's controller.
    Handed {
        /// The cluster.
        cluster: ClusterRef,
        /// Whose it is.
        #[serde(flatten)]
        mark: Mark,
        /// The object.
        #[serde(flatten)]
        handed: Handed,
    },
}

impl Undo {
    /// Takes it back and looks whether it is gone. What is not there any more
    /// counts as taken back: a toxic ends with its proxy, a slow process with
    /// its death. Can be done again.
    pub async fn perform(&self) -> Result<Vec<Evidence>, ChaosError> {
        Ok(match self {
            Self::Toxic { proxy, link, id } => toxic(&ProxyClient::new(*proxy)?, link, id).await?,
            Self::Failure { lab, pod } => failure(&LabClient::new(*lab)?, pod).await?,
            Self::Slowdown { lab, pod, address } => slowdown(&LabClient::new(*lab)?, pod, *address).await?,
            Self::Object { cluster, mark, change } => {
                kubernetes::take_back(&Cluster::again(cluster).await?, mark, change).await?
            }
            Self::Stress { cluster, stressed } => {
                stress::take_back(&Cluster::again(cluster).await?, stressed).await?
            }
            Self::Created { cluster, mark, object } => {
                kubernetes::delete(&Cluster::again(cluster).await?, mark, object).await?
            }
            Self::Program { run, proof } => programs::take_back(run, proof.as_ref()).await?,
            Self::Alias { alias, from, to } => alias::take_back(alias, from.as_ref(), to).await?,
            Self::Handed { cluster, mark, handed } => {
                custom::take_back(&Cluster::again(cluster).await?, mark, handed).await?
            }
        })
    }

    /// How long it is worth trying: a cluster may be out of reach for a while.
    fn patience(&self) -> Duration {
        match self {
            Self::Toxic { .. }
            | Self::Failure { .. }
            | Self::Slowdown { .. }
            | Self::Program { .. }
            | Self::Alias { .. } => Duration::ZERO,
            Self::Object { .. } | Self::Stress { .. } | Self::Created { .. } | Self::Handed { .. } => {
                CLUSTER_WITHIN
            }
        }
    }

    /// What a person can do where it fails.
    pub fn by_hand(&self) -> String {
        let curl = "curl -X";
        match self {
            Self::Toxic { proxy, link, id } => {
                format!("{curl} DELETE http://{proxy}/links/{link}/toxics/{id}")
            }
            Self::Failure { lab, pod } => {
                format!("{curl} DELETE http://{}/pods/{pod}/failure", lab.controller)
            }
            Self::Slowdown { lab, pod, .. } => format!(
                "{curl} PUT -H 'content-type: application/json' -d '{{\"factor\":1}}' http://{}/pods/{pod}/slowdown",
                lab.controller
            ),
            Self::Program { run, .. } => run.to_string(),
            Self::Alias { alias, from: Some(from), .. } => format!("set the {alias} to version {from}"),
            Self::Alias { alias, from: None, .. } => format!("delete the {alias}"),
            Self::Object { mark, change, .. } => kubernetes::by_hand(mark, change),
            Self::Stress { stressed, .. } => stress::by_hand(stressed),
            Self::Created { object, .. } => {
                format!("kubectl -n {} delete {} {}", object.namespace, object.resource, object.name)
            }
            Self::Handed { mark, handed, .. } => custom::by_hand(mark, handed),
        }
    }
}

/// Ok(None) for what is not there any more.
fn absent<T>(result: Result<T, ClientError>) -> Result<Result<T, ClientError>, ClientError> {
    match result {
        Err(error) if !error.is_absence() => Err(error),
        other => Ok(other),
    }
}

async fn toxic(client: &ProxyClient, link: &str, id: &str) -> Result<Vec<Evidence>, ClientError> {
    let source = format!("proxy link {link}");
    let last = match absent(client.take_toxic(link, id).await)? {
        Ok(status) => evidence(&source, format!("taken off; it had {}", proxy::proof::figures(&status))),
        Err(error @ ClientError::Gone { .. }) => {
            return Ok(vec![evidence(source, format!("gone with the proxy ({error})"))]);
        }
        Err(_) => evidence(&source, format!("toxic {id} was gone already")),
    };
    let now = match absent(client.link(link).await)? {
        Ok(status) if status.toxics.iter().any(|toxic| toxic.id == id) => {
            let url = format!("http://{}/links/{link}", client.at());
            return Err(ClientError::Exchange { url, why: format!("toxic {id} is still listed") });
        }
        Ok(_) => evidence(source, format!("toxic {id} is listed no more")),
        Err(_) => evidence(source, "the link itself is gone, with its pod"),
    };
    Ok(vec![last, now])
}

async fn failure(lab: &LabClient, pod: &PodName) -> Result<Vec<Evidence>, ClientError> {
    let source = "controller /pods";
    match absent(lab.unfail_pod(pod).await)? {
        Ok(()) => {}
        Err(error) => return Ok(vec![evidence(source, format!("{pod} is gone ({error})"))]),
    }
    let deadline = Instant::now() + PROCESS_WITHIN;
    loop {
        match absent(lab.pod(pod).await)? {
            Err(error) => return Ok(vec![evidence(source, format!("{pod} is gone ({error})"))]),
            Ok(PodStatus { pid: Some(pid), address: Some(address), .. })
                if proof::is_alive(pid) && proof::accepts(address).await =>
            {
                return Ok(vec![evidence(
                    source,
                    format!("{pod} has process {pid} again, which listens on {address}"),
                )]);
            }
            Ok(_) if Instant::now() >= deadline => {
                let url = format!("http://{}/pods/{pod}", lab.addresses().controller);
                return Err(ClientError::Exchange { url, why: format!("{pod} has no process that listens") });
            }
            Ok(_) => sleep(LOOK).await,
        }
    }
}

async fn slowdown(lab: &LabClient, pod: &PodName, address: SocketAddr) -> Result<Vec<Evidence>, ClientError> {
    let source = "controller /pods";
    let gone = |why: String| Ok(vec![evidence(source, format!("{pod} is gone ({why})"))]);
    match absent(lab.pod(pod).await)? {
        Ok(status) if status.address != Some(address) => {
            return gone(format!("the one listed listens on {:?}, not on {address}", status.address));
        }
        Ok(_) => {}
        Err(error) => return gone(error.to_string()),
    }
    // Also while it has no process: the controller slows the next one.
    if let Err(error) = absent(lab.slow_down(pod, 1.0).await)? {
        return gone(error.to_string());
    }
    let factor = match absent(lab.metrics(address).await)? {
        Ok(metrics) => metrics.value(proof::SLOWDOWN, &[]),
        Err(error) => return Ok(vec![evidence(source, format!("{pod} has no process ({error})"))]),
    };
    if factor == Some(1.0) {
        return Ok(vec![evidence(format!("{pod} /metrics"), "slowdown 1")]);
    }
    let url = format!("http://{address}/metrics");
    Err(ClientError::Exchange { url, why: format!("{} is {factor:?}, not 1", proof::SLOWDOWN) })
}

/// Takes all of it back, tries again what fails, and goes on with the rest.
/// The error says what to do by hand.
pub(super) async fn take_back(undo: &[Undo], patience: Duration) -> Result<Vec<Evidence>, String> {
    let longest = undo.iter().map(Undo::patience).max().unwrap_or_default();
    let deadline = Instant::now() + patience.max(longest);
    let mut left: Vec<&Undo> = undo.iter().collect();
    let mut proof = Vec::new();
    loop {
        let mut failures = Vec::new();
        for undo in left {
            match undo.perform().await {
                Ok(done) => proof.extend(done),
                Err(error) => failures.push((undo, error)),
            }
        }
        if failures.is_empty() {
            if proof.is_empty() {
                proof.push(evidence("driver", "there was nothing to take back"));
            }
            return Ok(proof);
        }
        if Instant::now() >= deadline {
            let whys = failures.iter().map(|(undo, error)| format!("{error}; by hand: {}", undo.by_hand()));
            return Err(whys.collect::<Vec<_>>().join("; "));
        }
        left = failures.into_iter().map(|(undo, _)| undo).collect();
        sleep(TRY_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    #[tokio::test]
    async fn what_can_not_be_taken_back_says_what_to_do_by_hand() {
        let app = axum::Router::new().fallback(async || axum::http::StatusCode::INTERNAL_SERVER_ERROR);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let broken = listener.local_addr().expect("an address");
        tokio::spawn(async { axum::serve(listener, app).await });
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let toxic = |proxy| Undo::Toxic { proxy, link: "replica-0".to_owned(), id: "slow".to_owned() };
        let why = take_back(&[toxic(broken)], Duration::ZERO).await.expect_err("it stays");
        assert!(why.contains("500"), "{why}");
        assert!(
            why.contains(&format!("curl -X DELETE http://{broken}/links/replica-0/toxics/slow")),
            "{why}"
        );
        // Where nobody listens, there is no proxy, and so no toxic.
        assert!(take_back(&[toxic(nobody)], Duration::ZERO).await.is_ok());
    }
}
