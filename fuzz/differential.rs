// What `sse-stream`, which is not ours, reads from the same bytes.

use bytes::Bytes;
use futures::{StreamExt, executor::block_on, stream};
use sse_stream::SseByteStream;

/// Events as name and data.
type Events = Vec<(String, String)>;

/// Compares what we read with what it reads. The standard leaves no room, but
/// for this, where we differ on purpose:
/// - it tells of blocks without data, which are no events: left out here;
/// - it refuses what is not UTF-8 in every field, we only in what we hand on,
///   and a line of damaged data at once, we at the end of the event: so there
///   only the events before the damage are compared.
pub(crate) fn agree(pieces: &[&[u8]], (ours, refused): &(Events, bool)) -> Result<(), String> {
    let (theirs, damaged) = theirs(pieces);
    let same = if damaged { ours.starts_with(&theirs) } else { *ours == theirs && !refused };
    let valid = std::str::from_utf8(&pieces.concat()).is_ok();
    if same && !(valid && damaged) {
        return Ok(());
    }
    Err(format!("ours {ours:?}, refused: {refused}\ntheirs {theirs:?}, refused: {damaged}"))
}

fn theirs(pieces: &[&[u8]]) -> (Events, bool) {
    let pieces = pieces.iter().map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)));
    let blocks: Vec<_> = block_on(SseByteStream::new(stream::iter(pieces)).collect());
    let damaged = blocks.iter().any(Result::is_err);
    let events = blocks.into_iter().filter_map(Result::ok);
    let events = events.filter_map(|block| Some((block.event.unwrap_or_default(), block.data?)));
    (events.collect(), damaged)
}
