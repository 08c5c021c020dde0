//! A limit on a figure of any unit: `>= 10`, `< 0.5`, `<= -3`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    human::{ParseUnitError, as_text},
    threshold::Comparison,
};

/// A limit on a figure. Its unit is the figure's own; `50%` is 0.5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FigureThreshold {
    /// How it compares.
    pub op: Comparison,
    /// With what; finite.
    pub limit: f64,
}

impl FigureThreshold {
    /// Whether a figure keeps to it.
    pub fn holds(self, figure: f64) -> bool {
        self.op.holds(figure, self.limit)
    }
}

impl FromStr for FigureThreshold {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError::new(text, "a threshold such as `>= 10`, `< 0.5` or `<= 50%`");
        let (op, rest) = Comparison::take(text.trim()).ok_or_else(error)?;
        let (digits, scale) = match rest.strip_suffix('%') {
            Some(digits) => (digits.trim(), 100.0),
            None => (rest, 1.0),
        };
        // Rust reads `inf` and `nan` as numbers, too.
        let plain = digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | 'e'));
        let limit: f64 = digits.parse().ok().filter(|_| plain).ok_or_else(error)?;
        let limit = limit / scale;
        if limit.is_finite() { Ok(Self { op, limit }) } else { Err(error()) }
    }
}

impl fmt::Display for FigureThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.op, self.limit)
    }
}

as_text!(FigureThreshold, r"^(<|<=|>|>=) *-?[0-9.]+(e-?[0-9]+)? *%?$", ">= 10");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_are_read_as_written() {
        let of = |text: &str| text.parse::<FigureThreshold>().expect(text);
        assert_eq!(of(">= 10"), FigureThreshold { op: Comparison::AtLeast, limit: 10.0 });
        assert_eq!(of("<50%"), FigureThreshold { op: Comparison::Below, limit: 0.5 });
        assert_eq!(of("<= -1.5e3").limit, -1500.0);
        assert!(of("> 0").holds(0.1) && !of("> 0").holds(0.0));
        for text in ["10", "", ">= ", ">= ten", "=> 10", ">= inf", "< nan", ">= 1e999", ">= 10 /s"] {
            assert!(text.parse::<FigureThreshold>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[<>]=? ?-?([0-9.e-]{0,5}|inf|nan|9e[0-9]{3})%?|\\PC*") {
            if let Ok(read) = text.parse::<FigureThreshold>() {
                prop_assert!(read.limit.is_finite());
                prop_assert_eq!(read.to_string().parse(), Ok(read));
            }
        }
    }
}
