//! What a Prometheus server answers to an instant query (`/api/v1/query`).
//! What is no finite number, and what is not there, is no figure.

use indexmap::IndexMap;
use serde_json::Value;

use crate::{scenario::observe::PromQuery, units::series};

/// More series than this would fill the journal.
const MOST: usize = 500;

pub(super) async fn ask(
    http: &reqwest::Client,
    PromQuery { at, query }: &PromQuery,
    name: &str,
) -> Result<IndexMap<String, f64>, String> {
    let url = format!("{}/api/v1/query", at.trim_end_matches('/'));
    let asked = http.get(&url).query(&[("query", query)]).send().await;
    let answer = asked.map_err(|error| format!("{url}: {}", error.without_url()))?;
    let status = answer.status();
    let text = super::text(answer).await.map_err(|why| format!("{url}: {why}"))?;
    read(&text, name).map_err(|why| match why {
        Wrong::Query(why) => format!("{url}: Prometheus refuses `{query}`: {why}"),
        Wrong::Result(why) => format!("`{query}` {why}"),
        Wrong::Answer if status.is_success() => format!("{url}: this is no answer of a Prometheus server"),
        Wrong::Answer => format!("{url}: {status}"),
    })
}

/// Why there are no figures.
#[derive(Debug, PartialEq)]
enum Wrong {
    /// Prometheus' own message.
    Query(String),
    /// Nothing that can be followed, in words.
    Result(String),
    /// This is not Prometheus.
    Answer,
}

/// The figures of an answer. A series without a name gets the source's.
fn read(text: &str, name: &str) -> Result<IndexMap<String, f64>, Wrong> {
    let answer: Value = serde_json::from_str(text).map_err(|_| Wrong::Answer)?;
    if let Some(why) = answer["error"].as_str() {
        return Err(Wrong::Query(why.to_owned()));
    }
    let data = &answer["data"];
    let kind = data["resultType"].as_str().ok_or(Wrong::Answer)?;
    let result = data["result"].as_array().ok_or(Wrong::Answer)?;
    match kind {
        "scalar" => Ok(figure(&data["result"]).map(|value| (name.to_owned(), value)).into_iter().collect()),
        "vector" if result.len() > MOST => {
            let count = result.len();
            Err(Wrong::Result(format!("gives {count} series, and {MOST} are the most: aggregate it")))
        }
        "vector" => Ok(result.iter().filter_map(|one| sample(one, name)).collect()),
        other => Err(Wrong::Result(format!("gives a {other}, and a vector or a scalar can be followed"))),
    }
}

fn sample(one: &Value, name: &str) -> Option<(String, f64)> {
    let value = figure(&one["value"])?;
    let metric = one["metric"].as_object()?;
    let own = metric.get("__name__").and_then(Value::as_str).unwrap_or(name);
    let labels = metric.iter().filter(|(key, _)| *key != "__name__");
    let mut labels: Vec<(&str, &str)> =
        labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
    labels.sort_unstable();
    Some((series::key(own, labels), value))
}

/// `[1435781451.781, "1"]`
fn figure(pair: &Value) -> Option<f64> {
    let value: f64 = pair.get(1)?.as_str()?.parse().ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(kind: &str, result: &str) -> Result<Vec<(String, f64)>, Wrong> {
        let text =
            format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":{result}}}}}");
        read(&text, "business").map(|values| values.into_iter().collect())
    }

    fn of(all: &[(&str, f64)]) -> Result<Vec<(String, f64)>, Wrong> {
        Ok(all.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
    }

    #[test]
    fn vectors_and_scalars_are_figures() {
        let vector = r#"[{"metric":{"__name__":"up","job":"shop","instance":"a\"b"},"value":[1435781451.781,"1"]},
            {"metric":{"job":"till"},"value":[1435781451,"0.25"]}]"#;
        let wanted = [(r#"up{instance="a\"b",job="shop"}"#, 1.0), (r#"business{job="till"}"#, 0.25)];
        assert_eq!(shown("vector", vector), of(&wanted));
        assert_eq!(shown("vector", r#"[{"metric":{},"value":[1,"12.5"]}]"#), of(&[("business", 12.5)]));
        assert_eq!(shown("scalar", r#"[1,"3"]"#), of(&[("business", 3.0)]));
    }

    #[test]
    fn what_is_no_number_is_absent() {
        let vector = r#"[{"metric":{},"value":[1,"NaN"]},{"metric":{"a":"1"},"value":[1,"+Inf"]},
            {"metric":{"b":"1"},"histogram":[1,{"count":"2"}]}]"#;
        assert_eq!(shown("vector", vector), of(&[]));
        assert_eq!(shown("vector", "[]"), of(&[]));
        assert_eq!(shown("scalar", r#"[1,"-Inf"]"#), of(&[]));
    }

    #[test]
    fn what_cannot_be_followed_is_told() {
        let bad = r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error: unclosed left parenthesis"}"#;
        let why = "1:5: parse error: unclosed left parenthesis".to_owned();
        assert_eq!(read(bad, "business"), Err(Wrong::Query(why)));
        assert!(matches!(shown("matrix", "[]"), Err(Wrong::Result(why)) if why.contains("matrix")));
        assert!(matches!(shown("string", r#"[1,"a"]"#), Err(Wrong::Result(_))));
        assert_eq!(read("<html>", "business"), Err(Wrong::Answer));
        assert_eq!(read("{\"status\":\"success\"}", "business"), Err(Wrong::Answer));
        let many: Vec<String> =
            (0..=MOST).map(|i| format!("{{\"metric\":{{\"i\":\"{i}\"}},\"value\":[1,\"1\"]}}")).collect();
        let many = format!("[{}]", many.join(","));
        assert!(matches!(shown("vector", &many), Err(Wrong::Result(why)) if why.contains("501 series")));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(
            text in "\\PC{0,200}",
            kind in "scalar|vector|matrix",
            result in r#"[\[{"a1,.NaInf:}\]]{0,30}"#,
            value in r#""(-?[0-9.]{0,4}|NaN|[+-]Inf|1e[0-9]{3})"|null|3"#,
            metric in r#"\{"__name__":("up"|3)\}|\{\}|null|\{"a":("b"|\[\])\}"#,
        ) {
            let _ = read(&text, "business");
            let sample = format!("[{{\"metric\":{metric},\"value\":[1,{value}]}}]");
            for result in [result, sample, format!("[1,{value}]")] {
                if let Ok(values) = shown(&kind, &result) {
                    prop_assert!(values.iter().all(|(_, value)| value.is_finite()));
                }
            }
        }
    }
}
