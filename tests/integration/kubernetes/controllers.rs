//! Controllers that act on the objects of Chaos Mesh and LitmusChaos as those
//! tools' own do, as far as they are documented, and some that do not.

pub(super) mod gitops;
pub(super) mod litmus;
pub(super) mod mesh;

use std::{thread::JoinHandle, time::Duration};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Between two passes over all objects.
const PASS: Duration = Duration::from_millis(100);

/// How well an object's controller does what it should; the object's label
/// `manners` says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manners {
    /// As documented.
    Good,
    /// It does not look at it at all.
    Absent,
    /// It says that it did it, and did nothing.
    SaysOnly,
    /// It fails on every target, and says so.
    Fails,
    /// It does not let go of what is deleted.
    Hangs,
    /// It does it, and comes to a bad verdict (LitmusChaos).
    Discontent,
}

impl Manners {
    fn of(object: &Value) -> Self {
        match object["metadata"]["labels"]["manners"].as_str() {
            None => Self::Good,
            Some("absent") => Self::Absent,
            Some("says-only") => Self::SaysOnly,
            Some("fails") => Self::Fails,
            Some("hangs") => Self::Hangs,
            Some("discontent") => Self::Discontent,
            Some(other) => panic!("no manners `{other}`"),
        }
    }
}

/// A controller that runs until it is dropped.
pub(super) struct Controller {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Controller {
    /// Runs `pass` again and again.
    fn run<P, F>(pass: P) -> Self
    where
        P: Fn(Client) -> F + Send + 'static,
        F: Future<Output = Result<(), kube::Error>>,
    {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let client = Client::try_default().await.expect("a cluster");
                while !stopped.is_cancelled() {
                    // A conflict is met again in the next pass.
                    if let Err(error) = pass(client.clone()).await {
                        eprintln!("controller: {error}");
                    }
                    tokio::select! {
                        () = tokio::time::sleep(PASS) => {}
                        () = stopped.cancelled() => {}
                    }
                }
            });
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // Its panic is a failure of the test that it was for.
            let _ = thread.join();
        }
    }
}

/// Objects of one kind in a namespace.
fn api(client: &Client, group: &str, kind: &str, plural: &str, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1alpha1", kind), plural);
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// All of them.
async fn all(api: &Api<DynamicObject>) -> Result<Vec<Value>, kube::Error> {
    let list = api.list(&ListParams::default()).await?;
    Ok(list.items.iter().map(|object| serde_json::to_value(object).expect("JSON")).collect())
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("a name")
}

/// Changes an object, if it still is as it was read.
async fn patch(api: &Api<DynamicObject>, read: &Value, mut patch: Value) -> Result<(), kube::Error> {
    patch["metadata"]["resourceVersion"] = read["metadata"]["resourceVersion"].clone();
    api.patch(name(read), &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

/// A time as objects have it: whole seconds.
fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// Seconds since an object was created.
fn age(object: &Value) -> Duration {
    let created = object["metadata"]["creationTimestamp"].as_str().expect("a time");
    let created = humantime::parse_rfc3339(created).expect("a time");
    created.elapsed().unwrap_or_default()
}

/// Nothing holds the object any more.
fn released() -> Value {
    json!({ "metadata": { "finalizers": [] } })
}
