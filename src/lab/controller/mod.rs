//! The lab's controller: owns the replicas' processes, replaces the dead,
//! tells the gateway who is ready, and rolls versions out and back.
//!
//! Each pod has a task (`pod`) that owns its process and obeys orders;
//! `fleet` knows all pods; `publish` keeps the gateway informed; `rollout`
//! decides by `analysis` of what `scrape` reads and `trial` asks;
//! `autoscaling` decides how many there are; `http` is the API.

mod analysis;
mod autoscaling;
mod fleet;
mod http;
mod pod;
mod publish;
mod rollout;
mod scrape;
mod trial;

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::net::TcpListener;

use crate::{
    lab::api::{ControllerProcessConfig, Listening, Role, command},
    process::{self, ProcessError},
};

use fleet::Controller;

/// How long the first pods may take until the gateway knows them.
const FIRST_READY_WITHIN: Duration = Duration::from_secs(15);

/// Runs the controller until its parent is gone. It says that it listens when
/// the first pods are ready and the gateway knows them.
pub async fn serve() -> Result<(), ProcessError> {
    super::log_to_stderr();
    let (config, parent_gone) = process::lifeline::<ControllerProcessConfig>()?;
    let io = |source| ProcessError::Io { command: command::CONTROLLER.to_owned(), source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(io)?;
    let listening = listener.local_addr().map_err(io)?;
    let exe = std::env::current_exe().map_err(io)?;
    let (replicas, standby) = (config.lab.replicas, config.lab.standby);
    let controller = Arc::new(Controller::new(config, exe).map_err(|why| io(std::io::Error::other(why)))?);
    let work = async {
        for _ in 0..replicas {
            controller.first_pod(Role::Stable);
        }
        for _ in 0..standby {
            controller.first_pod(Role::Standby);
        }
        controller.first_pod(Role::Fallback);
        first_ready(&controller, usize::from(replicas) + usize::from(standby) + 1)
            .await
            .map_err(|why| ProcessError::NotReady { command: command::CONTROLLER.to_owned(), why })?;
        process::ready(&Listening { listening })?;
        tokio::spawn(publish::keep_trying(Arc::clone(&controller)));
        tokio::spawn(autoscaling::run(Arc::clone(&controller)));
        axum::serve(listener, http::router(Arc::clone(&controller))).await.map_err(io)
    };
    tokio::select! {
        served = work => served?,
        _ = parent_gone => {}
    }
    controller.shut_down().await;
    Ok(())
}

/// Waits until so many pods are ready and the gateway knows them.
async fn first_ready(controller: &Arc<Controller>, pods: usize) -> Result<(), String> {
    let deadline = Instant::now() + FIRST_READY_WITHIN;
    loop {
        let ready = controller.pods().iter().filter(|pod| pod.ready).count();
        let published = if ready == pods { publish::publish(controller).await } else { Ok(()) };
        match published {
            Ok(()) if ready == pods => return Ok(()),
            Ok(()) if Instant::now() > deadline => {
                return Err(format!("{ready} of {pods} pods were ready within {FIRST_READY_WITHIN:?}"));
            }
            Err(why) if Instant::now() > deadline => return Err(why),
            Ok(()) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
