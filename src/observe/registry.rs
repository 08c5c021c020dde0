//! Aliases of MLflow's registry that a drill turns: what the registry says.
//! It is an intent only; which version answers is seen on the wire.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Look, every,
    platform::of_rollout,
    source,
    source::Source,
    standing::{Standing, Word},
};
use crate::{
    chaos::outside::alias::{client, version_of},
    clock::Clock,
    journal::Sink,
    lab::api::RolloutStatus,
    plan::model::{PlannedAct, PlannedAction},
    scenario::{
        model::{Deploy, Deployed},
        outside::MlflowAlias,
    },
    units::{RolloutName, Version},
};

/// Between two looks: a registry is no place for many.
const READ: Duration = Duration::from_millis(500);

/// Looks at all that a timeline turns until `cancel`, then a last time.
pub async fn watch(timeline: &[PlannedAct], clock: Clock, sink: Sink, cancel: CancellationToken) {
    let mut all: Vec<(&MlflowAlias, Vec<Version>)> = Vec::new();
    for act in timeline {
        let PlannedAction::Deploy(Deploy { of: Some(Deployed::Mlflow(alias)), version, .. }) = &act.action
        else {
            continue;
        };
        match all.iter_mut().find(|(known, _)| *known == alias) {
            Some((_, versions)) => versions.push(version.clone()),
            None => all.push((alias, vec![version.clone()])),
        }
    }
    let watchers = all.into_iter().filter_map(|(alias, deployed)| {
        let watcher = Watcher {
            source: Source::expected(&alias.to_string()),
            http: client().ok()?,
            alias: alias.clone(),
            deployed,
            clock,
            sink: sink.clone(),
            standing: Standing::default(),
            told: None,
        };
        Some(every(READ, &cancel, watcher))
    });
    futures::future::join_all(watchers).await;
}

struct Watcher {
    http: reqwest::Client,
    alias: MlflowAlias,
    /// The versions that the drill turns it to.
    deployed: Vec<Version>,
    source: Source,
    clock: Clock,
    sink: Sink,
    standing: Standing,
    told: Option<RolloutStatus>,
}

impl Look for Watcher {
    async fn look(&mut self) {
        let started = self.clock.now();
        let found = version_of(&self.http, &self.alias).await;
        let Some((now, seen)) = self.source.heard(found, started, self.clock.now(), &self.sink) else {
            return;
        };
        let now = now.unwrap_or_else(Version::unnamed);
        let word = Word { reason: format!("the {} is {now}", self.alias), ..Word::done() };
        let ours = self.deployed.contains(&now);
        let standing = self.standing.of(now, ours, word);
        if self.told.as_ref() != Some(&standing) {
            self.told = Some(standing.clone());
            let of = RolloutName::new(self.alias.to_string());
            source::tell(&self.sink, seen, of_rollout(Some(of), standing));
        }
    }
}
