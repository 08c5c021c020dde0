//! The run as Markdown, for a pull request or a chat: verdict and reasons
//! first, then checks and faults.

use std::fmt::Write as _;

use super::{Input, figures, text};
use crate::verdict::model::{CheckVerdict, Verdict};

/// The run in a page of Markdown.
pub fn markdown(input: &Input<'_>) -> String {
    let verdict = input.verdict;
    let mut out = String::new();
    // Writing to a String can't fail, here and below.
    let _ = writeln!(
        out,
        "## {} {} · {}\n\n{}\n",
        text::sign(verdict.verdict),
        text::word(verdict.verdict),
        cell(&verdict.scenario),
        cell(&verdict.why)
    );
    let _ = writeln!(
        out,
        "{} · {} · seed {} · {}\n",
        figures::when(input),
        text::secs(input.series.end),
        verdict.seed,
        cell(&figures::target(input))
    );
    table(
        &mut out,
        &["", ""],
        figures::key_figures(input).iter().map(|figure| {
            vec![figure.label.to_owned(), format!("**{}** {}", cell(&figure.value), cell(&figure.note))]
        }),
    );
    let mut checks: Vec<&CheckVerdict> = verdict.checks.iter().collect();
    checks.sort_by_key(|check| text::rank(check.verdict));
    table(&mut out, &["", "check", "expected", "observed", "why"], checks.into_iter().map(check));
    table(
        &mut out,
        &["fault", "what", "targets", "asked", "effect", "gone"],
        verdict.faults.iter().map(|fault| {
            let at = |time: Option<f64>| time.map_or("–".to_owned(), text::secs);
            let targets: Vec<&str> = fault.targets.iter().map(|pod| pod.as_str()).collect();
            vec![
                cell(fault.id.as_str()),
                cell(&fault.what),
                cell(&targets.join(", ")),
                at(fault.requested_at),
                at(fault.proven_at),
                at(fault.recovered_at),
            ]
        }),
    );
    out
}

fn check(check: &CheckVerdict) -> Vec<String> {
    let place = check.phase.as_ref().map_or_else(String::new, |phase| format!(" in {phase}"));
    // What holds needs no words.
    let why = if check.verdict == Verdict::Pass { "" } else { &check.why };
    vec![
        text::sign(check.verdict).to_owned(),
        cell(&format!("{}{place}", check.title)),
        cell(&check.expected),
        cell(&text::observed(check)),
        cell(why),
    ]
}

/// A table; nothing, if it has no rows.
fn table(out: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "| {} |\n|{}", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
}

/// Text that can't end its cell or begin markup.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text::printable(text).chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '*' | '_' | '`' | '<' | '[' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{Health, run};

    #[test]
    fn the_verdict_comes_first_and_every_check_has_a_row() {
        let ill = run(Health::Ill);
        let text = markdown(&ill.input());
        assert!(text.starts_with("## ✘ FAIL"), "{text}");
        for check in &ill.verdict.checks {
            assert!(text.contains(&cell(&check.title)), "{} in {text}", check.title);
        }
    }

    #[test]
    fn no_text_ends_its_cell() {
        let mut ill = run(Health::Ill);
        let columns = |text: &str| -> Vec<usize> {
            text.lines()
                .filter(|l| l.starts_with('|'))
                .map(|l| l.replace("\\|", "").matches('|').count())
                .collect()
        };
        let before = columns(&markdown(&ill.input()));
        ill.verdict.checks[0].why = "a | b\n| c | <b>`x`".to_owned();
        ill.verdict.checks[0].verdict = Verdict::Fail;
        assert_eq!(before.len(), columns(&markdown(&ill.input())).len());
        assert!(columns(&markdown(&ill.input())).iter().all(|n| [3, 6, 7].contains(n)));
    }
}
