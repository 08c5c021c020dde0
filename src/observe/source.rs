//! A source of signals, and whether it answers.

use crate::{
    journal::{Event, Sink, event::Signal},
    units::{RunTime, Seen},
};

/// Something that is asked again and again.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    /// None: it never answered, and need not yet.
    up: Option<bool>,
    /// When the last look began that was answered.
    last: RunTime,
}

impl Source {
    /// One that must answer from the start.
    pub(super) fn expected(name: &str) -> Self {
        Self { name: name.to_owned(), up: Some(true), last: RunTime::ZERO }
    }

    /// One that may still be starting.
    pub(super) fn new(name: &str) -> Self {
        Self { up: None, ..Self::expected(name) }
    }

    /// When something came true that is heard of now by itself.
    pub(super) fn since(&self, now: RunTime) -> Seen {
        Seen { not_before: self.last, by: now }
    }

    /// Takes an answer. Says so when it stops answering, and when it answers
    /// again. Some: the answer, and when what is new in it came true.
    pub(super) fn heard<T>(
        &mut self,
        answer: Result<T, impl std::fmt::Display>,
        started: RunTime,
        now: RunTime,
        sink: &Sink,
    ) -> Option<(T, Seen)> {
        let seen = Seen { not_before: self.last, by: now };
        let up = answer.is_ok();
        let changed = match self.up {
            Some(before) => before != up,
            None => false,
        };
        if changed {
            let why = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
            tell(sink, seen, Signal::Source { source: self.name.clone(), up, why });
        }
        if up || self.up.is_some() {
            self.up = Some(up);
        }
        if up {
            self.last = started;
        }
        answer.ok().map(|answer| (answer, seen))
    }
}

/// Writes a signal down.
pub(super) fn tell(sink: &Sink, seen: Seen, signal: Signal) {
    sink.event(Event::Signal { seen, signal });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        journal::{Record, sink::Line},
        lab::client::ClientError,
    };

    fn error() -> ClientError {
        ClientError::NotFound { url: "u".to_owned() }
    }

    #[test]
    fn a_failed_look_widens_the_next_interval() {
        let (sink, mut lines) = Sink::new(Clock::start());
        let mut source = Source::expected("gateway");
        let mut look = |answer, started, now| {
            source
                .heard(answer, RunTime(started), RunTime(now), &sink)
                .map(|((), seen)| (seen.not_before.0, seen.by.0))
        };
        assert_eq!(look(Ok(()), 10, 12), Some((0, 12)));
        assert_eq!(look(Ok(()), 20, 21), Some((10, 21)));
        assert_eq!(look(Err(error()), 30, 33), None);
        assert_eq!(look(Err(error()), 40, 43), None);
        assert_eq!(look(Ok(()), 50, 51), Some((20, 51)));
        let mut ups = Vec::new();
        while let Ok(Line::Event(Record { event, .. })) = lines.try_recv() {
            if let Event::Signal { signal: Signal::Source { up, .. }, .. } = event {
                ups.push(up);
            }
        }
        assert_eq!(ups, [false, true]);
    }

    #[test]
    fn one_that_is_still_starting_is_not_down() {
        let (sink, mut lines) = Sink::new(Clock::start());
        let mut source = Source::new("replica-0");
        for answer in [Err(error()), Ok(()), Ok(())] {
            source.heard(answer, RunTime(1), RunTime(2), &sink);
        }
        assert!(lines.try_recv().is_err());
        source.heard(Err::<(), _>(error()), RunTime(3), RunTime(4), &sink);
        assert!(lines.try_recv().is_ok());
    }
}
