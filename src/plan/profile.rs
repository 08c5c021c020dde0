//! A load profile as a rate over time: piecewise linear, or a sine; either way
//! with an integral in closed form, and the integral's inverse.

use super::wave::Wave;
use crate::{
    scenario::model::{Profile, Stage},
    units::{Rate, Span},
};

/// A linear piece of the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    /// Seconds from the profile's start.
    start: f64,
    /// Seconds; infinite for the last.
    length: f64,
    /// Requests per second at its start.
    from: f64,
    /// Requests per second at its end.
    to: f64,
    /// Arrivals expected before its start.
    before: f64,
}

impl Piece {
    fn slope(&self) -> f64 {
        if self.length.is_finite() { (self.to - self.from) / self.length } else { 0.0 }
    }

    fn rate(&self, t: f64) -> f64 {
        self.from + self.slope() * (t - self.start)
    }

    /// Arrivals expected until `t`.
    fn until(&self, t: f64) -> f64 {
        let x = (t - self.start).clamp(0.0, self.length);
        self.before + x * (self.from + self.slope() * x / 2.0)
    }

    /// The time at which `count` arrivals are expected.
    fn when(&self, count: f64) -> f64 {
        let area = (count - self.before).max(0.0);
        // The stable form of the quadratic's root: no cancellation near 0.
        let root = (self.from * self.from + 2.0 * self.slope() * area).max(0.0).sqrt();
        let x = if area == 0.0 { 0.0 } else { 2.0 * area / (self.from + root) };
        self.start + x.min(self.length)
    }
}

/// A profile's rate over time, in seconds from the profile's start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve(Shape);

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Linear(Pieces),
    Sine(Wave),
}

impl Curve {
    pub(crate) fn of(profile: &Profile) -> Self {
        Self(match profile {
            Profile::Sine { mean, amplitude, period, phase } => Shape::Sine(Wave {
                mean: mean.0,
                amplitude: amplitude.0,
                period: period.as_secs_f64(),
                phase: phase.as_secs_f64(),
            }),
            Profile::Rate(_) | Profile::Stages(_) | Profile::Ramp { .. } | Profile::Spike { .. } => {
                Shape::Linear(Pieces::of(profile))
            }
        })
    }

    /// The same rate throughout.
    pub(crate) fn constant(rate: f64) -> Self {
        Self::of(&Profile::Rate(Rate(rate)))
    }

    /// Requests per second at `t`; where it jumps, the later rate.
    pub(crate) fn rate(&self, t: f64) -> f64 {
        match &self.0 {
            Shape::Linear(pieces) => pieces.at(t).rate(t),
            Shape::Sine(wave) => wave.rate(t),
        }
    }

    /// Arrivals expected from the start until `t`.
    pub(crate) fn until(&self, t: f64) -> f64 {
        match &self.0 {
            Shape::Linear(pieces) => pieces.at(t).until(t),
            Shape::Sine(wave) => wave.until(t),
        }
    }

    /// The time at which `count` arrivals are expected; infinite if never.
    pub(crate) fn when(&self, count: f64) -> f64 {
        match &self.0 {
            Shape::Linear(pieces) => pieces.when(count),
            Shape::Sine(wave) => wave.when(count),
        }
    }

    /// The highest rate between two times.
    pub(crate) fn peak(&self, from: f64, to: f64) -> f64 {
        match &self.0 {
            Shape::Linear(pieces) => pieces.peak(from, to),
            Shape::Sine(wave) => wave.peak(from, to),
        }
    }

    /// The rate before the profile starts: its rate at 0 or, if it starts
    /// from nothing, the first that it goes to.
    pub(crate) fn warm_up(&self) -> f64 {
        match &self.0 {
            Shape::Linear(pieces) => pieces.warm_up(),
            // A trough of nothing is a moment: the mean is what comes of it.
            Shape::Sine(wave) => Some(wave.rate(0.0)).filter(|rate| *rate > 1e-9).unwrap_or(wave.mean),
        }
    }
}

/// A piecewise linear rate.
#[derive(Debug, Clone, PartialEq)]
struct Pieces {
    pieces: Vec<Piece>,
}

impl Pieces {
    fn of(profile: &Profile) -> Self {
        let mut curve = Self { pieces: Vec::new() };
        let last = match profile {
            Profile::Rate(rate) => rate.0,
            // Has a curve of its own.
            Profile::Sine { mean, .. } => mean.0,
            Profile::Stages(stages) => stages.iter().fold(0.0, |rate, stage| match *stage {
                Stage::To { to, over } => {
                    curve.push(rate, to.0, over);
                    to.0
                }
                Stage::Hold { hold } => {
                    curve.push(rate, rate, hold);
                    rate
                }
            }),
            Profile::Ramp { from, to, over } => {
                curve.push(from.0, to.0, *over);
                to.0
            }
            Profile::Spike { base, peak, at, rise, hold } => {
                curve.push(base.0, base.0, *at);
                curve.push(base.0, peak.0, *rise);
                curve.push(peak.0, peak.0, *hold);
                curve.push(peak.0, base.0, *rise);
                base.0
            }
        };
        let (start, before) = curve.end();
        curve.pieces.push(Piece { start, length: f64::INFINITY, from: last, to: last, before });
        curve
    }

    fn push(&mut self, from: f64, to: f64, length: Span) {
        let length = length.as_secs_f64();
        if length > 0.0 {
            let (start, before) = self.end();
            self.pieces.push(Piece { start, length, from, to, before });
        }
    }

    fn end(&self) -> (f64, f64) {
        self.pieces.last().map_or((0.0, 0.0), |last| {
            let end = last.start + last.length;
            (end, last.until(end))
        })
    }

    fn at(&self, t: f64) -> &Piece {
        let next = self.pieces.partition_point(|piece| piece.start <= t);
        &self.pieces[next.saturating_sub(1)]
    }

    fn when(&self, count: f64) -> f64 {
        let piece = self.pieces.iter().find(|piece| {
            let end = piece.start + piece.length;
            if end.is_finite() { piece.until(end) >= count } else { piece.from > 0.0 }
        });
        piece.map_or(f64::INFINITY, |piece| piece.when(count))
    }

    fn peak(&self, from: f64, to: f64) -> f64 {
        let pieces = self.pieces.iter().filter(|piece| piece.start < to && piece.start + piece.length > from);
        let ends = pieces.flat_map(|piece| {
            let last = (piece.start + piece.length).min(to);
            [piece.rate(piece.start.max(from)), piece.rate(last)]
        });
        ends.fold(0.0, f64::max)
    }

    fn warm_up(&self) -> f64 {
        self.pieces.iter().flat_map(|piece| [piece.from, piece.to]).find(|rate| *rate > 0.0).unwrap_or(0.0)
    }
}

/// The rate at `t` after the profile's start.
pub fn rate_at(profile: &Profile, t: Span) -> Rate {
    Rate(Curve::of(profile).rate(t.as_secs_f64()))
}

/// How many arrivals are expected between two times after the profile's
/// start.
pub(super) fn expected(profile: &Profile, from: Span, to: Span) -> f64 {
    let curve = Curve::of(profile);
    (curve.until(to.as_secs_f64()) - curve.until(from.as_secs_f64())).max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to(rate: f64, seconds: u64) -> Stage {
        Stage::To { to: Rate(rate), over: Span::secs(seconds) }
    }

    fn hold(seconds: u64) -> Stage {
        Stage::Hold { hold: Span::secs(seconds) }
    }

    #[test]
    fn stages_start_from_nothing_and_hold_the_last_rate() {
        let profile = Profile::Stages(vec![to(20.0, 20), hold(40), to(60.0, 2), hold(8)]);
        for (t, rate) in [(0, 0.0), (10, 10.0), (20, 20.0), (60, 20.0), (61, 40.0), (62, 60.0), (500, 60.0)] {
            assert!((rate_at(&profile, Span::secs(t)).0 - rate).abs() < 1e-9, "{t}");
        }
        assert!((expected(&profile, Span::secs(0), Span::secs(62)) - (200.0 + 800.0 + 80.0)).abs() < 1e-9);
    }

    #[test]
    fn a_first_stage_over_no_time_is_a_start_rate() {
        let profile = Profile::Stages(vec![to(5.0, 0), hold(10), to(10.0, 10)]);
        assert_eq!(rate_at(&profile, Span::secs(0)), Rate(5.0));
        assert!((rate_at(&profile, Span::secs(15)).0 - 7.5).abs() < 1e-9);
    }

    #[test]
    fn a_spike_rises_and_falls() {
        let [at, rise, hold] = [Span::secs(10), Span::secs(2), Span::secs(4)];
        let profile = Profile::Spike { base: Rate(10.0), peak: Rate(50.0), at, rise, hold };
        for (t, rate) in [(0, 10.0), (11, 30.0), (12, 50.0), (15, 50.0), (17, 30.0), (18, 10.0), (99, 10.0)] {
            assert!((rate_at(&profile, Span::secs(t)).0 - rate).abs() < 1e-9, "{t}");
        }
    }

    #[test]
    fn the_peak_is_within_the_window() {
        let curve =
            Curve::of(&Profile::Stages(vec![to(10.0, 0), hold(10), to(50.0, 2), to(10.0, 0), hold(10)]));
        for ((from, to), peak) in
            [((0.0, 5.0), 10.0), ((0.0, 11.0), 30.0), ((5.0, 20.0), 50.0), ((12.0, 90.0), 10.0)]
        {
            assert!((curve.peak(from, to) - peak).abs() < 1e-9, "{from} to {to}: {}", curve.peak(from, to));
        }
    }

    #[test]
    fn a_warm_up_goes_at_the_first_rate_there_is() {
        let stages = Profile::Stages(vec![to(20.0, 20), to(60.0, 2)]);
        assert!((Curve::of(&stages).warm_up() - 20.0).abs() < 1e-9);
        let ramp = Profile::Ramp { from: Rate(3.0), to: Rate(9.0), over: Span::secs(5) };
        assert!((Curve::of(&ramp).warm_up() - 3.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn the_inverse_undoes_the_integral(
            rates in prop::collection::vec((0.0..100.0f64, 0..20u64), 1..8),
            t in 0.0..100.0f64,
        ) {
            let curve = Curve::of(&Profile::Stages(rates.iter().map(|&(r, s)| to(r, s)).collect()));
            let count = curve.until(t);
            let back = curve.when(count);
            prop_assert!(back <= t + 1e-6 || curve.rate(t) == 0.0, "{back} for {t}");
            if back.is_finite() {
                prop_assert!((curve.until(back) - count).abs() < 1e-6, "{back} for {t}");
            }
        }
    }
}
