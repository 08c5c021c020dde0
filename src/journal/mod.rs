//! The on-disk record of a run, the only thing that passes from running to
//! judging.

pub mod distribution;
pub mod event;
pub mod interval;
pub mod record;
pub mod sink;

pub use distribution::Distribution;
pub use event::{Event, Record};
pub use interval::{Cell, CellKey, Interval};
pub use record::RunRecord;
pub use sink::Sink;
