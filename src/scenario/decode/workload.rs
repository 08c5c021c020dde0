//! Workloads: what a request is.

use super::{Context, Fields, endpoint::endpoint, prompts, transport::transport};
use crate::{
    scenario::{
        model::{Workload, default_idle, default_timeout},
        yaml::Node,
    },
    units::Span,
};

pub(super) fn workload(cx: &mut Context<'_>, node: &Node) -> Option<Workload> {
    let mut fields = Fields::of(cx, node, "Workload", "a workload")?;
    let endpoint =
        fields.required(cx, "endpoint", "{ openai-chat: { model: demo, stream: true } }", endpoint);
    let prompts = fields.required(
        cx,
        "prompts",
        "{ synthetic: { input-tokens: 200, output-tokens: 64 } }",
        |cx, node| {
            let prompts = prompts::prompts(cx, node)?;
            prompts::check(cx, node, &prompts, endpoint.as_ref()?)?;
            Some(prompts)
        },
    );
    let timeout = fields.or(cx, "timeout", default_timeout(), span_above_zero);
    let idle_timeout = fields.or(cx, "idle-timeout", default_idle(), span_above_zero);
    let transport = transport(cx, &mut fields);
    fields.finish(cx);
    Some(Workload {
        endpoint: endpoint?,
        prompts: prompts?,
        timeout: timeout?,
        idle_timeout: idle_timeout?,
        transport: transport?,
    })
}

pub(super) fn span_above_zero(cx: &mut Context<'_>, node: &Node) -> Option<Span> {
    let span: Span = cx.unit(node)?;
    if span == Span::default() { cx.fail(&node.place, "this must be longer than 0s", "") } else { Some(span) }
}
