//! Figures and verdicts as people read them; the same words in every format.

use crate::{
    units::Span,
    verdict::model::{CheckKind, CheckVerdict, Verdict},
};

/// What stands where nothing was observed.
pub(super) const NOTHING: &str = "not observed";

/// A verdict in one word, in capitals.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Aborted => "ABORTED",
    }
}

/// A verdict's sign. Never stands alone.
pub(super) fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✔",
        Verdict::Fail => "✘",
        Verdict::Inconclusive => "?",
        Verdict::Aborted => "■",
    }
}

/// What comes first in a list: what failed, then what is open.
pub(super) fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 0,
        Verdict::Aborted => 1,
        Verdict::Inconclusive => 2,
        Verdict::Pass => 3,
    }
}

/// What a kind of check is called.
pub(super) fn kind(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Slo => "SLO",
        CheckKind::Fault => "Fault proof",
        CheckKind::Generator => "Load generator",
        CheckKind::CircuitBreaker => "Circuit breaker",
        CheckKind::Cache => "Cache",
        CheckKind::Rollback => "Rollback",
        CheckKind::Fallback => "Fallback",
        CheckKind::Shedding => "Load shedding",
        CheckKind::Retries => "Retries",
        CheckKind::Pods => "Pods",
        CheckKind::Recovery => "Recovery",
        CheckKind::Alert => "Alert",
        CheckKind::Probes => "Probes",
        CheckKind::Autoscaling => "Autoscaling",
        CheckKind::Failover => "Failover",
        CheckKind::Drift => "Output drift",
        CheckKind::Metric => "Metric",
        CheckKind::Capacity => "Capacity",
    }
}

/// Whether a check judges a reaction of the target (and not an SLO, a fault's
/// proof, the generator or a capacity).
pub(super) fn is_expectation(check: &CheckVerdict) -> bool {
    !matches!(check.kind, CheckKind::Slo | CheckKind::Fault | CheckKind::Generator | CheckKind::Capacity)
}

/// `value` with `digits` decimals, without trailing zeros.
pub(super) fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A count with thin groups of three: `12 345`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A share, precise where it matters: near 100 %.
pub(super) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    let digits = if percent > 99.0 && percent < 100.0 { 2 } else { 1 };
    // 99.996 % is not 100 %.
    let shown = if percent < 100.0 { percent.min(99.99) } else { percent };
    format!("{} %", trimmed(shown, digits))
}

/// A share that may be tiny, with two significant digits below 1 %.
pub(super) fn tiny_percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        a if a < 0.001 => "<0.001 %".to_owned(),
        a if a < 1.0 => format!("{} %", trimmed(percent, (1.0 - a.log10().floor()).clamp(1.0, 4.0) as usize)),
        _ => format!("{} %", trimmed(percent, 1)),
    }
}

/// Milliseconds with three significant digits, in seconds from 10 s on.
pub(super) fn ms(ms: f64) -> String {
    match ms.abs() {
        a if a < 9.995 => format!("{} ms", trimmed(ms, 2)),
        a if a < 99.95 => format!("{} ms", trimmed(ms, 1)),
        a if a < 9_999.5 => format!("{} ms", trimmed(ms, 0)),
        _ => format!("{} s", trimmed(ms / 1e3, 1)),
    }
}

/// An instant or a length on the run's clock.
pub(super) fn secs(s: f64) -> String {
    if s.abs() < 120.0 {
        format!("{} s", trimmed(s, 2))
    } else {
        let whole = s.round();
        let (h, m, rest) = ((whole / 3600.0).floor(), (whole / 60.0).floor() % 60.0, whole % 60.0);
        if h > 0.0 { format!("{h:.0} h {m:02.0} min") } else { format!("{m:.0} min {rest:02.0} s") }
    }
}

/// A tick of the time axis: `40s`, and `4:05` in long runs.
pub(super) fn tick(s: f64, long: bool) -> String {
    if !long {
        return format!("{s:.0}s");
    }
    let (h, m, rest) = ((s / 3600.0).floor(), (s / 60.0).floor() % 60.0, s % 60.0);
    if h > 0.0 { format!("{h:.0}:{m:02.0}:{rest:02.0}") } else { format!("{m:.0}:{rest:02.0}") }
}

/// A figure in its unit, as `verdict.json` has it.
pub(super) fn figure(value: f64, unit: &str) -> String {
    match unit {
        "ms" => ms(value),
        "s" => secs(value),
        "ratio" => percent(value),
        "x" => format!("{}×", trimmed(value, 2)),
        "/s" => format!("{} /s", trimmed(value, if value < 100.0 { 1 } else { 0 })),
        "count" => count(value.max(0.0).round() as u64),
        _ => trimmed(value, 3),
    }
}

/// What a check observed; a quantile may lie among the failures.
pub(super) fn observed(check: &CheckVerdict) -> String {
    match (check.observed, check.unit.as_str()) {
        (Some(value), unit) => figure(value, unit),
        (None, "ms") if check.error.is_some() => "∞".to_owned(),
        (None, _) => NOTHING.to_owned(),
    }
}

/// What is known of the figure, where that says more than the figure itself.
pub(super) fn interval(check: &CheckVerdict) -> Option<String> {
    let (low, high) = check.error?;
    let unit = if check.unit.is_empty() { "s" } else { check.unit.as_str() };
    match high {
        Some(high) if figure(low, unit) == figure(high, unit) => None,
        Some(high) => Some(format!("{} – {}", figure(low, unit), figure(high, unit))),
        // A time that was not over: the sentence says how long it was waited.
        None if check.observed.is_none() && check.unit.is_empty() => None,
        None => Some(format!("{} – ∞", figure(low, unit))),
    }
}

/// The limit of a check that asks for a time, in seconds: the last length of
/// time that `expected` names.
pub(super) fn limit_secs(expected: &str) -> Option<f64> {
    let (_, after) = expected.rsplit_once("within ")?;
    let word: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
    word.parse::<Span>().ok().map(Span::as_secs_f64)
}

/// At most `width` characters, with an ellipsis where it is cut.
pub(super) fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let head: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

/// Words in lines of at most `width` characters; a longer word is cut.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        if length > 0 && length + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        while word.len() > width {
            lines.push(word.drain(..width).collect());
        }
        length += word.len();
        line.extend(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// `text` without control characters: scenario and target may say anything,
/// and a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidi(c) { ' ' } else { c }).collect()
}

/// Characters that turn the direction of what follows.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(
            (percent(0.99996), percent(1.0), percent(0.5)),
            ("99.99 %".into(), "100 %".into(), "50 %".into())
        );
        assert_eq!(
            (ms(3.456), ms(456.7), ms(12_345.0)),
            ("3.46 ms".into(), "457 ms".into(), "12.3 s".into())
        );
        assert_eq!(
            (secs(3.5), secs(125.0), secs(7260.0)),
            ("3.5 s".into(), "2 min 05 s".into(), "2 h 01 min".into())
        );
        assert_eq!(tick(65.0, true), "1:05");
        assert_eq!(
            [0.0, 0.000_001, 0.000_358, 0.0042, 0.0199, 0.5].map(tiny_percent),
            ["0 %", "<0.001 %", "0.036 %", "0.42 %", "2 %", "50 %"]
        );
    }

    #[test]
    fn limits_are_found_in_what_was_expected() {
        assert_eq!(limit_secs("within 5s"), Some(5.0));
        assert_eq!(limit_secs("back in the baseline's SLOs within 1.5s"), Some(1.5));
        assert_eq!(limit_secs("p95 < 500ms"), None);
    }

    #[test]
    fn long_text_is_wrapped_and_cut() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(clipped("abcdef", 4), "abc…");
        assert_eq!(printable("a\x1b[31mb\u{202e}"), "a [31mb ");
    }
}
