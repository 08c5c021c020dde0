//! Failover to another zone or cluster, while the way to the first is cut for eleven
//! seconds.

use firedrill::verdict::model::Verdict::{self, Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::servers::{haproxy_of_zones, origin, way};

/// A set-up, with whether the other zone serves in time, and the first again.
type Case = (&'static str, &'static str, &'static str, Verdict, Verdict);

/// What HAProxy does with a server whose answers break.
const NOTICES: &str = "check inter 300ms fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down";

#[test]
#[ignore = "needs scripts/real-servers"]
fn haproxy_that_fails_over_and_back_is_told_from_one_that_does_not() {
    // Whoever served a client last goes on to.
    let sticks = "stick-table type ip size 10\n  stick on src";
    let cases: [Case; 4] = [
        (NOTICES, "backup", "", Pass, Pass),
        // Nobody stands by.
        (NOTICES, "disabled", "", Fail, Inconclusive),
        // Nobody notices in time that it should.
        ("check inter 20s", "backup", "", Fail, Inconclusive),
        (NOTICES, "backup", sticks, Pass, Fail),
    ];
    let start = |(first_one, second, more, ..): &Case| {
        let (first, other) = (origin(), origin());
        let way = way(&first);
        let zones = [("zone-a", way.address(), *first_one), ("zone-b", other.address(), *second)];
        let front = haproxy_of_zones(zones, more);
        let metrics = format!("http://127.0.0.1:{}/metrics", front.beside);
        let site = Site::behind("haproxy-failover.yaml", front, way).with(first).with(other);
        site.set("observe.front.haproxy", metrics)
    };
    tell_apart(&cases, start, |(first, second, more, over, back), told| {
        let wanted = [("failover.zone-lost.within", *over), ("failover.zone-lost.back-within", *back)];
        told.must(&format!("{first} {second} {more}"), &wanted);
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn a_cluster_that_serves_anothers_users_is_told_from_one_that_does_not() {
    // The second cluster's users are well in each case: half of all answers, and
    // of no account for those of the first.
    let cases = [("backup", Pass, Pass), ("disabled", Fail, Inconclusive)];
    let start = |(other_is, ..): &(&str, Verdict, Verdict)| {
        let (eu, us) = (origin(), origin());
        let way = way(&eu);
        let front = haproxy_of_zones([("eu", way.address(), NOTICES), ("us", us.address(), *other_is)], "");
        let second = haproxy_of_zones([("us", us.address(), NOTICES), ("eu", way.address(), "backup")], "");
        let metrics = format!("http://127.0.0.1:{}/metrics", front.beside);
        let at = second.url.clone();
        let site = Site::behind("haproxy-two-clusters.yaml", front, way).with(eu).with(us).with(second);
        site.set("observe.front.haproxy", metrics).set("workloads.us.at", at)
    };
    tell_apart(&cases, start, |(other_is, over, back), told| {
        let wanted = [
            ("failover.eu-lost.eu.within", *over),
            ("failover.eu-lost.eu.back-within", *back),
            ("slo.availability.fault.us", Pass),
        ];
        told.must(other_is, &wanted);
    });
}
