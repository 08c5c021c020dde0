//! Prometheus' text format, as much of it as a reader needs.

use std::fmt;

use crate::units::series::{key, labels, name};

/// One line of an exposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels, in order of their names.
    pub labels: Vec<(String, String)>,
    /// Its value; may be infinite or not a number.
    pub value: f64,
}

/// What a target said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    /// Everything that could be read, in order.
    pub samples: Vec<Sample>,
    /// Lines (from 1) that could not.
    pub malformed: Vec<usize>,
}

impl Exposition {
    /// Reads an exposition. Lines that it can't read are named, not guessed.
    pub fn parse(text: &str) -> Self {
        let mut exposition = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match sample(line) {
                Some(sample) => exposition.samples.push(sample),
                None => exposition.malformed.push(number),
            }
        }
        exposition
    }

    /// The value of a metric with exactly these labels, given in order of
    /// their names.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.named(name)
            .find(|sample| {
                sample.labels.len() == labels.len()
                    && sample.labels.iter().zip(labels).all(|((k, v), (key, value))| k == key && v == value)
            })
            .map(|sample| sample.value)
    }

    /// All samples of a metric.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Name and labels in one: `name{a="1",b="2"}`.
    pub fn key(&self) -> String {
        key(&self.name, self.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())))
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key();
        match self.value {
            value if value == f64::INFINITY => write!(f, "{key} +Inf"),
            value if value == f64::NEG_INFINITY => write!(f, "{key} -Inf"),
            value => write!(f, "{key} {value}"),
        }
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (name, rest) = name(line)?;
    let (mut labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => labels(rest)?,
        // Without labels, a blank must part the name from the value.
        None if rest.starts_with([' ', '\t']) => (Vec::new(), rest),
        None => return None,
    };
    labels.sort();
    let mut words = rest.split_whitespace().peekable();
    let value = number(words.next()?)?;
    words.next_if(|word| number(word).is_some()); // a timestamp
    // In OpenMetrics an exemplar may follow.
    if words.next().is_some_and(|word| !word.starts_with('#')) {
        return None;
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_reads_what_exporters_write() {
        let text = r#"
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{code="400" , method="post",} 3
msdos_file_access_time_seconds{path="C:\\DIR\\F.TXT",error="Cannot find file:\n\"F.TXT\""} 1.458255915e9
metric_without_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
rpc_duration_seconds_count 2693 # {trace="x"} 0.5
vllm:gpu_cache{} NaN
"#;
        let got = Exposition::parse(text);
        assert_eq!(got.malformed, Vec::<usize>::new());
        assert_eq!(got.value("http_requests_total", &[("code", "400"), ("method", "post")]), Some(3.0));
        assert_eq!(got.samples[0].key(), r#"http_requests_total{code="200",method="post"}"#);
        assert_eq!(got.samples[2].label("error"), Some("Cannot find file:\n\"F.TXT\""));
        assert_eq!(got.samples[2].label("path"), Some(r"C:\DIR\F.TXT"));
        assert_eq!(got.value("metric_without_labels", &[]), Some(12.47));
        assert_eq!(got.samples[4].value, f64::INFINITY);
        assert_eq!(got.samples[5].value, 2693.0);
        assert!(got.samples[6].value.is_nan() && got.samples[6].labels.is_empty());
    }

    #[test]
    fn it_guesses_nothing() {
        for line in [
            "name",
            "1name 3",
            "name{} ",
            "name{a=\"1\" 3",
            "name{a=1} 3",
            "name{a=\"1\"b=\"2\"} 3",
            "name 1 2 x",
            "name three",
            "name infinity",
            "näme 3",
            "{a=\"1\"} 3",
        ] {
            assert_eq!(Exposition::parse(line).malformed, [1], "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            Exposition::parse(&text);
        }

        #[test]
        fn no_text_that_looks_right_makes_it_panic(text in r#"[a-z:_0-9]{0,4}[{]?([a-z]{0,2}=?"?[a-z\\"ü]{0,4}"?,?){0,3}[}]? ?[-+0-9.eInfNa]{0,5}"#) {
            Exposition::parse(&text);
        }

        #[test]
        fn it_reads_back_as_written(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}",
            labels in prop::collection::btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,4}", "(\\PC|\n|\\\\|\"){0,8}", 0..4),
            value in prop_oneof![any::<i32>().prop_map(f64::from), -1e9..1e9f64, Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
        ) {
            let sample = Sample { name, labels: labels.into_iter().collect(), value };
            let got = Exposition::parse(&sample.to_string());
            prop_assert_eq!(got, Exposition { samples: vec![sample], malformed: vec![] });
        }
    }
}
