//! Tests of the gateway: a real process before upstreams that do as the test
//! commands.

mod rig;
mod stub;

mod balancing;
mod breakers;
mod caching;
mod degrading;
mod forwarding;
mod real;
