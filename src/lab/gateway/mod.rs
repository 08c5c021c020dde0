//! The lab's gateway: circuit breakers, retries, cache, fallback, shedding
//! and canary weights in front of the replicas, each as it should be or with
//! a defect found in life.
//!
//! `proxy` leads a request through `lookup` (`cache`, `coalesce`), `shed` and
//! `forward` (`fleet`, `breaker`, `budget`, `attempt`, `fallback`) to the
//! body that `relay` passes on. On a cluster, `discovery` finds the upstreams,
//! and `roster` tells which is which.

mod admin;
mod answer;
mod asked;
mod attempt;
mod breaker;
mod budget;
mod cache;
mod coalesce;
mod discovery;
mod fallback;
mod fleet;
mod forward;
mod lookup;
mod metrics;
mod proxy;
mod relay;
mod roster;
mod shed;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use axum::serve::ListenerExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{
    api::{GatewayProcessConfig, Listening},
    config::GatewayConfig,
    kubernetes::{
        PodError, ending,
        environment::{self, Serving},
    },
};
use crate::process::{self, ProcessError};

/// Idle connections to one upstream that are kept.
const IDLE_CONNECTIONS: usize = 128;
/// For how long.
const KEEP_IDLE: Duration = Duration::from_secs(30);
/// Keeps the cache's draws apart from the routing's.
const CACHE_STREAM: u64 = 0x63_61_63_68_65;

/// What the gateway's requests share.
#[derive(Debug)]
struct Gateway {
    config: GatewayConfig,
    fleet: fleet::Fleet,
    client: attempt::HttpClient,
    cache: Option<Arc<cache::ResponseCache>>,
    coalescing: Arc<coalesce::Coalescing>,
    limits: shed::Limits,
    budget: Mutex<budget::RetryBudget>,
    metrics: Arc<metrics::Metrics>,
    chance: Mutex<ChaCha8Rng>,
    /// The second zone has served.
    failed_over: AtomicBool,
    /// Defect `never-settles`: an attempt failed once.
    unsettled: AtomicBool,
}

impl Gateway {
    fn new(config: GatewayConfig, seed: u64) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        let cache = cache::ResponseCache::new(config.cache, config.cache_ttl.0, seed ^ CACHE_STREAM);
        Self {
            fleet: fleet::Fleet::new(config.breaker, config.breaker_open_for.0),
            client,
            cache: cache.map(Arc::new),
            coalescing: Arc::default(),
            limits: shed::Limits::new(&config),
            budget: Mutex::new(budget::RetryBudget::full()),
            metrics: Arc::default(),
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            failed_over: AtomicBool::new(false),
            unsettled: AtomicBool::new(false),
            config,
        }
    }
}

/// Runs the gateway of a pod, until SIGTERM. It finds its upstreams by itself.
pub async fn serve_in_pod() -> Result<(), PodError> {
    super::log_to_stderr();
    let Serving { config, port, drain } = environment::gateway(&environment::variables())?;
    let discovery = discovery::Discovery::new(&config)?;
    let gateway = Arc::new(Gateway::new(config.gateway, config.seed));
    let _found = AbortOnDropHandle::new(tokio::spawn(discovery.run(Arc::clone(&gateway))));
    ending::serve(port, drain, admin::in_pod(gateway)).await
}

/// Runs the gateway until its parent is gone.
pub async fn serve() -> Result<(), ProcessError> {
    super::log_to_stderr();
    let (config, parent_gone) = process::lifeline::<GatewayProcessConfig>()?;
    let io = |source| ProcessError::Io { command: super::api::command::GATEWAY.to_owned(), source };
    let address = (Ipv4Addr::LOCALHOST, config.port.unwrap_or(0));
    let listener = TcpListener::bind(address).await.map_err(io)?;
    let listening = listener.local_addr().map_err(io)?;
    let gateway = Arc::new(Gateway::new(config.gateway, config.seed));
    // Chunks are small and must not wait for each other.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let server = axum::serve(listener, admin::router(gateway));
    process::ready(&Listening { listening })?;
    tokio::select! {
        served = async { server.await } => served.map_err(io),
        _ = parent_gone => Ok(()),
    }
}
