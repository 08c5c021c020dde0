//! The real servers, each started on free ports and ready when returned.

mod fronts;
mod models;
mod monitors;
mod registry;

use std::{
    env,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub(crate) use self::{
    fronts::{
        envoy, haproxy, haproxy_of_zones, nginx, nginx_with, origin, origin_of_versions, origin_that_does,
        redis, redis_filler, redis_tools, redis_with, resilience4j, store_by_haproxy, traefik, varnish,
        varnish_instance, way,
    },
    models::{
        LITELLM_KEY, litellm, litellm_before, litellm_cached, litellm_of_two, llama, llama_with, mlserver,
        triton,
    },
    monitors::{alertmanager, alertmanager_with, prometheus, prometheus_telling},
    registry::{mlflow, mlflow_app},
};
use super::child::{Child, loopback};
use crate::support::Folder;

/// Python programs on a busy machine take their time.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Real {
    /// `http://127.0.0.1:PORT`, without a path.
    pub(crate) url: String,
    /// Its gRPC port, where it has one.
    pub(crate) grpc: Option<SocketAddr>,
    /// Its second port: an admin API, metrics.
    pub(crate) beside: u16,
    // In this order: the process goes first, then its folder.
    _child: Child,
    _folder: Folder,
    _behind: Option<Box<Real>>,
}

impl Real {
    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

/// How a server is started.
#[derive(Default)]
struct Start {
    command: Vec<String>,
    env: Vec<(&'static str, String)>,
    port: u16,
    grpc: Option<u16>,
    beside: u16,
    /// Answers 200 once all is ready. Empty: it is, once it listens.
    ready: &'static str,
}

/// Where `scripts/real-servers` put a server.
fn home(name: &str) -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let home = cache.expect("HOME is set").join("firedrill/real").join(name);
    assert!(home.join("installed").exists(), "{name} is not there: run `scripts/real-servers {name}` first");
    home
}

fn program(home: &Path, name: &str) -> String {
    home.join(name).display().to_string()
}

/// Where the libraries of an unpacked Debian package are.
fn libraries(home: &Path) -> (&'static str, String) {
    ("LD_LIBRARY_PATH", program(home, &format!("usr/lib/{}-linux-gnu", env::consts::ARCH)))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Starts a server and waits until it is ready. Another program may have
/// taken the port meanwhile: then it is tried again on another one.
fn start(how: impl Fn(&Path) -> Start) -> Real {
    let mut last_words = String::new();
    for _ in 0..3 {
        let folder = Folder::new();
        let Start { command, env, port, grpc, beside, ready } = how(folder.path());
        let mut child = Child::spawn(&command, &env, &folder.path().join("log"));
        let given_up = Instant::now() + READY_WITHIN;
        while !child.has_ended() {
            if is_ready(loopback(port), ready) {
                return Real {
                    url: format!("http://127.0.0.1:{port}"),
                    grpc: grpc.map(loopback),
                    beside,
                    _child: child,
                    _folder: folder,
                    _behind: None,
                };
            }
            assert!(Instant::now() < given_up, "{command:?} is not ready:\n{}", child.last_words());
            std::thread::sleep(Duration::from_millis(50));
        }
        last_words = child.last_words();
    }
    panic!("it ended first, three times:\n{last_words}");
}

/// Whether `GET path` is answered with 200.
fn is_ready(address: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        if path.is_empty() {
            return Ok(true);
        }
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
