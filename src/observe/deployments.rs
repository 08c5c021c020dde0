//! Deployments that LiteLLM leaves alone for a while, by its counters. Its
//! `litellm_deployment_state` is no state: the 2 of an outage is never taken
//! back.

use indexmap::IndexMap;

use super::{
    breakers::{Entered, Known},
    prometheus::Exposition,
};
use crate::journal::event::{BreakerKind, BreakerState};

const COOLED: &str = "litellm_deployment_cooled_down_total";
const ANSWERED: &str = "litellm_deployment_success_responses_total";

/// What was counted of each deployment up to the last look.
#[derive(Debug, Default)]
pub(super) struct Deployments {
    known: IndexMap<String, Deployment>,
    /// Whether there was a look before.
    looked: bool,
}

#[derive(Debug, Clone, Copy)]
struct Deployment {
    counted: Counted,
    state: BreakerState,
    /// Whether it answered nothing between the last two looks.
    quiet: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Counted {
    /// How often it was left alone.
    cooled: f64,
    /// Requests that it answered.
    answered: f64,
}

impl Deployments {
    /// Each by its `model_id`. It is open once it is left alone. LiteLLM does not
    /// say when that ends: it is closed when it answers again, after a pause, as
    /// what it was asked before may still be answered.
    pub(super) fn breakers(&mut self, metrics: &Exposition) -> IndexMap<String, Known> {
        let mut now: IndexMap<&str, Counted> = IndexMap::new();
        for sample in metrics.samples.iter().filter(|sample| sample.value.is_finite()) {
            let Some(id) = sample.label("model_id") else { continue };
            match sample.name.as_str() {
                COOLED => now.entry(id).or_default().cooled += sample.value,
                ANSWERED => now.entry(id).or_default().answered += sample.value,
                _ => {}
            }
        }
        let mut all = IndexMap::new();
        for (id, counted) in now {
            let fresh = |counted| Deployment { counted, state: BreakerState::Closed, quiet: false };
            // What was counted before the first look is of no use.
            let first = fresh(if self.looked { Counted::default() } else { counted });
            let was = self.known.get(id).copied().unwrap_or(first);
            // It was started again, and knows of nothing.
            let again = counted.cooled < was.counted.cooled;
            let was = if again { fresh(Counted::default()) } else { was };
            let answers = counted.answered > was.counted.answered;
            let state = match was.state {
                _ if counted.cooled > was.counted.cooled => BreakerState::Open,
                BreakerState::Open if answers && was.quiet => BreakerState::Closed,
                state => state,
            };
            self.known.insert(id.to_owned(), Deployment { counted, state, quiet: !answers });
            let entered = Entered::default();
            all.insert(id.to_owned(), Known { kind: BreakerKind::Outlier, state, entered });
        }
        self.looked = true;
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BreakerState::*, *};

    /// What one look shows of the deployment `first`.
    fn look(deployments: &mut Deployments, cooled: [u32; 2], answered: u32) -> Option<BreakerState> {
        let text = format!(
            "litellm_deployment_state{{litellm_model_name=\"large\",model_id=\"first\"}} 2.0\n\
             {COOLED}{{exception_status=\"408\",litellm_model_name=\"large\",model_id=\"first\"}} {}\n\
             {COOLED}{{exception_status=\"500\",litellm_model_name=\"large\",model_id=\"first\"}} {}\n\
             {ANSWERED}{{litellm_model_name=\"tiny\",model_group=\"large\",model_id=\"first\"}} {answered}\n\
             {ANSWERED}{{litellm_model_name=\"tiny\",model_group=\"large\",model_id=\"other\"}} 5\n",
            cooled[0], cooled[1]
        );
        let all = deployments.breakers(&Exposition::parse(&text));
        assert_eq!(all["other"].state, Closed);
        all.get("first").map(|known| known.state)
    }

    #[test]
    fn one_that_is_left_alone_is_open_until_it_answers_again() {
        let mut all = Deployments::default();
        let mut at = |cooled, answered| look(&mut all, cooled, answered);
        assert_eq!(at([1, 0], 9), Some(Closed), "long ago");
        assert_eq!(at([1, 0], 12), Some(Closed));
        assert_eq!(at([1, 1], 14), Some(Open));
        // What it was asked before.
        assert_eq!(at([1, 1], 15), Some(Open));
        assert_eq!(at([1, 1], 15), Some(Open));
        assert_eq!(at([1, 1], 16), Some(Closed));
        assert_eq!(at([2, 1], 16), Some(Open));
        assert_eq!(at([3, 1], 16), Some(Open), "it was tried, in vain");
        assert_eq!(at([0, 0], 1), Some(Closed), "started again");
    }

    #[test]
    fn one_that_is_new_brings_its_count() {
        let mut all = Deployments::default();
        all.breakers(&Exposition::default());
        assert_eq!(look(&mut all, [0, 1], 0), Some(Open));
    }

    proptest! {
        /// It is open only after it was left alone, and only while it is not known
        /// to answer.
        #[test]
        fn none_is_open_that_was_never_left_alone(answered in prop::collection::vec(0u32..9, 1..12)) {
            let mut all = Deployments::default();
            for answered in answered {
                prop_assert_eq!(look(&mut all, [0, 3], answered), Some(Closed));
            }
        }
    }
}
