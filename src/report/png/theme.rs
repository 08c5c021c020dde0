//! The palette of the pictures, by what a colour means. Hues are Okabe and
//! Ito's, which people with any of the common colour blindnesses tell apart;
//! where two must share one, a pattern or a word tells them apart.

use crate::{journal::interval::Outcome, verdict::model::Verdict};

/// A colour by what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Paint {
    /// The picture.
    Panel,
    /// Text.
    Ink,
    /// Text beside the point.
    Muted,
    /// Grid lines, frames.
    Grid,
    /// Every other phase.
    Shade,
    /// Requests due.
    Due,
    /// Requests sent.
    Sent,
    /// Median.
    P50,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// A limit.
    Limit,
    /// Success.
    Ok,
    /// Refused in good order.
    Shed,
    /// The server's word: no.
    Http,
    /// No connection, or a broken one.
    Connection,
    /// Too late.
    Late,
    /// An answer, but not the right one.
    Content,
    /// Given up.
    Cancelled,
    /// A fault.
    Fault,
    /// A rollout.
    Deploy,
    /// A breaker that admits.
    Closed,
    /// A breaker that probes.
    HalfOpen,
    /// A breaker that rejects.
    Opened,
    /// The cache.
    Cache,
    /// The stable version.
    Stable,
    /// Any other version.
    Other,
    /// Pods that are ready.
    Ready,
    /// Nobody could see.
    Blind,
    /// The verdict pass.
    Pass,
    /// Behind it.
    PassSoft,
    /// The verdict fail.
    Fail,
    /// Behind it.
    FailSoft,
    /// The verdict inconclusive.
    Unsure,
    /// Behind it.
    UnsureSoft,
    /// The verdict aborted.
    Aborted,
    /// Behind it.
    AbortedSoft,
}

impl Paint {
    /// Red, green and blue, as one number.
    fn hex(self) -> u32 {
        match self {
            Self::Panel => 0xff_ffff,
            Self::Ink => 0x17_1b21,
            Self::Muted => 0x5b_6573,
            Self::Grid => 0xdf_e3e8,
            Self::Shade => 0xf3_f5f8,
            Self::Due => 0xc3_ccd6,
            Self::Sent => 0x00_72b2,
            Self::P50 => 0x56_b4e9,
            Self::P95 => 0x00_72b2,
            Self::P99 => 0xaa_4f8b,
            Self::Limit => 0x9a_3d00,
            Self::Ok => 0xa9_d3e8,
            Self::Shed => 0xf0_c419,
            Self::Http => 0xd5_5e00,
            Self::Connection => 0x3d_4651,
            Self::Late => 0xcc_79a7,
            Self::Content => 0x6a_4fa3,
            Self::Cancelled => 0xb3_bcc7,
            Self::Fault => 0xd5_5e00,
            Self::Deploy => 0x6a_4fa3,
            Self::Closed => 0x9f_c9bb,
            Self::HalfOpen => 0xf0_c419,
            Self::Opened => 0xd5_5e00,
            Self::Cache => 0x00_9e73,
            Self::Stable => 0xb9_c6d3,
            Self::Other => 0x6a_4fa3,
            Self::Ready => 0x00_9e73,
            Self::Blind => 0x8a_94a0,
            Self::Pass => 0x00_734f,
            Self::PassSoft => 0xe2_f4ed,
            Self::Fail => 0xb2_3c00,
            Self::FailSoft => 0xfd_eae0,
            Self::Unsure => 0x7a_5c00,
            Self::UnsureSoft => 0xfc_f3d2,
            Self::Aborted => 0x44_505e,
            Self::AbortedSoft => 0xe9_edf1,
        }
    }

    /// Red, green and blue.
    pub(super) fn rgb(self) -> (u8, u8, u8) {
        let hex = self.hex();
        ((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
    }

    /// The colour of a verdict, and the one behind it.
    pub(super) fn of_verdict(verdict: Verdict) -> (Self, Self) {
        match verdict {
            Verdict::Pass => (Self::Pass, Self::PassSoft),
            Verdict::Fail => (Self::Fail, Self::FailSoft),
            Verdict::Inconclusive => (Self::Unsure, Self::UnsureSoft),
            Verdict::Aborted => (Self::Aborted, Self::AbortedSoft),
        }
    }
}

/// How an area is filled where colour alone would not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pattern {
    /// Evenly.
    Plain,
    /// With slanting lines.
    Hatch,
    /// With lines across them.
    Cross,
}

/// How an outcome is drawn.
pub(super) fn of_outcome(outcome: Outcome) -> (Paint, Pattern) {
    use Pattern::{Cross, Hatch, Plain};
    match outcome {
        Outcome::Ok => (Paint::Ok, Plain),
        Outcome::Shed => (Paint::Shed, Plain),
        Outcome::Http4xx => (Paint::Http, Hatch),
        Outcome::Http5xx => (Paint::Http, Plain),
        Outcome::ConnectRefused => (Paint::Connection, Plain),
        Outcome::ConnectTimeout => (Paint::Connection, Cross),
        Outcome::Reset => (Paint::Connection, Hatch),
        Outcome::Timeout => (Paint::Late, Plain),
        Outcome::Stalled => (Paint::Late, Hatch),
        Outcome::Truncated => (Paint::Content, Plain),
        Outcome::InBandError => (Paint::Content, Hatch),
        Outcome::Short | Outcome::Discontinuous | Outcome::Malformed | Outcome::Mismatch => {
            (Paint::Content, Cross)
        }
        Outcome::Cancelled => (Paint::Cancelled, Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as WCAG 2 has it.
    fn luminance(colour: u32) -> f64 {
        let channel = |shift: u32| {
            let c = f64::from((colour >> shift) as u8) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
    }

    fn contrast(a: u32, b: u32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_reads() {
        let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive, Verdict::Aborted];
        let mut pairs: Vec<(Paint, Paint)> = verdicts.map(Paint::of_verdict).to_vec();
        pairs.extend([(Paint::Ink, Paint::Panel), (Paint::Muted, Paint::Panel), (Paint::Ink, Paint::Shade)]);
        for (text, behind) in pairs {
            let contrast = contrast(text.hex(), behind.hex());
            assert!(contrast >= 4.5, "{text:?} on {behind:?}: {contrast:.2}");
        }
    }

    #[test]
    fn every_outcome_that_may_stand_beside_another_looks_different() {
        let mut looks: Vec<_> = Outcome::ALL.map(of_outcome).to_vec();
        looks.sort();
        looks.dedup();
        assert_eq!(looks.len(), Outcome::ALL.len() - 3, "only wrong contents share one look");
    }
}
