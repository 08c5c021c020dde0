//! From a request to an upstream's first byte: the choice, retries within the
//! budget, and at last the fallback.

use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use http::StatusCode;

use super::{
    Gateway,
    answer::Refusal,
    asked::Asked,
    attempt::{Begun, Failure, begin},
    fallback,
    fleet::{Pick, Ticket},
    metrics::add,
};
use crate::{
    lab::{
        api::Role,
        config::{FailoverMode, RetryMode},
    },
    units::PodName,
};

/// Attempts after the first one.
const RETRIES: u32 = 2;
/// Defect `storm`: attempts at most.
const STORM_ATTEMPTS: u32 = 6;
/// Defect `storm`: an upstream that takes longer than this is asked again
/// elsewhere, while the first answer is still awaited. Below what a healthy
/// one takes, as a limit that was tuned on an idle day.
const STORM_PATIENCE: Duration = Duration::from_millis(25);

/// Defect `never-settles`: so soon each request is sent again.
const AGAIN: Duration = Duration::from_millis(1);

/// What was tried for a request.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Attempts made.
    pub(super) attempts: u32,
    /// Whether the last one was on the fallback.
    pub(super) fallback: bool,
    last: Option<Failure>,
    refused: bool,
}

impl Tally {
    /// Why there is no answer.
    pub(super) fn refusal(&self) -> Refusal {
        match self.last {
            Some(Failure::Timeout) => Refusal::Timeout,
            Some(Failure::Connect | Failure::Broken) => Refusal::BadGateway,
            Some(Failure::Status(status)) if status == StatusCode::GATEWAY_TIMEOUT => Refusal::Timeout,
            Some(Failure::Status(_)) => Refusal::BadGateway,
            None if self.refused => Refusal::BreakersOpen,
            None => Refusal::NoUpstream,
        }
    }

    /// The same in words.
    pub(super) fn why(&self) -> String {
        match self.last {
            Some(failure) => failure.to_string(),
            None if self.refused => "all circuit breakers are open".to_owned(),
            None => "there are no replicas".to_owned(),
        }
    }
}

/// Brings the first byte of an answer; none if nobody has one. `tally` says
/// what was tried for it.
pub(super) async fn forward(
    gateway: &Gateway,
    asked: &Asked,
    role: Role,
    tally: &mut Tally,
) -> Option<Begun> {
    gateway.budget.lock().unwrap_or_else(PoisonError::into_inner).earn();
    let begun = match gateway.config.retries {
        RetryMode::On => in_turn(gateway, asked, role, RETRIES, tally).await,
        RetryMode::Off => in_turn(gateway, asked, role, 0, tally).await,
        RetryMode::Storm => at_once(gateway, asked, role, (STORM_ATTEMPTS, STORM_PATIENCE), tally).await,
        RetryMode::NeverSettles if gateway.unsettled.load(Ordering::Relaxed) => {
            at_once(gateway, asked, role, (2, AGAIN), tally).await
        }
        RetryMode::NeverSettles => in_turn(gateway, asked, role, RETRIES, tally).await,
    };
    if tally.last.is_some() {
        gateway.unsettled.store(true, Ordering::Relaxed);
    }
    match begun {
        Some(begun) => Some(begun),
        None => fallback::answer(gateway, asked, tally).await,
    }
}

/// One attempt after the other, each on another replica.
async fn in_turn(
    gateway: &Gateway,
    asked: &Asked,
    role: Role,
    retries: u32,
    tally: &mut Tally,
) -> Option<Begun> {
    let mut tried = Vec::new();
    while tally.attempts <= retries {
        let ticket = pick(gateway, role, &tried, tally)?;
        if tally.attempts > 0 {
            let paid = gateway.budget.lock().unwrap_or_else(PoisonError::into_inner).spend();
            if !paid {
                add(&gateway.metrics.budget_exhausted);
                return None;
            }
            add(&gateway.metrics.retries);
        }
        tally.attempts += 1;
        tried.push(ticket.upstream().pod.clone());
        match attempt(gateway, asked, ticket, gateway.config.upstream_timeout.0).await {
            Ok(begun) => return Some(begun),
            Err(failure) => tally.last = Some(failure),
        }
    }
    None
}

/// A defect: so many attempts at once, each so long after the one before, and no
/// budget.
async fn at_once(
    gateway: &Gateway,
    asked: &Asked,
    role: Role,
    (most, patience): (u32, Duration),
    tally: &mut Tally,
) -> Option<Begun> {
    let mut running = FuturesUnordered::new();
    loop {
        if tally.attempts < most
            && let Some(ticket) = pick(gateway, role, &[], tally)
        {
            if tally.attempts > 0 {
                add(&gateway.metrics.retries);
            }
            tally.attempts += 1;
            running.push(attempt(gateway, asked, ticket, gateway.config.upstream_timeout.0));
        }
        if running.is_empty() {
            return None;
        }
        tokio::select! {
            ended = running.next() => match ended {
                Some(Ok(begun)) => return Some(begun),
                Some(Err(failure)) => tally.last = Some(failure),
                None => {}
            },
            () = tokio::time::sleep(patience), if tally.attempts < most => {}
        }
    }
}

/// One attempt.
pub(super) async fn attempt(
    gateway: &Gateway,
    asked: &Asked,
    ticket: Ticket,
    limit: Duration,
) -> Result<Begun, Failure> {
    begin(&gateway.client, &gateway.metrics, ticket, asked, limit).await
}

/// A replica that was not tried yet; for a canary's request also a stable one;
/// one of the second zone where the first has none.
fn pick(gateway: &Gateway, role: Role, tried: &[PodName], tally: &mut Tally) -> Option<Ticket> {
    let away = gateway.failed_over.load(Ordering::Relaxed);
    let roles: &[Role] = match (role, gateway.config.failover) {
        (Role::Fallback, _) => &[Role::Fallback],
        (Role::Canary, FailoverMode::Off) => &[Role::Canary, Role::Stable],
        (Role::Stable | Role::Standby, FailoverMode::Off) => &[Role::Stable],
        (Role::Canary, FailoverMode::On | FailoverMode::NeverBack) => {
            &[Role::Canary, Role::Stable, Role::Standby]
        }
        (Role::Stable | Role::Standby, FailoverMode::NeverBack) if away => &[Role::Standby, Role::Stable],
        (Role::Stable | Role::Standby, FailoverMode::On | FailoverMode::NeverBack) => {
            &[Role::Stable, Role::Standby]
        }
    };
    for role in roles {
        match gateway.fleet.pick(*role, tried) {
            Pick::Taken(ticket) => {
                if *role == Role::Standby {
                    gateway.failed_over.store(true, Ordering::Relaxed);
                }
                return Some(ticket);
            }
            Pick::Refused => tally.refused = true,
            Pick::Nobody => {}
        }
    }
    None
}

/// The fallback's upstream, if there is one that its breaker permits.
pub(super) fn pick_fallback(gateway: &Gateway) -> Option<Ticket> {
    // Whether it is refused says nothing of the model's own replicas.
    pick(gateway, Role::Fallback, &[], &mut Tally::default())
}
