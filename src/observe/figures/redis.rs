//! Redis' `INFO`, over a connection of its own. Nothing is ever reset there.

use indexmap::IndexMap;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{PATIENCE, Shown};
use crate::scenario::observe::HostPort;

/// What an answer may be long, in bytes. Usual are ten thousand.
const LONGEST: usize = 1 << 20;

pub(super) async fn ask(at: &HostPort) -> Result<Shown, String> {
    let text = timeout(PATIENCE, info(at)).await.map_err(|_| format!("{at}: no answer for {PATIENCE:?}"))?;
    Ok(read(&text.map_err(|why| format!("{at}: {why}"))?))
}

async fn info(at: &HostPort) -> Result<String, String> {
    let io = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(at.as_str()).await.map_err(io)?;
    stream.write_all(b"INFO\r\n").await.map_err(io)?;
    let mut heard = Vec::new();
    loop {
        if stream.read_buf(&mut heard).await.map_err(io)? == 0 {
            return Err("it hung up before its answer was over".to_owned());
        }
        match reply(&heard) {
            Reply::Begun if heard.len() > LONGEST => return Err("its answer is too long".to_owned()),
            Reply::Begun => {}
            Reply::Text(text) => return Ok(text),
            Reply::Refused(why) => return Err(why),
        }
    }
}

/// What there is of an answer.
#[derive(Debug, PartialEq)]
enum Reply {
    /// Not all of it.
    Begun,
    /// A bulk string, whole.
    Text(String),
    /// Anything else, in words.
    Refused(String),
}

/// Reads the head of what was heard as one answer in RESP.
fn reply(heard: &[u8]) -> Reply {
    let refused = |why: &str| Reply::Refused(why.to_owned());
    let stranger = || refused("it does not speak Redis' protocol");
    let Some(end) = heard.windows(2).position(|pair| pair == b"\r\n") else {
        // A head is a sign and a number, or an error's line.
        return if heard.len() > 4096 { stranger() } else { Reply::Begun };
    };
    let Ok(head) = std::str::from_utf8(&heard[..end]) else { return stranger() };
    if let Some(why) = head.strip_prefix('-') {
        return Reply::Refused(in_words(why));
    }
    let length = head.strip_prefix('$').and_then(|length| length.parse::<usize>().ok());
    match length {
        None => stranger(),
        Some(length) if length > LONGEST => refused("its answer is too long"),
        Some(length) => match heard.get(end + 2..end + 2 + length) {
            None => Reply::Begun,
            Some(text) => Reply::Text(String::from_utf8_lossy(text).into_owned()),
        },
    }
}

/// An error of Redis' own.
fn in_words(error: &str) -> String {
    match error.split_whitespace().next() {
        Some("NOAUTH") => format!("it wants a password, and none is sent ({error})"),
        Some("NOPERM") => format!("its default user may not ask for `INFO` ({error})"),
        Some("DENIED") => format!("it is in protected mode ({error})"),
        Some("LOADING") => format!("it is still starting ({error})"),
        Some(_) | None => format!("it refuses `INFO`: {error}"),
    }
}

/// All fields that are plain numbers, by their names.
fn read(text: &str) -> Shown {
    let mut values = IndexMap::new();
    let mut start = None;
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if key == "run_id" {
            start = Some(value.to_owned());
        }
        // Ids are made of digits and letters, and so is `1e5`.
        let plain = value.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
        if let Some(number) = value.parse::<f64>().ok().filter(|number| plain && number.is_finite()) {
            values.insert(key.to_owned(), number);
        }
    }
    Shown { values, start }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nredis_build_id:12345e67\r\nrun_id:b0f1\r\nuptime_in_seconds:12\r\n\r\n# Stats\r\nkeyspace_hits:7\r\nused_memory_peak_perc:99.30%\r\nmem_fragmentation_ratio:-1.5\r\ndb0:keys=1,expires=0\r\n";

    fn bulk(text: &str) -> Vec<u8> {
        format!("${}\r\n{text}\r\n", text.len()).into_bytes()
    }

    #[test]
    fn numbers_are_figures() {
        let Reply::Text(text) = reply(&bulk(INFO)) else { panic!("it is whole") };
        let shown = read(&text);
        let all: Vec<(&str, f64)> = shown.values.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        assert_eq!(
            all,
            [("uptime_in_seconds", 12.0), ("keyspace_hits", 7.0), ("mem_fragmentation_ratio", -1.5)]
        );
        assert_eq!(shown.start.as_deref(), Some("b0f1"));
    }

    #[test]
    fn errors_are_told_in_words() {
        let why = |heard: &[u8]| match reply(heard) {
            Reply::Refused(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(why(b"-NOAUTH Authentication required.\r\n").starts_with("it wants a password"));
        assert!(why(b"-ERR unknown command 'INFO'\r\n").contains("unknown command"));
        assert!(why(b"HTTP/1.1 400 Bad Request\r\n").contains("does not speak"));
        assert!(why(b"$99999999999\r\n").contains("too long"));
        assert!(why(b"$-1\r\n").contains("does not speak"));
        assert_eq!(reply(b"$5\r\nab"), Reply::Begun);
    }

    #[tokio::test]
    async fn it_is_asked_over_tcp() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let at: HostPort =
            listener.local_addr().expect("an address").to_string().parse().expect("an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut asked = [0; 6];
            stream.read_exact(&mut asked).await.expect("a question");
            for part in bulk(INFO).chunks(100) {
                stream.write_all(part).await.expect("an answer");
            }
            asked
        });
        let shown = ask(&at).await.expect("an answer");
        assert_eq!((shown.values["keyspace_hits"], server.await.expect("it ends")), (7.0, *b"INFO\r\n"));
        assert!(ask(&at).await.is_err(), "nobody listens");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), head in "[-$+:*=]?[-0-9]{0,20}(\r\n)?") {
            reply(&bytes);
            let mut begun = head.into_bytes();
            begun.extend(bytes);
            if let Reply::Text(text) = reply(&begun) {
                read(&text);
            }
        }

        #[test]
        fn a_part_of_an_answer_is_only_begun(text in "\\PC{0,100}", cut in 0.0..1.0f64) {
            let whole = bulk(&text);
            let cut = (cut * (whole.len() - 2) as f64) as usize;
            prop_assert_eq!(reply(&whole[..cut]), Reply::Begun);
            prop_assert_eq!(reply(&whole), Reply::Text(text));
        }

        #[test]
        fn any_info_is_read(text in "([a-z_]{0,5}:?([-0-9.e%a-z]{0,6}|inf|nan|9{400})\r?\n?){0,8}") {
            prop_assert!(read(&text).values.values().all(|value| value.is_finite()));
        }
    }
}
