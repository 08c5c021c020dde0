//! Tests of the faults, and of the watchers that see what they do.

mod faults;
mod proxy;
mod rig;
mod watch;
mod whole;
