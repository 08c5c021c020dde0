//! Published traces of LLM requests: when they came, how long they were.

mod rows;
mod timestamp;

use std::{fmt, ops::Range, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::model::TraceFormat;
use crate::units::Span;

/// Tokens of a block of a Mooncake trace.
pub const BLOCK_TOKENS: u32 = 512;
/// No request of a trace is longer.
const MOST_TOKENS: u32 = 1_000_000;
/// Rows that are reported, of those that are wrong.
const REPORTED: usize = 10;

/// One request of a trace. Written as one text, so that a plan with many of
/// them stays legible: µs, input and output tokens (0: not stated), blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TracedRequest {
    /// When it came, from the trace's first request.
    pub at: Span,
    /// Tokens of the prompt, if stated.
    pub input: Option<u32>,
    /// Tokens of the answer, if stated.
    pub output: Option<u32>,
    /// Ids of the prompt's blocks, of [`BLOCK_TOKENS`] each but the last.
    pub blocks: Vec<u64>,
}

impl fmt::Display for TracedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.at.micros(), self.input.unwrap_or(0), self.output.unwrap_or(0))?;
        for (i, block) in self.blocks.iter().enumerate() {
            write!(f, "{}{block}", if i == 0 { ' ' } else { ',' })?;
        }
        Ok(())
    }
}

impl FromStr for TracedRequest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let read = || -> Option<Self> {
            let mut parts = text.split(' ');
            let at = Span(Duration::from_micros(parts.next()?.parse().ok()?));
            let mut tokens = || Some(Some(parts.next()?.parse::<u32>().ok()?).filter(|n| *n > 0));
            let (input, output) = (tokens()?, tokens()?);
            let blocks = match parts.next() {
                Some(ids) => ids.split(',').map(|id| id.parse().ok()).collect::<Option<_>>()?,
                None => Vec::new(),
            };
            Some(Self { at, input, output, blocks })
        };
        read().ok_or_else(|| format!("`{text}` is not a request of a trace"))
    }
}

impl Serialize for TracedRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TracedRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What is wrong with a trace, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceError {
    /// Bytes of the file.
    pub(super) bytes: Range<usize>,
    /// What is wrong.
    pub(super) message: String,
}

/// Reads a trace: its format, and its requests in order of time.
///
/// # Errors
/// The first rows that are wrong; a file that is none of the formats.
pub(super) fn read(
    text: &str,
    format: Option<TraceFormat>,
) -> Result<(TraceFormat, Vec<TracedRequest>), Vec<TraceError>> {
    let text_start = text.len() - text.trim_start_matches('\u{feff}').len();
    let lines = lines(text, text_start);
    let Some(format) = format.or_else(|| guess(lines.first().map_or("", |(_, line)| line))) else {
        let bytes = lines.first().map_or(0..0, |(bytes, _)| bytes.clone());
        let message =
            "this is no trace that is known: neither Azure's header nor BurstGPT's, nor a line of JSON";
        return Err(vec![TraceError { bytes, message: message.to_owned() }]);
    };
    let (mut requests, mut errors) = match format {
        TraceFormat::Azure => rows::azure(&lines),
        TraceFormat::Burstgpt => rows::burstgpt(&lines),
        TraceFormat::Mooncake => rows::mooncake(&lines),
    };
    if requests.is_empty() && errors.is_empty() {
        errors.push(TraceError { bytes: 0..0, message: "this trace has no request".to_owned() });
    }
    if errors.is_empty() {
        // The published ones are in order; a concatenation of two need not be.
        requests.sort_by_key(|request| request.at);
        let first = requests.first().map_or(Span::default(), |request| request.at);
        requests.iter_mut().for_each(|request| request.at = Span(request.at.0 - first.0));
        return Ok((format, requests));
    }
    let more = errors.len().saturating_sub(REPORTED);
    errors.truncate(REPORTED);
    if let (Some(last), true) = (errors.last_mut(), more > 0) {
        last.message = format!("{} (and {more} more rows are wrong)", last.message);
    }
    Err(errors)
}

/// The lines that are not empty, each with its place.
fn lines(text: &str, start: usize) -> Vec<(Range<usize>, &str)> {
    let mut at = start;
    let mut found = Vec::new();
    for line in text[start..].split('\n') {
        let (from, shown) = (at, line.trim_end_matches('\r'));
        at += line.len() + 1;
        if !shown.trim().is_empty() {
            found.push((from..from + shown.len(), shown));
        }
    }
    found
}

/// The format that a first line shows.
fn guess(first: &str) -> Option<TraceFormat> {
    if first.trim_start().starts_with('{') {
        return Some(TraceFormat::Mooncake);
    }
    let has = |column: &str| first.split(',').any(|name| name.trim().eq_ignore_ascii_case(column));
    if has("ContextTokens") {
        Some(TraceFormat::Azure)
    } else if has("Request tokens") {
        Some(TraceFormat::Burstgpt)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
