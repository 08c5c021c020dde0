//! Tests of the lab's processes.

mod replica;
