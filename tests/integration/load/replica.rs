//! The load against a real replica of the lab, which keeps books of its own.

use std::collections::{HashMap, HashSet};

use firedrill::{
    journal::interval::Outcome,
    lab::{
        api::{Listening, ReplicaConfig, ReplicaLogLine, command},
        config::{ModelPreset, VersionDefect},
        golden::GOLDEN,
    },
    process::{self, Child},
    scenario::model::{Endpoint, Expected, Golden, GoldenPrompt, Popularity, Tokens},
    units::{PodName, Ratio, Span, Version},
};

use super::{closed, constant, load, plan, prompts, synthetic, workload};
use crate::support::exe;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_agree_with_the_replicas_books() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("requests.jsonl");
    let config = ReplicaConfig {
        pod: PodName::from("replica-0"),
        version: Version::from("v1"),
        defect: VersionDefect::None,
        model: ModelPreset::Llama8bH100,
        seed: 42,
        cold_start_ms: 0,
        ready_before_warm: false,
        garbage: false,
        named: None,
        extra_delay_ms: 0,
        error_rate: 0.1,
        request_log: Some(log.clone()),
        port: None,
    };
    let (child, said): (Child, Listening) =
        process::spawn(exe(), command::REPLICA, &config, None).await.expect("a replica starts");
    let mut chat = workload("/v1/chat/completions");
    chat.idle_timeout = Span::secs(5);
    synthetic(&mut chat).input_tokens = Tokens::Lognormal { median: 60, p99: 300 };
    synthetic(&mut chat).output_tokens = Tokens::Uniform { min: 4, max: 24 };
    synthetic(&mut chat).popularity = Some(Popularity { zipf: 1.1, prompts: 50 });
    prompts(&mut chat).golden = Some(Golden {
        share: Ratio(0.2),
        prompts: GOLDEN
            .iter()
            .map(|(ask, answer)| GoldenPrompt {
                ask: (*ask).into(),
                expected: Expected::Contains((*answer).into()),
            })
            .collect(),
    });
    let mut whole = chat.clone();
    let Endpoint::OpenaiChat(endpoint) = &mut whole.endpoint else { panic!("a chat") };
    endpoint.stream = false;
    let driven =
        load(plan(4, vec![(chat, constant(30.0)), (whole, closed(2, Some(20)))]), said.listening).await;
    child.stop(std::time::Duration::from_secs(10)).await.expect("it stops");

    let text = std::fs::read_to_string(&log).expect("a log");
    let lines: Vec<ReplicaLogLine> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    let ids: HashSet<_> = lines.iter().map(|line| line.id.clone().expect("an id")).collect();
    assert_eq!((lines.len(), ids.len()), (140, 140), "each is seen, once");
    assert_eq!((driven.summary.sent, driven.summary.done), (140, 140));
    let failed = lines.iter().filter(|line| line.status == 500).count() as u64;
    let ok = lines.iter().filter(|line| line.status == 200).count() as u64;
    assert!(failed > 0, "some fail by chance");
    let outcomes = &driven.summary.outcomes;
    assert_eq!(outcomes.get(&Outcome::Http5xx), Some(&failed), "{outcomes:?} {:?}", driven.exemplars);
    assert_eq!(outcomes.get(&Outcome::Ok), Some(&ok));
    let tokens: u64 = driven.cells().map(|cell| cell.tokens).sum();
    assert_eq!(tokens, lines.iter().map(|line| u64::from(line.tokens)).sum::<u64>());
    assert!(driven.cells().all(|cell| cell.key.served.pod == Some(PodName::from("replica-0"))));
    assert!(driven.cells().all(|cell| cell.key.served.version == Some(Version::from("v1"))));

    // No answer is here before it was written there.
    let written: HashMap<_, _> = lines.iter().map(|line| (line.id.as_deref(), line)).collect();
    assert_eq!(driven.requests.len(), lines.len());
    for request in &driven.requests {
        let line = written[&Some(request.id.as_str())];
        assert_eq!((request.status, request.tokens), (Some(line.status), u64::from(line.tokens)));
        if let (Some(first), Some(theirs)) = (request.first_token, line.ttft_us) {
            // Both sides leave out a part of a µs.
            assert!(first.0 - request.sent.0 + 1 >= theirs, "{request:?} {line:?}");
        }
    }

    // From the sending on, which is all that the replica can see. A busy
    // machine gets more room than the millisecond that a quiet one needs.
    let mut sent: Vec<u64> = lines
        .iter()
        .filter(|line| line.id.as_ref().is_some_and(|id| id.contains("-0-v1")))
        .filter_map(|line| line.ttft_us)
        .collect();
    sent.sort_unstable();
    let theirs = sent[sent.len() / 2];
    let mut ours = firedrill::journal::Distribution::default();
    driven
        .cells()
        .filter(|cell| cell.key.workload.as_str().starts_with('0') && cell.key.outcome == Outcome::Ok)
        .for_each(|cell| ours.merge(&cell.service_ttft));
    let ours = ours.quantile(0.5, 0).expect("samples");
    assert!(ours.abs_diff(theirs) < theirs / 3, "{theirs} µs at the replica, {ours} µs here");
}
