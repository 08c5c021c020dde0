//! The run as lanes on one clock: what the page and the pictures both draw.

mod lanes;
mod scale;

pub(super) use lanes::{latency_limits, of};
pub(super) use scale::Scale;

/// Colours that everybody can tell apart (Okabe and Ito), by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// #0072B2
    Blue,
    /// #56B4E9
    Sky,
    /// #009E73
    Green,
    /// #F0E442
    Yellow,
    /// #E69F00
    Orange,
    /// #D55E00
    Vermillion,
    /// #CC79A7
    Purple,
    /// Neutral.
    Grey,
}

impl Tone {
    /// Its CSS class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Sky => "sky",
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Orange => "orange",
            Self::Vermillion => "vermillion",
            Self::Purple => "purple",
            Self::Grey => "grey",
        }
    }
}

/// What tells two areas apart besides their colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texture {
    /// Nothing.
    Plain,
    /// Slanted lines.
    Hatched,
    /// Only a thin bar: the usual state.
    Thin,
    /// Only its edge: not proven.
    Outline,
}

impl Texture {
    /// Its CSS class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Hatched => "hatched",
            Self::Thin => "thin",
            Self::Outline => "outline",
        }
    }
}

/// All lanes, on a clock that ends at `extent` seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timeline {
    /// How many seconds are drawn.
    pub(super) extent: f64,
    /// Seconds that one value of a layer stands for.
    pub(super) bucket: u32,
    /// The phases.
    pub(super) phases: Vec<Phase>,
    /// When faults and rollouts were first seen to act.
    pub(super) effects: Vec<f64>,
    /// Ticks of the time axis.
    pub(super) ticks: Vec<(f64, String)>,
    /// The lanes, from the top.
    pub(super) lanes: Vec<Lane>,
}

/// A phase's column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Phase {
    /// Its name.
    pub(super) name: String,
    /// From, in seconds.
    pub(super) start: f64,
    /// To, in seconds.
    pub(super) end: f64,
}

/// One lane.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lane {
    /// A short name without spaces.
    pub(super) id: &'static str,
    /// What it shows.
    pub(super) title: &'static str,
    /// In what: `requests/s`; may be empty.
    pub(super) unit: &'static str,
    /// The figures or the states.
    pub(super) kind: Kind,
}

/// What a lane is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Figures by bucket.
    Chart(Chart),
    /// States that last.
    Rows(Vec<Row>),
}

/// Figures over time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    /// From figures to heights.
    pub(super) scale: Scale,
    /// From the back to the front; [`Shape::Stack`] ones stand on each other.
    pub(super) layers: Vec<Layer>,
    /// Objectives.
    pub(super) limits: Vec<Limit>,
}

/// One figure by bucket.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    /// Its name in the legend.
    pub(super) name: String,
    /// Its colour.
    pub(super) tone: Tone,
    /// Its texture.
    pub(super) texture: Texture,
    /// How it is drawn.
    pub(super) shape: Shape,
    /// The figures. None: no samples.
    pub(super) values: Vec<Option<f64>>,
}

/// How a layer is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A line from bucket to bucket.
    Line,
    /// The same, with gaps.
    Dashed,
    /// A line that steps, as counts do.
    Step,
    /// Filled down to zero, stepping.
    Area,
    /// The same, on top of the layers below it.
    Stack,
}

/// An objective, where it holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Limit {
    /// As the scenario has it.
    pub(super) name: String,
    /// The figure.
    pub(super) value: f64,
    /// From, in seconds.
    pub(super) start: f64,
    /// To, in seconds.
    pub(super) end: f64,
}

/// States of one thing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Whose.
    pub(super) name: String,
    /// What it is, for those who do not know its name; may be empty.
    pub(super) note: String,
    /// Its states.
    pub(super) marks: Vec<Mark>,
}

/// A state that lasts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// From, in seconds.
    pub(super) start: f64,
    /// To, in seconds; the same for what happens at once.
    pub(super) end: f64,
    /// In a word or two, to be drawn on it; may be empty.
    pub(super) label: String,
    /// In a word or two, always.
    pub(super) state: String,
    /// In full, with its times.
    pub(super) title: String,
    /// Its colour.
    pub(super) tone: Tone,
    /// Its texture.
    pub(super) texture: Texture,
}
