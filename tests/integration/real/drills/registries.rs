//! Versions that a registry names.

use firedrill::verdict::model::Verdict::{self, Fail, Inconclusive, Pass};

use super::{Site, Told, tell_apart};
use crate::real::servers::{Real, mlflow, mlflow_app};

/// A program that turns the alias, as `command:` has it.
fn turn(registry: &Real, model: &str, version: u32) -> String {
    let body = format!("{{\"name\":\"{model}\",\"alias\":\"champion\",\"version\":\"{version}\"}}");
    let url = format!("{}/api/2.0/mlflow/registered-models/alias", registry.url);
    format!("[curl, --silent, --fail, --json, '{body}', \"{url}\"]")
}

/// Holds verdicts on these demands of the rollback against the drill's.
fn rollback_must<const N: usize>(told: &Told, guard: &str, checks: [&str; N], verdicts: [Verdict; N]) {
    let ids = checks.map(|check| format!("rollback.release.{check}"));
    let wanted: Vec<_> = ids.iter().map(String::as_str).zip(verdicts).collect();
    told.must(guard, &wanted);
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn what_a_program_deploys_is_judged_by_the_answers() {
    let cases =
        [("on", [Pass, Pass, Pass]), ("wrong", [Pass, Fail, Pass]), ("off", [Fail, Inconclusive, Fail])];
    let registry = mlflow();
    let start = |(guard, _): &(&str, _)| {
        let turn = |version: u32| turn(&registry, guard, version);
        let command = format!("{{ run: {}, undo: {} }}", turn(2), turn(1));
        let site = Site::new("command.yaml", mlflow_app(&registry, guard, guard))
            .set("chaos.release.deploy.version", "\"2\"");
        site.set("chaos.release.deploy.command", command).set("expect.0.rollback.to", "\"1\"")
    };
    tell_apart(&cases, start, |(guard, verdicts), told| {
        let checks = ["completes-within", "to", "exposure"];
        rollback_must(told, guard, checks, *verdicts);
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn an_alias_of_mlflow_that_is_turned_back_is_told_from_one_that_is_not() {
    let cases = [
        ("on", [Pass, Pass, Pass, Pass]),
        // To a version that nobody asked for.
        ("wrong", [Pass, Pass, Fail, Pass]),
        ("off", [Fail, Fail, Fail, Fail]),
    ];
    let registry = mlflow();
    let start = |(guard, _): &(&str, _)| {
        let alias = format!("{{ at: \"{}\", model: {guard}, alias: champion }}", registry.url);
        Site::new("mlflow.yaml", mlflow_app(&registry, guard, guard))
            .set("chaos.release.deploy.mlflow", alias)
    };
    tell_apart(&cases, start, |(guard, verdicts), told| {
        let checks = ["detects-within", "completes-within", "to", "exposure"];
        rollback_must(told, guard, checks, *verdicts);
    });
    // A good version stays.
    let alias = format!("{{ at: \"{}\", model: good, alias: champion }}", registry.url);
    let good = Site::new("mlflow.yaml", mlflow_app(&registry, "good", "on"))
        .set("chaos.release.deploy.mlflow", alias)
        .set("chaos.release.deploy.version", "\"3\"")
        .set("expect.0", "{ rollback: { after: release, promotes-within: 5s } }");
    good.drill().must("a good one", &[("rollback.release.promotes-within", Pass)]);
}
