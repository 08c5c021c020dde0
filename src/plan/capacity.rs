//! The search for the highest rate that meets the SLOs: what the next step
//! is, given the steps so far. Pure, so that a search can be followed by hand
//! from its journal.
//!
//! Up by steps until one breaks an SLO for sure; then, `refine` times, the
//! middle between the highest rate that held and the lowest above it that did
//! not. A step that decides nothing is repeated once. A rate at which the
//! generator could not keep up twice ends the search: what lies beyond is not
//! the target's.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    scenario::model::Capacity,
    units::{Rate, Span},
};

/// How a step came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// Every SLO holds, with its whole confidence interval.
    Holds,
    /// An SLO is broken, with its whole confidence interval.
    Breaks,
    /// Neither can be said.
    Undecided,
    /// The generator did not keep up: nothing is known of the target.
    Invalid,
}

/// A step that was done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// Its rate.
    pub rate: Rate,
    /// How it came out; of a repeated step, both together.
    pub result: StepResult,
}

/// Where the search stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bracket {
    /// The highest rate that held, below the lowest that broke.
    pub holds: Option<Rate>,
    /// The lowest rate that broke.
    pub breaks: Option<Rate>,
    /// The rate at which the generator did not keep up.
    pub invalid: Option<Rate>,
}

/// The rate of the next step. None: the search is over.
pub fn next(search: &Capacity, tried: &[Tried]) -> Option<Rate> {
    let Some(last) = tried.last() else { return Some(search.from) };
    let again = match last.result {
        StepResult::Undecided | StepResult::Invalid => !is_repeated(tried, last.rate),
        StepResult::Holds | StepResult::Breaks => false,
    };
    if again {
        return Some(last.rate);
    }
    let bracket = bracket(tried);
    if bracket.invalid.is_some() {
        return None;
    }
    let standings = standings(tried);
    if bracket.breaks.is_none() {
        let highest = standings.iter().map(|step| step.rate.0).fold(0.0, f64::max);
        return search.rates().find(|rate| rate.0 > highest);
    }
    let refined = standings.iter().skip_while(|step| step.result != StepResult::Breaks).count() - 1;
    if refined >= search.refine as usize {
        return None;
    }
    let low = bracket.holds?;
    let above = standings.iter().filter(|step| step.rate > low).map(|step| step.rate);
    let high = above.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let middle = search.step.middle(low, high);
    (low < middle && middle < high).then_some(middle)
}

/// What is known after these steps.
pub fn bracket(tried: &[Tried]) -> Bracket {
    let standings = standings(tried);
    let rates = |wanted| standings.iter().filter(move |step| step.result == wanted).map(|step| step.rate);
    let breaks = rates(StepResult::Breaks).min_by(|a, b| a.0.total_cmp(&b.0));
    let holds = rates(StepResult::Holds)
        .filter(|rate| breaks.is_none_or(|breaks| *rate < breaks))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    Bracket { holds, breaks, invalid: rates(StepResult::Invalid).next() }
}

/// Each rate once, in the order tried, with its last word.
fn standings(tried: &[Tried]) -> Vec<Tried> {
    let mut standings: Vec<Tried> = Vec::new();
    for step in tried {
        match standings.iter_mut().find(|known| known.rate == step.rate) {
            Some(known) => known.result = step.result,
            None => standings.push(*step),
        }
    }
    standings
}

fn is_repeated(tried: &[Tried], rate: Rate) -> bool {
    tried.iter().filter(|step| step.rate == rate).count() > 1
}

/// Time between two steps at most, beside what is still open: to the next
/// second, and one more to judge.
const BETWEEN: Duration = Duration::from_secs(3);

/// No search takes longer, where no request takes longer than `timeout`.
pub fn longest(search: &Capacity, timeout: Span) -> Duration {
    let steps = search.rates().count() as u32 + search.refine;
    let each = search.warm_up.0 + search.hold.0 + timeout.0 + BETWEEN;
    each.saturating_mul(2 * steps)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::RateStep;

    fn search(from: f64, to: f64, step: &str, refine: u32) -> Capacity {
        Capacity {
            from: Rate(from),
            to: Rate(to),
            step: step.parse::<RateStep>().expect("a step"),
            warm_up: Span::secs(1),
            hold: Span::secs(2),
            refine,
            arrivals: Default::default(),
            at_least: None,
        }
    }

    /// Follows a search on a server; the steps it took.
    fn follow(search: &Capacity, mut server: impl FnMut(Rate) -> StepResult) -> Vec<Tried> {
        let mut tried = Vec::new();
        while let Some(rate) = next(search, &tried) {
            tried.push(Tried { rate, result: server(rate) });
            assert!(tried.len() < 1000, "it does not end: {tried:?}");
        }
        tried
    }

    fn knee_at(knee: f64) -> impl FnMut(Rate) -> StepResult {
        move |rate| if rate.0 <= knee { StepResult::Holds } else { StepResult::Breaks }
    }

    #[test]
    fn up_by_steps_then_down_the_middle() {
        let search = search(10.0, 500.0, "2x", 2);
        let tried = follow(&search, knee_at(100.0));
        let rates: Vec<f64> = tried.iter().map(|step| step.rate.0).collect();
        assert_eq!(rates, [10.0, 20.0, 40.0, 80.0, 160.0, 113.137, 95.137]);
        let known = bracket(&tried);
        assert_eq!((known.holds, known.breaks), (Some(Rate(95.137)), Some(Rate(113.137))));
    }

    #[test]
    fn the_ends_are_said() {
        let up = search(10.0, 50.0, "20/s", 3);
        let tried = follow(&up, knee_at(1e9));
        assert_eq!(tried.iter().map(|step| step.rate.0).collect::<Vec<_>>(), [10.0, 30.0, 50.0]);
        assert_eq!(bracket(&tried), Bracket { holds: Some(Rate(50.0)), breaks: None, invalid: None });
        let tried = follow(&up, knee_at(1.0));
        assert_eq!((tried.len(), bracket(&tried).holds), (1, None), "it broke at once");
    }

    #[test]
    fn what_decides_nothing_is_repeated_once() {
        let up = search(10.0, 40.0, "2x", 0);
        let mut answers = [
            StepResult::Undecided,
            StepResult::Holds,
            StepResult::Undecided,
            StepResult::Undecided,
            StepResult::Breaks,
        ]
        .into_iter();
        let tried = follow(&up, |_| answers.next().expect("an answer"));
        assert_eq!(tried.iter().map(|step| step.rate.0).collect::<Vec<_>>(), [10.0, 10.0, 20.0, 20.0, 40.0]);
        assert_eq!(bracket(&tried).holds, Some(Rate(10.0)), "what is undecided does not hold");
    }

    #[test]
    fn a_generator_at_its_end_ends_the_search() {
        let up = search(10.0, 1000.0, "2x", 3);
        let limited = |rate: Rate| if rate.0 < 50.0 { StepResult::Holds } else { StepResult::Invalid };
        let tried = follow(&up, limited);
        let known = bracket(&tried);
        assert_eq!(known, Bracket { holds: Some(Rate(40.0)), breaks: None, invalid: Some(Rate(80.0)) });
        assert_eq!(tried.iter().filter(|step| step.rate == Rate(80.0)).count(), 2, "it had a second chance");
    }

    proptest! {
        /// Within the last step's ratio: after each halving the root of it.
        #[test]
        fn a_known_knee_is_found(knee in 10.0..5000.0f64, factor in 1.1..3.0f64, refine in 0u32..6) {
            let step = format!("{factor:.3}x");
            let search = search(10.0, 20_000.0, &step, refine);
            let tried = follow(&search, knee_at(knee));
            let known = bracket(&tried);
            let (holds, breaks) = (known.holds.expect("one held"), known.breaks.expect("one broke"));
            prop_assert!(holds.0 <= knee && knee < breaks.0, "{holds} {knee} {breaks}");
            // Rates are rounded to a thousandth.
            let ratio = factor.powf(0.5f64.powi(refine as i32)) + 1e-3;
            prop_assert!(breaks.0 / holds.0 <= ratio, "{holds} to {breaks}, {ratio}");
        }

        /// Near its knee a server says now this, now that, or nothing: the
        /// knee is found as far as it is there.
        #[test]
        fn a_noisy_knee_is_found_where_it_is(
            knee in 20.0..2000.0f64, noise in 0.0..0.3f64, answers in prop::collection::vec(0u8..3, 200),
        ) {
            let search = search(10.0, 5000.0, "1.5x", 4);
            let mut answers = answers.into_iter().cycle();
            let server = |rate: Rate| match answers.next() {
                Some(answer) if (rate.0 / knee).ln().abs() < noise => {
                    [StepResult::Holds, StepResult::Breaks, StepResult::Undecided][usize::from(answer)]
                }
                _ => if rate.0 <= knee { StepResult::Holds } else { StepResult::Breaks },
            };
            let tried = follow(&search, server);
            let known = bracket(&tried);
            let (holds, breaks) = (known.holds.expect("one held"), known.breaks.expect("one broke"));
            prop_assert!(holds < breaks);
            prop_assert!(holds.0 <= knee * noise.exp() && breaks.0 >= knee * (-noise).exp(), "{holds} {knee} {breaks}");
            prop_assert!(tried.len() as u32 <= 2 * (search.rates().count() as u32 + search.refine));
        }
    }
}
