//! Requests made of tensors.

use std::{borrow::Cow, sync::Arc};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::{Ask, Turn, Wanted, draw::draw};
use crate::{
    load::{
        dialect::{
            Dialect,
            kserve::tensor::{Tensor, push_number, push_value},
        },
        prompts::Prompt,
    },
    plan,
    scenario::endpoint::{Batch, Dim, DimName, DrawnValues, Infer, Input, Row, Values},
};

/// A source of tensors.
#[derive(Debug)]
pub(crate) struct Tensors {
    seed: u64,
    dialect: Arc<Dialect>,
    infer: Infer,
    /// The one request, where all are the same.
    only: Option<Ask>,
}

impl Tensors {
    pub(super) fn new(infer: &Infer, dialect: Arc<Dialect>, seed: u64) -> Self {
        let mut tensors = Self { seed, dialect, infer: infer.clone(), only: None };
        let is_fixed = infer.inputs.iter().all(|input| matches!(input.values, Values::Fixed(_)))
            && !matches!(infer.batch, Some(Batch::Drawn { .. }));
        if is_fixed {
            let mut only = tensors.make(Turn { load: "", index: 0, step: 0, carried: None });
            only.prompt.id = Some(0);
            tensors.only = Some(only);
        }
        tensors
    }

    /// The request of this turn.
    pub(super) fn ask(&self, turn: Turn<'_>) -> Cow<'_, Ask> {
        self.only.as_ref().map_or_else(|| Cow::Owned(self.make(turn)), Cow::Borrowed)
    }

    fn make(&self, turn: Turn<'_>) -> Ask {
        let mut rng = plan::stream(self.seed, &format!("tensors/{}/{}", turn.load, turn.index));
        let batch = match self.infer.batch {
            None => 1,
            Some(Batch::Fixed(size)) => size,
            Some(Batch::Drawn { min, max }) => rng.random_range(min..=max),
        };
        let inputs = self.infer.inputs.iter().map(|input| self.tensor(input, batch, turn.index, &mut rng));
        let inputs: Vec<Tensor> = inputs.collect();
        let (body, header) = match &*self.dialect {
            Dialect::Kserve(kserve) => kserve.request(inputs),
            // Not made with others.
            Dialect::Chat(_)
            | Dialect::Completions(_)
            | Dialect::Responses(_)
            | Dialect::Embeddings(_)
            | Dialect::Http(_) => Default::default(),
        };
        Ask {
            prompt: Prompt { body, id: None, tokens: None, golden: None, keeps_text: false },
            uri: None,
            headers: header.into_iter().collect(),
            wanted: Wanted::Batch(batch),
        }
    }

    fn tensor(&self, input: &Input, batch: u32, index: u64, rng: &mut ChaCha8Rng) -> Tensor {
        let shape: Vec<u32> = input
            .shape
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(size) => *size,
                Dim::Named(DimName::Batch | DimName::Any) => batch,
            })
            .collect();
        let batched = input.shape.contains(&Dim::Named(DimName::Batch));
        let items = if batched { batch } else { 1 };
        let elements: usize = shape.iter().map(|dim| *dim as usize).product();
        let mut bytes = Vec::with_capacity(elements * input.datatype.size().unwrap_or(8));
        match &input.values {
            Values::Fixed(values) => {
                for _ in 0..items {
                    values.iter().for_each(|value| push_value(&mut bytes, input.datatype, value));
                }
            }
            Values::Drawn(DrawnValues::Columns(columns)) => {
                for item in 0..u64::from(items) {
                    let Some(row) = self.row(index.wrapping_mul(u64::from(items)).wrapping_add(item)) else {
                        break;
                    };
                    let values = columns.iter().filter_map(|column| row.get(column));
                    values.for_each(|value| push_nested(&mut bytes, input, value));
                }
            }
            Values::Drawn(drawn) => {
                if let Some(distribution) = drawn.draw() {
                    for _ in 0..elements {
                        push_number(&mut bytes, input.datatype, draw(distribution, rng));
                    }
                }
            }
        }
        Tensor { name: input.name.clone(), datatype: input.datatype, shape, bytes }
    }

    /// Rows are taken in turn.
    fn row(&self, number: u64) -> Option<&Row> {
        let rows = &self.infer.data.as_ref()?.rows;
        rows.get(usize::try_from(number % rows.len().max(1) as u64).ok()?)
    }
}

/// A cell may be a list.
fn push_nested(bytes: &mut Vec<u8>, input: &Input, value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| push_nested(bytes, input, item)),
        value => push_value(bytes, input.datatype, value),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::scenario::{endpoint::KserveV2, model::Endpoint};

    fn tensors(infer: Value) -> Tensors {
        let settings: KserveV2 = serde_json::from_value(infer).expect("an endpoint");
        let infer = settings.infer.clone();
        let dialect = Dialect::of(&Endpoint::KserveV2(settings)).expect("a dialect");
        Tensors::new(&infer, Arc::new(dialect), 7)
    }

    fn turn(load: &str, index: u64) -> Turn<'_> {
        Turn { load, index, step: 0, carried: None }
    }

    fn body(ask: &Ask) -> Value {
        serde_json::from_slice(&ask.prompt.body).expect("JSON")
    }

    #[test]
    fn batches_are_drawn_and_all_inputs_share_them() {
        let source = tensors(json!({
            "model": "m", "batch": {"min": 1, "max": 4},
            "inputs": [
                {"name": "x", "datatype": "FP32", "shape": ["batch", 2], "values": {"uniform": {"min": 0, "max": 1}}},
                {"name": "k", "datatype": "INT32", "shape": ["batch"], "values": {"integers": {"min": 3, "max": 4}}},
                {"name": "t", "datatype": "BYTES", "shape": ["batch", 1], "values": ["hi"]},
            ],
        }));
        let mut batches = BTreeSet::new();
        for index in 0..60 {
            let ask = source.ask(turn("a", index));
            let body = body(&ask);
            let batch = ask.wanted.batch();
            batches.insert(batch);
            let data = |i: usize| body["inputs"][i]["data"].as_array().expect("data").clone();
            assert_eq!(body["inputs"][0]["shape"], json!([batch, 2]));
            assert_eq!([data(0), data(1), data(2)].map(|data| data.len() as u32), [2 * batch, batch, batch]);
            assert!(data(1).iter().all(|n| [json!(3), json!(4)].contains(n)) && data(2)[0] == "hi");
            assert_eq!(ask, source.ask(turn("a", index)), "the same again");
        }
        assert_eq!(batches, (1..=4).collect());
        assert_ne!(source.ask(turn("a", 0)), source.ask(turn("b", 0)));
    }

    #[test]
    fn rows_are_taken_in_turn() {
        let rows: Vec<Value> = (0..5).map(|n| json!({"a": n, "b": [n * 10, n * 10 + 1]})).collect();
        let source = tensors(json!({
            "model": "m", "batch": 2, "data": {"file": "x.jsonl", "rows": rows},
            "inputs": [{"name": "x", "datatype": "INT64", "shape": ["batch", 3], "values": {"columns": ["a", "b"]}}],
        }));
        let data = |index| body(&source.ask(turn("a", index)))["inputs"][0]["data"].clone();
        assert_eq!(data(0), json!([0, 0, 1, 1, 10, 11]));
        assert_eq!(data(2), json!([4, 40, 41, 0, 0, 1]));
    }

    #[test]
    fn a_fixed_request_is_made_once() {
        let source = tensors(json!({
            "model": "m",
            "inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "values": [1, 2.5]}],
        }));
        let (one, two) = (source.ask(turn("a", 1)), source.ask(turn("b", 9)));
        assert_eq!(one.prompt.body.as_ptr(), two.prompt.body.as_ptr(), "not even copied");
        assert_eq!(one.prompt.id, Some(0));
    }
}
