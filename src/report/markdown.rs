//! The run as Markdown, for a pull request or a chat: verdict and reasons
//! first, then checks and faults, then budgets and what else was noticed.

use std::fmt::Write as _;

use super::{Input, figures, reactions, text};
use crate::verdict::{
    lasting,
    model::{CheckVerdict, Verdict},
    times,
};

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
    reacted(input, &mut out);
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
    budget(input, &mut out);
    if !verdict.findings.is_empty() {
        out.push_str("### What else was noticed\n\n");
        for finding in &verdict.findings {
            let _ = writeln!(out, "- {}", cell(&finding.text));
        }
        out.push_str("\nFindings, not verdicts: no check depends on them.\n");
    }
    out
}

/// How fast each mechanism reacted, with a sentence for each.
fn reacted(input: &Input<'_>, out: &mut String) {
    let all = &input.verdict.reactions;
    if all.is_empty() {
        return;
    }
    let [impact, ttd, ttm, ttr] = reactions::COLUMNS.map(|(name, words)| format!("{name} ({words})"));
    let rows = all.iter().map(|reaction| {
        let who = format!("{} after {}", reactions::mechanism(reaction), reaction.cause.as_str());
        let times = reactions::times(reaction).map(|timing| cell(&reactions::short(timing)));
        std::iter::once(cell(&who)).chain(times).collect()
    });
    table(out, &["reaction", &impact, &ttd, &ttm, &ttr], rows);
    for reaction in all {
        let _ = writeln!(out, "- {}", cell(&reaction.text));
    }
    out.push('\n');
}

/// What each phase burnt of every budget.
fn budget(input: &Input<'_>, out: &mut String) {
    let rows = input.verdict.budget.iter().flat_map(|budget| {
        let slo = cell(&format!("{} {}", budget.slo, budget.limit));
        let none = budget.allowed.is_none().then(|| {
            let dash = || "–".to_owned();
            vec![slo.clone(), dash(), dash(), "no budget: 100 % allows nothing".to_owned(), dash(), dash()]
        });
        let burns = budget.phases.iter().map(move |burn| {
            vec![
                slo.clone(),
                cell(&burn.phase),
                format!("{} of {}", text::count(burn.bad), text::count(burn.requests)),
                times(burn.rate),
                burn.gone_after.map_or("∞".to_owned(), lasting),
                text::tiny_percent(burn.spent),
            ]
        });
        none.into_iter().chain(burns)
    });
    table(out, &["error budget", "phase", "bad", "burn rate", "a month's budget lasts", "spent of it"], rows);
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
