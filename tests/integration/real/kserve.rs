//! MLServer and Triton over KServe v2: HTTP with JSON and with bytes, gRPC.

use firedrill::journal::interval::Outcome;

use super::{mlserver, triton};
use crate::drill::Drilled;

/// One workload of 40 requests of two users.
fn drill(url: &str, endpoint: &str) -> String {
    format!(
        "version: 1\nname: real\nseed: 1\ntarget: {{ url: \"{url}\" }}\nworkloads:\n  w:\n    timeout: 20s\n    endpoint: {endpoint}\n\
         load: [ {{ name: a, workload: w, closed: {{ users: 2, requests: 40 }} }} ]\nslos: [ {{ availability: \">= 80%\" }} ]\n"
    )
}

fn all_is_well(url: &str, endpoint: &str, version: &str) -> Drilled {
    let drilled = Drilled::run(&drill(url, endpoint));
    // Inconclusive, where a busy machine made the load late.
    assert!(matches!(drilled.code, 0 | 3), "{endpoint}: {}", drilled.said);
    assert_eq!(Vec::from_iter(drilled.outcomes()), [(Outcome::Ok, 40)], "{}", drilled.said);
    let versions = drilled.record.cells().map(|cell| cell.key.served.version.clone());
    assert!(versions.into_iter().all(|served| served.is_some_and(|v| v.as_str() == version)), "{endpoint}");
    drilled
}

/// The first request decides: the run does not begin.
fn is_refused(url: &str, endpoint: &str, part: &str) {
    let drilled = Drilled::run(&drill(url, endpoint));
    assert_eq!(drilled.code, 2, "{endpoint}: {}", drilled.said);
    assert!(drilled.said.contains(part), "{endpoint}: {}", drilled.said);
}

const IRIS: &str = "model: iris, inputs: [ { name: predict, datatype: FP32, shape: [batch, 4], values: { uniform: { min: 0, max: 7 } } } ], \
    batch: { min: 1, max: 4 }, outputs: [ { name: predict, datatype: INT64 } ]";

#[test]
#[ignore = "needs scripts/real-servers"]
fn mlserver_answers_over_http_and_grpc() {
    let server = mlserver();
    let grpc = format!("http://{}", server.grpc.expect("a port"));
    all_is_well(&server.url, &format!("{{ kserve-v2: {{ {IRIS} }} }}"), "v1");
    // It does not know the binary extension, and says so with a 500.
    is_refused(&server.url, &format!("{{ kserve-v2: {{ {IRIS}, encoding: binary }} }}"), "http-5xx");
    all_is_well(&grpc, &format!("{{ kserve-grpc: {{ {IRIS} }} }}"), "v1");
    is_refused(&server.url, &format!("{{ kserve-v2: {{ {} }} }}", IRIS.replace("iris", "other")), "http-4xx");
    is_refused(&grpc, &format!("{{ kserve-grpc: {{ {} }} }}", IRIS.replace("iris", "other")), "NOT_FOUND");
    is_refused(&server.url, &format!("{{ kserve-v2: {{ {} }} }}", IRIS.replace("INT64", "FP32")), "is INT64");
}

const IMAGE: &str = "model: image, inputs: [ { name: pixels, datatype: FP32, shape: [batch, 3, 8, 8], values: { normal: { mean: 0, std-dev: 1 } } } ], \
    batch: { min: 1, max: 16 }, outputs: [ { name: scores, datatype: FP32, shape: [batch, 4] } ]";

#[test]
#[ignore = "needs scripts/real-servers"]
fn triton_answers_over_http_and_grpc_and_in_streams() {
    let server = triton();
    let grpc = format!("http://{}", server.grpc.expect("a port"));
    all_is_well(&server.url, &format!("{{ kserve-v2: {{ {IMAGE} }} }}"), "1");
    all_is_well(&server.url, &format!("{{ kserve-v2: {{ {IMAGE}, encoding: binary }} }}"), "1");
    all_is_well(&grpc, &format!("{{ kserve-grpc: {{ {IMAGE} }} }}"), "1");
    let streamed = all_is_well(&grpc, &format!("{{ kserve-grpc: {{ {IMAGE}, stream: true }} }}"), "1");
    assert_eq!(streamed.sum("w").tokens, 40, "one response each");
    let too_many = IMAGE.replace("min: 1, max: 16", "min: 17, max: 18");
    is_refused(&server.url, &format!("{{ kserve-v2: {{ {too_many} }} }}"), "http-4xx");
    is_refused(&grpc, &format!("{{ kserve-grpc: {{ {too_many} }} }}"), "INVALID_ARGUMENT");
    is_refused(&grpc, &format!("{{ kserve-grpc: {{ {too_many}, stream: true }} }}"), "in-band-error");
    is_refused(
        &grpc,
        &format!("{{ kserve-grpc: {{ {} }} }}", IMAGE.replace("model: image", "model: x")),
        "NOT_FOUND",
    );
}
