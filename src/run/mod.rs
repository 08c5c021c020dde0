//! The supervisor: preflight, clock, phases, stop conditions, recovery on
//! every way out.

pub mod environment;
pub mod interrupt;
pub mod stop;
pub mod ui;
