//! The supervisor: clock, phases, stop conditions, recovery on every way out.
