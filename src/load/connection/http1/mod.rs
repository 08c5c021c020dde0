//! A connection of HTTP/1, driven by who uses it and by nobody else. Written
//! on sockets, not on a client, so that how an answer ended is seen where it
//! ends: a body that is cut, a reset and a close between two requests are
//! different things.

mod framing;
mod head;

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::framing::{Framing, Step};
use super::{Head, dial::Stream, ended, outgoing::Outgoing, wire::Failed};
use crate::load::classify::End;

/// Room for a read, at first.
const SMALL: usize = 2 << 10;
/// Room for a read where answers are long.
const LARGE: usize = 64 << 10;

/// A connection.
#[derive(Debug)]
pub(super) struct Http1 {
    stream: Stream,
    /// What is being sent, and how much of it is.
    output: Vec<u8>,
    written: usize,
    /// What came; before `start` it is read, from `end` on it is room.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// What is to come of the answer that is being read.
    framing: Framing,
    /// Whether another request may follow this answer.
    keeps: bool,
}

impl Http1 {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            output: Vec::new(),
            written: 0,
            input: Vec::new(),
            start: 0,
            end: 0,
            framing: Framing::Length(0),
            keeps: true,
        }
    }

    /// Whether another request can be sent on it, as far as is known.
    pub(super) fn is_free(&self) -> bool {
        self.keeps && self.framing.is_over() && self.start == self.end && self.written == self.output.len()
    }

    /// Sends a request and waits for the head of its answer. `last`: nothing
    /// follows it.
    pub(super) async fn send(&mut self, request: &Outgoing<'_>, last: bool) -> Result<Head, Failed> {
        // The server may have closed it since, and then the request goes out on
        // another one. An answer to nothing is no better.
        let idle = std::future::poll_fn(|cx| Poll::Ready(self.poll_read(cx))).await;
        if idle.is_ready() {
            return Err(Failed::NotSent);
        }
        self.output.clear();
        self.written = 0;
        request.write(&mut self.output, last);
        self.keeps = !last;
        let bodiless = request.is_head();
        std::future::poll_fn(|cx| self.poll_head(cx, bodiless)).await
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, bodiless: bool) -> Poll<Result<Head, Failed>> {
        let wrote = self.poll_write(cx);
        if let (Poll::Ready(Err(_)), 0) = (&wrote, self.written) {
            return Poll::Ready(Err(Failed::NotSent));
        }
        loop {
            // Some servers answer before they have read all of it.
            match head::parse(&self.input[self.start..self.end], bodiless) {
                Ok(Some(parsed)) => {
                    self.start += parsed.len;
                    self.framing = parsed.framing;
                    self.keeps &= parsed.keeps;
                    return Poll::Ready(Ok(parsed.head));
                }
                Ok(None) => {}
                Err(why) => {
                    return Poll::Ready(Err(Failed::Broken(End::Malformed(format!("not HTTP: {why}")))));
                }
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) => {
                    let why = "the connection was closed before the answer's end";
                    return Poll::Ready(Err(Failed::Broken(End::Cut(why.to_owned()))));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Failed::Broken(ended::before_head(&error)))),
            }
        }
    }

    /// Where in the input the next bytes of the answer's body are. None: it is
    /// over.
    pub(super) async fn body(&mut self) -> Result<Option<Range<usize>>, End> {
        std::future::poll_fn(|cx| self.poll_body(cx)).await
    }

    /// A piece of the input, until more is read.
    pub(super) fn input(&self, range: Range<usize>) -> &[u8] {
        &self.input[range]
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Range<usize>>, End>> {
        loop {
            let step = self.framing.step(&self.input[self.start..self.end]);
            match step.map_err(|why| End::Malformed(format!("not HTTP: {why}")))? {
                Step::Data { skip, len } => {
                    let from = self.start + skip;
                    self.start = from + len;
                    return Poll::Ready(Ok(Some(from..self.start)));
                }
                Step::Over(skip) => {
                    self.start += skip;
                    return Poll::Ready(Ok(None));
                }
                Step::More(skip) => self.start += skip,
            }
            if self.written < self.output.len()
                && let Poll::Ready(Err(_)) = self.poll_write(cx)
            {
                // It does not want the rest. What it answers counts.
                self.written = self.output.len();
                self.keeps = false;
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) if self.framing == Framing::UntilClosed => return Poll::Ready(Ok(None)),
                Ok(0) => {
                    let why = "the body ended early: the connection was closed";
                    return Poll::Ready(Err(End::Cut(why.to_owned())));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(ended::ended(&error))),
            }
        }
    }

    /// Sends what is left of the request.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => self.written += more,
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Reads once. 0: the server has closed it.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let full = self.end == self.input.len();
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // Once full, it was too small; where something is left, it still is.
        if full && (self.input.len() < LARGE || self.end == self.input.len()) {
            let room = if self.input.is_empty() { SMALL } else { 4 * self.input.len() };
            self.input.resize(room, 0);
        }
        let mut room = ReadBuf::new(&mut self.input[self.end..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        let more = room.filled().len();
        self.end += more;
        Poll::Ready(Ok(more))
    }
}

#[cfg(test)]
mod tests;
