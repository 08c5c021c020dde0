//! HAProxy's statistics page as CSV (`/stats;csv`), told in the words of its own
//! Prometheus exporter: whoever reads the one reads the other.

use super::prometheus::{Exposition, Sample};

/// What the page begins with.
const MARK: &str = "# pxname,";

/// Whose figures a row has, by its `type`. Listening sockets (3) have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Frontend,
    Backend,
    Server,
}

/// The words of `haproxy_server_status`, and of the others'.
const STATES: &[&str] = &["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];
const STATES_OF_PROXIES: &[&str] = &["DOWN", "UP"];

/// Columns of whole numbers, and what the exporter calls them.
const COUNTS: &[(&str, &str)] = &[
    ("qcur", "current_queue"),
    ("qmax", "max_queue"),
    ("scur", "current_sessions"),
    ("smax", "max_sessions"),
    ("slim", "limit_sessions"),
    ("stot", "sessions_total"),
    ("bin", "bytes_in_total"),
    ("bout", "bytes_out_total"),
    ("dreq", "requests_denied_total"),
    ("dresp", "responses_denied_total"),
    ("ereq", "request_errors_total"),
    ("econ", "connection_errors_total"),
    ("eresp", "response_errors_total"),
    ("wretr", "retry_warnings_total"),
    ("wredis", "redispatch_warnings_total"),
    ("weight", "weight"),
    ("chkfail", "check_failures_total"),
    ("chkdown", "check_up_down_total"),
    ("lastchg", "check_last_change_seconds"),
    ("downtime", "downtime_seconds_total"),
    ("qlimit", "queue_limit"),
    ("lbtot", "loadbalanced_total"),
    ("check_code", "check_code"),
    ("cli_abrt", "client_aborts_total"),
    ("srv_abrt", "server_aborts_total"),
    ("conn_tot", "connections_total"),
    ("intercepted", "intercepted_requests_total"),
    ("connect", "connection_attempts_total"),
    ("reuse", "connection_reuses_total"),
    ("eint", "internal_errors_total"),
];

/// Those of a frontend or a backend alone: of a server they are not counted, or
/// say whether it is a backup.
const COUNTS_OF_PROXIES: &[(&str, &str)] =
    &[("req_tot", "http_requests_total"), ("act", "active_servers"), ("bck", "backup_servers")];

/// Columns in milliseconds, which the exporter shows in seconds.
const TIMES: &[(&str, &str)] = &[
    ("check_duration", "check_duration_seconds"),
    ("qtime", "queue_time_average_seconds"),
    ("ctime", "connect_time_average_seconds"),
    ("rtime", "response_time_average_seconds"),
    ("ttime", "total_time_average_seconds"),
];

/// Columns of answers, by the label `code`.
const ANSWERS: &[(&str, &str)] = &[
    ("hrsp_1xx", "1xx"),
    ("hrsp_2xx", "2xx"),
    ("hrsp_3xx", "3xx"),
    ("hrsp_4xx", "4xx"),
    ("hrsp_5xx", "5xx"),
    ("hrsp_other", "other"),
];

/// What HAProxy answered, whichever of its two pages it is.
pub(super) fn read(text: &str) -> Exposition {
    if text.starts_with(MARK) { page(text) } else { Exposition::parse(text) }
}

/// Rows that are not as long as the first are named, not guessed.
fn page(text: &str) -> Exposition {
    let mut all = Exposition::default();
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = rows.records();
    let Some(Ok(head)) = rows.next() else { return all };
    for (number, row) in (2..).zip(rows) {
        let read = row.ok().filter(|row| row.len() == head.len());
        match read.and_then(|row| Row { head: &head, row: &row }.samples()) {
            Some(samples) => all.samples.extend(samples),
            None => all.malformed.push(number),
        }
    }
    all
}

struct Row<'a> {
    head: &'a csv::StringRecord,
    row: &'a csv::StringRecord,
}

impl<'a> Row<'a> {
    /// A column that is there and not empty.
    fn column(&self, name: &str) -> Option<&'a str> {
        let at = self.head.iter().position(|column| column == name)?;
        self.row.get(at).filter(|field| !field.is_empty())
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.column(name)?.parse::<i64>().ok().map(|number| number as f64)
    }

    /// None: it is no row of such a page.
    fn samples(&self) -> Option<Vec<Sample>> {
        let of = match self.column("type")? {
            "0" => Of::Frontend,
            "1" => Of::Backend,
            "2" => Of::Server,
            "3" => return Some(Vec::new()),
            _ => return None,
        };
        let (proxy, server) = (self.column("# pxname")?, self.column("svname")?);
        let sample = |name: &str, more: Option<(&str, &str)>, value: f64| {
            let kind = match of {
                Of::Frontend => "frontend",
                Of::Backend => "backend",
                Of::Server => "server",
            };
            let server = (of == Of::Server).then_some(("server", server));
            let labels = [Some(("proxy", proxy)), server, more].into_iter().flatten();
            let mut labels: Vec<_> = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            labels.sort();
            Sample { name: format!("haproxy_{kind}_{name}"), labels, value }
        };
        let states = if of == Of::Server { STATES } else { STATES_OF_PROXIES };
        let status = self.column("status").and_then(|status| state(of, status));
        let status = status.into_iter().flat_map(|now| {
            states.iter().map(move |state| ("status", Some(("state", *state)), f64::from(now == *state)))
        });
        let more = if of == Of::Server { &[] } else { COUNTS_OF_PROXIES };
        let counts = COUNTS.iter().chain(more);
        let counts = counts.filter_map(|(column, name)| Some((*name, None, self.number(column)?)));
        let times =
            TIMES.iter().filter_map(|(column, name)| Some((*name, None, self.number(column)? / 1000.0)));
        let answers = ANSWERS.iter().filter_map(|(column, code)| {
            Some(("http_responses_total", Some(("code", *code)), self.number(column)?))
        });
        let all = status.chain(counts).chain(times).chain(answers);
        Some(all.map(|(name, more, value)| sample(name, more, value)).collect())
    }
}

/// What the exporter calls a status of the page's. One that nobody knows is none.
fn state(of: Of, status: &str) -> Option<&'static str> {
    // `UP 1/3` is on its way down, and `MAINT (via …)` says who did it.
    let word = status.split_whitespace().next()?;
    match (of, word) {
        (Of::Frontend, "OPEN" | "FULL") => Some("UP"),
        (Of::Frontend, "STOP" | "PAUSED") => Some("DOWN"),
        (Of::Server, "no") if status == "no check" => Some("UP"),
        (Of::Server, _) => STATES.iter().copied().find(|state| *state == word),
        (Of::Backend, _) => STATES_OF_PROXIES.iter().copied().find(|state| *state == word),
        (Of::Frontend, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Some columns of a page of HAProxy 2.6.
    const PAGE: &str = "# pxname,svname,qcur,scur,stot,econ,status,act,chkfail,chkdown,type,check_status,check_duration,hrsp_5xx,last_chk,-,
front,FRONTEND,,1,8,,OPEN,,,,0,,,2,,-,
front,sock-1,,1,8,,OPEN,,,,3,,,,,-,
llm,s1,0,0,7,2,DOWN 1/2,1,4,3,2,L4CON,12,2,\"Connection \"\"refused\"\", twice\",-,
llm,s2,0,0,0,0,MAINT (via llm/s1),1,,,2,,,0,,-,
llm,s3,0,0,1,0,no check,1,,,2,,,0,,-,
llm,s4,0,0,1,0,UP 2/3,0,1,0,2,L7OK,0,0,,-,
llm,BACKEND,0,0,8,2,UP,2,,0,1,,,2,,-,
";

    /// What a series has, by its key.
    fn value(all: &Exposition, key: &str) -> Option<f64> {
        all.samples.iter().find(|sample| sample.key() == key).map(|sample| sample.value)
    }

    #[test]
    fn the_page_is_told_as_the_exporter_tells() {
        let all = read(PAGE);
        assert_eq!(all.malformed, Vec::<usize>::new());
        for (key, told) in [
            (r#"haproxy_server_status{proxy="llm",server="s1",state="DOWN"}"#, Some(1.0)),
            (r#"haproxy_server_status{proxy="llm",server="s1",state="UP"}"#, Some(0.0)),
            (r#"haproxy_server_status{proxy="llm",server="s2",state="MAINT"}"#, Some(1.0)),
            (r#"haproxy_server_status{proxy="llm",server="s3",state="UP"}"#, Some(1.0)),
            (r#"haproxy_server_status{proxy="llm",server="s4",state="UP"}"#, Some(1.0)),
            (r#"haproxy_frontend_status{proxy="front",state="UP"}"#, Some(1.0)),
            (r#"haproxy_backend_status{proxy="llm",state="DOWN"}"#, Some(0.0)),
            (r#"haproxy_server_check_up_down_total{proxy="llm",server="s1"}"#, Some(3.0)),
            // Nobody checks it.
            (r#"haproxy_server_check_up_down_total{proxy="llm",server="s3"}"#, None),
            (r#"haproxy_server_sessions_total{proxy="llm",server="s1"}"#, Some(7.0)),
            (r#"haproxy_server_check_duration_seconds{proxy="llm",server="s1"}"#, Some(0.012)),
            (r#"haproxy_server_http_responses_total{code="5xx",proxy="llm",server="s1"}"#, Some(2.0)),
            (r#"haproxy_frontend_http_responses_total{code="5xx",proxy="front"}"#, Some(2.0)),
            (r#"haproxy_backend_active_servers{proxy="llm"}"#, Some(2.0)),
            (r#"haproxy_server_active_servers{proxy="llm",server="s1"}"#, None),
            (r#"haproxy_server_sessions_total{proxy="front",server="sock-1"}"#, None),
        ] {
            assert_eq!(value(&all, key), told, "{key}");
        }
    }

    #[test]
    fn the_exporter_is_read_as_ever_and_other_pages_show_nothing() {
        let text = "# HELP haproxy_process_nbthread Number of threads.\nhaproxy_process_nbthread 1\n";
        assert_eq!(value(&read(text), "haproxy_process_nbthread"), Some(1.0));
        for text in [
            "",
            "<!DOCTYPE HTML>\n<html>",
            "pxname,svname\nllm,s1\n",
            "# pxname,",
            "# pxname,svname\nllm,s1\n",
        ] {
            assert_eq!(read(text).samples, [], "{text}");
        }
    }

    #[test]
    fn rows_that_are_cut_off_are_named() {
        let cut = PAGE.find("L7OK").expect("it is there");
        let all = read(&PAGE[..cut]);
        assert_eq!(all.malformed, [7]);
        assert_eq!(value(&all, r#"haproxy_server_sessions_total{proxy="llm",server="s4"}"#), None);
        assert_eq!(value(&all, r#"haproxy_server_sessions_total{proxy="llm",server="s3"}"#), Some(1.0));
        // A status that nobody knows is none.
        let odd = read(&PAGE.replace("no check", "WELL"));
        let up = r#"haproxy_server_status{proxy="llm",server="s3",state="UP"}"#;
        assert_eq!((value(&odd, up), value(&read(PAGE), up)), (None, Some(1.0)));
    }

    proptest! {
        #[test]
        fn any_page_is_read(text in "\\PC*", cut in 0..PAGE.len(), put in "[-0-9 \n\",a]{0,3}") {
            read(&text);
            read(&format!("{MARK}{text}"));
            read(&PAGE[..cut]);
            read(&format!("{}{put}{}", &PAGE[..cut], &PAGE[cut..]));
        }

        /// Whatever a name is made of, it comes out again.
        #[test]
        fn names_come_out_as_they_went_in(proxy in "(\\PC|\n|\"|,){1,8}", server in "(\\PC|\n|\"|,){1,8}", n: u32) {
            let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
            let text = format!("# pxname,svname,type,stot,\n{},{},2,{n},\n", quoted(&proxy), quoted(&server));
            let labels = vec![("proxy".to_owned(), proxy), ("server".to_owned(), server)];
            let sample = Sample { name: "haproxy_server_sessions_total".to_owned(), labels, value: f64::from(n) };
            prop_assert_eq!(read(&text), Exposition { samples: vec![sample], malformed: vec![] });
        }
    }
}
