//! From figures to heights, and round numbers for the axes.

/// From figures to heights between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) enum Scale {
    /// From zero.
    Linear {
        /// The figure at the top.
        max: f64,
    },
    /// By powers of ten.
    Log {
        /// The figure at the bottom.
        min: f64,
        /// The figure at the top.
        max: f64,
    },
}

impl Scale {
    /// A linear scale from zero that holds all `values`.
    pub(in crate::report) fn linear(values: impl Iterator<Item = f64>) -> Self {
        Self::Linear { max: round_up(values.filter(|v| v.is_finite()).fold(0.0, f64::max)) }
    }

    /// Logarithmic where the figures span more than an order of magnitude.
    pub(in crate::report) fn latency(values: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = values.clone().filter(|v| v.is_finite() && *v > 0.0);
        let (min, max) = positive.fold((f64::INFINITY, 0.0), |(low, high), v| (v.min(low), v.max(high)));
        if max > min * 12.0 {
            Self::Log { min: 10f64.powf(min.log10().floor()), max: round_up(max) }
        } else {
            Self::linear(values)
        }
    }

    /// How high a figure is; what is beyond the ends is at them.
    pub(in crate::report) fn height(self, value: f64) -> f64 {
        let height = match self {
            Self::Linear { max } => value / max,
            Self::Log { min, max } => (value.max(min) / min).ln() / (max / min).ln(),
        };
        if height.is_finite() { height.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Figures that an axis names.
    pub(in crate::report) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { max } => vec![0.0, max / 2.0, max],
            Self::Log { min, max } => {
                let mut ticks: Vec<f64> = std::iter::successors(Some(min), |tick| Some(tick * 10.0))
                    .take_while(|tick| *tick <= max * 1.000_001)
                    .collect();
                // A top that is far from the last power of ten is named too.
                if ticks.last().is_some_and(|last| max / last > 3.0) {
                    ticks.push(max);
                }
                ticks
            }
        }
    }
}

/// The next of 1, 2, 3, 4, 5, 6, 8, 10, 20… that is not smaller.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= value * 0.999_999);
    step.unwrap_or(10.0) * power
}

/// Instants that a time axis names: no more than a dozen.
pub(super) fn time_ticks(extent: f64) -> Vec<f64> {
    const STEPS: [f64; 16] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0,
        43_200.0, 86_400.0,
    ];
    let step = STEPS.into_iter().find(|step| extent / step <= 12.0).unwrap_or(86_400.0);
    std::iter::successors(Some(0.0), |tick| Some(tick + step)).take_while(|tick| *tick <= extent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!(Scale::linear([47.2, 3.0].into_iter()), Scale::Linear { max: 50.0 });
        assert_eq!(Scale::linear([].into_iter()), Scale::Linear { max: 1.0 });
        assert_eq!(Scale::latency([3.0, 900.0].into_iter()), Scale::Log { min: 1.0, max: 1000.0 });
        assert_eq!(Scale::Log { min: 1.0, max: 1000.0 }.ticks(), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(time_ticks(94.0).len(), 10);
        assert!(time_ticks(604_800.0).len() <= 13);
    }

    #[test]
    fn heights_stay_inside() {
        let scale = Scale::Log { min: 1.0, max: 100.0 };
        assert_eq!([0.0, 1.0, 10.0, 1e9, f64::NAN].map(|v| scale.height(v)), [0.0, 0.0, 0.5, 1.0, 0.0]);
        assert_eq!(Scale::Linear { max: 0.0 }.height(0.0), 0.0);
    }
}
