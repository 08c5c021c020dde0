//! Tests of the whole, with real processes.

mod arrivals;
mod chaos;
mod defects;
mod gateway;
mod lab;
mod load;
mod openai;
mod run;
mod support;
