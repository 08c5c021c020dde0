//! Keeps the gateway informed: which replicas are ready, and how traffic is
//! split between versions.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::fleet::Controller;
use crate::lab::{
    api::{Routing, Upstream},
    config::ProbeMode,
};

/// How long late probes let a pod have traffic that is not ready any more.
const LATE: Duration = Duration::from_secs(10);

/// What the gateway was last told.
#[derive(Debug, Default)]
pub(super) struct Published {
    upstreams: Option<Vec<Upstream>>,
    routing: Option<Routing>,
}

/// Tells the gateway what changed since it was last told. Whoever changes
/// something calls this; one at a time, so that the last word is the newest.
pub(super) async fn publish(controller: &Controller) -> Result<(), String> {
    let mut last = controller.published.lock().await;
    let upstreams = upstreams(controller);
    if last.upstreams.as_ref() != Some(&upstreams) {
        put(controller, "/admin/upstreams", &upstreams).await?;
        last.upstreams = Some(upstreams);
    }
    let routing = controller.state().routing.clone();
    if last.routing.as_ref() != Some(&routing) {
        put(controller, "/admin/routing", &routing).await?;
        // A purge is an act, done once.
        controller.state().routing.purge.retain(|version| !routing.purge.contains(version));
        last.routing = Some(Routing { purge: Vec::new(), ..routing });
    }
    Ok(())
}

/// Publishes, and leaves a failure to [`keep_trying`].
pub(super) async fn publish_soon(controller: &Controller) {
    if let Err(why) = publish(controller).await {
        tracing::warn!(why, "gateway not told");
    }
}

/// Publishes again and again what could not be published at once.
pub(super) async fn keep_trying(controller: Arc<Controller>) {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        publish_soon(&controller).await;
    }
}

/// Ready pods only; those whose death was not noticed yet are among them. With
/// their defects, probes say less.
fn upstreams(controller: &Controller) -> Vec<Upstream> {
    let listed = controller.pods_by_role().into_iter().filter(|(_, pod)| {
        pod.ready
            || match controller.config.lab.gateway.probes {
                ProbeMode::On => false,
                ProbeMode::Off => true,
                ProbeMode::Late => controller.was_ready(&pod.name, LATE),
            }
    });
    listed
        .filter_map(|(role, pod)| {
            Some(Upstream { pod: pod.name, address: pod.link?, version: pod.version, role })
        })
        .collect()
}

async fn put(controller: &Controller, path: &str, what: &(impl Serialize + Sync)) -> Result<(), String> {
    let url = controller.gateway_url(path);
    let response = controller.http.put(&url).json(what).send().await.map_err(|error| error.to_string())?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("{url} answered {status}")) }
}
