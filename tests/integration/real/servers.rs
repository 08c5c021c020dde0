//! The real servers, each started on free ports and ready when returned.

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::child::{Child, free_ports, loopback};
use crate::support::Folder;

/// Python programs on a busy machine take their time.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// The key that LiteLLM wants as a bearer token.
pub(crate) const LITELLM_KEY: &str = "sk-drill";

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Real {
    /// `http://127.0.0.1:PORT`, without a path.
    pub(crate) url: String,
    /// Its gRPC port, where it has one.
    pub(crate) grpc: Option<SocketAddr>,
    // In this order: the process goes first, then its folder.
    _child: Child,
    _folder: Folder,
    _behind: Option<Box<Real>>,
}

/// How a server is started.
struct Start {
    command: Vec<String>,
    env: Vec<(&'static str, String)>,
    port: u16,
    grpc: Option<u16>,
    /// Answers 200 once all is ready.
    ready: &'static str,
}

/// llama.cpp's server with a tiny model, `tiny`: 256 tokens of context for
/// each of two slots.
pub(crate) fn llama() -> Real {
    llama_with("-c 512")
}

/// The same with arguments of its own.
pub(crate) fn llama_with(arguments: &str) -> Real {
    let home = home("llama");
    start(|_| {
        let [port] = free_ports();
        let mut command = vec![program(&home, "bin/llama-server-vulkan")];
        command.extend(words(&format!("-m {}/tiny.gguf --host 127.0.0.1 --port {port}", home.display())));
        command.extend(words(arguments));
        command.extend(words("-np 2 -t 1 --metrics --slots -a tiny --no-webui -ngl 0 --device none"));
        Start { command, env: Vec::new(), port, grpc: None, ready: "/health" }
    })
}

/// MLServer with the model `iris` (four features, three classes).
pub(crate) fn mlserver() -> Real {
    let home = home("mlserver");
    start(|_| {
        let [port, grpc, metrics] = free_ports();
        Start {
            command: vec![program(&home, "bin/mlserver"), "start".into(), program(&home, "models")],
            env: vec![
                ("MLSERVER_HOST", "127.0.0.1".into()),
                ("MLSERVER_HTTP_PORT", port.to_string()),
                ("MLSERVER_GRPC_PORT", grpc.to_string()),
                ("MLSERVER_METRICS_PORT", metrics.to_string()),
            ],
            port,
            grpc: Some(grpc),
            ready: "/v2/models/iris/ready",
        }
    })
}

/// Triton with the model `image` (`pixels` [3, 8, 8] → `scores` [4], FP32,
/// in batches of 16 at most).
pub(crate) fn triton() -> Real {
    let home = home("triton");
    start(|folder| {
        let [port, grpc, metrics] = free_ports();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/triton.py");
        let mut command = vec![program(&home, "bin/python"), script.into()];
        command.extend([port, grpc, metrics].map(|port| port.to_string()));
        Start {
            command,
            // Its workspaces lie in its home, and go with the test.
            env: vec![("HOME", folder.display().to_string())],
            port,
            grpc: Some(grpc),
            ready: "/v2/models/image/ready",
        }
    })
}

/// LiteLLM with [`LITELLM_KEY`] in front of [`llama`]; the model is `tiny`.
pub(crate) fn litellm() -> Real {
    let home = home("litellm");
    let behind = llama();
    let mut real = start(|folder| {
        let [port] = free_ports();
        let config = folder.join("litellm.yaml");
        // llama.cpp closes connections after 5 s or 100 requests, and what
        // LiteLLM then sends on one of them fails: it has to try again.
        let text = format!(
            "model_list:\n  - model_name: tiny\n    litellm_params:\n      model: openai/tiny\n      api_base: {}/v1\n      \
             api_key: none\nrouter_settings: {{ num_retries: 3 }}\nlitellm_settings: {{ telemetry: false, drop_params: false }}\n",
            behind.url
        );
        fs::write(&config, text).expect("the configuration is written");
        let mut command = vec![program(&home, "bin/litellm")];
        command.extend(words(&format!("--host 127.0.0.1 --port {port} --telemetry False --config")));
        command.push(config.display().to_string());
        let env = vec![
            ("LITELLM_MASTER_KEY", LITELLM_KEY.to_owned()),
            ("LITELLM_LOCAL_MODEL_COST_MAP", "True".to_owned()),
        ];
        Start { command, env, port, grpc: None, ready: "/health/readiness" }
    });
    real._behind = Some(Box::new(behind));
    real
}

/// nginx with `locations` in its one server, beside `/healthz`.
pub(crate) fn nginx(locations: &str) -> Real {
    let home = home("nginx");
    start(|folder| {
        let [port] = free_ports();
        let config = folder.join("nginx.conf");
        let here = folder.display();
        // One process, without rights that it does not need.
        let text = format!(
            "daemon off;\nmaster_process off;\npid {here}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n  \
             client_body_temp_path {here}/body;\n  proxy_temp_path {here}/proxy;\n  fastcgi_temp_path {here}/fastcgi;\n  \
             uwsgi_temp_path {here}/uwsgi;\n  scgi_temp_path {here}/scgi;\n  server {{\n    listen 127.0.0.1:{port};\n    \
             location = /healthz {{ return 200; }}\n{locations}\n  }}\n}}\n"
        );
        fs::write(&config, text).expect("the configuration is written");
        let mut command = vec![program(&home, "usr/sbin/nginx")];
        command.extend(words(&format!("-p {here} -c {} -e stderr", config.display())));
        Start { command, env: Vec::new(), port, grpc: None, ready: "/healthz" }
    })
}

/// HAProxy before an upstream on loopback, whose server is set up as `server`
/// says. It is its own origin as well, at the second port; the third has its
/// metrics.
pub(crate) fn haproxy(upstream: u16, origin: u16, server: &str) -> (Real, u16) {
    let home = home("haproxy");
    let [metrics] = free_ports();
    let real = start(|folder| {
        let [port] = free_ports();
        let config = folder.join("haproxy.cfg");
        let text = format!(
            "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 500ms\n  timeout client 5s\n  timeout server 2s\n\
             frontend front\n  bind 127.0.0.1:{port}\n  http-request return status 200 if {{ path /healthz }}\n  default_backend llm\n\
             backend llm\n  option httpchk GET /\n  retries 0\n  server s1 127.0.0.1:{upstream} {server}\n\
             frontend origin\n  bind 127.0.0.1:{origin}\n  http-request return status 200 content-type application/json string {{}}\n\
             frontend metrics\n  bind 127.0.0.1:{metrics}\n  http-request use-service prometheus-exporter if {{ path /metrics }}\n"
        );
        fs::write(&config, text).expect("the configuration is written");
        let mut command = vec![program(&home, "usr/sbin/haproxy")];
        command.extend(words(&format!("-db -f {}", config.display())));
        let libraries = format!("usr/lib/{}-linux-gnu", env::consts::ARCH);
        let env = vec![("LD_LIBRARY_PATH", program(&home, &libraries))];
        Start { command, env, port, grpc: None, ready: "/healthz" }
    });
    (real, metrics)
}

/// Envoy before an upstream on loopback, with this outlier detection (YAML), or
/// none; the second port has its admin API.
pub(crate) fn envoy(upstream: u16, outliers: &str) -> (Real, u16) {
    let home = home("envoy");
    let [admin] = free_ports();
    let address = |port: u16| format!("{{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}");
    let real = start(|folder| {
        let [port] = free_ports();
        let config = folder.join("envoy.yaml");
        let router = "{ name: envoy.filters.http.router, typed_config: { \"@type\": \
                      type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }";
        let healthy = "{ match: { path: /healthz }, direct_response: { status: 200 } }";
        let text = format!(
            "admin: {{ address: {} }}\nstatic_resources:\n  listeners:\n  - address: {}\n    filter_chains:\n    - filters:\n      \
             - name: envoy.filters.network.http_connection_manager\n        typed_config:\n          \
             \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n          \
             stat_prefix: front\n          http_filters: [{router}]\n          route_config:\n            virtual_hosts:\n            \
             - {{ name: all, domains: [\"*\"], routes: [{healthy}, {{ match: {{ prefix: / }}, route: {{ cluster: llm, timeout: 2s }} }}] }}\n  \
             clusters:\n  - name: llm\n    connect_timeout: 0.5s\n    type: STATIC\n    common_lb_config: {{ healthy_panic_threshold: {{ value: 0 }} }}\n    \
             load_assignment: {{ cluster_name: llm, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {} }} }}] }}] }}\n{outliers}\n",
            address(admin),
            address(port),
            address(upstream)
        );
        fs::write(&config, text).expect("the configuration is written");
        let mut command = vec![program(&home, "bin/envoy")];
        let id = port % 1000;
        command.extend(words(&format!("-c {} --concurrency 1 --base-id {id} -l warning", config.display())));
        Start { command, env: Vec::new(), port, grpc: None, ready: "/healthz" }
    });
    (real, admin)
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

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Starts a server and waits until it is ready. Another program may have
/// taken the port meanwhile: then it is tried again on another one.
fn start(how: impl Fn(&Path) -> Start) -> Real {
    let mut last_words = String::new();
    for _ in 0..3 {
        let folder = Folder::new();
        let Start { command, env, port, grpc, ready } = how(folder.path());
        let mut child = Child::spawn(&command, &env, &folder.path().join("log"));
        let given_up = Instant::now() + READY_WITHIN;
        while !child.has_ended() {
            if is_ready(loopback(port), ready) {
                return Real {
                    url: format!("http://127.0.0.1:{port}"),
                    grpc: grpc.map(loopback),
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
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
