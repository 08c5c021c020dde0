//! The retry budget: retries may be no more than a share of the requests, so
//! that a slow moment isn't multiplied.

/// A retry costs what so many requests earn: 20 %.
const COST: u32 = 5;
/// So many retries may be saved up.
const SAVED: u32 = 20;

/// A token bucket, full at the start.
#[derive(Debug)]
pub(super) struct RetryBudget {
    // In fifths of a retry: whole numbers don't drift.
    fifths: u32,
}

impl RetryBudget {
    /// A full one.
    pub(super) fn full() -> Self {
        Self { fifths: SAVED * COST }
    }

    /// A request came.
    pub(super) fn earn(&mut self) {
        self.fifths = (self.fifths + 1).min(SAVED * COST);
    }

    /// Pays for a retry; false if there is not enough.
    pub(super) fn spend(&mut self) -> bool {
        match self.fifths.checked_sub(COST) {
            Some(left) => {
                self.fifths = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_budget_refuses_until_five_requests_came() {
        let mut budget = RetryBudget::full();
        assert_eq!((0..100).filter(|_| budget.spend()).count(), SAVED as usize);
        for _ in 0..4 {
            budget.earn();
        }
        assert!(!budget.spend());
        budget.earn();
        assert!(budget.spend());
    }

    proptest! {
        /// Over any stretch, retries are at most 20 % of the requests and the
        /// savings; and never refused while there is a whole one left.
        #[test]
        fn retries_stay_within_the_share(steps in proptest::collection::vec(any::<bool>(), 0..2000)) {
            let mut budget = RetryBudget::full();
            let (mut requests, mut retries) = (0_u32, 0_u32);
            for wants_retry in steps {
                if wants_retry {
                    retries += u32::from(budget.spend());
                } else {
                    requests += 1;
                    budget.earn();
                }
                prop_assert!(retries * COST <= requests + SAVED * COST);
            }
        }
    }
}
