//! Every endpoint of OpenAI's and every kind of prompt, in whole runs on the
//! lab.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use firedrill::verdict::model::{CheckKind, CheckVerdict, RunVerdict, Verdict};
use serde_json::Value;

use crate::support::{Folder, exe, run_folder, said, verdict};

fn run(folder: &Folder, scenario: &str, set: &[&str]) -> Output {
    let file = folder.write("drill.yaml", scenario);
    let mut command = Command::new(exe());
    command.arg("run").arg(file).args(["--ui", "none", "--runs"]).arg(folder.path().join("runs"));
    set.iter().for_each(|change| {
        command.args(["--set", change]);
    });
    command.output().expect("the program starts")
}

/// What does not hold. That a busy machine sent late is not what is tested
/// here; that all was sent, and has an outcome, is.
fn troubles(judged: &RunVerdict) -> Vec<String> {
    let late = |check: &CheckVerdict| {
        check.kind == CheckKind::Generator
            && check.why.split("; ").all(|why| why.contains("lagged") || why.contains("a free user"))
    };
    let open = judged.checks.iter().filter(|check| check.verdict != Verdict::Pass && !late(check));
    let mut troubles: Vec<String> = open.map(|check| format!("{}: {}", check.id, check.why)).collect();
    if judged.generator.due != judged.generator.sent {
        troubles.push(format!("{:?}", judged.generator));
    }
    troubles
}

/// Requests and tokens by workload.
fn counts(folder: &Path, workload: &str) -> (u64, u64) {
    let text = fs::read_to_string(folder.join("intervals.jsonl")).expect("intervals");
    let intervals: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let cells = intervals.iter().filter_map(|interval| interval["cells"].as_array()).flatten();
    let mine = cells.filter(|cell| cell["key"]["workload"] == workload);
    mine.fold((0, 0), |(requests, tokens), cell| {
        (requests + cell["count"].as_u64().unwrap_or(0), tokens + cell["tokens"].as_u64().unwrap_or(0))
    })
}

fn data(name: &str) -> String {
    format!("{}/tests/data/prompts/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_endpoint_and_every_kind_of_prompt_runs_on_the_lab() {
    let scenario = format!(
        r#"version: 1
name: endpoints
target: {{ lab: {{ replicas: 2, cold-start: 500ms }} }}
workloads:
  chat-sharegpt:
    endpoint: {{ openai-chat: {{ model: demo, stream: true }} }}
    prompts: {{ sharegpt: {{ file: {sharegpt} }}, session: {{ turns: 3, think: 50ms }} }}
  completions-jsonl:
    endpoint: {{ openai-completions: {{ model: demo, stream: true }} }}
    prompts:
      jsonl: {{ file: {questions}, template: "In {{{{ place }}}}: {{{{ question }}}}", output-tokens: 6 }}
      golden: {{ share: 30%, prompts: [ {{ ask: "Who wrote Hamlet?", matches: "Shakespeare" }} ] }}
  completions-whole:
    endpoint: {{ openai-completions: {{ model: demo }} }}
    prompts: {{ synthetic: {{ input-tokens: 8, output-tokens: 6 }}, session: {{ turns: 2 }} }}
  responses:
    endpoint: {{ openai-responses: {{ model: demo, stream: true, extra: {{ ignore_eos: false, metadata: {{ a: b }} }} }} }}
    prompts:
      synthetic: {{ input-tokens: 8, output-tokens: 6, popularity: {{ zipf: 1.1, prompts: 3 }} }}
      nonce: true
      session: {{ turns: 2 }}
      golden: {{ share: 30%, prompts: [ {{ ask: "What is pi, to four decimals?", near: {{ value: 3.1416, within: 0.001 }} }} ] }}
  responses-whole:
    endpoint: {{ openai-responses: {{ model: demo }} }}
    prompts: {{ synthetic: {{ input-tokens: 8, output-tokens: 6 }} }}
  embeddings:
    endpoint: {{ openai-embeddings: {{ model: demo }} }}
    prompts: {{ synthetic: {{ input-tokens: 20, popularity: {{ zipf: 1.1, prompts: 20 }} }} }}
load:
  - {{ name: a, workload: chat-sharegpt, closed: {{ users: 2, requests: 30 }} }}
  - {{ name: b, workload: completions-jsonl, closed: {{ users: 2, requests: 30 }} }}
  - {{ name: c, workload: completions-whole, closed: {{ users: 2, requests: 30 }} }}
  - {{ name: d, workload: responses, closed: {{ users: 2, requests: 30 }} }}
  - {{ name: e, workload: responses-whole, closed: {{ users: 2, requests: 30 }} }}
  - {{ name: f, workload: embeddings, closed: {{ users: 2, requests: 30 }} }}
slos:
  - {{ availability: ">= 95%" }}
  - {{ accuracy: ">= 80%" }}
  - {{ ttft: "p90 < 5s" }}
  - {{ e2e: "p80 < 5s", workload: embeddings }}
  - {{ goodput: ">= 50%", workload: embeddings }}
"#,
        sharegpt = data("sharegpt.json"),
        questions = data("questions.jsonl")
    );
    let folder = Folder::new();
    let out = run(&folder, &scenario, &[]);
    let run = run_folder(&out);
    let judged = verdict(&run);
    assert_eq!(troubles(&judged), Vec::<String>::new(), "{}", said(&out));
    for workload in
        ["chat-sharegpt", "completions-jsonl", "completions-whole", "responses", "responses-whole"]
    {
        let (requests, tokens) = counts(&run, workload);
        assert_eq!(requests, 30, "{workload}");
        assert!(tokens >= 30, "{workload}: {tokens}");
    }
    assert_eq!(counts(&run, "embeddings"), (30, 0), "nothing is generated");
    let all = &judged.latency["all"];
    assert_eq!(all.accuracy, Some(1.0));
    assert!(all.golden_answers >= 5, "{}", all.golden_answers);
    assert_eq!(all.quantiles["ttft"].n, 150, "embeddings have no first token");
    let plan = fs::read_to_string(run.join("plan.json")).expect("a plan");
    assert!(
        plan.contains("\"sha256\"") && !plan.contains("Why do stars twinkle"),
        "files by their name and hash"
    );
    // The report needs no file of prompts: move the scenario's own away.
    let again = Command::new(exe()).arg("report").arg(&run).output().expect("the program starts");
    assert_eq!(again.status.code(), out.status.code(), "{}", said(&again));
    assert!(fs::read_to_string(run.join("report.html")).expect("a report").contains("Accuracy"));
}

/// A new version is rolled out without a look at what it says.
const ROLLOUT: &str = r#"version: 1
name: accuracy
target:
  lab: { replicas: 1, cold-start: 500ms, gateway: { breaker: off, cache: off, rollback: off, canary-interval: 1s } }
workloads:
  chat:
    endpoint: { openai-chat: { model: demo, stream: true } }
    prompts:
      synthetic: { input-tokens: 8, output-tokens: 6 }
      golden:
        share: 80%
        prompts:
          - { ask: "What is the capital of France?", contains: Paris }
          - { ask: "Name the red planet as JSON, under the key planet.", json-path: { path: "$.planet", equals: Mars } }
load: [ { name: people, workload: chat, closed: { users: 3, think: 150ms } } ]
phases: { baseline: 4s, rollout: 8s }
unless-steady: continue
chaos: [ { id: new, at: rollout, deploy: { version: v2, defect: wrong-answers } } ]
slos:
  - { accuracy: ">= 90%" }
"#;

#[test]
fn a_version_that_answers_wrongly_is_noticed_by_its_accuracy() {
    let folder = Folder::new();
    let out = run(&folder, ROLLOUT, &[]);
    let judged = verdict(&run_folder(&out));
    let verdicts: Vec<(&str, Verdict)> =
        judged.checks.iter().map(|check| (check.id.as_str(), check.verdict)).collect();
    assert_eq!(out.status.code(), Some(1), "{verdicts:?} {}", said(&out));
    let of = |id: &str| verdicts.iter().find(|(name, _)| *name == id).map(|(_, verdict)| *verdict);
    assert_eq!(of("slo.accuracy.baseline"), Some(Verdict::Pass), "{verdicts:?}");
    assert_eq!(of("slo.accuracy.rollout"), Some(Verdict::Fail), "{verdicts:?}");
    assert!(judged.latency["rollout"].accuracy.is_some_and(|accuracy| accuracy < 0.9));
}

#[test]
fn a_version_that_answers_rightly_is_let_be() {
    let folder = Folder::new();
    let out = run(&folder, ROLLOUT, &["chaos.0.deploy.defect=none"]);
    let judged = verdict(&run_folder(&out));
    assert_eq!(troubles(&judged), Vec::<String>::new(), "{}", said(&out));
    assert_eq!(judged.latency["all"].accuracy, Some(1.0));
}
