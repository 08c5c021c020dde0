//! A lab of real replicas behind the real proxy. The gateway is played by the
//! test, so that a test decides which pod gets traffic.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    routing::{get, put},
};
use firedrill::{
    chaos::{ActEnd, ActGate, FaultContext, LabDriver, proxy, run_act, wal},
    clock::Clock,
    journal::{
        Event, Record, RunFolder, Sink,
        event::{FaultStep, Signal},
        sink::Line,
    },
    lab::{
        Lab,
        api::{Addresses, ControllerProcessConfig, Listening, PodStatus, command},
        client::LabClient,
        config::LabConfig,
    },
    plan::{
        Plan,
        model::{PlannedAct, PlannedAction},
    },
    process::{self, Child},
    scenario::{
        chaos::Manifest,
        model::{Target, Unsteady},
    },
    units::{FaultId, RunTime, Span},
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::support::exe;

/// How long a thing may take that must happen at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// A lab, and a run that breaks it.
pub(super) struct Rig {
    pub(super) at: Addresses,
    pub(super) lab: LabClient,
    pub(super) controller: Option<Child>,
    pub(super) proxy: Option<Child>,
    /// What the played gateway says at `/metrics`.
    pub(super) metrics: Arc<Mutex<String>>,
    pub(super) folder: RunFolder,
    pub(super) clock: Clock,
    pub(super) sink: Sink,
    lines: mpsc::Receiver<Line>,
    pub(super) cancel: CancellationToken,
    pub(super) gate: watch::Sender<ActGate>,
    http: reqwest::Client,
    whole: Option<Lab>,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub(super) async fn start() -> Self {
        let metrics = Arc::new(Mutex::new(String::new()));
        let said = Arc::clone(&metrics);
        let app = Router::new()
            .route("/metrics", get(async move || said.lock().expect("lock").clone()))
            .route("/admin/{what}", put(async || ""));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let gateway = listener.local_addr().expect("an address");
        tokio::spawn(async { axum::serve(listener, app).await });

        let dir = tempfile::tempdir().expect("a folder");
        let (proxy, Listening { listening: proxy_at }) =
            process::spawn(exe(), proxy::api::COMMAND, &proxy::ProxyConfig {}, None)
                .await
                .expect("the proxy starts");
        let mut lab = LabConfig { replicas: 2, cold_start: Span::millis(300), ..LabConfig::default() };
        lab.gateway.canary_interval = Span::millis(500);
        let config =
            ControllerProcessConfig { lab, seed: 1, gateway, proxy: proxy_at, logs: dir.path().to_owned() };
        let (controller, Listening { listening: controller_at }) =
            process::spawn(exe(), command::CONTROLLER, &config, None).await.expect("the controller starts");
        let at = Addresses { gateway, controller: controller_at, proxy: proxy_at };
        let rig = Self::of(at, metrics, dir);
        Self { controller: Some(controller), proxy: Some(proxy), ..rig }
    }

    /// The whole lab, with its own gateway.
    pub(super) async fn whole(config: &LabConfig) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let lab = Lab::start(config, 1, exe(), dir.path()).await.expect("the lab starts");
        let rig = Self::of(*lab.addresses(), Arc::default(), dir);
        Self { whole: Some(lab), ..rig }
    }

    /// Ends the whole lab in order.
    pub(super) async fn stop(self) {
        if let Some(lab) = self.whole {
            lab.stop().await;
        }
    }

    fn of(at: Addresses, metrics: Arc<Mutex<String>>, dir: tempfile::TempDir) -> Self {
        let clock = Clock::start();
        let (sink, lines) = Sink::new(clock);
        Self {
            at,
            lab: LabClient::new(at).expect("a client"),
            controller: None,
            proxy: None,
            metrics,
            folder: RunFolder::create(&dir.path().join("runs"), "test").expect("a run's folder"),
            clock,
            sink,
            lines,
            cancel: CancellationToken::new(),
            gate: watch::channel(ActGate::Open).0,
            http: reqwest::Client::new(),
            whole: None,
            _dir: dir,
        }
    }

    pub(super) fn act(&self, id: &str, manifest: Value, lasts: Option<Duration>) -> PlannedAct {
        let manifest: Manifest = serde_json::from_value(manifest).expect("a manifest");
        let at = self.clock.now();
        PlannedAct {
            id: FaultId::from(id),
            at,
            until: lasts.map(|lasts| at + lasts),
            action: PlannedAction::Fault(manifest),
        }
    }

    pub(super) fn driver(&self) -> LabDriver {
        LabDriver::new(self.at).expect("a driver")
    }

    pub(super) fn begin(&self, act: PlannedAct) -> JoinHandle<ActEnd> {
        let plan = plan(vec![act.clone()]);
        let driver = self.driver();
        let context = FaultContext::new(driver, &self.folder, self.sink.clone(), self.cancel.clone(), &plan);
        tokio::spawn(run_act(act, context.expect("a log"), self.gate.subscribe()))
    }

    pub(super) async fn run(&self, act: PlannedAct) -> ActEnd {
        self.begin(act).await.expect("no panic")
    }

    /// The next event that `pick` takes.
    pub(super) async fn next<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let find = async {
            while let Some(line) = self.lines.recv().await {
                if let Line::Event(Record { event, .. }) = line
                    && let Some(picked) = pick(&event)
                {
                    return picked;
                }
            }
            panic!("the journal ended before {what}");
        };
        tokio::time::timeout(PATIENCE, find)
            .await
            .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
    }

    /// The next signal that `pick` takes.
    pub(super) async fn signal<T>(&mut self, what: &str, pick: impl Fn(&Signal) -> Option<T>) -> T {
        self.next(what, |event| match event {
            Event::Signal { signal, .. } => pick(signal),
            _ => None,
        })
        .await
    }

    /// The steps of all faults so far.
    pub(super) fn steps(&mut self) -> Vec<FaultStep> {
        let mut steps = Vec::new();
        while let Ok(line) = self.lines.try_recv() {
            if let Line::Event(Record { event: Event::Fault { step, .. }, .. }) = line {
                steps.push(step);
            }
        }
        steps
    }

    /// Faults that the write-ahead log has as not taken back.
    pub(super) fn pending(&self) -> Vec<String> {
        let log = wal::read(self.folder.path()).expect("the log");
        wal::pending(&log.entries).into_iter().map(|fault| fault.id.0).collect()
    }

    pub(super) async fn replicas(&self) -> Vec<PodStatus> {
        let pods = self.lab.pods().await.expect("pods");
        pods.into_iter().filter(|pod| pod.namespace == "default").collect()
    }

    pub(super) async fn toxics(&self) -> usize {
        self.lab.proxy().links().await.expect("links").iter().map(|link| link.toxics.len()).sum()
    }

    /// Requests through the links of these pods, one after the other, until
    /// it is dropped.
    pub(super) async fn traffic(&self, pods: &[&str]) -> AbortOnDropHandle<()> {
        let all = self.replicas().await;
        let links: Vec<SocketAddr> = all
            .iter()
            .filter(|pod| pods.contains(&pod.name.as_str()))
            .map(|pod| pod.link.expect("a link"))
            .collect();
        assert_eq!(links.len(), pods.len());
        let http = self.http.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                for link in &links {
                    // It may fail: that is what faults are for.
                    let _ = ask(&http, *link).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }))
    }

    /// Requests to the gateway, many at a time, until it is dropped.
    pub(super) fn load(&self) -> AbortOnDropHandle<()> {
        let (http, gateway) = (self.http.clone(), self.at.gateway);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let users = (0..12).map(async |_| {
                loop {
                    let _ = ask(&http, gateway).await;
                }
            });
            futures::future::join_all(users).await;
        }))
    }

    /// How long one request through a pod's link takes.
    pub(super) async fn ask(&self, pod: &str) -> Result<Duration, reqwest::Error> {
        let pod =
            self.replicas().await.into_iter().find(|status| status.name.as_str() == pod).expect("the pod");
        let sent = Instant::now();
        ask(&self.http, pod.link.expect("a link")).await.map(|()| sent.elapsed())
    }
}

/// Prompts that no cache has seen.
static ASKED: AtomicU64 = AtomicU64::new(0);

async fn ask(http: &reqwest::Client, link: SocketAddr) -> Result<(), reqwest::Error> {
    let content = format!("hello number {}", ASKED.fetch_add(1, Ordering::Relaxed));
    let messages = json!([{"role": "user", "content": content}]);
    let body = json!({"model": "demo", "max_tokens": 4, "messages": messages});
    let request = http.post(format!("http://{link}/v1/chat/completions")).json(&body);
    let answer = request.timeout(Duration::from_secs(10)).send().await?;
    answer.error_for_status()?.bytes().await.map(drop)
}

fn plan(timeline: Vec<PlannedAct>) -> Plan {
    Plan {
        name: "test".to_owned(),
        description: None,
        seed: 42,
        target: Target::Lab(LabConfig::default()),
        warm_up: Span::millis(0),
        phases: vec![],
        workloads: vec![],
        load: vec![],
        timeline,
        observe: vec![],
        stop_when: vec![],
        unless_steady: Unsteady::Stop,
        checks: vec![],
    }
}

/// A manifest of `kind` on one named replica.
pub(super) fn on(pod: &str, kind: &str, spec: Value) -> Value {
    on_selected(json!({ "pods": { "default": [pod] } }), kind, spec)
}

pub(super) fn on_selected(selector: Value, kind: &str, mut spec: Value) -> Value {
    spec["selector"] = selector;
    spec["mode"] = json!("all");
    json!({ "kind": kind, "spec": spec })
}

/// Names of the steps, in order.
pub(super) fn names(steps: &[FaultStep]) -> Vec<&'static str> {
    let name = |step: &FaultStep| match step {
        FaultStep::Requested { .. } => "requested",
        FaultStep::Skipped { .. } => "skipped",
        FaultStep::Injected => "injected",
        FaultStep::Proven { .. } => "proven",
        FaultStep::Unproven { .. } => "unproven",
        FaultStep::Judged { .. } => "judged",
        FaultStep::Withdrawing => "withdrawing",
        FaultStep::Recovered { .. } => "recovered",
        FaultStep::RecoveryFailed { .. } => "recovery-failed",
    };
    steps.iter().map(name).collect()
}

/// An instant that does not come in a test.
pub(super) const LATER: RunTime = RunTime(3_600_000_000);

/// Picks a fault's proof.
pub(super) fn proven(event: &Event) -> Option<()> {
    matches!(event, Event::Fault { step: FaultStep::Proven { .. }, .. }).then_some(())
}
