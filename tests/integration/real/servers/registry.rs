//! MLflow's registry, and a service that follows an alias of it.

use super::{Real, Start, home, program, start, words};
use crate::real::child::free_ports;

/// MLflow's tracking server, with nothing in it.
pub(crate) fn mlflow() -> Real {
    let home = home("mlflow");
    start(|folder| {
        let [port] = free_ports();
        let here = folder.display();
        let mut command = vec![program(&home, "bin/mlflow")];
        command.extend(words(&format!(
            "server --host 127.0.0.1 --port {port} --workers 1 --backend-store-uri sqlite:///{here}/mlflow.db \
             --artifacts-destination {here}/artifacts"
        )));
        let env = vec![
            ("HOME", here.to_string()),
            ("MLFLOW_DISABLE_TELEMETRY", "true".to_owned()),
            // It starts its own servers by these names.
            ("PATH", format!("{}:{}", program(&home, "bin"), std::env::var("PATH").unwrap_or_default())),
        ];
        Start { command, env, port, ready: "/health", ..Start::default() }
    })
}

/// A service that follows the model of this name there; its guard against bad
/// versions is set up so.
pub(crate) fn mlflow_app(registry: &Real, model: &str, guard: &str) -> Real {
    let home = home("mlflow");
    start(|_| {
        let [port] = free_ports();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/mlflow_app.py");
        let command = vec![
            program(&home, "bin/python"),
            script.into(),
            port.to_string(),
            registry.url.clone(),
            model.to_owned(),
            guard.to_owned(),
        ];
        Start { command, port, ready: "/healthz", ..Start::default() }
    })
}
