//! Our parser of event streams against an independent one, on the same bytes
//! in the same pieces. The first byte says how they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../differential.rs"]
mod differential;

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else { return };
    let pieces: Vec<&[u8]> = match usize::from(*size) {
        0 => vec![stream],
        size => stream.chunks(size).collect(),
    };
    let ours = firedrill::fuzzing::sse_events(&pieces);
    assert_eq!(ours, firedrill::fuzzing::sse_events(&[stream]), "however it is cut");
    if let Err(why) = differential::agree(&pieces, &ours) {
        panic!("{why}");
    }
});
