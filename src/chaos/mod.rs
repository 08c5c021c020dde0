//! Faults: written down, injected, proven, recovered.
//!
//! `act` takes one act of the timeline from its time to its end, over a
//! `driver` for the target; `wal` is on the disk before anything is broken,
//! and `recover` finishes from it what a dead harness left.

mod act;
mod driver;
pub mod kubernetes;
mod lab;
mod look;
pub(crate) mod outside;
mod preflight;
pub mod proxy;
mod recover;
mod undo;
pub mod wal;

pub use act::{ActEnd, ActGate, ActResult, ContextError, FaultContext, run_act};
pub use driver::{ChaosError, Driver, Order, Proof};
pub use kubernetes::KubernetesDriver;
pub use lab::{LabDriver, LabFault};
pub use outside::{NothingDriver, Outside};
pub use preflight::{PreflightProblem, preflight};
pub use proxy::ProxyDriver;
pub use recover::{RecoverReport, recover};
pub use undo::Undo;
