//! What an error of a connection means.

use std::{error::Error, io};

use crate::load::classify::End;

/// All causes of an error, itself first. An `io::Error` hides the one in it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| cause(error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref::<E>())
}

/// Whether an error of HTTP/2 says that the request was not looked at: it may
/// be sent again, whatever it asks for (RFC 9113, 8.7).
pub(super) fn is_unprocessed(error: &(dyn Error + 'static)) -> bool {
    find::<h2::Error>(error).is_some_and(|error| {
        error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

/// How an alert of TLS reads.
const ALERT: &str = "received fatal alert";

/// An error before the head of an answer. An alert of TLS then is the end of
/// the handshake: with TLS 1.3 the client learns last that it is refused.
pub(super) fn before_head(error: &(dyn Error + 'static)) -> End {
    if let Some(alert @ rustls::Error::AlertReceived(_)) = find(error) {
        return End::ConnectRefused(format!("TLS: {alert}"));
    }
    match ended(error) {
        // HTTP/2's errors keep the words alone.
        End::Malformed(why) if why.contains(ALERT) => {
            let words = why.find(ALERT).map_or("", |at| &why[at..]);
            End::ConnectRefused(format!("TLS: {words}"))
        }
        end => end,
    }
}

/// What an error of the connection means. An early end of the body is told
/// apart from a connection that broke.
pub(super) fn ended(error: &(dyn Error + 'static)) -> End {
    if let Some(tls) = find::<rustls::Error>(error) {
        return End::Reset(format!("TLS: {tls}"));
    }
    let text = causes(error).last().map_or_else(String::new, ToString::to_string);
    let io = find::<io::Error>(error).map(io::Error::kind);
    if let Some(h2) = find::<h2::Error>(error) {
        return http2(h2, io);
    }
    match io {
        // TLS without its own end.
        Some(io::ErrorKind::UnexpectedEof) => End::Cut(format!("the body ended early: {text}")),
        Some(_) | None => End::Reset(text),
    }
}

fn http2(error: &h2::Error, io: Option<io::ErrorKind>) -> End {
    let reason = error.reason().map_or_else(String::new, |reason| format!("{reason:?}"));
    match io.or_else(|| error.get_io().map(io::Error::kind)) {
        // The library's word for a stream without END_STREAM.
        Some(io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => {
            End::Cut("the connection was closed before the stream's end".to_owned())
        }
        Some(_) => End::Reset(error.to_string()),
        None if error.is_go_away() && error.is_remote() => End::Reset(format!("GOAWAY {reason}")),
        None if error.is_reset() && error.is_remote() => End::Reset(format!("RST_STREAM {reason}")),
        // Ours: the server broke the protocol.
        None if error.reason() == Some(h2::Reason::PROTOCOL_ERROR)
            || error.reason() == Some(h2::Reason::FRAME_SIZE_ERROR)
            || error.reason() == Some(h2::Reason::COMPRESSION_ERROR) =>
        {
            End::Malformed(format!("not HTTP/2: {error}"))
        }
        None => End::Reset(error.to_string()),
    }
}
