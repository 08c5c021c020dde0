//! Drills on a real cluster: what is broken is broken there, and nothing is
//! left of it. The cluster is the one of `KUBECONFIG`; each test has a
//! namespace of its own.
//!
//! The image of the service under test, `server.rs`, is loaded by the program
//! that `FIREDRILL_TEST_IMAGE` names: it is called with the image's name and
//! the binary (`ctr images import`, `kind load`, …).

mod argo_cd;
mod autoscaling;
mod controllers;
mod drills;
mod flagger_as_copied;
mod gitops;
mod kills;
mod outages;
mod probes;
mod proxied;
mod rbac;
mod rig;
mod rollouts;
mod selectors;
mod signals;
mod snapshot;
mod stress;
mod tools;
