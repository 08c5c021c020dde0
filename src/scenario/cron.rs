//! Cron lines of five fields, as far as a run needs them: which minutes of a
//! day that starts on a Monday, 1 January.

use std::str::FromStr;

/// Minutes in a day.
const DAY: u32 = 24 * 60;

/// A cron line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

/// What is wrong with a cron line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error("it has {0} fields, not five (minute, hour, day, month, weekday)")]
    Fields(usize),
    /// A field that can't be read.
    #[error("`{field}` is not a {name} from {low} to {high}")]
    Field {
        /// As given.
        field: String,
        /// Which one.
        name: &'static str,
        /// The least.
        low: u32,
        /// The most.
        high: u32,
    },
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let line = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            line => line,
        };
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(CronError::Fields(fields.len()));
        };
        let weekdays = bits(weekdays, "weekday", 0, 7)?;
        Ok(Self {
            minutes: bits(minutes, "minute", 0, 59)?,
            hours: bits(hours, "hour", 0, 23)?,
            days: bits(days, "day", 1, 31)?,
            months: bits(months, "month", 1, 12)?,
            // 7 is Sunday as well.
            weekdays: weekdays | weekdays >> 7,
        })
    }
}

impl Cron {
    /// Whether it acts `minute` minutes after the midnight that starts
    /// Monday, 1 January. None past that day: no run lasts so long.
    pub fn acts_at(&self, minute: u32) -> bool {
        let has = |bits: u64, bit: u32| bits >> bit & 1 == 1;
        minute < DAY
            && has(self.minutes, minute % 60)
            && has(self.hours, minute / 60)
            && has(self.days, 1)
            && has(self.months, 1)
            && has(self.weekdays, 1)
    }
}

/// `*`, `3`, `1-5`, `*/10`, `1-30/5`, and lists of these.
fn bits(field: &str, name: &'static str, low: u32, high: u32) -> Result<u64, CronError> {
    let error = || CronError::Field { field: field.to_owned(), name, low, high };
    let mut bits = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                (range, step.parse::<u32>().ok().filter(|step| *step > 0).ok_or_else(error)?)
            }
            None => (part, 1),
        };
        let number =
            |text: &str| text.parse::<u32>().ok().filter(|n| (low..=high).contains(n)).ok_or_else(error);
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/10` starts at 5 and goes on to the end.
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(error());
        }
        for n in (from..=to).step_by(step as usize) {
            bits |= 1 << n;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(line: &str) -> Vec<u32> {
        let cron: Cron = line.parse().expect("a cron line");
        (0..180).filter(|minute| cron.acts_at(*minute)).collect()
    }

    #[test]
    fn lines_say_which_minutes() {
        assert_eq!(minutes("*/30 * * * *"), [0, 30, 60, 90, 120, 150]);
        assert_eq!(minutes("5,10-12 1 * * *"), [65, 70, 71, 72]);
        assert_eq!(minutes("50/5 0 * * 1-5"), [50, 55]);
        assert_eq!(minutes("@hourly"), [0, 60, 120]);
        assert!(minutes("0 * 2 * *").is_empty(), "the second of the month");
        assert!(minutes("0 * * * 0,7").is_empty(), "Sundays");
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "* * 0 * *",
        ] {
            assert!(line.parse::<Cron>().is_err(), "{line}");
        }
    }
}
