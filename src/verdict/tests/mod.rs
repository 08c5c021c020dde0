//! Every rule: what passes, what fails, what can't be said.

mod alert;
mod anomalies;
mod breaker;
mod budget;
mod cache;
mod capacity;
mod failover;
mod fallback;
mod load;
mod metric;
mod mitigations;
mod pods;
mod probing;
mod properties;
mod reactions;
mod recovery;
mod rollback;
mod run;
mod serving;
mod states;
mod totality;
mod users;
