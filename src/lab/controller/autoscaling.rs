//! Autoscaling of the stable version's replicas, by how many requests each has
//! in flight. With the defects that autoscaling has in life.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{fleet::Controller, pod};
use crate::{
    lab::{api::Role, config::AutoscalingMode},
    units::PodName,
};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// How long fewer replicas must be enough before one is taken away.
const STEADY: Duration = Duration::from_secs(4);
/// How long a late autoscaler waits before it adds any.
const LATE: Duration = Duration::from_secs(20);
/// What a replica that is taken away gets to finish what it began.
const DRAIN: Duration = Duration::from_secs(2);
/// What the gateway has under way upstream.
const IN_FLIGHT: &str = "gateway_in_flight";

/// Looks again and again, if there is something to scale to.
pub(super) async fn run(controller: Arc<Controller>) {
    let lab = &controller.config.lab;
    let mode = lab.gateway.autoscaling;
    let Some(most) = lab.max_replicas.filter(|_| mode != AutoscalingMode::Off) else { return };
    let least = usize::from(lab.replicas);
    let limits = (least, usize::from(most).max(least));
    let mut scaler = Scaler::new(mode, limits, lab.gateway.replica_target);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // A rollout counts replicas itself.
        if controller.state().rolling {
            continue;
        }
        let Some(in_flight) = in_flight(&controller).await else { continue };
        let stable = stable(&controller);
        let wanted = scaler.wanted(in_flight, stable.len(), Instant::now());
        if wanted > stable.len() {
            tracing::info!(wanted, in_flight, "replicas are added");
            let version = controller.state().rollout.stable.clone();
            (stable.len()..wanted).for_each(|_| drop(controller.new_pod(Role::Stable, version.clone())));
        } else if wanted < stable.len() {
            tracing::info!(wanted, in_flight, "replicas are taken away");
            // The newest first, all at once.
            let orders = stable.iter().skip(wanted).filter_map(|name| controller.orders(name));
            futures::future::join_all(orders.map(|orders| pod::end(orders, DRAIN))).await;
        }
    }
}

/// The stable version's replicas, ready or not, the oldest first.
fn stable(controller: &Controller) -> Vec<PodName> {
    let pods = controller.pods_by_role().into_iter();
    pods.filter(|(role, pod)| *role == Role::Stable && pod.phase != "Terminating")
        .map(|(_, pod)| pod.name)
        .collect()
}

async fn in_flight(controller: &Controller) -> Option<f64> {
    let text = controller.metrics(controller.config.gateway).await.ok()?;
    text.lines().find_map(|line| line.strip_prefix(IN_FLIGHT)?.trim().parse().ok())
}

/// How many replicas there should be. Pure, but for the time that it is told.
struct Scaler {
    mode: AutoscalingMode,
    /// At least and at most so many.
    limits: (usize, usize),
    /// Requests in flight for each.
    target: u32,
    /// What was in flight lately, smoothed.
    mean: f64,
    /// Since when more, and since when fewer would do.
    more: Option<Instant>,
    fewer: Option<Instant>,
}

impl Scaler {
    fn new(mode: AutoscalingMode, limits: (usize, usize), target: u32) -> Self {
        Self { mode, limits, target, mean: 0.0, more: None, fewer: None }
    }

    fn wanted(&mut self, in_flight: f64, there: usize, now: Instant) -> usize {
        self.mean = (self.mean + in_flight) / 2.0;
        let needed = (self.mean / f64::from(self.target.max(1))).ceil() as usize;
        let needed = needed.clamp(self.limits.0, self.limits.1);
        let since = |mark: &mut Option<Instant>, holds: bool| {
            *mark = if holds { Some(mark.unwrap_or(now)) } else { None };
            mark.map(|mark| now.duration_since(mark))
        };
        let more = since(&mut self.more, needed > there);
        let fewer = since(&mut self.fewer, needed < there);
        let patience = match self.mode {
            AutoscalingMode::Late => LATE,
            AutoscalingMode::On | AutoscalingMode::Off | AutoscalingMode::NeverIn => Duration::ZERO,
        };
        match (more, fewer) {
            (Some(waited), _) if waited >= patience => needed,
            (_, Some(waited)) if waited >= STEADY && self.mode != AutoscalingMode::NeverIn => needed,
            _ => there,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn more_are_there_at_once_and_fewer_when_it_has_lasted() {
        let start = Instant::now();
        let mut scaler = Scaler::new(AutoscalingMode::On, (2, 6), 8);
        assert_eq!(scaler.wanted(10.0, 2, start), 2);
        assert_eq!(scaler.wanted(60.0, 2, after(start, 1)), 5);
        assert_eq!(scaler.wanted(200.0, 5, after(start, 2)), 6, "and no more than six");
        assert_eq!((3..7).map(|s| scaler.wanted(0.0, 6, after(start, s))).max(), Some(6));
        assert_eq!(scaler.wanted(0.0, 6, after(start, 12)), 2);
    }

    #[test]
    fn one_is_late_and_one_never_takes_any_away() {
        let start = Instant::now();
        let mut late = Scaler::new(AutoscalingMode::Late, (2, 6), 8);
        assert_eq!((0..20).map(|s| late.wanted(64.0, 2, after(start, s))).max(), Some(2));
        assert_eq!(late.wanted(64.0, 2, after(start, 25)), 6);
        let mut never = Scaler::new(AutoscalingMode::NeverIn, (2, 6), 8);
        assert_eq!((0..60).map(|s| never.wanted(0.0, 6, after(start, s))).min(), Some(6));
    }
}
