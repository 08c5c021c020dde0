//! Sessions against a server that remembers what it was asked.

use firedrill::{
    journal::interval::Outcome,
    scenario::model::{Session, Turns},
    units::Span,
};
use serde_json::Value;

use super::{
    closed, constant, load, plan, prompts,
    server::{Fault, Manner, Server},
    workload,
};

fn session(path: &str, turns: Turns, think: Span) -> firedrill::scenario::model::Workload {
    let mut workload = workload(path);
    prompts(&mut workload).session = Some(Session { turns, think });
    workload
}

/// The messages of each request, in the order of arrival.
fn asked(server: &Server) -> Vec<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let of = |body: &Value| {
        let messages = body["messages"].as_array().expect("messages").iter();
        messages.map(|message| (text(&message["role"]), text(&message["content"]))).collect()
    };
    server.requests().iter().map(|request| of(&request.body)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_turn_sends_what_was_said_and_is_a_request_of_its_own() {
    let server = Server::start(Manner::default()).await;
    let chat = session("/None", Turns::Fixed(3), Span::millis(20));
    let driven = load(plan(3, vec![(chat, constant(4.0))]), server.address).await;
    let summary = &driven.summary;
    assert_eq!((summary.due, summary.sent, summary.done), (summary.sent, summary.sent, summary.sent));
    let asked = asked(&server);
    assert_eq!(asked.len() as u64, summary.sent);
    let by_turn = |turn: usize| asked.iter().filter(|m| m.len() == 2 * turn + 2).collect::<Vec<_>>();
    assert_eq!(by_turn(0).len(), 12, "arrivals begin sessions");
    // The last ones may have been due after the end.
    assert!((9..=12).contains(&by_turn(2).len()), "{}", by_turn(2).len());
    assert_eq!(by_turn(0).len() + by_turn(1).len() + by_turn(2).len(), asked.len());
    for last in by_turn(2) {
        let roles: Vec<&str> = last.iter().map(|(role, _)| role.as_str()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user", "assistant", "user"]);
        assert!(last[2].1.starts_with("word word"), "what the server answered: {:?}", last[2]);
        let begun = asked.iter().filter(|messages| messages.len() == 2 && messages[..] == last[..2]).count();
        assert_eq!(begun, 1, "one session began so");
    }
    let counted: u64 = driven.intervals.iter().map(|interval| interval.generator.due).sum();
    assert_eq!(counted, summary.sent, "the journal's books balance");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_loop_counts_turns_among_its_requests_and_a_failure_ends_its_session() {
    let server = Server::start(Manner::default()).await;
    let chat = session(&Fault::Truncated.path(), Turns::Fixed(50), Span::secs(0));
    let driven = load(plan(60, vec![(chat, closed(1, Some(30)))]), server.address).await;
    assert_eq!((driven.summary.due, driven.summary.sent), (30, 30));
    assert_eq!(driven.summary.outcomes.get(&Outcome::Truncated), Some(&6));
    let lengths: Vec<usize> = asked(&server).iter().map(Vec::len).collect();
    // Each fifth request is cut short; the next one begins anew.
    assert_eq!(lengths[..6], [2, 4, 6, 8, 10, 2], "{lengths:?}");
}
