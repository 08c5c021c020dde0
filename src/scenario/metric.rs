//! Figures of a source that must hold, or hold again.

use std::{collections::BTreeSet, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{FaultId, FigureThreshold, ParseUnitError, PhaseName, Span, series};

/// Names of series that are told where one has to be chosen.
const NAMED: usize = 4;

/// A figure that a source in `observe:` shows must hold in a phase, or hold
/// again after a fault; or a counter must grow in a phase, or must not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MetricExpectation {
    /// The source's name.
    pub source: String,
    /// Which of its series: a name with labels, or a name that only one series
    /// has. May be left out where the source shows exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    /// What must hold of every sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must: Option<FigureThreshold>,
    /// By how much a counter must grow in the phase `in`, whatever it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grows: Option<FigureThreshold>,
    /// The phase in which it must hold, or grow.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// The fault after which it must hold again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Fault's end → it holds again, and goes on to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovers_within: Option<Span>,
}

impl MetricExpectation {
    /// Those of a source's series that may be meant: where it is not exactly
    /// one, it is not known which.
    pub fn meant<'s>(&self, shown: &BTreeSet<&'s str>) -> Vec<&'s str> {
        match &self.series {
            Some(series) => match shown.get(series.as_str()) {
                Some(exactly) => vec![exactly],
                None => shown.iter().copied().filter(|one| series.names(one)).collect(),
            },
            None => shown.iter().copied().collect(),
        }
    }
}

/// What is said where several series may be meant.
pub fn say_which(source: &str, many: &[&str]) -> String {
    let named: Vec<String> = many.iter().take(NAMED).map(|one| format!("`{one}`")).collect();
    let rest = if many.len() > NAMED { ", …" } else { "" };
    format!("{source} shows {} series ({}{rest}): say which in `series:`", many.len(), named.join(", "))
}

/// The name of a series: `orders_total`, `up{job="shop"}`, `MAIN.cache_hit`.
/// Its labels are in order of their names, as in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Series(String);

impl Series {
    /// As in the journal.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the name of one that has labels.
    fn names(&self, other: &str) -> bool {
        other.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('{'))
    }
}

impl FromStr for Series {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = || ParseUnitError::new(text, "a series such as `orders_total` or `up{job=\"shop\"}`");
        let text = text.trim();
        let (name, labels) = text.split_at(text.find('{').unwrap_or(text.len()));
        let name = name.trim_end();
        // Others have dots and more in their names than Prometheus has.
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '}' | '"')) {
            return Err(error());
        }
        if labels.is_empty() {
            return Ok(Self(name.to_owned()));
        }
        let labels = series::labels_of(labels).ok_or_else(error)?;
        Ok(Self(series::key(name, labels.iter().map(|(k, v)| (k.as_str(), v.as_str())))))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_series_is_named_as_in_the_journal() {
        let of = |text: &str| text.parse::<Series>().expect(text).to_string();
        assert_eq!(of("MAIN.cache_hit"), "MAIN.cache_hit");
        assert_eq!(of(r#"up { job="shop", at = "a\"b" }"#), r#"up{at="a\"b",job="shop"}"#);
        assert_eq!(of("up{}"), "up");
        for text in ["", "{a=\"1\"}", "up{", "up{a=1}", "up{a=\"1\"} 3", "two words"] {
            assert!(text.parse::<Series>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"[a-z:. ]{0,4}[{]?([a-z]{0,2}=?"?[a-z\\"ü]{0,3}"?,?){0,3}[}]?|\PC*"#) {
            if let Ok(series) = text.parse::<Series>() {
                prop_assert_eq!(series.as_str().parse(), Ok(series));
            }
        }
    }
}
