//! Names of series as Prometheus writes them: `up{job="shop"}`.

use std::borrow::Cow;

/// `name{a="1",b="2"}`; the labels must be in order.
pub fn key<'a>(name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let labels: Vec<String> =
        labels.into_iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

/// A metric's or a label's name, and what follows.
pub fn name(text: &str) -> Option<(&str, &str)> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, rest))
}

/// What stands in braces, in order of the labels' names; nothing may follow.
pub fn labels_of(text: &str) -> Option<Vec<(String, String)>> {
    let (mut labels, rest) = labels(text.strip_prefix('{')?)?;
    labels.sort();
    rest.trim().is_empty().then_some(labels)
}

/// Labels up to the closing brace, and what follows.
pub fn labels(text: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (key, after) = name(rest)?;
        let quoted = after.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
        let (value, after) = quoted_end(quoted)?;
        labels.push((key.to_owned(), value));
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

/// The value of one label of a name that [`key`] wrote.
pub fn label<'s>(series: &'s str, wanted: &str) -> Option<Cow<'s, str>> {
    let mut rest = series.split_once('{')?.1;
    loop {
        let (key, quoted) = rest.split_once("=\"")?;
        let (raw, after) = raw_end(quoted)?;
        if key == wanted {
            return Some(plain(raw));
        }
        rest = after.strip_prefix(',')?;
    }
}

/// A label's value up to its closing quote, and what follows.
fn quoted_end(text: &str) -> Option<(String, &str)> {
    raw_end(text).map(|(raw, after)| (plain(raw).into_owned(), after))
}

/// The same, with its escapes.
fn raw_end(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// A value without its escapes. Unknown ones stand for themselves, as Prometheus
/// reads them.
fn plain(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut value = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (c, false) => value.push(c),
            _ => match chars.next() {
                Some('n') => value.push('\n'),
                Some(c @ ('\\' | '"')) => value.push(c),
                other => value.extend(std::iter::once('\\').chain(other)),
            },
        }
    }
    Cow::Owned(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_label_is_found_whatever_the_others_say() {
        let series = r#"calls{name="a,b=\"c\"",kind="ok"}"#;
        assert_eq!(label(series, "name").as_deref(), Some(r#"a,b="c""#));
        assert_eq!(label(series, "kind").as_deref(), Some("ok"));
        assert_eq!(label(series, "b"), None);
        assert_eq!(label("up", "kind"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(any::<String>(), 1..4)) {
            let names = ["a", "b", "c"];
            let series = key("up", names.into_iter().zip(values.iter().map(String::as_str)));
            for (name, value) in names.iter().zip(&values) {
                let read = label(&series, name);
                prop_assert_eq!(read.as_deref(), Some(value.as_str()));
            }
            let all = labels_of(&series["up".len()..]).unwrap();
            prop_assert_eq!(all.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), values);
        }
    }
}
