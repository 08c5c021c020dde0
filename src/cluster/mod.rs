//! The connection to one Kubernetes cluster: which one, how it is found
//! again by another process, and whom its API server says that it is.

pub mod address;
pub mod custom;
mod error;
pub mod object;
pub mod offset;
pub mod through;

use std::{env, future::Future, path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::{Deserialize, Serialize};

pub use self::error::ClusterError;
use crate::scenario::kubernetes::KubernetesTarget;

/// The label, and the annotation, of everything that a run makes or changes.
pub const RUN_LABEL: &str = "firedrill.dev/run";
/// The annotation that says how what was changed is taken back.
pub const UNDO_ANNOTATION: &str = "firedrill.dev/undo";
/// The annotation of an object that is a fault itself: which fault it is.
pub const FAULT_ANNOTATION: &str = "firedrill.dev/fault";
/// The label of the pods of a fault proxy, which are no targets.
pub const PROXY_LABEL: &str = "firedrill.dev/proxy";
/// Who changes things, in the objects' `managedFields`.
pub const MANAGER: &str = "firedrill";
/// The context's name where there is no kubeconfig: in a pod.
pub const IN_CLUSTER: &str = "in-cluster";

/// The label of an EndpointSlice that names its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a cluster is found again, also by another process on another machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRef {
    /// The kubeconfig, as in `KUBECONFIG`: one path or several. None: the
    /// default, or the pod's own account.
    pub kubeconfig: Option<String>,
    /// The context.
    pub context: String,
    /// The API server's URL.
    pub server: String,
    /// UID of the namespace `kube-system`, which tells clusters apart. None:
    /// it may not be read.
    pub uid: Option<String>,
}

/// A connection. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    at: ClusterRef,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects to a scenario's cluster.
    pub async fn connect(target: &KubernetesTarget) -> Result<Self, ClusterError> {
        let kubeconfig = target.kubeconfig.as_ref().map(|path| path.to_string_lossy().into_owned());
        Self::open(kubeconfig.or_else(from_environment), target.context.as_deref()).await
    }

    /// Connects to the current context of the kubeconfig in force.
    pub async fn current() -> Result<Self, ClusterError> {
        Self::open(from_environment(), None).await
    }

    /// Connects again. Where its kubeconfig is not there (another machine),
    /// the one in force is tried; it must lead to the same cluster.
    pub async fn again(at: &ClusterRef) -> Result<Self, ClusterError> {
        let there = |paths: &String| env::split_paths(paths).any(|path| path.exists());
        let kubeconfig = at.kubeconfig.clone().filter(there).or_else(from_environment);
        let context = (at.context != IN_CLUSTER).then_some(at.context.as_str());
        let cluster = Self::open(kubeconfig, context).await?;
        match (&at.uid, &cluster.at.uid) {
            (Some(wanted), Some(found)) if wanted != found => Err(ClusterError::Config(format!(
                "the context `{}` leads to another cluster now ({}, not {})",
                at.context, cluster.at.server, at.server
            ))),
            _ => Ok(cluster),
        }
    }

    async fn open(kubeconfig: Option<String>, context: Option<&str>) -> Result<Self, ClusterError> {
        let wrong = |why: &dyn std::error::Error| ClusterError::Config(why.to_string());
        let (mut config, context) = match read(kubeconfig.as_deref())? {
            Some(file) => {
                let name = context.map(str::to_owned).or_else(|| file.current_context.clone());
                let options = KubeConfigOptions { context: name.clone(), ..KubeConfigOptions::default() };
                let config = Config::from_custom_kubeconfig(file, &options).await.map_err(|e| wrong(&e))?;
                (config, name.unwrap_or_default())
            }
            None => match Config::incluster() {
                Ok(config) => (config, IN_CLUSTER.to_owned()),
                Err(_) => {
                    let why = "there is none: set KUBECONFIG, or `kubeconfig:` in the target";
                    return Err(ClusterError::Config(why.to_owned()));
                }
            },
        };
        config.connect_timeout = Some(PATIENCE);
        // A refused eviction (429) is an answer, and all else is tried again
        // by those who know whether it may be.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|e| ClusterError::Config(e.to_string()))?;
        let at = ClusterRef { kubeconfig: kubeconfig.map(absolute), context, server, uid: None };
        let mut cluster = Self { client, at };
        cluster.at.uid = cluster.uid().await?;
        Ok(cluster)
    }

    /// UID of `kube-system`; none where it may not be read.
    async fn uid(&self) -> Result<Option<String>, ClusterError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        match call("get namespace kube-system", namespaces.get("kube-system")).await {
            Ok(namespace) => Ok(namespace.metadata.uid),
            Err(ClusterError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Which cluster it is.
    pub fn at(&self) -> &ClusterRef {
        &self.at
    }

    /// Whether its API server is on this machine (kind, k3d, minikube with
    /// containers): then nobody else's work is at stake.
    pub fn is_local(&self) -> bool {
        let host = self.at.server.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        host.is_some_and(|host| {
            let host = host.trim_matches(['[', ']']);
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// The API server's version.
    pub async fn version(&self) -> Result<String, ClusterError> {
        Ok(call("get /version", self.client.apiserver_version()).await?.git_version)
    }
}

/// Waits for an answer, but not for ever.
pub async fn call<T>(
    what: impl Into<String>,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ClusterError> {
    let what = what.into();
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|error| ClusterError::of(what, error)),
        Err(_) => Err(ClusterError::Unreachable { what, why: format!("nothing heard for {PATIENCE:?}") }),
    }
}

/// `KUBECONFIG`, or the default file if there is one.
fn from_environment() -> Option<String> {
    if let Some(paths) = env::var("KUBECONFIG").ok().filter(|paths| !paths.is_empty()) {
        return Some(paths);
    }
    let path = PathBuf::from(env::var_os("HOME")?).join(".kube/config");
    path.exists().then(|| path.to_string_lossy().into_owned())
}

/// Reads one kubeconfig, or several as kubectl merges them: what comes first
/// counts.
fn read(paths: Option<&str>) -> Result<Option<Kubeconfig>, ClusterError> {
    let Some(paths) = paths else { return Ok(None) };
    let mut all: Option<Kubeconfig> = None;
    for path in env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()) {
        let wrong = |why: String| ClusterError::Config(format!("{}: {why}", path.display()));
        let one = Kubeconfig::read_from(&path).map_err(|error| wrong(error.to_string()))?;
        all = Some(match all {
            None => one,
            Some(first) => first.merge(one).map_err(|error| wrong(error.to_string()))?,
        });
    }
    Ok(all)
}

/// Paths that mean the same from any folder.
fn absolute(paths: String) -> String {
    let all = env::split_paths(&paths).map(|path| std::path::absolute(&path).unwrap_or(path));
    env::join_paths(all).map_or(paths.clone(), |joined| joined.to_string_lossy().into_owned())
}

/// A run's name as a label's value, which has at most 63 characters.
pub fn run_label(run: &str) -> String {
    const MOST: usize = 63;
    let safe: String = run
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    if safe.len() <= MOST {
        return safe;
    }
    // The time at the front and the number at the end tell runs apart.
    let (front, end) = (&safe[..MOST - 8], &safe[safe.len() - 7..]);
    format!("{front}-{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_runs_label_keeps_what_tells_it_apart() {
        assert_eq!(run_label("2026-01-01T000000Z-a-00ff00"), "2026-01-01T000000Z-a-00ff00");
        let long = format!("2026-01-01T000000Z-{}-00ff00", "x".repeat(63));
        let label = run_label(&long);
        assert!(label.len() == 63 && label.starts_with("2026-01-01T000000Z-x") && label.ends_with("-00ff00"));
    }

    #[test]
    fn only_a_loopback_server_is_local() {
        let at = |server: &str| {
            let at = ClusterRef { kubeconfig: None, context: "c".into(), server: server.into(), uid: None };
            let config = Config::new("http://127.0.0.1:1".parse().expect("a URL"));
            Cluster { client: Client::try_from(config).expect("a client"), at }.is_local()
        };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let _guard = runtime.enter();
        for (server, local) in [
            ("https://127.0.0.1:6443/", true),
            ("https://localhost:6443", true),
            ("https://[::1]:6443", true),
            ("https://10.0.0.1:6443", false),
            ("https://api.example.com", false),
            ("https://127.0.0.1.example.com", false),
        ] {
            assert_eq!(at(server), local, "{server}");
        }
    }
}
