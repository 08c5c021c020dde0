//! What stands out, in one sentence.

use super::{
    Found, LINGER,
    measures::{Measure, Scale, Worse},
};
use crate::{
    units::FaultId,
    verdict::{
        finding::percent,
        model::{AnomalyKind, Circumstance},
    },
};

/// `TTFT p95 stayed at 310 ms after `kill` was over, 2.4 times the baseline
/// (128 ms)`
pub(super) fn of(found: &Found<'_>) -> String {
    let name = found.measure.at(found.source);
    let away = compared(found);
    let text = match found.kind {
        AnomalyKind::Shift => shift(found, &name, &away),
        AnomalyKind::Spike => {
            let moved = match found.measure.worse {
                Worse::Up => "rose",
                Worse::Down => "fell",
            };
            let figure = figure(found.measure, found.observed);
            format!("{}: {name} {moved} to {figure}{away}, {}", when(found), circumstance(found))
        }
    };
    let text = capital(&text);
    match found.also.as_slice() {
        [] => text,
        also => format!("{text}; {} {} it too", list(also), if also.len() == 1 { "shows" } else { "show" }),
    }
}

/// The first letter made large.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn shift(found: &Found<'_>, name: &str, away: &str) -> String {
    let figure = figure(found.measure, found.observed);
    let until = if found.to_the_end { "to the end".to_owned() } else { format!("to {}", secs(found.end)) };
    match &found.circumstance {
        // It is that act's as far as anybody can tell: never back since.
        Circumstance::After { act, seconds } if *seconds <= 2.0 * LINGER => {
            format!(
                "{name} stayed at {figure} after `{act}` was over{away} (from {} {until})",
                secs(found.start)
            )
        }
        _ => {
            format!(
                "from {} {until}: {name} stayed at {figure}{away}, {}",
                secs(found.start),
                circumstance(found)
            )
        }
    }
}

fn when(found: &Found<'_>) -> String {
    if found.end - found.start <= 1.0 {
        format!("at {}", secs(found.start))
    } else {
        format!("from {} to {}", secs(found.start), secs(found.end))
    }
}

/// The figure beside the baseline's.
fn compared(found: &Found<'_>) -> String {
    let usual = figure(found.measure, found.baseline);
    match found.measure.scale {
        Scale::Factor => {
            let times = found.observed / found.baseline;
            let times = if times < 9.95 { format!("{times:.1}") } else { format!("{times:.0}") };
            format!(", {} times the baseline ({usual})", times.trim_end_matches(".0"))
        }
        Scale::Share => {
            let share = (found.observed / found.baseline * 100.0).round();
            format!(", {share:.0} % of the baseline ({usual})")
        }
        Scale::Plain => format!(" (baseline {usual})"),
    }
}

fn circumstance(found: &Found<'_>) -> String {
    match &found.circumstance {
        Circumstance::Quiet => "while nothing was broken".to_owned(),
        Circumstance::After { act, seconds } if *seconds > LINGER => {
            format!("while nothing was broken (`{act}` had been over for {})", secs(*seconds))
        }
        Circumstance::After { act, seconds } if *seconds < 1.0 => format!("just after `{act}` was over"),
        Circumstance::After { act, seconds } => format!("{} after `{act}` was over", secs(*seconds)),
        Circumstance::During { acts } => {
            let names: Vec<String> = acts.iter().map(|id: &FaultId| format!("`{id}`")).collect();
            let load = found.load.map_or_else(String::new, |times| {
                format!(" and the load was {times:.1} times the baseline's")
            });
            format!("while {} acted{load}", list(&names))
        }
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// A figure in its unit, with three digits or so.
fn figure(measure: &Measure, value: f64) -> String {
    let digits = match value.abs() {
        a if a < 9.95 => 1,
        _ => 0,
    };
    let number = format!("{value:.digits$}");
    let number = number.strip_suffix(".0").unwrap_or(&number);
    match measure.unit {
        "ratio" => percent((value * 1000.0).round() / 1000.0).replace('%', " %"),
        "ms" => format!("{number} ms"),
        "/s" => format!("{number} /s"),
        _ => number.to_owned(),
    }
}

/// A time on the run's clock: bins begin at whole seconds.
fn secs(seconds: f64) -> String {
    format!("{seconds:.0} s")
}
