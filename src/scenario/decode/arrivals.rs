//! When an open loop sends: its arrivals and their profile.

use super::{Context, Fields, scalars::unit, trace::trace, workload::span_above_zero};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        model::{Arrivals, Gamma, Profile, Stage},
        yaml::Node,
    },
    units::{Rate, Span},
};

const PROFILES: [&str; 5] = ["rate", "stages", "ramp", "spike", "sine"];

pub(super) fn arrivals(cx: &mut Context<'_>, node: &Node) -> Option<Arrivals> {
    let what = "arrivals: `{ poisson: … }`, `{ constant: … }`, `{ gamma: … }` or `{ trace: … }`";
    let mut fields = Fields::of(cx, node, "Arrivals", what)?;
    let found = fields.one_of(cx, &["poisson", "constant", "gamma", "trace"]);
    fields.finish(cx);
    match found? {
        ("poisson", node) => profile(cx, node).map(Arrivals::Poisson),
        ("constant", node) => profile(cx, node).map(Arrivals::Constant),
        ("gamma", node) => gamma(cx, node).map(Arrivals::Gamma),
        (_, node) => trace(cx, node).map(Arrivals::Trace),
    }
}

fn profile(cx: &mut Context<'_>, node: &Node) -> Option<Profile> {
    let mut fields = Fields::of(cx, node, "Profile", "a load profile such as `{ rate: 20/s }`")?;
    let found = fields.one_of(cx, &PROFILES);
    fields.finish(cx);
    let (kind, node) = found?;
    profile_of(cx, kind, node)
}

fn gamma(cx: &mut Context<'_>, node: &Node) -> Option<Gamma> {
    let mut fields = Fields::of(cx, node, "Gamma", "a load profile with a burstiness")?;
    let found = fields.one_of(cx, &PROFILES);
    let burstiness = fields.required(cx, "burstiness", "0.25", |cx, node| {
        // Outside, the gaps are all alike or all zero as far as numbers go.
        cx.number(node, "a burstiness from 0.01 to 1000 (1: Poisson, less: burstier)", 0.01..=1000.0)
    });
    fields.finish(cx);
    let profile = found.and_then(|(kind, node)| profile_of(cx, kind, node));
    Some(Gamma { profile: profile?, burstiness: burstiness? })
}

/// The profile `kind`, whose value is `node`.
fn profile_of(cx: &mut Context<'_>, kind: &str, node: &Node) -> Option<Profile> {
    let profile = match kind {
        "rate" => Profile::Rate(rate(cx, node)?),
        "stages" => Profile::Stages(cx.some_list(node, "stages", stage)?),
        "ramp" => {
            let mut fields = Fields::of(cx, node, "Ramp", "a ramp")?;
            let from = fields.required(cx, "from", "5/s", rate);
            let to = fields.required(cx, "to", "20/s", rate);
            let over = fields.required(cx, "over", "30s", unit::<Span>);
            fields.finish(cx);
            Profile::Ramp { from: from?, to: to?, over: over? }
        }
        "spike" => {
            let mut fields = Fields::of(cx, node, "Spike", "a spike")?;
            let base = fields.required(cx, "base", "20/s", rate);
            let peak = fields.required(cx, "peak", "60/s", rate);
            let at = fields.required(cx, "at", "20s", unit::<Span>);
            let rise = fields.required(cx, "rise", "2s", unit::<Span>);
            let hold = fields.required(cx, "hold", "8s", unit::<Span>);
            fields.finish(cx);
            Profile::Spike { base: base?, peak: peak?, at: at?, rise: rise?, hold: hold? }
        }
        _ => sine(cx, node)?,
    };
    if profile.is_nothing() {
        return cx.fail(&node.place, "this load sends nothing: its rate is always 0/s", "");
    }
    if let Profile::Spike { base, peak, .. } = &profile
        && peak.0 <= base.0
    {
        cx.report(Diagnostic::warning(
            &node.place,
            format!("the peak of {peak} is no higher than the base of {base}"),
        ));
    }
    Some(profile)
}

fn sine(cx: &mut Context<'_>, node: &Node) -> Option<Profile> {
    let mut fields = Fields::of(cx, node, "Sine", "a sine")?;
    let mean = fields.required(cx, "mean", "20/s", rate);
    let amplitude = fields.required(cx, "amplitude", "10/s", |cx, node| Some((rate(cx, node)?, &node.place)));
    let period = fields.required(cx, "period", "60s", span_above_zero);
    let phase = fields.or(cx, "phase", Span::default(), unit::<Span>);
    fields.finish(cx);
    let (mean, (amplitude, place)) = (mean?, amplitude?);
    if amplitude > mean {
        let message = format!("an amplitude of {amplitude} around {mean} goes below 0/s");
        return cx.fail(place, message, "");
    }
    Some(Profile::Sine { mean, amplitude, period: period?, phase: phase? })
}

pub(super) fn rate(cx: &mut Context<'_>, node: &Node) -> Option<Rate> {
    let rate: Rate = cx.unit(node)?;
    if rate.0 > 1e6 { cx.fail(&node.place, "this is more than 1000000/s", "") } else { Some(rate) }
}

fn stage(cx: &mut Context<'_>, node: &Node) -> Option<Stage> {
    let mut fields = Fields::of(cx, node, "Stage", "a stage: `{ to: 20/s, over: 10s }` or `{ hold: 10s }`")?;
    let found = fields.one_of(cx, &["to", "hold"]);
    let stage = match found {
        Some(("to", node)) => {
            let to = rate(cx, node);
            let over = fields.required(cx, "over", "10s", unit::<Span>);
            to.zip(over).map(|(to, over)| Stage::To { to, over })
        }
        Some((_, node)) => match fields.get("over") {
            Some(over) => {
                cx.fail(&over.place, "`over` belongs to `to`; a `hold` says itself how long it lasts", "")
            }
            None => cx.unit(node).map(|hold| Stage::Hold { hold }),
        },
        None => {
            fields.get("over");
            None
        }
    };
    fields.finish(cx);
    stage
}
