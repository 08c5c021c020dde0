//! Synthetic journals for the judges' tests: a drill of 90 s, whose facts a
//! test states one by one.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::{
    judge::judge,
    model::{CheckVerdict, RunVerdict, Verdict},
};
use crate::{
    journal::{
        Cell, CellKey, Event, Feature, Features, Interval, Record, RunRecord,
        event::{BreakerKind, BreakerState, Evidence, FaultStep, RolloutPhase, RunEnd, Signal},
        interval::{CacheUse, Freshness, Generator, Outcome, Served},
    },
    lab::config::{LabConfig, VersionDefect},
    plan::{
        Plan,
        model::{Check, PlannedAct, PlannedAction, PlannedPhase, Subject},
    },
    scenario::{
        chaos::{Chaos, LinkAction, LinkChaos, Manifest, Mode, Scope, Selector},
        model::{Deploy, Deployed, Expectation, Objective, Slo, Target, Unsteady},
        outside::{DeployCommand, Program},
    },
    units::{CheckId, FaultId, PhaseName, PodName, RolloutName, RunTime, Seen, Span, Version},
};

/// Seconds on the run's clock.
pub(super) fn at(seconds: f64) -> RunTime {
    RunTime((seconds * 1e6).round() as u64)
}

/// A sighting between two samples, 0.5 s apart.
pub(super) fn sampled(seconds: f64) -> Seen {
    Seen { not_before: at((seconds - 0.5).max(0.0)), by: at(seconds) }
}

/// Whether prompts are asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Maybe,
    Never,
}

/// Requests that are alike, of one second.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    count: u64,
    outcome: Outcome,
    served: Served,
    golden: bool,
    /// None: their endpoint gives no tokens.
    ttft_ms: Option<u64>,
    e2e_ms: u64,
    attempts: u64,
    overlapping: u64,
    repeats: Repeats,
    compared: (u64, u64),
    workload: &'static str,
    good: bool,
    delay: f64,
    length: Option<u64>,
    features: Features,
    age: Option<u32>,
    silent: bool,
}

impl Answers {
    /// `ok` answers of v1: TTFT 100 ms, E2E 400 ms, one attempt.
    pub(super) fn ok(count: u64) -> Self {
        Self {
            count,
            outcome: Outcome::Ok,
            served: Served { version: Some(Version::from("v1")), ..Served::default() },
            golden: false,
            ttft_ms: Some(100),
            e2e_ms: 400,
            attempts: 1,
            overlapping: 0,
            repeats: Repeats::Maybe,
            compared: (0, 0),
            workload: "chat",
            good: true,
            delay: 0.0,
            length: None,
            features: Features::default(),
            age: None,
            silent: false,
        }
    }

    /// Requests that ended otherwise; they name no version.
    pub(super) fn failed(count: u64, outcome: Outcome) -> Self {
        Self { outcome, served: Served::default(), good: false, attempts: 0, ..Self::ok(count) }
    }

    pub(super) fn ttft(mut self, ms: u64) -> Self {
        self.ttft_ms = Some(ms);
        self
    }

    /// They are no streams of tokens.
    pub(super) fn without_tokens(mut self) -> Self {
        self.ttft_ms = None;
        self
    }

    pub(super) fn e2e(mut self, ms: u64) -> Self {
        self.e2e_ms = ms;
        self
    }

    pub(super) fn version(mut self, version: &str) -> Self {
        self.served.version = Some(Version::from(version));
        self
    }

    /// They name no version.
    pub(super) fn nameless(mut self) -> Self {
        self.served.version = None;
        self
    }

    /// They do not state what attempts they took.
    pub(super) fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    pub(super) fn pod(mut self, pod: &str) -> Self {
        self.served.pod = Some(PodName::from(pod));
        self
    }

    pub(super) fn cache(mut self, cache: CacheUse) -> Self {
        self.served.cache = cache;
        self
    }

    /// Hits that say whether they are fresh.
    pub(super) fn freshness(mut self, freshness: Freshness) -> Self {
        self.served.freshness = Some(freshness);
        self
    }

    /// By a fallback that names its model.
    pub(super) fn model(mut self, model: &str) -> Self {
        self.served.model = Some(model.to_owned());
        self.fallback()
    }

    pub(super) fn golden(mut self) -> Self {
        self.golden = true;
        self
    }

    /// Golden, and wrong.
    pub(super) fn mismatch(mut self) -> Self {
        self.golden = true;
        self.outcome = Outcome::Mismatch;
        self.good = false;
        self
    }

    pub(super) fn fallback(mut self) -> Self {
        self.served.fallback = true;
        self
    }

    pub(super) fn breaker_open(mut self) -> Self {
        self.served.breaker_open = true;
        self
    }

    /// Rejected, and marked as by a breaker of this kind.
    pub(super) fn breaker_of(mut self, kind: BreakerKind) -> Self {
        self.served.breaker_kind = Some(kind);
        self.breaker_open()
    }

    pub(super) fn attempts(mut self, each: u64) -> Self {
        self.attempts = each;
        self
    }

    pub(super) fn overlapping(mut self, misses: u64) -> Self {
        self.overlapping = misses;
        self
    }

    /// Nobody asks the same again.
    pub(super) fn unique(mut self) -> Self {
        self.repeats = Repeats::Never;
        self
    }

    /// So many hits were found to be the origin's answers, and so many not to be.
    pub(super) fn compared(mut self, alike: u64, unlike: u64) -> Self {
        self.compared = (alike, unlike);
        self
    }

    /// They are of this workload, and not of `chat`.
    pub(super) fn workload(mut self, workload: &'static str) -> Self {
        self.workload = workload;
        self
    }

    /// Each has so many tokens.
    pub(super) fn lengths(mut self, tokens: u64) -> Self {
        self.length = Some(tokens);
        self
    }

    /// Their outputs: of each class so many a second, or, without a name, so
    /// many that have none.
    pub(super) fn classes(mut self, classes: &[(&str, u64)]) -> Self {
        let feature = |class: &str| if class.is_empty() { Feature::Missing } else { Feature::text(class) };
        self.features = classes.iter().map(|(class, n)| (feature(class), *n)).collect::<Vec<_>>().into();
        self
    }

    /// Each states this age, in seconds.
    pub(super) fn aged(mut self, seconds: u32) -> Self {
        self.age = Some(seconds);
        self
    }

    /// They end this much later than within their second.
    pub(super) fn delayed(mut self, seconds: f64) -> Self {
        self.delay = seconds;
        self
    }

    fn cell(&self, second: u32, phase: Option<PhaseName>) -> Cell {
        let key = CellKey {
            second,
            phase,
            workload: self.workload.into(),
            outcome: self.outcome,
            served: self.served.clone(),
            golden: self.golden,
        };
        let mut cell = Cell::new(key, at(f64::from(second) + 0.2 + self.delay));
        cell.last_end = at(f64::from(second) + 0.9 + self.delay);
        cell.count = self.count;
        cell.good = if self.good { self.count } else { 0 };
        let answered = !matches!(self.outcome, Outcome::Shed | Outcome::Timeout | Outcome::Http5xx);
        if let Some(ms) = self.ttft_ms.filter(|_| answered) {
            cell.ttft.record_n(ms * 1000, self.count);
            cell.service_ttft.record_n(ms * 1000, self.count);
            cell.itl.record_n(12_000, self.count * 10);
            cell.tpot.record_n(12_000, self.count);
        }
        cell.e2e.record_n(self.e2e_ms * 1000, self.count);
        cell.service_e2e.record_n(self.e2e_ms * 1000, self.count);
        if !self.silent {
            cell.attempts = self.attempts * self.count;
            cell.attempts_stated = self.count;
        }
        cell.overlapping_misses = self.overlapping;
        if self.served.cache == CacheUse::Miss && self.repeats == Repeats::Maybe {
            cell.comparable_misses = self.count;
        }
        (cell.hits_alike, cell.hits_unlike) = self.compared;
        if let Some(age) = self.age {
            (cell.oldest_hit, cell.ages_stated) = (age, self.count);
        }
        if let Some(tokens) = self.length {
            cell.lengths.record_n(tokens, self.count);
        }
        cell.features = self.features.clone();
        cell
    }
}

/// A run in the making.
#[derive(Debug, Clone)]
pub(super) struct Drill {
    pub(super) plan: Plan,
    pub(super) events: Vec<Record>,
    cells: BTreeMap<u32, Vec<Cell>>,
    pub(super) end: Option<RunEnd>,
    pub(super) end_at: f64,
    pub(super) lag_ms: u64,
    pub(super) starved: u64,
    pub(super) starved_load: Option<String>,
}

/// The phases of every test: baseline 0–20, fault 20–50, recovery 50–90.
pub(super) fn drill() -> Drill {
    let phases = [("baseline", 0, 20), ("fault", 20, 50), ("recovery", 50, 90)];
    let plan = Plan {
        name: "test".to_owned(),
        description: None,
        seed: 1,
        target: Target::Lab(LabConfig::default()),
        warm_up: Span::secs(0),
        phases: phases
            .map(|(name, start, end)| PlannedPhase {
                name: name.into(),
                start: at(f64::from(start)),
                end: at(f64::from(end)),
                good: Default::default(),
            })
            .to_vec(),
        workloads: Vec::new(),
        load: Vec::new(),
        timeline: Vec::new(),
        observe: vec![],
        stop_when: Vec::new(),
        unless_steady: Unsteady::Stop,
        checks: Vec::new(),
    };
    Drill {
        plan,
        events: Vec::new(),
        cells: BTreeMap::new(),
        end: Some(RunEnd::Completed),
        end_at: 91.0,
        lag_ms: 1,
        starved: 0,
        starved_load: None,
    }
}

impl Drill {
    /// A check under test. The last one added is what [`Self::checked`] gives.
    pub(super) fn check(mut self, subject: Subject) -> Self {
        let id = CheckId::new(format!("check-{}", self.plan.checks.len()));
        self.plan.checks.push(Check { id, subject });
        self
    }

    pub(super) fn expect(self, expectation: Expectation) -> Self {
        self.check(Subject::Expectation(expectation))
    }

    pub(super) fn slo(self, objective: Objective, phase: &str) -> Self {
        let slo = Slo { objective, phase: None, workload: None, confidence: None };
        self.check(Subject::Slo { slo, phase: phase.into() })
    }

    /// An act on the plan that the journal says nothing about.
    pub(super) fn planned(mut self, id: &str, from: f64, until: Option<f64>, action: PlannedAction) -> Self {
        self.plan.timeline.push(PlannedAct { id: id.into(), at: at(from), until: until.map(at), action });
        self
    }

    /// A fault that acted from `from` and was gone at `until`.
    pub(super) fn fault(self, id: &str, from: f64, until: Option<f64>, targets: &[&str]) -> Self {
        let targets = targets.iter().map(|&name| PodName::from(name)).collect();
        let drill = self
            .planned(id, from, until, some_fault())
            .step(id, from, FaultStep::Requested { targets })
            .step(id, from, FaultStep::Injected)
            .step(id, from, FaultStep::Proven { effect: Seen::at(at(from)), proof: proof() });
        match until {
            Some(until) => drill.step(id, until, FaultStep::Recovered { proof: proof() }),
            None => drill,
        }
    }

    /// A rollout of v2 that got in place.
    pub(super) fn deploy(self, id: &str, from: f64) -> Self {
        self.deploy_of(id, from, None)
    }

    /// The same by a program, of which nobody tells.
    pub(super) fn deploy_by_program(self, id: &str, from: f64) -> Self {
        let run = Program(vec!["./deploy.sh".to_owned()]);
        self.deploy_of(id, from, Some(Deployed::Command(DeployCommand { run, undo: None })))
    }

    fn deploy_of(self, id: &str, from: f64, of: Option<Deployed>) -> Self {
        let action = PlannedAction::Deploy(Deploy {
            version: "v2".into(),
            defect: VersionDefect::Slow,
            of,
            namespace: None,
            spec: None,
            patch: Default::default(),
        });
        self.planned(id, from, None, action)
            .step(id, from, FaultStep::Requested { targets: Vec::new() })
            .step(id, from, FaultStep::Injected)
            .step(id, from, FaultStep::Proven { effect: Seen::at(at(from)), proof: proof() })
    }

    /// An alert fires or does not, seen between two samples.
    /// A source answers again, or no more.
    pub(super) fn source(self, when: f64, source: &str, up: bool) -> Self {
        self.signal(when, Signal::Source { source: source.to_owned(), up, why: String::new() })
    }

    pub(super) fn alert(self, when: f64, name: &str, firing: bool) -> Self {
        let signal = Signal::Alert { source: "prometheus".to_owned(), name: name.to_owned(), firing };
        self.event(when, Event::Signal { seen: sampled(when), signal })
    }

    pub(super) fn step(self, id: &str, when: f64, step: FaultStep) -> Self {
        self.event(when, Event::Fault { id: FaultId::from(id), step })
    }

    pub(super) fn event(mut self, when: f64, event: Event) -> Self {
        self.events.push(Record { at: at(when), event });
        self
    }

    pub(super) fn signal(self, when: f64, signal: Signal) -> Self {
        self.event(when, Event::Signal { seen: sampled(when), signal })
    }

    pub(super) fn breaker(self, when: f64, name: &str, state: BreakerState) -> Self {
        self.signal(when, Signal::Breaker { name: name.to_owned(), state, kind: None })
    }

    pub(super) fn breaker_of(self, kind: BreakerKind, when: f64, name: &str, state: BreakerState) -> Self {
        self.signal(when, Signal::Breaker { name: name.to_owned(), state, kind: Some(kind) })
    }

    pub(super) fn rollout(self, when: f64, phase: RolloutPhase, stable: &str, weight: f64) -> Self {
        self.rollout_of(None, when, phase, stable, weight)
    }

    /// The same of an object that has a name.
    pub(super) fn rollout_of(
        self,
        of: Option<RolloutName>,
        when: f64,
        phase: RolloutPhase,
        stable: &str,
        weight: f64,
    ) -> Self {
        let candidate = (phase != RolloutPhase::Stable).then(|| Version::from("v2"));
        let (stable, reason) = (stable.into(), "because".into());
        self.signal(when, Signal::Rollout { of, phase, stable, candidate, weight, reason })
    }

    pub(super) fn pod(self, when: f64, name: &str, ready: bool) -> Self {
        let phase = if ready { "Running" } else { "Pending" }.to_owned();
        let version = Some(Version::from("v1"));
        self.signal(when, Signal::Pod { name: name.into(), phase, ready, version, restarts: 0 })
    }

    pub(super) fn gone(self, when: f64, name: &str) -> Self {
        self.signal(when, Signal::PodGone { name: name.into() })
    }

    pub(super) fn sample(self, when: f64, source: &str, values: &[(&str, f64)]) -> Self {
        let values: IndexMap<String, f64> =
            values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.signal(when, Signal::Sample { source: source.to_owned(), values })
    }

    /// These answers in each of the seconds.
    pub(super) fn load(mut self, seconds: std::ops::Range<u32>, answers: Answers) -> Self {
        for second in seconds {
            let now = at(f64::from(second));
            let phase = self.plan.phases.iter().find(|phase| phase.start <= now && now < phase.end);
            let cell = answers.cell(second, phase.map(|phase| phase.name.clone()));
            self.cells.entry(second).or_default().push(cell);
        }
        self
    }

    /// 20 healthy answers a second, from start to end.
    pub(super) fn healthy(self) -> Self {
        self.load(0..90, Answers::ok(20))
    }

    /// The same, so many seconds later.
    pub(super) fn shifted(&self, by: u32) -> Self {
        let later = |time: RunTime| RunTime(time.0.saturating_add(u64::from(by) * 1_000_000));
        let both = |seen: &mut Seen| *seen = Seen { not_before: later(seen.not_before), by: later(seen.by) };
        let mut drill = self.clone();
        for phase in &mut drill.plan.phases {
            (phase.start, phase.end) = (later(phase.start), later(phase.end));
        }
        for act in &mut drill.plan.timeline {
            (act.at, act.until) = (later(act.at), act.until.map(later));
        }
        for Record { at, event } in &mut drill.events {
            *at = later(*at);
            match event {
                Event::Signal { seen, .. } => both(seen),
                Event::Fault { step: FaultStep::Proven { effect, .. }, .. } => both(effect),
                _ => {}
            }
        }
        drill.cells = std::mem::take(&mut drill.cells)
            .into_iter()
            .map(|(second, cells)| (second + by, cells))
            .collect();
        for cell in drill.cells.values_mut().flatten() {
            cell.key.second += by;
            (cell.first_end, cell.last_end) = (later(cell.first_end), later(cell.last_end));
        }
        drill.end_at += f64::from(by);
        drill
    }

    pub(super) fn record(&self) -> RunRecord {
        let mut events = self.events.clone();
        if let Some(end) = &self.end {
            events.push(Record { at: at(self.end_at), event: Event::RunEnded { end: end.clone() } });
        }
        let intervals = self.cells.iter().map(|(second, cells)| {
            let sent = cells.iter().map(|cell| cell.count).sum();
            let mut generator = Generator { due: sent, sent, starved: self.starved, ..Generator::default() };
            generator.lag.record_n(self.lag_ms * 1000, sent);
            if let Some(load) = &self.starved_load {
                generator.starved_by_load.insert(load.clone(), self.starved);
            }
            Interval { at: at(f64::from(second + 1) + 0.01), cells: cells.clone(), generator }
        });
        RunRecord { run: "run".into(), events, intervals: intervals.collect(), warnings: Vec::new() }
    }

    pub(super) fn judged(&self) -> RunVerdict {
        judge(&self.plan, &self.record())
    }

    /// The last check, judged.
    pub(super) fn checked(&self) -> CheckVerdict {
        self.judged().checks.pop().expect("the test added a check")
    }

    /// The last check's verdict must be this one; its reason is shown if not.
    #[track_caller]
    pub(super) fn gives(&self, verdict: Verdict) -> String {
        let check = self.checked();
        assert_eq!(check.verdict, verdict, "{}: {}", check.title, check.why);
        assert!(!check.why.is_empty() && !check.title.is_empty());
        assert!(
            check.verdict == Verdict::Inconclusive || !check.evidence.is_empty(),
            "{}: no evidence",
            check.why
        );
        check.why
    }
}

pub(super) fn proof() -> Vec<Evidence> {
    vec![Evidence { source: "proxy".into(), what: "12 chunks held".into() }]
}

pub(super) fn some_fault() -> PlannedAction {
    PlannedAction::Fault(Manifest {
        name: None,
        namespace: None,
        chaos: Chaos::LinkChaos(LinkChaos {
            action: LinkAction::Reset { after: Span::default() },
            scope: Scope { selector: Selector::default(), mode: Mode::One },
            duration: None,
        }),
    })
}
