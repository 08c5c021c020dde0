//! Faults on the way to a URL, whatever answers there.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use firedrill::{
    chaos::proxy::ProxyClient,
    lab::{Lab, config::LabConfig},
    verdict::model::Verdict,
};

use super::{Folder, command, run_folder, said, verdict};
use crate::support::{Running, exe};

/// A drill of a URL in which the way there gets slow, then cut; `proxy` is as
/// in the scenario.
fn scenario(at: &str, proxy: &str) -> String {
    format!(
        r#"version: 1
name: proxied
seed: 5
target: {{ url: {{ at: "{at}", proxy: "{proxy}" }} }}
workloads:
  chat:
    endpoint: {{ openai-chat: {{ model: demo, stream: true }} }}
    prompts: {{ synthetic: {{ input-tokens: 8, output-tokens: 4 }} }}
    timeout: 2s
load:
  - {{ name: users, workload: chat, arrivals: {{ poisson: {{ rate: 20/s }} }} }}
phases: {{ baseline: 4s, slow: 4s, cut: 4s }}
chaos:
  - id: slow
    at: slow + 0s
    apply:
      apiVersion: chaos-mesh.org/v1alpha1
      kind: NetworkChaos
      spec: {{ action: delay, mode: all, selector: {{}}, delay: {{ latency: 400ms }}, duration: 3s }}
  - id: cut
    at: cut + 0s
    apply:
      apiVersion: firedrill.dev/v1alpha1
      kind: LinkChaos
      spec: {{ action: limit-data, bytes: 600, mode: all, selector: {{}}, duration: 3s }}
slos:
  - {{ ttft: "p50 < 300ms", in: baseline }}
  - {{ ttft: "p50 < 300ms", in: slow }}
  - {{ availability: ">= 99%", in: cut }}
"#
    )
}

async fn lab(folder: &Folder) -> Lab {
    let config =
        LabConfig { replicas: 1, cold_start: "100ms".parse().expect("a span"), ..LabConfig::default() };
    Lab::start(&config, 5, exe(), &folder.path().join("lab")).await.expect("the lab starts")
}

fn drilled(folder: &Folder, scenario: &str) {
    let out = command(folder, scenario).output().expect("it starts");
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    let judged = verdict(&run_folder(&out));
    for fault in &judged.faults {
        assert!(fault.proven_at.is_some() && fault.recovered_at.is_some(), "{}: {}", fault.id, said(&out));
    }
    let of = |phase: &str| {
        let slo = judged
            .checks
            .iter()
            .find(|check| check.id.as_str().ends_with(phase) && check.id.as_str().starts_with("slo"));
        slo.unwrap_or_else(|| panic!("no SLO in {phase}")).verdict
    };
    assert_eq!([of("baseline"), of("slow"), of("cut")], [Verdict::Pass, Verdict::Fail, Verdict::Fail]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_a_url_is_broken_by_a_proxy_of_the_runs_own() {
    let folder = Folder::new();
    let lab = lab(&folder).await;
    let scenario = scenario(&format!("http://{}", lab.addresses().gateway), "on");
    tokio::task::block_in_place(|| drilled(&folder, &scenario));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_runs_alone_is_used_and_left_clean() {
    let folder = Folder::new();
    let lab = lab(&folder).await;
    let mut proxy = Command::new(exe());
    proxy.args(["proxy", "--listen", "127.0.0.1:0", "--upstream", &lab.addresses().gateway.to_string()]);
    let mut proxy = Running::start(proxy.stdout(Stdio::piped()));
    let mut lines = BufReader::new(proxy.stdout()).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    let listen = line().split(" -> ").next().expect("an address").to_owned();
    let admin = line();
    let admin = admin.trim_start_matches("admin API: http://").trim_end_matches("/links").to_owned();
    tokio::task::block_in_place(|| drilled(&folder, &scenario(&format!("http://{listen}"), &admin)));
    let client = ProxyClient::new(admin.parse().expect("an address")).expect("a client");
    let links = client.links().await.expect("links");
    assert_eq!((links.len(), links[0].name.as_str(), links[0].toxics.len()), (1, "target", 0));
    lab.stop().await;
}
