//! Servers of models.

use std::fs;

use super::{Real, Start, home, program, start, words};
use crate::real::child::free_ports;

/// The key that LiteLLM wants as a bearer token.
pub(crate) const LITELLM_KEY: &str = "sk-drill";

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
        Start { command, port, ready: "/health", ..Start::default() }
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
            ..Start::default()
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
            ..Start::default()
        }
    })
}

/// LiteLLM with [`LITELLM_KEY`] in front of [`llama`]; the model is `tiny`.
pub(crate) fn litellm() -> Real {
    let behind = llama();
    // llama.cpp closes connections after 5 s or 100 requests, and what LiteLLM
    // then sends on one of them fails: it has to try again.
    let text = format!(
        "model_list:\n{}router_settings: {{ num_retries: 3 }}\nlitellm_settings: {{ telemetry: false, drop_params: false }}\n",
        model("tiny", behind.address())
    );
    let mut real = run_litellm(&text);
    real._behind = Some(Box::new(behind));
    real
}

/// LiteLLM before a `large` and a `small` model, with one that is `gone`, and
/// these fallbacks (YAML).
pub(crate) fn litellm_before(large: &str, small: &str, fallbacks: &str) -> Real {
    let [nobody] = free_ports();
    let settings = format!("drop_params: true, request_timeout: 3, fallbacks: {fallbacks}");
    let models = [("large", large), ("small", small), ("gone", &format!("127.0.0.1:{nobody}"))]
        .map(|(name, at)| model(name, at));
    run_litellm(&with_settings(&models.concat(), &settings))
}

/// LiteLLM before a `large` model, with a cache set up so (YAML in its
/// settings).
pub(crate) fn litellm_cached(large: &str, cache: &str) -> Real {
    run_litellm(&with_settings(&model("large", large), &format!("drop_params: true, {cache}")))
}

/// LiteLLM before two deployments of a `large` model, `first` and `second`, with
/// these settings of its router (YAML). Its metrics are under `/metrics`.
pub(crate) fn litellm_of_two(first: &str, second: &str, router: &str) -> Real {
    let deployment = |at, id| format!("{}    model_info: {{ id: {id} }}\n", model("large", at));
    let (first, second) = (deployment(first, "first"), deployment(second, "second"));
    run_litellm(&format!(
        "model_list:\n{first}{second}router_settings: {{ {router} }}\n\
         litellm_settings: {{ telemetry: false, drop_params: true, request_timeout: 1, callbacks: [prometheus], \
         require_auth_for_metrics_endpoint: false }}\n"
    ))
}

fn with_settings(models: &str, settings: &str) -> String {
    format!(
        "model_list:\n{models}router_settings: {{ num_retries: 1, disable_cooldowns: true }}\n\
         litellm_settings: {{ telemetry: false, {settings} }}\n"
    )
}

/// A model's entry.
fn model(name: &str, at: &str) -> String {
    format!(
        "  - model_name: {name}\n    litellm_params: {{ model: openai/tiny, api_base: \"http://{at}/v1\", api_key: none }}\n"
    )
}

fn run_litellm(text: &str) -> Real {
    let home = home("litellm");
    start(|folder| {
        let [port] = free_ports();
        let config = folder.join("litellm.yaml");
        fs::write(&config, text).expect("the configuration is written");
        let mut command = vec![program(&home, "bin/litellm")];
        command.extend(words(&format!("--host 127.0.0.1 --port {port} --telemetry False --config")));
        command.push(config.display().to_string());
        let env = vec![
            ("LITELLM_MASTER_KEY", LITELLM_KEY.to_owned()),
            ("LITELLM_LOCAL_MODEL_COST_MAP", "True".to_owned()),
        ];
        Start { command, env, port, ready: "/health/readiness", ..Start::default() }
    })
}
