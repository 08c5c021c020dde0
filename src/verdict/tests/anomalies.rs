//! What else is noticed: what is there, and nothing where nothing is.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    journal::{
        Cell, CellKey, Interval, RunRecord,
        interval::{Generator, Outcome, Served},
    },
    verdict::{
        judge,
        model::{Anomaly, AnomalyKind, Circumstance},
        testing::{Answers, Drill, at, drill},
    },
};

fn findings(drill: &Drill) -> Vec<Anomaly> {
    drill.judged().findings
}

fn texts(findings: &[Anomaly]) -> Vec<&str> {
    findings.iter().map(|finding| finding.text.as_str()).collect()
}

/// Healthy but for these seconds.
fn but(seconds: std::ops::Range<u32>) -> Drill {
    drill().load(0..seconds.start, Answers::ok(20)).load(seconds.end..90, Answers::ok(20))
}

#[test]
fn nothing_is_found_where_nothing_is() {
    assert_eq!(findings(&drill().healthy()), Vec::new());
    assert_eq!(findings(&drill().healthy().fault("cut", 25.0, Some(40.0), &["replica-0"])), Vec::new());
    assert_eq!(findings(&drill()), Vec::new(), "no requests");
}

#[test]
fn what_nobody_caused_comes_first() {
    let run = but(60..63).load(60..63, Answers::ok(20).ttft(300).e2e(450)).fault(
        "kill",
        25.0,
        None,
        &["replica-0"],
    );
    assert_eq!(
        texts(&findings(&run)),
        ["From 60 s to 63 s: TTFT p95 rose to 300 ms, 3 times the baseline (100 ms), \
          while nothing was broken (`kill` had been over for 35 s); TTFT p50 shows it too"]
    );
    let never = but(60..61).load(60..61, Answers::ok(20).ttft(300).e2e(450));
    let found = findings(&never);
    assert_eq!(found[0].circumstance, Circumstance::Quiet);
    assert!(found[0].text.starts_with("At 60 s: ") && found[0].text.contains("while nothing was broken"));
}

#[test]
fn what_an_act_does_is_told_with_its_name() {
    let run = but(26..40)
        .load(26..40, Answers::ok(2))
        .load(26..40, Answers::failed(18, Outcome::Reset))
        .fault("cut", 25.0, Some(40.0), &["replica-0"]);
    assert_eq!(
        texts(&findings(&run)),
        ["From 26 s to 40 s: availability fell to 10 % (baseline 100 %), while `cut` acted"]
    );
}

#[test]
fn what_does_not_come_back_stays() {
    let run = drill().load(0..25, Answers::ok(20)).load(25..90, Answers::ok(20).ttft(240)).fault(
        "kill",
        25.0,
        Some(40.0),
        &["replica-0"],
    );
    let found = findings(&run);
    assert_eq!(found[0].kind, AnomalyKind::Shift);
    assert!(
        found[0].text.starts_with(
            "TTFT p95 stayed at 240 ms after `kill` was over, 2.4 times the baseline (100 ms) (from 55 s to the end)"
        ),
        "{:?}",
        texts(&found)
    );
    assert!(
        found.len() == 2 && found[1].end <= 55.0 && found[1].text.contains("while `kill` acted"),
        "and what it did meanwhile, {:?}",
        texts(&found)
    );
}

#[test]
fn a_shift_begins_where_it_begins() {
    let run = drill().load(0..64, Answers::ok(20)).load(64..90, Answers::ok(20).ttft(160));
    let found = findings(&run);
    assert_eq!(found.len(), 1, "{:?}", texts(&found));
    assert_eq!((found[0].kind, found[0].start, found[0].end), (AnomalyKind::Shift, 64.0, 90.0));
    assert!(found[0].text.contains("while nothing was broken"), "{}", found[0].text);
}

#[test]
fn more_load_may_take_longer_and_better_is_no_finding() {
    let rush = but(50..90).load(50..90, Answers::ok(60).ttft(900));
    assert_eq!(findings(&rush), Vec::new());
    let faster = but(50..90).load(50..90, Answers::ok(20).ttft(20).e2e(50));
    assert_eq!(findings(&faster), Vec::new());
    // But what is broken meanwhile is told, with the load.
    let both =
        but(50..90).load(50..90, Answers::ok(60).ttft(900).e2e(1200)).fault("slow", 55.0, Some(70.0), &[]);
    let found = findings(&both);
    assert!(
        found[0].text.contains("while `slow` acted and the load was 3.0 times the baseline's"),
        "{:?}",
        texts(&found)
    );
}

#[test]
fn a_late_generator_is_not_the_services_doing() {
    let mut run = but(60..70).load(60..70, Answers::ok(20).ttft(900));
    run.lag_ms = 80;
    assert_eq!(findings(&run), Vec::new());
}

#[test]
fn a_single_phase_is_held_against_its_first_half() {
    let mut run = drill().load(0..60, Answers::ok(20)).load(60..90, Answers::ok(20).ttft(300));
    run.plan.phases.truncate(1);
    run.plan.phases[0].end = at(90.0);
    let mut record = run.record();
    let cells = record.intervals.iter_mut().flat_map(|interval| &mut interval.cells);
    cells.for_each(|cell| cell.key.phase = Some("baseline".into()));
    let found = judge(&run.plan, &record).findings;
    assert_eq!((found[0].kind, found[0].start), (AnomalyKind::Shift, 60.0), "{:?}", texts(&found));
}

#[test]
fn gauges_are_looked_at_too() {
    let key = |name: &str| format!("{name}{{model_name=\"demo\"}}");
    let (waiting, cache) = (key("vllm:num_requests_waiting"), key("vllm:kv_cache_usage_perc"));
    let mut run = drill().healthy();
    for second in 1..90 {
        let stuck = second > 60;
        run = run.sample(
            f64::from(second),
            "replica-0",
            &[(&waiting, if stuck { 30.0 } else { 0.0 }), (&cache, if stuck { 0.95 } else { 0.3 })],
        );
    }
    assert_eq!(
        texts(&findings(&run)),
        [
            "From 60 s to the end: requests waiting at replica-0 stayed at 30 (baseline 0), while nothing was broken; \
          KV cache in use at replica-0 shows it too"
        ]
    );
}

/// What a synthetic service is like.
#[derive(Debug, Clone, Copy)]
struct Service {
    /// Requests a second.
    rate: f64,
    /// Standard deviation of the latencies' logarithm.
    sigma: f64,
    /// Share of answers that come from a cache, in a tenth of the time.
    hits: f64,
    failing: f64,
}

impl Service {
    fn drawn(random: &mut ChaCha8Rng) -> Self {
        Self {
            rate: random.random_range(8.0..60.0),
            sigma: random.random_range(0.05..0.7),
            hits: random.random_range(0.0..0.7),
            failing: random.random_range(0.0..0.02),
        }
    }

    /// Its journal: a Poisson process of lognormal latencies, whose level
    /// wanders a little. `slower`: by which factor, by second.
    fn record(self, drill: &Drill, random: &mut ChaCha8Rng, slower: impl Fn(u32) -> f64) -> RunRecord {
        let seconds = (drill.plan.end().as_secs_f64()) as u32;
        let mut level = 0.0;
        let mut intervals = Vec::new();
        for second in 0..seconds {
            level = 0.9 * level + 0.04 * normal(random);
            let phase = drill.plan.phases.iter().find(|phase| phase.end > at(f64::from(second)));
            let cell = |outcome| {
                let key = CellKey {
                    second,
                    phase: phase.map(|phase| phase.name.clone()),
                    workload: "chat".into(),
                    outcome,
                    served: Served::default(),
                    golden: false,
                };
                Cell::new(key, at(f64::from(second)))
            };
            let (mut ok, mut failed) = (cell(Outcome::Ok), cell(Outcome::Reset));
            for _ in 0..poisson(self.rate, random) {
                if random.random::<f64>() < self.failing {
                    failed.count += 1;
                    continue;
                }
                let hit = if random.random::<f64>() < self.hits { 0.1 } else { 1.0 };
                let ms = 100.0 * hit * slower(second) * (level + self.sigma * normal(random)).exp();
                ok.count += 1;
                ok.tokens += random.random_range(8..120u64);
                ok.ttft.record((ms * 1e3) as u64);
                ok.e2e.record((ms * 4e3) as u64);
                ok.itl.record_n((ms * 100.0) as u64, 20);
            }
            let cells = vec![ok, failed];
            intervals.push(Interval {
                at: at(f64::from(second) + 1.01),
                cells,
                generator: Generator::default(),
            });
        }
        RunRecord { intervals, ..drill.record() }
    }
}

/// Box and Muller's.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (a, b): (f64, f64) = (random.random(), random.random());
    (-2.0 * a.max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// Knuth's.
fn poisson(mean: f64, random: &mut ChaCha8Rng) -> u32 {
    let limit = (-mean).exp();
    let mut product: f64 = random.random();
    let mut n = 0;
    while product > limit {
        product *= random.random::<f64>();
        n += 1;
    }
    n
}

/// Runs of a drill, each of another service.
fn runs(drill: &Drill, count: u64, slower: impl Fn(u32) -> f64) -> Vec<(Service, Vec<Anomaly>)> {
    let run = |seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let service = Service::drawn(&mut random);
        let record = service.record(drill, &mut random, &slower);
        (service, judge(&drill.plan, &record).findings)
    };
    (0..count).map(run).collect()
}

#[test]
fn of_a_hundred_healthy_runs_at_most_one_has_a_finding() {
    let quiet = drill();
    let broken = drill().fault("cut", 25.0, Some(40.0), &["replica-0"]).fault("kill", 50.0, None, &[]);
    let mut long = drill();
    long.plan.phases[2].end = at(900.0);
    long.end_at = 901.0;
    for (name, drill, count) in [("quiet", quiet, 120), ("broken", broken, 120), ("long", long, 8)] {
        let cry: Vec<_> =
            runs(&drill, count, |_| 1.0).into_iter().filter(|(_, found)| !found.is_empty()).collect();
        let told: Vec<_> = cry.iter().map(|(service, found)| (service, texts(found))).collect();
        assert!(told.len() as u64 <= count / 100, "{name}: {told:#?}");
    }
}

#[test]
fn a_service_that_stays_slow_is_noticed() {
    let drill = drill().fault("kill", 25.0, Some(40.0), &["replica-0"]);
    let found = runs(&drill, 40, |second| if second < 25 { 1.0 } else { 3.0 });
    let noticed = |found: &[Anomaly]| found.iter().any(|one| one.kind == AnomalyKind::Shift);
    let missed: Vec<Service> =
        found.iter().filter(|(_, found)| !noticed(found)).map(|(service, _)| *service).collect();
    assert!(missed.len() <= 4, "{missed:#?}");
}
