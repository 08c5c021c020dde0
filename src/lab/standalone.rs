//! `firedrill lab`: the lab alone, for trying other tools on it.

use std::path::PathBuf;

use super::{Lab, LabError, config::LabConfig, golden::GOLDEN};

/// Starts the lab, says where it is, and stops it at Ctrl-C. An error if it
/// could not start or a part of it died.
pub async fn run(config: &LabConfig, seed: u64) -> Result<(), LabError> {
    let logs = std::env::temp_dir().join(format!("firedrill-lab-{}", std::process::id()));
    let exe = std::env::current_exe()
        .map_err(|source| LabError::Logs { folder: PathBuf::from("the program's own path"), source })?;
    let mut lab = Lab::start(config, seed, &exe, &logs).await?;
    let at = lab.addresses();
    let (gateway, controller, proxy) = (at.gateway, at.controller, at.proxy);
    let question = GOLDEN[0].0;
    println!(
        "the lab is up, Ctrl-C ends it

  gateway     http://{gateway}      POST /v1/chat/completions, /predict, /act, /v2/models/image/infer, GET /metrics
  controller  http://{controller}      GET /pods, DELETE /pods/NAME, POST /deploy, GET /rollout
  proxy       http://{proxy}      GET /links, PUT /links/NAME/toxics/ID
  logs        {logs}

try:
  curl -N http://{gateway}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{\"model\":\"demo\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"{question}\"}}]}}'
  curl -X DELETE 'http://{controller}/pods/replica-0?grace_period_seconds=0'
  curl -X POST http://{controller}/deploy -H 'content-type: application/json' \\
    -d '{{\"version\":\"v2\",\"defect\":\"slow\"}}'
  curl -X PUT http://{proxy}/links/replica-1/toxics/late -H 'content-type: application/json' \\
    -d '{{\"stream\":\"downstream\",\"toxic\":{{\"type\":\"latency\",\"latency_ms\":500,\"jitter_ms\":100,\"correlation\":0}},\"ttl_ms\":null,\"seed\":1}}'",
        logs = logs.display(),
    );
    tokio::select! {
        what = lab.died() => Err(LabError::Died { what }),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(LabError::Interrupt)?;
            lab.stop().await;
            Ok(())
        }
    }
}
