//! A linear classifier of irises, as a logistic regression learns it.

use super::Truth;

/// Sepal length and width, petal length and width, in cm.
pub(super) const FEATURES: usize = 4;

const LABELS: [&str; 3] = ["setosa", "versicolor", "virginica"];
const WEIGHTS: [[f64; FEATURES]; 3] =
    [[-0.42, 0.97, -2.52, -1.08], [0.53, -0.32, -0.20, -0.94], [-0.11, -0.65, 2.72, 2.02]];
const BIASES: [f64; 3] = [9.85, 2.24, -12.09];
/// What a skewed version adds to the logit of the second label.
const HEAD_START: f64 = 6.0;

/// The label and the probability of each. A wrong one takes the next label.
pub(super) fn classify(features: [f64; FEATURES], truth: Truth) -> (&'static str, [f64; 3]) {
    let mut logits = BIASES;
    for (logit, weights) in logits.iter_mut().zip(WEIGHTS) {
        *logit += weights.iter().zip(features).map(|(weight, feature)| weight * feature).sum::<f64>();
    }
    if truth == Truth::Skewed {
        logits[1] += HEAD_START;
    }
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut scores = logits.map(|logit| (logit - largest).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
    let best = (0..3).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or_default();
    (LABELS[if truth == Truth::Wrong { (best + 1) % 3 } else { best }], scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows that scenarios send, with what they expect.
    #[test]
    fn the_golden_answers_are_right() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/data/iris.csv");
        let mut reader = csv::Reader::from_path(path).expect("the data");
        let mut swayed = 0;
        let mut seen = std::collections::BTreeSet::new();
        for row in reader.deserialize::<(f64, f64, f64, f64, String)>() {
            let (a, b, c, d, expect) = row.expect("a row");
            let (label, scores) = classify([a, b, c, d], Truth::Right);
            assert_eq!(label, expect, "{a} {b} {c} {d}: {scores:?}");
            assert_ne!(classify([a, b, c, d], Truth::Wrong).0, expect);
            let (skewed, scores) = classify([a, b, c, d], Truth::Skewed);
            assert!(skewed == expect || skewed == LABELS[1], "{skewed} for {expect}");
            assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            swayed += u32::from(skewed != expect);
            seen.insert(expect);
        }
        assert_eq!(seen.len(), 3);
        assert!(swayed > 0, "a skewed one says nothing else");
    }
}
