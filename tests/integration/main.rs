//! Tests of the whole, with real processes.

mod chaos;
mod defects;
mod drill;
mod gateway;
mod lab;
mod load;
mod real;
mod run;
mod support;
