//! Varnish's counters, by its own `varnishstat` on this machine.

use std::{io::ErrorKind, process::Stdio};

use indexmap::IndexMap;
use serde_json::Value;
use tokio::{
    io::AsyncReadExt,
    process::{ChildStderr, ChildStdout, Command},
    time::timeout,
};

use super::{LONGEST, PATIENCE};

const PROGRAM: &str = "varnishstat";
/// What is kept of its complaint, in bytes.
const COMPLAINT: u64 = 500;
/// Locks and pools of Varnish's own: many, and told by nobody.
const INNER: [&str; 2] = ["LCK.", "MEMPOOL."];

pub(super) async fn ask(instance: &str) -> Result<IndexMap<String, f64>, String> {
    let what = format!("{PROGRAM} -n {instance}");
    match timeout(PATIENCE, told(instance)).await {
        Ok(Ok(text)) => read(&text).ok_or_else(|| format!("`{what}` does not show counters in JSON")),
        Ok(Err(why)) => Err(format!("`{what}`: {why}")),
        Err(_) => {
            Err(format!("`{what}` shows nothing for {PATIENCE:?}: is there a `varnishd -n {instance}`?"))
        }
    }
}

async fn told(instance: &str) -> Result<String, String> {
    let mut command = Command::new(PROGRAM);
    command.args(["-1", "-j", "-n", instance]).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => "this program is not on this machine; it comes with Varnish".to_owned(),
        _ => error.to_string(),
    })?;
    let (out, complaint) = (child.stdout.take(), child.stderr.take());
    let (out, complaint) = tokio::join!(output(out), complaint_of(complaint));
    let out = out?;
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if status.success() { Ok(out) } else { Err(format!("{status}: {}", complaint.trim())) }
}

async fn output(from: Option<ChildStdout>) -> Result<String, String> {
    let mut text = String::new();
    let Some(from) = from else { return Ok(text) };
    let most = LONGEST as u64;
    from.take(most + 1).read_to_string(&mut text).await.map_err(|error| error.to_string())?;
    if text.len() > LONGEST { Err("it shows too much".to_owned()) } else { Ok(text) }
}

async fn complaint_of(from: Option<ChildStderr>) -> String {
    let mut heard = Vec::new();
    if let Some(from) = from {
        // What can't be read is no complaint.
        let _ = from.take(COMPLAINT).read_to_end(&mut heard).await;
    }
    String::from_utf8_lossy(&heard).into_owned()
}

/// `{"MAIN.cache_hit": {"value": 3, …}, …}`, from 6.5 on under `counters`.
fn read(text: &str) -> Option<IndexMap<String, f64>> {
    let all: Value = serde_json::from_str(text).ok()?;
    let all = match all.get("counters") {
        Some(counters) => counters,
        None => &all,
    };
    let counted = all.as_object()?.iter().filter(|(name, _)| !INNER.iter().any(|of| name.starts_with(of)));
    let values: IndexMap<String, f64> =
        counted.filter_map(|(name, counter)| Some((name.clone(), counter.get("value")?.as_f64()?))).collect();
    (!values.is_empty()).then_some(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_layouts_are_read() {
        let counters = r#""MGT.uptime": {"description": "up", "flag": "c", "value": 5},
            "MAIN.cache_hit": {"value": 3}, "LCK.ban.locks": {"value": 9}, "MAIN.odd": {"value": "x"}"#;
        let old = format!("{{\"timestamp\": \"2026-01-01T00:00:00\", {counters}}}");
        let new = format!(
            "{{\"version\": 1, \"timestamp\": \"2026-01-01T00:00:00\", \"counters\": {{{counters}}}}}"
        );
        for text in [old, new] {
            let values: Vec<(String, f64)> = read(&text).expect("counters").into_iter().collect();
            assert_eq!(values, [("MGT.uptime".to_owned(), 5.0), ("MAIN.cache_hit".to_owned(), 3.0)]);
        }
        for text in ["", "[]", "{}", "{\"counters\": 3}", "Could not get hold of varnishd"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_told() {
        let why = ask("/no/such/instance").await.expect_err("there is none");
        assert!(why.contains("varnishstat"), "{why}");
    }

    proptest! {
        #[test]
        fn any_output_is_read_or_refused(text in "\\PC*", inner in r#"[{"MAIN.value:1,}\[\]]{0,40}|"MAIN.a": (\{"value": ("x"|null|-?[0-9]{1,25}|\{\})\}|3|\[\])"#) {
            read(&text);
            read(&format!("{{\"counters\": {{{inner}}}}}"));
            read(&format!("{{{inner}}}"));
        }
    }
}
