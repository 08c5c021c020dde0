//! No text makes the reader of scenarios panic, nor the writer of what was
//! wrong with it, nor the planner.

#![no_main]

use std::path::Path;

use firedrill::scenario;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let nothing = |name: &str| Err(format!("no `{name}` here"));
    match scenario::parse(text, Path::new("fuzz.yaml"), &[], &nothing) {
        Ok(loaded) => drop(format!("{:?}", loaded.warnings)),
        Err(diagnostics) => drop(diagnostics.to_string()),
    }
});
