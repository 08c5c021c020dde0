//! Goose users, executors, protocols, outcome classification.
