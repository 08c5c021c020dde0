//! The threshold grammar: `p95 < 500ms`, `>= 99%`, `<= 1.5`.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::human::{ParseUnitError, Ratio, Span, as_text};

/// How a figure is compared with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// Whether `figure` holds against `limit`.
    pub fn holds(self, figure: f64, limit: f64) -> bool {
        match self {
            Self::Below => figure < limit,
            Self::AtMost => figure <= limit,
            Self::Above => figure > limit,
            Self::AtLeast => figure >= limit,
        }
    }

    /// Whether smaller figures are better.
    pub fn is_ceiling(self) -> bool {
        matches!(self, Self::Below | Self::AtMost)
    }

    pub(super) fn take(text: &str) -> Option<(Self, &str)> {
        [("<=", Self::AtMost), (">=", Self::AtLeast), ("<", Self::Below), (">", Self::Above)]
            .into_iter()
            .find_map(|(sign, op)| text.strip_prefix(sign).map(|rest| (op, rest.trim())))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        })
    }
}

/// A quantile strictly between 0 and 1, written `p95`, `p99.9`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Quantile(pub f64);

impl FromStr for Quantile {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError::new(text, "a quantile such as `p95` or `p99.9`");
        let digits = text.trim().strip_prefix('p').ok_or_else(error)?;
        if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(error());
        }
        let percent: f64 = digits.parse().map_err(|_| error())?;
        if percent > 0.0 && percent < 100.0 { Ok(Self(percent / 100.0)) } else { Err(error()) }
    }
}

impl fmt::Display for Quantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", (self.0 * 1e5).round() / 1e3)
    }
}

/// A limit on a quantile of a latency: `p95 < 500ms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyThreshold {
    /// Which quantile of the distribution.
    pub quantile: Quantile,
    /// How it compares.
    pub op: Comparison,
    /// With what.
    pub limit: Span,
}

impl FromStr for LatencyThreshold {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError::new(text, "a latency threshold such as `p95 < 500ms`");
        let text = text.trim();
        let sign = text.find(['<', '>']).ok_or_else(error)?;
        let quantile = text[..sign].trim().parse()?;
        let (op, limit) = Comparison::take(&text[sign..]).ok_or_else(error)?;
        Ok(Self { quantile, op, limit: limit.parse()? })
    }
}

impl fmt::Display for LatencyThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.quantile, self.op, self.limit)
    }
}

/// A limit on a ratio or a factor: `>= 99%`, `<= 1.5`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioThreshold {
    /// How it compares.
    pub op: Comparison,
    /// With what.
    pub limit: Ratio,
}

impl FromStr for RatioThreshold {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let (op, limit) = Comparison::take(text.trim())
            .ok_or_else(|| ParseUnitError::new(text, "a threshold such as `>= 99%` or `<= 1.5`"))?;
        Ok(Self { op, limit: limit.parse()? })
    }
}

impl fmt::Display for RatioThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.op, self.limit)
    }
}

use std::borrow::Cow;

use schemars::{Schema, SchemaGenerator, json_schema};

as_text!(Quantile, r"^p[0-9.]+$", "p95");
as_text!(LatencyThreshold, r"^p[0-9.]+ *(<|<=|>|>=) *[0-9.a-zµ]+$", "p95 < 500ms");
as_text!(RatioThreshold, r"^(<|<=|>|>=) *[0-9.]+ *%?$", ">= 99%");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_read_as_written() {
        let t: LatencyThreshold = "p99.9<=1.5s".parse().expect("a threshold");
        assert_eq!(t.to_string(), "p99.9 <= 1.5s");
        assert_eq!("p99".parse::<Quantile>().expect("a quantile").to_string(), "p99");
        let r: RatioThreshold = ">= 99.95%".parse().expect("a threshold");
        assert!(r.op.holds(0.9995, r.limit.0) && !r.op.holds(0.9994, r.limit.0));
    }

    #[test]
    fn wrong_thresholds_are_refused() {
        for text in ["p95 500ms", "95 < 500ms", "p95 < 500", "p0 < 1s", "p100 < 1s", "p < 1s", "p+5 < 1s"] {
            assert!(text.parse::<LatencyThreshold>().is_err(), "{text}");
        }
        for text in ["99%", "=> 99%", ">= lots"] {
            assert!(text.parse::<RatioThreshold>().is_err(), "{text}");
        }
    }
}
