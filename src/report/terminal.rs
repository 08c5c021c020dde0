//! The summary at the end of a run, for a terminal or a log.

use indexmap::IndexMap;

use super::{Input, figures, reactions, text};
use crate::verdict::model::{CheckKind, CheckVerdict, FaultFigures, ReactionFigures, Verdict};

/// Checks that hold are listed up to this many; beyond, they are counted.
const HOLDING: usize = 40;

/// Writes styled text, or the same text plain.
#[derive(Debug, Clone, Copy)]
struct Style {
    colour: bool,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn verdict(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Pass => "1;32",
            Verdict::Fail => "1;31",
            Verdict::Inconclusive => "1;33",
            Verdict::Aborted => "1;35",
        };
        self.paint(code, text)
    }
}

/// The run in a screen of text, no line longer than `width` characters
/// (at least 40).
pub fn terminal(input: &Input<'_>, colour: bool, width: usize) -> String {
    let style = Style { colour };
    let width = width.max(40);
    let mut out = headline(input, style, width);
    out.push(String::new());
    out.extend(key_figures(input, style, width));
    if !input.verdict.faults.is_empty() {
        out.push(String::new());
        out.push(style.bold("Faults"));
        out.extend(input.verdict.faults.iter().flat_map(|fault| fault_lines(fault, style, width)));
    }
    if !input.verdict.checks.is_empty() {
        out.push(String::new());
        out.push(style.bold("Checks"));
        out.extend(checks(input, style, width));
    }
    if !input.verdict.reactions.is_empty() {
        out.push(String::new());
        out.extend(reacted(&input.verdict.reactions, style, width));
    }
    if !input.verdict.findings.is_empty() {
        out.push(String::new());
        out.push(style.bold("Noticed"));
        for finding in &input.verdict.findings {
            let lines = text::wrapped(&text::printable(&finding.text), width - 4).into_iter().enumerate();
            out.extend(lines.map(|(i, line)| format!("  {} {line}", if i == 0 { "·" } else { " " })));
        }
    }
    let mut text = out.join("\n");
    text.push('\n');
    text
}

fn headline(input: &Input<'_>, style: Style, width: usize) -> Vec<String> {
    let verdict = input.verdict.verdict;
    let label = format!("{} {}", text::sign(verdict), text::word(verdict));
    let room = width.saturating_sub(label.chars().count() + 2);
    let about = format!(
        "{} · {} · seed {}",
        text::printable(&input.verdict.scenario),
        text::secs(input.series.end),
        input.verdict.seed
    );
    let mut out = vec![format!("{}  {}", style.verdict(verdict, &label), text::clipped(&about, room))];
    let why = text::printable(&input.verdict.why);
    out.extend(text::wrapped(&why, width - 2).into_iter().map(|line| format!("  {line}")));
    out
}

/// Two columns where there is room.
fn key_figures(input: &Input<'_>, style: Style, width: usize) -> Vec<String> {
    let columns = if width >= 76 { 2 } else { 1 };
    let column = width / columns;
    let all = figures::key_figures(input);
    let cell = |figure: &figures::KeyFigure| {
        let value = text::clipped(&figure.value, column.saturating_sub(20));
        let used = 2 + 17 + value.chars().count();
        let padding = " ".repeat(column.saturating_sub(used));
        format!("  {}{}{padding}", style.dim(&format!("{:<17}", figure.label)), style.bold(&value))
    };
    let rows = all.chunks(columns).map(|row| row.iter().map(cell).collect::<String>());
    rows.map(|row| row.trim_end().to_owned()).collect()
}

fn fault_lines(fault: &FaultFigures, style: Style, width: usize) -> Vec<String> {
    let at = |time: Option<f64>| time.map_or("–".to_owned(), text::secs);
    let (verdict, state) = match (fault.proven_at, fault.injected_at, fault.requested_at) {
        (Some(_), _, _) => (Verdict::Pass, "proven"),
        (None, Some(_), _) => (Verdict::Inconclusive, "injected, not proven"),
        (None, None, Some(_)) => (Verdict::Inconclusive, "not injected"),
        (None, None, None) => (Verdict::Inconclusive, "not reached"),
    };
    let targets: Vec<&str> = fault.targets.iter().map(|pod| pod.as_str()).collect();
    let on = if targets.is_empty() { String::new() } else { format!(" on {}", targets.join(", ")) };
    let first = format!("{}  {}{on}", text::printable(fault.id.as_str()), text::printable(&fault.what));
    let first = text::clipped(&text::printable(&first), width - 4);
    let times = format!(
        "asked {} · effect {} · gone {} · {state}",
        at(fault.requested_at),
        at(fault.proven_at),
        at(fault.recovered_at)
    );
    let mut lines = vec![format!("  {} {first}", style.verdict(verdict, text::sign(verdict)))];
    lines
        .extend(text::wrapped(&times, width - 4).into_iter().map(|line| format!("    {}", style.dim(&line))));
    lines
}

fn checks(input: &Input<'_>, style: Style, width: usize) -> Vec<String> {
    let mut sorted: Vec<&CheckVerdict> = input.verdict.checks.iter().collect();
    sorted.sort_by_key(|check| text::rank(check.verdict));
    let holding = sorted.iter().filter(|check| check.verdict == Verdict::Pass).count();
    let mut out = Vec::new();
    let mut shown = 0;
    for check in sorted {
        if check.verdict == Verdict::Pass {
            shown += 1;
            if shown > HOLDING {
                continue;
            }
        }
        out.extend(check_lines(check, style, width));
    }
    if holding > HOLDING {
        out.push(format!("  {} … and {} more that hold", text::sign(Verdict::Pass), holding - HOLDING));
    }
    out
}

/// `✔ title   observed   expected`; what does not hold also says why.
fn check_lines(check: &CheckVerdict, style: Style, width: usize) -> Vec<String> {
    let sign = style.verdict(check.verdict, text::sign(check.verdict));
    let title = match &check.phase {
        Some(phase) => format!("{} in {phase}", check.title),
        None if text::is_expectation(check) => check.title.clone(),
        None => check.title.clone(),
    };
    let observed_width = 14;
    let expected_width = (width / 3).min(30);
    let title_width = width.saturating_sub(4 + observed_width + 2 + expected_width + 1);
    let title = text::clipped(&text::printable(&title), title_width);
    let observed = text::clipped(&text::observed(check), observed_width);
    let expected = text::clipped(&text::printable(&check.expected), expected_width);
    let line =
        format!("  {sign} {title:<title_width$} {observed:>observed_width$}  {}", style.dim(&expected));
    let mut lines = vec![line.trim_end().to_owned()];
    // A capacity is more than its figure: what broke beyond it?
    if check.verdict != Verdict::Pass || check.kind == CheckKind::Capacity {
        let why = text::printable(&format!("{}: {}", check.id, check.why));
        lines.extend(text::wrapped(&why, width - 6).into_iter().map(|line| format!("      {line}")));
    }
    lines
}

/// Room for a time with its error.
const TIME: usize = 13;

/// A table of the times, by what it was that had to be reacted to; in a narrow
/// terminal a line of them under each name.
fn reacted(all: &[ReactionFigures], style: Style, width: usize) -> Vec<String> {
    let columns = reactions::COLUMNS;
    let room = width.saturating_sub(2 + columns.len() * (TIME + 1));
    let narrow = room < 20;
    let line = |first: &str, cells: [&str; 4]| {
        let cells = cells.map(|cell| format!(" {:>TIME$}", text::clipped(cell, TIME)));
        format!("{:<room$}{}", text::clipped(first, room), cells.concat())
    };
    let mut out = match narrow {
        true => vec![style.bold("Reactions")],
        false => vec![
            style.bold(&line("Reactions", columns.map(|(name, _)| name))),
            style.dim(&line("", columns.map(|(_, words)| words))),
        ],
    };
    let mut by_cause: IndexMap<&str, Vec<&ReactionFigures>> = IndexMap::new();
    all.iter().for_each(|reaction| by_cause.entry(reaction.cause.as_str()).or_default().push(reaction));
    for (cause, mine) in by_cause {
        out.push(style.dim(&text::clipped(&text::printable(&format!("  after {cause}")), width)));
        for reaction in mine {
            let name = format!("    {}", text::printable(&reactions::mechanism(reaction)));
            let times = reactions::times(reaction).map(reactions::short);
            if narrow {
                let told = columns.iter().zip(&times).map(|((column, _), time)| format!("{column} {time}"));
                let told = told.collect::<Vec<_>>().join(" · ");
                out.push(text::clipped(&name, width));
                out.extend(text::wrapped(&told, width - 6).into_iter().map(|line| format!("      {line}")));
            } else {
                out.push(line(&name, times.each_ref().map(String::as_str)));
            }
        }
    }
    out
}
