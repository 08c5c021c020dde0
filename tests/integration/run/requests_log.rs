//! The figures of a verdict, reckoned again from a log of the same requests.

use std::{collections::HashMap, fs, path::Path};

use firedrill::{
    journal::{Distribution, RunFolder, interval::Outcome, reader},
    load::LoggedRequest,
    verdict::model::{PhaseFigures, RunVerdict},
};

use super::{Folder, command, run_folder, said, verdict};

/// Answers of many lengths, some of them wrong, before and after a phase
/// begins, whole and in a stream.
const SCENARIO: &str = r#"version: 1
name: exact
seed: 3
target:
  lab: { replicas: 2, cold-start: 500ms, gateway: { cache: off, breaker: off, fallback: off, retries: off } }
workloads:
  chat:
    endpoint: { openai-chat: { model: demo, stream: true } }
    prompts: { synthetic: { input-tokens: { lognormal: { median: 60, p99: 400 } }, output-tokens: { uniform: { min: 2, max: 24 } } }, golden: { share: 20%, prompts: [ { ask: "What is the capital of France?", equals: nothing } ] } }
  whole:
    endpoint: { openai-chat: { model: demo, stream: false } }
    prompts: { synthetic: { input-tokens: 8, output-tokens: { uniform: { min: 2, max: 24 } } }, golden: { share: 20%, prompts: [ { ask: "What is 2 + 2?", equals: nothing } ] } }
load:
  - { name: open, workload: chat, arrivals: { poisson: { rate: 50/s } } }
  - { name: closed, workload: whole, closed: { users: 3 } }
warm-up: 1s
phases: { baseline: 3s, fault: 5s }
slos:
  - { availability: ">= 50%" }
"#;

/// What a distribution promises: rounded down, by less than this part.
const PRECISION: f64 = 1.0 / 1024.0;

fn log(path: &Path) -> Vec<LoggedRequest> {
    let text = fs::read_to_string(path).expect("the log");
    text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

/// Latencies in µs of these requests, ascending, by measure.
fn latencies(requests: &[&LoggedRequest]) -> HashMap<&'static str, Vec<u64>> {
    let mut of: HashMap<_, Vec<u64>> = HashMap::new();
    for request in requests {
        of.entry("itl").or_default().extend(&request.gaps);
        if request.outcome != Outcome::Ok {
            continue;
        }
        let last = request.last_token.unwrap_or(request.end).0;
        of.entry("e2e").or_default().push(last - request.scheduled.0);
        of.entry("service_e2e").or_default().push(last - request.sent.0);
        let Some(first) = request.first_token else { continue };
        of.entry("ttft").or_default().push(first.0 - request.scheduled.0);
        of.entry("service_ttft").or_default().push(first.0 - request.sent.0);
        if request.tokens > 1 && !request.gaps.is_empty() {
            of.entry("tpot").or_default().push((last - first.0) / (request.tokens - 1));
        }
    }
    of.values_mut().for_each(|latencies| latencies.sort_unstable());
    of
}

/// The shortest that at least so many percent are no longer than. None: it is
/// among `infinite` further ones.
fn nearest_rank(sorted: &[u64], infinite: usize, percent: usize) -> Option<u64> {
    let rank = (percent * (sorted.len() + infinite)).div_ceil(100);
    sorted.get(rank - 1).copied()
}

#[track_caller]
fn agree(what: &str, ours: f64, exact: f64) {
    assert!(ours <= exact && exact - ours <= exact * PRECISION, "{what}: {ours}, and exactly {exact}");
}

fn compare(phase: &str, figures: &PhaseFigures, requests: &[&LoggedRequest]) {
    let ok = requests.iter().filter(|request| request.outcome == Outcome::Ok).count();
    let failed = requests.len() - ok;
    assert!(ok > 50 && failed > 10, "{phase}: {ok} and {failed} prove little");
    assert_eq!(figures.requests, requests.len() as u64, "{phase}");
    assert_eq!(figures.availability, Some(ok as f64 / requests.len() as f64), "{phase}");
    let exact = latencies(requests);
    assert_eq!(figures.quantiles.len(), exact.len());
    for (measure, quantiles) in &figures.quantiles {
        let sorted = &exact[measure.as_str()];
        let infinite = if ["itl", "tpot"].contains(&measure.as_str()) { 0 } else { failed };
        assert_eq!(quantiles.n, sorted.len() as u64, "{phase}: {measure}");
        let millis = |micros: u64| micros as f64 / 1e3;
        let longest = sorted.last().copied().map(millis).expect("samples");
        agree(&format!("{phase}: longest {measure}"), quantiles.max.expect("samples"), longest);
        for percent in [50, 90, 95, 99] {
            let name = format!("p{percent}");
            let what = format!("{phase}: {measure} {name}");
            let of_ok = nearest_rank(sorted, 0, percent).map(millis).expect("samples");
            agree(&what, quantiles.successes[&name], of_ok);
            match (quantiles.attempts[&name], nearest_rank(sorted, infinite, percent).map(millis)) {
                (None, None) => {}
                (Some(ours), Some(exact)) => agree(&what, ours, exact),
                (ours, exact) => panic!("{what} of all: {ours:?}, and exactly {exact:?}"),
            }
        }
    }
}

#[test]
fn every_percentile_agrees_with_an_exact_one_from_the_log_of_requests() {
    let folder = Folder::new();
    let path = folder.path().join("requests.jsonl");
    let out = command(&folder, SCENARIO).arg("--requests-log").arg(&path).output().expect("it starts");
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let run = run_folder(&out);
    let (judged, requests): (RunVerdict, _) = (verdict(&run), log(&path));

    for phase in ["baseline", "fault"] {
        let of_it = |request: &&LoggedRequest| request.phase.as_ref().is_some_and(|p| p.as_str() == phase);
        compare(phase, &judged.latency[phase], &requests.iter().filter(of_it).collect::<Vec<_>>());
    }
    let counted: Vec<_> = requests.iter().filter(|request| request.phase.is_some()).collect();
    assert!(counted.len() < requests.len(), "the warm-up is logged, too");
    compare("all", &judged.latency["all"], &counted);
    let mut classes: HashMap<Outcome, u64> = HashMap::new();
    counted.iter().for_each(|request| *classes.entry(request.outcome).or_default() += 1);
    assert_eq!(judged.outcomes.into_iter().collect::<HashMap<_, _>>(), classes);

    // Counts and means, which the verdict has no use for, as the journal has them.
    let record = reader::read(&RunFolder::open(&run).expect("a run")).expect("a journal");
    let cells = || record.intervals.iter().flat_map(|interval| &interval.cells);
    assert_eq!(cells().map(|cell| cell.count).sum::<u64>(), requests.len() as u64);
    let judged = || cells().filter(|cell| cell.key.phase.is_some());
    let mut ours: HashMap<&str, Distribution> = HashMap::new();
    for cell in judged() {
        ours.entry("itl").or_default().merge(&cell.itl);
        if cell.key.outcome == Outcome::Ok {
            ours.entry("ttft").or_default().merge(&cell.ttft);
            ours.entry("service_ttft").or_default().merge(&cell.service_ttft);
            ours.entry("tpot").or_default().merge(&cell.tpot);
            ours.entry("e2e").or_default().merge(&cell.e2e);
            ours.entry("service_e2e").or_default().merge(&cell.service_e2e);
        }
    }
    for (measure, exact) in latencies(&counted) {
        assert_eq!(ours[measure].len(), exact.len() as u64, "{measure}");
        let mean = exact.iter().sum::<u64>() as f64 / exact.len() as f64;
        agree(&format!("mean {measure}"), ours[measure].mean().expect("samples"), mean);
    }
    let tokens: u64 = counted.iter().filter(|r| r.outcome == Outcome::Ok).map(|r| r.tokens).sum();
    assert_eq!(judged().map(|cell| cell.tokens).sum::<u64>(), tokens);
}

#[test]
fn a_log_that_cannot_be_made_is_said_before_anything_starts() {
    let folder = Folder::new();
    let nowhere = folder.path().join("missing/requests.jsonl");
    let out = command(&folder, SCENARIO).arg("--requests-log").arg(&nowhere).output().expect("it starts");
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains("missing/requests.jsonl"), "{}", said(&out));
    assert!(!folder.path().join("runs").exists(), "nothing was started");
}
