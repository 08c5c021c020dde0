//! What answers without tokens say, by one feature of each output: the class
//! that it names, or its value.

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest text that is kept as it is, in characters: a class has a name,
/// and no essay.
const LONGEST: usize = 64;

/// One feature of an output. In JSON what it is: null, a number, a text.
/// Numbers come before texts; what is missing, before both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Feature {
    /// The answer had none where one was to be.
    Missing,
    /// A value, or a class by its index.
    Number(Finite),
    /// A class by its name, no more than its first 64 characters.
    Text(String),
}

impl Feature {
    /// A number's. NaN is none.
    pub fn number(value: f64) -> Self {
        Finite::of(value).map_or(Self::Missing, Self::Number)
    }

    /// A text's.
    pub fn text(text: &str) -> Self {
        Self::Text(text.chars().take(LONGEST).collect())
    }

    /// The class that a model means by a value for each: the index of the
    /// largest, of equal ones the first. One value stands for itself.
    pub fn of_scores(scores: &[f64]) -> Self {
        if let [one] = scores {
            return Self::number(*one);
        }
        let numbers = scores.iter().enumerate().filter(|(_, score)| !score.is_nan());
        let best = numbers.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or(Self::Missing, |(index, _)| Self::number(index as f64))
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("none"),
            Self::Number(number) => number.0.fmt(f),
            Self::Text(text) => write!(f, "`{text}`"),
        }
    }
}

/// A number in single precision, as most models reckon: whole ones up to 16
/// million are exact. What is beyond it is its largest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f32", into = "f32")]
pub struct Finite(f32);

impl Finite {
    fn of(value: f64) -> Option<Self> {
        let value = value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
        // One zero: -0 is no class of its own.
        (!value.is_nan()).then_some(Self(value + 0.0))
    }

    /// It.
    pub fn get(self) -> f64 {
        f64::from(self.0)
    }
}

impl TryFrom<f32> for Finite {
    type Error = &'static str;

    fn try_from(value: f32) -> Result<Self, Self::Error> {
        if value.is_finite() { Ok(Self(value + 0.0)) } else { Err("the number is not finite") }
    }
}

impl From<Finite> for f32 {
    fn from(finite: Finite) -> Self {
        finite.0
    }
}

impl Eq for Finite {}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How often each feature came. Not a [`Distribution`](super::Distribution):
/// that rounds, and has neither names nor numbers below 0. Written as
/// `[[feature, count], …]`, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<(Feature, u64)>", into = "Vec<(Feature, u64)>")]
pub struct Features {
    counts: BTreeMap<Feature, u64>,
}

impl Features {
    /// Adds one.
    pub fn record(&mut self, feature: Feature) {
        self.record_n(feature, 1);
    }

    /// Adds one `count` times.
    pub fn record_n(&mut self, feature: Feature, count: u64) {
        if count > 0 {
            *self.counts.entry(feature).or_default() += count;
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (feature, &count) in &other.counts {
            self.record_n(feature.clone(), count);
        }
    }

    /// How many it holds.
    pub fn len(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Features and how often each came, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&Feature, u64)> + '_ {
        self.counts.iter().map(|(feature, &count)| (feature, count))
    }
}

impl From<Vec<(Feature, u64)>> for Features {
    fn from(pairs: Vec<(Feature, u64)>) -> Self {
        let mut features = Self::default();
        for (feature, count) in pairs {
            features.record_n(feature, count);
        }
        features
    }
}

impl From<Features> for Vec<(Feature, u64)> {
    fn from(features: Features) -> Self {
        features.counts.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_is_the_class_and_one_value_is_itself() {
        let class = |index: f64| Feature::number(index);
        assert_eq!(Feature::of_scores(&[0.1, 0.7, 0.2]), class(1.0));
        assert_eq!(Feature::of_scores(&[-3.0, -1.0, -2.0]), class(1.0));
        assert_eq!(Feature::of_scores(&[0.5, 0.5]), class(0.0), "the first of equals");
        assert_eq!(Feature::of_scores(&[f64::NAN, 0.1, f64::NAN]), class(1.0));
        assert_eq!(Feature::of_scores(&[-2.5]), class(-2.5));
        for none in [&[][..], &[f64::NAN], &[f64::NAN, f64::NAN]] {
            assert_eq!(Feature::of_scores(none), Feature::Missing, "{none:?}");
        }
    }

    #[test]
    fn it_is_written_as_what_it_is() {
        let mut all = Features::default();
        let some = [Feature::text("cat"), Feature::number(2.0), Feature::number(-0.5), Feature::Missing];
        some.into_iter().for_each(|feature| all.record(feature));
        all.record_n(Feature::number(-0.0), 2);
        all.record(Feature::number(0.0));
        let text = serde_json::to_string(&all).expect("JSON");
        assert_eq!(text, r#"[[null,1],[-0.5,1],[0.0,3],[2.0,1],["cat",1]]"#);
        assert_eq!(serde_json::from_str::<Features>(&text).expect("JSON"), all);
        assert_eq!(Feature::text(&"é".repeat(200)), Feature::Text("é".repeat(64)));
    }

    fn feature() -> impl Strategy<Value = Feature> {
        prop_oneof![
            any::<f64>().prop_map(Feature::number),
            any::<f32>().prop_map(|value| Feature::number(f64::from(value))),
            "\\PC{0,70}".prop_map(|text| Feature::text(&text)),
            Just(Feature::Missing),
        ]
    }

    proptest! {
        #[test]
        fn it_reads_back_as_written_and_merging_is_recording_both(
            a in prop::collection::vec(feature(), 0..20),
            b in prop::collection::vec(feature(), 0..20),
        ) {
            let of = |all: &[Feature]| {
                let mut features = Features::default();
                all.iter().for_each(|feature| features.record(feature.clone()));
                features
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(&merged, &of(&[a, b].concat()));
            let text = serde_json::to_string(&merged).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Features>(&text).expect("JSON"), merged);
        }

        #[test]
        fn numbers_keep_their_order(a in any::<f64>(), b in any::<f64>()) {
            if a <= b {
                prop_assert!(Feature::number(a) <= Feature::number(b));
            }
        }
    }
}
