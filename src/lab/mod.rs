//! The built-in target: simulated GPU replicas, a gateway, a rollout
//! controller, each its own process on loopback.

pub mod api;
pub mod client;
pub mod config;
pub mod controller;
pub mod gateway;
pub mod golden;
pub mod replica;
