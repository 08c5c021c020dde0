//! Lanes of what lasts: faults, breakers, the rollout, pods, blind spots.

use indexmap::IndexMap;

use super::{Buckets, layer};
use crate::{
    journal::event::RolloutPhase,
    report::{
        text,
        timeline::{Chart, Kind, Lane, Mark, Row, Scale, Shape, Texture, Tone},
    },
    units::RolloutName,
    verdict::{
        Series,
        series::{FaultBar, RolloutBand},
    },
};

/// A lane of rows, if there are any.
fn rows(id: &'static str, title: &'static str, rows: Vec<Row>) -> Option<Lane> {
    (!rows.is_empty()).then_some(Lane { id, title, unit: "", kind: Kind::Rows(rows) })
}

/// One row for each act of the timeline.
pub(super) fn faults(series: &Series) -> Option<Lane> {
    rows("faults", "Faults, rollouts", series.faults.iter().map(|bar| fault(bar, series)).collect())
}

fn fault(bar: &FaultBar, series: &Series) -> Row {
    let tone = if bar.is_deploy { Tone::Blue } else { Tone::Vermillion };
    let targets: Vec<&str> = bar.targets.iter().map(|pod| pod.as_str()).collect();
    let note = match targets.as_slice() {
        [] => bar.what.clone(),
        [one] => format!("{} on {one}", bar.what),
        several => format!("{} on {} pods", bar.what, several.len()),
    };
    let at = |time: Option<f64>| time.map_or("–".to_owned(), text::secs);
    let title = format!(
        "{}: {} ({}) — asked for {}, first effect {}, gone {}",
        bar.id,
        note,
        bar.state.replace('-', " "),
        at(bar.requested),
        at(bar.effect.map(|(_, by)| by)),
        at(bar.recovered)
    );
    let mark = |start: f64, end: f64, texture, state: &str| Mark {
        start,
        end,
        label: String::new(),
        state: state.to_owned(),
        title: title.clone(),
        tone,
        texture,
    };
    let mut marks = Vec::new();
    if let Some(requested) = bar.requested {
        let acts = bar.effect.map(|(_, by)| by);
        let end = bar.bar_end.unwrap_or(requested).max(requested);
        let until = acts.unwrap_or(end).min(series.end.max(requested));
        if until > requested {
            let (texture, state) = if acts.is_some() {
                (Texture::Hatched, "asked for")
            } else {
                (Texture::Outline, "not proven")
            };
            marks.push(mark(requested, until, texture, state));
        }
        if let Some(acts) = acts {
            marks.push(mark(acts, end.max(acts), Texture::Plain, "acts"));
        }
    }
    let note = match bar.state.as_str() {
        "proven" => note,
        state => format!("{note} — {}", state.replace('-', " ")),
    };
    Row { name: bar.id.to_string(), note, marks }
}

/// One row for each breaker.
pub(super) fn breakers(series: &Series) -> Option<Lane> {
    let breakers = series.breakers.iter().map(|(name, bands)| Row {
        name: name.clone(),
        note: String::new(),
        marks: bands
            .iter()
            .map(|band| {
                let (tone, texture, label) = match band.state.as_str() {
                    "open" => (Tone::Vermillion, Texture::Plain, "open"),
                    "half-open" => (Tone::Yellow, Texture::Hatched, "half"),
                    _ => (Tone::Green, Texture::Thin, ""),
                };
                Mark {
                    start: band.start,
                    end: band.end,
                    label: label.to_owned(),
                    state: band.state.clone(),
                    title: format!(
                        "{name}: {} from {} to {}",
                        band.state,
                        text::secs(band.start),
                        text::secs(band.end)
                    ),
                    tone,
                    texture,
                }
            })
            .collect(),
    });
    rows("breakers", "Breakers", breakers.collect())
}

/// The rollout's phases.
pub(super) fn rollout(series: &Series) -> Option<Lane> {
    let mut of: IndexMap<_, Vec<Mark>> = IndexMap::new();
    for band in &series.rollout {
        of.entry(&band.of).or_default().push(rollout_mark(band));
    }
    let several = of.len() > 1;
    let name = |of: &Option<RolloutName>| match of {
        Some(of) if several => of.to_string(),
        Some(_) | None => "phase".to_owned(),
    };
    let rollouts = of.into_iter().map(|(of, marks)| Row { name: name(of), note: String::new(), marks });
    rows("rollout", "Rollout", rollouts.collect())
}

fn rollout_mark(band: &RolloutBand) -> Mark {
    let candidate = band.candidate.as_ref().map_or("?", |version| version.as_str());
    let share = text::percent(band.weight);
    let (tone, texture, label) = match band.phase {
        RolloutPhase::Stable => (Tone::Green, Texture::Thin, String::new()),
        RolloutPhase::Progressing => (Tone::Blue, Texture::Plain, format!("{candidate} {share}")),
        RolloutPhase::RollingBack => (Tone::Orange, Texture::Hatched, "rolling back".to_owned()),
        RolloutPhase::RolledBack => (Tone::Green, Texture::Thin, String::new()),
        RolloutPhase::Promoted => (Tone::Purple, Texture::Plain, format!("{candidate} promoted")),
    };
    let phase = match band.phase {
        RolloutPhase::Stable => format!("{} is stable", band.stable),
        RolloutPhase::Progressing => format!("{candidate} gets {share}"),
        RolloutPhase::RollingBack => format!("rolling back {candidate}"),
        RolloutPhase::RolledBack => format!("rolled back to {}", band.stable),
        RolloutPhase::Promoted => format!("{candidate} was promoted"),
    };
    let reason = if band.reason.is_empty() { String::new() } else { format!(" ({})", band.reason) };
    Mark {
        start: band.start,
        end: band.end,
        label,
        state: phase.clone(),
        title: format!("{phase}{reason}, from {} to {}", text::secs(band.start), text::secs(band.end)),
        tone,
        texture,
    }
}

/// Pods that are listed and that are ready, the least of each bucket.
pub(super) fn pods(series: &Series, buckets: Buckets) -> Option<Lane> {
    series.pods_ready.first()?;
    let width = f64::from(buckets.width);
    let count = (series.seconds.div_ceil(buckets.width)) as usize;
    let (mut ready, mut listed) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut steps = series.pods_ready.iter().peekable();
    let mut now = None;
    for bucket in 0..count {
        let end = (bucket + 1) as f64 * width;
        let mut least = now;
        while let Some(step) = steps.next_if(|step| step.at < end) {
            now = Some((step.ready, step.listed));
            least = least.map_or(now, |(r, l): (u32, u32)| Some((r.min(step.ready), l.min(step.listed))));
        }
        ready.push(least.map(|(ready, _)| f64::from(ready)));
        listed.push(least.map(|(_, listed)| f64::from(listed)));
    }
    let layers = vec![
        layer("ready", Tone::Green, Shape::Area, ready),
        layer("listed", Tone::Grey, Shape::Step, listed),
    ];
    let most = series.pods_ready.iter().map(|step| f64::from(step.listed.max(step.ready)));
    let scale = Scale::Linear { max: most.fold(1.0, f64::max) };
    Some(Lane {
        id: "pods",
        title: "Pods",
        unit: "",
        kind: Kind::Chart(Chart { scale, layers, limits: vec![] }),
    })
}

/// Where sources of signals did not answer.
pub(super) fn blind(series: &Series) -> Option<Lane> {
    let mut sources: Vec<Row> = Vec::new();
    for band in &series.blind {
        let mark = Mark {
            start: band.start,
            end: band.end,
            label: "no answer".to_owned(),
            state: "no answer".to_owned(),
            title: format!(
                "{} did not answer ({}) from {} to {}",
                band.name,
                band.state,
                text::secs(band.start),
                text::secs(band.end)
            ),
            tone: Tone::Grey,
            texture: Texture::Hatched,
        };
        match sources.iter_mut().find(|row| row.name == band.name) {
            Some(row) => row.marks.push(mark),
            None => sources.push(Row { name: band.name.clone(), note: String::new(), marks: vec![mark] }),
        }
    }
    rows("blind", "Unseen", sources)
}
