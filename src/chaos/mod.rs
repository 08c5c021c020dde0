//! Faults: inject, prove, recover.

pub mod proxy;
