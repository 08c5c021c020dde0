// What hyper, which is not ours, reads of the same answer in the same pieces.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures::{
    executor::block_on,
    future::{Either, select},
};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::{
    client::conn::http1::Builder,
    rt::{Read, ReadBufCursor, Write},
};

/// Its status and body; an error where it is cut or is no answer.
pub(crate) fn read(pieces: &[&[u8]], most_headers: usize) -> hyper::Result<(u16, Vec<u8>)> {
    let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect::<Vec<_>>();
    let io = Answered { pieces: pieces.into_iter(), left: Bytes::new(), asked: false, waits: None };
    block_on(async {
        let (mut sender, connection) = Builder::new().max_headers(most_headers).handshake(io).await?;
        let ask = async {
            let answer = sender.send_request(Request::new(Empty::<Bytes>::new())).await?;
            let status = answer.status().as_u16();
            Ok((status, answer.into_body().collect().await?.to_bytes().to_vec()))
        };
        match select(std::pin::pin!(ask), std::pin::pin!(connection)).await {
            Either::Left((answer, _)) => answer,
            Either::Right((_, ask)) => ask.await,
        }
    })
}

/// A server that answers in pieces once it is asked, and then closes.
struct Answered {
    pieces: std::vec::IntoIter<Bytes>,
    left: Bytes,
    asked: bool,
    waits: Option<Waker>,
}

impl Read for Answered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked {
            self.waits = Some(cx.waker().clone());
            return Poll::Pending;
        }
        while self.left.is_empty() {
            match self.pieces.next() {
                Some(piece) => self.left = piece,
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.left.len().min(room.remaining());
        room.put_slice(&self.left.split_to(len));
        Poll::Ready(Ok(()))
    }
}

impl Write for Answered {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, sent: &[u8]) -> Poll<io::Result<usize>> {
        self.asked = true;
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
        Poll::Ready(Ok(sent.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
