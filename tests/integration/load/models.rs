//! Endpoints that are no language models, against a real replica of the lab.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use firedrill::{
    journal::{Feature, interval::Outcome},
    lab::{
        api::{Listening, ReplicaConfig, command},
        config::{ModelPreset, VersionDefect},
    },
    load::probe,
    process::{self, Child},
    scenario::TracedRequest,
    scenario::model::{
        Arrivals, Endpoint, Executor, Tls, Trace, TraceLengths, Transport, Workload, default_scale,
    },
    units::{PodName, Span, Version},
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{Driven, closed, constant, load, plan};
use crate::support::{Folder, exe};

async fn replica(defect: VersionDefect, error_rate: f64) -> (Child, SocketAddr) {
    let config = ReplicaConfig {
        pod: PodName::from("replica-0"),
        version: Version::from("v3"),
        defect,
        model: ModelPreset::Llama8bH100,
        seed: 42,
        cold_start_ms: 0,
        ready_before_warm: false,
        garbage: false,
        named: None,
        extra_delay_ms: 0,
        error_rate,
        request_log: None,
        port: None,
    };
    let (child, said): (Child, Listening) =
        process::spawn(exe(), command::REPLICA, &config, None).await.expect("a replica starts");
    (child, said.listening)
}

fn workload(endpoint: serde_json::Value) -> Workload {
    Workload {
        endpoint: serde_json::from_value::<Endpoint>(endpoint).expect("an endpoint"),
        prompts: None,
        timeout: Span::secs(10),
        idle_timeout: Span::secs(5),
        transport: Transport::default(),
    }
}

fn images() -> serde_json::Value {
    json!({
        "model": "image", "batch": {"min": 1, "max": 4},
        "inputs": [{"name": "pixels", "datatype": "FP32", "shape": ["batch", 3, 32, 32], "values": {"uniform": {"min": 0, "max": 1}}}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": ["batch", 10]}],
    })
}

fn with(mut endpoint: serde_json::Value, key: &str, value: serde_json::Value) -> serde_json::Value {
    endpoint[key] = value;
    endpoint
}

async fn drive(defect: VersionDefect, endpoint: serde_json::Value, executor: Executor) -> Driven {
    let (child, address) = replica(defect, 0.0).await;
    // A number of requests takes as long as it takes.
    let seconds = if matches!(executor, Executor::Closed(_)) { 300 } else { 3 };
    let driven = load(plan(seconds, vec![(workload(endpoint), executor)]), address).await;
    child.stop(Duration::from_secs(10)).await.expect("it stops");
    driven
}

fn all_ok(driven: &Driven, count: u64) {
    let summary = &driven.summary;
    assert_eq!(Vec::from_iter(&summary.outcomes), [(&Outcome::Ok, &count)], "{:?}", driven.exemplars);
    assert_eq!((summary.due, summary.sent, summary.done, summary.panics), (count, count, count, 0));
    assert!(driven.cells().all(|cell| cell.key.served.version == Some(Version::from("v3"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tensors_go_and_come_as_json_as_bytes_and_over_grpc() {
    for endpoint in [
        json!({"kserve-v2": images()}),
        json!({"kserve-v2": with(images(), "encoding", json!("binary"))}),
        json!({"kserve-grpc": images()}),
    ] {
        let driven = drive(VersionDefect::None, endpoint, closed(3, Some(40))).await;
        all_ok(&driven, 40);
        let sum = driven.sum();
        assert_eq!((sum.ttft.len(), sum.itl.len(), sum.tokens), (0, 0, 0), "an answer is whole");
        assert_eq!(sum.e2e.len(), 40);
        // A class for each image, of batches from 1 to 4.
        let classes: Vec<_> = sum.features.iter().map(|(feature, _)| feature.to_string()).collect();
        assert!((40..=160).contains(&sum.features.len()) && classes.len() > 3, "{:?}", sum.features);
        assert!(classes.iter().all(|class| (0..10).any(|known| known.to_string() == *class)), "{classes:?}");
    }
}

/// Of uniform pixels all scores are alike, so that any head start decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skewed_version_is_well_and_says_another_class() {
    let driven = drive(VersionDefect::Skewed, json!({"kserve-v2": images()}), closed(2, Some(20))).await;
    all_ok(&driven, 20);
    let features = driven.sum().features;
    assert_eq!(
        features.iter().map(|(feature, _)| feature.clone()).collect::<Vec<_>>(),
        [Feature::number(3.0)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_stream_has_a_first_response_and_gaps() {
    let endpoint = with(with(images(), "stream", json!(true)), "batch", json!(4));
    // Each response holds one image.
    let endpoint =
        with(endpoint, "outputs", json!([{"name": "scores", "datatype": "FP32", "shape": [1, 10]}]));
    let driven = drive(VersionDefect::None, json!({"kserve-grpc": endpoint}), constant(10.0)).await;
    all_ok(&driven, 30);
    let sum = driven.sum();
    assert_eq!((sum.ttft.len(), sum.itl.len(), sum.tokens), (30, 3 * 30, 4 * 30));
    assert_eq!((sum.features.len(), sum.lengths.len()), (4 * 30, 30));
    assert!(sum.ttft.quantile(0.5, 0) < sum.e2e.quantile(0.5, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_told_apart() {
    let inputs = json!([{"name": "pixels", "datatype": "FP32", "shape": [2], "values": [1, 2]}]);
    let wrong_shape = with(images(), "inputs", inputs);
    let wrong_model = with(images(), "model", json!("other"));
    let wrong_output = with(images(), "outputs", json!([{"name": "labels"}]));
    for (endpoint, outcome, part) in [
        (json!({"kserve-v2": wrong_shape.clone()}), Outcome::Http4xx, "the shape [2]"),
        (json!({"kserve-grpc": wrong_shape.clone()}), Outcome::Http4xx, "INVALID_ARGUMENT: the shape [2]"),
        (
            json!({"kserve-grpc": with(wrong_shape, "stream", json!(true))}),
            Outcome::InBandError,
            "the shape [2]",
        ),
        (json!({"kserve-v2": wrong_model.clone()}), Outcome::Http4xx, "HTTP 404"),
        (json!({"kserve-grpc": wrong_model}), Outcome::Http4xx, "NOT_FOUND"),
        (json!({"kserve-v2": wrong_output.clone()}), Outcome::Malformed, "no output `labels`"),
        (json!({"kserve-grpc": wrong_output}), Outcome::Malformed, "no output `labels`"),
    ] {
        let driven = drive(VersionDefect::None, endpoint, closed(1, Some(5))).await;
        assert_eq!(driven.summary.outcomes.get(&outcome), Some(&5), "{part}: {:?}", driven.exemplars);
        assert!(driven.exemplars[0].detail.contains(part), "{:?}", driven.exemplars);
    }
    // A version that fails now and then.
    for endpoint in [json!({"kserve-v2": images()}), json!({"kserve-grpc": images()})] {
        let driven = drive(VersionDefect::Errors, endpoint, closed(2, Some(60))).await;
        let outcomes = &driven.summary.outcomes;
        let count = |outcome| outcomes.get(&outcome).copied().unwrap_or_default();
        assert_eq!(count(Outcome::Ok) + count(Outcome::Http5xx), 60, "{:?}", driven.exemplars);
        assert!(count(Outcome::Http5xx) > 0);
    }
}

fn irises() -> serde_json::Value {
    let rows = [
        json!({"f": [5.1, 3.5, 1.4, 0.2], "expect": "setosa"}),
        json!({"f": [7.0, 3.2, 4.7, 1.4], "expect": "versicolor"}),
        json!({"f": [6.3, 3.3, 6.0, 2.5], "expect": "virginica"}),
    ];
    json!({"http": {
        "path": "/predict", "body": {"input": "{{ f }}"},
        "data": {"file": "rows.jsonl", "rows": rows},
        "good": {"content-type": "application/json", "json-path": [{"path": "$.scores[2]", "exists": true}]},
        "expect": {"path": "$.label"}, "version": "$.version",
    }})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_label_is_a_mismatch() {
    let driven = drive(VersionDefect::None, irises(), closed(2, Some(30))).await;
    all_ok(&driven, 30);
    assert!(driven.cells().all(|cell| cell.key.golden));
    assert!(driven.sum().features.is_empty(), "nobody named one");
    let mut named = irises();
    named["http"]["feature"] = json!("$.label");
    let features = drive(VersionDefect::None, named, closed(2, Some(30))).await.sum().features;
    let label = |name: &str| (Feature::text(name), 10);
    assert_eq!(Vec::from(features), [label("setosa"), label("versicolor"), label("virginica")]);
    let driven = drive(VersionDefect::WrongAnswers, irises(), closed(2, Some(30))).await;
    assert_eq!(driven.summary.outcomes.get(&Outcome::Mismatch), Some(&30), "{:?}", driven.exemplars);
    assert!(driven.exemplars[0].detail.contains("$.label is `"), "{:?}", driven.exemplars);
}

fn walk() -> serde_json::Value {
    json!({"http": {
        "path": "/act", "body": {"observation": "{{ state }}", "session": "{{ session }}"},
        "good": {"json-path": [{"path": "$.session", "equals": "{{ session }}"}]},
        "version": "$.version",
        "episode": {"steps": 10, "start": {"state": [1, 2]}, "carry": {"state": "$.next_state"}, "done": "$.done"},
    }})
}

/// So many arrivals, and then none for as long as they need.
fn arrivals(count: u64) -> Executor {
    let at = |i| TracedRequest { at: Span::millis(100 * i), ..Default::default() };
    Executor::Arrivals(Arrivals::Trace(Trace {
        file: "made up".into(),
        format: None,
        scale: default_scale(),
        from: Span::default(),
        to: None,
        lengths: TraceLengths::Workload,
        requests: (0..count).map(at).collect(),
    }))
}

/// From [1, 2] to [4, 4] it is five steps, and each is a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_episode_goes_on_to_its_end_and_the_books_balance() {
    let driven = drive(VersionDefect::None, walk(), arrivals(8)).await;
    all_ok(&driven, 8 * 5);
    // A policy that never arrives: all ten steps.
    let driven = drive(VersionDefect::WrongAnswers, walk(), arrivals(3)).await;
    all_ok(&driven, 3 * 10);
    // Steps are among a closed loop's requests.
    let driven = drive(VersionDefect::None, walk(), closed(1, Some(8))).await;
    all_ok(&driven, 8);
}

/// Nothing is asked of the answers, and their bodies are not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_episode_needs_no_answer_to_go_on() {
    let endpoint = json!({"http": {
        "path": "/act", "body": {"observation": [1, 2], "session": "{{ session }}"}, "episode": {"steps": 3},
    }});
    let driven = drive(VersionDefect::None, endpoint, arrivals(4)).await;
    assert_eq!((driven.summary.due, driven.summary.sent), (12, 12), "{:?}", driven.exemplars);
}

/// A step that fails is the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_episode_ends_with_a_step_that_fails() {
    let mut endpoint = walk();
    endpoint["http"]["good"]["json-path"] = json!([{"path": "$.action", "matches": "up"}]);
    let driven = drive(VersionDefect::None, endpoint, closed(2, Some(6))).await;
    assert_eq!(driven.summary.outcomes.get(&Outcome::Mismatch), Some(&6), "{:?}", driven.exemplars);
    assert_eq!((driven.summary.due, driven.summary.sent), (6, 6));
}

/// Takes TLS off what comes, and hands it on to `target`.
async fn under_tls(folder: &Folder, target: SocketAddr) -> (SocketAddr, PathBuf, JoinHandle<()>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let ca = folder.write("ca.pem", &made.cert.pem());
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let (Ok(mut outer), Ok(mut inner)) =
                    (acceptor.accept(tcp).await, TcpStream::connect(target).await)
                else {
                    return;
                };
                // How it ends, the client learns.
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    (address, ca, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_is_spoken_under_tls() {
    let folder = Folder::new();
    let (child, address) = replica(VersionDefect::None, 0.0).await;
    let (secure, ca, task) = under_tls(&folder, address).await;
    let url: http::Uri = format!("https://localhost:{}", secure.port()).parse().expect("a URI");
    let mut trusting = workload(json!({"kserve-grpc": images()}));
    let tls = Tls { ca: Some(ca), ..Tls::default() };
    trusting.transport.connection.tls = Some(tls);
    let answer = probe(&url.clone().into(), &trusting).await.expect("it is asked");
    assert_eq!((answer.outcome, answer.detail.as_str()), (Outcome::Ok, ""));
    let strange = folder.write("other.pem", &other_certificate());
    trusting.transport.connection.tls = Some(Tls { ca: Some(strange), ..Tls::default() });
    let answer = probe(&url.clone().into(), &trusting).await.expect("it is asked");
    assert_eq!(answer.outcome, Outcome::ConnectRefused, "{}", answer.detail);
    task.abort();
    child.stop(Duration::from_secs(10)).await.expect("it stops");
}

fn other_certificate() -> String {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate").cert.pem()
}
