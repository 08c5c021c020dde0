//! What a test starts dies with it, even if it is killed.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use super::{mlserver, nginx, triton};

/// Their ports speak: what they say is for the tests of KServe.
#[test]
#[ignore = "needs scripts/real-servers"]
fn the_kserve_servers_start_and_listen_for_grpc() {
    for server in [mlserver(), triton()] {
        let grpc = server.grpc.expect("it speaks gRPC");
        assert!(TcpStream::connect(grpc).is_ok(), "{}", server.url);
    }
}

/// Held by the test below; on its own, it ends when its standard input does.
#[test]
#[ignore = "needs scripts/real-servers"]
fn hold() {
    if std::env::var_os("FIREDRILL_HOLD").is_none() {
        return;
    }
    let server = nginx("");
    println!("held {}", server.url);
    std::thread::sleep(Duration::from_secs(3600));
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn a_server_dies_with_a_test_that_is_killed() {
    let mut test = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "real::lifetime::hold", "--ignored", "--nocapture"])
        .env("FIREDRILL_HOLD", "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(test.stdout.take().expect("its output")).lines();
    let url = lines.map(|line| line.expect("text")).find_map(|line| {
        let url = line.split_once("held http://")?.1.to_owned();
        Some(url)
    });
    let address = url.expect("it says where");
    assert!(TcpStream::connect(&address).is_ok(), "it is there");
    test.kill().expect("it is killed");
    test.wait().expect("it ends");
    while TcpStream::connect(&address).is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
}
