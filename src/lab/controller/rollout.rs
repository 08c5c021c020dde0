//! A rollout: a canary, more traffic step by step while it is as good as the
//! stable version, and back again if it isn't. With the defects that
//! rollbacks have in life.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    analysis::{self, Finding},
    fleet::Controller,
    pod,
    publish::{publish, publish_soon},
    scrape::{self, Snapshot},
    trial::{self, Trial},
};
use crate::{
    journal::event::RolloutPhase,
    lab::{
        api::{DeployRequest, Role, RolloutStatus},
        config::RollbackMode,
    },
    units::{PodName, Version},
};

/// Shares of the traffic that a canary gets, one after the other.
const STEPS: &[f64] = &[0.10, 0.30, 0.60, 1.0];
/// How many analyses in a row must find a canary bad.
const STRIKES: u32 = 2;
/// How long new pods may take beyond their cold start.
const READY_WITHIN: Duration = Duration::from_secs(12);
/// What a withdrawn pod gets to finish what it began.
const DRAIN: Duration = Duration::from_secs(1);
/// How late a late rollback is.
const LATE: Duration = Duration::from_secs(25);
/// Where a rollback goes that goes to the wrong version.
const WRONG_VERSION: &str = "v0";
const POLL: Duration = Duration::from_millis(50);

/// Starts a rollout. The error says why there is none.
pub(super) fn start(controller: &Arc<Controller>, request: DeployRequest) -> Result<RolloutStatus, String> {
    let DeployRequest { version, defect } = request;
    {
        let mut state = controller.state();
        if state.rolling {
            let candidate = state.rollout.candidate.as_ref().map_or("a version", Version::as_str);
            return Err(format!("{candidate} is being rolled out"));
        }
        if state.rollout.stable == version {
            return Err(format!("{version} is the stable version already"));
        }
        state.rolling = true;
        state.rollout = RolloutStatus {
            phase: RolloutPhase::Progressing,
            stable: state.rollout.stable.clone(),
            candidate: Some(version.clone()),
            weight: 0.0,
            reason: "the canary is starting".to_owned(),
        };
    }
    controller.remember_defect(version.clone(), defect);
    let status = controller.state().rollout.clone();
    let rollout = Rollout { controller: Arc::clone(controller), candidate: version };
    tokio::spawn(rollout.run());
    Ok(status)
}

struct Rollout {
    controller: Arc<Controller>,
    candidate: Version,
}

impl Rollout {
    async fn run(self) {
        // What an earlier rollback left behind.
        self.withdraw(Role::Canary, |version| *version != self.candidate).await;
        match self.progress().await {
            Ok(()) => self.promote().await,
            Err(why) => self.roll_back(why).await,
        }
        self.controller.state().rolling = false;
    }

    fn say(&self, phase: RolloutPhase, reason: impl Into<String>) {
        let reason = reason.into();
        tracing::info!(candidate = %self.candidate, ?phase, reason, "rollout");
        let mut state = self.controller.state();
        state.rollout.phase = phase;
        state.rollout.reason = reason;
    }

    /// All steps. The error says why the canary is no good.
    async fn progress(&self) -> Result<(), String> {
        let steps = match self.controller.config.lab.gateway.rollback {
            RollbackMode::AllAtOnce => &STEPS[STEPS.len() - 1..],
            _ => STEPS,
        };
        self.scale(steps[0]);
        for (at, weight) in steps.iter().enumerate() {
            self.await_ready(*weight).await?;
            {
                let mut state = self.controller.state();
                state.rollout.weight = *weight;
                state.rollout.reason = format!("the canary gets {:.0}% of the traffic", weight * 100.0);
                state.routing.canary_weight = *weight;
            }
            publish_soon(&self.controller).await;
            // Pods for the next step warm up during this one.
            if let Some(next) = steps.get(at + 1) {
                self.scale(*next);
            }
            match self.controller.config.lab.gateway.rollback {
                RollbackMode::Off => tokio::time::sleep(self.interval()).await,
                RollbackMode::Hasty => {
                    tokio::time::sleep(self.interval()).await;
                    return Err("the canary was not better than the stable version".to_owned());
                }
                RollbackMode::On
                | RollbackMode::ErrorsOnly
                | RollbackMode::AllAtOnce
                | RollbackMode::Late
                | RollbackMode::WrongVersion
                | RollbackMode::SaysDone => self.analyse().await?,
            }
        }
        Ok(())
    }

    fn interval(&self) -> Duration {
        self.controller.config.lab.gateway.canary_interval.0
    }

    /// Looks at the canary once an interval, until it was found healthy once
    /// or bad too often. Few requests make the interval longer.
    async fn analyse(&self) -> Result<(), String> {
        let stable = self.controller.state().rollout.stable.clone();
        let mut before = self.metrics().await.unwrap_or_default();
        let mut pods_before = trial::look(&self.controller).await;
        let mut strikes = 0;
        loop {
            tokio::time::sleep(self.interval()).await;
            let Ok(now) = self.metrics().await else { continue };
            let window =
                |version: &Version| now.get(version).cloned().unwrap_or_default().since(before.get(version));
            let (canary, usual) = (window(&self.candidate), window(&stable));
            let blind = self.controller.config.lab.gateway.rollback == RollbackMode::ErrorsOnly;
            let finding = if blind {
                analysis::errors(&canary, &usual)
            } else {
                match analysis::judge(&canary, &usual) {
                    Finding::Healthy => {
                        let pods = trial::look(&self.controller).await;
                        let found = self.examine(&pods, &pods_before, &stable).await;
                        pods_before = pods;
                        found
                    }
                    found => found,
                }
            };
            match finding {
                Finding::TooFew => continue,
                Finding::Healthy => return Ok(()),
                Finding::Terrible(why) => return Err(why),
                Finding::Bad(why) => {
                    strikes += 1;
                    if strikes >= STRIKES {
                        return Err(why);
                    }
                    self.controller.state().rollout.reason = format!("{why}; looking again");
                }
            }
            before = now;
        }
    }

    /// What the pods themselves show of the canary.
    async fn examine(&self, now: &Trial, before: &Trial, stable: &Version) -> Finding {
        let none = analysis::Pods::new();
        let of =
            |version: &Version| (now.get(version).unwrap_or(&none), before.get(version).unwrap_or(&none));
        let golden = trial::examine(&self.controller, &self.candidate).await;
        let found = analysis::accuracy(golden).or_else(|| analysis::compare(of(&self.candidate), of(stable)));
        found.map_or(Finding::Healthy, Finding::Bad)
    }

    async fn metrics(&self) -> Result<Snapshot, reqwest::Error> {
        let gateway = self.controller.config.gateway;
        self.controller.metrics(gateway).await.map(|text| scrape::read(&text))
    }

    /// Pods that a share of the traffic needs.
    fn wanted(&self, weight: f64) -> usize {
        (weight * f64::from(self.controller.config.lab.replicas)).ceil().max(1.0) as usize
    }

    fn scale(&self, weight: f64) {
        let pods = self.controller.pods_by_role();
        let there = pods.iter().filter(|(role, pod)| *role == Role::Canary && pod.version == self.candidate);
        for _ in there.count()..self.wanted(weight) {
            self.controller.new_pod(Role::Canary, self.candidate.clone());
        }
    }

    async fn await_ready(&self, weight: f64) -> Result<(), String> {
        self.await_pods(Role::Canary, &self.candidate, self.wanted(weight)).await
    }

    /// Waits until so many pods of a version are ready.
    async fn await_pods(&self, role: Role, version: &Version, wanted: usize) -> Result<(), String> {
        let deadline = Instant::now() + self.controller.config.lab.cold_start.0 + READY_WITHIN;
        loop {
            let pods = self.controller.pods_by_role();
            let ready = pods.iter().filter(|(of, pod)| *of == role && pod.version == *version && pod.ready);
            let ready = ready.count();
            if ready >= wanted {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("only {ready} of {wanted} pods of {version} became ready"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The candidate becomes the stable version, its pods stay.
    async fn promote(&self) {
        self.controller.promote_pods(&self.candidate);
        {
            let mut state = self.controller.state();
            state.rollout.stable = self.candidate.clone();
            state.routing.stable = self.candidate.clone();
            state.routing.canary_weight = 0.0;
        }
        publish_soon(&self.controller).await;
        self.withdraw(Role::Stable, |version| *version != self.candidate).await;
        self.say(RolloutPhase::Promoted, format!("{} is the stable version", self.candidate));
    }

    async fn roll_back(&self, why: String) {
        match self.controller.config.lab.gateway.rollback {
            RollbackMode::On
            | RollbackMode::Off
            | RollbackMode::ErrorsOnly
            | RollbackMode::Hasty
            | RollbackMode::AllAtOnce => {}
            RollbackMode::Late => tokio::time::sleep(LATE).await,
            RollbackMode::SaysDone => {
                self.controller.state().rollout.weight = 0.0;
                return self.say(RolloutPhase::RolledBack, why);
            }
            RollbackMode::WrongVersion => return self.roll_back_to(Version::from(WRONG_VERSION), why).await,
        }
        self.say(RolloutPhase::RollingBack, why.clone());
        self.take_back().await;
        self.say(RolloutPhase::RolledBack, why);
    }

    /// The canary gets nothing more, and goes.
    async fn take_back(&self) {
        {
            let mut state = self.controller.state();
            state.rollout.weight = 0.0;
            state.routing.canary_weight = 0.0;
            state.routing.purge = vec![self.candidate.clone()];
        }
        publish_soon(&self.controller).await;
        self.withdraw(Role::Canary, |version| *version == self.candidate).await;
        // Once more: what was under way may have been stored meanwhile.
        self.controller.state().routing.purge = vec![self.candidate.clone()];
        while let Err(why) = publish(&self.controller).await {
            tracing::warn!(why, "rollback not told");
            tokio::time::sleep(POLL).await;
        }
    }

    /// The defect: back to a version that was not the stable one.
    async fn roll_back_to(&self, wrong: Version, why: String) {
        self.say(RolloutPhase::RollingBack, why.clone());
        self.take_back().await;
        let replicas = usize::from(self.controller.config.lab.replicas);
        for _ in 0..replicas {
            self.controller.new_pod(Role::Stable, wrong.clone());
        }
        if let Err(error) = self.await_pods(Role::Stable, &wrong, replicas).await {
            tracing::warn!(error, "rollback to the wrong version");
        }
        {
            let mut state = self.controller.state();
            state.rollout.stable = wrong.clone();
            state.routing.stable = wrong.clone();
        }
        publish_soon(&self.controller).await;
        self.withdraw(Role::Stable, |version| *version != wrong).await;
        self.say(RolloutPhase::RolledBack, why);
    }

    /// Takes pods out of service, drains and ends them; waits for their end.
    async fn withdraw(&self, role: Role, of: impl Fn(&Version) -> bool) {
        let pods = self.controller.pods_by_role().into_iter();
        let names: Vec<PodName> =
            pods.filter(|(r, pod)| *r == role && of(&pod.version)).map(|(_, pod)| pod.name).collect();
        let ends = names.iter().filter_map(|name| Some(pod::end(self.controller.orders(name)?, DRAIN)));
        futures::future::join_all(ends).await;
    }
}
