//! Spikes and shifts of one series.

use super::{
    robust::{Normal, median},
    tracks::{Point, Track},
};

/// Robust standard deviations from which a bin is a spike.
const SPIKE: f64 = 6.0;
/// From which a bin, smoothed, counts towards a shift.
const SHIFT: f64 = 3.0;
/// Bad requests without which a share says nothing.
const BAD: u64 = 5;
/// Bins between two of a spike that may be as usual.
const GAP: usize = 2;
/// Bins to either side that a bin is smoothed with.
const SIDE: usize = 2;
/// What a bin that is as usual takes away from a shift, in bins that are not:
/// four of five have to be off.
const USUAL: f64 = 4.0;
/// Bins, and seconds, that a shift has to last.
const LASTING: (usize, f64) = (8, 10.0);

/// Bins that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    pub(super) first: usize,
    /// The last one (it belongs to it).
    pub(super) last: usize,
    /// The one that is furthest away.
    pub(super) worst: usize,
    pub(super) deviations: f64,
}

impl Stretch {
    pub(super) fn holds(&self, bin: usize) -> bool {
        (self.first..=self.last).contains(&bin)
    }
}

/// Stretches in which bins are far away from the baseline, and beyond all that
/// it had. Only bins that are `open` count.
pub(super) fn spikes(track: &Track<'_>, normal: &Normal, open: impl Fn(usize) -> bool) -> Vec<Stretch> {
    let usual = usual_value(track);
    let mut found: Vec<Stretch> = Vec::new();
    for (index, point) in known(track).filter(|(index, _)| open(*index)) {
        let deviations = normal.deviations(point.x, point.noise);
        let off = deviations >= SPIKE
            && point.x - normal.middle >= track.measure.spike
            && point.x > normal.highest
            && (point.value - usual).abs() >= track.measure.least
            && point.bad.is_none_or(|bad| bad >= BAD)
            && track.is_clear(index..=index);
        if !off {
            continue;
        }
        match found.last_mut() {
            Some(last) if index - last.last <= GAP + 1 => {
                last.last = index;
                if deviations > last.deviations {
                    (last.worst, last.deviations) = (index, deviations);
                }
            }
            _ => found.push(Stretch { first: index, last: index, worst: index, deviations }),
        }
    }
    found
}

/// Stretches of `calm` bins in which nearly all are away from the baseline.
pub(super) fn shifts(track: &Track<'_>, normal: &Normal, calm: impl Fn(usize) -> bool) -> Vec<Stretch> {
    let usual = usual_value(track);
    let bins: Vec<usize> = (0..track.points.len()).filter(|index| calm(*index)).collect();
    let stretches = bins.chunk_by(|a, b| a + 1 == *b);
    let found = stretches.filter_map(|stretch| {
        let (first, last) = (*stretch.first()?, *stretch.last()?);
        let off = |index: usize| {
            let (x, noise) = smoothed(track, index, (first, last))?;
            Some(normal.deviations(x, noise) >= SHIFT && x - normal.middle >= track.measure.shift)
        };
        let flags: Vec<Option<bool>> = (first..=last).map(off).collect();
        let (from, to) = densest(&flags)?;
        let lasts = to + 1 - from;
        if lasts < LASTING.0 || (lasts as f64) * track.width < LASTING.1 {
            return None;
        }
        let mut found =
            Stretch { first: first + from, last: first + to, worst: first + from, deviations: 0.0 };
        let x = middle(track, &found)?;
        let value = median(track.inside(&found).map(|point| point.value).collect())?;
        let away = x - normal.middle >= track.measure.shift && (value - usual).abs() >= track.measure.least;
        let bad: Option<u64> = track.inside(&found).map(|point| point.bad).sum();
        found.deviations = (x - normal.middle) / normal.spread;
        let sure = bad.is_none_or(|bad| bad >= BAD) && track.is_clear(found.first..=found.last);
        (away && sure).then_some(found)
    });
    found.collect()
}

fn known<'t>(track: &'t Track<'_>) -> impl Iterator<Item = (usize, Point)> + 't {
    track.points.iter().enumerate().filter_map(|(index, point)| Some((index, (*point)?)))
}

fn usual_value(track: &Track<'_>) -> f64 {
    median(track.baseline().map(|point| point.value).collect()).unwrap_or_default()
}

/// What a stretch comes to: of a share, which a second with one failure
/// moves, the mean; else the median.
fn middle(track: &Track<'_>, stretch: &Stretch) -> Option<f64> {
    let points: Vec<Point> = track.inside(stretch).collect();
    level(&points)
}

fn level(points: &[Point]) -> Option<f64> {
    let xs: Vec<f64> = points.iter().map(|point| point.x).collect();
    match points.first()?.bad {
        Some(_) => Some(xs.iter().sum::<f64>() / xs.len() as f64),
        None => median(xs),
    }
}

/// A bin with its neighbours within the stretch: its level and that one's
/// noise. None: too few of them are known.
fn smoothed(track: &Track<'_>, index: usize, (first, last): (usize, usize)) -> Option<(f64, f64)> {
    let window = index.saturating_sub(SIDE).max(first)..=(index + SIDE).min(last);
    let points: Vec<Point> = track.points.get(window)?.iter().copied().flatten().collect();
    if points.len() <= SIDE {
        return None;
    }
    // Of independent bins: the standard error of their mean.
    let noise = points.iter().map(|point| point.noise.powi(2)).sum::<f64>().sqrt() / points.len() as f64;
    Some((level(&points)?, noise))
}

/// The stretch with the most bins that are off, less what those that are not
/// take away (Kadane): its first and last.
fn densest(flags: &[Option<bool>]) -> Option<(usize, usize)> {
    let mut best: Option<(f64, usize, usize)> = None;
    let (mut sum, mut from) = (0.0, 0);
    for (index, flag) in flags.iter().enumerate() {
        match flag {
            None => continue,
            Some(true) => {
                if sum <= 0.0 {
                    (sum, from) = (0.0, index);
                }
                sum += 1.0;
            }
            Some(false) => sum -= USUAL,
        }
        if sum > best.map_or(0.0, |(most, _, _)| most) {
            best = Some((sum, from, index));
        }
    }
    best.map(|(_, from, to)| (from, to))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_densest_stretch_is_found() {
        let flags = |text: &str| -> Vec<Option<bool>> {
            text.chars()
                .map(|c| match c {
                    '#' => Some(true),
                    '.' => Some(false),
                    _ => None,
                })
                .collect()
        };
        let densest = |text: &str| super::densest(&flags(text));
        assert_eq!(densest("....."), None);
        assert_eq!(densest("..###"), Some((2, 4)));
        assert_eq!(densest("#.####"), Some((2, 5)), "one of the first two is too little");
        assert_eq!(densest("#####.######"), Some((0, 11)));
        assert_eq!(densest("###  ##..."), Some((0, 6)), "what is not known is neither");
        assert_eq!(densest(""), None);
    }
}
