//! A cache before a version that is taken back: with its answers banned, and
//! without.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use firedrill::verdict::model::Verdict::{self, Fail, Pass};

use super::{Site, tell_apart};
use crate::real::servers::{Real, origin_of_versions, varnish};

/// How long somebody thinks before a version is taken back.
const THINKS: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(120);
/// Keeps for a while, and forgets all when it is told to.
const VCL: &str = "sub vcl_recv { if (req.method == \"BAN\") { ban(\"obj.status ~ .\"); return (synth(200, \"Banned\")); } }
sub vcl_backend_response { set beresp.ttl = 5s; set beresp.grace = 0s; }";

/// What `curl` gets there, with these arguments.
fn curl(arguments: &[&str]) -> String {
    let out = Command::new("curl").args(["--silent", "--fail", "--include"]).args(arguments).output();
    String::from_utf8_lossy(&out.expect("curl starts").stdout).to_lowercase()
}

/// When what was kept of a version is banned.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bans {
    Afterwards,
    /// What is asked for until the version is taken back is kept again.
    TooSoon,
    Never,
}

/// Somebody who sees v2, takes it back, and bans what was kept of it.
fn guard(origin: &Real, cache: &Real, bans: Bans) -> thread::JoinHandle<()> {
    let (origin, cache) = (origin.url.clone(), cache.url.clone());
    thread::spawn(move || {
        let deadline = Instant::now() + PATIENCE;
        while !curl(&[&origin]).contains("x-model-version: v2") {
            assert!(Instant::now() < deadline, "nobody deployed v2");
            thread::sleep(Duration::from_millis(100));
        }
        let ban = || {
            let said = curl(&["--request", "BAN", &cache]);
            assert!(said.contains("200"), "{said}");
        };
        thread::sleep(THINKS / 2);
        if bans == Bans::TooSoon {
            ban();
        }
        thread::sleep(THINKS / 2);
        curl(&[&format!("{origin}/turn?to=v1")]);
        if bans == Bans::Afterwards {
            ban();
        }
    })
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn a_cache_that_forgets_a_withdrawn_version_is_told_from_one_that_does_not() {
    let cases = [(Bans::Afterwards, Pass), (Bans::TooSoon, Fail), (Bans::Never, Fail)];
    let start = |(bans, _): &(Bans, Verdict)| {
        let origin = origin_of_versions();
        let front = varnish(origin.address(), VCL);
        let turn = |version: &str| format!("[curl, --silent, --fail, \"{}/turn?to={version}\"]", origin.url);
        let command = format!("{{ run: {}, undo: {} }}", turn("v2"), turn("v1"));
        // It ends by itself once it has seen v2.
        let _ = guard(&origin, &front, *bans);
        Site::new("varnish-invalidation.yaml", front)
            .with(origin)
            .set("chaos.release.deploy.command", command)
    };
    tell_apart(&cases, start, |(bans, fresh), told| {
        let rolled_back = [("rollback.release.completes-within", Pass), ("rollback.release.to", Pass)];
        told.must(&format!("{bans:?}"), &rolled_back);
        told.must(&format!("{bans:?}"), &[("cache.fresh-after.release", *fresh), ("cache.hit-ratio", Pass)]);
    });
}
