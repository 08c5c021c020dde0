//! The HTTP/2 connection of a load stream: opened when it is needed, shared by
//! all calls, and opened anew when it broke.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex;

use crate::load::{classify::End, connection::Base};

/// Bytes that may be under way before they are acknowledged; tensors are large.
const WINDOW: u32 = 4 << 20;
/// A connection that is silent for this long is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The connection, if it is open. One is enough: calls are streams of it.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    open: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Channel {
    /// A sender on the open connection, or on a new one. Whoever comes while
    /// it is being opened waits for it.
    pub(crate) async fn sender(&self, base: &Base, limit: Duration) -> Result<SendRequest<Full<Bytes>>, End> {
        let mut open = self.open.lock().await;
        if let Some(sender) = open.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = base.connect(limit).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .keep_alive_interval(KEEP_ALIVE)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        // It ends with the last call, once no sender is left; its errors come
        // out of the calls, too.
        tokio::spawn(async move { drop(connection.await) });
        *open = Some(sender.clone());
        Ok(sender)
    }
}

/// What an error of the connection, or of one stream of it, means.
pub(super) fn broken(error: &hyper::Error) -> End {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut text = error.to_string();
    while let Some(cause) = source {
        text = cause.to_string();
        if let Some(h2) = cause.downcast_ref::<h2::Error>() {
            let Some(reason) = h2.reason() else { break };
            return match reason {
                // The server did not begin to work on it.
                h2::Reason::REFUSED_STREAM if h2.is_remote() => {
                    End::Reset("the server refused the stream".to_owned())
                }
                h2::Reason::PROTOCOL_ERROR
                | h2::Reason::FRAME_SIZE_ERROR
                | h2::Reason::COMPRESSION_ERROR
                | h2::Reason::FLOW_CONTROL_ERROR
                    if !h2.is_remote() =>
                {
                    End::Malformed(format!("not HTTP/2: {h2}"))
                }
                _ => End::Reset(h2.to_string()),
            };
        }
        source = cause.source();
    }
    End::Reset(text)
}
