//! Workloads: what a request is.

use super::{
    Context, Fields,
    endpoint::{OTHERS, endpoint},
    prompts,
    transport::transport,
};
use crate::{
    scenario::{
        model::{HttpVersion, Transport, Workload, default_idle, default_timeout},
        yaml::Node,
    },
    units::Span,
};

pub(super) fn workload(cx: &mut Context<'_>, node: &Node) -> Option<Workload> {
    let mut fields = Fields::of(cx, node, "Workload", "a workload")?;
    let endpoint =
        fields.required(cx, "endpoint", "{ openai-chat: { model: demo, stream: true } }", endpoint);
    // By its key: an endpoint that can't be read has errors enough.
    let has_none =
        node.get("endpoint").is_some_and(|node| OTHERS.into_iter().any(|key| node.get(key).is_some()));
    let prompts = if has_none {
        fields.refuse(cx, "prompts", "this endpoint has no prompts", "what is sent is said in `endpoint`");
        Some(None)
    } else {
        let example = "{ synthetic: { input-tokens: 200, output-tokens: 64 } }";
        let prompts = fields.required(cx, "prompts", example, |cx, node| {
            let prompts = prompts::prompts(cx, node)?;
            prompts::check(cx, node, &prompts, endpoint.as_ref()?)?;
            Some(prompts)
        });
        prompts.map(Some)
    };
    let timeout = fields.or(cx, "timeout", default_timeout(), span_above_zero);
    let idle_timeout = fields.or(cx, "idle-timeout", default_idle(), span_above_zero);
    let transport = transport(cx, &mut fields);
    fields.finish(cx);
    if let (Some(endpoint), Some(Transport { connection, .. })) = (&endpoint, &transport)
        && endpoint.is_grpc()
        && connection.http == HttpVersion::Http1
    {
        let place = node.get("connection").and_then(|node| node.get("http"));
        return cx.fail(
            place.map_or(&node.place, |node| &node.place),
            "gRPC needs HTTP/2",
            "take `http: 1` away",
        );
    }
    if let (Some(endpoint), Some(transport)) = (&endpoint, &transport)
        && !endpoint.generates()
        && transport.first_token_timeout.is_some()
    {
        let place = node.get("first-token-timeout").map_or(&node.place, |node| &node.place);
        return cx.fail(place, "this endpoint's answers have no first token", "`timeout` limits them");
    }
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
