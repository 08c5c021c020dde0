//! The report on runs of every kind, good and odd.

use std::{fs, path::Path};

use super::{
    Format, explain, html, list, markdown, summary_png, terminal,
    testing::{Health, Run, aborted, nothing, run, search},
    write,
};
use crate::{
    journal::{Event, Record, event::Signal},
    units::{RolloutName, Seen},
    verdict::model::CheckKind,
};

fn odd_runs() -> Vec<(&'static str, Run)> {
    vec![
        ("pass", run(Health::Well)),
        ("fail", run(Health::Ill)),
        ("aborted", aborted()),
        ("nothing", nothing()),
        ("capacity", search()),
    ]
}

#[test]
fn every_run_has_a_report() {
    for (name, run) in odd_runs() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/report-preview").join(name);
        fs::create_dir_all(&dir).expect("a folder");
        write(&dir, &run.input(), &Format::ALL).expect("a report");
        fs::write(dir.join("terminal.txt"), terminal(&run.input(), true, 80)).expect("a file");
        let page = fs::read_to_string(dir.join("report.html")).expect("the report");
        assert!(page.contains(&run.verdict.verdict.as_str().to_uppercase()), "{name}");
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let (a, b) = (run(Health::Ill), run(Health::Ill));
    assert_eq!(html(&a.input()).expect("HTML"), html(&b.input()).expect("HTML"));
    assert!(summary_png(&a.input()).expect("a PNG") == summary_png(&b.input()).expect("a PNG"));
}

#[test]
fn a_search_is_drawn_with_its_knee() {
    let run = search();
    let page = html(&run.input()).expect("HTML");
    let holds = run.verdict.capacity.as_ref().and_then(|capacity| capacity.holds).expect("a knee");
    assert!(
        page.contains("How much it carries") && page.contains("TTFT p90 &lt; 500ms breaks at"),
        "the knee in words"
    );
    assert!(page.contains(&super::text::figure(holds, "/s").replace('/', "&#x2f;")));
    let charts = super::png::charts(&run.input()).expect("charts");
    assert!(charts.iter().any(|(name, bytes)| *name == "capacity" && bytes.len() > 10_000));
    let told = terminal(&run.input(), false, 100);
    assert!(told.contains("highest rate within the SLOs") && told.contains("breaks"), "{told}");
    assert!(!html(&nothing().input()).expect("HTML").contains("How much it carries"));
}

#[test]
fn budgets_and_findings_are_told_in_every_form_that_has_room() {
    let ill = run(Health::Ill);
    let input = ill.input();
    let page = html(&input).expect("HTML");
    for told in [
        "Error budget",
        "over budget",
        "What else was noticed",
        "availability fell to",
        "<code>cut-off</code>",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let finding = &ill.verdict.findings.first().expect("the cut is noticed").text;
    let page = markdown(&input);
    assert!(page.contains("| availability >= 99% | fault | 74 of 1"), "{page}");
    assert!(page.contains(&format!("- {}", finding.replace('`', "\\`"))), "{page}");
    assert!(terminal(&input, false, 500).contains(finding));
    // Nothing where there is nothing to tell.
    let nothing = nothing();
    let input = nothing.input();
    let page = html(&input).expect("HTML") + &markdown(&input) + &terminal(&input, false, 80);
    assert!(!page.contains("What else was noticed") && !page.contains("Noticed"), "{page}");
    assert!(!page.contains("over budget") && !page.contains("within budget"), "{page}");
}

#[test]
fn reactions_are_told_in_every_form_that_has_room() {
    let ill = run(Health::Ill);
    let input = ill.input();
    let reaction = ill.verdict.reactions.iter().find(|one| one.id.as_str() == "circuit-breaker.slow-link");
    let reaction = reaction.expect("a reaction");
    let said = reaction.text.replace('`', "");
    let page = html(&input).expect("HTML");
    for told in ["How fast it reacted", "TTD<small>noticed", "after slow-link", said.as_str()] {
        assert!(page.contains(told), "{told}");
    }
    assert!(markdown(&input).contains("| Circuit breaker after slow-link |"), "{}", markdown(&input));
    for width in [40, 60, 80, 120] {
        let told = terminal(&input, false, width);
        assert!(told.contains("TTM") && told.contains("after slow-link"), "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= width), "{told}");
    }
    let told = explain(&input, "circuit-breaker.slow-link.opens-within").expect("the check");
    assert!(told.contains("(circuit-breaker.slow-link)") && told.contains(&reaction.text), "{told}");
    // Nothing where nothing had to react.
    let search = search();
    let page = html(&search.input()).expect("HTML") + &terminal(&search.input(), false, 80);
    assert!(!page.contains("How fast it reacted") && !page.contains("Reactions"), "{page}");
}

#[test]
fn a_check_on_samples_shows_a_few_of_them() {
    let well = run(Health::Well);
    let (mut plan, mut record) = (well.plan, well.record);
    let metric = serde_json::json!({ "id": "metric.shop", "subject": { "expectation": { "metric": {
        "source": "shop", "series": "queue", "must": "<= 10", "after": "slow-link", "recovers-within": "9s" } } } });
    plan.checks.push(serde_json::from_value(metric).expect("a check"));
    let end = record.events.pop().expect("the run's end");
    for second in 20..60 {
        let at = crate::units::RunTime(second * 1_000_000);
        let queue = if (33..42).contains(&second) { 106.0 - second as f64 } else { 3.0 };
        let values = [("queue", queue), ("other", 1.0)].map(|(name, value)| (name.to_owned(), value));
        let signal = Signal::Sample { source: "shop".to_owned(), values: values.into_iter().collect() };
        record.events.push(Record { at, event: Event::Signal { seen: Seen::at(at), signal } });
    }
    record.events.push(end);
    let run = Run::of(plan, record);
    let told = explain(&run.input(), "metric.shop").expect("the check");
    assert!(told.contains("shop: queue, 34 samples") && !told.contains("shop: other"), "{told}");
    assert!(told.contains("changed most, from 3: 73 at 33.000s"), "{told}");
    let lines = told.lines().filter(|line| line.contains("first: ") || line.contains("last: "));
    assert_eq!(lines.count(), 2, "{told}");
    // A check that stands on no samples shows none.
    assert!(!explain(&run.input(), "recovery.cut-off").expect("the check").contains("Samples"));
}

#[test]
fn two_rollouts_at_once_have_a_row_each() {
    let with = |names: &[&str]| {
        let Run { plan, mut record, .. } = run(Health::Ill);
        let events = record.events.drain(..).flat_map(|line| {
            let named = |name: &&str| {
                let mut line = line.clone();
                if let Event::Signal { signal: Signal::Rollout { of, .. }, .. } = &mut line.event {
                    *of = Some(RolloutName::from(*name));
                }
                line
            };
            let all: Vec<Record> = match &line.event {
                Event::Signal { signal: Signal::Rollout { .. }, .. } => names.iter().map(named).collect(),
                _ => vec![line.clone()],
            };
            all
        });
        let events = events.collect();
        record.events = events;
        Run::of(plan, record)
    };
    let (one, other) = ("Deployment llm in shop", "Deployment rank in shop");
    let (alone, both) = (with(&[one]), with(&[one, other]));
    let page = |run: &Run| html(&run.input()).expect("HTML");
    // One needs no name beside its row.
    let rows = |page: &str, name: &str| page.matches(name).count();
    assert!(rows(&page(&both), one) > rows(&page(&alone), one), "its row has its name");
    assert!(rows(&page(&both), other) > 0);
    let mechanisms = |run: &Run| {
        let charts = super::png::charts(&run.input()).expect("charts");
        charts.into_iter().find(|(name, _)| *name == "mechanisms").expect("a chart").1
    };
    let (alone, both) = (mechanisms(&alone), mechanisms(&both));
    if let Some(folder) = std::env::var_os("FIREDRILL_PICTURES") {
        fs::write(Path::new(&folder).join("two-rollouts.png"), &both).expect("a file");
    }
    assert!(alone != both);
}

#[test]
fn what_allows_nothing_is_told_to_have_no_budget() {
    let mut ill = run(Health::Ill);
    ill.verdict.budget[0].allowed = None;
    ill.verdict.budget[0].phases.clear();
    assert!(html(&ill.input()).expect("HTML").contains("No budget: 100 % allows no bad request"));
    assert!(markdown(&ill.input()).contains("no budget: 100 % allows nothing"));
}

#[test]
fn each_check_is_explained_down_to_the_journal() {
    let mut lines = 0;
    for (name, run) in odd_runs() {
        let input = run.input();
        for check in &run.verdict.checks {
            let id = check.id.as_str();
            let told = explain(&input, id).unwrap_or_else(|| panic!("{name}: {id}"));
            assert!(told.contains(id) && told.contains(&check.why), "{told}");
            assert!(check.evidence.iter().all(|one| told.contains(&one.what)), "{told}");
            let by_requests = !matches!(
                check.kind,
                CheckKind::Fault
                    | CheckKind::Generator
                    | CheckKind::Alert
                    | CheckKind::Metric
                    | CheckKind::Capacity
            );
            assert!(!by_requests || told.contains("\nRequests that were due "), "{told}");
            // The lines that it names hold what it says.
            for line in told.lines().filter_map(|line| line.trim().strip_prefix("events.jsonl:")) {
                let number = line.split_whitespace().next().and_then(|word| word.parse::<usize>().ok());
                let record = &run.record.events[number.expect("a line") - 1];
                assert!(line.contains(&record.at.to_string()), "{line}");
                lines += 1;
            }
        }
        assert_eq!(explain(&input, "no-such-check"), None);
        assert_eq!(list(&input).lines().count(), run.verdict.checks.len());
    }
    assert!(lines > 50, "{lines} lines of the journal");
}
