//! Lanes → what the template draws: paths whose x is seconds, boxes in
//! percent of the width. Both stretch with the page; text never does.

use std::fmt::Write;

use serde::Serialize;

use crate::report::{
    Input, ReportError, text,
    timeline::{self, Chart, Kind, Lane, Layer, Row, Scale, Shape, Texture, Timeline},
};

/// The timeline.
#[derive(Debug, Serialize)]
pub(super) struct TimelineView {
    extent: f64,
    phases: Vec<Column>,
    effects: Vec<f64>,
    ticks: Vec<Tick>,
    lanes: Vec<LaneView>,
    /// For the script, safe inside a `script` element.
    data: String,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    left: f64,
    width: f64,
}

#[derive(Debug, Serialize)]
struct Tick {
    at: f64,
    label: String,
}

#[derive(Debug, Serialize)]
struct LaneView {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    /// For those who do not see it.
    label: String,
    legend: Vec<Key>,
    ticks: Vec<Tick>,
    paths: Vec<Drawn>,
    limits: Vec<LimitView>,
    rows: Option<Vec<RowView>>,
}

#[derive(Debug, Serialize)]
struct Key {
    name: String,
    tone: &'static str,
    look: &'static str,
}

/// One path; hatched areas are drawn twice.
#[derive(Debug, Serialize)]
struct Drawn {
    d: String,
    tone: &'static str,
    look: &'static str,
    hatched: bool,
}

#[derive(Debug, Serialize)]
struct LimitView {
    name: String,
    left: f64,
    width: f64,
    bottom: f64,
}

#[derive(Debug, Serialize)]
struct RowView {
    name: String,
    note: String,
    /// Where the note has room: right of the last mark, or left of the first.
    note_left: Option<f64>,
    note_right: Option<f64>,
    marks: Vec<MarkView>,
}

#[derive(Debug, Serialize)]
struct MarkView {
    left: f64,
    width: f64,
    label: String,
    title: String,
    tone: &'static str,
    texture: &'static str,
}

/// What the script shows under the crosshair.
#[derive(Debug, Serialize)]
struct Data<'a> {
    extent: f64,
    bucket: u32,
    phases: Vec<(&'a str, f64, f64)>,
    lanes: Vec<LaneData<'a>>,
}

#[derive(Debug, Serialize)]
struct LaneData<'a> {
    title: &'a str,
    /// How figures are to be shown.
    unit: &'a str,
    /// Name, colour, figure by bucket.
    layers: Vec<(&'a str, &'a str, Vec<Option<f64>>)>,
    /// Name, and its states.
    rows: Vec<(&'a str, Vec<State<'a>>)>,
}

/// From, to (seconds), what.
type State<'a> = (f64, f64, &'a str);

impl TimelineView {
    pub(super) fn of(input: &Input<'_>) -> Result<Self, ReportError> {
        let timeline = timeline::of(input);
        let at = |t: f64| percent(t, timeline.extent);
        Ok(Self {
            extent: timeline.extent,
            phases: timeline
                .phases
                .iter()
                .map(|phase| Column {
                    name: phase.name.clone(),
                    left: at(phase.start),
                    width: percent(phase.end - phase.start, timeline.extent),
                })
                .collect(),
            effects: timeline.effects.iter().map(|&t| at(t)).collect(),
            ticks: timeline
                .ticks
                .iter()
                .map(|(t, label)| Tick { at: at(*t), label: label.clone() })
                .collect(),
            lanes: timeline.lanes.iter().map(|lane| lane_view(lane, &timeline)).collect(),
            data: script_safe(&serde_json::to_string(&data(&timeline))?),
        })
    }
}

/// Two decimals are finer than a pixel.
fn percent(part: f64, whole: f64) -> f64 {
    (part / whole * 10_000.0).round().clamp(0.0, 10_000.0) / 100.0
}

/// JSON that can't end the element it stands in.
fn script_safe(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn lane_view(lane: &Lane, timeline: &Timeline) -> LaneView {
    let mut view = LaneView {
        id: lane.id,
        title: lane.title,
        unit: lane.unit,
        label: lane.title.to_owned(),
        legend: Vec::new(),
        ticks: Vec::new(),
        paths: Vec::new(),
        limits: Vec::new(),
        rows: None,
    };
    match &lane.kind {
        Kind::Chart(chart) => draw_chart(lane, chart, timeline, &mut view),
        Kind::Rows(rows) => {
            view.label = format!("{}: {}", lane.title, rows.iter().map(told).collect::<Vec<_>>().join("; "));
            view.rows = Some(rows.iter().map(|row| row_view(row, timeline)).collect());
        }
    }
    view
}

/// A row in words.
fn told(row: &Row) -> String {
    let titles: Vec<&str> = row.marks.iter().take(20).map(|mark| mark.title.as_str()).collect();
    titles.join(", ")
}

fn draw_chart(lane: &Lane, chart: &Chart, timeline: &Timeline, view: &mut LaneView) {
    let name = |value: f64| match lane.id {
        "latency" if value >= 1000.0 => format!("{} s", text::trimmed(value / 1e3, 1)),
        "latency" => text::ms(value),
        _ => text::trimmed(value, 1),
    };
    // There is no half a pod.
    let shown = |tick: &f64| lane.id != "pods" || tick.fract() == 0.0;
    view.ticks = chart
        .scale
        .ticks()
        .into_iter()
        .filter(shown)
        .map(|value| Tick { at: percent(chart.scale.height(value), 1.0), label: name(value) })
        .collect();
    let mut base: Vec<f64> = Vec::new();
    for layer in &chart.layers {
        let path = Path { timeline, scale: chart.scale, layer };
        let (d, look) = match layer.shape {
            Shape::Line => (path.line(), "line"),
            Shape::Dashed => (path.line(), "dashed"),
            Shape::Step => (path.step(), "line"),
            Shape::Area => (path.area(&mut vec![0.0; layer.values.len()]), "area"),
            Shape::Stack => {
                base.resize(layer.values.len(), 0.0);
                (path.area(&mut base), "stack")
            }
        };
        let hatched = layer.texture == Texture::Hatched;
        view.legend.push(Key {
            name: layer.name.clone(),
            tone: layer.tone.class(),
            look: if hatched { "hatched" } else { look },
        });
        view.paths.push(Drawn { d, tone: layer.tone.class(), look, hatched });
    }
    view.limits = chart
        .limits
        .iter()
        .map(|limit| LimitView {
            name: limit.name.clone(),
            left: percent(limit.start, timeline.extent),
            width: percent(limit.end - limit.start, timeline.extent),
            bottom: percent(chart.scale.height(limit.value), 1.0),
        })
        .collect();
    let peaks = chart.layers.iter().map(|layer| {
        let peak = layer.values.iter().flatten().copied().reduce(f64::max);
        format!("{} at most {}", layer.name, peak.map_or("–".to_owned(), name))
    });
    view.label = format!("{} {}: {}", lane.title, lane.unit, peaks.collect::<Vec<_>>().join(", "));
}

/// A layer on its way to an SVG path: x in seconds, y from 0 (top) to 100.
struct Path<'a> {
    timeline: &'a Timeline,
    scale: Scale,
    layer: &'a Layer,
}

impl Path<'_> {
    fn x(&self, bucket: f64) -> f64 {
        (bucket * f64::from(self.timeline.bucket)).min(self.timeline.extent)
    }

    fn y(&self, value: f64) -> f64 {
        (1000.0 - self.scale.height(value) * 1000.0).round() / 10.0
    }

    /// Runs of buckets that have values: where each begins, and the values.
    fn runs(&self) -> Vec<(usize, Vec<f64>)> {
        let mut runs: Vec<(usize, Vec<f64>)> = Vec::new();
        for (i, value) in self.layer.values.iter().enumerate() {
            match (value, runs.last_mut()) {
                (Some(value), Some((start, run))) if *start + run.len() == i => run.push(*value),
                (Some(value), _) => runs.push((i, vec![*value])),
                (None, _) => {}
            }
        }
        runs
    }

    /// Through the middle of each bucket; a run reaches to the edges of its
    /// first and last one, so that a single bucket is seen too.
    fn line(&self) -> String {
        let mut d = String::new();
        for (start, run) in self.runs() {
            let (first, last) = (run[0], run[run.len() - 1]);
            let _ = write!(d, "M{} {}", self.x(start as f64), self.y(first));
            for (i, value) in run.iter().enumerate() {
                let _ = write!(d, "L{} {}", self.x((start + i) as f64 + 0.5), self.y(*value));
            }
            let _ = write!(d, "L{} {}", self.x((start + run.len()) as f64), self.y(last));
        }
        d
    }

    fn step(&self) -> String {
        let mut d = String::new();
        for (start, run) in self.runs() {
            let _ = write!(d, "M{} {}", self.x(start as f64), self.y(run[0]));
            for (i, value) in run.iter().enumerate() {
                let _ = write!(d, "V{}H{}", self.y(*value), self.x((start + i + 1) as f64));
            }
        }
        d
    }

    /// From `base` up, and `base` grows by it.
    fn area(&self, base: &mut [f64]) -> String {
        let mut d = String::new();
        for (start, run) in self.runs() {
            if run.iter().all(|&value| value == 0.0) {
                continue;
            }
            let _ = write!(d, "M{} {}", self.x(start as f64), self.y(base[start]));
            for (i, value) in run.iter().enumerate() {
                let _ = write!(d, "V{}H{}", self.y(base[start + i] + value), self.x((start + i + 1) as f64));
            }
            for i in (start..start + run.len()).rev() {
                let _ = write!(d, "V{}H{}", self.y(base[i]), self.x(i as f64));
            }
            d.push('Z');
            for (i, value) in run.iter().enumerate() {
                base[start + i] += value;
            }
        }
        d
    }
}

fn row_view(row: &Row, timeline: &Timeline) -> RowView {
    let extent = timeline.extent;
    let marks: Vec<MarkView> = row
        .marks
        .iter()
        .map(|mark| MarkView {
            left: percent(mark.start, extent),
            width: percent(mark.end - mark.start, extent),
            label: if fits(mark, extent) { mark.label.clone() } else { String::new() },
            title: mark.title.clone(),
            tone: mark.tone.class(),
            texture: mark.texture.class(),
        })
        .collect();
    let start = row.marks.first().map_or(0.0, |mark| percent(mark.start, extent));
    let end = row.marks.last().map_or(0.0, |mark| percent(mark.end, extent));
    // Half of the width is enough for any note.
    let (note_left, note_right) = if end > 60.0 { (None, Some(100.0 - start)) } else { (Some(end), None) };
    RowView { name: row.name.clone(), note: row.note.clone(), note_left, note_right, marks }
}

/// Whether a mark has room for its label where the page is wide: a character
/// is about 0.62 % of a plot.
fn fits(mark: &timeline::Mark, extent: f64) -> bool {
    percent(mark.end - mark.start, extent) > mark.label.chars().count() as f64 * 0.62 + 0.8
}

fn data(timeline: &Timeline) -> Data<'_> {
    Data {
        extent: timeline.extent,
        bucket: timeline.bucket,
        phases: timeline.phases.iter().map(|phase| (phase.name.as_str(), phase.start, phase.end)).collect(),
        lanes: timeline.lanes.iter().map(lane_data).collect(),
    }
}

fn lane_data(lane: &Lane) -> LaneData<'_> {
    let rounded = |value: f64| (value * 100.0).round() / 100.0;
    let unit = if lane.id == "latency" { "ms" } else { lane.unit };
    let mut data = LaneData { title: lane.title, unit, layers: Vec::new(), rows: Vec::new() };
    match &lane.kind {
        Kind::Chart(chart) => {
            let layer = |layer: &'_ Layer| layer.values.iter().map(|value| value.map(rounded)).collect();
            data.layers = chart.layers.iter().map(|l| (l.name.as_str(), l.tone.class(), layer(l))).collect();
        }
        Kind::Rows(rows) => data.rows = rows.iter().map(|row| (row.name.as_str(), states(row))).collect(),
    }
    data
}

/// When a row is in which state, for the crosshair.
fn states(row: &Row) -> Vec<State<'_>> {
    row.marks.iter().map(|mark| (mark.start, mark.end, mark.state.as_str())).collect()
}
