//! What watches a service for people.

use std::fs;

use super::{Real, Start, home, libraries, program, start, words};
use crate::real::child::free_ports;

/// Prometheus, which asks `127.0.0.1:metrics` twice a second, with one alert,
/// `HighErrorRate`: `rule` is its YAML.
pub(crate) fn prometheus(metrics: u16, rule: &str) -> Real {
    let home = home("prometheus");
    start(|folder| {
        let [port] = free_ports();
        let here = folder.display();
        let rules = format!("groups:\n- {{ name: drill, rules: [{{ alert: HighErrorRate, {rule} }}] }}\n");
        fs::write(folder.join("rules.yaml"), rules).expect("the rules are written");
        let config = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\n\
             rule_files: [\"{here}/rules.yaml\"]\n\
             scrape_configs:\n- {{ job_name: front, static_configs: [{{ targets: [\"127.0.0.1:{metrics}\"] }}] }}\n"
        );
        fs::write(folder.join("prometheus.yaml"), config).expect("the configuration is written");
        let mut command = vec![program(&home, "usr/bin/prometheus")];
        command.extend(words(&format!(
            "--config.file={here}/prometheus.yaml --storage.tsdb.path={here}/data --web.listen-address=127.0.0.1:{port}"
        )));
        Start { command, env: vec![libraries(&home)], port, ready: "/-/ready", ..Start::default() }
    })
}
