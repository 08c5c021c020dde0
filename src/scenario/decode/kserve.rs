//! `kserve-v2` and `kserve-grpc`.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::{Context, Fields, data, endpoint, listed, nearest, scalars::boolean};
use crate::scenario::{
    diagnostic::Diagnostic,
    endpoint::{
        Batch, Datatype, Dim, DimName, DrawnValues, Encoding, Infer, Input, KserveGrpc, KserveV2, Output,
        Shape, Values,
    },
    source::Place,
    yaml::{Node, Value},
};

/// Elements of a tensor; more is a mistake.
const MOST_ELEMENTS: u64 = 64 << 20;

pub(super) fn over_http(cx: &mut Context<'_>, node: &Node) -> Option<KserveV2> {
    let mut fields = Fields::of(cx, node, "KserveV2", "the settings of the endpoint")?;
    let infer = infer(cx, &mut fields);
    let encoding = fields.or(cx, "encoding", Encoding::Json, |cx, node| {
        cx.choice(node, "how tensors travel", &[Encoding::Json, Encoding::Binary])
    });
    fields.finish(cx);
    let (infer, encoding) = (infer?, encoding?);
    if encoding == Encoding::Json {
        // JSON has no such numbers.
        for (input, node) in infer.inputs.iter().zip(items(node.get("inputs"))) {
            if matches!(input.datatype, Datatype::Fp16 | Datatype::Bf16) {
                let place = node.get("datatype").map_or(&node.place, |node| &node.place);
                let message = format!("{} can't travel as JSON", input.datatype.as_str());
                return cx.fail(place, message, "add `encoding: binary`");
            }
        }
    }
    Some(KserveV2 { infer, encoding })
}

pub(super) fn over_grpc(cx: &mut Context<'_>, node: &Node) -> Option<KserveGrpc> {
    let mut fields = Fields::of(cx, node, "KserveGrpc", "the settings of the endpoint")?;
    let infer = infer(cx, &mut fields);
    let stream = fields.or(cx, "stream", false, boolean);
    fields.finish(cx);
    Some(KserveGrpc { infer: infer?, stream: stream? })
}

fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items,
        Some(Value::Scalar { .. } | Value::Map(_)) | None => &[],
    }
}

/// What both have in common.
fn infer(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Option<Infer> {
    let model = fields.required(cx, "model", "demo", name);
    let version = fields.optional(cx, "version", |cx, node| cx.text(node, "a version"));
    let batch = fields.optional(cx, "batch", batch);
    let data_node = fields.get("data");
    let data = match data_node {
        Some(node) => data::data(cx, node).map(Some),
        None => Some(None),
    };
    let example = "[ { name: x, datatype: FP32, shape: [1, 4], values: { uniform: { min: 0, max: 1 } } } ]";
    let inputs_node = fields.get("inputs");
    let inputs = fields.required(cx, "inputs", example, |cx, node| cx.some_list(node, "inputs", input));
    let outputs = fields.or(cx, "outputs", Vec::new(), |cx, node| cx.list(node, "outputs", output));
    let allow_nan = fields.or(cx, "allow-nan", false, boolean);
    let declared = outputs.as_deref().unwrap_or_default();
    let feature = fields.optional(cx, "feature", |cx, node| feature(cx, node, declared));
    let headers = fields.or(cx, "headers", IndexMap::new(), endpoint::headers);
    let infer = Infer {
        model: model?,
        version: version?,
        inputs: inputs?,
        outputs: outputs?,
        batch: batch?,
        data: data?,
        allow_nan: allow_nan?,
        feature: feature?,
        headers: headers?,
    };
    let mut right = true;
    for (input, node) in infer.inputs.iter().zip(items(inputs_node)) {
        right &= check_input(cx, &infer, input, node).is_some();
    }
    right.then_some(infer)
}

fn name(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    cx.text(node, "a name")
}

fn batch(cx: &mut Context<'_>, node: &Node) -> Option<Batch> {
    let size = |cx: &mut Context<'_>, node: &Node| cx.number(node, "a batch from 1 to 4096", 1..=4096_u32);
    if !matches!(node.value, Value::Map(_)) {
        return size(cx, node).map(Batch::Fixed);
    }
    let mut fields = Fields::of(cx, node, "Batch", "a batch")?;
    let min = fields.required(cx, "min", "1", size);
    let max = fields.required(cx, "max", "8", size);
    fields.finish(cx);
    let (min, max) = (min?, max?);
    if max < min {
        cx.fail(&node.place, "`max` is less than `min`", "")
    } else {
        Some(Batch::Drawn { min, max })
    }
}

fn input(cx: &mut Context<'_>, node: &Node) -> Option<Input> {
    let mut fields = Fields::of(cx, node, "Input", "an input")?;
    let name = fields.required(cx, "name", "x", name);
    let datatype = fields.required(cx, "datatype", "FP32", datatype);
    let shape = fields.required(cx, "shape", "[1, 4]", |cx, node| shape(cx, node, &["batch"]));
    let values = fields.required(cx, "values", "{ uniform: { min: 0, max: 1 } }", values);
    fields.finish(cx);
    Some(Input { name: name?, datatype: datatype?, shape: shape?, values: values? })
}

fn output(cx: &mut Context<'_>, node: &Node) -> Option<Output> {
    let mut fields = Fields::of(cx, node, "Output", "an output")?;
    let name = fields.required(cx, "name", "y", name);
    let datatype = fields.optional(cx, "datatype", datatype);
    let shape = fields.optional(cx, "shape", |cx, node| shape(cx, node, &["batch", "any"]));
    fields.finish(cx);
    Some(Output { name: name?, datatype: datatype?, shape: shape? })
}

/// The name of an output: one of those that are declared, if any are.
fn feature(cx: &mut Context<'_>, node: &Node, declared: &[Output]) -> Option<String> {
    let text = cx.text(node, "an output's name")?;
    let names = || declared.iter().map(|output| output.name.as_str());
    if declared.is_empty() || names().any(|name| name == text) {
        return Some(text);
    }
    let mut error = Diagnostic::error(&node.place, format!("there is no output `{text}`"));
    if let Some(meant) = nearest(&text, names()) {
        error = error.label(format!("did you mean `{meant}`?"));
    }
    cx.report(error.help(format!("there is {}", listed(names()))));
    None
}

fn datatype(cx: &mut Context<'_>, node: &Node) -> Option<Datatype> {
    cx.choice(node, "a datatype", &Datatype::ALL)
}

fn shape(cx: &mut Context<'_>, node: &Node, names: &[&str]) -> Option<Shape> {
    cx.some_list(node, "dimensions", |cx, node| match node.text() {
        Some("batch") if names.contains(&"batch") => Some(Dim::Named(DimName::Batch)),
        Some("any") if names.contains(&"any") => Some(Dim::Named(DimName::Any)),
        _ => {
            let what = format!("a dimension: a number from 1, or `{}`", names.join("` or `"));
            cx.number(node, &what, 1..=u32::MAX).map(Dim::Fixed)
        }
    })
}

fn values(cx: &mut Context<'_>, node: &Node) -> Option<Values> {
    match &node.value {
        Value::List(_) => {
            let mut all = Vec::new();
            flatten(endpoint::json(cx, node)?, &mut all);
            Some(Values::Fixed(all))
        }
        Value::Map(_) => data::drawn_values(cx, node).map(Values::Drawn),
        Value::Scalar { .. } => cx.mistyped(node, "a list of values, or a distribution"),
    }
}

/// Nested lists are one list: the shape says how it is nested.
fn flatten(value: Json, into: &mut Vec<Json>) {
    match value {
        Json::Array(items) => items.into_iter().for_each(|item| flatten(item, into)),
        value => into.push(value),
    }
}

/// Whether an input's values fit its shape and type.
fn check_input(cx: &mut Context<'_>, infer: &Infer, input: &Input, node: &Node) -> Option<()> {
    let place_of = |key: &str| node.get(key).map_or_else(|| node.place.clone(), |node| node.place.clone());
    let (shape_at, values_at): (Place, Place) = (place_of("shape"), place_of("values"));
    let batched = input.shape.contains(&Dim::Named(DimName::Batch));
    if batched && infer.batch.is_none() {
        return cx.fail(
            &shape_at,
            "`batch` is not said",
            "add `batch: 8` or `batch: { min: 1, max: 8 }` to the endpoint",
        );
    }
    let largest = match infer.batch {
        Some(Batch::Fixed(size)) | Some(Batch::Drawn { max: size, .. }) => u64::from(size),
        None => 1,
    };
    let item = input.shape.iter().try_fold(1_u64, |product, dim| match dim {
        Dim::Fixed(size) => product.checked_mul(u64::from(*size)),
        Dim::Named(_) => Some(product),
    });
    let Some(item) = item.filter(|item| item.saturating_mul(largest) <= MOST_ELEMENTS) else {
        return cx.fail(&shape_at, format!("this tensor has more than {MOST_ELEMENTS} elements"), "");
    };
    match &input.values {
        Values::Fixed(all) => {
            if all.len() as u64 != item {
                let of = if batched { "an item of the batch" } else { "the tensor" };
                return cx.fail(&values_at, format!("{} values for {item} elements of {of}", all.len()), "");
            }
            match all.iter().find(|value| !fits(value, input.datatype)) {
                Some(wrong) => {
                    let message = format!("{wrong} is no {}", input.datatype.as_str());
                    cx.fail(&values_at, message, "")
                }
                None => Some(()),
            }
        }
        Values::Drawn(DrawnValues::Columns(columns)) => {
            let Some(data) = &infer.data else {
                return cx.fail(
                    &values_at,
                    "there is no data to take columns from",
                    "add `data: rows.jsonl` to the endpoint",
                );
            };
            for (number, row) in data.rows.iter().enumerate() {
                let mut all = Vec::new();
                for column in columns {
                    match row.get(column) {
                        Some(value) => flatten(value.clone(), &mut all),
                        None => {
                            return cx.fail(
                                &values_at,
                                format!("row {} of the data has no `{column}`", number + 1),
                                "",
                            );
                        }
                    }
                }
                if all.len() as u64 != item {
                    let message = format!(
                        "row {} of the data has {} values for {item} elements",
                        number + 1,
                        all.len()
                    );
                    return cx.fail(&values_at, message, "");
                }
                if let Some(wrong) = all.iter().find(|value| !fits(value, input.datatype)) {
                    let message =
                        format!("row {} of the data: {wrong} is no {}", number + 1, input.datatype.as_str());
                    return cx.fail(&values_at, message, "");
                }
            }
            Some(())
        }
        Values::Drawn(DrawnValues::Integers(range)) => {
            let (low, high) = (Json::from(range.min), Json::from(range.max));
            if input.datatype == Datatype::Bytes
                || (fits(&low, input.datatype) && fits(&high, input.datatype))
            {
                Some(())
            } else {
                let message = format!("{low} to {high} is more than {} holds", input.datatype.as_str());
                cx.fail(&values_at, message, "")
            }
        }
        Values::Drawn(DrawnValues::Uniform(_) | DrawnValues::Normal(_)) => {
            if input.datatype.is_float() {
                Some(())
            } else {
                let message = format!("a tensor of {} takes `integers`", input.datatype.as_str());
                cx.fail(&values_at, message, "")
            }
        }
    }
}

/// Whether a value can be an element.
fn fits(value: &Json, datatype: Datatype) -> bool {
    let within = |min: i128, max: i128| {
        let whole = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
        whole.is_some_and(|number| (min..=max).contains(&number))
    };
    match datatype {
        Datatype::Bool => value.is_boolean() || within(0, 1),
        Datatype::Uint8 => within(0, u8::MAX.into()),
        Datatype::Uint16 => within(0, u16::MAX.into()),
        Datatype::Uint32 => within(0, u32::MAX.into()),
        Datatype::Uint64 => within(0, u64::MAX.into()),
        Datatype::Int8 => within(i8::MIN.into(), i8::MAX.into()),
        Datatype::Int16 => within(i16::MIN.into(), i16::MAX.into()),
        Datatype::Int32 => within(i32::MIN.into(), i32::MAX.into()),
        Datatype::Int64 => within(i64::MIN.into(), i64::MAX.into()),
        Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64 => value.is_number(),
        Datatype::Bytes => value.is_string() || value.is_number() || value.is_boolean(),
    }
}
