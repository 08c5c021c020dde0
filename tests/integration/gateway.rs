//! Tests of the gateway: a real process before upstreams that do as the test
//! commands.

mod rig;
mod stub;

mod forwarding;
