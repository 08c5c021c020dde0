//! Journal → verdict. Pure: no I/O, no clock.

pub mod model;
