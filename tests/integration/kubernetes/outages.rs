//! The API server, or the way to it, is gone while something is broken.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Output,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

use super::{
    drills::{act, app},
    rig::{Rig, kubectl, recover, said, verdict},
    snapshot::Snapshot,
};
use crate::support::Running;

/// How long it is gone.
const OUTAGE: Duration = Duration::from_secs(10);

/// Faults that end while the API server can't be reached.
fn scenario(rig: &Rig) -> String {
    let freeze =
        act("freeze", "PodChaos", &format!("duration: 4s, action: pod-failure, mode: one, {}", app()));
    let scale = act(
        "scale",
        "KubernetesChaos",
        &format!("duration: 4s, action: scale, replicas: 2, mode: one, {}", app()),
    );
    rig.scenario(", healthy-floor: 0", &format!("chaos:\n{freeze}{scale}"))
}

/// The run came to a verdict, and took back both of its faults.
fn ended_well(rig: &Rig, before: &Snapshot, out: &Output) {
    let code = out.status.code();
    assert!(matches!(code, Some(0 | 1 | 3)), "{code:?}: {}", said(out));
    let judged = verdict(out);
    assert_eq!(judged.faults.len(), 2);
    for fault in &judged.faults {
        assert!(fault.recovered_at.is_some(), "{}: {}", fault.id, said(out));
    }
    before.comes_back(rig, &said(out));
    assert_eq!(Snapshot::marked(rig), 0);
}

/// A process that stands still until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn server() -> Self {
        let server = kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]);
        assert!(server.contains("//127.0.0.1:"), "only a server on this machine can be stopped: {server}");
        let pids = fs::read_dir("/proc").expect("processes").flatten().filter_map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            (name.trim() == "kube-apiserver").then(|| entry.file_name().to_str()?.parse().ok()).flatten()
        });
        let pids: Vec<i32> = pids.collect();
        let [pid] = pids[..] else { panic!("not one API server: {pids:?}") };
        kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it stops");
        Self(Pid::from_raw(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Where it is gone, nothing is to be gone on with.
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn an_api_server_that_stands_still_for_ten_seconds_delays_a_recovery_and_loses_none() {
    let rig = Rig::start("stopped");
    let before = Snapshot::take(&rig);
    let (harness, _) = rig.begun(rig.command(&scenario(&rig)), "\"proven\"");
    let stopped = Stopped::server();
    // The outage's length is what the test is about.
    std::thread::sleep(OUTAGE);
    drop(stopped);
    ended_well(&rig, &before, &harness.ended());
}

/// A way to the API server that can be cut: what is under way is lost without
/// a word, and what begins meanwhile waits.
struct Way {
    at: SocketAddr,
    cut: watch::Sender<bool>,
}

impl Way {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let cut = watch::Sender::new(false);
        let cuts = cut.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, cuts.clone()));
            }
        });
        Self { at, cut }
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut cuts: watch::Receiver<bool>) {
    // An end of the channel is an end of the test.
    let _ = cuts.wait_for(|cut| !cut).await;
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = cuts.wait_for(|cut| *cut) => {}
    }
    let _ = cuts.wait_for(|cut| !cut).await;
}

/// A drill that reaches the API server by a way of its own, once both faults
/// are proven.
async fn on_its_way(rig: &Rig) -> (Way, Running, PathBuf) {
    let config = kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&config).expect("a kubeconfig");
    let server = &mut config["clusters"][0]["cluster"]["server"];
    let url = server.as_str().expect("a URL").to_owned();
    let address = url.trim_start_matches("https://").trim_end_matches('/').parse().expect("an address");
    let way = Way::to(address).await;
    *server = json!(format!("https://{}", way.at));
    let file = rig.write("kubeconfig.json", &config.to_string());
    let mut command = rig.command(&scenario(rig));
    command.env("KUBECONFIG", file);
    let (harness, run) = tokio::task::block_in_place(|| rig.begun(command, "\"proven\""));
    (way, harness, run)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
async fn a_network_that_is_cut_for_ten_seconds_delays_a_recovery_and_loses_none() {
    let rig = Rig::start("cut");
    let before = Snapshot::take(&rig);
    let (way, harness, _) = on_its_way(&rig).await;
    way.cut.send_replace(true);
    sleep(OUTAGE).await;
    way.cut.send_replace(false);
    let out = tokio::task::block_in_place(|| harness.ended());
    ended_well(&rig, &before, &out);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
async fn a_network_that_stays_cut_is_an_exit_with_advice_and_recover_finishes_elsewhere() {
    let rig = Rig::start("lost");
    let before = Snapshot::take(&rig);
    let (way, harness, run) = on_its_way(&rig).await;
    way.cut.send_replace(true);
    let out = tokio::task::block_in_place(|| harness.ended());
    assert_eq!(out.status.code(), Some(5), "{}", said(&out));
    assert!(said(&out).contains("kubectl -n"), "{}", said(&out));
    assert!(said(&out).contains("firedrill recover"), "{}", said(&out));
    assert!(Snapshot::marked(&rig) > 0, "something is left");
    // Another machine has a kubeconfig of its own.
    fs::remove_file(rig.write("kubeconfig.json", "")).expect("it goes");
    let out = tokio::task::block_in_place(|| recover(&run));
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    rig.settled();
    before.comes_back(&rig, &said(&out));
    assert_eq!(Snapshot::marked(&rig), 0);
}
