//! The rows of each format.

use std::{ops::Range, time::Duration};

use serde::Deserialize;

use super::{BLOCK_TOKENS, MOST_TOKENS, TraceError, TracedRequest, timestamp};
use crate::units::Span;

/// A line and its place.
type Line<'t> = (Range<usize>, &'t str);
/// What could be read, and what could not.
type Rows = (Vec<TracedRequest>, Vec<TraceError>);

/// `TIMESTAMP,ContextTokens,GeneratedTokens`, the time on the wall clock.
pub(super) fn azure(lines: &[Line<'_>]) -> Rows {
    csv(lines, ["TIMESTAMP", "ContextTokens", "GeneratedTokens"], |text| {
        timestamp::seconds(text)
            .ok_or_else(|| format!("`{text}` is not a time such as `2023-11-16 18:15:46.6805900`"))
    })
}

/// `Timestamp,…,Request tokens,Response tokens,…`, the time in seconds.
pub(super) fn burstgpt(lines: &[Line<'_>]) -> Rows {
    csv(lines, ["Timestamp", "Request tokens", "Response tokens"], |text| {
        let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
        let time = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
        time.ok_or_else(|| format!("`{text}` is not a time in seconds"))
    })
}

/// Rows of three columns of interest: time, input and output tokens.
fn csv(lines: &[Line<'_>], wanted: [&str; 3], time: impl Fn(&str) -> Result<Duration, String>) -> Rows {
    let (mut requests, mut errors) = (Vec::new(), Vec::new());
    let Some((header, rows)) = lines.split_first() else { return (requests, errors) };
    let names = fields(header);
    let mut columns = [0; 3];
    for (column, wanted) in columns.iter_mut().zip(wanted) {
        match names.iter().position(|(_, name)| name.eq_ignore_ascii_case(wanted)) {
            Some(found) => *column = found,
            None => {
                let message = format!("this header has no column `{wanted}`");
                errors.push(TraceError { bytes: header.0.clone(), message });
            }
        }
    }
    if !errors.is_empty() {
        return (requests, errors);
    }
    for row in rows {
        let values = fields(row);
        let read = || -> Result<TracedRequest, TraceError> {
            let value = |i: usize| {
                values.get(columns[i]).ok_or_else(|| {
                    let message = format!(
                        "this row has no `{}`: {} of {} columns",
                        wanted[i],
                        values.len(),
                        names.len()
                    );
                    TraceError { bytes: row.0.clone(), message }
                })
            };
            let (at, text) = value(0)?;
            let at = time(text).map_err(|message| TraceError { bytes: at.clone(), message })?;
            let [input, output] = [value(1)?, value(2)?];
            Ok(TracedRequest {
                at: Span(at),
                input: tokens(input)?,
                output: tokens(output)?,
                blocks: Vec::new(),
            })
        };
        match read() {
            Ok(request) => requests.push(request),
            Err(error) => errors.push(error),
        }
    }
    (requests, errors)
}

/// The values of a CSV row, each with its place. Quoted ones lose their
/// quotes; a quote within is not known in these traces.
fn fields<'t>((place, line): &Line<'t>) -> Vec<Line<'t>> {
    let mut found = Vec::new();
    let (mut start, mut quoted) = (0, false);
    let mut push = |from: usize, to: usize| {
        let value = line[from..to].trim();
        let at = place.start + from + (line[from..to].len() - line[from..to].trim_start().len());
        let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        found.push(match bare {
            Some(bare) => (at + 1..at + 1 + bare.len(), bare),
            None => (at..at + value.len(), value),
        });
    };
    for (i, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                push(start, i);
                start = i + 1;
            }
            _ => {}
        }
    }
    push(start, line.len());
    found
}

/// A number of tokens; none where the trace has 0.
fn tokens((bytes, text): &Line<'_>) -> Result<Option<u32>, TraceError> {
    // Some exports write whole numbers as floats.
    let number = text.strip_suffix(".0").unwrap_or(text).parse::<u32>().ok();
    match number {
        Some(n) if n <= MOST_TOKENS => Ok(Some(n).filter(|n| *n > 0)),
        Some(_) | None => {
            Err(TraceError { bytes: bytes.clone(), message: format!("`{text}` is not a number of tokens") })
        }
    }
}

/// A line of Mooncake's.
#[derive(Deserialize)]
struct MooncakeRow {
    timestamp: f64,
    input_length: u32,
    output_length: u32,
    #[serde(default)]
    hash_ids: Vec<u64>,
}

/// JSON lines, the time in milliseconds.
pub(super) fn mooncake(lines: &[Line<'_>]) -> Rows {
    let (mut requests, mut errors) = (Vec::new(), Vec::new());
    for (bytes, line) in lines {
        match serde_json::from_str::<MooncakeRow>(line)
            .map_err(|error| why(&error, line))
            .and_then(mooncake_row)
        {
            Ok(request) => requests.push(request),
            Err((at, message)) => {
                let start = bytes.start + at.min(line.len().saturating_sub(1));
                errors.push(TraceError { bytes: start..bytes.end, message });
            }
        }
    }
    (requests, errors)
}

/// Where in the line serde stopped, and why.
fn why(error: &serde_json::Error, line: &str) -> (usize, String) {
    let text = error.to_string();
    let text = text.rsplit_once(" at line").map_or(text.as_str(), |(text, _)| text);
    // Of a missing key it only knows the line's end.
    let at = if error.column() >= line.len() { 0 } else { error.column().saturating_sub(1) };
    (at, format!("this is no row of a Mooncake trace: {text}"))
}

fn mooncake_row(row: MooncakeRow) -> Result<TracedRequest, (usize, String)> {
    let wrong = |message: String| (0, message);
    let at = Duration::try_from_secs_f64(row.timestamp / 1e3)
        .map_err(|_| wrong(format!("{} is not a time in milliseconds", row.timestamp)))?;
    if row.input_length > MOST_TOKENS || row.output_length > MOST_TOKENS {
        return Err(wrong(format!("more than {MOST_TOKENS} tokens")));
    }
    let blocks = row.input_length.div_ceil(BLOCK_TOKENS) as usize;
    if !row.hash_ids.is_empty() && row.hash_ids.len() != blocks {
        return Err(wrong(format!(
            "{} tokens are {blocks} blocks of {BLOCK_TOKENS}, and there are {} `hash_ids`",
            row.input_length,
            row.hash_ids.len()
        )));
    }
    let stated = |n: u32| Some(n).filter(|n| *n > 0);
    Ok(TracedRequest {
        at: Span(at),
        input: stated(row.input_length),
        output: stated(row.output_length),
        blocks: row.hash_ids,
    })
}
