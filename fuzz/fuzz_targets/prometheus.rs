//! No text makes the reader of expositions panic, and what it read reads the
//! same once written.

#![no_main]

use firedrill::observe::prometheus::Exposition;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for sample in Exposition::parse(text).samples {
        let again = Exposition::parse(&sample.to_string());
        // NaN is not itself.
        let [read] = again.samples.as_slice() else { panic!("{sample} is not read back") };
        assert_eq!((&read.name, &read.labels), (&sample.name, &sample.labels));
        assert!(read.value == sample.value || sample.value.is_nan());
    }
});
