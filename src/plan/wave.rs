//! A rate that goes up and down like a sine, its integral, and the integral's
//! inverse.

use std::f64::consts::TAU;

/// `mean + amplitude · sin(2π · (t + phase) / period)`, in requests per second
/// and seconds; the amplitude is no more than the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wave {
    pub(super) mean: f64,
    pub(super) amplitude: f64,
    pub(super) period: f64,
    pub(super) phase: f64,
}

/// Halvings after which a bracket of one period is as narrow as numbers are.
const HALVINGS: usize = 64;

impl Wave {
    pub(super) fn rate(&self, t: f64) -> f64 {
        let turn = ((t + self.phase) / self.period).fract();
        (self.mean + self.amplitude * (TAU * turn).sin()).max(0.0)
    }

    /// Arrivals expected from 0 until `t`.
    pub(super) fn until(&self, t: f64) -> f64 {
        if t <= 0.0 {
            return 0.0;
        }
        // Over whole periods the sine adds nothing.
        let periods = (t / self.period).floor();
        let rest = t - periods * self.period;
        periods * self.period * self.mean + self.within(rest)
    }

    /// The same within the first period.
    fn within(&self, t: f64) -> f64 {
        // cos a − cos b as a product: no cancellation where t is small.
        let (a, half) = (TAU * self.phase / self.period, TAU * t / self.period / 2.0);
        self.mean * t + self.amplitude * self.period / TAU * 2.0 * (a + half).sin() * half.sin()
    }

    /// The time at which `count` arrivals are expected.
    pub(super) fn when(&self, count: f64) -> f64 {
        let each = self.mean * self.period;
        let periods = (count / each).floor();
        let wanted = count - periods * each;
        // Newton's steps, as long as they stay in the bracket: near a trough
        // without arrivals the slope is nothing, and a halving is taken.
        let (mut low, mut high) = (0.0, self.period);
        let mut t = wanted / self.mean;
        for _ in 0..HALVINGS {
            let miss = self.within(t) - wanted;
            if miss == 0.0 || high - low <= f64::EPSILON * self.period {
                break;
            }
            if miss > 0.0 {
                high = t
            } else {
                low = t
            }
            let newton = t - miss / self.rate(t);
            let next = if low < newton && newton < high { newton } else { (low + high) / 2.0 };
            if (next - t).abs() <= 1e-12 * self.period {
                t = next;
                break;
            }
            t = next;
        }
        periods * self.period + t
    }

    /// The highest rate between two times.
    pub(super) fn peak(&self, from: f64, to: f64) -> f64 {
        let crest = 0.25 * self.period - self.phase;
        let next = crest + ((from - crest) / self.period).ceil() * self.period;
        if next <= to { self.mean + self.amplitude } else { self.rate(from).max(self.rate(to)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_goes_up_first_and_its_phase_shifts_it() {
        let wave = Wave { mean: 20.0, amplitude: 10.0, period: 60.0, phase: 0.0 };
        for (t, rate) in [(0.0, 20.0), (15.0, 30.0), (30.0, 20.0), (45.0, 10.0), (75.0, 30.0)] {
            assert!((wave.rate(t) - rate).abs() < 1e-9, "{t}");
        }
        assert!((wave.until(60.0) - 1200.0).abs() < 1e-9);
        // Half a period of a sine has 2/π of its amplitude on average.
        assert!((wave.until(30.0) - (600.0 + 300.0 * 2.0 / std::f64::consts::PI)).abs() < 1e-9);
        let trough = Wave { phase: 45.0, ..wave };
        assert!((trough.rate(0.0) - 10.0).abs() < 1e-9);
        assert!((trough.peak(0.0, 29.0) - trough.rate(29.0)).abs() < 1e-9);
        assert!((trough.peak(29.0, 31.0) - 30.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn the_inverse_undoes_the_integral(
            mean in 0.01..1e4f64, share in 0.0..=1.0f64, period in 0.1..1e5f64, phase in 0.0..2.0f64, t in 0.0..1e6f64,
        ) {
            let wave = Wave { mean, amplitude: mean * share, period, phase: phase * period };
            let count = wave.until(t);
            let back = wave.when(count);
            prop_assert!((wave.until(back) - count).abs() <= 1e-6 * count.max(1.0), "{back} for {t}");
            prop_assert!(wave.when(count + 1.0) >= back);
        }

        #[test]
        fn the_integral_is_that_of_the_rate(share in 0.0..=1.0f64, phase in 0.0..60.0f64, t in 0.0..200.0f64) {
            let wave = Wave { mean: 20.0, amplitude: 20.0 * share, period: 60.0, phase };
            let steps = 20_000;
            let dt = t / f64::from(steps);
            let sum: f64 = (0..steps).map(|i| wave.rate((f64::from(i) + 0.5) * dt) * dt).sum();
            prop_assert!((wave.until(t) - sum).abs() < 1e-3, "{} {sum}", wave.until(t));
        }
    }
}
