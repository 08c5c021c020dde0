//! The page of nginx' `stub_status`. The names are those of nginx' own
//! exporter.

use indexmap::IndexMap;

pub(super) async fn ask(http: &reqwest::Client, url: &str) -> Result<IndexMap<String, f64>, String> {
    let answer = http.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(|error| format!("{url}: {}", error.without_url()))?;
    let text = super::text(answer).await.map_err(|why| format!("{url}: {why}"))?;
    read(&text).ok_or_else(|| format!("{url}: this is no page of `stub_status`"))
}

/// ```text
/// Active connections: 291
/// server accepts handled requests
///  16630948 16630948 31070465
/// Reading: 6 Writing: 179 Waiting: 106
/// ```
fn read(text: &str) -> Option<IndexMap<String, f64>> {
    let mut lines = text.lines();
    let active = count(lines.next()?.strip_prefix("Active connections:")?)?;
    // Directives of other builds add columns.
    if !lines.next()?.starts_with("server accepts handled requests") {
        return None;
    }
    let mut counted = lines.next()?.split_whitespace().map(count);
    let mut next = || counted.next().flatten();
    let (accepted, handled, requests) = (next()?, next()?, next()?);
    let words: Vec<&str> = lines.next()?.split_whitespace().collect();
    let ["Reading:", reading, "Writing:", writing, "Waiting:", waiting, ..] = words.as_slice() else {
        return None;
    };
    let all = [
        ("nginx_connections_active", active),
        ("nginx_connections_accepted", accepted),
        ("nginx_connections_handled", handled),
        ("nginx_http_requests_total", requests),
        ("nginx_connections_reading", count(reading)?),
        ("nginx_connections_writing", count(writing)?),
        ("nginx_connections_waiting", count(waiting)?),
    ];
    Some(all.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
}

fn count(text: &str) -> Option<f64> {
    text.trim().parse::<u64>().ok().map(|count| count as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630947 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n";

    #[test]
    fn the_page_is_read() {
        let values = read(PAGE).expect("a page");
        let all: Vec<f64> = values.values().copied().collect();
        assert_eq!(all, [291.0, 16_630_948.0, 16_630_947.0, 31_070_465.0, 6.0, 179.0, 106.0]);
        assert_eq!(values["nginx_http_requests_total"], 31_070_465.0);
        for text in ["", "<html>", "Active connections: many\n", &PAGE.replace("Writing", "Wr")] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_page_is_read_or_refused(text in "\\PC*", cut in 0..PAGE.len(), put in "[-0-9 \n:a]{0,3}") {
            read(&text);
            read(&PAGE[..cut]);
            read(&format!("{}{put}{}", &PAGE[..cut], &PAGE[cut..]));
        }
    }
}
