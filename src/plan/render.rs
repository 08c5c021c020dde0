//! The plan as text, for `firedrill plan`: what would happen, to whom, when.

use std::fmt::Write;

use super::{
    arrivals,
    model::{Plan, PlannedAct, PlannedAction, PlannedLoad, Pod, Subject},
    select::{candidates, select},
};
use crate::{
    scenario::{
        chaos::{Chaos, KubernetesAction, LinkAction, Mode, NetworkEffect},
        model::{Arrivals, Executor, Expectation, Objective, RetryExpectation, Target, Think},
        url::ProxyUse,
        workload_patch::WorkloadPatch,
    },
    units::{RunTime, Span},
};

/// Columns of the picture of the load.
const WIDTH: usize = 60;

/// What `firedrill plan` prints. With `pods`, who would be hit if each act
/// was due now.
pub fn render_text(plan: &Plan, pods: Option<&[Pod]>) -> String {
    let mut out = String::new();
    head(&mut out, plan);
    phases(&mut out, plan);
    load(&mut out, plan);
    timeline(&mut out, plan, pods);
    checks(&mut out, plan);
    out
}

/// Writing to a string can't fail.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($part:tt)*) => {{
        let _ = writeln!($out, $($part)*);
    }};
}

fn head(out: &mut String, plan: &Plan) {
    line!(out, "{}", plan.name);
    if let Some(description) = &plan.description {
        line!(out, "{}", description.trim());
    }
    let target = match &plan.target {
        Target::Lab(lab) => format!("the lab, {} replicas", lab.replicas),
        Target::Url(url) => match url.proxy {
            ProxyUse::Off => url.at.clone(),
            ProxyUse::Own => format!("{}, through a fault proxy", url.at),
            ProxyUse::Running(at) => format!("{}, with the fault proxy at {at}", url.at),
        },
        Target::Kubernetes(at) => {
            let context = at.context.as_deref().map(|name| format!(", context {name}")).unwrap_or_default();
            format!("service {}/{} on Kubernetes{context}", at.namespace, at.service)
        }
    };
    let lasts = Span(plan.end().offset());
    let at_most = if plan.search().is_some() { "at most " } else { "" };
    line!(out, "\ntarget {target} · seed {} · lasts {at_most}{lasts}", plan.seed);
}

/// `  12.0s`
fn at(time: RunTime) -> String {
    format!("{:>7.1}s", time.as_secs_f64())
}

fn phases(out: &mut String, plan: &Plan) {
    let width = plan.phases.iter().map(|phase| phase.name.as_str().len()).max().unwrap_or(0).max(8);
    line!(out, "\nphases");
    if plan.warm_up > Span::default() {
        let end = RunTime::after(plan.warm_up.0);
        line!(
            out,
            "{}  {:width$}  {:>6}  not judged",
            at(RunTime::ZERO),
            "warm-up",
            Span(end.offset()).to_string()
        );
    }
    for phase in &plan.phases {
        let good = [("TTFT", phase.good.ttft), ("TPOT", phase.good.tpot), ("E2E", phase.good.e2e)]
            .into_iter()
            .filter_map(|(name, limit)| limit.map(|limit| format!("{name} < {limit}")))
            .collect::<Vec<_>>()
            .join(", ");
        let good = if good.is_empty() { "ok".to_owned() } else { format!("ok and {good}") };
        let length = Span(phase.end.since(phase.start)).to_string();
        line!(
            out,
            "{}  {:width$}  {length:>6}  a good request is {good}",
            at(phase.start),
            phase.name.as_str()
        );
    }
}

fn load(out: &mut String, plan: &Plan) {
    line!(out, "\nload");
    for load in &plan.load {
        let head = format!("  {} → {}:", load.name, load.workload);
        match &load.executor {
            Executor::Closed(closed) => {
                let requests = closed.requests.map_or_else(String::new, |n| format!(", {n} requests in all"));
                let think = match closed.think {
                    Think::Fixed(pause) if pause == Span::default() => String::new(),
                    Think::Fixed(pause) => format!(", thinking {pause}"),
                    Think::Between(from, to) => format!(", thinking {from} to {to}"),
                };
                let (users, when) = (closed.users, when(plan, load));
                let noun = if users == 1 { "user" } else { "users" };
                line!(out, "{head} {users} {noun}, each sends when answered{requests}{think}{when}");
            }
            Executor::Arrivals(kind) => {
                let planned = load.planned_arrivals.unwrap_or(0);
                line!(
                    out,
                    "{head} {}, about {planned} requests{}",
                    arrivals_in_words(kind),
                    when(plan, load)
                );
                picture(out, plan, load, kind);
            }
            Executor::Capacity(search) => {
                line!(
                    out,
                    "{head} the highest rate that meets the SLOs, from {} to {} by {}, then {} halvings",
                    search.from,
                    search.to,
                    search.step,
                    search.refine
                );
                let steps: Vec<String> = search.rates().map(|rate| trimmed(rate.0)).collect();
                let (warm_up, hold) = (search.warm_up, search.hold);
                line!(out, "  steps of {warm_up} (not judged) and {hold}: {} requests/s", steps.join(", "));
            }
        }
    }
}

fn arrivals_in_words(kind: &Arrivals) -> String {
    match kind {
        Arrivals::Constant(_) => "evenly spaced".to_owned(),
        Arrivals::Poisson(_) => "Poisson".to_owned(),
        Arrivals::Gamma(gamma) => {
            let variation = 1.0 / gamma.burstiness.sqrt();
            format!("gamma, gaps with a coefficient of variation of {variation:.2}")
        }
        Arrivals::Trace(trace) => {
            let scale = if trace.scale.0 == 1.0 { String::new() } else { format!(" at {}x", trace.scale.0) };
            format!("as in {}{scale}", trace.file.display())
        }
    }
}

/// When a stream is on, if not always.
fn when(plan: &Plan, load: &PlannedLoad) -> String {
    let first = plan.phases.first().map_or(RunTime::ZERO, |phase| phase.start);
    if load.start <= first && load.end >= plan.end() {
        return String::new();
    }
    format!(", {} to {}", at(load.start).trim(), at(load.end).trim())
}

/// The rate over the phases, as bars over time.
fn picture(out: &mut String, plan: &Plan, load: &PlannedLoad, kind: &Arrivals) {
    let (Some(first), Some(last)) = (plan.phases.first(), plan.phases.last()) else { return };
    let length = last.end.since(first.start).as_secs_f64();
    let column = length / WIDTH as f64;
    let offset = load.start.since(first.start).as_secs_f64();
    let on = load.end.since(load.start).as_secs_f64();
    let rate = |i: usize| {
        let (from, to) = (i as f64 * column - offset, (i + 1) as f64 * column - offset);
        let (from, to) = (from.max(0.0), to.min(on));
        if from < to { arrivals::peak(kind, from, to) } else { 0.0 }
    };
    let rates: Vec<f64> = (0..WIDTH).map(rate).collect();
    let top = rates.iter().copied().fold(0.0, f64::max);
    if top <= 0.0 {
        return;
    }
    const ROWS: usize = 5;
    for row in (0..ROWS).rev() {
        let label = match row {
            _ if row + 1 == ROWS => format!("{}/s", trimmed(top)),
            0 => format!("{}/s", trimmed(top / ROWS as f64)),
            _ => String::new(),
        };
        let bars: String = rates
            .iter()
            .map(|rate| if rate / top * ROWS as f64 > row as f64 + 0.5 { '#' } else { ' ' })
            .collect();
        line!(out, "  {label:>8} |{}", bars.trim_end());
    }
    let mut axis = vec!['-'; WIDTH];
    let mut names = String::new();
    for phase in &plan.phases {
        let start = (phase.start.since(first.start).as_secs_f64() / column) as usize;
        if let Some(mark) = axis.get_mut(start) {
            *mark = '+';
        }
        let gap = start.saturating_sub(names.chars().count());
        let _ = write!(names, "{}{}", " ".repeat(gap), phase.name);
        names.push(' ');
    }
    line!(out, "  {:>8} {}", "", axis.into_iter().collect::<String>());
    line!(out, "  {:>8} {}", "", names.trim_end());
}

fn trimmed(rate: f64) -> String {
    let text = format!("{rate:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn timeline(out: &mut String, plan: &Plan, pods: Option<&[Pod]>) {
    if plan.timeline.is_empty() {
        line!(out, "\nnothing is broken");
        return;
    }
    line!(out, "\ntimeline");
    let width = plan.timeline.iter().map(|act| act.id.as_str().len()).max().unwrap_or(0);
    for act in &plan.timeline {
        let phase = plan.phases.iter().rev().find(|phase| phase.start <= act.at);
        let within = phase.map_or_else(String::new, |phase| {
            format!("{} + {}", phase.name, Span(act.at.since(phase.start)))
        });
        let lasts = act.until.map_or_else(String::new, |until| format!(" for {}", Span(until.since(act.at))));
        line!(out, "{}  {:width$}  {}{lasts}  ({within})", at(act.at), act.id.as_str(), what(act));
        if let Some(pods) = pods {
            hits(out, plan, act, pods, width);
        }
    }
    if pods.is_some() && plan.timeline.len() > 1 {
        line!(out, "  who is hit is drawn from the pods that there are when its time comes; shown is now");
    }
}

/// Who an act hits: k of n, by name.
fn hits(out: &mut String, plan: &Plan, act: &PlannedAct, pods: &[Pod], width: usize) {
    let PlannedAction::Fault(manifest) = &act.action else { return };
    let indent = " ".repeat(width + 12);
    let scope = manifest.chaos.scope();
    let candidates = candidates(&scope.selector, manifest.home(), pods);
    if candidates.is_empty() {
        let there: Vec<String> = pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect();
        let all = match plan.target {
            Target::Url(_) => "; `selector: {}` takes it",
            Target::Lab(_) | Target::Kubernetes(_) => "",
        };
        line!(out, "{indent}warning: its selector selects nothing now; there are: {}{all}", there.join(", "));
        return;
    }
    let chosen = select(scope, manifest.home(), pods, plan.seed, act.id.as_str());
    let mode = match scope.mode {
        Mode::One => "one".to_owned(),
        Mode::All => "all".to_owned(),
        Mode::Fixed(n) => format!("{n}"),
        Mode::FixedPercent(p) => format!("{p}%"),
        Mode::RandomMaxPercent(p) => format!("up to {p}%"),
    };
    let names = if chosen.is_empty() {
        "none with this seed: the fault will have no effect".to_owned()
    } else {
        chosen.iter().map(|pod| pod.name.to_string()).collect::<Vec<_>>().join(", ")
    };
    let (k, n) = (chosen.len(), candidates.len());
    line!(
        out,
        "{indent}hits {mode} of {n}: {names} · blast radius {k}/{n} ({:.0}%)",
        k as f64 / n as f64 * 100.0
    );
}

/// What an act does, in words.
fn what(act: &PlannedAct) -> String {
    let manifest = match &act.action {
        PlannedAction::Deploy(deploy) => {
            let defect = serde_json::to_value(deploy.defect).ok();
            let defect = defect.as_ref().and_then(|value| value.as_str()).filter(|name| *name != "none");
            let defect = defect.map(|name| format!(" (defect: {name})")).unwrap_or_default();
            let of = deploy.of.as_ref().map(|of| format!(": {of}")).unwrap_or_default();
            return format!("deploy {}{defect}{of}", deploy.version);
        }
        PlannedAction::Command(command) => return format!("run {}", command.run),
        PlannedAction::Fault(manifest) => manifest,
    };
    let chaos = &manifest.chaos;
    let detail = match chaos {
        Chaos::PodChaos(_) | Chaos::Schedule(_) => String::new(),
        Chaos::StressChaos(spec) => {
            let cpu = spec.stressors.cpu.map(|cpu| format!("{} × {} % of a core", cpu.workers, cpu.load));
            let memory = spec.stressors.memory.map(|memory| format!("{} MiB", memory.total() >> 20));
            cpu.into_iter().chain(memory).collect::<Vec<_>>().join(", ")
        }
        Chaos::Custom(spec) => format!("by {}", spec.object.tool().name()),
        Chaos::NetworkChaos(spec) => spec.effects.iter().map(effect).collect::<Vec<_>>().join(", "),
        Chaos::GpuChaos(spec) => format!("{}x", spec.slowdown),
        Chaos::LinkChaos(spec) => match &spec.action {
            LinkAction::Reset { after } => format!("after {after}"),
            LinkAction::LimitData { bytes } => format!("{bytes} bytes"),
            LinkAction::Slice { bytes, delay } => format!("{bytes} bytes every {delay}"),
        },
        Chaos::KubernetesChaos(spec) => match &spec.action {
            KubernetesAction::Scale { replicas } => format!("to {replicas}"),
            KubernetesAction::Rollout { patch } => patched(patch),
            KubernetesAction::Endpoints { service: Some(service) } => format!("of {service}"),
            KubernetesAction::Endpoints { service: None }
            | KubernetesAction::Cordon
            | KubernetesAction::Drain => String::new(),
        },
    };
    let text = format!("{} {} {detail}", chaos.kind(), chaos.action());
    text.trim_end().to_owned()
}

/// What a rollout changes of a workload, in words.
fn patched(patch: &WorkloadPatch) -> String {
    let image = patch.image.iter().map(|image| format!("image {image}"));
    let env = patch.env.keys().map(|name| format!("env {name}"));
    let replicas = patch.replicas.iter().map(|replicas| format!("{replicas} replicas"));
    image.chain(env).chain(replicas).collect::<Vec<_>>().join(", ")
}

fn effect(effect: &NetworkEffect) -> String {
    match effect {
        NetworkEffect::Delay { latency, jitter, .. } if *jitter > Span::default() => {
            format!("{latency} ± {jitter}")
        }
        NetworkEffect::Delay { latency, .. } => latency.to_string(),
        NetworkEffect::Loss { probability, .. }
        | NetworkEffect::Duplicate { probability, .. }
        | NetworkEffect::Corrupt { probability, .. } => probability.to_string(),
        NetworkEffect::Partition => String::new(),
        NetworkEffect::Bandwidth { bytes_per_second, .. } => format!("{bytes_per_second} bytes/s"),
    }
}

fn checks(out: &mut String, plan: &Plan) {
    line!(out, "\nchecks");
    let width = plan.checks.iter().map(|check| check.id.as_str().len()).max().unwrap_or(0);
    for check in &plan.checks {
        let text = match &check.subject {
            Subject::Slo { slo, phase } => {
                let confidence =
                    slo.confidence.map(|level| format!(" at {level} confidence")).unwrap_or_default();
                format!("{} in {phase}{confidence}", objective(&slo.objective))
            }
            Subject::Expectation(expectation) => demand(expectation),
            Subject::Fault(id) => format!("`{id}` is seen to act"),
            Subject::Generator => "every request was sent when it was due".to_owned(),
            Subject::Capacity { slos, .. } => {
                let slos: Vec<String> = slos.iter().map(|slo| objective(&slo.objective)).collect();
                let wanted = match plan.search().and_then(|(_, search)| search.at_least) {
                    Some(rate) => format!("at least {rate}"),
                    None => "the highest rate".to_owned(),
                };
                format!("{wanted} with {}", slos.join(", "))
            }
        };
        line!(out, "  {:width$}  {text}", check.id.as_str());
    }
}

fn objective(objective: &Objective) -> String {
    match objective {
        Objective::Ttft(t) => format!("TTFT {t}"),
        Objective::Itl(t) => format!("ITL {t}"),
        Objective::Tpot(t) => format!("TPOT {t}"),
        Objective::E2e(t) => format!("E2E {t}"),
        Objective::Availability(t) => format!("availability {t}"),
        Objective::Goodput(t) => format!("goodput {t}"),
        Objective::Accuracy(t) => format!("accuracy {t}"),
    }
}

/// A demand, in the scenario's own words.
fn demand(expectation: &Expectation) -> String {
    let Ok(serde_json::Value::Object(outer)) = serde_json::to_value(expectation) else {
        return String::new();
    };
    let Some(inner) = outer.values().next().and_then(|value| value.as_object()) else { return String::new() };
    let shown = |key: &str, value: &serde_json::Value| match expectation {
        // A factor, not a share.
        Expectation::Retries(RetryExpectation { amplification: Some(limit), .. })
            if key == "amplification" =>
        {
            format!("{} {}", limit.op, limit.limit.0)
        }
        _ => value.as_str().unwrap_or_default().to_owned(),
    };
    let parts = inner.iter().map(|(key, value)| format!("{key}: {}", shown(key, value)));
    parts.collect::<Vec<_>>().join(", ")
}
