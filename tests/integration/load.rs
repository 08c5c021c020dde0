//! Tests of load: real Goose users against a real server that goes wrong.

mod models;
mod replica;
mod server;
mod sessions;
mod transport;

use std::{collections::HashMap, net::SocketAddr, process::Command, sync::Arc, time::Duration};

use firedrill::{
    clock::Clock,
    journal::{
        Cell, Event, Interval, Sink,
        event::Exemplar,
        interval::{CacheUse, Outcome},
        sink::Line,
    },
    load::{LoadError, LoadJob, LoadSummary, LoggedRequest, Progress, RequestLog, drive, probe},
    plan::{
        Plan,
        model::{GoodLimits, PlannedLoad, PlannedPhase, PlannedWorkload},
    },
    scenario::model::{
        Arrivals, Closed, Endpoint, Executor, Expected, Golden, GoldenPrompt, OpenAi, Popularity, Profile,
        PromptSource, Prompts, Synthetic, Target, Think, Tokens, Transport, Unsteady, Workload,
    },
    units::{PhaseName, Rate, Ratio, RunTime, Span, WorkloadName},
};
use server::{Fault, Manner, Server, TOKENS};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

fn workload(path: &str) -> Workload {
    Workload {
        endpoint: Endpoint::OpenaiChat(OpenAi {
            model: "demo".into(),
            stream: true,
            path: Some(path.into()),
            headers: [("x-tenant".to_owned(), "drill".to_owned())].into_iter().collect(),
            extra: Default::default(),
        }),
        prompts: Some(Prompts {
            source: PromptSource::Synthetic(Synthetic {
                input_tokens: Tokens::Fixed(12),
                output_tokens: Tokens::Fixed(TOKENS as u32),
                popularity: None,
                shared_prefix: 4,
            }),
            nonce: false,
            session: None,
            golden: None,
        }),
        timeout: Span::secs(10),
        idle_timeout: Span::secs(1),
        transport: Transport::default(),
    }
}

fn prompts(workload: &mut Workload) -> &mut Prompts {
    workload.prompts.as_mut().expect("prompts")
}

/// How a workload's prompts are generated.
fn synthetic(workload: &mut Workload) -> &mut Synthetic {
    match &mut prompts(workload).source {
        PromptSource::Synthetic(synthetic) => synthetic,
        PromptSource::Sharegpt(_) | PromptSource::Jsonl(_) => panic!("they are generated"),
    }
}

fn closed(users: u32, requests: Option<u64>) -> Executor {
    Executor::Closed(Closed { users, requests, think: Think::default() })
}

fn constant(rate: f64) -> Executor {
    Executor::Arrivals(Arrivals::Constant(Profile::Rate(Rate(rate))))
}

/// A plan of one phase with one load for each workload.
fn plan(seconds: u64, loads: Vec<(Workload, Executor)>) -> Plan {
    let name = |i: usize, w: &Workload| format!("{i}{}", w.endpoint.path().replace('/', "-"));
    Plan {
        name: "test".into(),
        description: None,
        seed: 1,
        target: Target::Url(firedrill::scenario::url::UrlTarget::new("")),
        warm_up: Span::secs(0),
        phases: vec![PlannedPhase {
            name: PhaseName::from("load"),
            start: RunTime::ZERO,
            end: RunTime(seconds * 1_000_000),
            good: GoodLimits::default(),
        }],
        workloads: loads
            .iter()
            .enumerate()
            .map(|(i, (workload, _))| PlannedWorkload {
                name: WorkloadName(name(i, workload)),
                workload: workload.clone(),
            })
            .collect(),
        load: loads
            .iter()
            .enumerate()
            .map(|(i, (workload, executor))| PlannedLoad {
                name: name(i, workload),
                workload: WorkloadName(name(i, workload)),
                start: RunTime::ZERO,
                end: RunTime(seconds * 1_000_000),
                users: match executor {
                    Executor::Closed(closed) => closed.users,
                    Executor::Arrivals(_) | Executor::Capacity(_) => 1024,
                },
                executor: executor.clone(),
                planned_arrivals: None,
            })
            .collect(),
        timeline: Vec::new(),
        observe: vec![],
        stop_when: Vec::new(),
        unless_steady: Unsteady::Stop,
        checks: Vec::new(),
    }
}

/// What a load left behind.
struct Driven {
    summary: LoadSummary,
    intervals: Vec<Interval>,
    exemplars: Vec<Exemplar>,
    progress: Progress,
    requests: Vec<LoggedRequest>,
}

impl Driven {
    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.intervals.iter().flat_map(|interval| &interval.cells)
    }

    /// Requests by class, of one workload.
    fn outcomes(&self, workload: &str) -> HashMap<Outcome, u64> {
        let mut counts = HashMap::new();
        for cell in self.cells().filter(|cell| cell.key.workload.as_str() == workload) {
            *counts.entry(cell.key.outcome).or_default() += cell.count;
        }
        counts
    }

    /// All cells as one.
    fn sum(&self) -> Cell {
        let mut cells = self.cells();
        let mut sum = cells.next().expect("a cell").clone();
        cells.for_each(|cell| sum.merge(cell));
        sum
    }
}

async fn load(plan: Plan, address: SocketAddr) -> Driven {
    load_until(plan, address, |_| std::future::pending()).await
}

/// Drives the load; what `then` does with the progress ends with it, or, if it
/// returns, cancels the load.
async fn load_until<F: Future<Output = ()>>(
    plan: Plan,
    address: SocketAddr,
    then: impl FnOnce(watch::Receiver<Progress>) -> F,
) -> Driven {
    let _turn = ONE_AT_A_TIME.lock().await;
    load_on(Clock::starting_in(Duration::from_millis(500)), plan, address, then).await
}

/// Loads run one after the other, and the clock must not start before.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn load_on<F: Future<Output = ()>>(
    clock: Clock,
    plan: Plan,
    address: SocketAddr,
    then: impl FnOnce(watch::Receiver<Progress>) -> F,
) -> Driven {
    let (sink, mut lines) = Sink::new(clock);
    let cancel = CancellationToken::new();
    let (progress, watched) = watch::channel(Progress::default());
    let log = tempfile::NamedTempFile::new().expect("a file");
    let (requests, writer) = RequestLog::create(log.path()).expect("a log");
    let job = LoadJob {
        search: Default::default(),
        requests: Some(requests),
        plan: Arc::new(plan),
        to: format!("http://{address}").parse::<http::Uri>().expect("a URI").into(),
        clock,
        sink,
        cancel: cancel.clone(),
        progress,
    };
    let drive = drive(job);
    tokio::pin!(drive);
    let summary = tokio::select! {
        summary = &mut drive => summary,
        () = then(watched.clone()) => {
            cancel.cancel();
            drive.await
        }
    };
    let mut driven = Driven {
        summary: summary.expect("it drives"),
        intervals: Vec::new(),
        exemplars: Vec::new(),
        progress: watched.borrow().clone(),
        requests: Vec::new(),
    };
    let (dropped, written) = writer.finish().await;
    written.expect("a log");
    let text = std::fs::read_to_string(log.path()).expect("a log");
    driven
        .requests
        .extend(text.lines().map(|line| serde_json::from_str::<LoggedRequest>(line).expect("a line")));
    assert_eq!((driven.requests.len() as u64, dropped), (driven.summary.done, 0), "each ended once");
    while let Ok(line) = lines.try_recv() {
        match line {
            Line::Interval(interval) => driven.intervals.push(interval),
            Line::Event(record) => match record.event {
                Event::Exemplar(exemplar) => driven.exemplars.push(exemplar),
                other => panic!("{other:?}"),
            },
        }
    }
    driven
}

/// The class of every 5th request under a fault.
fn class(fault: Fault) -> Outcome {
    match fault {
        Fault::None => Outcome::Ok,
        Fault::Truncated | Fault::Cut => Outcome::Truncated,
        Fault::InBandError => Outcome::InBandError,
        Fault::Reset | Fault::ResetFirst => Outcome::Reset,
        Fault::Stall | Fault::Ping => Outcome::Stalled,
        Fault::Silence => Outcome::Timeout,
        Fault::TooMany | Fault::RetryAfter => Outcome::Shed,
        Fault::Unavailable => Outcome::Http5xx,
        Fault::Forbidden | Fault::Echo => Outcome::Http4xx,
        Fault::Short => Outcome::Short,
        Fault::Lost => Outcome::Discontinuous,
        Fault::Malformed | Fault::Html | Fault::Garbled => Outcome::Malformed,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_noticed_every_time() {
    let server = Server::start(Manner::default()).await;
    let loads = Fault::ALL.map(|fault| {
        let mut workload = workload(&fault.path());
        if fault == Fault::Silence {
            workload.timeout = Span::secs(2);
        }
        (workload, closed(5, Some(50)))
    });
    let driven = load(plan(60, loads.to_vec()), server.address).await;
    for (i, fault) in Fault::ALL.into_iter().enumerate() {
        let outcomes = driven.outcomes(&format!("{i}-{fault:?}"));
        let expected = match class(fault) {
            Outcome::Ok => HashMap::from([(Outcome::Ok, 50)]),
            class => HashMap::from([(Outcome::Ok, 40), (class, 10)]),
        };
        assert_eq!(outcomes, expected, "{fault:?}");
    }
    let all = 50 * Fault::ALL.len() as u64;
    assert_eq!((driven.summary.sent, driven.summary.done, driven.summary.due), (all, all, all));
    assert_eq!(driven.summary.outcomes.values().sum::<u64>(), all);
    assert_eq!((driven.summary.panics, driven.summary.cancelled), (0, false));
    assert_eq!(server.requests().len() as u64, all, "none is sent twice");
    // Five of each class of a workload, at most, each with its reason.
    assert!(driven.exemplars.iter().all(|e| !e.detail.is_empty() && e.outcome != Outcome::Ok));
    let shed = driven.exemplars.iter().filter(|e| e.outcome == Outcome::Shed).count();
    assert_eq!(shed, 2 * 5, "of the two that shed");
    let error = driven.exemplars.iter().find(|e| e.outcome == Outcome::InBandError).expect("an exemplar");
    assert!(error.detail.contains("CUDA out of memory"), "{}", error.detail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_times_are_those_of_the_server() {
    let manner = Manner { first_token: Duration::from_millis(40), ..Manner::default() };
    let server = Server::start(manner).await;
    let driven = load(plan(60, vec![(workload("/None"), closed(2, Some(20)))]), server.address).await;
    let sum = driven.sum();
    assert_eq!((sum.count, sum.good), (20, 20));
    assert_eq!(sum.tokens, 20 * TOKENS as u64);
    assert_eq!(sum.itl.len(), 20 * (TOKENS as u64 - 1), "neither role, finish, usage nor [DONE] is content");
    assert_eq!((sum.ttft.len(), sum.tpot.len(), sum.e2e.len()), (20, 20, 20));
    assert!(sum.service_ttft.quantile(0.01, 0) >= Some(39_900), "{:?}", sum.service_ttft.quantile(0.01, 0));
    assert!(sum.service_ttft.quantile(1.0, 0) <= sum.ttft.quantile(1.0, 0), "scheduled is before sent");
    assert_eq!(server.connections(), 2, "connections are kept");
    let request = &server.requests()[0];
    assert_eq!(request.headers["x-tenant"], "drill");
    assert_eq!(request.body["max_tokens"], TOKENS);
    let ids: std::collections::HashSet<_> =
        server.requests().iter().map(|r| r.headers["x-request-id"].clone()).collect();
    assert_eq!(ids.len(), 20, "each request has a name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_is_measured_too() {
    let server = Server::start(Manner::default()).await;
    let mut workload = workload("/None");
    let Endpoint::OpenaiChat(chat) = &mut workload.endpoint else { panic!("a chat") };
    chat.stream = false;
    let mut cut = workload.clone();
    let Endpoint::OpenaiChat(chat) = &mut cut.endpoint else { panic!("a chat") };
    chat.path = Some(Fault::Cut.path());
    let loads = vec![(workload, closed(2, Some(10))), (cut, closed(2, Some(10)))];
    let driven = load(plan(60, loads), server.address).await;
    assert_eq!(driven.outcomes("0-None"), HashMap::from([(Outcome::Ok, 10)]));
    assert_eq!(driven.outcomes("1-Cut"), HashMap::from([(Outcome::Ok, 8), (Outcome::Truncated, 2)]));
    assert_eq!(driven.cells().map(|cell| cell.tokens).sum::<u64>(), 18 * 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_connection_is_no_failure() {
    let server = Server::start(Manner { closes: true, ..Manner::default() }).await;
    // Time for the news of the close to arrive: a request that crosses it on
    // its way is lost, and must not be sent again.
    let think = Span::millis(30);
    let executor = Executor::Closed(Closed { users: 2, requests: Some(30), think: Think::Fixed(think) });
    let driven = load(plan(60, vec![(workload("/None"), executor)]), server.address).await;
    assert_eq!(driven.summary.outcomes.get(&Outcome::Ok), Some(&30), "{:?}", driven.exemplars);
    assert_eq!(server.connections(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_refused() {
    let server = Server::start(Manner::default()).await;
    let address = server.address;
    drop(server);
    let driven = load(plan(60, vec![(workload("/None"), closed(2, Some(10)))]), address).await;
    assert_eq!(driven.summary.outcomes.get(&Outcome::ConnectRefused), Some(&10));
}

/// A backlog that is full swallows further connections without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_accepts_is_a_connect_timeout() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("an address");
    let mut held = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        held.push(stream.expect("a connection"));
    }
    let mut workload = workload("/None");
    workload.timeout = Span::millis(200);
    let driven = load(plan(60, vec![(workload, closed(2, Some(4)))]), address).await;
    assert_eq!(Vec::from_iter(driven.summary.outcomes), [(Outcome::ConnectTimeout, 4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_up_is_sent_and_not_judged() {
    let server = Server::start(Manner::default()).await;
    let mut plan = plan(1, vec![(workload("/None"), constant(50.0))]);
    plan.warm_up = Span::secs(1);
    for phase in &mut plan.phases {
        phase.start = phase.start + Duration::from_secs(1);
        phase.end = phase.end + Duration::from_secs(1);
        // Nobody is that fast.
        phase.good.ttft = Some(Span::millis(0));
    }
    for load in &mut plan.load {
        load.start = load.start + Duration::from_secs(1);
        load.end = load.end + Duration::from_secs(1);
    }
    let driven = load(plan, server.address).await;
    let of = |phase: Option<&str>| {
        let cells = driven.cells().filter(|c| c.key.phase.as_ref().map(PhaseName::as_str) == phase);
        cells.fold((0, 0), |(count, good), cell| (count + cell.count, good + cell.good))
    };
    assert_eq!(of(None), (50, 50));
    assert_eq!(of(Some("load")), (50, 0));
    assert!(driven.cells().all(|cell| cell.key.phase.is_none() == (cell.key.second == 0)));
}

/// A server that stands still for a second makes everybody wait who was due
/// meanwhile, not only those who were under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_counts_everybody_who_waited() {
    let server = Server::start(Manner::default()).await;
    let driven = load_until(
        plan(3, vec![(workload("/None"), constant(100.0))]),
        server.address,
        async |mut progress| {
            progress.wait_for(|p| p.done >= 50).await.expect("it goes on");
            server.freeze(true);
            tokio::time::sleep(Duration::from_secs(1)).await;
            server.freeze(false);
            std::future::pending().await
        },
    )
    .await;
    let summary = &driven.summary;
    assert_eq!((summary.due, summary.sent, summary.done), (300, 300, 300));
    assert_eq!(summary.starved, 0);
    let sum = driven.sum();
    assert_eq!((sum.count, sum.key.outcome), (300, Outcome::Ok));
    // 100 were due in that second: half of them waited for 500 ms or more.
    let waited = sum.ttft.len() - sum.ttft.at_most(490_000);
    assert!(waited >= 40, "{waited}");
    let due: u64 = driven.intervals.iter().map(|i| i.generator.due).sum();
    let sent: u64 = driven.intervals.iter().map(|i| i.generator.sent).sum();
    let lags: u64 = driven.intervals.iter().map(|i| i.generator.lag.len()).sum();
    assert_eq!((due, sent, lags), (300, 300, 300));
    assert_eq!(driven.intervals.last().expect("an interval").generator.in_flight, 0);
    assert_eq!(driven.progress.seconds.iter().map(|s| s.ended).sum::<u64>(), 300);
}

/// Users that come late are the harness's fault, and it says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starved_arrivals_are_counted() {
    let server = Server::start(Manner::default()).await;
    let _turn = ONE_AT_A_TIME.lock().await;
    let clock = Clock::start();
    clock.sleep_until(RunTime(400_000)).await;
    let plan = plan(1, vec![(workload("/None"), constant(100.0))]);
    let driven = load_on(clock, plan, server.address, |_| std::future::pending()).await;
    assert_eq!((driven.summary.sent, driven.summary.done), (100, 100));
    assert!((39..=100).contains(&driven.summary.starved), "{}", driven.summary.starved);
    let starved: u64 = driven.intervals.iter().map(|i| i.generator.starved).sum();
    assert_eq!(starved, driven.summary.starved);
    let sum = driven.sum();
    // The first waited for 400 ms before it was sent, and that counts.
    assert!(sum.ttft.max() >= Some(399_000), "{:?}", sum.ttft.max());
    let late: u64 =
        driven.intervals.iter().map(|i| i.generator.lag.len() - i.generator.lag.at_most(300_000)).sum();
    assert!(late >= 10, "{late}");
}

/// Machines read our standard output; Goose would write there, too.
#[test]
fn goose_says_nothing_on_standard_output() {
    let out = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "load::nobody_there_is_refused", "--nocapture"])
        .output()
        .expect("it starts");
    assert!(out.status.success());
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(text.contains("1 passed"), "{text}");
    let foreign: Vec<&str> = text
        .lines()
        .filter(|line| !(line.is_empty() || line.starts_with("test ") || *line == "running 1 test"))
        .collect();
    assert_eq!(foreign, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_ends_what_is_open() {
    let server = Server::start(Manner::default()).await;
    server.freeze(true);
    let driven = load_until(
        plan(600, vec![(workload("/None"), constant(50.0))]),
        server.address,
        async |mut progress| {
            progress.wait_for(|p| p.in_flight >= 20).await.expect("it goes on");
        },
    )
    .await;
    let summary = &driven.summary;
    assert!(summary.cancelled);
    assert_eq!(summary.sent, summary.done);
    assert_eq!(Vec::from_iter(summary.outcomes.clone()), [(Outcome::Cancelled, summary.sent)]);
    assert!(summary.due >= summary.sent && summary.due < 600 * 50);
}

/// Whoever drops a load stops it, and the next one can begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_load_stops() {
    let (first, second) = (Server::start(Manner::default()).await, Server::start(Manner::default()).await);
    let turn = ONE_AT_A_TIME.lock().await;
    let endless = plan(600, vec![(workload("/None"), closed(4, None))]);
    let driven = load_on(Clock::start(), endless, first.address, |_| std::future::pending());
    let begun = async {
        while first.requests().len() < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = driven => panic!("it has no end"),
        () = begun => {}
    }
    drop(turn);
    let driven = load(plan(60, vec![(workload("/None"), closed(2, Some(10)))]), second.address).await;
    assert_eq!((driven.summary.done, second.requests().len()), (10, 10));
    let sent = first.requests().len();
    let driven = load(plan(60, vec![(workload("/None"), closed(2, Some(10)))]), second.address).await;
    assert_eq!((driven.summary.done, first.requests().len()), (10, sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_told_apart_by_who_gave_them() {
    let headers = "cache-status: gw; fwd=miss\r\nx-model-version: v7\r\nx-served-by: pod-1\r\nx-upstream-attempts: 2\r\n";
    let server =
        Server::start(Manner { headers, first_token: Duration::from_millis(100), ..Manner::default() }).await;
    let mut popular = workload("/None");
    synthetic(&mut popular).popularity = Some(Popularity { zipf: 1.0, prompts: 1 });
    prompts(&mut popular).golden = Some(Golden {
        share: Ratio(0.5),
        prompts: vec![GoldenPrompt { ask: "what?".into(), expected: Expected::Contains("sword".into()) }],
    });
    let driven = load(plan(60, vec![(popular, closed(4, Some(40)))]), server.address).await;
    assert!(driven.cells().all(|cell| {
        let served = &cell.key.served;
        served.cache == CacheUse::Miss
            && served.version.as_ref().is_some_and(|v| v.as_str() == "v7")
            && served.pod.as_ref().is_some_and(|p| p.as_str() == "pod-1")
            && !served.fallback
    }));
    let sum = driven.sum();
    assert_eq!((sum.attempts, sum.attempts_stated), (80, 40));
    // Two prompts in all, four at a time: nearly all misses had company.
    assert!(sum.overlapping_misses > 20, "{}", sum.overlapping_misses);
    assert_eq!(sum.comparable_misses, 40);
    let wrong: u64 = driven.cells().filter(|c| c.key.golden).map(|c| c.count).sum();
    assert_eq!(driven.summary.outcomes.get(&Outcome::Mismatch), Some(&wrong));
    assert!((8..=32).contains(&wrong), "{wrong}");
}

#[tokio::test]
async fn the_probe_says_how_the_endpoint_answers() {
    let server = Server::start(Manner::default()).await;
    let url = format!("http://{}", server.address).parse::<http::Uri>().expect("a URI").into();
    let answer = probe(&url, &workload("/None")).await.expect("an answer");
    assert_eq!((answer.outcome, answer.tokens, answer.usage), (Outcome::Ok, TOKENS as u64, true));
    assert_eq!(server.requests()[0].headers["x-firedrill-probe"], "1");
    let address = server.address;
    drop(server);
    // Its tasks end a little later.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let refused = probe(&url, &workload("/None")).await.expect("an answer");
    assert_eq!(refused.outcome, Outcome::ConnectRefused);
    let ftp = "ftp://127.0.0.1".parse::<http::Uri>().expect("a URI").into();
    assert!(matches!(probe(&ftp, &workload("/None")).await, Err(LoadError::Url { .. })));
}
