//! From figures to pixels.

/// Where figures are on an axis that goes up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// Where lines of the grid are, upwards.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// From 0 to something round above `most`.
    pub(super) fn linear(most: f64, ticks: usize) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let step = step_for(most, ticks);
        let high = (most / step).ceil() * step;
        let count = (high / step).round() as usize;
        Self { low: 0.0, high, log: false, ticks: (0..=count).map(|i| i as f64 * step).collect() }
    }

    /// From a decade's part below `least` to one above `most`.
    pub(super) fn log(least: f64, most: f64) -> Self {
        let least = least.max(1e-3);
        let (low, high) = (step_down(least), step_up(most.max(least * 1.01)));
        let mut ticks = Vec::new();
        let mut decade = 10f64.powf(low.log10().floor());
        while decade <= high * 1.001 {
            ticks.push(decade);
            decade *= 10.0;
        }
        ticks.retain(|tick| *tick >= low * 0.999);
        if ticks.len() < 2 {
            ticks = vec![low, high];
        }
        Self { low, high, log: true, ticks }
    }

    /// Linear where that shows everything, else logarithmic.
    pub(super) fn fitting(least: f64, most: f64, ticks: usize) -> Self {
        if least > 0.0 && most / least > 15.0 { Self::log(least, most) } else { Self::linear(most, ticks) }
    }

    /// With other lines of the grid.
    pub(super) fn with_ticks(self, ticks: Vec<f64>) -> Self {
        Self { ticks, ..self }
    }

    /// Whether equal distances are equal factors.
    pub(super) fn is_log(&self) -> bool {
        self.log
    }

    /// 0 at the bottom, 1 at the top.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 }
    }
}

/// The smallest round step of which no more than one over `ticks` reach `most`.
fn step_for(most: f64, ticks: usize) -> f64 {
    let power = 10f64.powf((most / ticks as f64).log10().floor());
    let steps = [0.5, 1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power);
    let fits = |step: &f64| (most / step).ceil() <= ticks as f64 + 1.0;
    steps.into_iter().find(fits).unwrap_or(most)
}

/// 1, 2 or 5 times a power of ten, at least `value`.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|step| *step >= value * 0.999_999)
        .unwrap_or(value)
}

fn step_up(value: f64) -> f64 {
    nice(value)
}

fn step_down(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|m| m * power).find(|step| *step <= value * 1.000_001).unwrap_or(power)
}

/// Instants to mark on a clock from 0 to `end`, in seconds, at most `most`.
pub(super) fn times(end: f64, most: usize) -> Vec<f64> {
    const STEPS: [f64; 17] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0,
        43_200.0, 86_400.0,
    ];
    let most = most.max(2) as f64;
    let step = STEPS.into_iter().find(|step| end / step <= most).unwrap_or((end / most).ceil());
    (0..=(end / step).floor() as usize).map(|i| i as f64 * step).collect()
}

/// An instant on the axis of a clock that goes to `end`.
pub(super) fn time_label(t: f64, end: f64) -> String {
    let whole = t.round() as u64;
    if end <= 180.0 {
        format!("{whole} s")
    } else if end < 7200.0 {
        format!("{}:{:02}", whole / 60, whole % 60)
    } else {
        format!("{}:{:02} h", whole / 3600, whole / 60 % 60)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn axes_end_at_round_figures() {
        assert_eq!(Scale::linear(47.0, 3).ticks, [0.0, 20.0, 40.0, 60.0]);
        assert_eq!(Scale::linear(0.0, 3).at(1.0), 1.0);
        assert_eq!(Scale::log(31.0, 2300.0).ticks, [100.0, 1000.0]);
        assert_eq!(times(93.0, 10), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]);
    }

    proptest! {
        #[test]
        fn a_scale_holds_its_figures_in_order(a in 0.001..1e7f64, b in 0.001..1e7f64, ticks in 2usize..6) {
            let (least, most) = (a.min(b), a.max(b));
            let scale = Scale::fitting(least, most, ticks);
            prop_assert!(scale.high >= most * 0.999_99, "{scale:?}");
            prop_assert!(scale.at(least) <= scale.at(most));
            prop_assert!(scale.ticks.len() >= 2 && scale.ticks.len() < 14, "{scale:?}");
        }

        #[test]
        fn a_clock_has_few_marks(end in 0.0..1e7f64, most in 2usize..20) {
            let marks = times(end, most);
            prop_assert!(marks.len() <= most + 1 && marks.last().is_some_and(|last| *last <= end));
        }
    }
}
