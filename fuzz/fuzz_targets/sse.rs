//! Our parser of event streams against an independent one, on the same bytes
//! in the same pieces. The first byte says how they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../differential.rs"]
mod differential;
// Alone: it needs nothing else, and so builds in seconds.
#[path = "../../src/load/sse.rs"]
mod sse;

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else { return };
    let pieces: Vec<&[u8]> = match usize::from(*size) {
        0 => vec![stream],
        size => stream.chunks(size).collect(),
    };
    let ours = events(&pieces);
    assert_eq!(ours, events(&[stream]), "however it is cut");
    if let Err(why) = differential::agree(&pieces, &ours) {
        panic!("{why}");
    }
});

/// The events in `pieces`, and whether the rest was refused.
fn events(pieces: &[&[u8]]) -> (Vec<(String, String)>, bool) {
    let (mut parser, mut events) = (sse::Parser::default(), Vec::new());
    let fed = pieces.iter().try_for_each(|piece| {
        parser.feed(piece, |name, data| events.push((name.to_owned(), data.to_owned())))
    });
    // How it ends is ours alone, but must not panic.
    let _ = parser.finish(|_, _| ());
    let _ = parser.foreign();
    (events, fed.is_err())
}
