//! Whom nginx asked, by two of its variables that people put on answers:
//! `add_header X-Upstream-Status $upstream_status always;` and
//! `X-Upstream-Addr $upstream_addr`. Each server that was asked is an entry;
//! `, ` parts those of one group, ` : ` one group from the next.

use std::net::SocketAddr;

use http::HeaderMap;

/// What nginx' two headers say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    /// How often a server was asked. None: that is not sure.
    pub(super) attempts: Option<u64>,
    /// The address of who answered. None: nobody did, or it is not said.
    pub(super) by: Option<&'a str>,
}

/// Where what the headers say could be read in two ways, nothing is said.
pub(super) fn asked(headers: &HeaderMap) -> Asked<'_> {
    // Two of the same name are of two nginx in a row.
    let one = |name: &str| {
        let mut all = headers.get_all(name).into_iter();
        all.next().filter(|_| all.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let there = |name: &str| headers.contains_key(name);
    let (statuses, addresses) = (one("x-upstream-status"), one("x-upstream-addr"));
    let read = match (statuses, addresses) {
        (Some(statuses), Some(addresses)) => both(statuses, addresses),
        (Some(statuses), None) if !there("x-upstream-addr") => by_statuses(statuses),
        (None, Some(addresses)) if !there("x-upstream-status") => by_addresses(addresses),
        (Some(_) | None, Some(_) | None) => None,
    };
    read.unwrap_or_default()
}

fn both<'a>(statuses: &str, addresses: &'a str) -> Option<Asked<'a>> {
    let unfinished = addresses.trim().ends_with(" :");
    let (statuses, addresses) = (entries(statuses, status)?, entries(addresses, Some)?);
    if !statuses.iter().map(Vec::len).eq(addresses.iter().map(Vec::len)) {
        return None;
    }
    let (mut attempts, mut by) = (0, None);
    for (status, address, last) in pairs(&statuses, &addresses) {
        let (asked, who) = match (is_address(address), status, last) {
            // These two nginx says itself where a server does not answer.
            (true, 502 | 504, _) | (true, 400.., false) => (1, None),
            (true, _, true) => (1, Some(address)),
            // No server could be chosen: the group's name stands for it.
            (false, 502, true) => (0, None),
            (true | false, _, _) => return None,
        };
        attempts += asked;
        by = who;
    }
    Some(Asked { attempts: Some(attempts), by: by.filter(|_| !unfinished) })
}

/// Each status with its address, and whether it is the last of its group.
fn pairs<'a: 'b, 'b>(
    statuses: &'b [Vec<u16>],
    addresses: &'b [Vec<&'a str>],
) -> impl Iterator<Item = (u16, &'a str, bool)> + 'b {
    statuses.iter().zip(addresses).flat_map(|(statuses, addresses)| {
        let end = statuses.len();
        let all = statuses.iter().zip(addresses).enumerate();
        all.map(move |(index, (status, address))| (*status, *address, index + 1 == end))
    })
}

/// A 502 that ends a group may be of no server: there was none left to ask.
fn by_statuses<'a>(statuses: &str) -> Option<Asked<'a>> {
    let groups = entries(statuses, status)?;
    let sure = groups.iter().all(|group| {
        group.split_last().is_some_and(|(last, before)| *last != 502 && before.iter().all(|one| *one >= 400))
    });
    sure.then(|| Asked { attempts: Some(count(&groups)), by: None })
}

/// Whether the last one answered, addresses alone do not say.
fn by_addresses<'a>(addresses: &str) -> Option<Asked<'a>> {
    let groups = entries(addresses, |entry| is_address(entry).then_some(()))?;
    Some(Asked { attempts: Some(count(&groups)), by: None })
}

fn count<T>(groups: &[Vec<T>]) -> u64 {
    groups.iter().map(|group| group.len() as u64).sum()
}

/// The entries of each group. None: one of them is none.
fn entries<'a, T>(text: &'a str, read: impl Fn(&'a str) -> Option<T>) -> Option<Vec<Vec<T>>> {
    let text = text.trim();
    // A group that was turned to, of which nobody was asked.
    let text = text.strip_suffix(" :").unwrap_or(text);
    text.split(" : ").map(|group| group.split(", ").map(|entry| read(entry.trim())).collect()).collect()
}

/// `-`, a status that is not known, is none.
fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| text.len() == 3 && (100..1000).contains(status))
}

fn is_address(text: &str) -> bool {
    text.strip_prefix("unix:").is_some_and(|path| path.starts_with('/')) || text.parse::<SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const STATUS: &str = "x-upstream-status";
    const ADDR: &str = "x-upstream-addr";

    /// Attempts, and who answered.
    fn read(all: &[(&'static str, &str)]) -> (Option<u64>, Option<String>) {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let asked = asked(&headers);
        (asked.attempts, asked.by.map(str::to_owned))
    }

    #[test]
    fn each_server_that_was_asked_counts() {
        for (statuses, addresses, attempts, by) in [
            ("200", "10.0.0.1:80", Some(1), Some("10.0.0.1:80")),
            ("502, 200", "10.0.0.1:80, 10.0.0.2:80", Some(2), Some("10.0.0.2:80")),
            ("504, 503 : 200", "10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80", Some(3), Some("10.0.0.3:80")),
            ("502 : 404", "[::1]:80 : unix:/run/app.sock", Some(2), Some("unix:/run/app.sock")),
            ("500", "10.0.0.1:80", Some(1), Some("10.0.0.1:80")),
            // Turned to another group, which asked nobody.
            ("404 :", "10.0.0.1:80 :", Some(1), None),
            // nginx answers for them.
            ("504", "10.0.0.1:80", Some(1), None),
            ("502, 504", "10.0.0.1:80, 10.0.0.2:80", Some(2), None),
            // Nobody was left to ask.
            ("502", "llm", Some(0), None),
            ("502, 502", "10.0.0.1:80, llm", Some(1), None),
            ("502, 502 : 200", "10.0.0.1:80, llm : 10.0.0.3:80", Some(2), Some("10.0.0.3:80")),
            ("200 : 502", "10.0.0.1:80 : llm", Some(1), None),
            // Not nginx' own.
            ("200", "pod-7", None, None),
            ("502, 200", "llm, 10.0.0.2:80", None, None),
            ("200, 200", "10.0.0.1:80, 10.0.0.2:80", None, None),
            ("502, 200", "10.0.0.2:80", None, None),
            ("502 : 200", "10.0.0.1:80, 10.0.0.2:80", None, None),
            ("-", "10.0.0.1:80", None, None),
            ("-", "-", None, None),
        ] {
            let told = read(&[(STATUS, statuses), (ADDR, addresses)]);
            assert_eq!(told, (attempts, by.map(str::to_owned)), "{statuses} {addresses}");
        }
    }

    #[test]
    fn one_of_the_two_counts_where_it_is_sure() {
        for (statuses, attempts) in [
            ("200", Some(1)),
            ("502, 200", Some(2)),
            ("502, 504", Some(2)),
            ("504 : 429, 200", Some(3)),
            // It may be that nobody was left to ask.
            ("502", None),
            ("504, 502", None),
            ("502 : 200", None),
            ("200, 200", None),
            ("-", None),
            ("", None),
            ("2000", None),
            ("+20", None),
            ("502,200", None),
            ("200 : : 200", None),
        ] {
            assert_eq!(read(&[(STATUS, statuses)]), (attempts, None), "{statuses}");
        }
        for (addresses, attempts) in [
            ("10.0.0.1:80", Some(1)),
            ("10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80", Some(3)),
            ("10.0.0.1:80, llm", None),
            ("10.0.0.1", None),
            ("-", None),
        ] {
            assert_eq!(read(&[(ADDR, addresses)]), (attempts, None), "{addresses}");
        }
        assert_eq!(read(&[]), (None, None));
    }

    #[test]
    fn two_in_a_row_are_not_told_apart() {
        assert_eq!(read(&[(STATUS, "200"), (STATUS, "200")]), (None, None));
        let one = (ADDR, "10.0.0.1:80");
        assert_eq!(read(&[(STATUS, "200"), (STATUS, "200"), one]), (None, None));
        assert_eq!(read(&[one, one]), (None, None));
        assert_eq!(read(&[(STATUS, "200"), one, one]), (None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_read(statuses in "[-0-9, :]{0,12}|[ -~]*", addresses in "[0-9.:, unix/a]{0,24}|[ -~]*") {
            read(&[(STATUS, &statuses), (ADDR, &addresses)]);
            read(&[(STATUS, &statuses)]);
            read(&[(ADDR, &addresses)]);
        }

        /// As many as nginx writes, in however many groups.
        #[test]
        fn as_many_are_read_as_were_asked(groups in prop::collection::vec(1usize..4, 1..4)) {
            let end = groups.len() - 1;
            let write = |one: &dyn Fn(bool) -> &'static str| {
                let group = |(index, n): (usize, &usize)| {
                    (1..=*n).map(|i| one(index == end && i == *n)).collect::<Vec<_>>().join(", ")
                };
                groups.iter().enumerate().map(group).collect::<Vec<_>>().join(" : ")
            };
            let statuses = write(&|last| if last { "200" } else { "504" });
            let addresses = write(&|last| if last { "10.0.0.2:80" } else { "10.0.0.1:80" });
            let asked = Some(groups.iter().sum::<usize>() as u64);
            prop_assert_eq!(read(&[(STATUS, &statuses), (ADDR, &addresses)]), (asked, Some("10.0.0.2:80".to_owned())));
            prop_assert_eq!(read(&[(STATUS, &statuses)]), (asked, None));
            prop_assert_eq!(read(&[(ADDR, &addresses)]), (asked, None));
        }
    }
}
