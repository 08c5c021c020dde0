//! Tests of the whole, with real processes.

mod chaos;
mod gateway;
mod lab;
mod load;
mod run;
mod support;
