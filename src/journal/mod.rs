//! The on-disk record of a run, the only thing that passes from running to
//! judging.

pub mod distribution;
pub mod event;
pub mod features;
pub mod folder;
pub mod interval;
pub mod reader;
pub mod record;
pub mod sink;
pub mod writer;

pub use distribution::Distribution;
pub use event::{Event, Record};
pub use features::{Feature, Features};
pub use folder::RunFolder;
pub use interval::{Cell, CellKey, Interval};
pub use record::RunRecord;
pub use sink::Sink;
