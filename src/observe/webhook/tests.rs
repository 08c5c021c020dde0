use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::journal::{Event, Record, sink::Line};

fn page(alerts: &[(&str, &str, &str)]) -> Value {
    let alerts: Vec<Value> = alerts
        .iter()
        .map(|(name, pod, status)| json!({ "status": status, "labels": { "pod": pod, "alertname": name } }))
        .collect();
    json!({ "version": "4", "status": "firing", "receiver": "drill", "alerts": alerts })
}

fn all(alerts: &[(&str, &str, &str)]) -> Vec<Announced> {
    announced(page(alerts).to_string().as_bytes()).expect("a notification")
}

/// What was told: `Errors fires`, `answers`.
fn told(lines: &mut tokio::sync::mpsc::Receiver<Line>) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(Line::Event(Record { event: Event::Signal { signal, .. }, .. })) = lines.try_recv() {
        told.push(match signal {
            Signal::Alert { name, firing, .. } => {
                format!("{name} {}", if firing { "fires" } else { "is quiet" })
            }
            Signal::Source { up: true, .. } => "answers".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    told
}

#[test]
fn an_alert_fires_while_one_of_its_name_does() {
    let clock = Clock::start();
    let (sink, mut lines) = Sink::new(clock);
    let pager = Pager::new("pager".to_owned(), &["Errors".to_owned()], clock, sink);
    assert_eq!(told(&mut lines), ["Errors is quiet"]);
    pager.hears(&all(&[("Latency", "a", "firing")]));
    assert_eq!(told(&mut lines), ["answers"], "the way works, and nobody asked for this one");
    pager.hears(&all(&[("Errors", "a", "firing"), ("Errors", "b", "firing")]));
    assert_eq!(told(&mut lines), ["Errors fires"]);
    pager.hears(&all(&[("Errors", "a", "resolved")]));
    assert_eq!(told(&mut lines), Vec::<String>::new());
    pager.hears(&all(&[("Errors", "b", "resolved")]));
    assert_eq!(told(&mut lines), ["Errors is quiet"]);
}

#[test]
fn other_things_are_refused() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"version": "3", "alerts": []}"#,
        r#"{"version": "4"}"#,
        r#"{"version": "4", "alerts": [{"status": "pending", "labels": {}}]}"#,
        r#"{"version": "4", "alerts": [{"status": "firing"}]}"#,
    ] {
        assert!(announced(body.as_bytes()).is_err(), "{body}");
    }
    let unnamed = r#"{"version": "4", "alerts": [{"status": "firing", "labels": {}}]}"#;
    assert_eq!(announced(unnamed.as_bytes()), Ok(vec![]));
}

#[tokio::test]
async fn it_listens_and_answers() {
    let at = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port").local_addr().expect("one");
    let clock = Clock::start();
    let (sink, mut lines) = Sink::new(clock);
    let cancel = CancellationToken::new();
    let names = vec!["Errors".to_owned()];
    let watcher = tokio::spawn(watch("pager".to_owned(), at, names, clock, sink, cancel.clone()));
    let http = crate::api_client::http(Duration::from_secs(5)).expect("a client");
    // It says first that it listens.
    let Some(Line::Event(_)) = lines.recv().await else { panic!("an event") };
    let post = |body: String| http.post(format!("http://{at}/hook")).body(body).send();
    let status =
        |answer: Result<reqwest::Response, reqwest::Error>| answer.expect("an answer").status().as_u16();
    assert_eq!(status(post(page(&[("Errors", "a", "firing")]).to_string()).await), 200);
    assert_eq!(status(post("hello".to_owned()).await), 400);
    assert_eq!(status(post("x".repeat(LONGEST + 1)).await), 413);
    assert_eq!(status(http.get(format!("http://{at}/")).send().await), 405);
    assert!(listen(at).await.expect_err("it is taken").contains("nobody can listen"));
    cancel.cancel();
    watcher.await.expect("it ends");
    assert_eq!(told(&mut lines), ["answers", "Errors fires"]);
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        status in r#""(firing|resolved|\\u0000)"|null|3"#,
        labels in r#"\{("alertname":("a"|3|\[\]))?\}|null|3|\[\]|[a-z"{}]{0,5}"#,
    ) {
        let _ = announced(&bytes);
        let alert = format!("{{\"status\":{status},\"labels\":{labels}}}");
        for alerts in [alert.clone(), format!("[{alert}]"), format!("[{labels}]")] {
            let _ = announced(format!("{{\"version\":\"4\",\"alerts\":{alerts}}}").as_bytes());
        }
    }
}
