//! What stands before a service: proxies, caches, an application with
//! Resilience4j. Each is set up as the test says.

use std::{fs, path::Path};

use super::{Real, Start, home, libraries, program, start, words};
use crate::{real::child::free_ports, support::exe};

/// Writes a template with its holes, `@name@`, filled. Where it is.
fn write(folder: &Path, name: &str, template: &str, holes: &[(&str, &dyn ToString)]) -> String {
    let text = holes.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("@{name}@"), &value.to_string())
    });
    let path = folder.join(name);
    fs::write(&path, text).expect("the configuration is written");
    path.display().to_string()
}

/// A fault proxy before `origin`, at its `address`; `beside` is its admin API.
pub(crate) fn way(origin: &Real) -> Real {
    start(|_| {
        let [port, admin] = free_ports();
        let mut command = vec![exe().display().to_string()];
        command.extend(words(&format!(
            "proxy --listen 127.0.0.1:{port} --upstream {} --admin 127.0.0.1:{admin}",
            origin.address()
        )));
        Start { command, port, beside: admin, ..Start::default() }
    })
}

/// HAProxy with these sections, which is ready once `ready` answers.
fn run_haproxy(sections: &str, upstream: &str, server: &str, ready: &'static str) -> Real {
    let home = home("haproxy");
    start(|folder| {
        let [port, metrics] = free_ports();
        let text = format!(
            "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 500ms\n  timeout client 5s\n  timeout server 2s\n\
             frontend metrics\n  bind 127.0.0.1:@metrics@\n  http-request use-service prometheus-exporter if {{ path /metrics }}\n  \
             stats enable\n  stats uri /stats\n{sections}"
        );
        let holes: [(&str, &dyn ToString); 4] =
            [("port", &port), ("metrics", &metrics), ("upstream", &upstream), ("server", &server)];
        let config = write(folder, "haproxy.cfg", &text, &holes);
        let mut command = vec![program(&home, "usr/sbin/haproxy")];
        command.extend(words(&format!("-db -f {config}")));
        Start { command, env: vec![libraries(&home)], port, beside: metrics, ready, ..Start::default() }
    })
}

/// A service that breaks nothing by itself: it answers `{"q": "…"}` with the
/// `q` of the query, as version v1, and lets caches keep that for a second.
pub(crate) fn origin() -> Real {
    let sections = r#"frontend origin
  bind 127.0.0.1:@port@
  http-request return status 200 if { path /healthz }
  http-request return status 200 content-type application/json hdr x-model-version v1 hdr cache-control max-age=1 lf-string '{"q":"%[url_param(q)]"}'
"#;
    run_haproxy(sections, "", "", "/healthz")
}

/// A service that answers as the version that it was last turned to
/// (`/turn?to=v2`), at first v1.
pub(crate) fn origin_of_versions() -> Real {
    let sections = r#"global
  set-var proc.version str(v1)
frontend origin
  bind 127.0.0.1:@port@
  http-request set-var(proc.version) url_param(to) if { path /turn }
  http-request return status 200 if { path /turn } or { path /healthz }
  http-request return status 200 content-type application/json hdr x-model-version %[var(proc.version)] lf-string '{"q":"%[url_param(q)]"}'
"#;
    run_haproxy(sections, "", "", "/healthz")
}

/// The same, if it can do so many requests a second and no more: the others wait.
pub(crate) fn origin_that_does(rate: u32) -> Real {
    let behind = origin();
    let http = format!("  limit_req_zone $server_port zone=work:1m rate={rate}r/s;");
    let work = format!("    location / {{ limit_req zone=work burst=5000; proxy_pass {}; }}", behind.url);
    let mut front = nginx_with(&http, &work);
    front._behind = Some(Box::new(behind));
    front
}

/// HAProxy before a store, to which it tries to connect four times, a second
/// apart, while its clients wait.
pub(crate) fn store_by_haproxy(store: &Real) -> Real {
    let sections = "defaults
  mode tcp
  timeout connect 1s
  timeout client 1m
  timeout server 1m
  retries 3
listen store
  bind 127.0.0.1:@port@
  server s1 @upstream@
";
    run_haproxy(sections, store.address(), "", "")
}

/// HAProxy before an upstream, whose server is set up as `server` says;
/// `beside` has its metrics and its statistics page.
pub(crate) fn haproxy(upstream: &str, server: &str) -> Real {
    let sections = "frontend front
  bind 127.0.0.1:@port@
  http-request return status 200 if { path /healthz }
  default_backend llm
backend llm
  option httpchk GET /healthz
  retries 0
  server s1 @upstream@ @server@
";
    run_haproxy(sections, upstream, server, "/healthz")
}

/// HAProxy before two zones, each with one server that is set up so, and says its
/// name on its answers; `more` is in the backend. `beside` has its metrics.
pub(crate) fn haproxy_of_zones(zones: [(&str, &str, &str); 2], more: &str) -> Real {
    let [(first, a, first_is), (second, b, second_is)] = zones;
    let sections = format!(
        "frontend front
  bind 127.0.0.1:@port@
  http-request return status 200 if {{ path /healthz }}
  http-after-response set-header x-served-by %s
  default_backend llm
backend llm
  option httpchk GET /healthz
  retries 2
  option redispatch 1
  {more}
  server {first}-0 {a} {first_is}
  server {second}-0 {b} {second_is}
"
    );
    run_haproxy(&sections, "", "", "/healthz")
}

/// nginx with `locations` in its one server, beside `/healthz`.
pub(crate) fn nginx(locations: &str) -> Real {
    nginx_with("", locations)
}

/// The same with directives before that server.
pub(crate) fn nginx_with(http: &str, locations: &str) -> Real {
    let home = home("nginx");
    start(|folder| {
        let [port] = free_ports();
        // One process, without rights that it does not need.
        let text = format!(
            "daemon off;\nmaster_process off;\npid @here@/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n  \
             client_body_temp_path @here@/body;\n  proxy_temp_path @here@/proxy;\n  fastcgi_temp_path @here@/fastcgi;\n  \
             uwsgi_temp_path @here@/uwsgi;\n  scgi_temp_path @here@/scgi;\n{http}\n  server {{\n    listen 127.0.0.1:@port@;\n    \
             location = /healthz {{ return 200; }}\n{locations}\n  }}\n}}\n"
        );
        let config = write(folder, "nginx.conf", &text, &[("port", &port), ("here", &folder.display())]);
        let mut command = vec![program(&home, "usr/sbin/nginx")];
        command.extend(words(&format!("-p {} -c {config} -e stderr", folder.display())));
        Start { command, port, ready: "/healthz", ..Start::default() }
    })
}

/// Envoy before an upstream. `cluster` and `route` are YAML in its cluster and
/// in its route's action, `filters` come before its router; `beside` is its
/// admin API.
pub(crate) fn envoy(upstream: &str, cluster: &str, route: &str, filters: &str) -> Real {
    let home = home("envoy");
    let template = r#"
admin: { address: { socket_address: { address: 127.0.0.1, port_value: @admin@ } } }
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: @port@ } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          http_filters:
          @filters@
          - { name: envoy.filters.http.router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              include_attempt_count_in_response: true
              routes:
              - { match: { path: /healthz }, direct_response: { status: 200 } }
              - { match: { prefix: / }, route: { cluster: llm, timeout: 2s, @route@ } }
  clusters:
  - name: llm
    connect_timeout: 0.5s
    type: STATIC
    @panic@
    load_assignment: { cluster_name: llm, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: @upstream@ } } } }] }] }
    @cluster@
"#;
    // Its default sends to ejected hosts where half of them are.
    let panic = if cluster.contains("common_lb_config") {
        ""
    } else {
        "common_lb_config: { healthy_panic_threshold: { value: 0 } }"
    };
    let port_of = upstream.rsplit(':').next().expect("an address has a port").to_owned();
    start(|folder| {
        let [port, admin] = free_ports();
        let holes: [(&str, &dyn ToString); 7] = [
            ("panic", &panic),
            ("admin", &admin),
            ("port", &port),
            ("upstream", &port_of),
            ("cluster", &cluster),
            ("route", &route),
            ("filters", &filters),
        ];
        let config = write(folder, "envoy.yaml", template, &holes);
        let mut command = vec![program(&home, "bin/envoy")];
        let id = port % 1000;
        command.extend(words(&format!("-c {config} --concurrency 1 --base-id {id} -l warning")));
        Start { command, port, beside: admin, ready: "/healthz", ..Start::default() }
    })
}

/// Traefik before an upstream, behind this middleware (YAML); `beside` has its
/// metrics and its ping.
pub(crate) fn traefik(upstream: &str, middleware: &str) -> Real {
    let home = home("traefik");
    let routes = "http:
  routers:
    llm: { rule: \"PathPrefix(`/`)\", service: llm, entryPoints: [web], middlewares: [guard] }
    ping: { rule: \"Path(`/healthz`)\", service: \"ping@internal\", entryPoints: [web], priority: 1000 }
  middlewares:
    guard: { @middleware@ }
  services:
    llm: { loadBalancer: { servers: [{ url: \"http://@upstream@\" }] } }
";
    let main = "entryPoints: { web: { address: \"127.0.0.1:@port@\" }, metrics: { address: \"127.0.0.1:@metrics@\" } }
providers: { file: { filename: \"@routes@\" } }
metrics: { prometheus: { entryPoint: metrics, addRoutersLabels: true, addServicesLabels: true } }
ping: { manualRouting: true }
global: { checkNewVersion: false, sendAnonymousUsage: false }
";
    start(|folder| {
        let [port, metrics] = free_ports();
        let holes: [(&str, &dyn ToString); 2] = [("middleware", &middleware), ("upstream", &upstream)];
        let routes = write(folder, "routes.yaml", routes, &holes);
        let holes: [(&str, &dyn ToString); 3] = [("port", &port), ("metrics", &metrics), ("routes", &routes)];
        let config = write(folder, "traefik.yaml", main, &holes);
        let command = vec![program(&home, "traefik"), format!("--configFile={config}")];
        Start { command, port, beside: metrics, ready: "/healthz", ..Start::default() }
    })
}

/// Where this Varnish works, and what its `varnishstat` needs of the
/// environment.
pub(crate) fn varnish_instance(varnish: &Real) -> (String, [(&'static str, String); 2]) {
    let home = home("varnish");
    let path = format!("{}:{}", program(&home, "usr/bin"), std::env::var("PATH").unwrap_or_default());
    let (name, libraries) = libraries(&home);
    let libraries = (name, format!("{libraries}:{libraries}/varnish"));
    (varnish._folder.path().join("work").display().to_string(), [("PATH", path), libraries])
}

/// Varnish before an upstream, with this VCL after its backend.
pub(crate) fn varnish(upstream: &str, vcl: &str) -> Real {
    let home = home("varnish");
    let (host, upstream) = upstream.split_once(':').expect("an address has a port");
    let template = "vcl 4.1;
backend default { .host = \"@host@\"; .port = \"@upstream@\"; .first_byte_timeout = 1s; }
sub vcl_recv { if (req.url == \"/healthz\") { return (synth(200)); } }
@vcl@
";
    start(|folder| {
        let [port, admin] = free_ports();
        let holes: [(&str, &dyn ToString); 3] = [("host", &host), ("upstream", &upstream), ("vcl", &vcl)];
        let config = write(folder, "default.vcl", template, &holes);
        let here = folder.display();
        let mut command = vec![program(&home, "usr/sbin/varnishd")];
        command.extend(words(&format!(
            "-F -n {here}/work -a 127.0.0.1:{port} -T 127.0.0.1:{admin} -j none -s malloc,32m -f {config}"
        )));
        let (name, path) = libraries(&home);
        let env = vec![(name, format!("{path}:{path}/varnish"))];
        Start { command, env, port, beside: admin, ready: "/healthz", ..Start::default() }
    })
}

/// Starts a program (`$@`) as often as it ends, but not while `down` is in the
/// folder `$0`; its process id is in `pid` there.
const KEEP_UP: &str = r#"
while :; do
  if [ -e "$0/down" ]; then
    sleep 0.05
  else
    "$@" & echo $! >"$0/pid"
    wait "$!"
  fi
done
"#;

/// The programs of a drill that kills this Redis and lets it start again, as
/// `command:` has them.
pub(crate) fn redis_tools(redis: &Real) -> String {
    let (here, at) = (redis._folder.path().display(), redis.address().replace(':', "/"));
    format!(
        "{{ run: [sh, -c, 'touch {here}/down && kill -KILL $(cat {here}/pid)'], undo: [rm, {here}/down], \
         proof: [bash, -c, '! exec 3<>/dev/tcp/{at}'] }}"
    )
}

/// The programs of a drill that fills this Redis up, as `command:` has them.
pub(crate) fn redis_filler(redis: &Real) -> String {
    let home = home("redis");
    let (_, libraries) = libraries(&home);
    let port = redis.address().split_once(':').expect("an address has a port").1;
    let cli = format!("LD_LIBRARY_PATH={libraries} {} -p {port}", program(&home, "usr/bin/redis-cli"));
    let each = |call: &str| format!("for i = 1, 8000 do redis.call({call}) end");
    let (fill, empty) = (each("'set', 'drill:' .. i, string.rep('x', 1000)"), each("'del', 'drill:' .. i"));
    format!(
        "{{ run: [sh, -c, \"{cli} eval \\\"{fill}\\\" 0\"], undo: [sh, -c, \"{cli} eval \\\"{empty}\\\" 0\"], \
         proof: [sh, -c, \"{cli} --scan --pattern 'drill:*' | grep -q drill\"] }}"
    )
}

/// Redis, with nothing in it and nothing kept.
pub(crate) fn redis() -> Real {
    redis_with("")
}

/// The same with more options.
pub(crate) fn redis_with(options: &str) -> Real {
    let home = home("redis");
    start(|folder| {
        let [port] = free_ports();
        let mut command = words("bash -c");
        command.extend([KEEP_UP.to_owned(), folder.display().to_string()]);
        command.push(program(&home, "usr/bin/redis-server"));
        command.extend(words(&format!(
            "--bind 127.0.0.1 --port {port} --appendonly no --dir {}",
            folder.display()
        )));
        command.extend(["--save".to_owned(), String::new()]);
        command.extend(words(options));
        Start { command, env: vec![libraries(&home)], port, ..Start::default() }
    })
}

/// An application that guards an upstream by Resilience4j, set up so; its
/// metrics and events are under `/actuator`.
pub(crate) fn resilience4j(upstream: &str, settings: &str) -> Real {
    let home = home("resilience4j");
    let upstream = upstream.rsplit(':').next().expect("an address has a port").to_owned();
    start(|_| {
        let [port] = free_ports();
        let mut command = words("java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xss512k -Xmx128m -jar");
        command.push(program(&home, "gateway.jar"));
        command.extend(words(&format!("{port} {upstream} {settings}")));
        Start { command, port, ready: "/healthz", ..Start::default() }
    })
}
