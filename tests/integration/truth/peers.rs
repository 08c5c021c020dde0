//! The same server for other programs: `benches/peers/outcomes` starts it.

use super::{cases, wire::Wire};

/// Serves all cases at `FIREDRILL_MISBEHAVE` (an address) until it is ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a server for benches/peers/outcomes"]
async fn misbehave() {
    let Some(address) = std::env::var_os("FIREDRILL_MISBEHAVE") else { return };
    let address = address.to_string_lossy().parse().expect("an address");
    Wire::start_at(address, cases()).await.serve_forever().await;
}
