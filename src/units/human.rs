//! Spans, rates and ratios as people write them.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// What is wrong with a unit, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {wanted}")]
pub struct ParseUnitError {
    /// The text as given.
    pub given: String,
    /// What would be right, with an example.
    pub wanted: &'static str,
}

impl ParseUnitError {
    /// `given` is not `wanted`.
    pub fn new(given: &str, wanted: &'static str) -> Self {
        Self { given: given.to_owned(), wanted }
    }
}

/// A length of time: `250ms`, `1.5s`, `2m30s` (Go's and Chaos Mesh's form).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

/// Requests per second: `20/s`, `600/m`, `3600/h`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Rate(pub f64);

/// A share between 0 and 1, or a factor: `99%`, `0.99`, `1.5`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Ratio(pub f64);

impl Span {
    /// `n` milliseconds.
    pub const fn millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    /// `n` seconds.
    pub const fn secs(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// In seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// In whole microseconds.
    pub fn micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }
}

/// The longest number at the head of `text`, and the rest.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let value: f64 = text[..end].parse().ok()?;
    value.is_finite().then_some((value, &text[end..]))
}

impl FromStr for Span {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError::new(text, "a duration such as `250ms`, `1.5s` or `2m30s`");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(error());
        }
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let (value, after) = number(rest).ok_or_else(error)?;
            let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let scale = match &after[..end] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                // Go's durations allow a bare zero.
                "" if value == 0.0 => 1.0,
                _ => return Err(error()),
            };
            seconds += value * scale;
            rest = &after[end..];
        }
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| error())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.micros();
        match micros {
            0 => f.write_str("0s"),
            _ if micros < 1_000 => write!(f, "{micros}µs"),
            _ if micros < 1_000_000 => write!(f, "{}ms", trimmed(micros as f64 / 1e3)),
            _ if micros < 120_000_000 || !micros.is_multiple_of(60_000_000) => {
                write!(f, "{}s", trimmed(micros as f64 / 1e6))
            }
            _ => write!(f, "{}m", micros / 60_000_000),
        }
    }
}

/// Up to three decimals, no trailing zeros.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl FromStr for Rate {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError::new(text, "a rate such as `20/s` or `600/m`");
        let (value, unit) = number(text.trim()).ok_or_else(error)?;
        match unit.trim() {
            "/s" => Ok(Self(value)),
            "/m" => Ok(Self(value / 60.0)),
            "/h" => Ok(Self(value / 3600.0)),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", trimmed(self.0))
    }
}

impl FromStr for Ratio {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError::new(text, "a share such as `99%` or a factor such as `1.5`");
        let (value, unit) = number(text.trim()).ok_or_else(error)?;
        match unit.trim() {
            "%" => Ok(Self(value / 100.0)),
            "" | "x" => Ok(Self(value)),
            _ => Err(error()),
        }
    }
}

impl Ratio {
    /// As a percentage, also above 100 %, where `Display` writes a factor.
    pub fn percent(self) -> String {
        format!("{}%", trimmed(self.0 * 100.0))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1.0 {
            // A factor.
            return f.write_str(&trimmed(self.0));
        }
        f.write_str(&self.percent())
    }
}

macro_rules! as_text {
    ($name:ident, $pattern:literal, $example:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": ["string", "number"], "examples": [$example], "pattern": $pattern })
            }
        }
    };
}
pub(crate) use as_text;

as_text!(Span, r"^([0-9.]+(ns|us|µs|ms|s|m|h|d))+$|^0$", "1.5s");
as_text!(Rate, r"^[0-9.]+/(s|m|h)$", "20/s");
as_text!(Ratio, r"^[0-9.]+ ?(%|x)?$", "99%");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_go_writes_them() {
        for (text, millis) in
            [("250ms", 250), ("1.5s", 1500), ("2m30s", 150_000), ("1h", 3_600_000), ("0", 0)]
        {
            assert_eq!(text.parse::<Span>(), Ok(Span::millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "1.2.3s", "-1s", "3 weeks", "1e400s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_reads_back_as_written() {
        for span in [Span::millis(0), Span::millis(1), Span::millis(1500), Span::secs(90), Span::secs(180)] {
            assert_eq!(span.to_string().parse(), Ok(span));
        }
    }

    #[test]
    fn rates_and_ratios_carry_their_units() {
        assert_eq!("600/m".parse(), Ok(Rate(10.0)));
        assert_eq!("99%".parse(), Ok(Ratio(0.99)));
        assert_eq!("1.5".parse(), Ok(Ratio(1.5)));
        assert!("20".parse::<Rate>().is_err());
        assert!("99 percent".parse::<Ratio>().is_err());
    }
}
