//! A schedule that grows: the steps of a capacity search, each known only when
//! the one before has been judged.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

use super::schedule::Claim;
use crate::units::RunTime;

/// The schedule of a capacity search, shared by who searches and the users.
#[derive(Debug, Default)]
pub struct Search {
    steps: watch::Sender<Steps>,
    /// The next request to claim.
    next: AtomicU64,
}

/// What is known so far.
#[derive(Debug, Clone, Default)]
struct Steps {
    /// When requests are due, ascending.
    due: Arc<Vec<RunTime>>,
    /// Nothing more will be.
    over: bool,
}

impl Search {
    /// Adds the requests of a step; they are due after those of the last one.
    pub fn add(&self, due: impl IntoIterator<Item = RunTime>) {
        self.steps.send_modify(|steps| Arc::make_mut(&mut steps.due).extend(due));
    }

    /// There are no more steps: the users leave.
    pub fn finish(&self) {
        self.steps.send_modify(|steps| steps.over = true);
    }

    /// The next request, as soon as it is known. None: there are no more.
    pub(super) async fn claim(&self) -> Option<Claim> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(index).ok()?;
        let mut steps = self.steps.subscribe();
        let known = steps.wait_for(|steps| steps.over || at < steps.due.len()).await.ok()?;
        known.due.get(at).map(|&scheduled| Claim { index, scheduled })
    }

    /// How many were due at `now`.
    pub(super) fn due_until(&self, now: RunTime) -> u64 {
        self.steps.borrow().due.partition_point(|at| *at <= now) as u64
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_gets_what_comes_and_leaves_when_it_is_over() {
        let search = Arc::new(Search::default());
        search.add([RunTime(1), RunTime(2)]);
        let now = |claim: Option<Option<Claim>>| claim.flatten().map(|claim| claim.scheduled.0);
        assert_eq!(now(search.claim().now_or_never()), Some(1));
        assert_eq!(now(search.claim().now_or_never()), Some(2));
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let search = search.clone();
                    async move { search.claim().await }
                })
            })
            .collect();
        search.add([RunTime(7), RunTime(8)]);
        search.finish();
        let mut got = Vec::new();
        for user in waiting {
            got.push(user.await.expect("it does not panic").map(|claim| (claim.index, claim.scheduled.0)));
        }
        got.sort();
        assert_eq!(got, [None, Some((2, 7)), Some((3, 8))]);
        assert_eq!((search.due_until(RunTime(7)), search.due_until(RunTime(0))), (3, 0));
    }
}
