//! What watches a service for people.

use std::fs;

use super::{Real, Start, home, libraries, program, start, words};
use crate::real::child::free_ports;

/// Prometheus, which asks `127.0.0.1:metrics` twice a second, with one alert,
/// `HighErrorRate`: `rule` is its YAML.
pub(crate) fn prometheus(metrics: u16, rule: &str) -> Real {
    prometheus_of(metrics, rule, "")
}

/// The same, which tells this Alertmanager.
pub(crate) fn prometheus_telling(metrics: u16, rule: &str, manager: &Real) -> Real {
    let to = manager.address();
    let manager =
        format!("alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"{to}\"] }}] }}] }}\n");
    prometheus_of(metrics, rule, &manager)
}

/// Alertmanager, whose receiver `drill` is a webhook at this port; `route` and
/// `hook` are more YAML of the route and of the webhook.
pub(crate) fn alertmanager(webhook: u16, route: &str, hook: &str) -> Real {
    alertmanager_with(webhook, route, hook, "")
}

/// The same with more of its configuration (YAML).
pub(crate) fn alertmanager_with(webhook: u16, route: &str, hook: &str, more: &str) -> Real {
    let home = home("alertmanager");
    start(|folder| {
        let [port] = free_ports();
        let here = folder.display();
        let config = format!(
            "route: {{ receiver: drill, group_by: [alertname], group_interval: 1s, repeat_interval: 1h{route} }}\n\
             receivers:\n- {{ name: nobody }}\n\
             - {{ name: drill, webhook_configs: [{{ url: \"http://127.0.0.1:{webhook}/\"{hook} }}] }}\n{more}"
        );
        fs::write(folder.join("alertmanager.yaml"), config).expect("the configuration is written");
        // Its templates are looked for in /usr/share, and it is not installed.
        let apart = r#"[ "$(id -u)" = 0 ] || user="--user --map-root-user"
            exec unshare $user --mount sh -c 'mount --bind "$0" /usr/share && exec "$@"' "$@""#;
        let mut command = vec!["sh".to_owned(), "-c".to_owned(), apart.to_owned(), "sh".to_owned()];
        command.push(program(&home, "usr/share"));
        command.push(program(&home, "usr/bin/prometheus-alertmanager"));
        command.extend(words(&format!(
            "--config.file={here}/alertmanager.yaml --storage.path={here}/data --web.listen-address=127.0.0.1:{port} \
             --cluster.listen-address="
        )));
        Start { command, port, ready: "/-/ready", ..Start::default() }
    })
}

/// `more` is more of its configuration.
fn prometheus_of(metrics: u16, rule: &str, more: &str) -> Real {
    let home = home("prometheus");
    start(|folder| {
        let [port] = free_ports();
        let here = folder.display();
        let rules = format!("groups:\n- {{ name: drill, rules: [{{ alert: HighErrorRate, {rule} }}] }}\n");
        fs::write(folder.join("rules.yaml"), rules).expect("the rules are written");
        let config = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\n\
             rule_files: [\"{here}/rules.yaml\"]\n\
             scrape_configs:\n- {{ job_name: front, static_configs: [{{ targets: [\"127.0.0.1:{metrics}\"] }}] }}\n{more}"
        );
        fs::write(folder.join("prometheus.yaml"), config).expect("the configuration is written");
        let mut command = vec![program(&home, "usr/bin/prometheus")];
        command.extend(words(&format!(
            "--config.file={here}/prometheus.yaml --storage.tsdb.path={here}/data --web.listen-address=127.0.0.1:{port}"
        )));
        Start { command, env: vec![libraries(&home)], port, ready: "/-/ready", ..Start::default() }
    })
}
