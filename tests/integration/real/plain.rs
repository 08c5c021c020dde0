//! nginx: answers as they come from the web server that most have.

use firedrill::{
    journal::interval::Outcome,
    load::{ProbeAnswer, probe},
    scenario::model::{Endpoint, OpenAi, PromptSource, Prompts, Synthetic, Tokens, Transport, Workload},
    units::Span,
};

use super::{Real, child::free_ports, nginx};

async fn ask(server: &Real, path: &str) -> ProbeAnswer {
    let workload = Workload {
        endpoint: Endpoint::OpenaiChat(OpenAi {
            model: "tiny".into(),
            stream: true,
            path: Some(path.into()),
            ..Default::default()
        }),
        prompts: Some(Prompts {
            source: PromptSource::Synthetic(Synthetic {
                input_tokens: Tokens::Fixed(8),
                output_tokens: Tokens::Fixed(1),
                popularity: None,
                shared_prefix: 0,
            }),
            nonce: false,
            session: None,
            golden: None,
        }),
        timeout: Span::secs(10),
        idle_timeout: Span::secs(1),
        transport: Transport::default(),
    };
    probe(&server.url.parse::<http::Uri>().expect("a URI").into(), &workload).await.expect("an answer")
}

#[tokio::test]
#[ignore = "needs scripts/real-servers"]
async fn nginx_is_reached_and_its_refusals_are_told_apart() {
    let [nobody] = free_ports();
    let server = nginx(&format!(
        r#"
    location = /chat {{
      default_type text/event-stream;
      return 200 'data: {{"choices":[{{"delta":{{"content":"a"}},"finish_reason":"stop"}}]}}\n\ndata: [DONE]\n\n';
    }}
    location = /dead {{ proxy_pass http://127.0.0.1:{nobody}; }}
    location = /busy {{ return 429; }}
    location = /moved {{ return 301 /chat; }}
    location = /closed {{ return 444; }}
"#
    ));
    for (path, status, outcome) in [
        ("/chat", Some(200), Outcome::Ok),
        ("/dead", Some(502), Outcome::Http5xx),
        ("/busy", Some(429), Outcome::Shed),
        ("/moved", Some(301), Outcome::Malformed),
        ("/closed", None, Outcome::Reset),
        ("/nowhere", Some(404), Outcome::Http4xx),
    ] {
        let answer = ask(&server, path).await;
        assert_eq!((answer.status, answer.outcome), (status, outcome), "{path}: {}", answer.detail);
    }
}
