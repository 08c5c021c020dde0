//! Where the values of requests come from: the rows of a file, or chance.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One row of a data file: its columns by name.
pub type Row = Map<String, Value>;

/// A data file, read with the scenario. In YAML just its path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Data {
    /// The file as it was found.
    pub file: PathBuf,
    /// Its rows; never none.
    pub rows: Vec<Row>,
}

/// A distribution of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Draw {
    /// Any number from `min` up to, and without, `max`.
    Uniform(Range),
    /// Normally distributed.
    Normal(Normal),
    /// Whole numbers.
    Integers(IntRange),
}

/// Values that are drawn anew for each request, or taken from its row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrawnValues {
    /// Any number from `min` up to, and without, `max`.
    Uniform(Range),
    /// Normally distributed.
    Normal(Normal),
    /// Whole numbers.
    Integers(IntRange),
    /// These columns of the data file's row, one after the other.
    Columns(Vec<String>),
}

impl DrawnValues {
    /// The distribution, if chance decides.
    pub fn draw(&self) -> Option<Draw> {
        match self {
            Self::Uniform(range) => Some(Draw::Uniform(*range)),
            Self::Normal(normal) => Some(Draw::Normal(*normal)),
            Self::Integers(range) => Some(Draw::Integers(*range)),
            Self::Columns(_) => None,
        }
    }
}

/// From one number to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Range {
    /// The least.
    pub min: f64,
    /// Nothing is as large.
    pub max: f64,
}

/// A normal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Normal {
    /// The mean.
    pub mean: f64,
    /// The standard deviation (> 0).
    pub std_dev: f64,
}

/// From one whole number to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct IntRange {
    /// The least.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

/// A variable of a template that is drawn anew for each request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Random {
    /// The distribution. In YAML its key stands beside `size`.
    #[serde(flatten)]
    pub draw: Draw,
    /// A list of so many numbers. None: one number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
}
