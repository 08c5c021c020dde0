//! `Schedule`: one of the other kinds, again and again.

use super::{Context, Fields, manifest};
use crate::{
    scenario::{
        chaos::{Cadence, Chaos, ConcurrencyPolicy, Schedule},
        cron::Cron,
        diagnostic::Diagnostic,
        model::FaultDriver,
        yaml::Node,
    },
    units::Span,
};

/// Types with the key that their spec stands under.
const TYPES: [(&str, &str); 10] = [
    ("PodChaos", "podChaos"),
    ("NetworkChaos", "networkChaos"),
    ("GPUChaos", "gpuChaos"),
    ("LinkChaos", "linkChaos"),
    ("KubernetesChaos", "kubernetesChaos"),
    ("HTTPChaos", "httpChaos"),
    ("StressChaos", "stressChaos"),
    ("IOChaos", "ioChaos"),
    ("DNSChaos", "dnsChaos"),
    ("TimeChaos", "timeChaos"),
];

pub(super) fn schedule(cx: &mut Context<'_>, node: &Node, driver: Option<FaultDriver>) -> Option<Schedule> {
    let mut fields = Fields::of(cx, node, "Schedule", "the spec of a Schedule")?;
    let schedule = fields.required(cx, "schedule", "\"@every 10s\"", cadence);
    let concurrency_policy = fields.or(cx, "concurrencyPolicy", ConcurrencyPolicy::Forbid, |cx, node| {
        cx.choice(node, "a concurrency policy", &[ConcurrencyPolicy::Forbid, ConcurrencyPolicy::Allow])
    });
    // How many past runs a cluster remembers, and how late it may start one.
    fields.optional(cx, "historyLimit", |cx, node| cx.number(node, "a number from 1", 1..=u32::MAX));
    fields.optional(cx, "startingDeadlineSeconds", |cx, node| {
        cx.number(node, "a number of seconds from 0", 0..=u64::MAX)
    });
    let wanted = fields.required(cx, "type", "PodChaos", |cx, node| {
        let kind = cx.choice(node, "a type that can be scheduled", &TYPES.map(|(name, _)| name))?;
        manifest::check_driver(cx, node, kind, driver)?;
        Some(kind)
    });
    let mut template = None;
    let mut other = false;
    for (name, key) in TYPES {
        match (fields.get(key), wanted) {
            (Some(node), Some(wanted)) if wanted == name => {
                template = Some(manifest::spec(cx, node, name, driver))
            }
            (Some(_), Some(wanted)) => {
                other = true;
                let place = fields.key(key).map_or(fields.place(), |key| &key.place).clone();
                cx.report(Diagnostic::error(&place, format!("`{key}` does not fit the type `{wanted}`")));
            }
            (Some(_), None) | (None, _) => {}
        }
    }
    let place = fields.key("type").map_or_else(|| fields.place().clone(), |key| key.place.clone());
    fields.finish(cx);
    let template: Option<Chaos> = match (template, wanted) {
        (Some(template), _) => template,
        (None, Some(wanted)) if !other => {
            let key = TYPES.iter().find(|(name, _)| *name == wanted).map_or("", |(_, key)| key);
            cx.fail(&place, format!("the type `{wanted}` needs its spec under `{key}`"), "")
        }
        (None, Some(_) | None) => None,
    };
    Some(Schedule { schedule: schedule?, concurrency_policy: concurrency_policy?, template: template? })
}

/// `@every 10s`, or a cron line.
fn cadence(cx: &mut Context<'_>, node: &Node) -> Option<Cadence> {
    let wanted = "a schedule such as `@every 10s` or `*/5 * * * *`";
    let text = cx.text(node, wanted)?;
    if let Some(every) = text.trim().strip_prefix("@every") {
        return match every.trim().parse::<Span>() {
            // robfig/cron, which Chaos Mesh uses, rounds down to seconds.
            Ok(span) if span >= Span::secs(1) => Some(Cadence::Every(Span::secs(span.0.as_secs()))),
            Ok(_) => cx.fail(&node.place, "a schedule can't act more often than every second", ""),
            Err(error) => cx.fail(&node.place, error.to_string(), "write `@every 10s`"),
        };
    }
    match text.parse::<Cron>() {
        Ok(_) => {
            let message = "a cron line is counted from the entry's own `at`, as if it was midnight then";
            cx.report(
                Diagnostic::warning(&node.place, message).help("within a run `@every 10s` says it plainly"),
            );
            Some(Cadence::Cron(text))
        }
        Err(why) => cx.fail(&node.place, format!("`{text}` is not {wanted}: {why}"), ""),
    }
}
