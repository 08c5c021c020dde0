//! CPU and memory used up in a pod, by an ephemeral container of this very
//! program. Kubernetes lets nobody take such a container away: it ends by
//! itself, or when it is asked to, and stays in the pod's list until the pod
//! goes.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Mark, change::Tries};
use crate::{
    chaos::{driver::evidence, look::Look},
    cluster::{Cluster, ClusterError, object::ObjectRef, through},
    journal::event::Evidence,
    scenario::stress::{MemoryStress, Stressors},
    stress::Done,
};

/// Where it listens, of as many ports as there may be of it in a pod at once.
const PORTS: std::ops::Range<u16> = 19_700..19_800;
/// How long it may take to end when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(200);
/// Where no end is known before, it ends by itself after this long.
const LONGEST: Duration = Duration::from_secs(3600);

/// A container of stress in a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stressed {
    /// The pod.
    pub pod: ObjectRef,
    /// The container.
    pub container: String,
    /// Where it tells what it did, and is asked to end.
    pub port: u16,
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Stress {
    pub(super) at: Stressed,
    image: String,
    stressors: Stressors,
    lasting: Duration,
}

impl Stress {
    pub(super) fn new(
        pod: ObjectRef,
        mark: &Mark,
        image: &str,
        stressors: Stressors,
        ttl: Option<Duration>,
    ) -> Self {
        let container = mark.name("stress-");
        let sum =
            container.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let port = PORTS.start + u16::try_from(sum % u32::from(PORTS.end - PORTS.start)).unwrap_or(0);
        let lasting = ttl.unwrap_or(LONGEST);
        Self { at: Stressed { pod, container, port }, image: image.to_owned(), stressors, lasting }
    }

    pub(super) async fn inject(&self, cluster: &Cluster) -> Result<(), ClusterError> {
        let Stressors { cpu, memory } = self.stressors;
        let mut arguments = vec!["stress".to_owned()];
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        if let Some(cpu) = cpu {
            add("--cpu-workers", cpu.workers.to_string());
            add("--cpu-load", cpu.load.to_string());
        }
        if let Some(memory) = memory {
            add("--memory-bytes", memory.total().to_string());
        }
        add("--for-ms", self.lasting.as_millis().to_string());
        add("--listen", format!("0.0.0.0:{}", self.at.port));
        let container = json!({
            "name": self.at.container, "image": self.image, "imagePullPolicy": "IfNotPresent", "args": arguments,
            "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        });
        let patch = json!({ "spec": { "ephemeralContainers": [container] } });
        let tries = Tries::begin();
        loop {
            // One of its name is this one: it is not added twice.
            match self.at.pod.patch_part(cluster, "ephemeralcontainers", patch.clone()).await {
                Err(error) if error.is_passing() && tries.again(&error).await => {}
                ended => return ended.map(drop),
            }
        }
    }

    /// It must run, and have used up half of what it was asked to at least.
    pub(super) async fn look(&self, cluster: &Cluster) -> Result<Look, ClusterError> {
        let source = format!("{} container {}", self.at.pod, self.at.container);
        let told = match ask(cluster, &self.at, Method::GET, "/").await {
            Ok(told) => told,
            Err(error) => {
                let state =
                    state(cluster, &self.at).await?.map_or("not there".to_owned(), |state| state.to_string());
                return Ok(Look::not(format!("{source} does not answer ({state}): {error}"), vec![]));
            }
        };
        let Ok(done) = serde_json::from_str::<Done>(&told) else {
            return Ok(Look::not(format!("{source} is not ours: it said {told}"), vec![]));
        };
        let secs = |ms: u64| ms as f64 / 1e3;
        let (mut said, mut missing) = (Vec::new(), Vec::new());
        if let Some(cpu) = self.stressors.cpu {
            let asked = done.since_ms * u64::from(cpu.workers) * u64::from(cpu.load) / 100;
            let words = format!("used {:.2} s of CPU in {:.2} s", secs(done.cpu_ms), secs(done.since_ms));
            if done.since_ms < 500 || done.cpu_ms * 2 < asked {
                missing.push(format!("{words}, less than half of the {:.2} s asked for", secs(asked)));
            }
            said.push(words);
        }
        if let Some(memory) = self.stressors.memory {
            let asked = MemoryStress::total(memory);
            let words = format!("holds {} of {} MiB", done.bytes >> 20, asked >> 20);
            if done.bytes < asked / 2 {
                missing.push(words.clone());
            }
            said.push(words);
        }
        let evidence = vec![evidence(source, said.join(", "))];
        Ok(match missing.is_empty() {
            true => Look::acts(evidence),
            false => Look::not(missing.join("; "), evidence),
        })
    }
}

async fn ask(cluster: &Cluster, at: &Stressed, method: Method, path: &str) -> Result<String, ClusterError> {
    let namespace = at.pod.namespace.as_deref().unwrap_or_default();
    through::ask(cluster, method, (namespace, &at.pod.name, at.port), path).await
}

/// The state of its container. None: the pod is gone, or has none of it.
async fn state(cluster: &Cluster, at: &Stressed) -> Result<Option<Value>, ClusterError> {
    let Some(pod) = at.pod.get(cluster).await? else { return Ok(None) };
    let named = |list: &str| {
        let all = pod.pointer(list).and_then(Value::as_array);
        all.into_iter().flatten().find(|one| one["name"] == at.container.as_str()).cloned()
    };
    let status = named("/status/ephemeralContainerStatuses").map(|status| status["state"].clone());
    // It may be asked for and not begun yet.
    Ok(status.or_else(|| named("/spec/ephemeralContainers").map(|_| json!({ "waiting": {} }))))
}

/// Asks it to end, and waits until it has.
pub(in crate::chaos) async fn take_back(
    cluster: &Cluster,
    at: &Stressed,
) -> Result<Vec<Evidence>, ClusterError> {
    let source = format!("{} container {}", at.pod, at.container);
    let deadline = Instant::now() + ENDS_WITHIN;
    loop {
        let Some(state) = state(cluster, at).await? else {
            return Ok(vec![evidence(source, "it is not there")]);
        };
        if state["terminated"].is_object() {
            return Ok(vec![evidence(source, "it has ended")]);
        }
        if Instant::now() >= deadline {
            return Err(ClusterError::Unfit(format!("{source} has not ended: {state}")));
        }
        // What can't be asked now is asked again, and its state has the last word.
        let _ = ask(cluster, at, Method::POST, "/stop").await;
        sleep(LOOK).await;
    }
}

/// What a person can do.
pub(in crate::chaos) fn by_hand(at: &Stressed) -> String {
    let namespace = at.pod.namespace.as_deref().unwrap_or_default();
    format!("it ends by itself; at once: kubectl -n {namespace} delete pod {}", at.pod.name)
}
