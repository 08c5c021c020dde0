//! One way in which answers go wrong, and the workload that meets it.

use std::{fmt::Write, time::Duration};

use firedrill::journal::interval::Outcome;

/// Tokens of an answer that is right.
pub(super) const TOKENS: u64 = 8;

/// What the server does with an answer, in this order. A script that neither
/// closes nor hangs leaves the connection to the next request.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Writes them one by one, each in a packet of its own.
    Trickle(Vec<u8>),
    /// Waits, so that the client has read what came before.
    Pause(Duration),
    /// Writes these bytes again and again.
    Forever(Vec<u8>, Duration),
    /// Closes in an orderly way (FIN).
    Close,
    /// Breaks the connection off (RST).
    Reset,
    /// Says nothing more.
    Hang,
}

/// How the request is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// A stream.
    Stream,
    /// One JSON document.
    Whole,
    /// A stream whose right answer is known.
    Golden,
}

/// A way in which every 5th answer goes wrong (or is only unusual: then all
/// must end `ok`).
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Its name, and its path's first part.
    pub(super) name: &'static str,
    /// What happens on the wire.
    pub(super) how: &'static str,
    /// What it must be called.
    pub(super) outcome: Outcome,
    /// A part of the reason that must be given.
    pub(super) says: &'static str,
    pub(super) ask: Ask,
    pub(super) script: Vec<Step>,
    /// The workload's.
    pub(super) timeout: Duration,
    /// At once: more where each fault takes its time.
    pub(super) users: u32,
}

/// A stream that gives no event for so long is stalled: longer than a busy
/// machine takes for anything.
const IDLE: Duration = Duration::from_secs(4);

impl Case {
    /// A stream that goes wrong.
    pub(super) fn stream(
        name: &'static str,
        how: &'static str,
        (outcome, says): (Outcome, &'static str),
        script: Vec<Step>,
    ) -> Self {
        let timeout = Duration::from_secs(30);
        // A fault that lasts until a limit: all ten of them at once.
        let users = if matches!(outcome, Outcome::Stalled | Outcome::Timeout) { 10 } else { 4 };
        Self { name, how, outcome, says, ask: Ask::Stream, script, timeout, users }
    }

    /// One document that goes wrong.
    pub(super) fn whole(
        name: &'static str,
        how: &'static str,
        called: (Outcome, &'static str),
        script: Vec<Step>,
    ) -> Self {
        Self { ask: Ask::Whole, ..Self::stream(name, how, called, script) }
    }

    /// The same with a deadline of its own.
    pub(super) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Its workload, as an entry of `workloads`.
    fn workload(&self) -> String {
        let golden = match self.ask {
            Ask::Golden => ", golden: { share: 100%, prompts: [ { ask: \"what?\", contains: \"word\" } ] }",
            Ask::Stream | Ask::Whole => "",
        };
        format!(
            "  {name}:\n    endpoint: {{ openai-chat: {{ model: demo, stream: {stream}, path: /{name}/v1/chat/completions }} }}\n    \
             timeout: {timeout}ms\n    idle-timeout: {idle}ms\n    prompts: {{ synthetic: {{ input-tokens: 8, output-tokens: {TOKENS} }}\
             {golden} }}\n",
            name = self.name,
            stream = self.ask != Ask::Whole,
            timeout = self.timeout.as_millis(),
            idle = IDLE.as_millis(),
        )
    }
}

/// A scenario of 50 requests for each case, with an objective that a share of
/// 80% breaks.
pub(super) fn scenario(url: &str, cases: &[Case]) -> String {
    let mut text = format!("version: 1\nname: truth\nseed: 1\ntarget: {{ url: \"{url}\" }}\nworkloads:\n");
    cases.iter().for_each(|case| text.push_str(&case.workload()));
    text.push_str("load:\n");
    for case in cases {
        let _ = writeln!(
            text,
            "  - {{ name: {0}, workload: {0}, closed: {{ users: {1}, requests: 50 }} }}",
            case.name, case.users
        );
    }
    text.push_str("slos:\n  - { availability: \">= 90%\" }\n");
    text
}
