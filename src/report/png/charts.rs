//! Single charts: the timeline's lanes by subject, large.

use super::{
    bitmap,
    columns::Columns,
    scene::{Anchor, Scene, Text},
    theme::Paint,
    timeline::{self, Lane, Layout, Source},
};
use crate::report::{Input, ReportError, text};

/// Width of a chart in pixels, its margin, and the room for its title.
const WIDTH: f64 = 1600.0;
const MARGIN: f64 = 44.0;
const HEAD: f64 = 96.0;

/// A file's name, a title, and the lanes.
const CHARTS: [(&str, &str, &[Lane]); 4] = [
    ("load", "Load", &[Lane::Faults, Lane::Load, Lane::Pods]),
    ("latency", "How long users waited", &[Lane::Faults, Lane::Load, Lane::Latency]),
    ("outcomes", "How requests ended", &[Lane::Faults, Lane::Load, Lane::Outcomes]),
    (
        "mechanisms",
        "How the service reacted",
        &[
            Lane::Faults,
            Lane::Outcomes,
            Lane::Breakers,
            Lane::Cache,
            Lane::Fallback,
            Lane::Rollout,
            Lane::Pods,
            Lane::Blind,
        ],
    ),
];

/// The charts by the names of their files.
pub(in crate::report) fn charts(input: &Input<'_>) -> Result<Vec<(&'static str, Vec<u8>)>, ReportError> {
    let columns = Columns::of(input.series);
    let source = Source { plan: input.plan, series: input.series, columns: &columns };
    let all = CHARTS.into_iter().map(|(name, title, lanes)| {
        let bytes = bitmap::png(&chart(input, source, title, lanes));
        Ok((name, bytes.map_err(|why| ReportError::Draw { chart: name, why })?))
    });
    let search = super::capacity::scene(input).map(|scene| {
        let bytes = bitmap::png(&scene);
        Ok(("capacity", bytes.map_err(|why| ReportError::Draw { chart: "capacity", why })?))
    });
    all.chain(search).collect()
}

fn chart(input: &Input<'_>, source: Source<'_>, title: &str, lanes: &[Lane]) -> Scene {
    // Few lanes may be tall.
    let tall = if lanes.len() > 4 { 1.5 } else { 2.6 };
    let layout = Layout { width: WIDTH - 2.0 * MARGIN, gutter: 190.0, text: 15.0, tall };
    let drawn = timeline::draw(source, lanes, layout);
    let mut scene = Scene::new(WIDTH, (HEAD + drawn.height + MARGIN * 0.7).ceil());
    let mut write = |at, text: String, size, bold, paint, anchor| {
        scene.text(Text { at, text, size, anchor, bold, paint });
    };
    let (word, verdict) = (text::word(input.verdict.verdict), Paint::of_verdict(input.verdict.verdict).0);
    write((MARGIN, 58.0), title.to_owned(), 28.0, true, Paint::Ink, Anchor::Start);
    write((WIDTH - MARGIN, 46.0), word.to_owned(), 18.0, true, verdict, Anchor::End);
    let of = super::font::fit(&input.verdict.scenario, 15.0, false, WIDTH / 2.0);
    write((WIDTH - MARGIN, 68.0), of, 15.0, false, Paint::Muted, Anchor::End);
    scene.place(drawn, (MARGIN, HEAD));
    scene
}
