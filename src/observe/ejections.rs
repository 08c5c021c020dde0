//! Envoy's outlier detection as breakers: a cluster with ejected hosts is open,
//! whatever it does with the others.

use indexmap::IndexMap;

use super::{
    breakers::{Entered, Known},
    prometheus::Exposition,
};
use crate::journal::event::{BreakerKind, BreakerState};

/// Hosts that are ejected, and ejections so far, of a cluster.
pub(super) const ACTIVE: &str = "envoy_cluster_outlier_detection_ejections_active";
pub(super) const TOTAL: &str = "envoy_cluster_outlier_detection_ejections_enforced_total";

/// How often each cluster was opened, look by look: Envoy counts ejections of
/// hosts, and of a cluster that is open already one more opens nothing.
#[derive(Debug, Default)]
pub(super) struct Ejections {
    clusters: IndexMap<String, Cluster>,
}

/// A cluster at one look.
#[derive(Debug, Clone, Copy, Default)]
struct Cluster {
    /// Hosts that are ejected.
    active: f64,
    /// Ejections so far.
    total: f64,
    /// Openings so far.
    opened: f64,
}

impl Cluster {
    /// Ejections since `before` that opened it. One that had several hosts ejected
    /// may have let them back in between or not: then it is taken to have stayed open.
    fn openings(self, before: Self) -> f64 {
        let more = (self.total - before.total).max(0.0);
        match before.active {
            0.0 => (more - (self.active - 1.0).max(0.0)).max(0.0),
            1.0 => (more - (self.active - before.active).max(0.0)).max(0.0),
            _ => 0.0,
        }
    }
}

impl Ejections {
    /// The clusters that the statistics show.
    pub(super) fn breakers(&mut self, metrics: &Exposition) -> IndexMap<String, Known> {
        let all = metrics.named(ACTIVE).filter_map(|sample| {
            let name = sample.label("envoy_cluster_name")?;
            let total = metrics.named(TOTAL).find(|one| one.label("envoy_cluster_name") == Some(name));
            let mut now =
                Cluster { active: sample.value, total: total.map_or(0.0, |one| one.value), opened: 0.0 };
            if let Some(before) = self.clusters.get(name) {
                now.opened = before.opened + now.openings(*before);
            }
            self.clusters.insert(name.to_owned(), now);
            let state = if now.active > 0.0 { BreakerState::Open } else { BreakerState::Closed };
            let entered = Entered { open: now.opened as u64, ..Entered::default() };
            Some((name.to_owned(), Known { kind: BreakerKind::Outlier, state, entered }))
        });
        all.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{BreakerState::*, *};
    use crate::{journal::event::Signal, observe::breakers::Breakers};

    /// What is told at each look at (active, total).
    fn told(looks: &[(u32, u32)]) -> Vec<Vec<BreakerState>> {
        let (mut ejections, mut breakers) = (Ejections::default(), Breakers::default());
        let mut look = |(active, total): &(u32, u32)| {
            let text = format!(
                "{ACTIVE}{{envoy_cluster_name=\"llm\"}} {active}\n{TOTAL}{{envoy_cluster_name=\"llm\"}} {total}\n"
            );
            let signals = breakers.told(ejections.breakers(&Exposition::parse(&text)));
            let state = |signal| match signal {
                Signal::Breaker { name, state, .. } if name == "llm" => state,
                other => panic!("{other:?}"),
            };
            signals.into_iter().map(state).collect()
        };
        looks.iter().map(&mut look).collect()
    }

    #[test]
    fn a_host_is_ejected_and_let_back_between_two_looks() {
        let all = told(&[(0, 3), (1, 4), (0, 4), (0, 5), (1, 6), (1, 7)]);
        let (open, closed) = (vec![Open], vec![Closed]);
        // At last it was back and ejected again since.
        assert_eq!(all, [closed.clone(), open.clone(), closed, vec![Open, Closed], open, vec![Closed, Open]]);
    }

    #[test]
    fn one_host_more_opens_nothing() {
        let quiet = Vec::new();
        let all = told(&[(0, 0), (1, 1), (2, 2), (1, 2), (1, 2), (0, 2)]);
        assert_eq!(
            all,
            [vec![Closed], vec![Open], quiet.clone(), quiet.clone(), quiet.clone(), vec![Closed]]
        );
        // Two at once, and none of them was back in between.
        assert_eq!(told(&[(0, 0), (2, 2), (3, 3)]), [vec![Closed], vec![Open], quiet.clone()]);
        // Of two, one was back and another one out: it stayed open.
        assert_eq!(told(&[(2, 2), (2, 3)]), [vec![Open], quiet]);
        assert_eq!(told(&[(2, 2), (0, 2)]), [vec![Open], vec![Closed]]);
    }

    #[test]
    fn an_envoy_that_was_started_again_is_believed_about_its_state_only() {
        assert_eq!(told(&[(1, 5), (0, 0), (0, 0)]), [vec![Open], vec![Closed], vec![]]);
        assert_eq!(told(&[(0, 5), (1, 1)]), [vec![Closed], vec![Open]]);
    }
}
