//! Who sends how much, and when: the load streams, their executors and their
//! arrivals.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::trace::TracedRequest;
use crate::units::{Rate, RateStep, Ratio, Span, WorkloadName};

/// One stream of load. Exactly one of `arrivals`, `closed` and `capacity` in
/// YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    /// Its name.
    pub name: String,
    /// What it sends.
    pub workload: WorkloadName,
    /// When it starts, from the start of the first phase. Its profile's time
    /// runs from here.
    #[serde(default)]
    pub start: Span,
    /// How long it goes on. None: until the last phase ends.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Span>,
    /// Users of an open loop: requests that may be under way at once. None: as
    /// many as are busy when every request lasts until its timeout, from 64 to
    /// 4096.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// When it sends. In YAML the variant's keys stand beside `name`.
    #[serde(flatten)]
    pub executor: Executor,
}

/// The load profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    /// Open loop: requests are due by a schedule, whether or not earlier ones
    /// have ended.
    Arrivals(Arrivals),
    /// Closed loop: users who send again when their answer has come.
    Closed(Closed),
    /// A search for the highest rate that meets the SLOs.
    Capacity(Capacity),
}

/// An open-loop schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Evenly spaced.
    Constant(Profile),
    /// Exponential gaps (memoryless, as independent people arrive).
    Poisson(Profile),
    /// Gamma-distributed gaps: burstier than Poisson, or more even.
    Gamma(Gamma),
    /// As they were recorded elsewhere.
    Trace(Trace),
}

/// Gaps from a gamma distribution whose mean follows the rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Gamma {
    /// The rate over time. In YAML its key stands beside `burstiness`.
    #[serde(flatten)]
    pub profile: Profile,
    /// The gaps' shape, as `--burstiness` of vLLM's benchmark: 1 is Poisson,
    /// less is burstier, more is more even. The gaps' coefficient of variation
    /// is 1/√burstiness: 0.25 gives 2, 4 gives 0.5.
    pub burstiness: f64,
}

/// Arrivals as they were recorded, with the sizes of their requests. There
/// are none in a warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Trace {
    /// The file, from the scenario's folder or one above it.
    pub file: PathBuf,
    /// What it is. None: told from its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TraceFormat>,
    /// How much faster than it was recorded: `2x` is twice the rate.
    #[serde(default = "default_scale")]
    pub scale: Ratio,
    /// Where the replay starts, from the trace's first request.
    #[serde(default)]
    pub from: Span,
    /// Where it ends, from the trace's first request. None: with the trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Span>,
    /// Whose sizes the requests have.
    #[serde(default)]
    pub lengths: TraceLengths,
    /// What was read: the requests from `from` to `to`, ascending.
    #[serde(default)]
    #[schemars(skip)]
    pub requests: Vec<TracedRequest>,
}

/// Default of [`Trace::scale`].
pub fn default_scale() -> Ratio {
    Ratio(1.0)
}

impl Trace {
    /// The requests' times from the start of the load, ascending, in seconds.
    pub fn times(&self) -> impl Iterator<Item = f64> + '_ {
        let from = self.from.as_secs_f64();
        self.requests.iter().map(move |request| (request.at.as_secs_f64() - from) / self.scale.0)
    }

    /// How long the replay takes.
    pub fn length(&self) -> Span {
        let to = self.to.map_or_else(
            // The last arrival is within.
            || self.requests.last().map_or(0.0, |last| last.at.as_secs_f64() + 1e-3),
            Span::as_secs_f64,
        );
        let seconds = (to - self.from.as_secs_f64()).max(0.0) / self.scale.0;
        Span(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

/// The published traces that can be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TraceFormat {
    /// Azure's LLM inference traces of 2023 and 2024 (CSV).
    Azure,
    /// BurstGPT (CSV). A failed request (no response tokens) is an arrival like
    /// any other, since somebody asked; its output has the workload's length.
    Burstgpt,
    /// Mooncake (JSON lines). Requests with equal `hash_ids` share their
    /// prompt's blocks of 512 tokens.
    Mooncake,
}

/// Whose sizes a trace's requests have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TraceLengths {
    /// The trace's; where it states none, the workload's.
    #[default]
    Trace,
    /// The workload's.
    Workload,
}

/// The rate over time, from the load's start (during a warm-up: the first
/// rate).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// One rate throughout.
    Rate(Rate),
    /// Piecewise linear, starting from `0/s`, or from the first stage's rate
    /// if that is a `hold`-free `{to: R, over: 0s}`. The last rate is held.
    Stages(Vec<Stage>),
    /// From one rate to another, linearly.
    Ramp {
        /// The rate at the start.
        from: Rate,
        /// The rate at the end.
        to: Rate,
        /// How long it takes.
        over: Span,
    },
    /// A base rate with one spike.
    Spike {
        /// The rate before and after.
        base: Rate,
        /// The rate at the top.
        peak: Rate,
        /// When the rise starts, from the start of the first phase.
        at: Span,
        /// How long the rise takes, and the fall.
        rise: Span,
        /// How long the top lasts.
        hold: Span,
    },
    /// Up and down around a mean, as days are: `mean + amplitude · sin(2π · (t
    /// + phase) / period)`.
    Sine {
        /// The rate in the middle.
        mean: Rate,
        /// How far it goes up and down; no more than the mean.
        amplitude: Rate,
        /// From one crest to the next.
        period: Span,
        /// How far into its period it starts: a quarter is the crest, three
        /// quarters the trough.
        #[serde(default)]
        phase: Span,
    },
}

impl Profile {
    /// How long it takes until the rate no longer changes. None: it has no end
    /// of its own.
    pub fn length(&self) -> Option<Span> {
        Some(match self {
            Self::Rate(_) | Self::Sine { .. } => return None,
            Self::Stages(stages) => Span(
                stages
                    .iter()
                    .map(|stage| match stage {
                        Stage::To { over: length, .. } | Stage::Hold { hold: length } => length.0,
                    })
                    .fold(Duration::ZERO, Duration::saturating_add),
            ),
            Self::Ramp { over, .. } => *over,
            Self::Spike { at, rise, hold, .. } => Span(
                [at.0, rise.0, hold.0, rise.0].into_iter().fold(Duration::ZERO, Duration::saturating_add),
            ),
        })
    }

    /// Whether its rate is always zero.
    pub fn is_nothing(&self) -> bool {
        self.peak().0 <= 0.0
    }

    /// The highest rate.
    pub fn peak(&self) -> Rate {
        let rates: Vec<Rate> = match self {
            Self::Rate(rate) => vec![*rate],
            Self::Stages(stages) => stages
                .iter()
                .filter_map(|stage| match stage {
                    Stage::To { to, .. } => Some(*to),
                    Stage::Hold { .. } => None,
                })
                .collect(),
            Self::Ramp { from, to, .. } => vec![*from, *to],
            Self::Spike { base, peak, .. } => vec![*base, *peak],
            Self::Sine { mean, amplitude, .. } => vec![Rate(mean.0 + amplitude.0)],
        };
        Rate(rates.into_iter().map(|rate| rate.0).fold(0.0, f64::max))
    }
}

/// One stage of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum Stage {
    /// Linearly to a rate.
    To {
        /// The rate at the end of the stage.
        to: Rate,
        /// How long it takes.
        over: Span,
    },
    /// Stay.
    Hold {
        /// For how long.
        hold: Span,
    },
}

/// A closed loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Closed {
    /// Users at the same time.
    pub users: u32,
    /// Requests in all. None: until the last phase ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Pause of a user between an answer and the next request.
    #[serde(default)]
    pub think: Think,
}

/// A user's pause between an answer and the next request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Think {
    /// Always this long. In YAML just the duration.
    Fixed(Span),
    /// `{between: [1s, 5s]}`: drawn evenly for each pause, as Locust's
    /// `between`.
    Between(Span, Span),
}

impl Default for Think {
    fn default() -> Self {
        Self::Fixed(Span::default())
    }
}

/// A search for the highest rate that meets the scenario's SLOs: steps up
/// until one breaks them for sure, then bisection between the last that held
/// and the first that did not. Each step is judged on its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Capacity {
    /// The first step's rate.
    pub from: Rate,
    /// No step goes beyond.
    pub to: Rate,
    /// From one step to the next: a factor (`1.5x`) or a rate (`20/s`).
    #[serde(default)]
    pub step: RateStep,
    /// The beginning of each step, which is not judged.
    #[serde(default = "default_step_warm_up")]
    pub warm_up: Span,
    /// The part of each step that is judged.
    #[serde(default = "default_step_hold")]
    pub hold: Span,
    /// How often the gap between the last rate that held and the first that
    /// did not is halved.
    #[serde(default = "default_refine")]
    pub refine: u32,
    /// How a step's requests arrive.
    #[serde(default)]
    pub arrivals: CapacityArrivals,
    /// The capacity that there must be. None: that it is found is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Rate>,
}

impl Capacity {
    /// The rates on the way up, if every step holds: from `from`, to `to`.
    pub fn rates(&self) -> impl Iterator<Item = Rate> + '_ {
        std::iter::successors(Some(self.from), |rate| {
            (*rate < self.to).then(|| Rate(self.step.after(*rate).0.min(self.to.0)))
        })
    }
}

/// Default of [`Capacity::warm_up`].
pub fn default_step_warm_up() -> Span {
    Span::secs(3)
}

/// Default of [`Capacity::hold`].
pub fn default_step_hold() -> Span {
    Span::secs(10)
}

/// Default of [`Capacity::refine`].
pub fn default_refine() -> u32 {
    3
}

/// How the requests of a capacity search's step arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityArrivals {
    /// Exponential gaps.
    #[default]
    Poisson,
    /// Evenly spaced.
    Constant,
}
