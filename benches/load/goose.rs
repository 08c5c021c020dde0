//! Goose's own client on the same request, as a peer: `user.post`.

use goose::{config::GooseConfiguration, prelude::*};

/// What Firedrill sends, too.
const BODY: &str = r#"{"model":"demo","temperature":0,"messages":[{"role":"user","content":"users-1-1 a b c d e f g"}],"max_tokens":1,"ignore_eos":true}"#;

async fn post(user: &mut GooseUser) -> TransactionResult {
    user.post("/json", BODY).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let mut arguments = std::env::args().skip(1);
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(arguments.next().unwrap_or_else(|| "http://127.0.0.1:18999".to_owned()));
    configuration.users = Some(64);
    configuration.increase_rate = Some("1000".to_owned());
    configuration.run_time = Some(arguments.next().unwrap_or_else(|| "5".to_owned()));
    configuration.no_reset_metrics = false;
    configuration.no_telnet = true;
    configuration.no_websocket = true;
    configuration.no_print_metrics = true;
    configuration.quiet = 2;
    let metrics = GooseAttack::initialize_with_config(configuration)?
        .register_scenario(scenario!("plain").register_transaction(transaction!(post)))
        .execute()
        .await?;
    let requests: usize = metrics.requests.values().map(|request| request.success_count).sum();
    println!("{:.0}", requests as f64 / metrics.duration as f64);
    Ok(())
}
