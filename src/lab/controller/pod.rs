//! One pod: the task that owns its process, watches it, and obeys orders.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    fleet::{Controller, PodSpec, url},
    publish::publish_soon,
};
use crate::{
    chaos::proxy::api::{LinkStatus, NewLink},
    lab::{
        api::{Listening, ReplicaConfig, Role, Slowdown, command},
        config::{FallbackMode, ModelPreset, PodMode},
        describe,
        replica::model_name,
    },
    process::{self, Child},
};

/// How often a pod is asked whether it is ready.
const READY_EVERY: Duration = Duration::from_millis(100);
/// How long a process that could not be started is not tried again.
const START_AGAIN: Duration = Duration::from_millis(500);
/// What a slow fallback takes before it starts, in ms.
const SLOW_FALLBACK_MS: u64 = 4000;

/// What was done, or why not.
pub(super) type Done = oneshot::Sender<Result<(), String>>;

/// What a pod is told. `done` is answered when it has happened.
#[derive(Debug)]
pub(super) enum Order {
    /// The pod is to go: SIGTERM, and SIGKILL after the grace; at once if
    /// that is zero.
    Delete {
        /// Time between the two signals.
        grace: Duration,
        /// Whether the owner makes a new pod.
        replace: bool,
        done: Done,
    },
    /// SIGKILL; the same pod starts again.
    KillContainer(Done),
    /// SIGKILL; the pod stays, and serves nothing until recovered.
    Fail(Done),
    /// The failure is taken back: the pod starts again.
    Recover(Done),
    /// Steps take so many times as long, from now on.
    Slow(Slowdown, Done),
}

/// Ends a pod for good, with this grace, and waits for its end.
pub(super) async fn end(orders: mpsc::Sender<Order>, grace: Duration) {
    let (done, gone) = oneshot::channel();
    if orders.send(Order::Delete { grace, replace: false, done }).await.is_ok() {
        // An error: it ended by itself first.
        let _ = gone.await;
    }
}

/// What happens after a container ended.
#[derive(Debug)]
enum Next {
    /// It is started again in the same pod.
    Restart,
    /// It stays down until recovered.
    Down,
    /// The pod is over.
    Gone { replace: bool, done: Option<Done> },
}

struct Pod {
    controller: Arc<Controller>,
    spec: PodSpec,
    orders: mpsc::Receiver<Order>,
    slowdown: f64,
    // Kept over restarts, as a pod keeps its address.
    port: Option<u16>,
    linked: bool,
}

/// Runs a pod until it is gone, then has it replaced if its owner wants it.
pub(super) async fn run(controller: Arc<Controller>, spec: PodSpec, orders: mpsc::Receiver<Order>) {
    let mut pod = Pod { controller, spec, orders, slowdown: 1.0, port: None, linked: false };
    let mut next = Next::Restart;
    let mut first = true;
    loop {
        next = match next {
            Next::Restart => {
                if !std::mem::take(&mut first) {
                    pod.spec.cold_start = pod.controller.config.lab.cold_start.0;
                }
                pod.container().await
            }
            Next::Down => pod.down().await,
            Next::Gone { replace, done } => {
                pod.gone(replace).await;
                answer(done, Ok(()));
                return;
            }
        };
    }
}

fn answer(done: Option<Done>, result: Result<(), String>) {
    if let Some(done) = done {
        // Who asked may have gone.
        let _ = done.send(result);
    }
}

impl Pod {
    /// From a container's start to its end.
    async fn container(&mut self) -> Next {
        let (mut child, listening) = match self.start().await {
            Ok(started) => started,
            Err(why) => {
                tracing::error!(pod = %self.spec.name, why, "start");
                let why = format!("not started: {why}");
                self.controller.update(&self.spec.name, |pod| pod.last_exit = Some(why));
                // Somebody else may have its port now.
                self.port = None;
                tokio::time::sleep(START_AGAIN).await;
                return Next::Gone { replace: true, done: None };
            }
        };
        let (ready, mut readiness) = watch::channel(false);
        let poll = poll_ready(self.controller.http.clone(), url(listening.listening, "/ready"), ready);
        let _poll = AbortOnDropHandle::new(tokio::spawn(poll));
        loop {
            tokio::select! {
                status = child.wait() => {
                    self.ended(status).await;
                    return match self.controller.pod_mode() {
                        // Left lying, for all to see.
                        PodMode::Off => Next::Down,
                        PodMode::On | PodMode::ReadyBeforeWarm => Next::Gone { replace: true, done: None },
                    };
                }
                Ok(()) = readiness.changed() => {
                    let ready = *readiness.borrow_and_update();
                    self.controller.update(&self.spec.name, |pod| {
                        pod.ready = ready;
                        if ready {
                            pod.phase = "Running".to_owned();
                        }
                    });
                    publish_soon(&self.controller).await;
                }
                order = self.orders.recv() => {
                    // The controller is ending; so does the child.
                    let Some(order) = order else { return Next::Gone { replace: false, done: None } };
                    if let Some(next) = self.obey(order, &mut child, listening).await {
                        return next;
                    }
                }
            }
        }
    }

    /// Obeys an order; none if the container goes on.
    async fn obey(&mut self, order: Order, child: &mut Child, listening: Listening) -> Option<Next> {
        match order {
            Order::Delete { grace, replace, done } => {
                self.terminate(child, grace).await;
                Some(Next::Gone { replace, done: Some(done) })
            }
            Order::KillContainer(done) => {
                self.kill(child).await;
                answer(Some(done), Ok(()));
                match self.controller.pod_mode() {
                    PodMode::Off => Some(Next::Down),
                    PodMode::On | PodMode::ReadyBeforeWarm => {
                        self.controller.update(&self.spec.name, |pod| pod.restarts += 1);
                        Some(Next::Restart)
                    }
                }
            }
            Order::Fail(done) => {
                self.kill(child).await;
                answer(Some(done), Ok(()));
                Some(Next::Down)
            }
            Order::Recover(done) => {
                answer(Some(done), Ok(()));
                None
            }
            Order::Slow(slowdown, done) => {
                self.slowdown = slowdown.factor;
                answer(Some(done), self.slow(listening).await);
                None
            }
        }
    }

    /// Serves nothing until it is told otherwise.
    async fn down(&mut self) -> Next {
        self.controller.update(&self.spec.name, |pod| pod.phase = "Failed".to_owned());
        while let Some(order) = self.orders.recv().await {
            match order {
                Order::Delete { replace, done, .. } => return Next::Gone { replace, done: Some(done) },
                Order::Recover(done) => {
                    answer(Some(done), Ok(()));
                    self.controller.update(&self.spec.name, |pod| pod.restarts += 1);
                    return Next::Restart;
                }
                Order::Fail(done) => answer(Some(done), Ok(())),
                Order::KillContainer(done) => {
                    answer(Some(done), Err("it has no running container".to_owned()));
                }
                Order::Slow(slowdown, done) => {
                    self.slowdown = slowdown.factor;
                    answer(Some(done), Ok(()));
                }
            }
        }
        Next::Gone { replace: false, done: None }
    }

    async fn gone(&mut self, replace: bool) {
        if replace {
            self.controller.replace(&self.spec.name);
        }
        self.controller.bury(&self.spec.name);
        publish_soon(&self.controller).await;
        if self.linked {
            let url = self.controller.proxy_url(&format!("/links/{}", self.spec.name));
            if let Err(error) = self.controller.http.delete(url).send().await {
                tracing::warn!(%error, pod = %self.spec.name, "link not closed");
            }
        }
    }

    /// Starts the process, and its link if it has none.
    async fn start(&mut self) -> Result<(Child, Listening), String> {
        let name = self.spec.name.clone();
        self.controller.update(&name, |pod| pod.phase = "Pending".to_owned());
        let log = self.controller.config.logs.join(format!("{name}.log"));
        let (child, listening): (Child, Listening) =
            process::spawn(&self.controller.exe, command::REPLICA, &self.config(), Some(&log))
                .await
                .map_err(|error| error.to_string())?;
        self.port = Some(listening.listening.port());
        self.controller.update(&name, |pod| {
            pod.pid = Some(child.pid());
            pod.address = Some(listening.listening);
        });
        if !self.linked {
            let link = self.link(listening).await?;
            self.linked = true;
            self.controller.update(&name, |pod| pod.link = Some(link.listen));
        }
        if self.slowdown != 1.0 {
            self.slow(listening).await?;
        }
        Ok((child, listening))
    }

    fn config(&self) -> ReplicaConfig {
        let lab = &self.controller.config.lab;
        let fallback = self.spec.role == Role::Fallback;
        let model: ModelPreset = if fallback { lab.fallback_model } else { lab.model };
        let (garbage, extra_delay_ms) = match (fallback, lab.gateway.fallback) {
            (true, FallbackMode::Slow) => (false, SLOW_FALLBACK_MS),
            (true, FallbackMode::Garbage) => (true, 0),
            (true, FallbackMode::On | FallbackMode::Off | FallbackMode::WrongModel) | (false, _) => {
                (false, 0)
            }
        };
        // It is asked under the model's name, and answers under its own.
        let named = match (fallback, lab.gateway.fallback) {
            (false, _) => None,
            (true, FallbackMode::WrongModel) => Some(lab.model),
            (true, _) => Some(model),
        };
        ReplicaConfig {
            pod: self.spec.name.clone(),
            version: self.spec.version.clone(),
            defect: self.spec.defect,
            model,
            seed: self.controller.config.seed,
            cold_start_ms: u64::try_from(self.spec.cold_start.as_millis()).unwrap_or(u64::MAX),
            ready_before_warm: self.controller.pod_mode() == PodMode::ReadyBeforeWarm,
            garbage,
            named: named.map(|model| model_name(model).to_owned()),
            extra_delay_ms,
            error_rate: if fallback { 0.0 } else { lab.error_rate },
            request_log: Some(self.controller.config.logs.join(format!("{}.requests.jsonl", self.spec.name))),
            port: self.port,
        }
    }

    async fn link(&self, listening: Listening) -> Result<LinkStatus, String> {
        let new = NewLink { name: self.spec.name.to_string(), listen: None, upstream: listening.listening };
        let post = self.controller.http.post(self.controller.proxy_url("/links")).json(&new);
        let response = post.send().await.map_err(|error| format!("link: {error}"))?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("link: the proxy answered {status}"));
        }
        response.json().await.map_err(|error| format!("link: {error}"))
    }

    async fn slow(&self, listening: Listening) -> Result<(), String> {
        let url = url(listening.listening, "/admin/slowdown");
        let put = self.controller.http.put(url).json(&Slowdown { factor: self.slowdown });
        let response = put.send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("the replica answered {status}")) }
    }

    /// SIGKILL, and what follows from it.
    async fn kill(&mut self, child: &mut Child) {
        if let Err(error) = child.kill() {
            tracing::warn!(%error, pod = %self.spec.name, "kill");
        }
        let status = child.wait().await;
        self.ended(status).await;
    }

    /// SIGTERM, out of the gateway's list, and SIGKILL after the grace.
    async fn terminate(&mut self, child: &mut Child, grace: Duration) {
        if grace.is_zero() {
            return self.kill(child).await;
        }
        self.controller.update(&self.spec.name, |pod| {
            pod.ready = false;
            pod.phase = "Terminating".to_owned();
        });
        publish_soon(&self.controller).await;
        if let Ok(pid) = i32::try_from(child.pid()) {
            // It may have died meanwhile, which is what is wanted.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        match tokio::time::timeout(grace, child.wait()).await {
            Ok(status) => self.ended(status).await,
            Err(_) => self.kill(child).await,
        }
    }

    /// The process is no more.
    async fn ended(&mut self, status: std::io::Result<ExitStatus>) {
        let exit = status.map_or_else(|error| format!("lost: {error}"), |status| describe(&status));
        tracing::info!(pod = %self.spec.name, exit, "container ended");
        self.controller.update(&self.spec.name, |pod| {
            pod.ready = false;
            pod.pid = None;
            pod.last_exit = Some(exit);
        });
        publish_soon(&self.controller).await;
    }
}

/// Asks a container whether it is ready, for as long as it lives.
async fn poll_ready(http: reqwest::Client, url: String, ready: watch::Sender<bool>) {
    let mut tick = tokio::time::interval(READY_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let answer = http.get(&url).timeout(Duration::from_millis(500)).send().await;
        let now = answer.is_ok_and(|answer| answer.status().is_success());
        ready.send_if_modified(|before| std::mem::replace(before, now) != now);
    }
}
