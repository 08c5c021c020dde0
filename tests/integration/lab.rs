//! Tests of the lab's processes.

mod controller;
pub(crate) mod kubernetes;
mod replica;
mod whole;

use std::time::{Duration, Instant};

/// Waits until `check` holds; fails if it doesn't within a deadline.
async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !check().await {
        assert!(Instant::now() < deadline, "not within 60 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
