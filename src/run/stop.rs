//! Stop conditions: `error-rate > 50% for 10s`.

use crate::{scenario::model::StopCondition, units::Span};

/// Watches the stop conditions of a run, second by second.
#[derive(Debug)]
pub(super) struct StopWatch {
    conditions: Vec<(StopCondition, u64)>,
}

impl StopWatch {
    /// Watches these.
    pub(super) fn new(conditions: &[StopCondition]) -> Self {
        Self { conditions: conditions.iter().map(|condition| (condition.clone(), 0)).collect() }
    }

    /// Takes one whole second in which `done` requests ended, `errors` of
    /// them other than `ok`. The first condition that is met, in words. A
    /// second in which nothing ended neither meets nor breaks one.
    pub(super) fn second(&mut self, done: u64, errors: u64) -> Option<String> {
        if done == 0 {
            return None;
        }
        let ratio = errors as f64 / done as f64;
        for (condition, seconds) in &mut self.conditions {
            let StopCondition { error_rate, lasting } = condition;
            *seconds = if error_rate.op.holds(ratio, error_rate.limit.0) { *seconds + 1 } else { 0 };
            if Span::secs(*seconds) >= *lasting && *seconds > 0 {
                return Some(format!("error-rate {error_rate} for {lasting}"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> StopWatch {
        let error_rate = "> 50%".parse().expect("a threshold");
        StopWatch::new(&[StopCondition { error_rate, lasting: Span::secs(3) }])
    }

    #[test]
    fn it_stops_when_the_condition_lasts() {
        let mut watch = watch();
        assert_eq!(watch.second(10, 6), None);
        assert_eq!(watch.second(10, 6), None);
        assert_eq!(watch.second(10, 6).as_deref(), Some("error-rate > 50% for 3s"));
    }

    #[test]
    fn a_good_second_starts_it_again_and_an_empty_one_does_not() {
        let mut watch = watch();
        for (done, errors) in [(10, 6), (10, 6), (10, 5), (10, 10), (0, 0), (10, 10)] {
            assert_eq!(watch.second(done, errors), None);
        }
        assert!(watch.second(1, 1).is_some());
    }
}
