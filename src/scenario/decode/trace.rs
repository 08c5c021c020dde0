//! Arrivals from a trace: the file is read with the scenario, as manifests
//! are, so that what is wrong in it is known before anything starts.

use super::{Context, Fields, scalars::unit};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        model::{Trace, TraceFormat, TraceLengths, default_scale},
        source::{Place, SourceFile},
        trace,
        yaml::Node,
    },
    units::{Ratio, Span},
};

const FORMATS: [TraceFormat; 3] = [TraceFormat::Azure, TraceFormat::Burstgpt, TraceFormat::Mooncake];
/// Requests of one load; a run's plan names each.
const MOST_REQUESTS: usize = 1_000_000;

pub(super) fn trace(cx: &mut Context<'_>, node: &Node) -> Option<Trace> {
    let mut fields = Fields::of(cx, node, "Trace", "a trace")?;
    let file = fields.required(cx, "file", "traces/azure.csv", |cx, node| {
        Some((cx.text(node, "the path of a trace")?, &node.place))
    });
    let format = fields.optional(cx, "format", |cx, node| cx.choice(node, "a trace's format", &FORMATS));
    let scale = fields.or(cx, "scale", default_scale(), |cx, node| {
        let scale: Ratio = cx.unit(node)?;
        if scale.0 > 0.0 { Some(scale) } else { cx.fail(&node.place, "a trace can't be replayed at 0x", "") }
    });
    let from = fields.or(cx, "from", Span::default(), unit::<Span>);
    let to = fields.optional(cx, "to", unit::<Span>);
    let lengths = fields.or(cx, "lengths", TraceLengths::Trace, |cx, node| {
        cx.choice(node, "whose sizes requests have", &[TraceLengths::Trace, TraceLengths::Workload])
    });
    fields.finish(cx);
    let (from, to) = (from?, to?);
    if to.is_some_and(|to| to <= from) {
        return cx.fail(&node.place, "`to` is not after `from`", "");
    }
    let (name, place) = file?;
    let (path, format, mut requests) = read(cx, &name, place, format?)?;
    let last = requests.last().map_or(Span::default(), |last| last.at);
    requests.retain(|request| from <= request.at && to.is_none_or(|to| request.at < to));
    if requests.is_empty() {
        let message = format!("the trace `{name}` has no request in this slice: its last is at {last}");
        return cx.fail(&node.place, message, "");
    }
    if requests.len() > MOST_REQUESTS {
        let message = format!("this slice has {} requests, more than {MOST_REQUESTS}", requests.len());
        return cx.fail(&node.place, message, "take a shorter one, with `from` and `to`");
    }
    if let Some(beyond) = to.filter(|to| *to > Span(last.0.saturating_add(std::time::Duration::from_secs(1))))
    {
        let message = format!("`to` is {beyond}, and the trace's last request is at {last}");
        cx.report(Diagnostic::warning(&node.place, message));
    }
    Some(Trace { file: path, format: Some(format), scale: scale?, from, to, lengths: lengths?, requests })
}

type Found = (std::path::PathBuf, TraceFormat, Vec<trace::TracedRequest>);

/// Reads the file that a trace names. What is wrong in it is located in it.
fn read(cx: &mut Context<'_>, name: &str, place: &Place, format: Option<TraceFormat>) -> Option<Found> {
    let (path, text) = match (cx.resolver)(name) {
        Ok(found) => found,
        Err(why) => return cx.fail(place, format!("read the trace `{name}`: {why}"), ""),
    };
    let read = trace::read(&text, format);
    // Several slices of one trace are one file.
    let known = cx.files.iter().position(|file| file.path == path);
    let index = known.unwrap_or(cx.files.len());
    if known.is_none() {
        cx.files.push(SourceFile { path: path.clone(), text });
    }
    match read {
        Ok((format, requests)) => Some((path, format, requests)),
        Err(errors) => {
            for error in errors {
                cx.report(Diagnostic::error(&Place::new(index, error.bytes), error.message));
            }
            None
        }
    }
}
