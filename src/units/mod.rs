//! Units and ids that the whole crate speaks: time on the run's clock, spans,
//! rates, ratios, and thresholds, each read and written as people write them.

mod figure;
mod human;
mod ids;
pub mod series;
mod step;
mod threshold;
mod time;

pub use figure::FigureThreshold;
pub use human::{ParseUnitError, Rate, Ratio, Span};
pub use ids::{CheckId, FaultId, PhaseName, PodName, RolloutName, Version, WorkloadName};
pub use step::RateStep;
pub use threshold::{Comparison, LatencyThreshold, Quantile, RatioThreshold};
pub use time::{RunTime, Seen};
