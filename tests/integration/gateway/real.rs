//! The gateway in the whole lab: what it counts is what the replicas logged
//! and what the client got.

use std::{collections::BTreeMap, path::Path};

use firedrill::lab::{Lab, api::ReplicaLogLine, config::LabConfig};

use super::rig::{sum, until_so};
use crate::support::exe;

/// The lines of all replicas' logs.
fn logged(folder: &Path) -> Vec<ReplicaLogLine> {
    let files = std::fs::read_dir(folder).expect("the logs").map(|entry| entry.expect("an entry").path());
    let logs = files.filter(|path| path.to_string_lossy().ends_with(".requests.jsonl"));
    let texts: Vec<String> = logs.map(|path| std::fs::read_to_string(path).expect("a log")).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.map(|line| serde_json::from_str(line).expect("a line")).collect()
}

#[tokio::test]
async fn gateway_replicas_and_client_count_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let lab = Lab::start(&LabConfig::default(), 7, exe(), folder.path()).await.expect("the lab starts");
    let gateway = lab.addresses().gateway;
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    // Each prompt twice at once: the second one reads along, or hits.
    let requests = (0..60).map(async |n| {
        let body = serde_json::json!({
            "model": "demo", "stream": true, "max_tokens": 8,
            "messages": [{"role": "user", "content": format!("tell me of {}", n / 2)}],
        });
        let request = http.post(format!("http://{gateway}/v1/chat/completions"));
        let request = request.header("x-request-id", format!("id-{n}")).json(&body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        let attempts: usize = header("x-upstream-attempts").parse().expect("a number");
        let cache = header("cache-status");
        let text = answer.text().await.expect("a whole answer");
        assert!(text.ends_with("data: [DONE]\n\n"));
        (format!("id-{n}"), attempts, cache, text)
    });
    let answers = futures::future::join_all(requests).await;
    for pair in answers.chunks(2) {
        assert_eq!(pair[0].3, pair[1].3, "byte for byte");
        assert_eq!(pair[0].1 + pair[1].1, 1, "{:?} {:?}", pair[0].2, pair[1].2);
    }
    let metrics = async || {
        let answer = http.get(format!("http://{gateway}/metrics")).send().await.expect("an answer");
        answer.text().await.expect("text")
    };
    until_so("all attempts are counted", async || {
        sum(&metrics().await, "gateway_upstream_requests_total") == 30.0
    })
    .await;
    let text = metrics().await;
    assert_eq!(sum(&text, "gateway_requests_total"), 60.0);
    assert_eq!(sum(&text, "gateway_cache_requests_total"), 60.0);
    assert!(text.contains("gateway_cache_requests_total{result=\"miss\"} 30"));
    lab.stop().await;
    let lines = logged(folder.path());
    assert!(lines.iter().all(|line| line.complete && line.tokens == 8));
    let seen: BTreeMap<_, _> = lines.iter().filter_map(|line| Some((line.id.clone()?, 1))).collect();
    assert_eq!((lines.len(), seen.len()), (30, 30));
    for (id, attempts, ..) in &answers {
        assert_eq!(seen.contains_key(id), *attempts == 1, "{id}");
    }
}
