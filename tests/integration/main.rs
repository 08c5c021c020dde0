//! Tests of the whole, with real processes.

mod arrivals;
mod chaos;
mod defects;
mod drill;
mod gateway;
mod kubernetes;
mod lab;
mod load;
mod openai;
mod real;
mod run;
mod support;
mod truth;
