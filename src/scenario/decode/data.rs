//! Data files and distributions.

use std::path::Path;

use serde_json::Value as Json;

use super::{Context, Fields};
use crate::scenario::{
    diagnostic::Diagnostic,
    endpoint::{Data, Draw, DrawnValues, IntRange, Normal, Random, Range, Row},
    source::{Place, SourceFile},
    yaml::Node,
};

/// Rows of one file; a run's plan holds them all.
const MOST_ROWS: usize = 100_000;
/// Rows that are reported, of those that are wrong.
const REPORTED: usize = 10;

/// A data file, by its path. What is wrong in it is located in it.
pub(super) fn data(cx: &mut Context<'_>, node: &Node) -> Option<Data> {
    let name = cx.text(node, "the path of a JSONL or CSV file")?;
    let (path, text) = match (cx.resolver)(&name) {
        Ok(found) => found,
        Err(why) => return cx.fail(&node.place, format!("read the data `{name}`: {why}"), ""),
    };
    let known = cx.files.iter().position(|file| file.path == path);
    let index = known.unwrap_or(cx.files.len());
    let (rows, mut errors) = if is_csv(&path) { csv_rows(&text) } else { json_rows(&text) };
    if known.is_none() {
        cx.files.push(SourceFile { path: path.clone(), text });
    }
    if rows.is_empty() && errors.is_empty() {
        return cx.fail(&node.place, format!("the data `{name}` has no rows"), "");
    }
    if rows.len() > MOST_ROWS {
        let message = format!("the data `{name}` has {} rows, more than {MOST_ROWS}", rows.len());
        return cx.fail(&node.place, message, "");
    }
    if errors.is_empty() {
        return Some(Data { file: path, rows });
    }
    errors.truncate(REPORTED);
    for (bytes, message) in errors {
        cx.report(Diagnostic::error(&Place::new(index, bytes), message));
    }
    None
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

type Errors = Vec<(std::ops::Range<usize>, String)>;

fn json_rows(text: &str) -> (Vec<Row>, Errors) {
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    let mut at = 0;
    for line in text.split('\n') {
        let place = at..at + line.trim_end().len();
        at += line.len() + 1;
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(line) {
            Ok(row) => rows.push(row),
            Err(error) => errors.push((place, format!("this line is no JSON object: {error}"))),
        }
    }
    (rows, errors)
}

fn csv_rows(text: &str) -> (Vec<Row>, Errors) {
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let names: Vec<String> = match reader.headers() {
        Ok(names) => names.iter().map(str::to_owned).collect(),
        Err(error) => return (rows, vec![(0..0, error.to_string())]),
    };
    for record in reader.records() {
        match record {
            Ok(record) => {
                rows.push(names.iter().cloned().zip(record.iter().map(cell)).collect());
            }
            Err(error) => {
                let from = error.position().map_or(0, |at| usize::try_from(at.byte()).unwrap_or(0));
                let from = from.min(text.len());
                let to = text[from..].find('\n').map_or(text.len(), |length| from + length);
                errors.push((from..to, format!("this is no row of the table: {error}")));
            }
        }
    }
    (rows, errors)
}

/// A CSV cell: JSON where it is a number, a boolean, a list or a mapping, and
/// else the text.
fn cell(text: &str) -> Json {
    match serde_json::from_str(text) {
        Ok(Json::String(_)) | Err(_) => Json::from(text),
        Ok(value) => value,
    }
}

/// Of a tensor: drawn, or from columns.
pub(super) fn drawn_values(cx: &mut Context<'_>, node: &Node) -> Option<DrawnValues> {
    let mut fields = Fields::of(cx, node, "DrawnValues", "values: a list or a distribution")?;
    let found = fields.one_of(cx, &["uniform", "normal", "integers", "columns"]);
    fields.finish(cx);
    let (kind, node) = found?;
    if kind == "columns" {
        let columns = cx.some_list(node, "columns", |cx, node| cx.text(node, "a column's name"))?;
        return Some(DrawnValues::Columns(columns));
    }
    Some(match draw(cx, kind, node)? {
        Draw::Uniform(range) => DrawnValues::Uniform(range),
        Draw::Normal(normal) => DrawnValues::Normal(normal),
        Draw::Integers(range) => DrawnValues::Integers(range),
    })
}

/// A variable of a template.
pub(super) fn random(cx: &mut Context<'_>, node: &Node) -> Option<Random> {
    let mut fields = Fields::of(cx, node, "Random", "a random variable")?;
    let found = fields.one_of(cx, &["uniform", "normal", "integers"]);
    let size = fields.optional(cx, "size", |cx, node| {
        cx.number(node, "a number of values from 1 to 1000000", 1..=1_000_000)
    });
    fields.finish(cx);
    let (kind, node) = found?;
    Some(Random { draw: draw(cx, kind, node)?, size: size? })
}

fn draw(cx: &mut Context<'_>, kind: &str, node: &Node) -> Option<Draw> {
    let float = |cx: &mut Context<'_>, node: &Node| cx.number(node, "a number", -1e300..=1e300);
    match kind {
        "uniform" => {
            let mut fields = Fields::of(cx, node, "Range", "a range of numbers")?;
            let min = fields.required(cx, "min", "0", float);
            let max = fields.required(cx, "max", "1", float);
            fields.finish(cx);
            let (min, max) = (min?, max?);
            if max <= min {
                return cx.fail(&node.place, "`max` is not above `min`", "");
            }
            Some(Draw::Uniform(Range { min, max }))
        }
        "normal" => {
            let mut fields = Fields::of(cx, node, "Normal", "a normal distribution")?;
            let mean = fields.required(cx, "mean", "0", float);
            let std_dev = fields.required(cx, "std-dev", "1", |cx, node| {
                cx.number(node, "a standard deviation above 0", f64::MIN_POSITIVE..=1e300)
            });
            fields.finish(cx);
            Some(Draw::Normal(Normal { mean: mean?, std_dev: std_dev? }))
        }
        _ => {
            let mut fields = Fields::of(cx, node, "IntRange", "a range of whole numbers")?;
            let whole =
                |cx: &mut Context<'_>, node: &Node| cx.number(node, "a whole number", i64::MIN..=i64::MAX);
            let min = fields.required(cx, "min", "0", whole);
            let max = fields.required(cx, "max", "9", whole);
            fields.finish(cx);
            let (min, max) = (min?, max?);
            if max < min {
                return cx.fail(&node.place, "`max` is less than `min`", "");
            }
            Some(Draw::Integers(IntRange { min, max }))
        }
    }
}
