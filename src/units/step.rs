//! From one rate to the next.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::human::{ParseUnitError, Rate, Ratio, as_text};

/// The way from one rate to the next: a factor (`1.5x`) or a rate (`20/s`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateStep {
    /// Times this much.
    Factor(Ratio),
    /// This much more.
    Add(Rate),
}

impl Default for RateStep {
    fn default() -> Self {
        Self::Factor(Ratio(1.5))
    }
}

impl RateStep {
    /// The rate after `rate`.
    pub fn after(self, rate: Rate) -> Rate {
        written(match self {
            Self::Factor(factor) => rate.0 * factor.0,
            Self::Add(more) => rate.0 + more.0,
        })
    }

    /// The rate in the middle of two: halfway up by factors, or by distance.
    pub fn middle(self, low: Rate, high: Rate) -> Rate {
        written(match self {
            Self::Factor(_) => (low.0 * high.0).sqrt(),
            Self::Add(_) => (low.0 + high.0) / 2.0,
        })
    }
}

/// To a thousandth, as rates are written: read back, it is the same.
fn written(rate: f64) -> Rate {
    Rate((rate * 1e3).round() / 1e3)
}

impl FromStr for RateStep {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError::new(text, "a step such as `1.5x` or `20/s`");
        let step = if text.contains('/') {
            Self::Add(text.parse().map_err(|_| error())?)
        } else if text.trim_end().ends_with('x') {
            Self::Factor(text.parse().map_err(|_| error())?)
        } else {
            return Err(error());
        };
        let upwards = match step {
            Self::Factor(factor) => factor.0 > 1.0,
            Self::Add(more) => more.0 > 0.0,
        };
        if upwards { Ok(step) } else { Err(error()) }
    }
}

impl fmt::Display for RateStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Factor(factor) => write!(f, "{}x", factor.0),
            Self::Add(more) => more.fmt(f),
        }
    }
}

as_text!(RateStep, r"^[0-9.]+ ?(x|/(s|m|h))$", "1.5x");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_factor_or_a_rate() {
        for (text, next) in [("1.5x", 15.0), ("20/s", 30.0), ("60/m", 11.0)] {
            let step: RateStep = text.parse().expect("a step");
            assert_eq!(step.after(Rate(10.0)), Rate(next), "{text}");
            assert_eq!(step.to_string().parse(), Ok(step));
        }
        for text in ["1.5", "1x", "0.5x", "0/s", "x", "20"] {
            assert!(text.parse::<RateStep>().is_err(), "{text}");
        }
        assert_eq!("2x".parse::<RateStep>().map(|step| step.middle(Rate(10.0), Rate(40.0))), Ok(Rate(20.0)));
        assert_eq!("2/s".parse::<RateStep>().map(|step| step.middle(Rate(10.0), Rate(40.0))), Ok(Rate(25.0)));
    }
}
