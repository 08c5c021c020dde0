//! A time on the wall clock, as Azure's traces have it.

use std::time::Duration;

/// `2023-11-16 18:15:46.6805900`, `2024-05-10 00:00:00.009930+00:00`, also with
/// `T` and `Z`: time since 1970 UTC; without a zone it is taken as UTC.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (time, zone) = match time.find(['Z', '+', '-']) {
        Some(at) => (&time[..at], offset(&time[at..])?),
        None => (time, 0),
    };
    let mut clock = time.splitn(3, ':');
    let (hours, minutes) = (clock.next()?.parse::<i64>().ok()?, clock.next()?.parse::<i64>().ok()?);
    let (whole, fraction) = clock.next().map(|s| s.split_once('.').unwrap_or((s, "")))?;
    let whole: i64 = whole.parse().ok()?;
    if !(0..24).contains(&hours) || !(0..60).contains(&minutes) || !(0..=60).contains(&whole) {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hours * 3600 + minutes * 60 + whole - zone;
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos(fraction)?))
}

/// The digits after the point as nanoseconds.
fn nanos(fraction: &str) -> Option<u32> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    digits.parse().ok()
}

/// `Z`, `+02:00` in seconds.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

/// Days from 1970-01-01 (Hinnant, chrono-compatible low-level date algorithms).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clocks_of_both_years_are_read() {
        let of = |text| seconds(text).map(|time| (time.as_secs(), time.subsec_nanos()));
        // By `date -u -d … +%s`.
        assert_eq!(of("2023-11-16 18:15:46.6805900"), Some((1_700_158_546, 680_590_000)));
        assert_eq!(of("2024-05-10 00:00:00.009930+00:00"), Some((1_715_299_200, 9_930_000)));
        assert_eq!(of("2024-05-10T02:00:00+02:00"), of("2024-05-10 00:00:00"));
        assert_eq!(of("2024-03-01 00:00:00").map(|t| t.0), of("2024-02-29 23:59:59").map(|t| t.0 + 1));
        for wrong in ["", "2023-11-16", "2023-13-01 00:00:00", "2023-11-16 25:00:00", "2023-11-16 18:15:46.x"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
