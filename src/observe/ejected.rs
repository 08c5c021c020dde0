//! Which hosts Envoy's outlier detection has taken out, by `/clusters` of its
//! admin: its counters tell of clusters alone.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{
    ejections::{ACTIVE, TOTAL},
    prometheus::Exposition,
};
use crate::{journal::event::Signal, scenario::observe::System};

/// What changes with each ejection, and with each end of one.
const COUNTED: [&str; 2] = [ACTIVE, TOTAL];

/// A cluster and the address of one of its hosts.
type Host = (String, String);

/// The hosts of one Envoy.
#[derive(Debug)]
pub(super) struct Hosts {
    /// Where they are told.
    pub(super) url: String,
    /// The source's name.
    about: String,
    counted: Vec<f64>,
    out: BTreeSet<Host>,
    /// Whether it was said that they are not told.
    missed: bool,
}

impl Hosts {
    /// None: it is another system.
    pub(super) fn of(system: &System, about: &str) -> Option<Self> {
        let System::Envoy(admin) = system else { return None };
        let url = format!("{}/clusters?format=json", admin.trim_end_matches('/'));
        let (about, out) = (about.to_owned(), BTreeSet::new());
        Some(Self { url, about, counted: Vec::new(), out, missed: false })
    }

    /// Whether any may have been taken out or let back since the last look.
    pub(super) fn changed(&mut self, metrics: &Exposition) -> bool {
        let of = COUNTED.iter().flat_map(|name| metrics.named(name));
        let counted: Vec<f64> = of.map(|sample| sample.value).collect();
        let before = std::mem::replace(&mut self.counted, counted);
        // The first look need not be asked of where nothing ever was ejected.
        let changed = before != self.counted;
        changed && !(before.is_empty() && self.counted.iter().all(|count| *count == 0.0))
    }

    /// Who was taken out and who is back, by what the admin answered.
    pub(super) fn notes(&mut self, answer: Result<String, String>) -> Vec<Signal> {
        let out = match answer.and_then(|text| out(&text)) {
            Ok(out) => out,
            Err(_) if self.missed => return Vec::new(),
            Err(why) => {
                self.missed = true;
                return vec![self.note("NoHosts", format!("which hosts are ejected is not told: {why}"))];
            }
        };
        let before = std::mem::replace(&mut self.out, out);
        let gone = self
            .out
            .difference(&before)
            .map(|(cluster, host)| self.note("Ejected", format!("{host} of cluster {cluster} is ejected")));
        let back = before.difference(&self.out).map(|(cluster, host)| {
            self.note("LetBack", format!("{host} of cluster {cluster} is ejected no more"))
        });
        gone.chain(back).collect()
    }

    fn note(&self, reason: &str, text: String) -> Signal {
        Signal::Note { about: self.about.clone(), reason: reason.to_owned(), text, warning: true }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    #[serde(default)]
    host_statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    address: Address,
    #[serde(default)]
    health_status: Health,
}

#[derive(Deserialize)]
enum Address {
    #[serde(rename = "socket_address")]
    Socket { address: String, port_value: u16 },
    #[serde(rename = "pipe")]
    Pipe { path: String },
    #[serde(rename = "envoy_internal_address")]
    Internal { server_listener_name: String },
}

#[derive(Deserialize, Default)]
struct Health {
    #[serde(default)]
    failed_outlier_check: bool,
}

/// Hosts that are taken out.
fn out(text: &str) -> Result<BTreeSet<Host>, String> {
    let answer: Answer = serde_json::from_str(text).map_err(|error| format!("`/clusters`: {error}"))?;
    let mut all = BTreeSet::new();
    for cluster in answer.cluster_statuses {
        let out = cluster.host_statuses.into_iter().filter(|host| host.health_status.failed_outlier_check);
        all.extend(out.map(|host| (cluster.name.clone(), host.address.to_string())));
    }
    Ok(all)
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket { address, port_value } if address.contains(':') => {
                write!(f, "[{address}]:{port_value}")
            }
            Self::Socket { address, port_value } => write!(f, "{address}:{port_value}"),
            Self::Pipe { path } => write!(f, "unix:{path}"),
            Self::Internal { server_listener_name } => f.write_str(server_listener_name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Envoy 1.40 says, but for the counters.
    fn page(first_is_out: bool) -> String {
        let health = if first_is_out { r#""failed_outlier_check":true,"# } else { "" };
        format!(
            r#"{{"cluster_statuses":[{{"name":"llm","host_statuses":[
            {{"address":{{"socket_address":{{"address":"127.0.0.1","port_value":18602}}}},"stats":[{{"name":"cx_total","value":"1"}},{{"name":"x"}}],
              "health_status":{{{health}"eds_health_status":"HEALTHY"}},"weight":1,"locality":{{}}}},
            {{"address":{{"socket_address":{{"address":"::1","port_value":80}}}},"health_status":{{"failed_outlier_check":true}},"hostname":"other"}},
            {{"address":{{"pipe":{{"path":"/run/a"}}}}}}]}},{{"name":"empty"}}]}}"#
        )
    }

    fn hosts() -> Hosts {
        Hosts::of(&System::Envoy("http://e:1/".to_owned()), "front").expect("it is Envoy")
    }

    fn told(hosts: &mut Hosts, answer: Result<String, String>) -> Vec<String> {
        let notes = hosts.notes(answer).into_iter();
        let text = |note| match note {
            Signal::Note { about, reason, text, warning: true } => format!("{about}: {reason}: {text}"),
            other => panic!("{other:?}"),
        };
        notes.map(text).collect()
    }

    #[test]
    fn who_is_taken_out_and_let_back_is_told_once() {
        let mut hosts = hosts();
        assert_eq!(hosts.url, "http://e:1/clusters?format=json");
        assert!(Hosts::of(&System::Haproxy(String::new()), "front").is_none());
        let other = "front: Ejected: [::1]:80 of cluster llm is ejected";
        assert_eq!(told(&mut hosts, Ok(page(false))), [other]);
        let first = "127.0.0.1:18602 of cluster llm is ejected";
        assert_eq!(told(&mut hosts, Ok(page(true))), [format!("front: Ejected: {first}")]);
        assert!(told(&mut hosts, Ok(page(true))).is_empty());
        assert_eq!(told(&mut hosts, Ok(page(false))), [format!("front: LetBack: {first} no more")]);
    }

    #[test]
    fn that_nobody_tells_is_told_once() {
        let mut hosts = hosts();
        let missing = told(&mut hosts, Ok("llm::default_priority::max_connections::1024\n".to_owned()));
        assert!(missing[0].starts_with("front: NoHosts: which hosts are ejected is not told: `/clusters`"));
        assert!(told(&mut hosts, Err("404".to_owned())).is_empty());
        assert_eq!(told(&mut hosts, Ok(page(true))).len(), 2);
        // Who was out is not let back because nobody tells.
        assert!(told(&mut hosts, Err("404".to_owned())).is_empty());
        assert!(told(&mut hosts, Ok(page(true))).is_empty());
    }

    #[test]
    fn it_is_asked_when_a_counter_has_changed() {
        let mut hosts = hosts();
        let [active, total] = COUNTED;
        let mut asked = |a: u32, t: u32| {
            let text = format!(
                "{active}{{envoy_cluster_name=\"llm\"}} {a}\n{total}{{envoy_cluster_name=\"llm\"}} {t}\n"
            );
            hosts.changed(&Exposition::parse(&text))
        };
        let all = [(0, 0), (0, 0), (1, 1), (1, 1), (2, 2), (1, 2), (0, 3), (0, 3)].map(|(a, t)| asked(a, t));
        assert_eq!(all, [false, false, true, false, true, true, true, false]);
        assert!(self::hosts().changed(&Exposition::parse(&format!("{active} 1\n"))), "at first");
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(text in "\\PC*", cut in 0..600usize, put in "[\\[\\]{}\",:a0]{0,3}") {
            let page = page(true);
            let at = cut.min(page.len());
            let _ = out(&text);
            let _ = out(&page[..at]);
            let _ = out(&format!("{}{put}{}", &page[..at], &page[at..]));
        }
    }
}
