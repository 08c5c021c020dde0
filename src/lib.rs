//! Firedrill: fire drills for inference services.
//!
//! scenario → plan → run {load, chaos, observe} → journal → verdict → report.
//! ARCHITECTURE.md tells what each module is and must not know.

mod api_client;
pub mod chaos;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod journal;
pub mod kserve;
pub mod lab;
pub mod load;
pub mod observe;
pub mod plan;
pub mod process;
pub mod report;
pub mod run;
pub mod scenario;
pub mod stress;
pub mod units;
pub mod verdict;
